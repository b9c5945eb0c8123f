"""Dropout layers: they act in training mode only."""

from ...ops import dropout as ops
from .module import Module


class _DropoutNd(Module):
    __constants__ = ["p", "inplace"]

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        ops.check_probability(p)
        self.p = p
        self.inplace = inplace

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """Sets elements to zero with probability p and multiplies the others by 1 / (1 - p).

    ``y_i = x_i m_i / (1 - p)`` with ``m_i = 1`` with probability 1 - p, else 0; in evaluation mode ``y = x``. From:
    Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, 2014.

    Args:
        p: probability of an element to be dropped.
        inplace: write to the input.

    Shape:
        Any; the output has the input's.

    Raises:
        ValueError: p is not within [0, 1].

    >>> import tnn
    >>> _ = tnn.manual_seed(0)
    >>> tnn.nn.Dropout(0.25)(tnn.ones(4))
    tensor([0.0000, 1.3333, 1.3333, 0.0000])
    """

    def forward(self, input):
        return ops.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_DropoutNd):
    """Drops whole channels with probability p, in training mode: ``y_nc = x_nc m_nc / (1 - p)`` with one draw m for
    each.

    From: Tompson et al., Efficient object localization using convolutional networks, 2015.

    Args:
        p: probability of a channel to be dropped.
        inplace: write to the input.

    Shape:
        (N, C, L) or (C, L), floating point; the output has the input's.

    Raises:
        ValueError: p is not within [0, 1].
        TypeError: the input is not a tensor.
        RuntimeError: it holds integers, or has neither 2 nor 3 dimensions.
    """

    def forward(self, input):
        return ops.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_DropoutNd):
    """Drops whole channels with probability p, in training mode: ``y_nc = x_nc m_nc / (1 - p)`` with one draw m for
    each.

    From: Tompson et al., Efficient object localization using convolutional networks, 2015.

    Args:
        p: probability of a channel to be dropped.
        inplace: write to the input.

    Shape:
        (N, C, H, W) or (N, C, L), floating point; the output has the input's.

    Raises:
        ValueError: p is not within [0, 1].
        TypeError: the input is not a tensor.
        RuntimeError: it holds integers, or has less than two dimensions.
    """

    def forward(self, input):
        return ops.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_DropoutNd):
    """Drops whole channels with probability p, in training mode: ``y_nc = x_nc m_nc / (1 - p)`` with one draw m for
    each.

    From: Tompson et al., Efficient object localization using convolutional networks, 2015.

    Args:
        p: probability of a channel to be dropped.
        inplace: write to the input.

    Shape:
        (N, C, D, H, W) or (C, D, H, W), floating point; the output has the input's.

    Raises:
        ValueError: p is not within [0, 1].
        TypeError: the input is not a tensor.
        RuntimeError: it holds integers, or has less than one dimension.
    """

    def forward(self, input):
        return ops.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_DropoutNd):
    """Dropout that keeps mean 0 and variance 1, for networks with SELU activations, in training mode.

    ``y_i = a (x_i m_i - c (1 - m_i)) + a c p``, ``c = 1.7580993408473766``, ``a = ((c^2 p + 1) (1 - p))^(-1/2)``. From:
    Klambauer et al., Self-normalizing neural networks, 2017.

    Args:
        p: probability of an element to be dropped.
        inplace: without effect.

    Shape:
        any, floating point; the output has the input's.

    Raises:
        ValueError: p is not within [0, 1].
        TypeError: the input is not a tensor.
        RuntimeError: it holds integers.
    """

    def forward(self, input):
        return ops.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    """Alpha dropout of whole features: one draw for each [n, c], in training mode; see :class:`AlphaDropout`.

    Args:
        p: probability of a feature to be dropped.
        inplace: without effect.

    Shape:
        (N, C, ...), floating point; the output has the input's.

    Raises:
        ValueError: p is not within [0, 1].
        TypeError: the input is not a tensor.
        RuntimeError: it holds integers, or has fewer than two dimensions.
    """

    def forward(self, input):
        return ops.feature_alpha_dropout(input, self.p, self.training)
