"""Activation layers."""

from ...ops import activation as ops
from ...ops.creation import empty
from ...ops.glu import glu
from ..init import constant_
from ..parameter import Parameter
from .module import Module


class _Inplace(Module):
    """A layer whose only argument is whether it overwrites its input."""

    __constants__ = ["inplace"]

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class ReLU(_Inplace):
    r"""``max(0, x)``.

    Args:
        inplace: overwrite the input.

    Shape:
        any, of any dtype but bool; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: it is of bool type.

    >>> import tnn
    >>> tnn.nn.ReLU()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """

    def forward(self, input):
        return ops.relu_(input) if self.inplace else ops.relu(input)


class Hardtanh(Module):
    r"""x limited to ``[min_val, max_val]``.

    Args:
        min_val, max_val: the limits.
        inplace: overwrite the input.
        min_value, max_value: old names of ``min_val`` and ``max_val``, with a warning.

    Shape:
        any, of any dtype but bool; the output has the same.

    Raises:
        AssertionError: ``max_val`` is not larger than ``min_val``.
        TypeError: the input is not a tensor.
        NotImplementedError: it is of bool type.

    >>> import tnn
    >>> tnn.nn.Hardtanh()(tnn.tensor([-3.0, 0.5, 2.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """

    __constants__ = ["min_val", "max_val", "inplace"]

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None):
        super().__init__()
        min_val = min_val if min_value is None else min_value
        max_val = max_val if max_value is None else max_value
        if not max_val > min_val:
            raise AssertionError(f"max_val must be larger than min_val, but got {max_val} and {min_val}")
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input):
        return ops.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self):
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


class ReLU6(Hardtanh):
    r"""``min(max(0, x), 6)``.

    Args:
        inplace: overwrite the input.

    Shape:
        any, of any dtype but bool; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is of bool type.

    >>> import tnn
    >>> tnn.nn.ReLU6()(tnn.tensor([-1.0, 3.0, 8.0]))
    tensor([0., 3., 6.])
    """

    def __init__(self, inplace=False):
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class LeakyReLU(Module):
    r"""x for positive x, else ``negative_slope * x``.

    Args:
        negative_slope: factor of the negative elements.
        inplace: overwrite the input.

    Shape:
        any, of a floating-point dtype; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.

    >>> import tnn
    >>> tnn.nn.LeakyReLU()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.0100,  0.0000,  2.0000])
    """

    __constants__ = ["negative_slope", "inplace"]

    def __init__(self, negative_slope=1e-2, inplace=False):
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input):
        return ops.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self):
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class PReLU(Module):
    r"""x for positive x, else ``weight * x``, with learned weights (He et al., 2015).

    Args:
        num_parameters: 1, or the number of channels (dimension 1 of the input).
        init: what the weights are at first.
        device, dtype: of the weights.

    Shape:
        any, of a floating-point dtype, with ``num_parameters`` channels if that is not 1; the output has the same.

    Attributes:
        weight: Parameter of shape (num_parameters,).

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.
        RuntimeError: its dtype is not that of the weights, or the number of channels differs.

    >>> import tnn
    >>> tnn.nn.PReLU()(tnn.tensor([-1.0, 0.0, 2.0])).detach()
    tensor([-0.2500,  0.0000,  2.0000])
    """

    __constants__ = ["num_parameters"]

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self):
        """Sets the weights to ``init``."""
        constant_(self.weight, self.init)

    def forward(self, input):
        return ops.prelu(input, self.weight)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"


class RReLU(Module):
    r"""x for positive x, else ``a * x``: a is drawn from [lower, upper) for each element in training, and is their mean
    in evaluation (Xu et al., 2015).

    Args:
        lower, upper: bounds of the slope.
        inplace: overwrite the input.

    Shape:
        any, of a floating-point dtype; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.
        RuntimeError: ``lower`` is larger than ``upper``.

    >>> import tnn
    >>> tnn.nn.RReLU(0.1, 0.3).eval()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2000,  0.0000,  2.0000])
    """

    __constants__ = ["lower", "upper", "inplace"]

    def __init__(self, lower=1.0 / 8, upper=1.0 / 3, inplace=False):
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input):
        return ops.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self):
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")


class Threshold(Module):
    r"""x for ``x > threshold``, else ``value``.

    Args:
        threshold: the bound.
        value: what stands in for elements up to it.
        inplace: overwrite the input.

    Shape:
        any, of any dtype but bool; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is of bool type.
    """

    __constants__ = ["threshold", "value", "inplace"]

    def __init__(self, threshold, value, inplace=False):
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input):
        return ops.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self):
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class ELU(Module):
    r"""x for positive x, else ``alpha * (e^x - 1)`` (Clevert et al., 2016).

    Args:
        alpha: factor of the negative part.
        inplace: overwrite the input.

    Shape:
        any, of a floating-point dtype; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.

    >>> import tnn
    >>> tnn.nn.ELU()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.6321,  0.0000,  2.0000])
    """

    __constants__ = ["alpha", "inplace"]

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input):
        return ops.elu(input, self.alpha, self.inplace)

    def extra_repr(self):
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class CELU(Module):
    r"""x for positive x, else ``alpha * (e^(x / alpha) - 1)`` (Barron, 2017).

    Args:
        alpha: scale of the negative part, not 0.
        inplace: overwrite the input.

    Shape:
        any, of a floating-point dtype; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.
        RuntimeError: ``alpha`` is 0.

    >>> import tnn
    >>> tnn.nn.CELU()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.6321,  0.0000,  2.0000])
    """

    __constants__ = ["alpha", "inplace"]

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input):
        return ops.celu(input, self.alpha, self.inplace)

    def extra_repr(self):
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class SELU(_Inplace):
    r"""``scale * (x for positive x, else alpha * (e^x - 1))``, scale = 1.0507..., alpha = 1.6733...
    (Klambauer et al., 2017).

    Args:
        inplace: overwrite the input.

    Shape:
        any, of a floating-point dtype; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.

    >>> import tnn
    >>> tnn.nn.SELU()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.1113,  0.0000,  2.1014])
    """

    def forward(self, input):
        return ops.selu(input, self.inplace)


class GELU(Module):
    r"""``x * Phi(x)``, Phi being the normal distribution function (Hendrycks and Gimpel, 2016).

    Args:
        approximate: ``"none"``, or ``"tanh"`` for ``x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))``.

    Shape:
        any, of a floating-point dtype; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.
        RuntimeError: ``approximate`` is another word.

    >>> import tnn
    >>> tnn.nn.GELU()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.1587,  0.0000,  1.9545])
    """

    __constants__ = ["approximate"]

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input):
        return ops.gelu(input, self.approximate)

    def extra_repr(self):
        return f"approximate={self.approximate!r}"


class SiLU(_Inplace):
    r"""``x * sigmoid(x)`` (Elfwing et al., 2017; also called swish).

    Args:
        inplace: overwrite the input.

    Shape:
        any, of a floating-point dtype; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.

    >>> import tnn
    >>> tnn.nn.SiLU()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2689,  0.0000,  1.7616])
    """

    def forward(self, input):
        return ops.silu(input, self.inplace)


class Mish(_Inplace):
    r"""``x * tanh(log(1 + e^x))`` (Misra, 2019).

    Args:
        inplace: overwrite the input.

    Shape:
        any, of a floating-point dtype; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.

    >>> import tnn
    >>> tnn.nn.Mish()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.3034,  0.0000,  1.9440])
    """

    def forward(self, input):
        return ops.mish(input, self.inplace)


class Hardsigmoid(_Inplace):
    r"""``x / 6 + 1/2`` limited to [0, 1].

    Args:
        inplace: overwrite the input.

    Shape:
        any, of a floating-point dtype; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.

    >>> import tnn
    >>> tnn.nn.Hardsigmoid()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([0.3333, 0.5000, 0.8333])
    """

    def forward(self, input):
        return ops.hardsigmoid(input, self.inplace)

    def extra_repr(self):
        return ""


class Hardswish(_Inplace):
    r"""x times hardsigmoid(x): 0 up to -3, x from 3 on, ``x (x + 3) / 6`` between (Howard et al., 2019).

    Args:
        inplace: overwrite the input.

    Shape:
        any, of a floating-point dtype; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.

    >>> import tnn
    >>> tnn.nn.Hardswish()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.3333,  0.0000,  1.6667])
    """

    def forward(self, input):
        return ops.hardswish(input, self.inplace)

    def extra_repr(self):
        return ""


class Hardshrink(Module):
    r"""x where ``|x| > lambd``, else 0.

    Args:
        lambd: the bound.

    Shape:
        any, of a floating-point dtype; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.

    >>> import tnn
    >>> tnn.nn.Hardshrink()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.,  0.,  2.])
    """

    __constants__ = ["lambd"]

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input):
        return ops.hardshrink(input, self.lambd)

    def extra_repr(self):
        return f"{self.lambd}"


class Softshrink(Module):
    r"""x moved towards 0 by lambd: ``x - lambd`` above lambd, ``x + lambd`` below -lambd, 0 between.

    Args:
        lambd: the bound, not negative.

    Shape:
        any, of a floating-point dtype; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.
        RuntimeError: ``lambd`` is negative.

    >>> import tnn
    >>> tnn.nn.Softshrink()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """

    __constants__ = ["lambd"]

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input):
        return ops.softshrink(input, self.lambd)

    def extra_repr(self):
        return str(self.lambd)


class Softplus(Module):
    r"""``log(1 + e^(beta x)) / beta``; x where ``beta x > threshold``.

    Args:
        beta: sharpness.
        threshold: above it the function is taken as linear.

    Shape:
        any, of a floating-point dtype; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.

    >>> import tnn
    >>> tnn.nn.Softplus()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([0.3133, 0.6931, 2.1269])
    """

    __constants__ = ["beta", "threshold"]

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input):
        return ops.softplus(input, self.beta, self.threshold)

    def extra_repr(self):
        return f"beta={self.beta}, threshold={self.threshold}"


class Softsign(Module):
    r"""``x / (1 + |x|)``.

    Args:
        args, kwargs: not used.

    Shape:
        any; integers are computed in the default floating-point dtype; the output has the same shape.

    Raises:
        TypeError: the input is not a tensor.

    >>> import tnn
    >>> tnn.nn.Softsign()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.5000,  0.0000,  0.6667])
    """

    def forward(self, input):
        return ops.softsign(input)


class Tanhshrink(Module):
    r"""``x - tanh(x)``.

    Args:
        args, kwargs: not used.

    Shape:
        any; integers are computed in the default floating-point dtype; the output has the same shape.

    Raises:
        TypeError: the input is not a tensor.

    >>> import tnn
    >>> tnn.nn.Tanhshrink()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2384,  0.0000,  1.0360])
    """

    def forward(self, input):
        return ops.tanhshrink(input)


class Tanh(Module):
    r"""Hyperbolic tangent ``(e^x - e^-x) / (e^x + e^-x)``.

    Args:
        args, kwargs: not used.

    Shape:
        any; integers are computed in the default floating-point dtype; the output has the same shape.

    Raises:
        TypeError: the input is not a tensor.

    >>> import tnn
    >>> tnn.nn.Tanh()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.7616,  0.0000,  0.9640])
    """

    def forward(self, input):
        return ops.tanh(input)


class Sigmoid(Module):
    r"""Logistic function ``1 / (1 + e^-x)``.

    Args:
        args, kwargs: not used.

    Shape:
        any; integers are computed in the default floating-point dtype; the output has the same shape.

    Raises:
        TypeError: the input is not a tensor.

    >>> import tnn
    >>> tnn.nn.Sigmoid()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([0.2689, 0.5000, 0.8808])
    """

    def forward(self, input):
        return ops.sigmoid(input)


class LogSigmoid(Module):
    r"""``log(1 / (1 + e^-x))``, without overflow.

    Args:
        args, kwargs: not used.

    Shape:
        any, of a floating-point dtype; the output has the same.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.

    >>> import tnn
    >>> tnn.nn.LogSigmoid()(tnn.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.3133, -0.6931, -0.1269])
    """

    def forward(self, input):
        return ops.logsigmoid(input)


class GLU(Module):
    r"""``a * sigmoid(b)``, a and b being the halves of the input along ``dim`` (Dauphin et al., 2017).

    Args:
        dim: the dimension that is halved.

    Shape:
        any with an even size along ``dim``, of a floating-point dtype; the output has half of it.

    Raises:
        TypeError: the input is not a tensor.
        NotImplementedError: it is not of a floating-point dtype.
        RuntimeError: the input has no dimensions, or an odd size along ``dim``.
        IndexError: there is no such dimension.

    >>> import tnn
    >>> tnn.nn.GLU()(tnn.tensor([-1.0, 2.0, 0.0, 0.0]))
    tensor([-0.5000,  1.0000])
    """

    __constants__ = ["dim"]

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return glu(input, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"
