"""L-BFGS."""

import math
from collections import namedtuple

import numpy as np

from ..autograd.grad_mode import enable_grad, no_grad
from ..kernels.optim import axpy, dot, scale
from ..kernels.optim_rows import abs_max, abs_sum
from ..tensor import Tensor, wrap
from .optimizer import Optimizer, check_lr, value_of

# A point on the line of search: step length, loss, gradient, and the slope along the line.
_Point = namedtuple("_Point", "t f g slope")


def _interpolate(a, b, low=None, high=None):
    """The minimum of the cubic through two points with their slopes, within [low, high], or the middle if there is none
    (Nocedal and Wright 2006, "Numerical optimization", equation 3.59)."""
    if low is None:
        low, high = min(a.t, b.t), max(a.t, b.t)
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    d2 = math.sqrt(square)
    if a.t > b.t:
        a, b = b, a
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(t, low), high)


def _bracket(evaluate, start, t, c1, c2, max_ls):
    """Grows the step until the wanted one lies between two points, or is found.

    Returns:
        ``(points, evaluations)``: one point that satisfies the Wolfe conditions, or two around such a one.
    """
    before, new = start, evaluate(t)
    evals = 1
    for n in range(max_ls):
        if new.f > start.f + c1 * new.t * start.slope or (n > 1 and new.f >= before.f):
            return [before, new], evals
        if abs(new.slope) <= -c2 * start.slope:
            return [new], evals
        if new.slope >= 0:
            return [before, new], evals
        t = _interpolate(before, new, new.t + 0.01 * (new.t - before.t), new.t * 10)
        before, new = new, evaluate(t)
        evals += 1
    return [start, new], evals


def _zoom(evaluate, start, points, d_norm, c1, c2, tolerance_change, left):
    """Shrinks the interval between two points around a good step, with at most ``left`` evaluations.

    Returns:
        ``(point, evaluations)``.
    """
    evals, stuck = 0, False
    low, high = (0, 1) if points[0].f <= points[1].f else (1, 0)
    while evals < left:
        least, most = min(p.t for p in points), max(p.t for p in points)
        if (most - least) * d_norm < tolerance_change:
            break
        t = _interpolate(*points)
        # a step too near an end of the interval: once is allowed, then it moves a tenth of the way in
        margin = 0.1 * (most - least)
        if min(most - t, t - least) < margin:
            if stuck or t >= most or t <= least:
                t = most - margin if abs(t - most) < abs(t - least) else least + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        new = evaluate(t)
        evals += 1
        if new.f > start.f + c1 * t * start.slope or new.f >= points[low].f:
            points[high] = new
            low, high = (0, 1) if points[0].f <= points[1].f else (1, 0)
            continue
        found = abs(new.slope) <= -c2 * start.slope
        if not found and new.slope * (points[high].t - points[low].t) >= 0:
            points[high] = points[low]
        points[low] = new
        if found:
            break
    return points[low], evals


def _strong_wolfe(evaluate, start, t, d_norm, c1=1e-4, c2=0.9, tolerance_change=1e-9, max_ls=25):
    """A step length that satisfies the strong Wolfe conditions (Nocedal and Wright, algorithms 3.5 and 3.6).

    Args:
        evaluate: gives the point at a step length.
        start: the point at 0.
        t: the first step length to try.
        d_norm: largest absolute element of the direction.

    Returns:
        ``(point, evaluations)``.
    """
    points, evals = _bracket(evaluate, start, t, c1, c2, max_ls)
    if len(points) == 1:
        return points[0], evals
    point, more = _zoom(evaluate, start, points, d_norm, c1, c2, tolerance_change, max_ls - (evals - 1))
    return point, evals + more


def _scaled(x, a):
    out = np.empty_like(x)
    scale(x, float(a), out)
    return out


class LBFGS(Optimizer):
    r"""Limited-memory BFGS (Liu and Nocedal 1989, "On the limited memory BFGS method for large scale optimization"),
    after Schmidt's minFunc. The direction is :math:`-H g`, with the inverse Hessian :math:`H` built from the last
    ``history_size`` changes of the parameters and of the gradient by the two-loop recursion.

    A step calls the closure several times, and there is one parameter group only.

    Args:
        params: parameters or named parameters.
        lr: learning rate.
        max_iter: iterations in a step.
        max_eval: calls of the closure in a step (default: ``max_iter * 1.25``).
        tolerance_grad: stop when no element of the gradient is larger.
        tolerance_change: stop when loss or parameters change by less.
        history_size: how many changes are kept.
        line_search_fn: ``"strong_wolfe"`` or None.

    Raises:
        ValueError: ``lr`` is negative, or there are several groups.
        RuntimeError: (in ``step``) another line search is asked for.
    """

    def __init__(
        self, params, lr=1, max_iter=20, max_eval=None, tolerance_grad=1e-7, tolerance_change=1e-9, history_size=100,
        line_search_fn=None,
    ):  # fmt: skip
        check_lr(lr)
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_eval, "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change, "history_size": history_size, "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def __setstate__(self, state):
        super().__setstate__(state)
        self._params = self.param_groups[0]["params"]

    # -- parameters as one vector

    def _dtype(self):
        return np.float64 if any(p._data.dtype == np.float64 for p in self._params) else np.float32

    def _flat_grad(self):
        parts, dtype = [], self._dtype()
        for p in self._params:
            g = p._grad
            if g is None:
                parts.append(np.zeros(p._data.size, dtype))
            else:
                data = (g.to_dense() if g.is_sparse else g)._data
                parts.append(np.ascontiguousarray(data, dtype).reshape(-1))
        return np.concatenate(parts)

    def _move(self, t, d):
        """p <- p + t d."""
        at = 0
        for p in self._params:
            x = p._data
            part = d[at : at + x.size]
            at += x.size
            work = np.ascontiguousarray(x, d.dtype).reshape(-1)
            axpy(part, float(t), work)
            if not np.may_share_memory(work, x):
                x[...] = work.reshape(x.shape)
            p._bump()

    def _evaluate(self, closure, saved, t, d):
        """The point at distance t along d; the parameters are put back."""
        self._move(t, d)
        loss = float(value_of(closure()))
        g = self._flat_grad()
        for p, x in zip(self._params, saved, strict=True):
            p._data[...] = x
            p._bump()
        return _Point(t, loss, g, dot(g, d))

    # -- the step

    def _direction(self, g, memory):
        """The two-loop recursion: d = -H g."""
        ys, ss, ro, h = memory["old_dirs"], memory["old_stps"], memory["ro"], memory["H_diag"]
        d = _scaled(g, -1.0)
        al = [0.0] * len(ys)
        for i in reversed(range(len(ys))):
            al[i] = dot(ss[i], d) * ro[i]
            axpy(ys[i], -al[i], d)
        scale(d, float(h), d)
        for i in range(len(ys)):
            axpy(ss[i], al[i] - dot(ys[i], d) * ro[i], d)
        return d

    def _remember(self, memory, y, s, size):
        ys = dot(y, s)
        if ys > 1e-10:
            for name, value in (("old_dirs", y), ("old_stps", s), ("ro", 1.0 / ys)):
                if len(memory[name]) == size:
                    memory[name].pop(0)
                memory[name].append(value)
            memory["H_diag"] = ys / dot(y, y)

    def _load(self, state):
        """The state as arrays and floats."""

        def plain(x):
            if isinstance(x, list):
                return [plain(e) for e in x]
            if isinstance(x, Tensor):
                return np.ascontiguousarray(x._data, self._dtype()).reshape(-1) if x._data.ndim else float(x)
            return x

        names = ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")
        return {name: plain(state.get(name)) for name in names}

    def _save(self, state, memory):
        def boxed(x):
            if isinstance(x, list):
                return [boxed(e) for e in x]
            return wrap(x) if isinstance(x, np.ndarray) else x

        for name, value in memory.items():
            state[name] = boxed(value)

    @no_grad()
    def step(self, closure):
        """Runs up to ``max_iter`` iterations.

        Args:
            closure: clears the gradients, computes the loss and its gradients, and returns the loss.

        Returns:
            The loss at the beginning.
        """
        closure = enable_grad()(closure)
        group = self.param_groups[0]
        lr, max_iter, max_eval = float(value_of(group["lr"])), group["max_iter"], group["max_eval"]
        tolerance_grad, tolerance_change = group["tolerance_grad"], group["tolerance_change"]
        search = group["line_search_fn"]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        first_loss = closure()
        loss = float(value_of(first_loss))
        evals = 1
        state["func_evals"] += 1
        g = self._flat_grad()
        if abs_max(g) <= tolerance_grad:
            return first_loss
        memory = self._load(state)
        for n in range(1, max_iter + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d = _scaled(g, -1.0)
                memory.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            else:
                y = g.copy()
                axpy(memory["prev_flat_grad"], -1.0, y)
                self._remember(memory, y, _scaled(memory["d"], memory["t"]), group["history_size"])
                d = self._direction(g, memory)
            memory["d"], memory["prev_flat_grad"], memory["prev_loss"] = d, g.copy(), loss
            t = lr
            if state["n_iter"] == 1:
                t = min(1.0, 1.0 / abs_sum(g)) * lr
            memory["t"] = t
            slope = dot(g, d)
            if slope > -tolerance_change:
                break
            used = 0
            done = False
            if search is not None:
                if search != "strong_wolfe":
                    raise RuntimeError(f"only 'strong_wolfe' is supported, got {search!r}")
                saved = [p._data.copy() for p in self._params]
                point, used = _strong_wolfe(
                    lambda t, d=d, saved=saved: self._evaluate(closure, saved, t, d),
                    _Point(0, loss, g, slope), t, abs_max(d), max_ls=max_eval - evals,
                )  # fmt: skip
                memory["t"] = t = point.t
                loss, g = point.f, point.g
                self._move(t, d)
                done = abs_max(g) <= tolerance_grad
            else:
                self._move(t, d)
                if n != max_iter:
                    loss = float(value_of(closure()))
                    g = self._flat_grad()
                    done = abs_max(g) <= tolerance_grad
                    used = 1
            evals += used
            state["func_evals"] += used
            if done or n == max_iter or evals >= max_eval or abs_max(d) * abs(t) <= tolerance_change:
                break
            if abs(loss - memory["prev_loss"]) < tolerance_change:
                break
        self._save(state, memory)
        return first_loss
