"""Metrics of codes and images: pure functions of arrays, for anyone's codes. NumPy, SciPy and scikit-learn only."""
