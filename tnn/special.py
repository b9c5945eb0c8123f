"""Special functions under the names that ``torch.special`` gives them.

Elementwise, for floating point and integers (which count as floating point); derivatives are exact.
"""

import math

from .ops._common import check_tensor, into
from .ops.activation import sigmoid as expit
from .ops.pointwise_functions import igamma as gammainc
from .ops.pointwise_functions import igammac as gammaincc
from .ops.pointwise_functions import xlog1py, xlogy
from .ops.pointwise_select import where
from .ops.pointwise_unary import (
    digamma,
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    i0,
    i1,
    log1p,
    logit,
    polygamma,
    round,
    sinc,
)
from .ops.pointwise_unary import digamma as psi
from .ops.pointwise_unary import lgamma as gammaln
from .ops.pointwise_unary import mvlgamma as multigammaln
from .ops.reduction import logsumexp
from .ops.softmax import log_softmax, softmax

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc", "gammaln", "i0",
    "i1", "log1p", "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma",
    "psi", "round", "sinc", "softmax", "xlog1py", "xlogy",
]  # fmt: skip


def entr(input, *, out=None):
    """The entropy's terms: ``-x ln x`` where x > 0, 0 at 0, and -inf below.

    Args:
        input: tensor of any shape; integers count as the default floating-point dtype.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``out`` cannot hold the result.

    >>> import tnn
    >>> tnn.special.entr(tnn.tensor([-1.0, 0.0, 1.0, math.e]))
    tensor([   -inf,  0.0000,  0.0000, -2.7183])
    """
    check_tensor("entr", "input", input, 1)
    return into(out, where(input < 0, -math.inf, 0 - xlogy(input, input)), "special_entr", input)


def ndtr(input, *, out=None):
    """The normal distribution's cumulative function: ``(1 + erf(x / sqrt(2))) / 2``.

    Args:
        input: tensor of any shape; integers count as the default floating-point dtype.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``out`` cannot hold the result.

    >>> import tnn
    >>> tnn.special.ndtr(tnn.tensor([-1.0, 0.0, 1.0]))
    tensor([0.1587, 0.5000, 0.8413])
    """
    check_tensor("ndtr", "input", input, 1)
    return into(out, erfc(input * -math.sqrt(0.5)) * 0.5, "special_ndtr")


def ndtri(input, *, out=None):
    """The inverse of :func:`ndtr`: ``sqrt(2) erfinv(2 x - 1)``; infinite at 0 and 1, NaN outside.

    Args:
        input: tensor of any shape; integers count as the default floating-point dtype.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``out`` cannot hold the result.

    >>> import tnn
    >>> tnn.special.ndtri(tnn.tensor([0.0, 0.5, 0.75]))
    tensor([  -inf, 0.0000, 0.6745])
    """
    check_tensor("ndtri", "input", input, 1)
    return into(out, erfinv(input * 2 - 1) * math.sqrt(2), "special_ndtri", input)
