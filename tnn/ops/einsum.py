"""Sums of products named by letters, and the products built on them: einsum, tensordot, kron, cross, chain_matmul."""

import math
import string
from functools import lru_cache

from ..tensor import Tensor
from ._common import check_same_dtype, check_tensor, into, numpy_names, wrap_dim

_LETTERS = string.ascii_uppercase + string.ascii_lowercase


def _parse(equation, operands):
    """The labels of each operand, as lists with None for the ellipsis, and those of the output (None where not
    given)."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    if "->" in right:
        raise RuntimeError("einsum(): found '->' more than once in the equation")

    def labels(part, what):
        out, i = [], 0
        while i < len(part):
            if part.startswith("...", i):
                if None in out:
                    raise RuntimeError(f"einsum(): found '.' for {what} for which an ellipsis was already found")
                out.append(None)
                i += 3
            elif part[i] in _LETTERS:
                out.append(part[i])
                i += 1
            elif part[i] == ".":
                raise RuntimeError(f"einsum(): found '.' for {what} that is not part of any ellipsis")
            else:
                raise RuntimeError(
                    f"einsum(): invalid subscript given at {what}, subscripts must be in [a-zA-Z]: {part[i]!r}"
                )
        return out

    parts = left.split(",")
    if len(parts) != len(operands):
        raise RuntimeError(
            f"einsum(): {'more' if len(operands) > len(parts) else 'fewer'} operands were provided than specified in "
            f"the equation ({len(operands)}, not {len(parts)})"
        )
    return [labels(p, f"operand {i}") for i, p in enumerate(parts)], labels(right, "the output") if arrow else None


def _from_sublists(args):
    """The operands and labels of ``einsum(op1, [0, 1], op2, [1, 2], [0, 2])``."""

    def labels(items):
        out = []
        for i in items:
            if i is ...:
                out.append(None)
            elif isinstance(i, int) and 0 <= i < len(_LETTERS):
                out.append(_LETTERS[i])
            else:
                raise ValueError(
                    f"einsum(): subscripts in sublists must be within the range [0, {len(_LETTERS)}), got {i!r}"
                )
        return out

    n = len(args) // 2 * 2
    return list(args[:n:2]), [labels(a) for a in args[1:n:2]], labels(args[-1]) if len(args) > n else None


def _expand_ellipses(operands, inputs, output):
    """Replaces every ellipsis by labels of its own, integers counted from the last dimension."""
    wide = 0
    for i, (t, labels) in enumerate(zip(operands, inputs, strict=True)):
        named = len(labels) - (None in labels)
        n = t.ndim
        if n < named or (n > named and None not in labels):
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) does not match the number of "
                f"dimensions ({n}) for operand {i}" + ("" if None in labels else " and no ellipsis was given")
            )
        wide = max(wide, n - named) if None in labels else wide
    inputs = [
        [x for a in labels for x in (range(t.ndim - len(labels) + 1, 0, -1) if a is None else (a,))]
        for t, labels in zip(operands, inputs, strict=True)
    ]
    everything = [x for labels in inputs for x in labels]
    if output is None:
        letters = sorted({x for x in everything if isinstance(x, str) and everything.count(x) == 1})
        output = [*range(wide, 0, -1), *letters]
    else:
        output = [x for a in output for x in (range(wide, 0, -1) if a is None else (a,))]
        for x in output:
            if output.count(x) > 1:
                raise RuntimeError(f"einsum(): output subscript {x} appears more than once in the output")
            if isinstance(x, str) and x not in everything:
                raise RuntimeError(
                    f"einsum(): output subscript {x} does not appear in the equation for any input operand"
                )
    return inputs, output


def _without_repeats(t, labels):
    """Takes the diagonal for a label that stands twice at one operand."""
    labels = list(labels)
    for x in dict.fromkeys(labels):
        while labels.count(x) > 1:
            i = labels.index(x)
            j = labels.index(x, i + 1)
            if t.shape[i] != t.shape[j]:
                raise RuntimeError(
                    f"einsum(): subscript {x} is repeated but the sizes don't match, {t.shape[j]} != {t.shape[i]}"
                )
            t = t.diagonal(0, i, j)
            del labels[j], labels[i]
            labels.append(x)
    return t, labels


def _check_sizes(operands, inputs):
    """Raises RuntimeError where one label has different sizes, other than 1."""
    sizes = {}
    for i, (t, labels) in enumerate(zip(operands, inputs, strict=True)):
        for x, n in zip(labels, t.shape, strict=True):
            if sizes.setdefault(x, n) != n:
                if 1 not in (n, sizes[x]):
                    raise RuntimeError(
                        f"einsum(): operands do not broadcast with remapped shapes: subscript {x} has size {n} for "
                        f"operand {i} which does not broadcast with previously seen size {sizes[x]}"
                    )
                sizes[x] = max(n, sizes[x]) if 0 not in (n, sizes[x]) else 0


def _pair(a, la, b, lb, kept):
    """Sums the product of two operands over the labels that are at both and not in ``kept``: one batched product of
    matrices. Labels at one operand only are summed by then, or kept."""
    a, la = _sum_out(a, la, {x for x in la if x not in lb and x not in kept})
    b, lb = _sum_out(b, lb, {x for x in lb if x not in la and x not in kept})
    size = {}
    for t, labels in ((a, la), (b, lb)):
        for x, n in zip(labels, t.shape, strict=True):
            size[x] = n if size.get(x, 1) == 1 else size[x]
    shared = [x for x in la if x in lb]
    # a size of 1 against another is no real partner: sum it out where it is contracted
    for x in shared:
        if x not in kept and a.shape[la.index(x)] != b.shape[lb.index(x)]:
            if a.shape[la.index(x)] == 1:
                b = b.sum(lb.index(x), keepdim=True)
            else:
                a = a.sum(la.index(x), keepdim=True)
            size[x] = 1
    contracted = [x for x in shared if x not in kept]
    batch = [x for x in shared if x in kept]
    only_a = [x for x in la if x not in lb]
    only_b = [x for x in lb if x not in la]
    if not contracted:
        out = [*batch, *only_a, *only_b]
        a = a.permute([la.index(x) for x in (*batch, *only_a)])
        b = b.permute([lb.index(x) for x in (*batch, *only_b)])
        a = a.reshape(*a.shape, *(1,) * len(only_b))
        b = b.reshape(*b.shape[: len(batch)], *(1,) * len(only_a), *b.shape[len(batch) :])
        return a * b, out

    def blocks(t, labels, *groups):
        t = t.permute([labels.index(x) for g in groups for x in g])
        full = [size[x] for g in groups for x in g]
        if list(t.shape) != full:
            t = t.expand(full)
        return t.reshape([math.prod(size[x] for x in g) for g in groups])

    x = blocks(a, la, batch, only_a, contracted)
    y = blocks(b, lb, batch, contracted, only_b)
    product = x[0].matmul(y[0]) if not batch else x.matmul(y)
    out = [*batch, *only_a, *only_b]
    return product.reshape([size[i] for i in out]), out


def _sum_out(t, labels, gone):
    """Sums over the labels in ``gone``."""
    if not gone:
        return t, labels
    return t.sum([i for i, x in enumerate(labels) if x in gone]), [x for x in labels if x not in gone]


@lru_cache(maxsize=1024)
def _plan_of_two(equation, shape_a, shape_b):
    """How to get ``einsum(equation, a, b)`` by one product of matrices: the permutation and the shape of a, of b and of
    the result, None where there is nothing to do. None in all where it takes more than that."""
    inputs, output = _parse(equation, (shape_a, shape_b))
    la, lb = inputs
    if None in la or None in lb or output is not None and None in output:
        return None
    if len(la) != len(shape_a) or len(lb) != len(shape_b) or len({*la}) != len(la) or len({*lb}) != len(lb):
        return None
    if output is None:
        output = sorted({*la} ^ {*lb})
    size = dict(zip(lb, shape_b, strict=True)) | dict(zip(la, shape_a, strict=True))
    summed = [x for x in la if x in lb and x not in output]
    if not summed or len({*output}) != len(output) or any(x not in size for x in output):
        return None
    if any(size[x] != n for x, n in zip(lb, shape_b, strict=True)) or ({*la} ^ {*lb}) - {*output}:
        return None
    batch = [x for x in la if x in lb and x in output]
    of_a, of_b = [x for x in la if x not in lb], [x for x in lb if x not in la]

    def step(labels, shape, *groups):
        order = tuple(labels.index(x) for g in groups for x in g)
        groups = [g for i, g in enumerate(groups) if i or batch]
        new = tuple(math.prod(size[x] for x in g) for g in groups)
        moved = tuple(shape[i] for i in order)
        return None if order == tuple(range(len(order))) else order, None if new == moved else new

    have = [*batch, *of_a, *of_b]
    groups = ([batch] if batch else []) + [of_a, of_b]
    order = tuple(have.index(x) for x in output)
    return (
        step(la, shape_a, batch, of_a, summed),
        step(lb, shape_b, batch, summed, of_b),
        None if all(len(g) == 1 for g in groups) else tuple(size[x] for x in have),
        None if order == tuple(range(len(order))) else order,
    )


def _by_matrices(plan, a, b):
    for i, t in enumerate((a, b)):
        order, shape = plan[i]
        if order is not None:
            t = t.permute(order)
        if shape is not None:
            t = t.reshape(shape)
        a, b = (t, b) if i == 0 else (a, t)
    y = a.matmul(b)
    if plan[2] is not None:
        y = y.reshape(plan[2])
    return y if plan[3] is None else y.permute(plan[3])


def einsum(*args):
    """Sums of products of the operands' elements, by Einstein's summation convention.

    ``einsum("ij,jk->ik", a, b)`` is ``a @ b``. A letter names a dimension; letters missing in the output are summed
    over. Without ``->`` the output has the letters that appear once, in alphabetical order, after the dimensions of an
    ellipsis ``...``, which stands for any number of dimensions that are broadcast. A letter that stands twice at one
    operand takes its diagonal. ``einsum(a, [0, 1], b, [1, 2], [0, 2])`` is the same with numbers for letters.

    Operands are combined from left to right, each time by one batched product of matrices.

    Args:
        args: an equation and the operands, or operands and lists of numbers by turns.

    Shape:
        output the sizes of the output's letters.

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: the equation does not fit the operands.
        ValueError: no equation, or no operand.

    >>> import tnn
    >>> tnn.einsum("ii->", tnn.eye(3)).item()
    3.0
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    if len(args) == 3 and isinstance(args[0], str) and isinstance(args[1], Tensor) and isinstance(args[2], Tensor):
        plan = _plan_of_two(args[0], args[1]._data.shape, args[2]._data.shape)
        if plan is not None:
            return _by_matrices(plan, args[1], args[2])
    if isinstance(args[0], Tensor):
        operands, inputs, output = _from_sublists(args)
    else:
        operands = list(args[1]) if len(args) == 2 and isinstance(args[1], list | tuple) else list(args[1:])
        inputs, output = _parse(args[0], operands)
    for i, t in enumerate(operands):
        check_tensor("einsum", f"operands[{i}]", t)
    inputs, output = _expand_ellipses(operands, inputs, output)
    pairs = [_without_repeats(t, labels) for t, labels in zip(operands, inputs, strict=True)]
    _check_sizes([t for t, _ in pairs], [labels for _, labels in pairs])
    t, labels = pairs[0]
    for k, (u, more) in enumerate(pairs[1:], 2):
        later = {x for _, rest in pairs[k:] for x in rest}
        t, labels = _pair(t, labels, u, more, later.union(output))
    t, labels = _sum_out(t, labels, {x for x in labels if x not in output})
    order = [labels.index(x) for x in output]
    return t if order == list(range(len(order))) else t.permute(order)


def tensordot(a, b, dims=2, out=None):
    """Sums products over dimensions of ``a`` and ``b``: over the last ``dims`` of a and the first of b, or over pairs.

    Args:
        a, b: tensors of one dtype.
        dims: an int, or two lists of dimensions, of a and of b.
        out: tensor to write the result to, or None.

    Shape:
        the sizes of a's and then of b's other dimensions.

    Raises:
        TypeError: ``a`` or ``b`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: the sizes of paired dimensions differ, or there are too few dimensions, or ``out`` cannot hold the
            result.
    """
    check_tensor("tensordot", "a", a, 1)
    check_tensor("tensordot", "b", b, 2)
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        of_a, of_b = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        of_a, of_b = ([d] if isinstance(d, int) else list(d) for d in dims)
        if len(of_a) != len(of_b):
            raise RuntimeError(f"both dimension lists should have same length, got {len(of_a)} and {len(of_b)}")
        of_a, of_b = [wrap_dim(d, a.ndim) for d in of_a], [wrap_dim(d, b.ndim) for d in of_b]
    for i, j in zip(of_a, of_b, strict=True):
        n, m = a.shape[i], b.shape[j]
        if n != m:
            if n == 1:
                b = b.sum(j, keepdim=True, dtype=b.dtype)
            elif m == 1:
                a = a.sum(i, keepdim=True, dtype=a.dtype)
            else:
                raise RuntimeError(
                    f"contracted dimensions need to match, but first has size {n} in dim {i} and second has size {m} "
                    f"in dim {j}"
                )
    rest_a = [i for i in range(a.ndim) if i not in of_a]
    rest_b = [i for i in range(b.ndim) if i not in of_b]
    n = math.prod(a.shape[i] for i in of_a)
    shape_a, shape_b = [a.shape[i] for i in rest_a], [b.shape[i] for i in rest_b]
    x = a.permute([*rest_a, *of_a]).reshape(math.prod(shape_a), n)
    y = b.permute([*of_b, *rest_b]).reshape(n, math.prod(shape_b))
    return into(out, x.matmul(y).reshape([*shape_a, *shape_b]), "tensordot")


def kron(input, other, *, out=None):
    """The Kronecker product: block (i, j) of the result is ``input[i, j] * other``.

    Args:
        input, other: tensors; the one of fewer dimensions counts as having more of size 1 in front.
        out: where to write the result.

    Shape:
        Sizes multiply dimension by dimension.

    Raises:
        TypeError: ``input`` or ``other`` is not a tensor.
        RuntimeError: ``out`` cannot hold the result.
    """
    check_tensor("kron", "input", input, 1)
    check_tensor("kron", "other", other, 2)
    n = max(input.ndim, other.ndim)
    a = input.reshape((1,) * (n - input.ndim) + tuple(input.shape))
    b = other.reshape((1,) * (n - other.ndim) + tuple(other.shape))
    wide = a.reshape([s for m in a.shape for s in (m, 1)]) * b.reshape([s for m in b.shape for s in (1, m)])
    return into(out, wide.reshape([i * j for i, j in zip(a.shape, b.shape, strict=True)]), "kron")


@numpy_names
def cross(input, other, dim=None, *, out=None):
    """The cross product of vectors of 3 elements that lie along ``dim`` (None: the first dimension of size 3).

    Args:
        input, other: tensors of one dtype whose shapes broadcast.
        dim: the dimension of size 3, or None.
        out: tensor to write the result to, or None.

    Shape:
        Shapes that broadcast; the result has the common one.

    Raises:
        TypeError: ``input`` or ``other`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: ``dim`` has not size 3, or the shapes cannot be broadcast, or ``out`` cannot hold the result.
    """
    check_tensor("cross", "input", input, 1)
    check_tensor("cross", "other", other, 2)
    check_same_dtype("linalg.cross", input=input, other=other)
    if input.ndim != other.ndim:
        raise RuntimeError(
            f"linalg.cross: inputs must have the same number of dimensions, got {input.ndim} and {other.ndim}"
        )
    if dim is None:
        dim = next((i for i, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise RuntimeError("no dimension of size 3 in input")
    dim = wrap_dim(dim, input.ndim)
    if input.shape[dim] != 3 or other.shape[dim] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {input.shape[dim]} and {other.shape[dim]}"
        )
    from .joining import stack

    a, b = input.unbind(dim), other.unbind(dim)
    return into(out, stack([a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2] for i in range(3)], dim), "cross", input, other)


def linalg_cross(input, other, *, dim=-1, out=None):
    """``linalg.cross``: the cross product of vectors of 3 elements along ``dim``.

    Args:
        input, other: tensors of one dtype whose shapes broadcast.
        dim: the dimension of size 3.
        out: tensor to write the result to, or None.

    Shape:
        that to which both broadcast.

    Raises:
        TypeError: ``input`` or ``other`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: ``dim`` has not size 3, or the shapes cannot be broadcast, or ``out`` cannot hold the result.
    """
    return into(out, cross(input, other, dim), "linalg_cross", input, other)


def chain_matmul(*matrices, out=None):
    """The product of two or more matrices, multiplied in the order that costs least.

    Args:
        matrices: 2-D tensors.
        out: where to write the result.

    Shape:
        (n_0, n_1), (n_1, n_2), ... give (n_0, n_k).

    Raises:
        TypeError: one is no tensor.
        RuntimeError: sizes do not fit, or ``out`` cannot hold the result.
    """
    from .linalg import multi_dot

    return into(out, matrices[0] if len(matrices) == 1 else multi_dot(matrices), "chain_matmul")


def inner(input, other, *, out=None):
    """The sum of products over the last dimension of both; of scalars, the product.

    Args:
        input, other: tensors of one dtype.
        out: tensor to write the result to, or None.

    Shape:
        (*, n) and (+, n) give (*, +).

    Raises:
        TypeError: ``input`` or ``other`` is not a tensor.
        RuntimeError: the last dimensions differ in size, or ``out`` cannot hold the result.
    """
    check_tensor("inner", "input", input, 1)
    check_tensor("inner", "other", other, 2)
    if not input.ndim or not other.ndim:
        return into(out, input * other, "inner")
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(input.shape)} and "
            f"{list(other.shape)}"
        )
    return into(out, tensordot(input, other, ([-1], [-1])), "inner.tensordot")
