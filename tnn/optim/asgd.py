"""Averaged stochastic gradient descent."""

from ..kernels import optim as kernels
from . import _composed
from .optimizer import Optimizer, advance, check_lr, check_not_negative, launch, scalar_state, value_of, zeros_like


class ASGD(Optimizer):
    r"""Averaged stochastic gradient descent (Polyak and Juditsky 1992, "Acceleration of stochastic approximation by
    averaging"):

    .. math::
        p \leftarrow (1 - \lambda_a \eta_t) p - \eta_t d, \quad \eta_t = \frac{\gamma}{(1 + \lambda_a \gamma t)^\alpha},
        \quad \bar p \leftarrow \bar p + \mu_t (p - \bar p), \quad \mu_t = \frac{1}{\max(1, t - t_0)}

    Args:
        params: parameters, named parameters or groups.
        lr: learning rate :math:`\gamma`.
        lambd: decay term :math:`\lambda_a`.
        alpha: power :math:`\alpha`.
        t0: the step :math:`t_0` at which averaging begins.
        weight_decay: the factor of the parameter that joins the gradient.
        maximize: climb instead of descend.
        foreach, capturable: accepted; there is one implementation.
        differentiable: record the step.

    State: ``step``, ``eta``, ``mu``, and the average, ``ax``.

    Raises:
        ValueError: an option is out of its range.
    """

    _options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}
    _scalars = ("step", "eta", "mu")
    _rule = staticmethod(_composed.asgd)

    def __init__(
        self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0,
        foreach=None, maximize=False, differentiable=False, capturable=False,
    ):  # fmt: skip
        check_lr(lr)
        check_not_negative(weight_decay=weight_decay)
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _new_state(self, p, group):
        return {
            "step": scalar_state(0.0), "eta": scalar_state(value_of(group["lr"])), "mu": scalar_state(1.0),
            "ax": zeros_like(p),
        }  # fmt: skip

    def step(self, closure=None):
        """Changes the parameters by their gradients; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group):
        sign, wd = -1.0 if group["maximize"] else 1.0, float(group["weight_decay"])
        lr, lambd, alpha, t0 = value_of(group["lr"]), group["lambd"], group["alpha"], group["t0"]
        for p, g, state in self._active(group):
            t = advance(state)
            eta, mu = state["eta"]._data, state["mu"]._data
            now = eta.item()
            launch(kernels.asgd, p, (g, state["ax"]._data), (sign, wd, 1 - lambd * now, now, mu.item()))
            eta[()] = lr / ((1 + lambd * lr * t) ** alpha)
            mu[()] = 1 / max(1, t - t0)
