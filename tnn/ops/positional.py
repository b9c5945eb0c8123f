"""Functions that PyTorch has a second time outside ``nn.functional``, with arguments by position.

Equations, shapes and errors are those of the function that each one names.
"""

import math

from . import batchnorm, grid_sample, loss, normalization
from . import conv as _conv
from . import conv_transpose as _transpose
from . import dropout as _dropout
from . import padding as _padding
from ._common import check_tensor, inplace

_REDUCTIONS = ("none", "mean", "sum")
_MODES, _PADS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def _reduction(function, number):
    if number not in (0, 1, 2):
        raise ValueError(f"{function}: expected reduction 0 (none), 1 (mean) or 2 (sum), got {number!r}")
    return _REDUCTIONS[number]


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5, cudnn_enable=True):
    """``y = (x - mean) / sqrt(var + eps) * weight + bias`` over the last dimensions: as ``nn.functional.layer_norm``.

    Args:
        input: tensor of a floating-point dtype.
        normalized_shape: a tuple of the sizes of those dimensions.
        weight, bias: tensors of that shape, or None.
        eps: is added to the variance.
        cudnn_enable: accepted.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: shapes or dtypes do not fit.
    """
    return normalization.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5, cudnn_enabled=True):
    """``y = (x - mean) / sqrt(var + eps) * weight + bias`` over groups of channels: as ``nn.functional.group_norm``.

    Args:
        input: (N, C, ...), floating point.
        num_groups: groups that the channels are divided into.
        weight, bias: of (C,), or None.
        eps: is added to the variance.
        cudnn_enabled: accepted.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: a group has a single value.
        RuntimeError: shapes or dtypes do not fit.
    """
    return normalization.group_norm(input, num_groups, weight, bias, eps)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """``y = x / sqrt(mean(x^2) + eps) * weight`` over the last dimensions: as ``nn.functional.rms_norm``.

    Args:
        input: tensor of a floating-point dtype.
        normalized_shape: a tuple of the sizes of those dimensions.
        weight: a tensor of that shape, or None.
        eps: None is the machine epsilon of the input's dtype.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: shapes or dtypes do not fit.
    """
    return normalization.rms_norm(input, normalized_shape, weight, eps)


def batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled=False):
    """``y = (x - mean) / sqrt(var + eps) * weight + bias`` for each channel: as ``nn.functional.batch_norm``, in
    another order of arguments.

    Args:
        input: (N, C, ...), floating point.
        weight, bias: of (C,), or None.
        running_mean, running_var: of (C,), or None in training.
        training: take the statistics of the batch.
        momentum: share of the new statistics in the running ones.
        eps: is added to the variance.
        cudnn_enabled: accepted.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: training with one value for each channel, or eps out of range.
        RuntimeError: shapes or dtypes do not fit.
    """
    return batchnorm.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled=False
):  # fmt: skip
    """``y = (x - mean) / sqrt(var + eps) * weight + bias`` for each channel of each sample: as
    ``nn.functional.instance_norm``, in another order of arguments.

    Args:
        input: (N, C, ...), floating point.
        weight, bias: of (C,), or None.
        running_mean, running_var: of (C,), or None.
        use_input_stats: take the statistics of the input.
        momentum: share of the new statistics in the running ones.
        eps: is added to the variance.
        cudnn_enabled: accepted.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: a channel has a single position.
        RuntimeError: shapes or dtypes do not fit.
    """
    return normalization.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def dropout(input, p, train):
    """``y_i = x_i m_i / (1 - p)``, m_i = 1 with probability 1 - p, else 0: as ``nn.functional.dropout``.

    Args:
        input: tensor of a floating-point dtype.
        p: probability of an element to be dropped.
        train: without it, the input is returned.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: p is not within [0, 1].
        RuntimeError: the input holds integers.
    """
    return _dropout.dropout(input, p, train)


def alpha_dropout(input, p, train):
    """Dropout that keeps mean 0 and variance 1: as ``nn.functional.alpha_dropout``, which gives the equation.

    Args:
        input: tensor of a floating-point dtype.
        p: probability of an element to be dropped.
        train: without it, the input is returned.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: p is not within [0, 1].
        RuntimeError: the input holds integers.
    """
    return _dropout.alpha_dropout(input, p, train)


def feature_alpha_dropout(input, p, train):
    """Alpha dropout of whole features: as ``nn.functional.feature_alpha_dropout``.

    Args:
        input: (N, C, ...), floating point.
        p: probability of a feature to be dropped.
        train: without it, the input is returned.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: p is not within [0, 1].
        RuntimeError: the input holds integers, or has fewer than two dimensions.
    """
    return _dropout.feature_alpha_dropout(input, p, train)


def feature_dropout(input, p, train):
    """``y_nc = x_nc m_nc / (1 - p)``: zeroes whole channels, as ``nn.functional.dropout2d``, for inputs of two
    dimensions and more.

    Args:
        input: (N, C, ...), floating point.
        p: probability of a channel to be dropped.
        train: without it, the input is returned.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: p is not within [0, 1].
        RuntimeError: the input holds integers, or has fewer than two dimensions.
    """
    check_tensor("feature_dropout", "input", input, 1)
    if input.ndim < 2:
        raise RuntimeError(f"Feature dropout requires at least 2 dimensions in the input, got {input.ndim}")
    shape = (*input.shape[:2], 1, math.prod(input.shape[2:]))
    return _dropout.dropout2d(input.reshape(shape), p, train).reshape(input.shape)


dropout_ = inplace(dropout)
alpha_dropout_ = inplace(alpha_dropout)
feature_alpha_dropout_ = inplace(feature_alpha_dropout)
feature_dropout_ = inplace(feature_dropout)


def kl_div(input, target, reduction=1, *, log_target=False):
    """``t (log t - x)`` for log-probabilities x: as ``nn.functional.kl_div``.

    Args:
        input: log-probabilities, floating point.
        target: probabilities, of the input's shape.
        reduction: 0 (none), 1 (mean) or 2 (sum).
        log_target: the target holds log-probabilities.

    Shape:
        (), or that of ``input`` without a reduction.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit.
    """
    return loss.kl_div(input, target, reduction=_reduction("kl_div", reduction), log_target=log_target)


def poisson_nll_loss(input, target, log_input, full, eps, reduction):
    """``exp(x) - t x``, or ``x - t log(x + eps)``: as ``nn.functional.poisson_nll_loss``.

    Args:
        input: rates x or their logarithms, floating point.
        target: counts t, of the input's shape.
        log_input: x is the logarithm of the rate.
        full: add Stirling's term.
        eps: keeps the logarithm finite.
        reduction: 0 (none), 1 (mean) or 2 (sum).

    Shape:
        (), or that of ``input`` without a reduction.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit.
    """
    reduction = _reduction("poisson_nll_loss", reduction)
    return loss.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, reduction=1):
    """``(1 - t) x + softplus(-x)``: as ``nn.functional.binary_cross_entropy_with_logits``.

    Args:
        input, target: floating-point tensors of one shape.
        weight: a factor for each element, broadcast.
        pos_weight: a factor for the positive part, broadcast.
        reduction: 0 (none), 1 (mean) or 2 (sum).

    Shape:
        (), or that of ``input`` without a reduction.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: the shapes differ, or another reduction.
        RuntimeError: a weight does not broadcast.
    """
    reduction = _reduction("binary_cross_entropy_with_logits", reduction)
    return loss.binary_cross_entropy_with_logits(input, target, weight, reduction=reduction, pos_weight=pos_weight)


def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners):
    """The input read at the grid's places: as ``nn.functional.grid_sample``, with numbers for names.

    Args:
        input: (N, C, H, W) or (N, C, D, H, W), floating point.
        grid: (N, H', W', 2) or (N, D', H', W', 3), within [-1, 1].
        interpolation_mode: 0 bilinear, 1 nearest, 2 bicubic.
        padding_mode: 0 zeros, 1 border, 2 reflection.
        align_corners: whether -1 and 1 are the corner elements' middles.

    Shape:
        output (N, C, H', W') or (N, C, D', H', W').

    Raises:
        TypeError: ``input`` or ``grid`` is not a tensor.
        ValueError: another number.
        RuntimeError: shapes or dtypes do not fit.
    """
    if interpolation_mode not in (0, 1, 2) or padding_mode not in (0, 1, 2):
        raise ValueError(
            f"grid_sampler: expected modes from 0 to 2, got interpolation {interpolation_mode!r}, padding "
            f"{padding_mode!r}"
        )
    return grid_sample.grid_sample(input, grid, _MODES[interpolation_mode], _PADS[padding_mode], align_corners)


grid_sampler_2d = grid_sampler_3d = grid_sampler


def affine_grid_generator(theta, size, align_corners):
    """The places ``theta (x, y, 1)^T`` of a grid: as ``nn.functional.affine_grid``.

    Args:
        theta: (N, 2, 3) or (N, 3, 4), floating point.
        size: (N, C, H, W) or (N, C, D, H, W) of the image to be.
        align_corners: whether -1 and 1 are the corner elements' middles.

    Shape:
        output (N, H, W, 2) or (N, D, H, W, 3).

    Raises:
        TypeError: ``theta`` is not a tensor.
        ValueError: its dtype is not a floating-point one, or ``size`` does not fit.
        NotImplementedError: ``size`` is of neither length.
    """
    return grid_sample.affine_grid(theta, size, align_corners)


def constant_pad_nd(input, pad, value=0):
    """The input with a margin of one value: as ``nn.functional.pad`` with mode 'constant'.

    Args:
        input: tensor of any dtype.
        pad: two numbers for each dimension, from the last on; negative ones cut.
        value: a number.

    Shape:
        that of ``input`` with the margins added.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``pad`` does not fit.
    """
    return _padding.pad(input, pad, "constant", value)


def convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    """Cross-correlation, or its transpose: as ``nn.functional.conv1d`` to ``conv3d`` by the input's dimensions, or
    ``conv_transpose1d`` to ``3d``.

    Args:
        input: (N, C, ...) of 3 to 5 dimensions, floating point.
        weight: the kernel, of the input's dtype.
        bias: (C_out,), or None.
        stride, padding, dilation: an int or a tuple.
        transposed: the transpose.
        output_padding: size added at one side; for the transpose.
        groups: groups of channels.

    Shape:
        as those functions say.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: the input has not 3 to 5 dimensions, or shapes or dtypes do not fit.
    """
    check_tensor("convolution", "input", input, 1)
    if input.ndim not in (3, 4, 5):
        raise RuntimeError(f"convolution: expected input of 3 to 5 dimensions, got {list(input.shape)}")
    nd = input.ndim - 2
    if transposed:
        function = getattr(_transpose, f"conv_transpose{nd}d")
        return function(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return getattr(_conv, f"conv{nd}d")(input, weight, bias, stride, padding, dilation, groups)


def norm_except_dim(v, pow=2, dim=0):
    """``(sum |v|^pow)^(1 / pow)`` over all dimensions but ``dim`` (all of them for -1), with the others kept as size 1.

    Args:
        v: tensor of a floating-point dtype.
        pow: the norm's degree.
        dim: the dimension that stays.

    Shape:
        (1, ..., d, ..., 1), or () for -1.

    Raises:
        TypeError: ``v`` is not a tensor.
        IndexError: no such dimension.
    """
    check_tensor("norm_except_dim", "v", v, 1)
    if dim == -1:
        return v.norm(pow)
    shape = [1] * v.ndim
    shape[dim] = v.shape[dim]
    return v.transpose(0, dim).reshape(v.shape[dim], -1).norm(pow, 1).reshape(shape)


def frobenius_norm(input, dim=(), keepdim=False):
    """The square root of the sum of squares over ``dim`` (all by default); ``linalg.vector_norm`` is the newer name.

    Args:
        input: tensor of a floating-point dtype.
        dim: a dimension or a tuple of them.
        keepdim: keep the dimensions with size 1.

    Shape:
        that of ``input`` without the dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: the dtype is not a floating-point one.
    """
    check_tensor("frobenius_norm", "input", input, 1)
    dim = (dim,) if isinstance(dim, int) else tuple(dim)
    return input.norm(2.0, dim or tuple(range(input.ndim)), keepdim)


def nuclear_norm(input, dim=(-2, -1), keepdim=False):
    """The sum of the singular values of matrices; ``linalg.matrix_norm(x, 'nuc')`` is the newer name.

    Args:
        input: tensor of at least two dimensions, float32 or float64.
        dim: the two dimensions of the matrices.
        keepdim: keep the dimensions with size 1.

    Shape:
        that of ``input`` without the two dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: the shape or the dtype does not fit.
    """
    from .. import linalg

    return linalg.matrix_norm(input, "nuc", tuple(dim), keepdim)
