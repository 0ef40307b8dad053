"""What a training step, its input and the start of a run cost on the machine at hand."""
