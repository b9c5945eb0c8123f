"""Less memory for more time: a stretch of a network whose intermediate tensors are computed again in backward."""

import contextlib

from ..autograd import Function, backward
from ..autograd.autocast import autocast, get_autocast_dtype, is_autocast_enabled
from ..autograd.grad_mode import enable_grad, mode
from ..autograd.graph import saved_tensors_hooks
from ..random import fork_rng, get_rng_state, set_rng_state
from ..tensor import Tensor

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential", "noop_context_fn"]


class CheckpointError(RuntimeError):
    """The second run of a checkpointed function kept other tensors than the first."""


def noop_context_fn():
    """Two contexts that do nothing, for the run in forward and for the one in backward."""
    return contextlib.nullcontext(), contextlib.nullcontext()


class _Surroundings:
    """The random numbers' and autocast's state at the first run, entered again around the second."""

    def __init__(self, preserve_rng_state):
        self.rng = get_rng_state() if preserve_rng_state else None
        self.autocast = is_autocast_enabled("cpu"), get_autocast_dtype("cpu")

    @contextlib.contextmanager
    def again(self):
        enabled, dtype = self.autocast
        with fork_rng(enabled=self.rng is not None), autocast("cpu", dtype, enabled), enable_grad():
            if self.rng is not None:
                set_rng_state(self.rng)
            yield


class _Stop(Exception):
    """Everything that the first run kept is there again."""


class _Kept:
    """The tensors that one run keeps for backward: their numbers at first, themselves from the second run on."""

    def __init__(self, run, surroundings, context, check):
        self.run, self.surroundings, self.context, self.check = run, surroundings, context, check
        self.shapes = []
        self.again = {}

    def pack(self, tensor):
        self.shapes.append((tensor.shape, tensor.dtype))
        return len(self.shapes) - 1

    def unpack(self, number):
        if number not in self.again:
            self._run_again()
        return self.again.pop(number)

    def _run_again(self):
        kept = []

        def pack(tensor):
            kept.append(tensor)
            if len(kept) == len(self.shapes):
                raise _Stop
            return tensor

        def unpack(tensor):
            return tensor

        try:
            with self.surroundings.again(), self.context, saved_tensors_hooks(pack, unpack):
                self.run()
        except _Stop:
            pass
        if len(kept) != len(self.shapes):
            raise CheckpointError(
                "tnn.utils.checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {len(self.shapes)}\n"
                f"Number of tensors saved during recomputation: {len(kept)}."
            )
        for i, (tensor, was) in enumerate(zip(kept, self.shapes, strict=True)):
            if self.check and (tensor.shape, tensor.dtype) != was:
                raise CheckpointError(
                    "tnn.utils.checkpoint: Recomputed values for the following tensors have different metadata than "
                    f"during the forward pass.\ntensor at position {i}:\nsaved metadata: {was}\n"
                    f"recomputed metadata: {(tensor.shape, tensor.dtype)}"
                )
        self.again = dict(enumerate(kept))


class _Reentrant(Function):
    """Backward runs the function again, recorded, and then a backward of its own through it."""

    @staticmethod
    def forward(ctx, run, surroundings, *args):
        ctx.run, ctx.surroundings = run, surroundings
        ctx.args = [None if isinstance(a, Tensor) else a for a in args]
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        ctx.save_for_backward(*[args[i] for i in ctx.places])
        return run(*args)

    @staticmethod
    def backward(ctx, *grads):
        args, tensors = list(ctx.args), ctx.saved_tensors
        for i, t in zip(ctx.places, tensors, strict=True):
            args[i] = t.detach().requires_grad_(t.requires_grad)
        with ctx.surroundings.again():
            outs = ctx.run(*args)
        outs = (outs,) if isinstance(outs, Tensor) else outs
        pairs = [(o, g) for o, g in zip(outs, grads, strict=True) if isinstance(o, Tensor) and o.requires_grad]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([o for o, _ in pairs], [g for _, g in pairs])
        return (None, None, *(a.grad if isinstance(a, Tensor) else None for a in args))


def checkpoint(
    function, *args, use_reentrant=None, context_fn=noop_context_fn, determinism_check="default", debug=False,
    early_stop=True, **kwargs,
):  # fmt: skip
    """Runs a function without keeping its intermediate tensors; backward runs it a second time to have them.

    Args:
        function: what to run; the second run must compute the same.
        args: its arguments.
        use_reentrant: False keeps the tape and fills in what it needs in backward; True keeps no tape inside (then an
            argument must require gradients, and only ``backward()`` works, not ``autograd.grad``). None means True.
        context_fn: gives two contexts, for the first and for the second run; only where ``use_reentrant`` is False.
        determinism_check: 'default' compares shapes and dtypes of both runs, 'none' does not.
        debug, early_stop: accepted; the second run ends as soon as everything is there.
        kwargs: keyword arguments of ``function``, and ``preserve_rng_state`` (True): both runs draw the same numbers.

    Returns:
        What ``function`` returns.

    Raises:
        CheckpointError: in backward, where the second run kept other tensors than the first.
        ValueError: unknown keyword arguments, or a ``context_fn``, with ``use_reentrant=True``.

    Source: Chen et al., Training deep nets with sublinear memory cost, arXiv 1604.06174.

    >>> import tnn
    >>> x = tnn.ones(2, requires_grad=True)
    >>> tnn.utils.checkpoint.checkpoint(lambda t: t.exp().sin(), x, use_reentrant=False).sum().backward()
    >>> x.grad
    tensor([-2.4783, -2.4783])
    """
    surroundings = _Surroundings(kwargs.pop("preserve_rng_state", True))
    if use_reentrant is None or use_reentrant:
        if context_fn is not noop_context_fn or debug:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        return _Reentrant.apply(function, surroundings, *args)
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check should be one of ['default', 'none'] but got {determinism_check}")
    first, second = context_fn()
    if not mode.grad:
        with first:
            return function(*args, **kwargs)
    kept = _Kept(lambda: function(*args, **kwargs), surroundings, second, determinism_check == "default")
    with first, saved_tensors_hooks(kept.pack, kept.unpack):
        return function(*args, **kwargs)


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """Runs a list of modules or functions one after the other, all but the last segment of it checkpointed.

    Args:
        functions: a Sequential, or a list of modules or functions of one argument.
        segments: how many parts to cut the list into.
        input: what the first takes.
        use_reentrant: see :func:`checkpoint`.
        kwargs: ``preserve_rng_state``.

    Raises:
        ValueError: unknown keyword arguments.

    >>> import tnn
    >>> layers = [tnn.sin, tnn.cos, tnn.exp, tnn.tanh]
    >>> tnn.utils.checkpoint.checkpoint_sequential(layers, 2, tnn.zeros(1, requires_grad=True), use_reentrant=False)
    tensor([0.9913], grad_fn=<TanhBackward0>)
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    functions = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def part(lo, hi):
        def run(x):
            for f in functions[lo:hi]:
                x = f(x)
            return x

        return run

    size = len(functions) // segments
    for i in range(segments - 1):
        run = part(i * size, (i + 1) * size)
        input = checkpoint(run, input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return part((segments - 1) * size, len(functions))(input)
