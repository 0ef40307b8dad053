"""Training a run: the experiment, its loop and what watches it."""
