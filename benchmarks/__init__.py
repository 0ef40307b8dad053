"""Costs of a training step, of its input and of the start of a run on this machine."""
