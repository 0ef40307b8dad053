"""Training on several devices or machines: distribution strategy, workers, and communication of workers."""
