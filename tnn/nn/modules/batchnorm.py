"""Batch normalization layers, and the state that instance normalization shares with them."""

from ... import dtypes
from ...ops import creation
from ...ops.batchnorm import batch_norm, count_batch
from .. import init
from ..parameter import Parameter, UninitializedBuffer, UninitializedParameter
from .lazy import LazyModuleMixin
from .module import Module, weight_and_bias


class _NormBase(Module):
    """Parameters and running statistics of batch and instance normalization."""

    _version = 2
    __constants__ = ["track_running_stats", "momentum", "eps", "num_features", "affine"]

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *,
        bias=True,
    ):  # fmt: skip
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._allocate(num_features, device, dtype, bias)
        self.reset_parameters()

    def _allocate(self, n, device, dtype, bias):
        options = {"device": device, "dtype": dtype}
        if self.affine:
            self.weight = Parameter(creation.empty(n, **options))
            if bias:
                self.bias = Parameter(creation.empty(n, **options))
            else:
                self.register_parameter("bias", None)
        else:
            self.register_parameter("weight", None)
            self.register_parameter("bias", None)
        if self.track_running_stats:
            self.register_buffer("running_mean", creation.zeros(n, **options))
            self.register_buffer("running_var", creation.ones(n, **options))
            self.register_buffer("num_batches_tracked", creation.zeros((), dtype=dtypes.int64))
        else:
            self.register_buffer("running_mean", None)
            self.register_buffer("running_var", None)
            self.register_buffer("num_batches_tracked", None)

    def _running(self):
        """The running mean and variance: as :func:`weight_and_bias`."""
        own = self._buffers
        if "running_mean" in own and "running_var" in own:
            return own["running_mean"], own["running_var"]
        return self.running_mean, self.running_var

    def reset_running_stats(self):
        """Sets the running mean to 0, the running variance to 1 and the count of batches to 0."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self):
        """Sets the running statistics back, the weight to 1 and the bias to 0."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def _check_input_dim(self, input):
        raise NotImplementedError

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):  # fmt: skip
        version = local_metadata.get("version", None)
        key = prefix + "num_batches_tracked"
        if (version is None or version < 2) and self.track_running_stats and key not in state_dict:
            # checkpoints of the first version have no count
            count = self.num_batches_tracked
            state_dict[key] = count if count is not None else creation.zeros((), dtype=dtypes.int64)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_NormBase):
    def forward(self, input):
        self._check_input_dim(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        training, buffers = self.training, self._buffers
        if training and self.track_running_stats:
            counter = buffers["num_batches_tracked"] if "num_batches_tracked" in buffers else self.num_batches_tracked
            if counter is not None:
                count = count_batch(counter)
                if self.momentum is None:
                    momentum = 1.0 / count
        mean, var = self._running()
        by_batch = training or (mean is None and var is None)
        if training and not self.track_running_stats:
            mean = var = None
        return batch_norm(input, mean, var, *weight_and_bias(self), by_batch, momentum, self.eps)


class _LazyNormBase(LazyModuleMixin, _NormBase):
    def __init__(
        self, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
    ):  # fmt: skip
        super().__init__(0, eps, momentum, False, False, device, dtype)
        self.affine = affine
        self.track_running_stats = track_running_stats
        if affine:
            self.weight = UninitializedParameter(device=device, dtype=dtype)
            if bias:
                self.bias = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = creation.zeros((), dtype=dtypes.int64)

    def reset_parameters(self):
        """As the ordinary layer's, once the sizes are known."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input):
        """Takes the number of features from the input's second dimension."""
        if self.has_uninitialized_params():
            self.num_features = input.shape[1]
            names = (("weight", "bias") if self.affine else ()) + (
                ("running_mean", "running_var") if self.track_running_stats else ()
            )
            for name in names:
                value = getattr(self, name)
                if value is not None:
                    value.materialize((self.num_features,))
            self.reset_parameters()


class BatchNorm1d(_BatchNorm):
    """Normalizes each feature over the batch: ``y = (x - mean) / sqrt(var + eps) * weight + bias``.

    In training mean and (biased) variance are the batch's, and the running statistics move towards them:
    ``r = (1 - momentum) r + momentum s``, with the unbiased variance. In evaluation they are the running statistics.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the newest batch; None averages over all batches alike.
        affine: have a learnable weight and bias.
        track_running_stats: keep running statistics; without them the batch's are used in evaluation too.
        device: the CPU.
        dtype: of the parameters and statistics.
        bias: with ``affine``, have a bias.

    Shape:
        (N, C) or (N, C, L), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: the input has another number of dimensions, or training with one value for each feature.
        RuntimeError: it has another number of channels than ``num_features``, or an integer dtype.

    S. Ioffe and C. Szegedy, "Batch normalization" (2015).
    """

    def _check_input_dim(self, input):
        if input.dim() not in (2, 3):
            raise ValueError(f"expected 2D or 3D input (got {input.dim()}D input)")


class BatchNorm2d(_BatchNorm):
    """Normalizes each channel over the batch and all positions of images: ``y = (x - mean) / sqrt(var + eps) * weight +
    bias``; see :class:`BatchNorm1d`.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the newest batch; None averages over all batches alike.
        affine: have a learnable weight and bias.
        track_running_stats: keep running statistics; without them the batch's are used in evaluation too.
        device: the CPU.
        dtype: of the parameters and statistics.
        bias: with ``affine``, have a bias.

    Shape:
        (N, C, H, W), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: the input has another number of dimensions, or training with one value for each channel.
        RuntimeError: it has another number of channels than ``num_features``, or an integer dtype.
    """

    def _check_input_dim(self, input):
        if input.dim() != 4:
            raise ValueError(f"expected 4D input (got {input.dim()}D input)")


class BatchNorm3d(_BatchNorm):
    """Normalizes each channel over the batch and all positions of volumes: ``y = (x - mean) / sqrt(var + eps) * weight
    + bias``; see :class:`BatchNorm1d`.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the newest batch; None averages over all batches alike.
        affine: have a learnable weight and bias.
        track_running_stats: keep running statistics; without them the batch's are used in evaluation too.
        device: the CPU.
        dtype: of the parameters and statistics.
        bias: with ``affine``, have a bias.

    Shape:
        (N, C, D, H, W), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: the input has another number of dimensions, or training with one value for each channel.
        RuntimeError: it has another number of channels than ``num_features``, or an integer dtype.
    """

    def _check_input_dim(self, input):
        if input.dim() != 5:
            raise ValueError(f"expected 5D input (got {input.dim()}D input)")


class LazyBatchNorm1d(_LazyNormBase, _BatchNorm):
    """A :class:`BatchNorm1d` that takes ``num_features`` from its first input.

    Args:
        eps: added to the variance.
        momentum: weight of the newest batch; None averages over all batches alike.
        affine: have a learnable weight and bias.
        track_running_stats: keep running statistics; without them the batch's are used in evaluation too.
        device: the CPU.
        dtype: of the parameters and statistics.
        bias: with ``affine``, have a bias.

    Shape:
        (N, C) or (N, C, L), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: the input has another number of dimensions, or training with one value for each channel.
    """

    cls_to_become = BatchNorm1d
    _check_input_dim = BatchNorm1d._check_input_dim


class LazyBatchNorm2d(_LazyNormBase, _BatchNorm):
    """A :class:`BatchNorm2d` that takes ``num_features`` from its first input.

    Args:
        eps: added to the variance.
        momentum: weight of the newest batch; None averages over all batches alike.
        affine: have a learnable weight and bias.
        track_running_stats: keep running statistics; without them the batch's are used in evaluation too.
        device: the CPU.
        dtype: of the parameters and statistics.
        bias: with ``affine``, have a bias.

    Shape:
        (N, C, H, W), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: the input has another number of dimensions, or training with one value for each channel.
    """

    cls_to_become = BatchNorm2d
    _check_input_dim = BatchNorm2d._check_input_dim


class LazyBatchNorm3d(_LazyNormBase, _BatchNorm):
    """A :class:`BatchNorm3d` that takes ``num_features`` from its first input.

    Args:
        eps: added to the variance.
        momentum: weight of the newest batch; None averages over all batches alike.
        affine: have a learnable weight and bias.
        track_running_stats: keep running statistics; without them the batch's are used in evaluation too.
        device: the CPU.
        dtype: of the parameters and statistics.
        bias: with ``affine``, have a bias.

    Shape:
        (N, C, D, H, W), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: the input has another number of dimensions, or training with one value for each channel.
    """

    cls_to_become = BatchNorm3d
    _check_input_dim = BatchNorm3d._check_input_dim


class SyncBatchNorm(_BatchNorm):
    """Batch normalization whose statistics are those of all processes of a group; in a single process, ordinary ones:
    ``y = (x - mean) / sqrt(var + eps) * weight + bias``.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the newest batch; None averages over all batches alike.
        affine: have a learnable weight and bias.
        track_running_stats: keep running statistics; without them the batch's are used in evaluation too.
        device: the CPU.
        dtype: of the parameters and statistics.
        process_group: the group that shares statistics (None: all processes).

    The others are those of :class:`BatchNorm1d`.

    Shape:
        (N, C, ...), at least 2-D, floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: the input has fewer than two dimensions, or training with one value for each channel.
        RuntimeError: it has fewer than two channels than ``num_features``, or an integer dtype.
    """

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, process_group=None,
        device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        self.process_group = process_group

    def _check_input_dim(self, input):
        if input.dim() < 2:
            raise ValueError(f"expected at least 2D input (got {input.dim()}D input)")

    @classmethod
    def convert_sync_batchnorm(cls, module, process_group=None):
        """A copy of a module tree with every batch normalization as SyncBatchNorm; it shares parameters and buffers."""
        result = module
        if isinstance(module, _BatchNorm):
            result = cls(
                module.num_features,
                module.eps,
                module.momentum,
                module.affine,
                module.track_running_stats,
                process_group,
            )
            for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                setattr(result, name, getattr(module, name))
            result.training = module.training
        for name, child in module.named_children():
            result.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return result
