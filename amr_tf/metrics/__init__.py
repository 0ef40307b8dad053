"""Metrics of codes and images.

The metrics are pure functions of arrays and accept the codes of any model. They use NumPy, SciPy and scikit-learn only.
"""
