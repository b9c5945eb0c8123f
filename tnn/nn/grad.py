"""The gradients of convolutions as functions: of the input from its size, of the weight from its size."""

from ..autograd import enable_grad
from ..autograd import grad as gradient
from ..ops import conv, creation

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]


def _gradients(dimensions):
    convolve = getattr(conv, f"conv{dimensions}d")

    def of_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
        with enable_grad():
            # convolution is linear: the gradient is the same at any input
            x = creation.zeros(*input_size, dtype=grad_output.dtype, requires_grad=True)
            y = convolve(x, weight.detach(), None, stride, padding, dilation, groups)
        return gradient(y, x, grad_output)[0]

    def of_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
        with enable_grad():
            w = creation.zeros(*weight_size, dtype=grad_output.dtype, requires_grad=True)
            y = convolve(input.detach(), w, None, stride, padding, dilation, groups)
        return gradient(y, w, grad_output)[0]

    for function, what, given in ((of_input, "input", "input_size"), (of_weight, "weight", "weight_size")):
        function.__name__ = function.__qualname__ = f"conv{dimensions}d_{what}"
        function.__doc__ = f"The gradient of conv{dimensions}d's {what}, of size ``{given}``, from that of its output."
    return of_input, of_weight


conv1d_input, conv1d_weight = _gradients(1)
conv2d_input, conv2d_weight = _gradients(2)
conv3d_input, conv3d_weight = _gradients(3)
