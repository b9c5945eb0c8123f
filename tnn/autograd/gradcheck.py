"""Numerical checks of gradients by central differences."""

import numpy as np


class GradcheckError(RuntimeError):
    """A gradient disagrees with its numerical estimate."""


def _outputs(result):
    from ..tensor import Tensor

    outs = (result,) if isinstance(result, Tensor) else tuple(result)
    return [o for o in outs if isinstance(o, Tensor) and o.dtype.is_floating_point]


def _numerical(fn, inputs, x, eps):
    """d(output)/dx for every output, each of shape (x.numel(), output.numel()), by central differences."""
    from .grad_mode import no_grad

    flat = x._data.reshape(-1)
    if flat.size and not np.shares_memory(flat, x._data):
        raise ValueError("gradcheck expects inputs whose memory is contiguous; pass a contiguous input")
    rows = []
    with no_grad():
        for i in range(flat.size):
            was = flat[i]
            flat[i] = was + eps
            up = [np.array(o._data, np.float64).reshape(-1) for o in _outputs(fn(*inputs))]
            flat[i] = was - eps
            down = [np.array(o._data, np.float64).reshape(-1) for o in _outputs(fn(*inputs))]
            flat[i] = was
            rows.append([(u - d) / (2 * eps) for u, d in zip(up, down, strict=True)])
    return [np.array([r[k] for r in rows]) for k in range(len(rows[0]))] if rows else None


def gradcheck(
    func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, nondet_tol=0.0, check_undefined_grad=True,
    check_grad_dtypes=False, check_batched_grad=False, check_batched_forward_grad=False, check_forward_ad=False,
    check_backward_ad=True, fast_mode=False, masked=False,
):  # fmt: skip
    """Compares the gradients that backward gives with central differences, for every input that requires them.

    Args:
        func: takes the inputs, returns a tensor or a sequence of tensors.
        inputs: a tensor or a sequence of arguments; float64 tensors with ``requires_grad`` are checked.
        eps: the step of the differences.
        atol, rtol: the tolerances.
        raise_exception: raise on a disagreement, instead of returning False.

    Returns:
        True where everything agrees.

    Raises:
        GradcheckError: a gradient disagrees.
        ValueError: no input requires gradients.
    """
    from ..tensor import Tensor, wrap
    from . import grad

    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [t for t in inputs if isinstance(t, Tensor) and t._rg]
    if not checked:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )

    def fail(message):
        if raise_exception:
            raise GradcheckError(message)
        return False

    outs = _outputs(func(*inputs))
    for n, x in enumerate(checked):
        numerical = _numerical(func, inputs, x, eps)
        for k, out in enumerate(outs):
            if not out._rg:
                if numerical is not None and np.abs(numerical[k]).max(initial=0) > atol:
                    return fail(f"output {k} does not require gradients, but depends on input {n}")
                continue
            analytic = np.zeros((x._data.size, out._data.size))
            for j in range(out._data.size):
                seed = np.zeros(out._data.shape, out._data.dtype)
                seed.reshape(-1)[j] = 1
                (g,) = grad(out, x, wrap(seed), retain_graph=True, allow_unused=True)
                if g is not None:
                    if g._data.shape != x._data.shape:
                        return fail(
                            f"gradient of input {n} has shape {list(g._data.shape)}, expected {list(x._data.shape)}"
                        )
                    analytic[:, j] = g._data.reshape(-1)
            if numerical is not None and not np.allclose(analytic, numerical[k], rtol=rtol, atol=atol):
                return fail(
                    f"Jacobian mismatch for output {k} with respect to input {n},\n"
                    f"numerical:{numerical[k]}\nanalytical:{analytic}\n"
                )
    return True


def gradgradcheck(func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, **kwargs):
    """Checks the gradients of gradients: as :func:`gradcheck`, for the backward of ``func``.

    Args:
        grad_outputs: the gradients to start from; random ones by default.
    """
    from ..tensor import Tensor, wrap
    from . import grad
    from .grad_mode import enable_grad

    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    outs = _outputs(func(*inputs))
    if grad_outputs is None:
        rng = np.random.RandomState(0)
        grad_outputs = [wrap(np.asarray(rng.uniform(-1, 1, o._data.shape))) for o in outs]
        for g in grad_outputs:
            g._rg = True
    else:
        grad_outputs = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    n = len(inputs)

    # The numerical estimate runs without recording; these gradients need a graph all the same.
    @enable_grad()
    def first(*args):
        xs, gs = args[:n], args[n:]
        outs = [o for o in _outputs(func(*xs))]
        pairs = [(o, g) for o, g in zip(outs, gs, strict=True) if o._rg]
        wanted = [x for x in xs if isinstance(x, Tensor) and x._rg]
        found = grad([o for o, _ in pairs], wanted, [g for _, g in pairs], create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(first, (*inputs, *grad_outputs), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)
