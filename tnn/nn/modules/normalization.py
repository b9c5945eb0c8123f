"""Layer, RMS, group, instance and local response normalization layers."""

from numbers import Integral

from ...ops import creation
from ...ops import normalization as ops
from .. import init
from ..parameter import Parameter
from .batchnorm import _LazyNormBase, _NormBase
from .module import Module, weight_and_bias


def _shape(value):
    return (value,) if isinstance(value, Integral) else tuple(value)


class LayerNorm(Module):
    """Normalizes over the last dimensions: ``y = (x - mean) / sqrt(var + eps) * weight + bias``.

    Args:
        normalized_shape: an int or the sizes of those dimensions.
        eps: added to the (biased) variance.
        elementwise_affine: have a learnable weight and bias of that shape.
        bias: with ``elementwise_affine``, have a bias.
        device: the CPU.
        dtype: of the parameters.

    Shape:
        (*, normalized_shape), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: it does not end in ``normalized_shape``, or a dtype does not fit.

    J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization" (2016).

    >>> import tnn
    >>> tnn.nn.LayerNorm(4)(tnn.randn(2, 3, 4)).shape
    tnn.Size([2, 3, 4])
    """

    __constants__ = ["normalized_shape", "eps", "elementwise_affine"]

    def __init__(
        self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None, dtype=None
    ):  # fmt: skip
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        for name, wanted in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            value = Parameter(creation.empty(self.normalized_shape, device=device, dtype=dtype)) if wanted else None
            self.register_parameter(name, value)
        self.reset_parameters()

    def reset_parameters(self):
        """Sets the weight to 1 and the bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input):
        return ops.layer_norm(input, self.normalized_shape, *weight_and_bias(self), self.eps)

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """Divides by the root mean square over the last dimensions: ``y = x / sqrt(mean(x^2) + eps) * weight``.

    Args:
        normalized_shape: an int or the sizes of those dimensions.
        eps: None is the machine epsilon of the input's dtype.
        elementwise_affine: have a learnable weight of that shape.
        device: the CPU.
        dtype: of the parameters.

    Shape:
        (*, normalized_shape), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: it does not end in ``normalized_shape``, or a dtype does not fit.

    B. Zhang and R. Sennrich, "Root mean square layer normalization" (2019).
    """

    __constants__ = ["normalized_shape", "eps", "elementwise_affine"]

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        if elementwise_affine:
            self.weight = Parameter(creation.empty(self.normalized_shape, device=device, dtype=dtype))
        else:
            self.register_parameter("weight", None)
        self.reset_parameters()

    def reset_parameters(self):
        """Sets the weight to 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input):
        return ops.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Normalizes groups of channels in each sample: ``y = (x - mean) / sqrt(var + eps) * weight + bias``.

    Args:
        num_groups: groups that the channels are divided into.
        num_channels: C, a multiple of num_groups.
        eps: added to the (biased) variance.
        affine: have a learnable weight and bias for each channel.
        bias: with ``affine``, have a bias.
        device: the CPU.
        dtype: of the parameters.

    Shape:
        (N, C, ...), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: C is not a multiple of num_groups, or a group has a single value.
        RuntimeError: another number of channels, or a dtype that does not fit.

    Y. Wu and K. He, "Group normalization" (2018).
    """

    __constants__ = ["num_groups", "num_channels", "eps", "affine"]

    def __init__(
        self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None, *, bias=True
    ):  # fmt: skip
        super().__init__()
        if num_groups <= 0:
            raise ValueError(f"num_groups must be positive, got {num_groups}")
        if num_channels % num_groups != 0:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            value = Parameter(creation.empty(num_channels, device=device, dtype=dtype)) if wanted else None
            self.register_parameter(name, value)
        self.reset_parameters()

    def reset_parameters(self):
        """Sets the weight to 1 and the bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input):
        return ops.group_norm(input, self.num_groups, *weight_and_bias(self), self.eps)

    def extra_repr(self):
        bias = self.bias is not None
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={bias}"


class _InstanceNorm(_NormBase):
    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False, device=None, dtype=None, *,
        bias=True,
    ):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _get_no_batch_dim(self):
        raise NotImplementedError

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):  # fmt: skip
        version = local_metadata.get("version", None)
        if version is None and not self.track_running_stats:
            for name in ("running_mean", "running_var"):
                if prefix + name in state_dict:
                    error_msgs.append(
                        f"Unexpected buffer {prefix + name} in state_dict: {type(self).__name__} keeps no running "
                        "statistics "
                        "unless track_running_stats=True"
                    )
                    del state_dict[prefix + name]
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def forward(self, input):
        self._check_input_dim(input)
        feature_dim = input.dim() - self._get_no_batch_dim()
        if input.size(feature_dim) != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={feature_dim} to match num_features ({self.num_features}), but got: "
                    f"{input.shape[feature_dim]}."
                )
        batched = input if feature_dim else input.unsqueeze(0)
        out = ops.instance_norm(
            batched, *self._running(), *weight_and_bias(self),
            self.training or not self.track_running_stats, 0.0 if self.momentum is None else self.momentum, self.eps,
        )  # fmt: skip
        return out if feature_dim else out.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """Normalizes each channel of each sample: ``y = (x - mean) / sqrt(var + eps) * weight + bias``.

    Args:
        num_features: C.
        eps: added to the (biased) variance.
        momentum: weight of the newest batch in the running statistics.
        affine: have a learnable weight and bias for each channel.
        track_running_stats: keep running statistics, for use in evaluation.
        device: the CPU.
        dtype: of the parameters and statistics.
        bias: with ``affine``, have a bias.

    Shape:
        (N, C, L) or (C, L), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: another number of dimensions or (with ``affine``) of channels, or a single position.

    D. Ulyanov, A. Vedaldi and V. Lempitsky, "Instance normalization" (2016).
    """

    def _get_no_batch_dim(self):
        return 2

    def _check_input_dim(self, input):
        if input.dim() not in (2, 3):
            raise ValueError(f"expected 2D or 3D input (got {input.dim()}D input)")


class InstanceNorm2d(_InstanceNorm):
    """Normalizes each channel of each sample of images: ``y = (x - mean) / sqrt(var + eps) * weight + bias``; see
    :class:`InstanceNorm1d`.

    Args:
        num_features: C.
        eps: added to the (biased) variance.
        momentum: weight of the newest batch in the running statistics.
        affine: have a learnable weight and bias for each channel.
        track_running_stats: keep running statistics, for use in evaluation.
        device: the CPU.
        dtype: of the parameters and statistics.
        bias: with ``affine``, have a bias.

    Shape:
        (N, C, H, W) or (C, H, W), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: another number of dimensions or (with ``affine``) of channels, or a single position.
    """

    def _get_no_batch_dim(self):
        return 3

    def _check_input_dim(self, input):
        if input.dim() not in (3, 4):
            raise ValueError(f"expected 3D or 4D input (got {input.dim()}D input)")


class InstanceNorm3d(_InstanceNorm):
    """Normalizes each channel of each sample of volumes: ``y = (x - mean) / sqrt(var + eps) * weight + bias``; see
    :class:`InstanceNorm1d`.

    Args:
        num_features: C.
        eps: added to the (biased) variance.
        momentum: weight of the newest batch in the running statistics.
        affine: have a learnable weight and bias for each channel.
        track_running_stats: keep running statistics, for use in evaluation.
        device: the CPU.
        dtype: of the parameters and statistics.
        bias: with ``affine``, have a bias.

    Shape:
        (N, C, D, H, W) or (C, D, H, W), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: another number of dimensions or (with ``affine``) of channels, or a single position.
    """

    def _get_no_batch_dim(self):
        return 4

    def _check_input_dim(self, input):
        if input.dim() not in (4, 5):
            raise ValueError(f"expected 4D or 5D input (got {input.dim()}D input)")


class _LazyInstanceNorm(_LazyNormBase, _InstanceNorm):
    def initialize_parameters(self, input):
        """Takes the number of features from the input."""
        if self.has_uninitialized_params() or self.num_features == 0:
            dim = input.dim() - self._get_no_batch_dim()
            super().initialize_parameters(input if dim == 1 else input.unsqueeze(0))
            self.num_features = input.shape[dim]


class LazyInstanceNorm1d(_LazyInstanceNorm):
    """An :class:`InstanceNorm1d` that takes ``num_features`` from its first input.

    Unlike there, ``affine`` and ``track_running_stats`` are True by default.

    Args:
        eps: added to the (biased) variance.
        momentum: weight of the newest batch in the running statistics.
        affine: have a learnable weight and bias for each channel.
        track_running_stats: keep running statistics, for use in evaluation.
        device: the CPU.
        dtype: of the parameters and statistics.
        bias: with ``affine``, have a bias.

    Shape:
        (N, C, L) or (C, L), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: another number of dimensions or (with ``affine``) of channels, or a single position.
    """

    cls_to_become = InstanceNorm1d
    _get_no_batch_dim = InstanceNorm1d._get_no_batch_dim
    _check_input_dim = InstanceNorm1d._check_input_dim


class LazyInstanceNorm2d(_LazyInstanceNorm):
    """An :class:`InstanceNorm2d` that takes ``num_features`` from its first input.

    Args:
        eps: added to the (biased) variance.
        momentum: weight of the newest batch in the running statistics.
        affine: have a learnable weight and bias for each channel.
        track_running_stats: keep running statistics, for use in evaluation.
        device: the CPU.
        dtype: of the parameters and statistics.
        bias: with ``affine``, have a bias.

    Shape:
        (N, C, H, W) or (C, H, W), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: another number of dimensions or (with ``affine``) of channels, or a single position.
    """

    cls_to_become = InstanceNorm2d
    _get_no_batch_dim = InstanceNorm2d._get_no_batch_dim
    _check_input_dim = InstanceNorm2d._check_input_dim


class LazyInstanceNorm3d(_LazyInstanceNorm):
    """An :class:`InstanceNorm3d` that takes ``num_features`` from its first input.

    Args:
        eps: added to the (biased) variance.
        momentum: weight of the newest batch in the running statistics.
        affine: have a learnable weight and bias for each channel.
        track_running_stats: keep running statistics, for use in evaluation.
        device: the CPU.
        dtype: of the parameters and statistics.
        bias: with ``affine``, have a bias.

    Shape:
        (N, C, D, H, W) or (C, D, H, W), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: another number of dimensions or (with ``affine``) of channels, or a single position.
    """

    cls_to_become = InstanceNorm3d
    _get_no_batch_dim = InstanceNorm3d._get_no_batch_dim
    _check_input_dim = InstanceNorm3d._check_input_dim


class LocalResponseNorm(Module):
    """Divides by a power of the energy of neighbouring channels: ``y_c = x_c (k + alpha / size sum_j x_j^2) ** -beta``.

    Args:
        size: channels that the sum goes over, from ``c - size // 2`` on.
        alpha, beta, k: numbers.

    Shape:
        (N, C, ...), at least 3-D, floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: fewer than 3 dimensions, or ``size`` is not positive.

    A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet classification with deep convolutional neural networks" (2012).
    """

    __constants__ = ["size", "alpha", "beta", "k"]

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input):
        return ops.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(Module):
    """Local response normalization of images in its older form, ``y_c = x_c (k + alpha / size sum_j x_j^2) ** -beta``;
    see :func:`tnn.ops.normalization.cross_map_lrn2d`.

    Args:
        size: channels that the sum goes over.
        alpha, beta, k: numbers.

    Shape:
        (N, C, H, W), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: another number of dimensions.
    """

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1):
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input):
        return ops.cross_map_lrn2d(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
