"""Loss layers: each holds the arguments of a loss function."""

from ...ops import loss as ops
from ...ops.ctc import ctc_loss
from ...ops.loss import reduction_of
from .module import Module


class _Loss(Module):
    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__()
        old_form = size_average is not None or reduce is not None
        self.reduction = reduction_of(size_average, reduce, reduction) if old_form else reduction


class _WeightedLoss(_Loss):
    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class L1Loss(_Loss):
    """The absolute error ``|x - t|``, averaged, summed or element by element.

    Args:
        size_average, reduce, reduction: 'mean', 'sum' or 'none'; the first two are the old form.

    Shape:
        input and target: one shape (*), floating point; output: (), or (*) with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit.
    """

    __constants__ = ["reduction"]

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)

    def forward(self, input, target):
        return ops.l1_loss(input, target, reduction=self.reduction)


class MSELoss(_Loss):
    """The squared error ``(x - t) ** 2``, averaged, summed or element by element.

    Args:
        size_average, reduce, reduction: 'mean', 'sum' or 'none'; the first two are the old form.

    Shape:
        input and target: one shape (*), floating point; output: (), or (*) with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit.
    """

    __constants__ = ["reduction"]

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)

    def forward(self, input, target):
        return ops.mse_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """``d ** 2 / (2 beta)`` where ``d = |x - t| < beta``, else ``d - beta / 2`` (Girshick, arXiv 1504.08083).

    Args:
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.
        beta: where the parabola ends; 0 gives :class:`L1Loss`.

    Shape:
        input and target: one shape (*), floating point; output: (), or (*) with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit, or ``beta`` is negative.
    """

    __constants__ = ["reduction"]

    def __init__(self, size_average=None, reduce=None, reduction="mean", beta=1.0):
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input, target):
        return ops.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """``d ** 2 / 2`` where ``d = |x - t| <= delta``, else ``delta (d - delta / 2)`` (Huber, 1964).

    Args:
        reduction: 'mean', 'sum' or 'none'.
        delta: where the square ends, positive.

    Shape:
        input and target: one shape (*), floating point; output: (), or (*) with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction, or ``delta`` is not positive.
        RuntimeError: the shapes do not fit.
    """

    __constants__ = ["delta", "reduction"]

    def __init__(self, reduction="mean", delta=1.0):
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input, target):
        return ops.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class BCELoss(_WeightedLoss):
    """``-(t log x + (1 - t) log(1 - x))`` for probabilities x in [0, 1]; a logarithm counts as at least -100.

    Args:
        weight: a factor for each element, broadcast.
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target: one shape (*), floating point; output: (), or (*) with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction, or the shapes differ.
        RuntimeError: an element of the input lies outside [0, 1], or the dtypes differ.
    """

    __constants__ = ["reduction"]

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction)

    def forward(self, input, target):
        return ops.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """:class:`BCELoss` of ``sigmoid(x)``, stable for large x: ``(1 - t) x + softplus(-x)``.

    Args:
        weight: a factor for each element, broadcast.
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.
        pos_weight: a factor for the positive part, broadcast.

    Shape:
        input and target: one shape (*), floating point; output: (), or (*) with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction, or the shapes differ.
        RuntimeError: a weight does not broadcast.
    """

    __constants__ = ["reduction"]

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input, target):
        return ops.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )


class KLDivLoss(_Loss):
    """The Kullback-Leibler divergence ``t (log t - x)`` of log-probabilities x from t.

    Args:
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'none', 'mean', 'sum' or 'batchmean' (the sum divided by the batch size).
        log_target: t holds log-probabilities.

    Shape:
        input and target: one shape (*), floating point; output: (), or (*) with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit.
    """

    __constants__ = ["reduction"]

    def __init__(self, size_average=None, reduce=None, reduction="mean", log_target=False):
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input, target):
        return ops.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(_Loss):
    """The negative log-likelihood of counts t under a Poisson distribution: ``exp(x) - t x``, or ``x - t log(x +
    eps)``.

    Args:
        log_input: x is the logarithm of the rate.
        full: add Stirling's term.
        size_average, reduce: old forms of ``reduction``, with a warning.
        eps: keeps the logarithm finite.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target: one shape (*), floating point; output: (), or (*) with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit.
    """

    __constants__ = ["log_input", "full", "eps", "reduction"]

    def __init__(self, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input, target):
        return ops.poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    """The negative log-likelihood under a normal distribution: ``(log v + (x - t) ** 2 / v) / 2``, v = max(var, eps).

    Args:
        full: add ``log(2 pi) / 2``.
        eps: the least variance.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        input and target: one shape (*), floating point; var: the same, or with a last size of 1 or without it; output:
        (), or (*) with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: ``var`` is negative or of a shape that does not fit, or another reduction.
    """

    __constants__ = ["full", "eps", "reduction"]

    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, input, target, var):
        return ops.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    """``log(1 + exp(-t x))`` for targets t of 1 or -1.

    Args:
        size_average, reduce, reduction: 'mean', 'sum' or 'none'; the first two are the old form.

    Shape:
        input and target: one shape (*), floating point; output: (), or (*) with reduction='none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit.
    """

    __constants__ = ["reduction"]

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)

    def forward(self, input, target):
        return ops.soft_margin_loss(input, target, reduction=self.reduction)


class CTCLoss(_Loss):
    """The negative log-probability ``-ln sum over alignments of prod_t p(t, label_t)`` of label sequences (Graves et
    al., ICML 2006).

    Args:
        blank: the class that stands for no label.
        reduction: 'mean', 'sum' or 'none'.
        zero_infinity: count losses of targets that do not fit as 0.

    Shape:
        log_probs: (T, N, C) or (T, C), floating point; targets: (N, S) or all in a row, integers; lengths: (N,) or (),
        integers; output: (), or (N,) with reduction='none'.

    Raises:
        TypeError: an argument is not a tensor, or lengths no integers.
        RuntimeError: a length, a target or a shape does not fit.
        ValueError: another reduction.
    """

    __constants__ = ["blank", "reduction"]

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs, targets, input_lengths, target_lengths):
        return ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )
