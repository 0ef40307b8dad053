"""Confidence interval of an accuracy."""

from scipy.stats import binomtest


def interval(right: int, total: int) -> list[float]:
    """Returns the 95 % Wilson interval, [low, high], for `right` correct predictions out of `total`.

    Example:
        >>> [round(limit, 3) for limit in interval(285, 300)]
        [0.919, 0.969]
    """
    found = binomtest(right, total).proportion_ci(0.95, method="wilson")
    return [float(found.low), float(found.high)]
