"""Mixers of codes: Mix(h, indices, weights) = sum_i weights[:, i] * h[indices[:, i]] (paper 2.1).

The parents of a mix are the codes that are mixed. A mixer's `sample` samples parents and weights, and `mix` computes
the mixes. The first parent of each mix is the example itself, and the other parents come from independent random
permutations of the batch. Exceptions are `GaussianPairs` and `ReversedMixup`, which use the published pairs of GAIA and
ACAI. The number of parents k is an axis of the tensors, so that one operation mixes any number of parents.

All samples are stateless: the same seed gives the same sample. Dirichlet samples are computed from exponential samples,
because XLA has no kernel for gamma samples.
"""

from typing import Protocol, TypeAlias

import tensorflow as tf

from amr_tf import registry

Shape = tuple[int, ...]
Size: TypeAlias = "int | tf.Tensor"  # number of examples; a scalar tensor if unknown at trace time
Draw = tuple[tf.Tensor, tf.Tensor]

# Numbers that are folded into the seed, so that the kinds of samples of one step are independent.
_PERMUTATION, _COEFFICIENT, _MASK, _ATTRIBUTES, _ATTRIBUTE_MASK, _CUT = 0, 1, 2, 3, 4, 5
# Temperature of relaxed Bernoulli samples. Maddison et al. (2017) recommend this value for two classes.
_TEMPERATURE = 2 / 3


def mix(h: tf.Tensor, indices: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Computes mixed codes as weighted sums of their parents.

    Args:
        h: codes [B, ...].
        indices: int [B, k], the rows of h that are the parents of each mix.
        weights: [B, k, ...]. Each axis after k has the size of the code's axis, or 1 to broadcast. The sum over k is 1.

    Returns:
        Mixed codes, in the shape of h.

    Example:
        >>> h = tf.constant([[0.0, 0.0], [10.0, 20.0]])
        >>> mix(h, indices=tf.constant([[0, 1]]), weights=tf.constant([[[0.8], [0.2]]])).numpy().tolist()
        [[2.0, 4.0]]
    """
    return tf.reduce_sum(tf.cast(weights, h.dtype) * tf.gather(h, indices), axis=1)


class Mixer(Protocol):
    """Interface of mixers."""

    def sample(self, batch_size: Size, code_shape: Shape, seed: tf.Tensor) -> Draw:
        """Samples parents and weights.

        Args:
            batch_size: number of codes B, an int or a scalar tensor.
            code_shape: shape of one code, (H, W, C) or (C,).
            seed: int [2].

        Returns:
            indices int32 [B, k] and weights float32 [B, k, ...], the arguments of `mix`.
        """

    def weights(self, shares: tf.Tensor, code_shape: Shape) -> tf.Tensor:
        """Converts the fraction of each parent in a mix to weights, without randomness.

        Args:
            shares: fractions float32 [N, k]. Each row sums to 1.
            code_shape: shape of one code, (H, W, C) or (C,).

        Returns:
            Weights float32 [N, k, ...] for `mix`.
        """

    def path(self, a: tf.Tensor, b: tf.Tensor, steps: int) -> tf.Tensor:
        """Returns the weights on the path from codes a to codes b, both ends included.

        Args:
            a, b: codes [B, ...].
            steps: number of points on the path, at least 2.

        Returns:
            float32 [steps, 2, ...]: the weights of a and b at each point, for `mix`.
        """


class _Mixer:
    """Base class of mixers of k codes. `path` uses the method `weights` with two parents.

    Attributes:
        settings: names of fields of `Config` that are arguments of the constructor in addition to k.
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
    """Convex mixing (Eq. 4) with weights ~ Dirichlet(1, ..., 1) for each example. For k = 2 this is alpha ~ U(0, 1).

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
    """Convex mixing with separate weights for each example and feature map. Flat codes get weights for each unit.

    Example:
        >>> _, weights = ChannelMixup().sample(8, code_shape=(4, 4, 2), seed=tf.constant([0, 1]))
        >>> weights.shape
        TensorShape([8, 2, 1, 1, 2])
    """

    def _shared(self, code_shape: Shape) -> Shape:
        return _per_map(code_shape)


class GaussianMixup(Mixup):
    """Linear mixing with the Gaussian weights of GAIA. Pairs get the weights (a, 1 - a), a ~ N(0.5, 0.25^2).

    Mixes of k > 2 codes are an extension of GAIA: all weights except the last are samples of N(1/k, 1/(2k)^2). Weights
    are not clipped and can be below 0 or above 1, so that 4.6 % of the pairs extrapolate.

    Example:
        >>> _, weights = GaussianMixup().sample(8, code_shape=(4, 4, 2), seed=tf.constant([0, 1]))
        >>> weights.shape
        TensorShape([8, 2, 1, 1, 1])
    """

    def sample(self, batch_size: Size, code_shape: Shape, seed: tf.Tensor) -> Draw:
        return _parents(batch_size, self.k, seed), _gaussian(batch_size, self.k, code_shape, seed)


class GaussianPairs(GaussianMixup):
    """GAIA's pairs, with the weights of `GaussianMixup`. Each pair has one example from each half of the batch.

    Let n be B / 2, rounded down, and j < n. Row j of the result mixes the examples j and n + j. Row n + j mixes the
    examples n - 1 - j and n + j. If B is odd, the last row mixes the last example with the first one.

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
    """Discrete mixing: each feature map of a mix comes from one random parent. All parents have equal probability.

    On the path from code a to code b, the feature maps change from a to b one after the other, the first map first.

    Example:
        >>> _, weights = UnitBernoulli(k=3).sample(8, code_shape=(4, 4, 6), seed=tf.constant([0, 1]))
        >>> weights.shape, sorted(set(weights.numpy().ravel().tolist()))
        (TensorShape([8, 3, 1, 1, 6]), [0.0, 1.0])
    """

    def weights(self, shares: tf.Tensor, code_shape: Shape) -> tf.Tensor:
        """Takes the first feature maps from the first parent, the next ones from the second parent, and so on."""
        maps = code_shape[-1]
        owned = _owned(tf.round(tf.cumsum(shares, axis=1) * maps), maps)
        return tf.reshape(owned, [*shares.shape, *_per_map(code_shape)])

    def sample(self, batch_size: Size, code_shape: Shape, seed: tf.Tensor) -> Draw:
        shape = (batch_size, *_per_map(code_shape))
        own = tf.random.fold_in(seed, _MASK)
        chosen = tf.random.stateless_uniform(shape, own, maxval=self.k, dtype=tf.int32)
        return _parents(batch_size, self.k, seed), tf.one_hot(chosen, self.k, axis=1)


class Bernoulli(UnitBernoulli):
    """Discrete mixing (Eq. 5). For k = 2, ONE p ~ U(0, 1) is sampled for the entire batch.

    A mask m ~ Bern(p) is then sampled for each example and feature map. For k > 2, the mixer equals `UnitBernoulli`.

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
    """Style mixing (Karras et al., 2019, https://arxiv.org/abs/1812.04948) of codes [L, C].

    The rows of a code are ordered from coarse to fine styles. With the probability `style_mixing`, the rows of a mix
    are divided at k - 1 different random cuts, which are sampled for each example. Rows before the first cut come from
    the first parent, rows up to the next cut come from the second parent, and so on. Otherwise the mix equals the
    example's code. On the path from code a to code b, rows change from a to b one after the other, the last row first.

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
        """Takes the first rows from the first parent, the next ones from the second parent, and so on."""
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
    """ACAI's pairs: example i is mixed with example B - 1 - i. The weights are (alpha, 1 - alpha), alpha in [0, 1/2].

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
    """Returns int32 [B, k]: column 0 is the example itself, the others are independent permutations of the batch."""
    order = tf.random.stateless_uniform((batch_size, k - 1), tf.random.fold_in(seed, _PERMUTATION))
    return tf.concat([tf.range(batch_size)[:, None], tf.argsort(order, axis=0)], axis=1)


def _dirichlet(shape: tuple[Size, ...], seed: tf.Tensor) -> tf.Tensor:
    """Samples Dirichlet(1, ..., 1) along axis 1: exponential samples divided by their sum."""
    # `minval` keeps the logarithm finite. Samples of -log(1 - U) could all be 0, and their quotient would be 0 / 0.
    draws = -tf.math.log(tf.random.stateless_uniform(shape, seed, minval=1e-30, maxval=1.0))
    return draws / tf.reduce_sum(draws, axis=1, keepdims=True)


def _gaussian(batch_size: Size, k: int, code_shape: Shape, seed: tf.Tensor) -> tf.Tensor:
    """Returns weights [B, k, 1, ...]: k - 1 samples of N(1/k, 1/(2k)^2), and 1 minus their sum."""
    shape = (batch_size, k - 1, *(1,) * len(code_shape))
    normal = tf.random.stateless_normal(shape, tf.random.fold_in(seed, _COEFFICIENT))
    drawn = (1 + normal / 2) / k
    return tf.concat([drawn, 1 - tf.reduce_sum(drawn, axis=1, keepdims=True)], axis=1)


def _owned(ends: tf.Tensor, size: int) -> tf.Tensor:
    """Returns masks float32 [N, k, size, 1]: 1 for positions p with ends[:, i - 1] <= p < ends[:, i] for parent i."""
    ends, number = ends[:, :, None], tf.range(size, dtype=tf.float32)
    begins = tf.pad(ends, [[0, 0], [1, 0], [0, 0]])[:, :-1]
    return tf.cast((number < ends) & (number >= begins), tf.float32)[..., None]


def _per_map(code_shape: Shape) -> Shape:
    return (*(1,) * (len(code_shape) - 1), code_shape[-1])


def requested_attributes(attributes: tf.Tensor, partners: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns the target attributes of a mix (paper 2.2): y~ = alpha y1 + (1 - alpha) y2.

    alpha ~ Bern(1/2) is sampled for each example and attribute.

    Args:
        attributes: y1 float32 [B, A], 0 or 1.
        partners: int [B], the indices of the examples whose attributes are y2.
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
    """Reorders the partners of the examples, so that each labelled example has a labelled partner.

    Args:
        partners: int32 [B], a permutation of the batch.
        labelled: bool [B].

    Returns:
        int32 [B], a permutation. It equals `partners` if all examples or no examples are labelled.

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
    """Samples a mask m ~ Bern(p), p = sigmoid(logits). m is 1 where a feature map comes from the first parent.

    The papers do not specify the gradient of the sample. The reference implementation uses p as the mask (`soft`).

    Args:
        logits: float32 [B, C].
        gradient: `straight_through`: m has the gradient of p. `gumbel`: m is a relaxed sample (Maddison et al., 2017),
            rounded to 0 or 1, and has the gradient of the relaxed sample. `soft`: m is p.
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
    """Returns the probabilities sigmoid(logits) without sampling."""
    return tf.sigmoid(logits)


def straight_through(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns a Bernoulli sample with the gradient of its probability."""
    return _rounded(tf.sigmoid(logits), logits + _logistic(tf.shape(logits), seed))


def gumbel(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns a Bernoulli sample with the gradient of a relaxed sample (https://arxiv.org/abs/1611.00712)."""
    drawn = logits + _logistic(tf.shape(logits), seed)
    return _rounded(tf.sigmoid(drawn / _TEMPERATURE), drawn)


def _rounded(relaxed: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """Returns 1 where `drawn` is positive and 0 elsewhere, with the gradient of `relaxed`."""
    return tf.cast(drawn > 0, tf.float32) + (relaxed - tf.stop_gradient(relaxed))


def _logistic(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Samples logistic noise. With this noise, logits + noise > 0 has the probability sigmoid(logits)."""
    u = tf.random.stateless_uniform(shape, seed, minval=1e-7, maxval=1.0)
    return tf.math.log(u) - tf.math.log1p(-u)
