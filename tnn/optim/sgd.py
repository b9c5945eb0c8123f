"""Stochastic gradient descent, with momentum."""

from ..kernels import optim as kernels
from ..kernels.optim_rows import sgd_rows
from ..tensor import wrap
from . import _composed
from ._sparse import rows_of
from .optimizer import Optimizer, check_fused, check_lr, check_not_negative, launch, value_of


class SGD(Optimizer):
    r"""Stochastic gradient descent:

    .. math:: d = g + \lambda p, \quad b \leftarrow \mu b + (1 - \tau) d, \quad p \leftarrow p - \gamma b

    with :math:`b = d` on the first step, and :math:`p \leftarrow p - \gamma (d + \mu b)` for Nesterov's momentum
    (Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning").

    Args:
        params: parameters, named parameters or groups.
        lr: learning rate :math:`\gamma`.
        momentum: :math:`\mu`.
        dampening: :math:`\tau`.
        weight_decay: :math:`\lambda`.
        nesterov: use Nesterov's momentum.
        maximize: climb instead of descend.
        foreach, fused: accepted; there is one implementation.
        differentiable: record the step.

    State: ``momentum_buffer``, where ``momentum`` is not 0. Sparse gradients are accepted without weight decay.

    Raises:
        ValueError: an option is out of its range.

    >>> import tnn
    >>> w = tnn.nn.Parameter(tnn.tensor([1.0, 2.0]))
    >>> (w * w).sum().backward()
    >>> tnn.optim.SGD([w], lr=0.25).step()
    >>> w.tolist()
    [0.5, 1.0]
    """

    _options = {"nesterov": False, "maximize": False, "foreach": None, "differentiable": False, "fused": False}
    _rule = staticmethod(_composed.sgd)

    def __init__(
        self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *,
        maximize=False, foreach=None, differentiable=False, fused=None,
    ):  # fmt: skip
        check_lr(lr)
        check_not_negative(momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)

    def _new_state(self, p, group):
        return {}

    def step(self, closure=None):
        """Changes the parameters by their gradients; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group):
        sign = -1.0 if group["maximize"] else 1.0
        lr, wd = float(value_of(group["lr"])), float(value_of(group["weight_decay"]))
        momentum, gain, nesterov = float(group["momentum"]), 1.0 - group["dampening"], bool(group["nesterov"])
        for p in group["params"]:
            g = p._grad
            if g is None:
                continue
            if g.is_sparse:
                if wd != 0:
                    raise RuntimeError("weight_decay option is not compatible with sparse gradients")
                if momentum == 0:
                    rows, values, table = rows_of(p, g)
                    sgd_rows(table, rows, values, sign * lr)
                    p._bump()
                    continue
                g = g.to_dense()
            if momentum == 0:
                launch(kernels.sgd, p, (g._data,), (sign, wd, lr))
                continue
            state = self.state[p]
            buffer = state.get("momentum_buffer")
            first = buffer is None
            if first:
                buffer = state["momentum_buffer"] = wrap(g._data.copy())
            launch(
                kernels.sgd_momentum, p, (g._data, buffer._data), (sign, wd, momentum, gain, lr, nesterov, first)
            )  # fmt: skip
