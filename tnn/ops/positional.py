"""Functions that PyTorch has a second time outside ``nn.functional``, with arguments by position.

Equations, shapes and errors are those of the function that each one names.
"""

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
    """As ``nn.functional.layer_norm``; ``cudnn_enable`` is accepted."""
    return normalization.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5, cudnn_enabled=True):
    """As ``nn.functional.group_norm``; ``cudnn_enabled`` is accepted."""
    return normalization.group_norm(input, num_groups, weight, bias, eps)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """As ``nn.functional.rms_norm``."""
    return normalization.rms_norm(input, normalized_shape, weight, eps)


def batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled=False):
    """As ``nn.functional.batch_norm``, in another order of arguments; ``cudnn_enabled`` is accepted."""
    return batchnorm.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled=False
):  # fmt: skip
    """As ``nn.functional.instance_norm``, in another order of arguments; ``cudnn_enabled`` is accepted."""
    return normalization.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def dropout(input, p, train):
    """As ``nn.functional.dropout``."""
    return _dropout.dropout(input, p, train)


def alpha_dropout(input, p, train):
    """As ``nn.functional.alpha_dropout``."""
    return _dropout.alpha_dropout(input, p, train)


def feature_alpha_dropout(input, p, train):
    """As ``nn.functional.feature_alpha_dropout``."""
    return _dropout.feature_alpha_dropout(input, p, train)


def feature_dropout(input, p, train):
    """Zeroes whole channels: as ``nn.functional.dropout2d`` for inputs of two dimensions and more.

    Raises:
        RuntimeError: the input has fewer than two dimensions.
    """
    check_tensor("feature_dropout", "input", input, 1)
    if input.ndim < 2:
        raise RuntimeError(f"Feature dropout requires at least 2 dimensions in the input, got {input.ndim}")
    return _dropout.dropout2d(input.reshape(*input.shape[:2], 1, -1), p, train).reshape(input.shape)


dropout_ = inplace(dropout)
alpha_dropout_ = inplace(alpha_dropout)
feature_alpha_dropout_ = inplace(feature_alpha_dropout)
feature_dropout_ = inplace(feature_dropout)


def kl_div(input, target, reduction=1, *, log_target=False):
    """As ``nn.functional.kl_div``; ``reduction`` is 0 (none), 1 (mean) or 2 (sum)."""
    return loss.kl_div(input, target, reduction=_reduction("kl_div", reduction), log_target=log_target)


def poisson_nll_loss(input, target, log_input, full, eps, reduction):
    """As ``nn.functional.poisson_nll_loss``; ``reduction`` is 0 (none), 1 (mean) or 2 (sum)."""
    reduction = _reduction("poisson_nll_loss", reduction)
    return loss.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, reduction=1):
    """As ``nn.functional.binary_cross_entropy_with_logits``; ``reduction`` is 0 (none), 1 (mean) or 2 (sum)."""
    reduction = _reduction("binary_cross_entropy_with_logits", reduction)
    return loss.binary_cross_entropy_with_logits(input, target, weight, reduction=reduction, pos_weight=pos_weight)


def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners):
    """As ``nn.functional.grid_sample``; modes 0 bilinear, 1 nearest, 2 bicubic, padding 0 zeros, 1 border,
    2 reflection.

    Raises:
        ValueError: another number.
    """
    if interpolation_mode not in (0, 1, 2) or padding_mode not in (0, 1, 2):
        raise ValueError(
            f"grid_sampler: expected modes from 0 to 2, got interpolation {interpolation_mode!r}, padding "
            f"{padding_mode!r}"
        )
    return grid_sample.grid_sample(input, grid, _MODES[interpolation_mode], _PADS[padding_mode], align_corners)


grid_sampler_2d = grid_sampler_3d = grid_sampler


def affine_grid_generator(theta, size, align_corners):
    """As ``nn.functional.affine_grid``."""
    return grid_sample.affine_grid(theta, size, align_corners)


def constant_pad_nd(input, pad, value=0):
    """As ``nn.functional.pad`` with mode 'constant'."""
    return _padding.pad(input, pad, "constant", value)


def convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    """As ``nn.functional.conv1d`` to ``conv3d``, by the input's dimensions, or ``conv_transpose1d`` to ``3d``.

    Raises:
        RuntimeError: the input has not 3 to 5 dimensions.
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
    """The norms over all dimensions but ``dim`` (all of them for -1), with the others kept as size 1.

    Raises:
        IndexError: no such dimension.
    """
    check_tensor("norm_except_dim", "v", v, 1)
    if dim == -1:
        return v.norm(pow)
    shape = [1] * v.ndim
    shape[dim] = v.shape[dim]
    return v.transpose(0, dim).reshape(v.shape[dim], -1).norm(pow, 1).reshape(shape)


def frobenius_norm(input, dim=(), keepdim=False):
    """The square root of the sum of squares over ``dim`` (all by default); ``linalg.vector_norm`` is the newer name."""
    check_tensor("frobenius_norm", "input", input, 1)
    dim = (dim,) if isinstance(dim, int) else tuple(dim)
    return input.norm(2.0, dim or tuple(range(input.ndim)), keepdim)


def nuclear_norm(input, dim=(-2, -1), keepdim=False):
    """The sum of the singular values of matrices; ``linalg.matrix_norm(x, 'nuc')`` is the newer name."""
    from .. import linalg

    return linalg.matrix_norm(input, "nuc", tuple(dim), keepdim)
