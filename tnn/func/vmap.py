"""A function of one element as a function of a batch."""

import functools

from ..ops.joining import stack
from ..random import default_generator
from ..tensor import Tensor, wrap_zeros
from .tree import flatten, spread

__all__ = ["debug_unwrap", "vmap"]


def _dims(in_dims, args, kwargs):
    """(the arguments' leaves, what nests them again, the mapped dimension of each leaf or None, the batch's size)."""
    if not isinstance(in_dims, int | tuple | list | None):
        raise ValueError(f"vmap: expected in_dims to be an int or nested tuples of ints, got {type(in_dims).__name__}")
    leaves, build = flatten((args, kwargs))
    if not leaves:
        raise ValueError("vmap: got no inputs; there is nothing to map over")
    dims = [*spread(in_dims, args), *([0] * len(flatten(kwargs)[0]))]
    sizes = set()
    for i, (t, dim) in enumerate(zip(leaves, dims, strict=True)):
        if not isinstance(t, Tensor):
            if i < len(leaves) - len(flatten(kwargs)[0]) and dim is not None and not isinstance(in_dims, int):
                raise ValueError(f"vmap: got in_dim={dim} for an input of type {type(t).__name__}; expected None")
            dims[i] = None
        elif dim is not None:
            if not isinstance(dim, int) or not -t.ndim <= dim < t.ndim:
                raise ValueError(
                    f"vmap: got in_dim={dim!r} for an input of {t.ndim} dimensions; expected None or an int in "
                    f"[{-t.ndim}, {t.ndim})"
                )
            sizes.add(t.shape[dim])
    if len(sizes) > 1:
        raise ValueError(f"vmap: expected one size in the mapped dimensions, got {sorted(sizes)}")
    if not sizes:
        raise ValueError(f"vmap: at least one input must be a tensor with a mapped dimension, got in_dims={in_dims}")
    return leaves, build, dims, sizes.pop()


def _joined(results, size, out_dims):
    """The batch of the results of each element."""
    flats = [flatten(r) for r in results]
    build = flats[0][1]
    for t in flats[0][0]:
        if not isinstance(t, Tensor):
            raise ValueError(f"vmap: the function must return Tensors only, got {type(t).__name__}")
    out = []
    for i, dim in enumerate(spread(out_dims, results[0])):
        parts = [leaves[i] for leaves, _ in flats]
        if dim is None:
            out.append(parts[0])
            continue
        n = parts[0].ndim + 1
        if not isinstance(dim, int) or not -n <= dim < n:
            raise ValueError(f"vmap: got out_dim={dim!r} for an output of {n - 1} dimensions")
        if size:
            out.append(stack(parts, dim))
        else:
            shape = list(parts[0].shape)
            shape.insert(dim % n, 0)
            out.append(wrap_zeros(tuple(shape), parts[0]._data.dtype))
    return build(out)


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """Lets a function of one element take a batch: it is called for each, and the results are stacked.

    Args:
        func: takes and returns tensors, or nested tuples, lists and dicts of them.
        in_dims: the dimension to map over: an int for all positional arguments, or a tuple that nests as they do, or
            less deeply; None for what is the same for every element. Keyword arguments are mapped over dimension 0.
        out_dims: where the batch's dimension goes in the results; nests as they do, or less deeply. None: the result is
            the same for every element, and is returned as it is.
        randomness: what random operations do: 'error' raises, 'same' draws the same numbers for every element,
            'different' others.
        chunk_size: accepted.

    Returns:
        The function of a batch.

    Raises (when called):
        ValueError: the arguments do not fit ``in_dims``, the results ``out_dims``, or sizes differ.
        RuntimeError: ``randomness`` is none of the three, or it is 'error' and numbers were drawn.

    The elements are separate calls: it spares the writing of a loop, not its time.

    >>> import tnn
    >>> x, y = tnn.ones(3, 2), tnn.tensor([1.0, 2.0])
    >>> tnn.func.vmap(tnn.dot, in_dims=(0, None))(x, y)
    tensor([3., 3., 3.])
    """
    if randomness not in ("error", "same", "different"):
        raise RuntimeError(f"vmap: expected randomness 'error', 'same' or 'different', got {randomness!r}")
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0, got {chunk_size}")

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        leaves, build, dims, size = _dims(in_dims, args, kwargs)
        results, first = [], default_generator.get_state()
        for i in range(size or 1):
            picked = []
            for t, dim in zip(leaves, dims, strict=True):
                if dim is None:
                    picked.append(t)
                elif size:
                    picked.append(t.select(dim, i))
                else:  # there is no element: one of zeros tells what comes out
                    shape = list(t.shape)
                    del shape[dim]
                    picked.append(wrap_zeros(tuple(shape), t._data.dtype))
            if i and randomness == "same":
                default_generator.set_state(first)
            one, named = build(picked)
            results.append(func(*one, **named))
            if not i and randomness == "error" and not default_generator.get_state().equal(first):
                raise RuntimeError(
                    "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
                    "'different' randomness flags on vmap or perform the randomness operation out of vmap"
                )
        return _joined(results, size, out_dims)

    return wrapper


def debug_unwrap(tensor, *, recurse=True):
    """The tensor itself: elements of a batch are plain tensors here.

    Raises:
        TypeError: it is no Tensor.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"debug_unwrap(): expected a Tensor, got {type(tensor).__name__}")
    return tensor
