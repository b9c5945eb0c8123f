"""Adam."""

from ..kernels import optim as kernels
from ..tensor import Tensor
from . import _composed
from .optimizer import (
    Optimizer,
    advance,
    check_betas,
    check_fused,
    check_lr,
    check_not_negative,
    launch,
    scalar_state,
    value_of,
    zeros_like,
)


def _check_tensor_betas(betas, foreach, capturable):
    kinds = {isinstance(b, Tensor) for b in betas}
    if len(kinds) != 1 or not all(isinstance(b, float | Tensor) for b in betas):
        raise ValueError("betas must be either both floats or both Tensors")
    for i, b in enumerate(betas):
        if isinstance(b, Tensor):
            if foreach and not capturable:
                raise ValueError(f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True")
            if b.numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")


class Adam(Optimizer):
    r"""Adam (Kingma and Ba 2014, "Adam: A method for stochastic optimization"):

    .. math::
        d = g + \lambda p, \quad m \leftarrow \beta_1 m + (1 - \beta_1) d, \quad
        v \leftarrow \beta_2 v + (1 - \beta_2) d^2

        p \leftarrow p - \gamma \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    ``amsgrad`` divides by the largest :math:`v` so far (Reddi et al. 2018, "On the convergence of Adam and beyond").

    Args:
        params: parameters, named parameters or groups.
        lr: learning rate :math:`\gamma`.
        betas: :math:`(\beta_1, \beta_2)`, both floats or both tensors.
        eps: :math:`\epsilon`.
        weight_decay: :math:`\lambda`.
        amsgrad: use the largest second moment.
        maximize: climb instead of descend.
        foreach, fused, capturable: accepted; there is one implementation.
        differentiable: record the step.
        decoupled_weight_decay: shrink the parameter by :math:`1 - \gamma \lambda` instead of adding to the gradient
            (AdamW).

    State: ``step``, ``exp_avg``, ``exp_avg_sq``, and ``max_exp_avg_sq`` with ``amsgrad``.

    Raises:
        ValueError: an option is out of its range.

    >>> import tnn
    >>> w = tnn.nn.Parameter(tnn.tensor([1.0, -2.0]))
    >>> opt = tnn.optim.Adam([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w.detach()
    tensor([ 0.5000, -1.5000])
    """

    _options = {
        "amsgrad": False, "maximize": False, "foreach": None, "capturable": False, "differentiable": False,
        "decoupled_weight_decay": False, "fused": None,
    }  # fmt: skip
    _scalars = ("step",)
    _advice = ", please consider SparseAdam instead"
    _rule = staticmethod(_composed.adam)

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *,
        foreach=None, maximize=False, capturable=False, differentiable=False, fused=None, decoupled_weight_decay=False,
    ):  # fmt: skip
        if isinstance(lr, Tensor) and foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        check_lr(lr)
        check_not_negative(epsilon=eps)
        check_betas(betas)
        check_not_negative(weight_decay=weight_decay)
        _check_tensor_betas(betas, foreach, capturable)
        betas = tuple(b.reshape(()) if isinstance(b, Tensor) else b for b in betas)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)

    def _new_state(self, p, group):
        state = {"step": scalar_state(0.0), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_like(p)
        return state

    def step(self, closure=None):
        """Changes the parameters by their gradients; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group):
        sign = -1.0 if group["maximize"] else 1.0
        lr, eps, wd = value_of(group["lr"]), float(group["eps"]), value_of(group["weight_decay"])
        beta1, beta2 = (float(value_of(b)) for b in group["betas"])
        keep = 1.0
        if group["decoupled_weight_decay"]:
            keep, wd = float(1 - lr * wd) if wd != 0 else 1.0, 0.0
        wd = float(wd)
        amsgrad = group["amsgrad"]
        seen = scalars = None
        for p, g, state in self._active(group):
            t = advance(state)
            if t != seen:
                seen = t
                root = (1 - beta2**t) ** 0.5
                scalars = (sign, wd, keep, beta1, beta2, root, eps, float(lr / (1 - beta1**t)))
            m, v = state["exp_avg"]._data, state["exp_avg_sq"]._data
            if amsgrad:
                launch(kernels.amsgrad, p, (g, m, v, state["max_exp_avg_sq"]._data), scalars)
            else:
                launch(kernels.adam, p, (g, m, v), scalars)
