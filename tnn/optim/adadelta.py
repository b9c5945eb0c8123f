"""Adadelta."""

from ..kernels import optim as kernels
from . import _composed
from .optimizer import (
    Optimizer,
    advance,
    check_lr,
    check_not_negative,
    launch,
    scalar_state,
    value_of,
    zeros_like,
)


class Adadelta(Optimizer):
    r"""Adadelta (Zeiler 2012, "ADADELTA: An adaptive learning rate method"):

    .. math::
        d = g + \lambda p, \quad v \leftarrow \rho v + (1 - \rho) d^2, \quad
        x = \frac{\sqrt{u + \epsilon}}{\sqrt{v + \epsilon}} d, \quad u \leftarrow \rho u + (1 - \rho) x^2, \quad
        p \leftarrow p - \gamma x

    Args:
        params: parameters, named parameters or groups.
        lr: :math:`\gamma`.
        rho: :math:`\rho`.
        eps: :math:`\epsilon`.
        weight_decay: :math:`\lambda`.
        maximize: climb instead of descend.
        foreach, capturable: accepted; there is one implementation.
        differentiable: record the step.

    State: ``step``, ``square_avg``, ``acc_delta``.

    Raises:
        ValueError: an option is out of its range.
    """

    _options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}
    _scalars = ("step",)
    _rule = staticmethod(_composed.adadelta)

    def __init__(
        self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, foreach=None, *,
        capturable=False, maximize=False, differentiable=False,
    ):  # fmt: skip
        check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_not_negative(epsilon=eps, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _new_state(self, p, group):
        return {"step": scalar_state(0.0), "square_avg": zeros_like(p), "acc_delta": zeros_like(p)}

    def step(self, closure=None):
        """Changes the parameters by their gradients; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group):
        sign = -1.0 if group["maximize"] else 1.0
        rho, eps, lr = float(group["rho"]), float(group["eps"]), float(value_of(group["lr"]))
        scalars = (sign, float(group["weight_decay"]), rho, eps, lr)
        for p, g, state in self._active(group):
            advance(state)
            launch(kernels.adadelta, p, (g, state["square_avg"]._data, state["acc_delta"]._data), scalars)
