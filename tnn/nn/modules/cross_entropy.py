"""Classification losses."""

from ...ops import cross_entropy as ops
from .linear import Linear
from .loss import _WeightedLoss
from .module import Module


class NLLLoss(_WeightedLoss):
    """The negative log-likelihood ``-w[t] x[t]`` of classes t under log-probabilities x.

    Args:
        weight: (C,), a factor for each class.
        size_average, reduce: old forms of ``reduction``, with a warning.
        ignore_index: a target that counts for nothing.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input: (C,), (N, C) or (N, C, d1, ...), floating point; target: () , (N,) or (N, d1, ...); output: (), or the
        target's with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        IndexError: a target lies outside [0, C).
        ValueError, RuntimeError: the shapes or dtypes do not fit, or another reduction.
    """

    __constants__ = ["ignore_index", "reduction"]

    def __init__(self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input, target):
        return ops.nll_loss(input, target, self.weight, None, self.ignore_index, None, self.reduction)


class NLLLoss2d(NLLLoss):
    """The old name of :class:`NLLLoss` for images: ``-w[t] x[t]`` for classes t under log-probabilities x.

    Args:
        weight: (C,), a factor for each class.
        size_average, reduce: old forms of ``reduction``, with a warning.
        ignore_index: a target that counts for nothing.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input: (C,), (N, C) or (N, C, d1, ...), floating point; target: () , (N,) or (N, d1, ...); output: (), or the
        target's with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        IndexError: a target lies outside [0, C).
        ValueError, RuntimeError: the shapes or dtypes do not fit, or another reduction.
    """


class CrossEntropyLoss(_WeightedLoss):
    """The cross entropy of ``softmax(input)`` with classes, or with distributions of the input's shape.

    ``loss = -sum_c w_c q_c log_softmax(x)_c``; label smoothing e makes q ``(1 - e) q + e / C``.

    Args:
        weight: (C,), a factor for each class.
        size_average, reduce: old forms of ``reduction``, with a warning.
        ignore_index: a target class that counts for nothing.
        reduction: 'mean', 'sum' or 'none'.
        label_smoothing: e in [0, 1].

    Shape:
        input: (C,), (N, C) or (N, C, d1, ...), floating point; target: () , (N,) or (N, d1, ...); output: (), or the
        target's with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        IndexError: a target lies outside [0, C).
        ValueError, RuntimeError: the shapes or dtypes do not fit, or another reduction.

    >>> import tnn
    >>> loss = tnn.nn.CrossEntropyLoss()
    >>> loss(tnn.zeros(2, 4), tnn.tensor([0, 3]))
    tensor(1.3863)
    """

    __constants__ = ["ignore_index", "label_smoothing", "reduction"]

    def __init__(
        self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0
    ):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input, target):
        return ops.cross_entropy(
            input, target, self.weight, None, self.ignore_index, None, self.reduction, self.label_smoothing
        )


class LinearCrossEntropyOptions:
    """How PyTorch would cut :class:`LinearCrossEntropyLoss` into chunks. The values are kept and
    have no effect here.

    Args:
        allow_retain_graph, batch_chunk_size, chunking_method, acc_dtype: kept.
        acc_policy: 'accurate', 'balanced', 'compact' or 'auto'; kept.

    Raises:
        ValueError: another ``acc_policy``.
    """

    def __init__(
        self, allow_retain_graph=False, batch_chunk_size=None, chunking_method="auto", acc_policy="auto", acc_dtype=None
    ):  # fmt: skip
        if acc_policy not in ("accurate", "balanced", "compact", "auto"):
            raise ValueError(f"acc_policy must be 'accurate', 'balanced', 'compact' or 'auto', got {acc_policy!r}")
        self.allow_retain_graph = allow_retain_graph
        self.batch_chunk_size = batch_chunk_size
        self.chunking_method = chunking_method
        self.acc_policy = acc_policy
        self.acc_dtype = acc_dtype


class LinearCrossEntropyLoss(Module):
    """The cross entropy of ``softmax(linear(x))`` with classes or distributions, the layer being part of the loss: see
    :class:`CrossEntropyLoss`.

    Args:
        in_features: the size of an input sample.
        num_classes: C.
        out_features: the further sizes (d1, ..., dK) of a K-dimensional loss.
        bias: whether the layer has a bias.
        device: the CPU.
        dtype: of the layer.
        weight, reduction, ignore_index, label_smoothing: as for :class:`CrossEntropyLoss`.
        options: how PyTorch would cut the work into chunks; without effect.

    Shape:
        input: (in_features,) or (N, in_features); target: () , (N,) or (N, d1, ...), or distributions (C,) or (N,
            C, d1, ...).

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        IndexError: a target lies outside [0, C).
        ValueError, RuntimeError: the shapes or dtypes do not fit.
    """

    __constants__ = ["num_classes", "out_features", "reduction", "ignore_index", "label_smoothing"]

    def __init__(
        self, in_features, num_classes, *, out_features=(), bias=False, device=None, dtype=None, reduction="mean",
        weight=None, ignore_index=None, label_smoothing=0.0, options=None,
    ):  # fmt: skip
        super().__init__()
        if weight is not None and tuple(weight.shape) != (num_classes,):
            raise RuntimeError(f"expected weight shape to be ({num_classes},), got {tuple(weight.shape)}")
        self.in_features = in_features
        self.num_classes = num_classes
        self.out_features = tuple(out_features)
        self.reduction = reduction
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.options = options
        self.register_buffer("weight", weight)
        outputs = num_classes
        for d in self.out_features:
            outputs *= d
        self.linear = Linear(in_features, outputs, bias=bias, device=device, dtype=dtype)

    def forward(self, input, target):
        weight, bias = self.linear.weight, self.linear.bias
        if self.out_features:
            weight = weight.reshape(self.num_classes, *self.out_features, self.in_features)
            bias = None if bias is None else bias.reshape(self.num_classes, *self.out_features)
        return ops.linear_cross_entropy(
            input, weight, target, linear_bias=bias, weight=self.weight, reduction=self.reduction,
            ignore_index=self.ignore_index, label_smoothing=self.label_smoothing, options=self.options,
        )  # fmt: skip

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, num_classes={self.num_classes}, out_features={self.out_features}, "
            f"bias={self.linear.bias is not None}, reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )
