"""RAdam."""

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


class RAdam(Optimizer):
    r"""Adam with a rectified adaptive rate (Liu et al. 2019, "On the variance of the adaptive learning rate and
    beyond"):

    .. math::
        p \leftarrow p - \gamma \frac{m}{1 - \beta_1^t} r_t \frac{\sqrt{1 - \beta_2^t}}{\sqrt v + \epsilon}
        \text{ if } \rho_t > 5, \text{ else } p - \gamma \frac{m}{1 - \beta_1^t}

        \rho_\infty = \frac{2}{1 - \beta_2} - 1, \quad \rho_t = \rho_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t}, \quad
        r_t = \sqrt{\frac{(\rho_t - 4)(\rho_t - 2) \rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2) \rho_t}}

    with :math:`m, v` as in :class:`Adam`.

    Args:
        params: parameters, named parameters or groups.
        lr: learning rate :math:`\gamma`.
        betas: :math:`(\beta_1, \beta_2)`.
        eps: :math:`\epsilon`.
        weight_decay: the factor of the parameter that joins the gradient.
        decoupled_weight_decay: shrink the parameter instead of adding to the gradient.
        maximize: climb instead of descend.
        foreach, capturable: accepted; there is one implementation.
        differentiable: record the step.

    State: ``step``, ``exp_avg``, ``exp_avg_sq``.

    Raises:
        ValueError: an option is out of its range.
    """

    _options = {
        "foreach": None, "maximize": False, "differentiable": False, "decoupled_weight_decay": False,
        "capturable": False,
    }  # fmt: skip
    _scalars = ("step",)
    _rule = staticmethod(_composed.radam)

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled_weight_decay=False, *,
        foreach=None, maximize=False, capturable=False, differentiable=False,
    ):  # fmt: skip
        check_lr(lr)
        check_not_negative(epsilon=eps)
        check_betas(betas)
        check_not_negative(weight_decay=weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _new_state(self, p, group):
        return {"step": scalar_state(0.0), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}

    def step(self, closure=None):
        """Changes the parameters by their gradients; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group):
        sign = -1.0 if group["maximize"] else 1.0
        lr, eps, wd = value_of(group["lr"]), float(group["eps"]), group["weight_decay"]
        beta1, beta2 = (float(b) for b in group["betas"])
        keep = 1.0
        if group["decoupled_weight_decay"]:
            keep, wd = float(1 - lr * wd) if wd != 0 else 1.0, 0.0
        wd, lr = float(wd), float(lr)
        for p, g, state in self._active(group):
            t = advance(state)
            root, rect = (1 - beta2**t) ** 0.5, _composed.rectification(beta2, t)
            launch(
                kernels.radam, p, (g, state["exp_avg"]._data, state["exp_avg_sq"]._data),
                (sign, wd, keep, beta1, beta2, 1 - beta1**t, eps, lr, root, rect),
            )  # fmt: skip
