"""Losses of the methods. They return one value per example, [B], except for `pairwise_distances`, which returns [].

The training steps weight and average these values.
"""

import numpy as np
import tensorflow as tf


def l1(target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference over all axes except the batch axis: two [B, ...] -> [B].

    Example:
        >>> l1(tf.constant([[0.0, 1.0]]), tf.constant([[0.5, 1.0]])).numpy().tolist()
        [0.25]
    """
    return _mean(tf.abs(target - output))


def l2(target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Mean squared difference over all axes except the batch axis: two [B, ...] -> [B].

    Example:
        >>> l2(tf.constant([[0.0, 1.0]]), tf.constant([[0.5, 1.0]])).numpy().tolist()
        [0.125]
    """
    return _mean(tf.math.squared_difference(target, output))


def pairwise_distances(images: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """GAIA's structure loss: two [B, ...] -> []. It compares the distances of codes with the distances of images.

    The loss is the mean over all pairs (i, j) of (ln(1 + X_ij) - ln(1 + H_ij))^2. X_ij is the mean squared difference
    of the images i and j, divided by its mean over all pairs. H_ij is computed from the codes i and j in the same way.
    The loss does not change if all images, or all codes, are scaled or shifted.

    Example:
        >>> x = tf.constant([[0.0], [1.0], [3.0]])
        >>> h = tf.constant([[0.0, 0.0], [0.0, 2.0], [0.0, 4.0]])
        >>> round(float(pairwise_distances(x, h)), 6)
        0.033548
    """
    return tf.reduce_mean((_relative_distances(images) - _relative_distances(codes)) ** 2)


def _relative_distances(x: tf.Tensor) -> tf.Tensor:
    x = _flat(x)
    squares = tf.reduce_mean(tf.math.squared_difference(x[:, None], x[None]), axis=2)
    # If all codes are equal, the mean is 0. The lower bound avoids a division by 0.
    mean = tf.maximum(tf.reduce_mean(squares), np.finfo(np.float32).tiny)
    return tf.math.log1p(squares / mean)


def bce(target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Mean binary cross-entropy of pixels: two [B, ...] -> [B].

    Pixels x in [-1, 1] are converted to probabilities (x + 1) / 2.

    Example:
        >>> round(float(bce(tf.constant([[1.0]]), tf.constant([[0.0]]))[0]), 4)  # -log(1/2)
        0.6931
    """
    return _mean(_pixel_cross_entropy(target, output))


def bce_sum(target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy as in `bce`, but summed over the pixels: two [B, ...] -> [B]. dSprites uses this loss.

    Example:
        >>> round(float(bce_sum(tf.ones([1, 4]), tf.zeros([1, 4]))[0]), 4)
        2.7726
    """
    return tf.reduce_sum(_flat(_pixel_cross_entropy(target, output)), axis=1)


def kl_to_standard_normal(mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:
    """KL(N(mean, exp(log_variance)) | N(0, 1)) in nats, summed over the code: two [B, ...] -> [B].

    Example:
        >>> kl_to_standard_normal(tf.constant([[2.0]]), tf.constant([[0.0]])).numpy().tolist()
        [2.0]
    """
    return tf.reduce_sum(_flat(mean**2 + tf.exp(log_variance) - 1 - log_variance), axis=1) / 2


def gan_bce(score: tf.Tensor, target: float | tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy of sigmoid(score) against a target in [0, 1]: [B] -> [B]. Finite for every score.

    Example:
        >>> round(float(gan_bce(tf.constant([0.0]), 1.0)[0]), 4)
        0.6931
    """
    target = tf.broadcast_to(tf.cast(target, score.dtype), tf.shape(score))
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=score)


def attribute_bce(attributes: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean binary cross-entropy of sigmoid(logits) against attributes that are 0 or 1: two [B, A] -> [B].

    Example:
        >>> round(float(attribute_bce(tf.constant([[0.0, 1.0]]), tf.zeros([1, 2]))[0]), 4)
        0.6931
    """
    return _mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=attributes, logits=logits))


def mask_balance(mask: tf.Tensor) -> tf.Tensor:
    """(sum_c m_c - C/2)^2: [B, C] -> [B]. The loss is 0 if the mask takes half of the C feature maps from each parent.

    Example:
        >>> mask_balance(tf.constant([[1.0, 1.0, 1.0, 0.0]])).numpy().tolist()
        [1.0]
    """
    return (tf.reduce_sum(mask, axis=1) - mask.shape[1] / 2) ** 2


def gan_lsgan(score: tf.Tensor, target: float | tf.Tensor) -> tf.Tensor:
    """Squared difference between scores and their targets: [B] -> [B].

    Example:
        >>> gan_lsgan(tf.constant([0.5]), 1.0).numpy().tolist()
        [0.25]
    """
    return tf.math.squared_difference(score, tf.cast(target, score.dtype))


# Value of log(0), as in PyTorch's BCELoss.
_LOG_OF_ZERO = -100.0


def _pixel_cross_entropy(target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    p, q = (target + 1) / 2, (output + 1) / 2
    return -(p * _safe_log(q) + (1 - p) * _safe_log(1 - q))


def _safe_log(q: tf.Tensor) -> tf.Tensor:
    # Without the inner maximum, the gradient would be NaN at q = 0.
    return tf.where(q > 0, tf.math.log(tf.maximum(q, np.finfo(np.float32).tiny)), _LOG_OF_ZERO)


def _flat(x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(x, [tf.shape(x)[0], -1])


def _mean(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(_flat(x), axis=1)
