"""Many runs at a time: their jobs, the machines that run them, and how each job ended."""
