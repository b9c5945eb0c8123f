"""Rprop."""

from ..kernels import optim as kernels
from ..tensor import wrap
from . import _composed
from .optimizer import Optimizer, advance, check_lr, launch, scalar_state, value_of, zeros_like


class Rprop(Optimizer):
    r"""Resilient backpropagation (Riedmiller and Braun 1993): each element has a step size of its own, which grows by
    :math:`\eta_+` while the gradient keeps its sign and shrinks by :math:`\eta_-` when the sign changes:

    .. math::
        s \leftarrow \mathrm{clamp}(s \cdot \eta_\pm, \Gamma_{min}, \Gamma_{max}), \quad
        p \leftarrow p - \mathrm{sign}(g) s

    An element whose gradient changed its sign rests for one step.

    Args:
        params: parameters, named parameters or groups.
        lr: the step size to begin with.
        etas: :math:`(\eta_-, \eta_+)`.
        step_sizes: :math:`(\Gamma_{min}, \Gamma_{max})`.
        maximize: climb instead of descend.
        foreach, capturable: accepted; there is one implementation.
        differentiable: record the step.

    State: ``step``, ``prev``, ``step_size``.

    Raises:
        ValueError: ``lr`` is negative, or not :math:`0 < \eta_- < 1 < \eta_+`.
    """

    _options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}
    _scalars = ("step",)
    _rule = staticmethod(_composed.rprop)

    def __init__(
        self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *,
        capturable=False, foreach=None, maximize=False, differentiable=False,
    ):  # fmt: skip
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _new_state(self, p, group):
        size = wrap(p._data.copy())
        size._data.fill(value_of(group["lr"]))
        return {"step": scalar_state(0.0), "prev": zeros_like(p), "step_size": size}

    def step(self, closure=None):
        """Changes the parameters by their gradients; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group):
        sign = -1.0 if group["maximize"] else 1.0
        (down, up), (least, most) = group["etas"], group["step_sizes"]
        scalars = (sign, float(down), float(up), float(least), float(most))
        for p, g, state in self._active(group):
            advance(state)
            launch(kernels.rprop, p, (g, state["prev"]._data, state["step_size"]._data), scalars)
