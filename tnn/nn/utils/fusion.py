"""Batch normalisation in evaluation mode folded into the layer before it."""

import copy

from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def _check(layer, bn):
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")


def _fold(w, b, mean, var, eps, bn_w, bn_b, shape):
    """w * s and (b - mean) * s + bn_b, s = bn_w / sqrt(var + eps), as Parameters; None stands for no affine part."""
    wants = b.requires_grad if b is not None else False
    b_dtype = (w if b is None else b).dtype
    scale = (var + eps).rsqrt()
    if bn_w is not None:
        scale = scale * bn_w
    shift = (-mean if b is None else b - mean) * scale
    if bn_b is not None:
        shift = shift + bn_b
    weight = (w * scale.reshape(shape)).to(w.dtype)
    return Parameter(weight, w.requires_grad), Parameter(shift.to(b_dtype), wants)


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    """Weight and bias of a convolution that has the batch normalisation in it.

    Args:
        conv_w: the convolution's weight.
        conv_b: its bias or None.
        bn_rm, bn_rv: running mean and variance.
        bn_eps: what is added to the variance.
        bn_w, bn_b: the affine part, or None.
        transpose: the convolution is a transposed one: its output channels are dimension 1.

    Returns:
        Two Parameters.
    """
    ones = [1] * (conv_w.dim() - 2)
    shape = [1, -1, *ones] if transpose else [-1, 1, *ones]
    return _fold(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, shape)


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """A convolution that does what ``conv`` and then ``bn`` do, both in evaluation mode.

    Args:
        conv: a convolution.
        bn: the batch normalisation after it.
        transpose: ``conv`` is a transposed convolution.

    Raises:
        AssertionError: one of the two is in training mode, or ``bn`` has no running statistics.
    """
    _check(conv, bn)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """Weight and bias of a linear layer that has the batch normalisation in it: ``w g / sqrt(var + eps)`` and ``(b -
    mean) g / sqrt(var + eps) + b_bn``.

    Args:
        linear_w, linear_b: the layer's weight, and its bias or None.
        bn_rm, bn_rv: running mean and variance.
        bn_eps: what is added to the variance.
        bn_w, bn_b: the affine part, or None.

    Returns:
        Two Parameters.
    """
    return _fold(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, [-1, 1])


def fuse_linear_bn_eval(linear, bn):
    """A linear layer that does what ``linear`` and then ``bn`` do, both in evaluation mode.

    Args:
        linear: a Linear.
        bn: a batch normalization.

    Raises:
        AssertionError: one of the two is in training mode, ``bn`` has no running statistics, or its number of features
            is neither 1 nor that of the layer's outputs.
    """
    _check(linear, bn)
    if bn.num_features not in (1, linear.out_features):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got "
            f"linear.out_features={linear.out_features} and bn.num_features={bn.num_features}"
        )
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused
