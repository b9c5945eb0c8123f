"""RMSprop."""

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


class RMSprop(Optimizer):
    r"""RMSprop (Hinton 2012, lecture 6 of "Neural networks for machine learning"):

    .. math::
        d = g + \lambda p, \quad v \leftarrow \alpha v + (1 - \alpha) d^2, \quad
        p \leftarrow p - \gamma \frac{d}{\sqrt v + \epsilon}

    ``centered`` subtracts the squared running mean of :math:`d` from :math:`v` (Graves 2013, "Generating sequences with
    recurrent neural networks"); ``momentum`` accumulates the quotient in a buffer.

    Args:
        params: parameters, named parameters or groups.
        lr: learning rate :math:`\gamma`.
        alpha: :math:`\alpha`.
        eps: :math:`\epsilon`.
        weight_decay: :math:`\lambda`.
        momentum: factor of the buffer; 0 for none.
        centered: divide by the running standard deviation.
        maximize: climb instead of descend.
        foreach, capturable: accepted; there is one implementation.
        differentiable: record the step.

    State: ``step``, ``square_avg``, and ``momentum_buffer``, ``grad_avg`` where asked for.

    Raises:
        ValueError: an option is out of its range.
    """

    _options = {
        "momentum": 0, "centered": False, "foreach": None, "maximize": False, "differentiable": False,
        "capturable": False,
    }  # fmt: skip
    _scalars = ("step",)
    _rule = staticmethod(_composed.rmsprop)

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False,
        capturable=False, foreach=None, maximize=False, differentiable=False,
    ):  # fmt: skip
        check_lr(lr)
        check_not_negative(epsilon=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable, "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _new_state(self, p, group):
        state = {"step": scalar_state(0.0), "square_avg": zeros_like(p)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros_like(p)
        if group["centered"]:
            state["grad_avg"] = zeros_like(p)
        return state

    def step(self, closure=None):
        """Changes the parameters by their gradients; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group):
        sign, wd = -1.0 if group["maximize"] else 1.0, float(group["weight_decay"])
        lr, alpha, eps = float(value_of(group["lr"])), float(group["alpha"]), float(group["eps"])
        momentum, centered = float(group["momentum"]), group["centered"]
        kernel = kernels.rmsprop_momentum if momentum > 0 else kernels.rmsprop
        if centered:
            kernel = kernels.rmsprop_centered_momentum if momentum > 0 else kernels.rmsprop_centered
        scalars = (sign, wd, alpha, eps, lr, momentum) if momentum > 0 else (sign, wd, alpha, eps, lr)
        for p, g, state in self._active(group):
            advance(state)
            arrays = [g, state["square_avg"]._data]
            if centered:
                arrays.append(state["grad_avg"]._data)
            if momentum > 0:
                arrays.append(state["momentum_buffer"]._data)
            launch(kernel, p, tuple(arrays), scalars)
