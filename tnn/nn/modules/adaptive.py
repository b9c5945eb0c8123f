"""Softmax over many classes, the rare ones in clusters."""

from collections import namedtuple

from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module

_ASMoutput = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """A softmax whose rare classes lie in clusters with smaller projections (Grave et al., arXiv 1609.04309).

    The head scores the frequent classes and one entry for each cluster; cluster i, of classes ``cutoffs[i]`` to
    ``cutoffs[i + 1] - 1``, projects its input to ``in_features / div_value ** (i + 1)`` first.

    Args:
        in_features: the size of an input sample.
        n_classes: the number of classes, the frequent ones first.
        cutoffs: where the clusters begin, increasing, within (0, n_classes).
        div_value: how much smaller each cluster's projection is than the one before.
        head_bias: whether the head has a bias.
        device: the CPU.
        dtype: of the weights.

    Shape:
        input: (N, in_features) or (in_features,); target: (N,) or (), int64 in [0, n_classes).
        Returns (output, loss): each target's log-probability, and the mean of their negatives.

    Raises:
        ValueError: the cutoffs do not fit.
        RuntimeError: shapes or targets do not fit.
    """

    def __init__(
        self, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None, dtype=None
    ):  # fmt: skip
        super().__init__()
        cutoffs = list(cutoffs)
        if len(cutoffs) == 0:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            cutoffs != sorted(cutoffs)
            or min(cutoffs) <= 0
            or max(cutoffs) > n_classes - 1
            or len(set(cutoffs)) != len(cutoffs)
            or any(int(c) != c for c in cutoffs)
        ):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing "
                "order, where each value "
                f"is between 1 and n_classes-1, got {cutoffs} for n_classes={n_classes}"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = cutoffs + [n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        made = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **made)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            hidden = int(in_features // (div_value ** (i + 1)))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(Linear(in_features, hidden, bias=False, **made), Linear(hidden, size, bias=False, **made))
            )

    def reset_parameters(self):
        """Draws the weights anew."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def _check(self, input, target):
        if target.dim() == 1:
            if input.size(0) != target.size(0):
                raise RuntimeError("Input and target should have the same size in the batch dimension.")
            if input.dim() != 2:
                raise RuntimeError(
                    "1D target tensor expects 2D input tensors, but found inputs with size "
                    f"{input.size()}"
                )
        elif target.dim() == 0:
            if input.dim() != 1:
                raise RuntimeError(
                    "0D target tensor expects 1D input tensors, but found inputs with size "
                    f"{input.size()}"
                )
        else:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        t = target.numpy().reshape(-1)
        if t.size and (t.min() < 0 or t.max() >= self.n_classes):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{t.min()}, {t.max()}] were found. "
            )

    def forward(self, input, target):
        self._check(input, target)
        single = target.dim() == 0
        x, t = (input.unsqueeze(0), target.unsqueeze(0)) if single else (input, target)
        scores = self.head(x).log_softmax(1)
        head_target = t.clone()
        parts = []
        for i in range(self.n_clusters):
            low, high = self.cutoffs[i], self.cutoffs[i + 1]
            rows = ((t >= low) & (t < high)).nonzero().squeeze(1)
            if rows.numel() == 0:
                continue
            head_target[rows] = self.shortlist_size + i
            inside = self.tail[i](x.index_select(0, rows)).log_softmax(1)
            parts.append((rows, inside.gather(1, (t.index_select(0, rows) - low).unsqueeze(1)).squeeze(1)))
        output = scores.gather(1, head_target.unsqueeze(1)).squeeze(1)
        for rows, values in parts:
            output = output.index_add(0, rows, values)
        loss = (-output).mean()
        return _ASMoutput(output.squeeze(0) if single else output, loss)

    def log_prob(self, input):
        """The log-probabilities of all classes, (N, n_classes), for an input (N, in_features)."""
        from ... import cat

        scores = self.head(input).log_softmax(1)
        parts = [scores[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            parts.append(cluster(input).log_softmax(1) + scores[:, self.shortlist_size + i].unsqueeze(1))
        return cat(parts, 1)

    def predict(self, input):
        """The most probable class of each row of an input (N, in_features)."""
        output = self.head(input).argmax(1)
        rows = (output >= self.shortlist_size).nonzero().squeeze(1)
        if rows.numel() == 0:
            return output
        output = output.clone()
        output[rows] = self.log_prob(input.index_select(0, rows)).argmax(1)
        return output
