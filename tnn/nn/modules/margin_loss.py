"""Margin losses: between classes, distances and rankings."""

from ...ops import margin_loss as ops
from .loss import _Loss, _WeightedLoss


class MultiMarginLoss(_WeightedLoss):
    """``w_t / C sum over c != t of max(0, margin - x_t + x_c) ** p`` for the class t of each row x.

    Args:
        p: 1 or 2.
        margin: the margin.
        weight: (C,), a factor for each class.
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input: (N, C) or (C,), floating point; target: (N,) or (), int64; output: (), or (N,) with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction, another p, or a weight that is no vector.
        RuntimeError: the shapes do not fit, or a target lies outside [0, C).
    """

    __constants__ = ["p", "margin", "reduction"]

    def __init__(self, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if weight is not None and weight.dim() != 1:
            raise ValueError(f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.dim()}D instead")
        self.p = p
        self.margin = margin

    def forward(self, input, target):
        return ops.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class MultiLabelMarginLoss(_Loss):
    """``1 / C sum over targets t and other classes c of max(0, 1 - (x_t - x_c))``; a row's targets come first, then -1.

    Args:
        size_average, reduce, reduction: 'mean', 'sum' or 'none'; the first two are the old form.

    Shape:
        input: (N, C) or (C,), floating point; target: of the input's shape, int64; output: (), or (N,) with
        reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit, or a target lies outside [-1, C).
    """

    __constants__ = ["reduction"]

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)

    def forward(self, input, target):
        return ops.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """``-1/C sum_c w_c (t_c log sigmoid(x_c) + (1 - t_c) log sigmoid(-x_c))`` for each row x.

    Args:
        weight: (C,), a factor for each class.
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input: (N, C) or (C,), floating point; target: of the input's shape; output: (), or (N,) with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit.
    """

    __constants__ = ["reduction"]

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction)

    def forward(self, input, target):
        return ops.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    """``max(0, -t (x1 - x2) + margin)``: t is 1 where the first input is to rank higher, else -1.

    Args:
        margin: by how much the first is to lead.
        size_average, reduce, reduction: 'mean', 'sum' or 'none'; the first two are the old form.

    Shape:
        input1, input2 and target: one shape (*), floating point; output: (), or (*) with reduction='none'.

    Raises:
        TypeError: an argument is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit.
    """

    __constants__ = ["margin", "reduction"]

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        return ops.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class HingeEmbeddingLoss(_Loss):
    """``x`` where the target is 1, ``max(0, margin - x)`` where it is -1.

    Args:
        margin: up to where the input counts.
        size_average, reduce, reduction: 'mean', 'sum' or 'none'; the first two are the old form.

    Shape:
        input and target: one shape (*), floating point; output: (), or (*) with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit.
    """

    __constants__ = ["margin", "reduction"]

    def __init__(self, margin=1.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input, target):
        return ops.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_Loss):
    """``1 - cos(x1, x2)`` where the target is 1, ``max(0, cos(x1, x2) - margin)`` where it is -1.

    Args:
        margin: the similarity that unlike pairs may have.
        size_average, reduce, reduction: 'mean', 'sum' or 'none'; the first two are the old form.

    Shape:
        inputs: (N, D) or (D,), floating point; target: (N,) or (); output: (), or the target's shape with
        reduction='none'.

    Raises:
        TypeError: an argument is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit.
    """

    __constants__ = ["margin", "reduction"]

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        return ops.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """``max(0, d(a, p) - d(a, n) + margin)`` with d the p-norm distance (Balntas, Riba et al., 2016).

    Args:
        margin: by how much the distances are to differ, above 0.
        p: the norm's degree.
        eps: added to differences, keeps the gradient finite.
        swap: use ``d(p, n)`` in place of ``d(a, n)`` where it is smaller.
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        anchor, positive and negative: (N, D) or (D,), floating point; output: (), or (N,) or () with reduction='none'.

    Raises:
        TypeError: an argument is not a tensor.
        ValueError: another reduction, or the margin is not positive.
        RuntimeError: the shapes do not fit.
    """

    __constants__ = ["margin", "p", "eps", "swap", "reduction"]

    def __init__(
        self, margin=1.0, p=2.0, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"
    ):  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: expected margin to be greater than 0, got {margin} instead")
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor, positive, negative):
        return ops.triplet_margin_loss(
            anchor, positive, negative, margin=self.margin, p=self.p, eps=self.eps, swap=self.swap,
            reduction=self.reduction,
        )  # fmt: skip


class TripletMarginWithDistanceLoss(_Loss):
    """``max(0, d(a, p) - d(a, n) + margin)`` with a distance d of the caller's.

    Args:
        distance_function: takes two tensors, returns their distances (default: ``pairwise_distance``).
        margin: by how much the distances are to differ, above 0.
        swap: use ``d(p, n)`` in place of ``d(a, n)`` where it is smaller.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        anchor, positive and negative: (N, D) or (D,), floating point; output: (), or (N,) or () with reduction='none'.

    Raises:
        TypeError: an argument is not a tensor.
        ValueError: another reduction, or the margin is not positive.
        RuntimeError: the shapes do not fit.
    """

    __constants__ = ["margin", "swap", "reduction"]

    def __init__(self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
        super().__init__(reduction=reduction)
        if margin <= 0:
            raise ValueError(
                f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {margin} instead"
            )
        self.distance_function = distance_function
        self.margin = margin
        self.swap = swap

    def forward(self, anchor, positive, negative):
        return ops.triplet_margin_with_distance_loss(
            anchor, positive, negative, distance_function=self.distance_function, margin=self.margin, swap=self.swap,
            reduction=self.reduction,
        )  # fmt: skip
