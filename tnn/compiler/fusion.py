"""Fusion: neighbouring elementwise kernels of a flat list become one loop each, of generated source.

A group holds kernels whose results have one number of elements and that have operands in common; what one of them
computes for the next stays in a register, and is written to memory only where somebody else reads it. The source of a
group's loop calls the kernels' own formulas; ``_chain`` compiles it and says why results are the same to the last bit.
A relu behind a matrix product or a convolution with bias or behind batch normalization becomes part of that kernel,
which can do it as it writes.

An operation may be moved to another place in the list only past operations with which it has nothing in common that
either of them writes. What cannot be fused stays what it was.
"""

import numpy as np

from ..kernels import _chain
from ..kernels._elementwise import KERNELS, Mended, MendedBinary, MendedWithNumber, WithNumber, _number_left
from ..kernels._walk import merged
from ..kernels.dropout import dropout_forward
from ..kernels.random import bernoulli_forward
from . import effects
from .records import Buffer, Fill, KernelCall, Ref

# How far back a group is looked for, how many kernels it may hold, and the shortest row that is worth a call.
REACH, MOST_KERNELS, SHORTEST = 16, 16, 64
_FLAT = {"_flat1": 1, "_flat2": 2, "_flat3": 3}
_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)


class Point:
    """An elementwise kernel call.

    Attributes:
        operation: the call in the flat list.
        name: what the generated source calls.
        kernel: the elementwise kernel whose formula that is, None for those of ``_chain``.
        sizes: the dimensions through which it walks, the innermost last.
        operands: ``(ref, elements from one to the next in each dimension)`` of what it reads.
        order: the formula's arguments: numbers of operands, and ``"p"`` for the next parameter.
        numbers: the parameters.
        out: the ref that it writes, in order.
    """

    def __init__(self, operation, name, kernel, sizes, operands, order, numbers, out):
        self.operation, self.name, self.kernel, self.sizes = operation, name, kernel, sizes
        self.operands, self.order, self.numbers, self.out = operands, order, numbers, out
        self.size = int(np.prod(sizes))
        self.before = None  # a call that has to come first, in place of a part of the operation's

    def refs(self):
        """All that it reads or writes."""
        return [*(ref for ref, _ in self.operands), self.out]


# ---------------------------------------------------------------------------------------------- what can be fused


def _by_address():
    return {a: (k, kind) for k in KERNELS for a, kind in ((k.f32, _F32), (k.f64, _F64)) if a}


def _constant(value):
    """The content of a ref that nobody ever writes, or None."""
    if not isinstance(value, Ref) or value.buffer.kind != "constant":
        return None
    return np.ndarray(value.shape, value.dtype, value.buffer.array, value.offset, value.strides)


def _elementwise(operation, table):
    name, args = operation.name, operation.args
    kernel, kind = table.get(args[0], (None, None))
    mended = isinstance(kernel, Mended | MendedBinary | MendedWithNumber)
    if kernel is None or mended or args[1].size == 0:
        return None
    out, count = args[1], kernel.count
    if name == "_strided":
        dims = _constant(args[5])
        if dims is None:
            return None
        sizes = tuple(dims[:, 0].tolist())
        operands = [(args[2 + i], tuple(dims[:, 1 + i].tolist())) for i in range(count)]
        numbers = args[6:8]
    else:
        sizes = (out.size,)
        operands = [(args[2 + i], (1,)) for i in range(count)]
        numbers = args[2 + count :]
    if int(np.prod(sizes)) != out.size:
        return None
    wanted = [kernel.first or kind, *[kind] * (count - 1)]
    if any(ref.dtype != want for (ref, _), want in zip(operands, wanted, strict=True)):
        return None
    if out.dtype != np.dtype(kernel.result or kind) or kernel.name.startswith("igamma"):  # computed in float64
        return None
    if isinstance(kernel, WithNumber):
        order = ["p", 0] if kernel.full is _number_left else [0, "p"]
        numbers = numbers[:1]
    else:
        taken = kernel.formula.__code__.co_argcount - count
        order, numbers = [*range(count), *["p"] * taken], numbers[:taken]
    return Point(operation, kernel.name, kernel, sizes, operands, order, numbers, out)


def _dropout(operation):
    """dropout_backward, and the second half of dropout_forward, which draws the mask first."""
    before = None
    if operation.name == "dropout_forward":
        state, x, mask, y, keep, factors = operation.args
        signature = tuple(operation.compiled.signature.args[i] for i in (0, 2, 4))
        assert operation.dispatcher is dropout_forward
        if signature not in bernoulli_forward.overloads:
            bernoulli_forward.compile(signature)
        before = KernelCall(bernoulli_forward, bernoulli_forward.overloads[signature], (state, mask, keep))
        sizes, of_mask = (y.size,), (1,)
    else:
        x, mask, y, factors = operation.args
        sizes, of_mask = ((y.shape[1],), (1,)) if y.shape[0] == 1 else (y.shape, (1, 0))
    found = _constant(factors)
    if found is None or y.size == 0 or x.dtype not in (_F32, _F64):
        return None
    numbers = found.tolist() if found.size == 3 else [found[0].item(), (found[0] * 0).item(), (found[0] * 0).item()]
    along = (1,) if len(sizes) == 1 else (sizes[1], 1)
    point = Point(operation, "masked", None, sizes, [(x, along), (mask, of_mask)], [0, 1, "p", "p", "p"], numbers, y)
    point.before = before
    return point


def _batch_norm(operation):
    x, y, mean, rstd, w, b, relu = operation.args
    if relu or not w.size or not b.size or not y.size or any(r.dtype != y.dtype for r in (x, mean, rstd, w, b)):
        return None
    n, c, length = y.shape
    operands = [(x, (c * length, length, 1)), *((r, (0, 1, 0)) for r in (mean, rstd, w, b))]
    return Point(operation, "normalized", None, (n, c, length), operands, [0, 1, 2, 3, 4], [], y)


def point_of(operation, table):
    """The elementwise kernel call that an operation is, or None."""
    if not isinstance(operation, KernelCall) or operation.expect is not None:
        return None
    point = None
    if operation.name in _FLAT or operation.name == "_strided":
        point = _elementwise(operation, table)
    elif operation.name in ("dropout_forward", "dropout_backward"):
        point = _dropout(operation)
    elif operation.name == "batch_norm_apply":
        point = _batch_norm(operation)
    if point is None or not all(ref.contiguous() for ref in point.refs()):
        return None
    return point if any(ref.dtype in (_F32, _F64) for ref in point.refs()) else None


# ---------------------------------------------------------------------------------------------- dimensions


def _steps(sizes):
    """How many elements lie behind one step of each dimension, and before the first."""
    out = [1]
    for size in reversed(sizes):
        out.append(out[-1] * size)
    return out[::-1]


def common(a, b):
    """Dimensions into which both a's and b's can be cut, or None."""
    cuts = sorted({*_steps(a), *_steps(b)}, reverse=True)
    if any(high % low for high, low in zip(cuts, cuts[1:], strict=False)):
        return None
    return tuple(high // low for high, low in zip(cuts, cuts[1:], strict=False)) or (1,)


def recut(sizes, strides, new):
    """The strides of an operand when its dimensions are cut into others."""
    steps, out, at = _steps(sizes), [], _steps(new)
    for low in at[1:]:
        d = max(k for k in range(len(sizes)) if steps[k] > low or k == 0)
        out.append(strides[d] * (low // steps[d + 1]))
    return tuple(out)


def joined(sizes, columns):
    """Neighbouring dimensions put together where all operands allow: the sizes, and each operand's strides."""
    rows = merged(sizes, *columns) or [[1, *[1] * len(columns)]]
    return [r[0] for r in rows], [[r[1 + k] for r in rows] for k in range(len(columns))]


# ---------------------------------------------------------------------------------------------- groups


def _overlap(a, b):
    """Whether two refs may share memory."""
    if a.buffer is not b.buffer:
        return effects.clash(a.buffer, b.buffer)
    ends = [r.offset + r.size * r.dtype.itemsize for r in (a, b)]
    return a.offset < ends[1] and b.offset < ends[0]


def _place(ref):
    return id(ref.buffer), ref.offset, ref.dtype


def _walks(point, sizes):
    """The refs of a call with their strides in other dimensions."""
    plain = tuple(_steps(sizes)[1:])
    return [*((r, recut(point.sizes, s, sizes)) for r, s in point.operands), (point.out, plain)]


def _consistent(members, sizes):
    """Whether what a member writes is, for all others, the very same elements in the same order or out of reach."""
    plain = tuple(_steps(sizes)[1:])
    for writer in members:
        for other in members:
            for ref, strides in _walks(other, sizes):
                if ref is writer.out or not _overlap(ref, writer.out):
                    continue
                same = _place(ref) == _place(writer.out) and ref.size == writer.out.size
                if not same or any(n > 1 and s != t for n, s, t in zip(sizes, strides, plain, strict=True)):
                    return False
    return True


class Group:
    """Elementwise kernel calls that become one loop."""

    def __init__(self, point):
        self.points, self.sizes, self.kind = [point], point.sizes, self.kind_of(point)

    @staticmethod
    def kind_of(point):
        """The type of a call's floats."""
        return next(r.dtype for r in point.refs() if r.dtype in (_F32, _F64))

    def takes(self, point):
        """Whether a call may follow the group's in the same loop."""
        if point.size != self.points[0].size or self.kind_of(point) != self.kind or len(self.points) >= MOST_KERNELS:
            return False
        sizes = common(self.sizes, point.sizes)
        if sizes is None or not self._related(point):
            return False
        members = [*self.points, point]
        columns = {(_place(r), s): s for p in members for r, s in _walks(p, sizes)}
        dims, _ = joined(sizes, list(columns.values()))
        # rows as short as those that one of them walks through anyway cost nothing more
        least = min([SHORTEST, *(p.sizes[-1] for p in members if p.operation.name == "_strided")])
        long = len(dims) == 1 or dims[-1] >= least
        return long and len(columns) <= _chain.MOST // 2 and _consistent(members, sizes)

    def _related(self, point):
        known = {_place(r) for p in self.points for r in p.refs()}
        return any(_place(r) in known for r in point.refs())

    def add(self, point):
        """Takes a call in."""
        self.sizes = common(self.sizes, point.sizes)
        self.points.append(point)

    def operations(self):
        """The calls as they were."""
        return [p.operation for p in self.points]


def _free(moving, fixed):
    """Whether two sets of operations may change places."""
    for written, touched in ((moving, fixed), (fixed, moving)):
        mine = {id(b): b for op in written for b in effects.written_buffers(op)}.values()
        theirs = {id(b): b for op in touched for b in op.buffers()}.values()
        if any(effects.clash(a, b) for a in mine for b in theirs):
            return False
    return True


def _members(slot):
    return slot.operations() if isinstance(slot, Group) else [slot]


def grouped(operations, table):
    """The list with groups in it."""
    slots = []
    for operation in operations:
        point = point_of(operation, table)
        if point is None:
            slots.append(operation)
            continue
        if point.before is not None:
            slots.append(point.before)
            point.operation = _Half(point)
        between = []
        for k in range(len(slots) - 1, max(-1, len(slots) - 1 - REACH), -1):
            slot = slots[k]
            if isinstance(slot, Group) and slot.takes(point):
                if _free([point.operation], between):
                    slot.add(point)
                    break
                if _free(slot.operations(), between):
                    slot.add(point)
                    slots.append(slots.pop(k))
                    break
            between += _members(slot)
        else:
            slots.append(Group(point))
    return slots


class _Half(KernelCall):
    """The second half of dropout_forward: what it does with the mask."""

    __slots__ = ("whole", "first")

    def __init__(self, point):
        whole = point.operation
        super().__init__(whole.dispatcher, whole.compiled, whole.args)
        self.whole, self.first = whole, point.before

    @property
    def name(self):
        return "masked"

    def refs(self):
        state, x, mask, y, keep, factors = self.args
        return [x, mask, y, factors]


# ---------------------------------------------------------------------------------------------- source


class Fused(KernelCall):
    """The call of a group's loop; ``text``, ``operands``: its source and the refs of its arguments, for the listing."""

    __slots__ = ("text", "operands", "numbers")


# Formulas of one operation, by what may become a fused multiply-add with their neighbours: a sum that takes a product,
# also by way of choices between values.
_SUMS = {"add_forward", "sub_forward"}
_MULTIPLIED = {"mul_forward", "div_forward", "square_forward"}
_CHOICES = {
    "relu_forward", "relu_backward", "hardtanh_forward", "hardtanh_backward", "threshold_forward", "threshold_backward",
    "hardshrink_forward", "shrink_backward", "clamp_forward", "where_forward", "maximum_forward", "minimum_forward",
    "abs_forward", "neg_forward", "eq_forward", "ne_forward", "lt_forward", "le_forward", "gt_forward", "ge_forward",
}  # fmt: skip
_SIMPLE = _SUMS | _MULTIPLIED | _CHOICES


class _Value:
    """What a loop has in a register: an element, or a formula's result.

    Attributes:
        name: what the source calls it.
        product: whether it may be the result of a multiplication.
        uses: how many formulas take it.
        apart: how many of them so far take it with nothing in common with the others.
    """

    def __init__(self, name, floats, made):
        self.name, self.floats, self.made = name, floats, made
        self.product, self.uses, self.apart = False, 0, 0


class _Source:
    """Writes the loop of a group.

    Args:
        group: the group.
        kept: a function of a ref: whether it has to be in memory afterwards.
    """

    def __init__(self, group, kept):
        self.group, self.sizes = group, group.sizes
        self.operands, self.columns = [], []
        self.values, self.numbers, self.zeros = {}, [], 0
        self.body, self.kernels = [], {}
        plain = tuple(_steps(self.sizes)[1:])
        rows = []
        for number, point in enumerate(group.points):
            given = [self._value(r, recut(point.sizes, s, self.sizes)) for r, s in point.operands]
            result = _Value("abcdefghjklmoqrstuvw"[number], point.out.dtype in (_F32, _F64), True)
            self.values[_place(point.out), plain] = result
            rows.append((point, given, result))
        for row in rows:
            self._line(*row)
        last = {_place(p.out): p.out for p in group.points}
        for place, ref in last.items():
            if kept(ref):
                name = self._operand(ref, plain, "y")
                self.body.append(f"{name}[i] = {self.values[place, plain].name}")
        self.sizes, self.columns = joined(self.sizes, self.columns)

    def _operand(self, ref, strides, letter):
        for (known, name), column in zip(self.operands, self.columns, strict=True):
            if _place(known) == _place(ref) and column == strides:
                return name
        name = f"{letter}{sum(n[0] == letter for _, n in self.operands)}"
        self.operands.append((ref, name))
        self.columns.append(strides)
        return name

    def _value(self, ref, strides):
        """What an operand is in the loop."""
        key = _place(ref), strides
        if key not in self.values:
            name = self._operand(ref, strides, "x")
            # the index is known when all dimensions are
            self.values[key] = _Value(f"{name}[{{{name}}}]", ref.dtype in (_F32, _F64), False)
        value = self.values[key]
        value.uses += 1
        return value

    def _given(self, value, point):
        """An argument of a formula, apart from other formulas where the compiler could mix them."""
        if not value.floats:
            return value.name
        number = 0
        if point.name in _SIMPLE:
            if not value.product or point.name not in _SUMS:
                return value.name
        elif not value.made and value.uses == 1:
            return value.name
        else:
            number = value.apart
            value.apart += 1
        self.zeros = max(self.zeros, number + 1)
        return f"apart({value.name}, z{number})"

    def _line(self, point, given, result):
        numbers = iter(point.numbers)
        arguments = []
        for place in point.order:
            if place == "p":
                arguments.append(f"p{len(self.numbers)}")
                self.numbers.append(float(next(numbers)))
            else:
                arguments.append(self._given(given[place], point))
        formula = f"{point.name}({', '.join(arguments)})"
        if point.kernel is not None:
            self.kernels[point.name] = point.kernel
        else:
            formula = f"real({formula})"  # masked has a float64 for a result, as in dropout.py
        chosen = point.name in _CHOICES and not any(v.product for v in given)
        result.product = not chosen and point.name not in _SUMS
        self.body.append(f"{result.name} = {formula}")

    def text(self):
        """The source."""
        inner = {name: c[-1] for (_, name), c in zip(self.operands, self.columns, strict=True)}
        body = [line.format(**{n: "i" if s else "0" for n, s in inner.items()}) for line in self.body]
        names = [name for _, name in self.operands]
        zeros = [f"z{k}" for k in range(self.zeros)]
        numbers = [f"p{k}" for k in range(len(self.numbers))]
        pointers = [
            f"pointer{'' if ref.dtype in (_F32, _F64) else '8'}(at[{k}])" for k, (ref, _) in enumerate(self.operands)
        ]  # fmt: skip
        passed = [*pointers, "n", *(f"real(numbers[{k}])" for k in range(len(numbers)))]
        passed += [f"at[{len(pointers) + k}]" for k in range(len(zeros))]
        lines = ["@loop", f"def chain({', '.join([*names, 'n', *numbers, *zeros])}):", "    for i in range(n):"]
        lines += [f"        {line}" for line in body]
        lines += ["", "", "@entry", "def chain_at(at, n, numbers):", f"    chain({', '.join(passed)})", ""]
        return "\n".join(lines)


def fused(group, kept):
    """The operations that do what a group does.

    Raises:
        Exception: the compiler does not take the source.
    """
    source = _Source(group, kept)
    text = source.text()
    kind = np.float32 if group.kind == _F32 else np.float64
    address = _chain.chain(text, source.kernels, kind)
    count = len(source.operands) + source.zeros
    if count > _chain.MOST:
        raise ValueError(f"a loop with {count} operands")
    at = np.zeros(count, np.int64)
    dims = np.zeros((len(source.sizes), 1 + count), np.int64)
    dims[:, 0] = source.sizes
    for k, ((ref, _), column) in enumerate(zip(source.operands, source.columns, strict=True)):
        dims[:, 1 + k] = np.array(column) * ref.dtype.itemsize
    numbers = np.array(source.numbers or [0.0])
    places = Buffer("temporary", at)
    target = Ref(places, at)
    addresses = {k: ref for k, (ref, _) in enumerate(source.operands)}
    places.link(target, addresses)
    arguments = tuple(Ref(Buffer("constant", a), a) for a in (dims, numbers))
    run = _chain.run_chain
    signature = tuple(run.typeof_pyval(a) for a in (address, at, dims, numbers))
    if signature not in run.overloads:
        run.compile(signature)
    call = Fused(run, run.overloads[signature], (address, target, *arguments))
    call.text, call.operands, call.numbers = text, source.operands, source.numbers
    return [Fill(target, at, addresses), call]


# ---------------------------------------------------------------------------------------------- epilogues


# Kernels that can apply relu as they write: where their result and their mode are, the part of the mode that says so,
# and the parts of which one has to be there (products without a bias round otherwise where they apply relu). Batch
# normalization of lines of 64 and relu as a generated loop: 88 us for 64 x 64 x 8 x 8; so 18.
_PRODUCTS = {"gemm_bias_act": (6, 8, 8, 3), "conv_forward": (3, 5, 8, 2), "batch_norm_apply": (1, 6, True, 0)}


def with_relu(operations, table, users):
    """The list with relu done by the kernel before it, where nobody else reads what that writes."""
    out = list(operations)
    for i, operation in enumerate(operations):
        if not isinstance(operation, KernelCall) or operation.name not in _PRODUCTS:
            continue
        result, mode, apply, bias = _PRODUCTS[operation.name]
        made, flags = operation.args[result], operation.args[mode]
        if (bias and not flags & bias) or flags & apply or made.buffer.kind != "temporary" or made.buffer.output:
            continue
        rest = [op for op in users[id(made.buffer)] if op is not operation]
        if len(rest) != 1 or not isinstance(rest[0], KernelCall) or rest[0].name != "_flat1":
            continue
        relu = rest[0]
        kernel, _ = table.get(relu.args[0], (None, None))
        target, source = relu.args[1], relu.args[2]
        if kernel is None or kernel.name != "relu_forward" or not (made.whole() and source.whole() and target.whole()):
            continue
        j = next(k for k, op in enumerate(operations) if op is relu)
        if source.buffer is not made.buffer or target.buffer is made.buffer or not _free([relu], operations[i + 1 : j]):
            continue
        ref = Ref.__new__(Ref)
        ref.buffer, ref.offset, ref.dtype = target.buffer, target.offset, target.dtype
        ref.shape, ref.strides = made.shape, made.strides
        args = list(operation.args)
        args[result], args[mode] = ref, flags | apply
        out[i], out[j] = KernelCall(operation.dispatcher, operation.compiled, tuple(args)), None
    return [op for op in out if op is not None]


def _users(operations):
    found = {}
    for op in operations:
        for buffer in {id(b): b for b in op.buffers()}.values():
            found.setdefault(id(buffer), []).append(op)
    return found


def improved(operations):
    """The flat list with its elementwise kernels fused.

    Args:
        operations: those that run once it is known that the call goes on as recorded, in order.
    """
    table = _by_address()
    operations = with_relu(operations, table, _users(operations))
    slots = grouped(operations, table)
    users = _users([op for slot in slots for op in _members(slot)])
    out = []
    for slot in slots:
        if not isinstance(slot, Group):
            out.append(slot)
            continue
        mine = set(map(id, slot.operations()))

        def kept(ref, mine=mine):
            buffer = ref.buffer
            others = any(id(op) not in mine for op in users[id(buffer)])
            return buffer.kind != "temporary" or buffer.output or others

        out += fused(slot, kept) if len(slot.points) > 1 else slot.operations()
    return _without_halves(out)


def _without_halves(operations):
    """Puts dropout's halves together again where they were not fused."""
    halves = {id(op.first): op for op in operations if isinstance(op, _Half)}
    out = [halves[id(op)].whole if id(op) in halves else op for op in operations]
    return [op for op in out if not isinstance(op, _Half)]
