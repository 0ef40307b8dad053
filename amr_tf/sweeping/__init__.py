"""Sweeps: the jobs that train many runs, the executors that start the jobs, and the results of the jobs."""
