"""Activations. Each is one kernel forward and one backward; the backward is an operation too, so that it can be
differentiated again (see :class:`Slope`)."""

import math

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import activation as kernels
from ..kernels._pool import empty
from ..kernels.random import slopes_forward
from ..random import current_generator
from ..tensor import Tensor, wrap, wrap_zeros
from ._common import F32, HALF, WITHIN, check_tensor, dense, half_as_float32, inplace, is_number, recording
from ._elementwise import Rule, in_order_of, run1, run2, run3, run_float, unary_op
from ._within import activation_within
from .cast import convert
from .pointwise_select import where

# ---------------------------------------------------------------------------------------------- gradients


class Slope:
    """g times the derivative of an activation, as an operation: slope(g, s, p, q) with s its input or output.

    Args:
        name: of the node that is recorded, which has two inputs, g and s.
        kernel: computes it.
        second: function (w, s, p, q) in Tensor operations: w times the derivative of kernel(1, s, p, q) by s. None:
            that is zero.
    """

    def __init__(self, name, kernel, second=None):
        self.name, self.kernel, self.second = name, kernel, second

    def __call__(self, grad, s, p=0.0, q=0.0):
        g, x = grad._data, s._data
        data = self.kernel.small(g, x, p, q)
        if data is None:
            kind = g.dtype
            if kind in HALF:
                data = convert(run2(self.kernel, convert(g, F32), convert(x, F32), p, q), kind)
            else:
                data = run2(self.kernel, in_order_of(g, x), x, p, q)
        result = wrap(data)
        if (grad._rg or s._rg) and mode.grad:
            node = _Slope(grad, s)
            node.slope, node.p, node.q = self, p, q
            node.attach(result)
            node.save(grad if s._rg and self.second else None, s)
        return result


class _Slope(Node):
    __slots__ = ("slope", "p", "q")

    def name(self):
        return self.slope.name + "Backward0"

    def backward(self, grad):
        g, s = self.saved_tensors()
        to_g = self.slope(grad, s, self.p, self.q) if self.needs(0) else None
        if not self.needs(1):
            return to_g, None
        if self.slope.second is None:
            return to_g, wrap_zeros(s._data.shape, s._data.dtype)
        return to_g, self.slope.second(grad * g, s, self.p, self.q)


class Activation(Node):
    """Base of the activations' nodes: ``slope`` gives the gradient from the saved tensor and the parameters p and q."""

    __slots__ = ("p", "q")

    slope = None

    def backward(self, grad):
        return self.slope(grad, self.saved_tensor(), self.p, self.q)


def _node(name, kernel, second=None):
    slope = Slope(name + "Backward", kernel, second)
    return type(name, (Activation,), {"__slots__": (), "slope": staticmethod(slope)})


def _apply(node, kernel, input, p=0.0, q=0.0, integer=None):
    """Runs an activation whose backward reads its input."""
    data = kernel.small(input._data, p, q) if isinstance(input, Tensor) else None
    if data is None:
        data = _any_type(node.__name__.lower(), kernel, input, p, q, integer)
    result = wrap(data)
    if input._rg and mode.grad:
        step = node(input)
        step.p, step.q = p, q
        result._rg, result._node = True, step
        step.save(input)
    return result


def _any_type(name, kernel, input, p, q, integer):
    check_tensor(name, "input", input, 1)
    x = input._data
    if x.dtype.kind in "biu":
        if integer == "float":
            return run1(kernel, convert(x, dtypes.get_default_dtype().np), p, q)
        if integer is None or x.dtype.kind == "b":
            raise NotImplementedError(f"\"{name}\" not implemented for '{input.dtype.torch_name}'")
        return np.asarray(integer(x), x.dtype)
    return run_float(kernel, x, p, q)


# ---------------------------------------------------------------------------------------------- sigmoid, tanh, relu

_sigmoid_slope = Slope("SigmoidBackward", kernels.sigmoid_backward, lambda w, y, p, q: w * (1.0 - y * 2.0))
_tanh_slope = Slope("TanhBackward", kernels.tanh_backward, lambda w, y, p, q: w * (y * -2.0))
_relu_slope = Slope("ThresholdBackward", kernels.relu_backward)

sigmoid = unary_op(
    "sigmoid", kernels.sigmoid_forward, "o", _sigmoid_slope, "Logistic function 1 / (1 + e^-x), element by element."
)
tanh = unary_op("tanh", kernels.tanh_forward, "o", _tanh_slope, "Hyperbolic tangent (e^x - e^-x) / (e^x + e^-x).")
expit = sigmoid


def _integer_relu(x):
    if x.dtype == np.bool_:
        raise RuntimeError("Boolean inputs not supported for relu")
    return np.maximum(x, x.dtype.type(0))


_relu = unary_op("relu", kernels.relu_forward, "o", _relu_slope, "", _integer_relu)
relu_node = _relu.node


def relu(input, inplace=False):
    """max(0, x), element by element.

    Args:
        input: tensor of any shape and of any dtype but bool.
        inplace: overwrite ``input``.

    Shape:
        that of ``input``, in its dtype.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: it is of bool type; or, in place, a leaf that requires gradients.
    """
    return relu_(input) if inplace else _relu(input)


relu_ = inplace(_relu)

# ---------------------------------------------------------------------------------------------- piecewise linear

LeakyRelu = _node("LeakyRelu", kernels.leaky_relu_backward)
Threshold = _node("Threshold", kernels.threshold_backward)
Hardtanh = _node("Hardtanh", kernels.hardtanh_backward)
Hardsigmoid = _node("Hardsigmoid", kernels.hardsigmoid_backward)
Hardswish = _node(
    "Hardswish", kernels.hardswish_backward, lambda w, x, p, q: where((x > -3.0) & (x < 3.0), w * (1.0 / 3.0), 0.0)
)
Hardshrink = _node("Hardshrink", kernels.shrink_backward)
Softshrink = _node("Softshrink", kernels.shrink_backward)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x for positive x, else negative_slope * x.

    Args:
        input: tensor of any shape, of floating point.
        negative_slope: factor of the negative elements.
        inplace: overwrite ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
    """
    if inplace:
        return leaky_relu_(input, negative_slope)
    return _apply(LeakyRelu, kernels.leaky_relu_forward, input, float(negative_slope))


def threshold(input, threshold, value, inplace=False):
    """x for x > threshold, else value.

    Args:
        input: tensor of any shape and of any dtype but bool.
        threshold, value: numbers.
        inplace: overwrite ``input``.

    Shape:
        that of ``input``, in its dtype.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is of bool type.
    """
    if inplace:
        return threshold_(input, threshold, value)
    return _apply(
        Threshold,
        kernels.threshold_forward,
        input,
        float(threshold),
        float(value),
        lambda x: np.where(x <= threshold, value, x),
    )


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """x limited to [min_val, max_val].

    Args:
        input: tensor of any shape and of any dtype but bool.
        min_val, max_val: the limits, numbers.
        inplace: overwrite ``input``.

    Shape:
        that of ``input``, in its dtype.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: ``min_val`` is larger than ``max_val``.
        NotImplementedError: ``input`` is of bool type.
        RuntimeError: it is of an unsigned type and ``min_val`` negative.
    """
    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val, but got {min_val} and {max_val}")
    if min_val < 0 and isinstance(input, Tensor) and input._data.dtype.kind == "u":
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    if inplace:
        return hardtanh_(input, min_val, max_val)
    return _apply(
        Hardtanh,
        kernels.hardtanh_forward,
        input,
        float(min_val),
        float(max_val),
        lambda x: np.clip(x, int(min_val), int(max_val)),
    )


def relu6(input, inplace=False):
    """min(max(0, x), 6).

    Args:
        input: tensor of any shape and of any dtype but bool.
        inplace: overwrite ``input``.

    Shape:
        that of ``input``, in its dtype.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is of bool type.
    """
    return hardtanh_(input, 0.0, 6.0) if inplace else hardtanh(input, 0.0, 6.0)


def hardsigmoid(input, inplace=False):
    """x / 6 + 1/2 limited to [0, 1].

    Args:
        input: tensor of any shape, of floating point.
        inplace: overwrite ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
    """
    return hardsigmoid_(input) if inplace else _apply(Hardsigmoid, kernels.hardsigmoid_forward, input)


def hardswish(input, inplace=False):
    """x times hardsigmoid(x): 0 up to -3, x from 3 on, x (x + 3) / 6 between (Howard et al., 2019).

    Args:
        input: tensor of any shape, of floating point.
        inplace: overwrite ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
    """
    return hardswish_(input) if inplace else _apply(Hardswish, kernels.hardswish_forward, input)


def hardshrink(input, lambd=0.5):
    """x where |x| > lambd, else 0.

    Args:
        input: tensor of any shape, of floating point.
        lambd: the bound.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
    """
    return _apply(Hardshrink, kernels.hardshrink_forward, input, float(lambd))


def softshrink(input, lambd=0.5):
    """x moved towards 0 by lambd: x - lambd above lambd, x + lambd below -lambd, 0 between.

    Args:
        input: tensor of any shape, of floating point.
        lambd: the bound, not negative.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
        RuntimeError: ``lambd`` is negative.
    """
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return _apply(Softshrink, kernels.softshrink_forward, input, float(lambd))


# ---------------------------------------------------------------------------------------------- exponential


def _below_zero(x):
    return x.clamp(max=0.0)


def _elu_second(w, x, alpha, _):
    return where(x < 0, w * (_below_zero(x).exp() * alpha), 0.0)


def _celu_second(w, x, alpha, _):
    return where(x < 0, w * ((_below_zero(x) / alpha).exp() / alpha), 0.0)


def _selu_second(w, x, p, q):
    return where(x < 0, w * (_below_zero(x).exp() * 1.7580993408473768), 0.0)


def _softplus_second(w, x, beta, threshold):
    s = sigmoid(x * beta)
    return where(x * beta > threshold, 0.0, w * (s * (1.0 - s) * beta))


Elu = _node("Elu", kernels.elu_backward, _elu_second)
Celu = _node("Celu", kernels.celu_backward, _celu_second)
Selu = _node("Elu", kernels.selu_backward, _selu_second)
Softplus = _node("Softplus", kernels.softplus_backward, _softplus_second)
LogSigmoid = _node("LogSigmoid", kernels.logsigmoid_backward, lambda w, x, p, q: w * (sigmoid(x) * (sigmoid(x) - 1.0)))
Softsign = _node("Softsign", kernels.softsign_backward, lambda w, x, p, q: w * (x.sign() * -2.0 / (x.abs() + 1.0) ** 3))


def _tanhshrink_second(w, x, p, q):
    t = tanh(x)
    return w * (t * (1.0 - t * t) * 2.0)


Tanhshrink = _node("Tanhshrink", kernels.tanhshrink_backward, _tanhshrink_second)


def elu(input, alpha=1.0, inplace=False):
    """x for positive x, else alpha * (e^x - 1) (Clevert et al., 2016).

    Args:
        input: tensor of any shape, of floating point.
        alpha: factor of the negative part.
        inplace: overwrite ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
    """
    return elu_(input, alpha) if inplace else _apply(Elu, kernels.elu_forward, input, float(alpha))


def celu(input, alpha=1.0, inplace=False):
    """x for positive x, else alpha * (e^(x / alpha) - 1) (Barron, 2017).

    Args:
        input: tensor of any shape, of floating point.
        alpha: scale of the negative part, not 0.
        inplace: overwrite ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
        RuntimeError: ``alpha`` is 0.
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return celu_(input, alpha) if inplace else _apply(Celu, kernels.celu_forward, input, float(alpha))


def selu(input, inplace=False):
    """scale * (x for positive x, else alpha * (e^x - 1)), scale = 1.0507..., alpha = 1.6733... (Klambauer
    et al., 2017).

    Args:
        input: tensor of any shape, of floating point.
        inplace: overwrite ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
    """
    return selu_(input) if inplace else _apply(Selu, kernels.selu_forward, input)


def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + e^(beta x)) / beta; x where beta x > threshold.

    Args:
        input: tensor of any shape, of floating point.
        beta: sharpness.
        threshold: above it the function is taken as linear.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
    """
    return _apply(Softplus, kernels.softplus_forward, input, float(beta), float(threshold))


def logsigmoid(input):
    """log(1 / (1 + e^-x)), without overflow.

    Args:
        input: tensor of any shape, of floating point.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
    """
    return _apply(LogSigmoid, kernels.logsigmoid_forward, input)


def softsign(input):
    """x / (1 + |x|).

    Args:
        input: tensor of any shape; integers and bool are computed in the default floating-point dtype.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
    """
    return _apply(Softsign, kernels.softsign_forward, input, integer="float")


def tanhshrink(input):
    """x - tanh(x).

    Args:
        input: tensor of any shape; integers and bool are computed in the default floating-point dtype.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
    """
    return _apply(Tanhshrink, kernels.tanhshrink_forward, input, integer="float")


# ---------------------------------------------------------------------------------------------- self-gated


def _silu_second(w, x, p, q):
    s = sigmoid(x)
    return w * (s * (1.0 - s) * (x * (1.0 - s * 2.0) + 2.0))


def _mish_second(w, x, p, q):
    t, s = tanh(softplus(x)), sigmoid(x)
    return w * ((1.0 - t * t) * s * (x * (1.0 - s - t * s * 2.0) + 2.0))


def _gelu_second(w, x, p, q):
    z = x * x
    return w * ((z * -0.5).exp() * (1.0 / math.sqrt(2.0 * math.pi)) * (2.0 - z))


def _gelu_tanh_second(w, x, p, q):
    k, c = math.sqrt(2.0 / math.pi), 0.044715
    z = x * x
    t = tanh((x + z * x * c) * k)
    slope = (z * (3.0 * c) + 1.0) * k
    d = 1.0 - t * t
    return w * (d * (slope + x * (x * (3.0 * c * k) - t * slope * slope)))


Silu = _node("Silu", kernels.silu_backward, _silu_second)
Mish = _node("Mish", kernels.mish_backward, _mish_second)
Gelu = _node("Gelu", kernels.gelu_backward, _gelu_second)
GeluTanh = _node("Gelu", kernels.gelu_tanh_backward, _gelu_tanh_second)


def silu(input, inplace=False):
    """x * sigmoid(x) (Elfwing et al., 2017; also called swish).

    Args:
        input: tensor of any shape, of floating point.
        inplace: overwrite ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
    """
    return silu_(input) if inplace else _apply(Silu, kernels.silu_forward, input)


def mish(input, inplace=False):
    """x * tanh(log(1 + e^x)) (Misra, 2019).

    Args:
        input: tensor of any shape, of floating point.
        inplace: overwrite ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
    """
    return mish_(input) if inplace else _apply(Mish, kernels.mish_forward, input)


def gelu(input, approximate="none"):
    """x * Phi(x), Phi being the normal distribution function (Hendrycks and Gimpel, 2016).

    Args:
        input: tensor of any shape, of floating point.
        approximate: ``"none"``, or ``"tanh"`` for x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))).

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
        RuntimeError: ``approximate`` is another word.
    """
    if approximate == "none":
        return _apply(Gelu, kernels.gelu_forward, input)
    if approximate == "tanh":
        return _apply(GeluTanh, kernels.gelu_tanh_forward, input)
    raise RuntimeError(f"approximate argument must be either none or tanh, but got {approximate!r}.")


# ---------------------------------------------------------------------------------------------- in place

for _op, _kernel, _made_by in (
    (hardsigmoid, kernels.hardsigmoid_forward, Hardsigmoid),
    (hardswish, kernels.hardswish_forward, Hardswish),
    (selu, kernels.selu_forward, Selu),
    (silu, kernels.silu_forward, Silu),
    (mish, kernels.mish_forward, Mish),
):
    WITHIN[_op] = activation_within(_kernel, _made_by)
_elu_within = activation_within(kernels.elu_forward, Elu)
_hardtanh_limits_within = activation_within(kernels.hardtanh_forward, Hardtanh)
# With a positive slope, the derivative at the result is that at the operand: no copy of it is kept.
_leaky_relu_of_result = activation_within(kernels.leaky_relu_forward, LeakyRelu, "o")


def _leaky_relu_within(self, negative_slope=0.01):
    fits = is_number(negative_slope) and negative_slope > 0
    return fits and _leaky_relu_of_result(self, float(negative_slope))


def _hardtanh_within(self, min_val=-1.0, max_val=1.0):
    fits = is_number(min_val) and is_number(max_val) and min_val <= max_val
    return fits and _hardtanh_limits_within(self, float(min_val), float(max_val))


WITHIN[leaky_relu], WITHIN[hardtanh] = _leaky_relu_within, _hardtanh_within
WITHIN[relu6] = lambda self: _hardtanh_limits_within(self, 0.0, 6.0)
WITHIN[elu] = lambda self, alpha=1.0: is_number(alpha) and _elu_within(self, float(alpha))

leaky_relu_ = inplace(leaky_relu)
threshold_ = inplace(threshold)
hardtanh_ = inplace(hardtanh)
relu6_ = inplace(relu6)
hardsigmoid_ = inplace(hardsigmoid)
hardswish_ = inplace(hardswish)
elu_ = inplace(elu)
celu_ = inplace(celu)
selu_ = inplace(selu)
silu_ = inplace(silu)
mish_ = inplace(mish)
sigmoid_ = inplace(sigmoid)
tanh_ = inplace(tanh)

# ---------------------------------------------------------------------------------------------- prelu, rrelu


class PreluKernel(Rule):
    """Operands: the input and the weight, shaped so that it broadcasts along the channels."""

    __slots__ = ()
    uses_a, uses_b = "ab", "a"

    def da(self, g, a, b, out):
        if mode.grad:
            return where(a > 0, g, g * b)
        return wrap(run3(kernels.prelu_backward, g._data, a._data, b._data))

    def db(self, g, a, b, out):
        if mode.grad:
            return where(a > 0, 0.0, g * a)
        return wrap(run2(kernels.prelu_backward_weight, g._data, a._data))


@half_as_float32(autocast="lower", alike=True)
def prelu(input, weight):
    """x for positive x, else weight * x, with a learned weight for all or for each channel (He et al., 2015).

    Args:
        input: tensor of floating point; its dimension 1 are the channels (dimension 0 has none).
        weight: tensor of one element, or of one for each channel; the same dtype.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` or ``weight`` is not a tensor.
        NotImplementedError: they are not of floating point.
        RuntimeError: the dtypes differ, ``weight`` has several dimensions, or its size and the number of channels
            differ.
    """
    check_tensor("prelu", "input", input, 1)
    check_tensor("prelu", "weight", weight, 2)
    x, w = input._data, weight._data
    if x.dtype != w.dtype:
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {input.dtype.torch_name} and {weight.dtype.torch_name}"
        )
    if input.dtype.kind < 2:
        raise NotImplementedError(f"\"prelu\" not implemented for '{input.dtype.torch_name}'")
    if w.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {w.ndim}")
    if w.size != 1:
        if x.ndim == 0:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = x.shape[1] if x.ndim > 1 else 1
        if w.size != channels:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {w.size} and channel "
                f"size = {channels}."
            )
    shape = [1] * x.ndim
    if x.ndim > 1:
        shape[1] = w.size
    weight = weight.reshape(shape)
    result = wrap(run2(kernels.prelu_forward, x, weight._data))
    if recording(input, weight):
        PreluKernel(input, weight).record(input, weight, result)
    return result


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """x for positive x, else a * x: a is drawn from [lower, upper) for each element in training, and their mean
    otherwise (Xu et al., 2015).

    Args:
        input: tensor of any shape, of floating point.
        lower, upper: bounds of the slope.
        training: draw slopes.
        inplace: overwrite ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
        RuntimeError: ``lower`` is larger than ``upper``.
    """
    if inplace:
        return rrelu_(input, lower, upper, training)
    check_tensor("rrelu", "input", input, 1)
    if lower > upper:
        raise RuntimeError(f"Lower bound should be less than or equal to the upper bound, but got {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    if input.dtype.kind < 2:
        raise NotImplementedError(f"\"rrelu_with_noise_out_cpu\" not implemented for '{input.dtype.torch_name}'")
    kind = input._data.dtype
    x = convert(dense(input), F32) if kind in HALF else dense(input)
    slopes = empty(x.shape, x.dtype)
    slopes_forward(current_generator()._state, x.ravel(), slopes.ravel(), float(lower), float(upper))
    return input * wrap(convert(slopes, kind) if kind in HALF else slopes)


rrelu_ = inplace(rrelu)
