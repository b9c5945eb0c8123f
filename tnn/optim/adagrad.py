"""Adagrad."""

from ..kernels import optim as kernels
from ..kernels.optim_rows import adagrad_rows
from ..tensor import wrap
from . import _composed
from ._sparse import rows_of, table_of
from .optimizer import Optimizer, advance, check_fused, check_lr, check_not_negative, launch, scalar_state, value_of


class Adagrad(Optimizer):
    r"""Adagrad (Duchi et al. 2011, "Adaptive subgradient methods for online learning and stochastic optimization"):

    .. math::
        d = g + \lambda p, \quad v \leftarrow v + d^2, \quad
        p \leftarrow p - \frac{\gamma}{1 + (t - 1) \eta} \frac{d}{\sqrt v + \epsilon}

    Args:
        params: parameters, named parameters or groups.
        lr: learning rate :math:`\gamma`.
        lr_decay: :math:`\eta`.
        weight_decay: :math:`\lambda`; not with sparse gradients.
        initial_accumulator_value: what :math:`v` begins with.
        eps: :math:`\epsilon`.
        maximize: climb instead of descend.
        foreach, fused: accepted; there is one implementation.
        differentiable: record the step.

    State: ``step`` and ``sum``, made at once. Sparse gradients change the rows that they name.

    Raises:
        ValueError: an option is out of its range.
    """

    _options = {"foreach": None, "maximize": False, "differentiable": False, "fused": None}
    _scalars = ("step",)
    _rule = staticmethod(_composed.adagrad)

    def __init__(
        self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10, foreach=None, *,
        maximize=False, differentiable=False, fused=None,
    ):  # fmt: skip
        check_lr(lr)
        check_not_negative(
            lr_decay=lr_decay, weight_decay=weight_decay, initial_accumulator_value=initial_accumulator_value,
            epsilon=eps
        )  # fmt: skip
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = self._new_state(p, group, initial_accumulator_value)

    def _new_state(self, p, group, start=None):
        total = wrap(p._data.copy())
        total._data.fill(self.defaults["initial_accumulator_value"] if start is None else start)
        return {"step": scalar_state(0.0), "sum": total}

    def share_memory(self):
        """Nothing to do: threads share all memory."""

    def step(self, closure=None):
        """Changes the parameters by their gradients; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group):
        sign, wd = -1.0 if group["maximize"] else 1.0, float(group["weight_decay"])
        lr, decay, eps = value_of(group["lr"]), group["lr_decay"], float(group["eps"])
        for p in group["params"]:
            grad = p._grad
            if grad is None:
                continue
            state = self.state[p]
            if not state:
                state.update(self._new_state(p, group))
            step = float(lr / (1 + (advance(state) - 1) * decay))
            if not grad.is_sparse:
                launch(kernels.adagrad, p, (grad._data, state["sum"]._data), (sign, wd, eps, step))
                continue
            if wd != 0:
                raise RuntimeError("weight_decay option is not compatible with sparse gradients")
            rows, values, table = rows_of(p, grad)
            adagrad_rows(table, table_of(state["sum"]).reshape(table.shape), rows, values, eps, sign * step)
            p._bump()
