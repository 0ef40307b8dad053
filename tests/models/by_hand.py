"""Losses in plain NumPy, and the comparison of weights before and after a step."""

import numpy as np


def bce(score, target):
    """Binary cross-entropy of sigmoid(score), mean over all dimensions except the batch: [B]."""
    p = 1 / (1 + np.exp(-np.asarray(score, "float64")))
    loss = -(target * np.log(p) + (1 - target) * np.log(1 - p))
    return loss.reshape(len(loss), -1).mean(axis=1)


def l1(a, b):
    """Mean absolute difference of each example: [B]."""
    return np.abs(np.asarray(a, "float64") - np.asarray(b)).reshape(len(a), -1).mean(axis=1)


def snapshot(*networks):
    return [v.numpy() for network in networks for v in network.trainable_variables]


def moved(before, *networks):
    return [bool(np.any(a != b)) for a, b in zip(before, snapshot(*networks), strict=True)]
