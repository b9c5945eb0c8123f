"""Muon."""

import math

import numpy as np

from ..autograd.grad_mode import no_grad
from ..dtypes import bfloat16
from ..kernels import optim as kernels
from ..tensor import wrap
from .optimizer import Optimizer, check_lr, launch, value_of, zeros_like


def _orthogonalize(update, coefficients, steps, eps):
    """The nearest orthogonal matrix, roughly: ``steps`` rounds of a quintic Newton-Schulz iteration in bfloat16, which
    bring all singular values near 1.

    Args:
        update: a matrix.
        coefficients: (a, b, c) of x <- a x + (b (x x^T) + c (x x^T)^2) x.
        steps: the number of rounds, below 100.
        eps: the least norm to divide by.
    """
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    x = update.to(bfloat16)
    tall = update.shape[0] > update.shape[1]
    if tall:
        x = x.transpose(0, 1)
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x.matmul(x.transpose(0, 1))
        x = x.addmm(gram.addmm(gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(0, 1) if tall else x


class Muon(Optimizer):
    r"""Momentum, orthogonalized by Newton-Schulz iterations (Jordan et al. 2024, "Muon: An optimizer for hidden layers
    in neural networks"), for matrices:

    .. math::
        B \leftarrow \mu B + (1 - \mu) G, \quad O = \mathrm{NS}((1 - \mu) G + \mu B), \quad
        p \leftarrow (1 - \gamma \lambda) p - \gamma' O

    Args:
        params: 2-D parameters, named parameters or groups.
        lr: learning rate :math:`\gamma`.
        weight_decay: :math:`\lambda`.
        momentum: :math:`\mu`.
        nesterov: orthogonalize the look-ahead above, otherwise :math:`B` itself.
        ns_coefficients: the iteration's three coefficients.
        eps: the least norm by which the iteration divides at its start.
        ns_steps: how often it iterates.
        adjust_lr_fn: how :math:`\gamma'` follows from the shape (A, B): ``"original"`` (or None) multiplies by
            :math:`\sqrt{\max(1, A/B)}`, ``"match_rms_adamw"`` by :math:`0.2 \sqrt{\max(A, B)}`.

    State: ``momentum_buffer``.

    Raises:
        ValueError: an option is out of its range, or a parameter is not 2-D.
    """

    def __init__(
        self, params, lr=1e-3, weight_decay=0.1, momentum=0.95, nesterov=True, ns_coefficients=(3.4445, -4.775, 2.0315),
        eps=1e-7, ns_steps=5, adjust_lr_fn=None,
    ):  # fmt: skip
        check_lr(lr, "Learning rate should be >= 0 but is: {}")
        if not 0.0 <= momentum:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(f"Muon only supports 2D parameters, found a parameter with size: {p.size()}")

    def _new_state(self, p, group):
        return {"momentum_buffer": zeros_like(p)}

    def step(self, closure=None):
        """Changes the parameters by their gradients; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    @no_grad()
    def _update(self, group):
        lr, momentum = value_of(group["lr"]), float(group["momentum"])
        for p, g, state in self._active(group):
            buffer = state["momentum_buffer"]
            launch(kernels.lerp, buffer, (g,), (1 - momentum,))
            update = buffer
            if group["nesterov"]:
                update = wrap(g.copy())
                launch(kernels.lerp, update, (buffer._data,), (momentum,))
            update = _orthogonalize(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
            rows, columns = p._data.shape
            if group["adjust_lr_fn"] == "match_rms_adamw":
                ratio = 0.2 * math.sqrt(max(rows, columns))
            else:
                ratio = math.sqrt(max(1, rows / columns))
            update = np.ascontiguousarray(update._data).astype(p._data.dtype)
            launch(kernels.sgd, p, (update,), (float(lr * ratio), float(lr * group["weight_decay"]), 1.0))
