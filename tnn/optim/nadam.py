"""NAdam."""

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


class NAdam(Optimizer):
    r"""Adam with Nesterov's momentum (Dozat 2016, "Incorporating Nesterov momentum into Adam"):

    .. math::
        \mu_t = \beta_1 (1 - \tfrac12 0.96^{t \psi}), \quad
        p \leftarrow p - \gamma \left(\frac{\mu_{t+1} m}{1 - \prod_{i \le t+1} \mu_i} +
        \frac{(1 - \mu_t) d}{1 - \prod_{i \le t} \mu_i}\right) / (\sqrt{v / (1 - \beta_2^t)} + \epsilon)

    with :math:`m, v` and :math:`d` as in :class:`Adam`.

    Args:
        params: parameters, named parameters or groups.
        lr: learning rate :math:`\gamma`.
        betas: :math:`(\beta_1, \beta_2)`.
        eps: :math:`\epsilon`.
        weight_decay: :math:`\lambda`.
        momentum_decay: :math:`\psi`.
        decoupled_weight_decay: shrink the parameter instead of adding to the gradient.
        maximize: climb instead of descend.
        foreach, capturable: accepted; there is one implementation.
        differentiable: record the step.

    State: ``step``, ``mu_product``, ``exp_avg``, ``exp_avg_sq``.

    Raises:
        ValueError: an option is out of its range.
    """

    _options = {
        "maximize": False, "foreach": None, "capturable": False, "differentiable": False,
        "decoupled_weight_decay": False,
    }  # fmt: skip
    _scalars = ("step", "mu_product")
    _rule = staticmethod(_composed.nadam)

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3,
        decoupled_weight_decay=False, *, foreach=None, maximize=False, capturable=False, differentiable=False,
    ):  # fmt: skip
        check_lr(lr)
        check_not_negative(epsilon=eps)
        check_betas(betas)
        check_not_negative(weight_decay=weight_decay, momentum_decay=momentum_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _new_state(self, p, group):
        return {
            "step": scalar_state(0.0), "mu_product": scalar_state(1.0), "exp_avg": zeros_like(p),
            "exp_avg_sq": zeros_like(p),
        }  # fmt: skip

    def step(self, closure=None):
        """Changes the parameters by their gradients; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group):
        sign = -1.0 if group["maximize"] else 1.0
        lr, eps, wd, psi = value_of(group["lr"]), float(group["eps"]), group["weight_decay"], group["momentum_decay"]
        beta1, beta2 = (float(b) for b in group["betas"])
        keep = 1.0
        if group["decoupled_weight_decay"]:
            keep, wd = float(1 - lr * wd) if wd != 0 else 1.0, 0.0
        wd = float(wd)
        for p, g, state in self._active(group):
            t = advance(state)
            mu = beta1 * (1.0 - 0.5 * (0.96 ** (t * psi)))
            mu_next = beta1 * (1.0 - 0.5 * (0.96 ** ((t + 1) * psi)))
            product = state["mu_product"]._data
            product *= mu  # rounds to the state's dtype, and the lines below use what was rounded
            total = product.item()
            scalars = (
                sign, wd, keep, beta1, beta2, 1 - beta2**t, eps,
                float(lr * (1.0 - mu) / (1.0 - total)), float(lr * mu_next / (1.0 - total * mu_next)),
            )  # fmt: skip
            launch(kernels.nadam, p, (g, state["exp_avg"]._data, state["exp_avg_sq"]._data), scalars)
