"""Linear layers."""

import math

from ...ops import creation
from ...ops import linear as ops
from .. import init
from ..parameter import Parameter, UninitializedParameter
from .lazy import LazyModuleMixin
from .module import Module

__all__ = ["Identity", "Linear", "NonDynamicallyQuantizableLinear", "Bilinear", "LazyLinear"]


class Identity(Module):
    """Returns its input: ``y = x``. Arguments of the constructor are accepted and ignored.

    Args:
        args, kwargs: not used.

    Shape:
        any, of any dtype; the output is the input.

    >>> import tnn
    >>> tnn.nn.Identity(54, unused=True)(tnn.ones(2)).shape
    tnn.Size([2])
    """

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, input):
        return input


class Linear(Module):
    """``y = x W^T + b`` over the last dimension.

    Weight and bias start uniform in ``[-k, k]``, ``k = 1 / sqrt(in_features)``.

    Args:
        in_features: size of the input's last dimension.
        out_features: size of the output's last dimension.
        bias: whether to add b.
        device: the CPU, or None.
        dtype: of the parameters; the default dtype if None.

    Shape:
        (..., in_features), of the parameters' dtype, becomes (..., out_features).

    Attributes:
        weight: (out_features, in_features).
        bias: (out_features,) or None.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: its last size is not ``in_features``, or its dtype is not that of the parameters.

    >>> import tnn
    >>> tnn.nn.Linear(20, 30)(tnn.randn(128, 20)).shape
    tnn.Size([128, 30])
    """

    __constants__ = ["in_features", "out_features"]

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(creation.empty((out_features, in_features), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(creation.empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draws new initial values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input):
        own = self._parameters
        if "weight" in own and "bias" in own:  # 0.4 us less than by way of Module.__getattr__
            return ops.linear(input, own["weight"], own["bias"])
        return ops.linear(input, self.weight, self.bias)

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class NonDynamicallyQuantizableLinear(Linear):
    """A Linear that dynamic quantization leaves alone: ``y = x W^T + b``.

    Args:
        in_features, out_features, bias, device, dtype: as of :class:`Linear`.

    Shape:
        (..., in_features) becomes (..., out_features).

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: its last size is not ``in_features``, or its dtype is not that of the parameters.
    """


class Bilinear(Module):
    """``y = x1^T A x2 + b``.

    Weight and bias start uniform in ``[-k, k]``, ``k = 1 / sqrt(in1_features)``.

    Args:
        in1_features, in2_features: sizes of the inputs' last dimensions.
        out_features: size of the output's last dimension.
        bias: whether to add b.
        device: the CPU, or None.
        dtype: of the parameters; the default dtype if None.

    Shape:
        (..., in1_features) and (..., in2_features) become (..., out_features).

    Attributes:
        weight: (out_features, in1_features, in2_features).
        bias: (out_features,) or None.

    Raises:
        ValueError: ``in1_features`` is not positive.
    """

    __constants__ = ["in1_features", "in2_features", "out_features"]

    def __init__(self, in1_features, in2_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got {in1_features}")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(creation.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(creation.empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draws new initial values."""
        bound = 1 / math.sqrt(self.weight.size(1))
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1, input2):
        return ops.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self):
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class LazyLinear(LazyModuleMixin, Linear):
    """A Linear that learns ``in_features`` from its first input, and is a Linear from then on.

    Args:
        out_features, bias, device, dtype: as Linear's.

    Shape:
        (..., in_features) becomes (..., out_features).

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: its dtype is not that of the parameters.
    """

    cls_to_become = Linear

    def __init__(self, out_features, bias=True, device=None, dtype=None):
        super().__init__(0, 0, False)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_features = out_features
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self):
        """Draws new initial values, once the sizes are known."""
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input):
        """Gives the parameters their shapes."""
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            self.weight.materialize((self.out_features, self.in_features))
            if self.bias is not None:
                self.bias.materialize((self.out_features,))
            self.reset_parameters()
