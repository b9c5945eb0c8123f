"""Adamax."""

from ..kernels import optim as kernels
from . import _composed
from .optimizer import (
    Optimizer,
    advance,
    check_betas,
    check_lr,
    check_not_negative,
    launch,
    scalar_state,
    value_of,
    zeros_like,
)


class Adamax(Optimizer):
    r"""Adam with the infinity norm (Kingma and Ba 2014, section 7.1):

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) d, \quad u \leftarrow \max(\beta_2 u, |d| + \epsilon), \quad
        p \leftarrow p - \frac{\gamma}{1 - \beta_1^t} \frac{m}{u}, \qquad d = g + \lambda p

    Args:
        params: parameters, named parameters or groups.
        lr: learning rate :math:`\gamma`.
        betas: :math:`(\beta_1, \beta_2)`.
        eps: :math:`\epsilon`.
        weight_decay: :math:`\lambda`.
        maximize: climb instead of descend.
        foreach, capturable: accepted; there is one implementation.
        differentiable: record the step.

    State: ``step``, ``exp_avg``, ``exp_inf``.

    Raises:
        ValueError: an option is out of its range.
    """

    _options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}
    _scalars = ("step",)
    _rule = staticmethod(_composed.adamax)

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, foreach=None, *,
        maximize=False, differentiable=False, capturable=False,
    ):  # fmt: skip
        check_lr(lr)
        check_not_negative(epsilon=eps)
        check_betas(betas)
        check_not_negative(weight_decay=weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _new_state(self, p, group):
        return {"step": scalar_state(0.0), "exp_avg": zeros_like(p), "exp_inf": zeros_like(p)}

    def step(self, closure=None):
        """Changes the parameters by their gradients; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group):
        sign = -1.0 if group["maximize"] else 1.0
        lr, eps, wd = value_of(group["lr"]), float(group["eps"]), float(group["weight_decay"])
        beta1, beta2 = (float(b) for b in group["betas"])
        for p, g, state in self._active(group):
            step = float(lr / (1 - beta1 ** advance(state)))
            launch(
                kernels.adamax, p, (g, state["exp_avg"]._data, state["exp_inf"]._data),
                (sign, wd, beta1, beta2, eps, step),
            )  # fmt: skip
