"""Adam for sparse gradients."""

import math

from ..kernels.optim_rows import adam_rows
from ._sparse import rows_of, table_of
from .optimizer import Optimizer, check_betas, check_lr, value_of, zeros_like


class SparseAdam(Optimizer):
    r"""Adam that changes, in the parameter and in its moments, only the rows that a sparse gradient names; the moments
    of other rows do not decay meanwhile.

    Args:
        params: parameters, named parameters or groups; their gradients must be sparse, as those of
            ``Embedding(..., sparse=True)``.
        lr: learning rate, greater than 0.
        betas: decay of the first and the second moment.
        eps: added to the denominator, greater than 0.
        maximize: climb instead of descend.

    State: ``step`` (an int), ``exp_avg``, ``exp_avg_sq``.

    Raises:
        ValueError: an option is out of its range, or a parameter is itself sparse.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        check_lr(lr)
        if not 0.0 < value_of(lr):
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0.0 < eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        groups = enumerate(self.param_groups)
        sparse = [[i, j] for i, group in groups for j, p in enumerate(group["params"]) if p.is_sparse]
        if sparse:
            raise ValueError(f"Sparse params at indices {sparse}: SparseAdam requires dense parameter tensors")

    def step(self, closure=None):
        """Changes the parameters by their gradients; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group):
        sign = -1.0 if group.get("maximize", False) else 1.0
        lr, eps = value_of(group["lr"]), float(group["eps"])
        beta1, beta2 = (float(b) for b in group["betas"])
        for p in group["params"]:
            grad = p._grad
            if grad is None:
                continue
            if not grad.is_sparse:
                raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
            state = self.state[p]
            if not state:
                state.update(step=0, exp_avg=zeros_like(p), exp_avg_sq=zeros_like(p))
            state["step"] = t = state["step"] + 1
            rows, values, table = rows_of(p, grad)
            if not rows.size:
                continue
            step = float(lr * math.sqrt(1 - beta2**t) / (1 - beta1**t))
            m, v = (table_of(state[name]).reshape(table.shape) for name in ("exp_avg", "exp_avg_sq"))
            adam_rows(table, m, v, rows, values, sign, beta1, beta2, eps, step)
            p._bump()
