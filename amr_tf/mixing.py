"""Mixers of codes: Mix(h, indices, weights) = sum_i weights[:, i] * h[indices[:, i]] (paper 2.1).

Drawing (a mixer's `sample`) and applying (`mix`) are separate, so that other draws can be supplied. Parent 1 of
each mix is the example itself, the others come from independent random permutations of the batch. The number of
parents k is a dimension of the tensors, so that the cost hardly depends on it.

All draws are stateless: the same seed gives the same draw. Exponential draws replace gamma draws, for which XLA has
    no kernel.
"""

from typing import Protocol, TypeAlias

import tensorflow as tf

from amr_tf import registry

Shape = tuple[int, ...]
Size: TypeAlias = "int | tf.Tensor"  # a number of examples; unknown while a step is traced
Draw = tuple[tf.Tensor, tf.Tensor]

# Streams keep the random numbers of one step apart.
_PERMUTATION, _COEFFICIENT, _MASK, _ATTRIBUTES, _ATTRIBUTE_MASK, _CUT = 0, 1, 2, 3, 4, 5
# Of the relaxed Bernoulli draws (Maddison et al. 2017, who found it good for two classes).
_TEMPERATURE = 2 / 3


def mix(h: tf.Tensor, indices: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Weighted sum of parents.

    Args:
        h: codes [B, ...].
        indices: int [B, k], row numbers of the parents of each mix.
        weights: [B, k, ...], where the dimensions after k are those of a code, or 1 for shared weights. They sum to 1
            over k.

    Returns:
        Mixed codes, the shape of h.

    Example:
        >>> h = tf.constant([[0.0, 0.0], [10.0, 20.0]])
        >>> mix(h, indices=tf.constant([[0, 1]]), weights=tf.constant([[[0.8], [0.2]]])).numpy().tolist()
        [[2.0, 4.0]]
    """
    return tf.reduce_sum(tf.cast(weights, h.dtype) * tf.gather(h, indices), axis=1)


class Mixer(Protocol):
    """Protocol of mixers: objects with a method `sample`."""

    def sample(self, batch_size: Size, code_shape: Shape, seed: tf.Tensor) -> Draw:
        """Draws parents and weights.

        Args:
            batch_size: number of codes B, an int or a scalar tensor.
            code_shape: shape of one code, (H, W, C) or (C,).
            seed: int [2].

        Returns:
            indices int32 [B, k] and weights float32 [B, k, ...], as `mix` takes them.
        """

    def weights(self, shares: tf.Tensor, code_shape: Shape) -> tf.Tensor:
        """Converts the share of each parent in a mix into weights; nothing is sampled.

        Args:
            shares: float32 [N, k], each row sums to 1.
            code_shape: shape of one code, (H, W, C) or (C,).

        Returns:
            float32 [N, k, ...], as `mix` takes them.
        """

    def path(self, a: tf.Tensor, b: tf.Tensor, steps: int) -> tf.Tensor:
        """Returns the weights on the path from codes a to codes b, both ends included.

        Args:
            a, b: codes [B, ...].
            steps: points on the path, at least 2.

        Returns:
            float32 [steps, 2, ...]: the weights of a and b at each point, as `mix` takes them.
        """


class _Mixer:
    """Base of mixers of k codes. The path between two codes follows from the weights of two parents.

    Attributes:
        settings: names of the run's settings that the constructor takes besides k.
    """

    settings: tuple[str, ...] = ()

    def __init__(self, k: int = 2):
        self.k = k

    def weights(self, shares: tf.Tensor, code_shape: Shape) -> tf.Tensor:
        raise NotImplementedError

    def path(self, a: tf.Tensor, b: tf.Tensor, steps: int) -> tf.Tensor:
        share = tf.linspace(0.0, 1.0, steps)
        return self.weights(tf.stack([share, 1 - share], axis=1), a.shape[1:])[:, ::-1]


class Mixup(_Mixer):
    """Convex mixing (Eq. 4): one Dirichlet(1, ..., 1) draw per example, which for k = 2 is alpha ~ U(0, 1).

    The path from one code to another is linear.

    Example:
        >>> indices, weights = Mixup(k=3).sample(8, code_shape=(4, 4, 2), seed=tf.constant([0, 1]))
        >>> indices.shape, weights.shape
        (TensorShape([8, 3]), TensorShape([8, 3, 1, 1, 1]))
    """

    def weights(self, shares: tf.Tensor, code_shape: Shape) -> tf.Tensor:
        return tf.reshape(shares, [*shares.shape, *(1,) * len(code_shape)])

    def sample(self, batch_size: Size, code_shape: Shape, seed: tf.Tensor) -> Draw:
        shape = (batch_size, self.k, *self._shared(code_shape))
        return _parents(batch_size, self.k, seed), _dirichlet(shape, tf.random.fold_in(seed, _COEFFICIENT))

    def _shared(self, code_shape: Shape) -> Shape:
        return (1,) * len(code_shape)


class ChannelMixup(Mixup):
    """Convex mixing with a separate draw for every example and feature map (for every unit of a flat code).

    Example:
        >>> _, weights = ChannelMixup().sample(8, code_shape=(4, 4, 2), seed=tf.constant([0, 1]))
        >>> weights.shape
        TensorShape([8, 2, 1, 1, 2])
    """

    def _shared(self, code_shape: Shape) -> Shape:
        return _per_map(code_shape)


class GaussianMixup(Mixup):
    """Linear mixing with Gaussian weights, which GAIA uses for pairs: (a, 1 - a), a ~ N(0.5, 0.25^2), not clipped.

    For k > 2, which GAIA does not have, all weights except the last are draws of N(1/k, 1/(2k)^2). Weights can be
    below 0 or above 1: 4.6 % of the pairs extrapolate.

    Example:
        >>> _, weights = GaussianMixup().sample(8, code_shape=(4, 4, 2), seed=tf.constant([0, 1]))
        >>> weights.shape
        TensorShape([8, 2, 1, 1, 1])
    """

    def sample(self, batch_size: Size, code_shape: Shape, seed: tf.Tensor) -> Draw:
        return _parents(batch_size, self.k, seed), _gaussian(batch_size, self.k, code_shape, seed)


class GaussianPairs(GaussianMixup):
    """GAIA's pairs: the second half of the batch is mixed with the first half, in order and in reversed order.

    With n = B / 2, row j < n mixes (j, n + j) and row n + j mixes (n - 1 - j, n + j). In an odd batch the last row
    mixes the last example with the first.

    Example:
        >>> indices, weights = GaussianPairs().sample(4, code_shape=(2,), seed=tf.constant([0, 1]))
        >>> indices.numpy().tolist()
        [[0, 2], [1, 3], [1, 2], [0, 3]]
    """

    def sample(self, batch_size: Size, code_shape: Shape, seed: tf.Tensor) -> Draw:
        half = batch_size // 2
        own, rest = tf.range(half), tf.range(2 * half, batch_size)
        first = tf.concat([own, own[::-1], rest], axis=0)
        second = tf.concat([half + own, half + own, tf.zeros_like(rest)], axis=0)
        return tf.stack([first, second], axis=1), _gaussian(batch_size, 2, code_shape, seed)


class UnitBernoulli(_Mixer):
    """Discrete mixing: each feature map of the mix comes from one parent, all parents equally likely.

    On the path from one code to another, feature maps switch one after the other, in order.

    Example:
        >>> _, weights = UnitBernoulli(k=3).sample(8, code_shape=(4, 4, 6), seed=tf.constant([0, 1]))
        >>> weights.shape, sorted(set(weights.numpy().ravel().tolist()))
        (TensorShape([8, 3, 1, 1, 6]), [0.0, 1.0])
    """

    def weights(self, shares: tf.Tensor, code_shape: Shape) -> tf.Tensor:
        """The first feature maps come from the first parent, the next ones from the second, and so on."""
        maps = code_shape[-1]
        owned = _owned(tf.round(tf.cumsum(shares, axis=1) * maps), maps)
        return tf.reshape(owned, [*shares.shape, *_per_map(code_shape)])

    def sample(self, batch_size: Size, code_shape: Shape, seed: tf.Tensor) -> Draw:
        shape = (batch_size, *_per_map(code_shape))
        own = tf.random.fold_in(seed, _MASK)
        chosen = tf.random.stateless_uniform(shape, own, maxval=self.k, dtype=tf.int32)
        return _parents(batch_size, self.k, seed), tf.one_hot(chosen, self.k, axis=1)


class Bernoulli(UnitBernoulli):
    """Discrete mixing (Eq. 5): for k = 2 ONE p ~ U(0, 1) for the whole batch, then m ~ Bern(p) per feature map.

    For k > 2 it is the categorical draw of `UnitBernoulli`.

    Example:
        >>> Bernoulli().path(tf.zeros([1, 4]), tf.ones([1, 4]), steps=3)[:, 1].numpy().tolist()
        [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]
    """

    def sample(self, batch_size: Size, code_shape: Shape, seed: tf.Tensor) -> Draw:
        if self.k > 2:
            return super().sample(batch_size, code_shape, seed)
        p = tf.random.stateless_uniform([], tf.random.fold_in(seed, _COEFFICIENT))
        shape = (batch_size, *_per_map(code_shape))
        mask = tf.cast(tf.random.stateless_uniform(shape, tf.random.fold_in(seed, _MASK)) < p, tf.float32)
        return _parents(batch_size, 2, seed), tf.stack([mask, 1 - mask], axis=1)


class StyleCrossover(_Mixer):
    """Style mixing (Karras et al., 2019, https://arxiv.org/abs/1812.04948) of codes [L, C], rows coarse to fine.

    With the probability `style_mixing` a mix has k - 1 different cuts, all equally likely, drawn for each example: rows
    before the first cut come from the first parent, rows up to the next cut from the second, and so on. Otherwise it is
    the example's own code. On the path from one code to another rows switch one after the other, from fine to coarse.

    Example:
        >>> mixer = StyleCrossover(k=2, style_mixing=1.0)
        >>> indices, weights = mixer.sample(8, code_shape=(6, 4), seed=tf.constant([0, 1]))
        >>> weights.shape, weights[0, 0, 0, 0].numpy(), weights[0, 1, 5, 0].numpy()
        (TensorShape([8, 2, 6, 1]), np.float32(1.0), np.float32(1.0))
    """

    settings = ("style_mixing",)

    def __init__(self, k: int = 2, style_mixing: float = 0.9):
        super().__init__(k)
        self.style_mixing = style_mixing

    def weights(self, shares: tf.Tensor, code_shape: Shape) -> tf.Tensor:
        """The first rows come from the first parent, the next ones from the second, and so on."""
        return _owned(tf.round(tf.cumsum(shares, axis=1) * code_shape[0]), code_shape[0])

    def path(self, a: tf.Tensor, b: tf.Tensor, steps: int) -> tf.Tensor:
        share = tf.linspace(1.0, 0.0, steps)
        return self.weights(tf.stack([share, 1 - share], axis=1), a.shape[1:])

    def sample(self, batch_size: Size, code_shape: Shape, seed: tf.Tensor) -> Draw:
        rows, cuts = code_shape[0], self.k - 1
        order = tf.random.stateless_uniform((batch_size, rows - 1), tf.random.fold_in(seed, _CUT))
        drawn = tf.sort(tf.argsort(order, axis=1)[:, :cuts] + 1, axis=1)
        mixed = tf.random.stateless_uniform((batch_size, 1), tf.random.fold_in(seed, _COEFFICIENT))
        drawn = tf.where(mixed < self.style_mixing, drawn, rows)
        ends = tf.concat([drawn, tf.fill([batch_size, 1], rows)], axis=1)
        return _parents(batch_size, self.k, seed), _owned(tf.cast(ends, tf.float32), rows)


class ReversedMixup(Mixup):
    """ACAI's pairs: example i with example B - 1 - i, weights (alpha, 1 - alpha), alpha in [0, 1/2].

    Example:
        >>> indices, weights = ReversedMixup().sample(4, code_shape=(2,), seed=tf.constant([0, 1]))
        >>> indices.numpy().tolist()
        [[0, 3], [1, 2], [2, 1], [3, 0]]
    """

    def sample(self, batch_size: Size, code_shape: Shape, seed: tf.Tensor) -> Draw:
        shape = (batch_size, *(1,) * len(code_shape))
        raw = tf.random.stateless_uniform(shape, tf.random.fold_in(seed, _COEFFICIENT))
        alpha = 0.5 - tf.abs(raw - 0.5)
        own = tf.range(batch_size)
        return tf.stack([own, own[::-1]], axis=1), tf.stack([alpha, 1 - alpha], axis=1)


def _parents(batch_size: Size, k: int, seed: tf.Tensor) -> tf.Tensor:
    """int32 [B, k]: the example itself, then k - 1 independent permutations of the batch."""
    order = tf.random.stateless_uniform((batch_size, k - 1), tf.random.fold_in(seed, _PERMUTATION))
    return tf.concat([tf.range(batch_size)[:, None], tf.argsort(order, axis=0)], axis=1)


def _dirichlet(shape: tuple[Size, ...], seed: tf.Tensor) -> tf.Tensor:
    """Dirichlet(1, ..., 1) along axis 1: exponential draws divided by their sum."""
    # The lower end keeps the logarithm finite; 1 - U would make draws of exactly 0, and 0 / 0 where all are.
    draws = -tf.math.log(tf.random.stateless_uniform(shape, seed, minval=1e-30, maxval=1.0))
    return draws / tf.reduce_sum(draws, axis=1, keepdims=True)


def _gaussian(batch_size: Size, k: int, code_shape: Shape, seed: tf.Tensor) -> tf.Tensor:
    """Weights [B, k, 1, ...]: k - 1 draws of N(1/k, 1/(2k)^2), and what they leave of 1."""
    shape = (batch_size, k - 1, *(1,) * len(code_shape))
    normal = tf.random.stateless_normal(shape, tf.random.fold_in(seed, _COEFFICIENT))
    drawn = (1 + normal / 2) / k
    return tf.concat([drawn, 1 - tf.reduce_sum(drawn, axis=1, keepdims=True)], axis=1)


def _owned(ends: tf.Tensor, size: int) -> tf.Tensor:
    """float32 [N, k, size, 1]: 1 for positions from the end of the parent before, up to the parent's own end [N, k]."""
    ends, number = ends[:, :, None], tf.range(size, dtype=tf.float32)
    begins = tf.pad(ends, [[0, 0], [1, 0], [0, 0]])[:, :-1]
    return tf.cast((number < ends) & (number >= begins), tf.float32)[..., None]


def _per_map(code_shape: Shape) -> Shape:
    return (*(1,) * (len(code_shape) - 1), code_shape[-1])


def requested_attributes(attributes: tf.Tensor, partners: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Target attributes of a mix (2.2): y~ = alpha y1 + (1 - alpha) y2, alpha ~ Bern(1/2) per example and attribute.

    Args:
        attributes: y1 float32 [B, A], 0 or 1.
        partners: int [B], whose attributes are y2.
        seed: int [2].

    Returns:
        float32 [B, A], 0 or 1.

    Example:
        >>> y = tf.constant([[0.0, 1.0], [0.0, 1.0]])
        >>> requested_attributes(y, partners=tf.constant([1, 0]), seed=tf.constant([0, 1])).numpy().tolist()
        [[0.0, 1.0], [0.0, 1.0]]
    """
    draw = tf.random.stateless_uniform(tf.shape(attributes), tf.random.fold_in(seed, _ATTRIBUTES))
    return tf.where(draw < 0.5, attributes, tf.gather(attributes, partners))


def labelled_partners(partners: tf.Tensor, labelled: tf.Tensor) -> tf.Tensor:
    """Rearranges the partners of a permutation, so that labelled examples are paired with labelled ones.

    Args:
        partners: int32 [B], a permutation of the batch.
        labelled: bool [B].

    Returns:
        int32 [B], a permutation, unchanged if all examples are labelled or none is.

    Example:
        >>> labelled = tf.constant([True, False, True, False])
        >>> labelled_partners(tf.constant([1, 0, 3, 2]), labelled).numpy().tolist()
        [0, 1, 2, 3]
    """
    unlabelled = tf.cast(~labelled, tf.int32)
    # Move labelled examples to the front of both index lists, then pair them.
    seeking = tf.argsort(unlabelled, stable=True)
    found = tf.gather(partners, tf.argsort(tf.gather(unlabelled, partners), stable=True))
    return tf.gather(found, tf.argsort(seeking))


def draw_mask(logits: tf.Tensor, gradient: str, seed: tf.Tensor) -> tf.Tensor:
    """m ~ Bern(p), p = sigmoid(logits), 1 where a feature map comes from the first parent.

    No source specifies the gradient through the draw. The reference implementation uses the probabilities (`soft`).

    Args:
        logits: float32 [B, C].
        gradient: `straight_through`: the gradient of p. `gumbel`: the gradient of a relaxed draw (Maddison et al.,
            2017), of which m is the rounded value. `soft`: m is p.
        seed: int [2].

    Returns:
        float32 [B, C], 0 or 1, or in [0, 1] with `soft`.

    Example:
        >>> draw_mask(tf.constant([[-50.0, 50.0]]), "straight_through", seed=tf.constant([0, 1])).numpy().tolist()
        [[0.0, 1.0]]
    """
    draw = registry.load(registry.MASK_GRADIENTS, gradient)
    return draw(logits, tf.random.fold_in(seed, _ATTRIBUTE_MASK))


def soft(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The probabilities themselves; nothing is drawn."""
    return tf.sigmoid(logits)


def straight_through(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A Bernoulli draw with the gradient of its probability."""
    return _rounded(tf.sigmoid(logits), logits + _logistic(tf.shape(logits), seed))


def gumbel(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A Bernoulli draw with the gradient of a relaxed draw (https://arxiv.org/abs/1611.00712)."""
    drawn = logits + _logistic(tf.shape(logits), seed)
    return _rounded(tf.sigmoid(drawn / _TEMPERATURE), drawn)


def _rounded(relaxed: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """1 where `drawn` is positive and 0 elsewhere, with the gradient of `relaxed`."""
    return tf.cast(drawn > 0, tf.float32) + (relaxed - tf.stop_gradient(relaxed))


def _logistic(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Logistic noise: logits + noise > 0 has the probability sigmoid(logits)."""
    u = tf.random.stateless_uniform(shape, seed, minval=1e-7, maxval=1.0)
    return tf.math.log(u) - tf.math.log1p(-u)
