"""The Python around the machine code of a replay: written as source for each plan, so that it does nothing in vain.

It makes sure that everything is as it was when the call was recorded, says where arguments and results lie, computes
what optimizers need, and leaves gradients and results behind.
"""

import ctypes
import linecache
import sys
from collections import defaultdict

import numpy as np

from .. import dtypes
from ..autograd.anomaly_mode import state as anomaly
from ..autograd.autocast import active as autocast_active
from ..autograd.grad_mode import mode
from ..autograd.node import RemovableHandle
from ..kernels import _guards, _pool
from ..random import current_generator
from ..tensor import Tensor, wrap

# What a replay gives when something is not as it was, and when the data asks for another way.
CHANGED, OTHERWISE = object(), object()


def _slots():
    """Where tensors keep what a replay looks at, in bytes; nothing where that is not as expected."""
    found = {name: _offset(Tensor.__dict__[name]) for name in ("_data", "_rg", "_grad", "_version")}
    t, mark = wrap(np.empty(1)), object()
    t._grad = mark
    values = {"_data": t._data, "_rg": t._rg, "_grad": mark, "_version": t._version}
    there = {name: ctypes.c_int64.from_address(id(t) + offset).value for name, offset in found.items()}
    return found if all(there[name] == id(v) for name, v in values.items()) else {}


class Names:
    """Objects under names of their own, for source that uses them."""

    def __init__(self):
        self.space = {
            "Tensor": Tensor, "wrap": wrap, "mode": mode, "new": np.empty, "lend": _pool.empty,
            "getrefcount": sys.getrefcount, "handles": RemovableHandle, "autocast": autocast_active,
            "anomaly": anomaly, "CHANGED": CHANGED, "OTHERWISE": OTHERWISE, "current_generator": current_generator,
            "default_dtype": dtypes.get_default_dtype,
        }  # fmt: skip
        self._known = {}

    def of(self, value, prefix="x"):
        """The name of an object."""
        key = id(value)
        if key not in self._known:
            name = f"{prefix}{len(self._known)}"
            self._known[key] = name
            self.space[name] = value
        return self._known[key]


class Check:
    """Something that has to be as it was.

    Attributes:
        expression: a function of :class:`Names` that gives source which is true then.
        versions: dicts that hold the same objects as long as nobody assigns to them; None where only the source tells.
        words: what else to compare in memory, see :func:`tnn.kernels._guards.look`.
    """

    def __init__(self, expression, versions=(), words=()):
        self.expression, self.versions, self.words = expression, versions, words


def _offset(slot):
    """Where a slot lies in an object: a field of CPython's description of it."""
    description = ctypes.c_int64.from_address(id(slot) + 40).value
    return ctypes.c_int64.from_address(description + 16).value


def in_slot(owner, name, value):
    """A check that a slot of a tensor holds the same object."""
    words = [(id(owner) + _OFFSETS[name], -1, id(value))] if _OFFSETS else ()
    return Check(
        lambda names: f"{names.of(owner, 't')}.{name} is {names.of(value, 'a')}", () if _OFFSETS else None, words
    )


def conditions(plan, checks, names):
    """Source that is true while a replay does what the call would do, and that it asks instead where it may.

    Returns:
        Two lists of expressions.
    """
    always = [
        f"mode.grad is {plan.grad_mode[0]} and mode.inference is {plan.grad_mode[1]}",
        f"not autocast.n and not anomaly.enabled and handles.next_id == {RemovableHandle.next_id}",
        f"default_dtype() is {names.of(dtypes.get_default_dtype(), 'dtype')}",
    ]
    if plan.generator is not None:
        always.append(f"current_generator() is {names.of(plan.generator, 'generator')}")
    checks = list(checks)
    for t, d, wants in plan.guards:
        checks += [in_slot(t, "_data", d), in_slot(t, "_rg", wants)]
    for t, none, g in plan.expected_grads:
        if g is not None or none:
            checks.append(in_slot(t, "_grad", g))
        else:
            always.append(f"{names.of(t, 't')}._grad is not None")
    for rule in plan.rules:
        more, theirs = rule.conditions(names)
        always += more
        checks += theirs
    quick = [c for c in checks if c.versions is not None]
    slow = list(dict.fromkeys(c.expression(names) for c in quick))
    always += [c.expression(names) for c in checks if c.versions is None]
    versions = list({id(d): None for c in quick for d in c.versions})
    functions = _guards.look(versions, list(dict.fromkeys(w for c in quick for w in c.words)))
    if functions is None:
        return always + slow, always + slow
    same, note = (names.of(f, "look") for f in functions[:2])
    names.of(functions[2], "words")
    return always + slow, [*always, f"{same}() or ({NEXT.join([*(f'({e})' for e in slow), f'{note}()'])})"]


NEXT = "\n                and "


def unchanged(holder):
    """A check that a list, dict or set holds the very objects that it held, in that order."""
    values = list(holder.values()) if isinstance(holder, dict) else list(holder)
    versions, words = (), []
    if type(holder) in (dict, defaultdict):
        versions = (holder,)
    elif type(holder) is list:
        words = [(id(holder) + _guards.LENGTH, -1, len(values))]
        words += [(id(holder) + _guards.ELEMENTS, 8 * i, id(v)) for i, v in enumerate(values)]
    elif type(holder) is set and not values:
        words = [(id(holder) + _guards.USED, -1, 0)]
    elif type(holder) is not tuple:
        versions = None
    if not values:
        return Check(lambda names: f"not {names.of(holder, 'table')}", versions, words)
    marks, keys = list(map(id, values)), list(holder)

    def expression(names):
        names.of(values, "kept")
        where = names.of(holder, "table")
        same = f"list(map(id, {where}{'.values()' if isinstance(holder, dict) else ''})) == {names.of(marks, 'ids')}"
        return f"{same} and list({where}) == {names.of(keys, 'keys')}" if isinstance(holder, dict) else same

    return Check(expression, versions, words)


def same_attributes(owner, fixed=()):
    """A check that an object's attributes are what they were; ``fixed`` names those with tables looked at elsewhere."""
    space = vars(owner)
    if any(isinstance(v, _NOT_PLAIN) and v is not None for k, v in space.items() if k not in fixed and not _empty(v)):
        return unchanged(space)
    # what is the same object is equal, and what is not compares without surprises
    before = dict(space)

    def expression(names):
        where = names.of(space, "space")
        tables = [f"{where}[{name!r}] is {names.of(space[name], 'table')}" for name in fixed]
        return " and ".join([f"{where} == {names.of(before, 'before')}", *tables])

    return Check(expression, (space,))


_OFFSETS = _slots() if sys.implementation.name == "cpython" else {}
_NOT_PLAIN = (Tensor, np.ndarray, list, tuple, dict, set)


def _empty(value):
    return isinstance(value, list | tuple | dict | set) and not value


def bound(space, name, value):
    """A check that a variable is what it was: the same object, or an equal number or text."""

    def expression(names):
        return _is(f"{names.of(space, 'space')}.get({name!r})", value, names)

    return Check(expression, None)  # others assign to the same dict


def in_cell(cell, value):
    """As :func:`bound`, for a variable of a function around."""

    def expression(names):
        return _is(f"{names.of(cell, 'cell')}.cell_contents", value, names)

    return Check(expression, None)


def _is(where, value, names):
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        return f"{where} == {names.of(value, 'value')}"
    return f"{where} is {names.of(value, 'value')}"


def _arguments(plan, names):
    lines = [f"if len(arguments) != {len(plan.argument_kinds)}: return CHANGED"]
    for i, (shape, dtype, strides) in enumerate(plan.argument_kinds):
        kind = names.of(dtype, "dtype")
        lines += [
            f"t = arguments[{i}]",
            "if type(t) is not Tensor or t._rg: return CHANGED",
            f"d{i} = t._data",
            f"if d{i}.shape != {shape} or (d{i}.dtype is not {kind} and d{i}.dtype != {kind}) or d{i}.strides != "
            f"{strides}: return CHANGED",
        ]
    return lines


def _places(plan, names):
    """Where arguments, results and gradients of this call lie."""
    lines = []
    for i in range(plan.n_arguments):
        lines.append(f"table[{i}] = id(d{i})")
    for i, buffer in enumerate(plan.fresh):
        shape, dtype = buffer.array.shape, names.of(buffer.array.dtype, "dtype")
        # not so gradients below: a view of an array from the pool does not hold the array
        make = "lend" if buffer.nbytes >= _pool.SMALL else "new"
        lines += [f"r{i} = {make}({shape}, {dtype})", f"table[{plan.n_arguments + i}] = id(r{i})"]
    for i, grad in enumerate(plan.grads):
        owner = names.of(grad.owner, "t")
        lines += [  # the array of the last time, unless somebody else holds it
            f"g{i} = grads[{i}]",
            f"if g{i} is None or getrefcount(g{i}) > (4 if {owner}._grad is g{i} else 3) or "
            f"getrefcount(g{i}._data) > 2:",
            f"    g{i} = grads[{i}] = wrap(new({grad.shape}, {names.of(grad.dtype, 'dtype')}))",
            f"table[{grad.entry}] = id(g{i}._data)",
        ]
    return lines


def _work(plan, names):
    lines = []
    for rule in plan.rules:
        lines += rule.lines(names, plan.scalar_places[rule])
    lines += [f"if {names.of(function, 'early')}(): return OTHERWISE" for function in plan.early]
    if plan.watch is not None:
        same, again = names.of(plan.watch.same, "settled"), names.of(plan.watch.again, "again")
        lines.append(f"if not {same}() and {again}(): failed()")
    for function in plan.late:
        lines.append(f"if {names.of(function, 'native')}(): failed()")
    for rule in plan.rules:
        lines += rule.last_lines(names)
    return lines


def _leave(plan, names):
    lines = []
    for i, grad in enumerate(plan.grads):
        lines.append(f"{names.of(grad.owner, 't')}._grad = g{i}")
    lines += [f"{names.of(t, 't')}._grad = None" for t in plan.cleared]
    lines += [f"{names.of(t, 't')}._version.n += {n}" for t, n in plan.bumps]
    return lines


def _results(plan, names):
    """Lines that make the leaves of the result, and their names."""
    lines, leaves = [], []
    for i, (kind, value, ref, node) in enumerate(plan.parts):
        if kind == "constant":
            leaves.append(names.of(value, "value") if value is not None else "None")
        elif kind == "argument":
            leaves.append(f"arguments[{value}]")
        else:
            base = f"r{value}"
            if not ref.whole() or plan.fresh[value].array.shape != ref.shape:
                dtype, view = names.of(ref.dtype, "dtype"), names.of(np.ndarray, "ndarray")
                base = f"{view}({ref.shape}, {dtype}, {base}, {ref.offset}, {ref.strides})"
            lines.append(f"y{i} = wrap({base})")
            if node is not None:
                lines.append(f"y{i}._rg, y{i}._node = True, {names.of(node, 'node')}")
            leaves.append(f"y{i}")
    return lines, leaves


def _tree(value, leaves, names):
    if isinstance(value, tuple | list | dict):
        parts = [
            _tree(v, leaves, names) for v in (value.values() if isinstance(value, dict) else value)
        ]
        if isinstance(value, dict):
            pairs = ", ".join(f"({names.of(k, 'key')}, {p})" for k, p in zip(value, parts, strict=True))
            return f"{names.of(type(value), 'kind')}([{pairs}])"
        listed = "[" + ", ".join(parts) + "]"
        if isinstance(value, list):
            return listed
        return f"{names.of(type(value), 'kind')}({'*' if hasattr(value, '_fields') else ''}{listed})"
    return next(leaves)


def written(plan, checks):
    """Source of the replay's Python, and the functions made of it: ``replay(arguments)`` and, for the comparison with
    the call itself, ``stands()`` and ``run(arguments)``, which gives the arrays and leaves nothing behind."""
    names = Names()
    names.space.update(table=plan.table, grads=plan.grad_tensors, numbers=plan.scalars, lock=plan.lock, failed=_failed)
    slow, quick = conditions(plan, checks, names)
    made, leaves = _results(plan, names)
    tree = _tree(plan.tree, iter(leaves), names)
    arguments, places, work = _arguments(plan, names), _places(plan, names), _work(plan, names)
    test, asked = (
        "if not (\n            " + "\n            and ".join(f"({t})" for t in tests) + "\n        ): return "
        for tests in (slow, quick)
    )
    inside = [*places, *work, *_leave(plan, names), *made, f"return {tree}"]
    every = ", ".join([*(f"r{i}" for i in range(len(plan.fresh))), ""])
    holders = ", ".join([*(f"g{i}" for i in range(len(plan.grads))), ""])
    bare = [f"d{i} = arguments[{i}]._data" for i in range(plan.n_arguments)]
    lines = [
        "def replay(arguments):",
        *_indented(arguments, 4),
        "    if not lock.acquire(False): return CHANGED",
        "    try:",
        *_indented([asked + "CHANGED"], 8),
        *_indented(inside, 8),
        "    finally:",
        "        lock.release()",
        "",
        "def stands():",
        *_indented([test + "False", "return True"], 4),
        "",
        "def run(arguments):",
        *_indented([*bare, *places, *work, f"return ({every}), ({holders})"], 4),
    ]
    text = "\n".join(lines) + "\n"
    title = f"<tnn.compile {id(plan)}>"
    linecache.cache[title] = len(text), None, text.splitlines(True), title
    exec(compile(text, title, "exec"), names.space)
    return text, names.space


def _failed():
    raise RuntimeError("a compiled kernel failed")


def _indented(lines, by):
    return [" " * by + line for line in lines]
