"""Adafactor."""

import numpy as np

from ..dtypes import finfo
from ..kernels.optim import dot
from ..kernels.optim_rows import adafactor_matrix, adafactor_moments, adafactor_vector
from ..tensor import wrap
from .optimizer import Optimizer, advance, check_lr, scalar_state, value_of, zeros_like


class Adafactor(Optimizer):
    r"""Adafactor (Shazeer and Stern 2018, "Adafactor: Adaptive learning rates with sublinear memory cost"): second
    moments of a matrix are kept as the means of its rows, :math:`R`, and of its columns, :math:`C`:

    .. math::
        \hat V = \frac{R C}{\max(\mathrm{mean}(R), \epsilon_1)}, \quad
        U = \frac{g}{\sqrt{\max(\hat V, \epsilon_1^2)}}, \quad
        p \leftarrow p - \frac{\alpha_t}{\max(1, \mathrm{RMS}(U) / d)} U

        \alpha_t = \max(\epsilon_2, \mathrm{RMS}(p)) \min(\gamma, 1 / \sqrt t), \quad
        1 - \hat\beta_{2t} = t^{\tau}

    Tensors of one dimension or none keep the whole second moment.

    Args:
        params: parameters, named parameters or groups.
        lr: the largest relative step size :math:`\gamma`.
        beta2_decay: :math:`\tau`.
        eps: :math:`(\epsilon_1, \epsilon_2)`; None for the first stands for the dtype's epsilon.
        d: clipping threshold.
        weight_decay: shrinks the parameter by 1 - lr weight_decay before the step.
        maximize: climb instead of descend.
        foreach: accepted; there is one implementation.

    State: ``step``, and ``row_var`` with ``col_var``, or ``variance``.

    Raises:
        ValueError: an option is out of its range.
    """

    _options = {"foreach": None}
    _scalars = ("step",)

    def __init__(
        self,
        params,
        lr=1e-2,
        beta2_decay=-0.8,
        eps=(None, 1e-3),
        d=1.0,
        weight_decay=0.0,
        *,
        foreach=None,
        maximize=False,
    ):
        check_lr(lr, "Learning rate should be >= 0 but is: {}")
        if not 0.0 >= beta2_decay:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not 0.0 <= eps[0]:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not 0.0 <= eps[1]:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not 1.0 <= d:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _new_state(self, p, group):
        shape, dtype = p._data.shape, p._data.dtype
        if len(shape) < 2:
            return {"step": scalar_state(0.0), "variance": zeros_like(p)}
        return {
            "step": scalar_state(0.0),
            "row_var": wrap(np.zeros((*shape[:-1], 1), dtype)),
            "col_var": wrap(np.zeros((*shape[:-2], 1, shape[-1]), dtype)),
        }

    def step(self, closure=None):
        """Changes the parameters by their gradients; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group):
        sign = -1.0 if group["maximize"] else 1.0
        lr, wd, (eps1, eps2) = value_of(group["lr"]), group["weight_decay"], group["eps"]
        for p, grad, state in self._active(group):
            if not p._data.size:
                advance(state)
                continue
            compute = np.float64 if p._data.dtype == np.float64 else np.float32
            x, g = (np.ascontiguousarray(a, compute) for a in (p._data, grad))
            low = finfo(p.dtype).eps if eps1 is None else eps1
            t = advance(state)
            flat = x.reshape(-1)
            rms = dot(flat, flat) ** 0.5 / x.size**0.5
            alpha = float(max(eps2, rms) * min(lr, 1 / t**0.5))
            keep = float(1 - lr * wd) if wd != 0 else 1.0
            tail = (float(low * low), keep, alpha, x.size**0.5 * float(group["d"]))
            weight = float(t ** group["beta2_decay"])
            if g.ndim < 2:
                second = state["variance"]._data
                v = np.ascontiguousarray(second, compute).reshape(-1)
                adafactor_vector(flat, g.reshape(-1), v, sign, weight, *tail)
                _store(second, v)
            else:
                second = state["row_var"]._data, state["col_var"]._data
                batch = (-1, *g.shape[-2:])
                x3, g3 = x.reshape(batch), g.reshape(batch)
                row, col = (np.ascontiguousarray(a, compute).reshape(len(x3), -1) for a in second)
                mean = np.empty(len(x3), compute)
                adafactor_moments(g3, row, col, mean, weight, float(low))
                adafactor_matrix(x3, g3, row, col, mean, sign, *tail)
                _store(second[0], row)
                _store(second[1], col)
            _store(p._data, flat)
            p._bump()


def _store(target, work):
    """Writes a kernel's result back where the kernel ran on a copy."""
    if not np.may_share_memory(target, work):
        target[...] = work.reshape(target.shape)
