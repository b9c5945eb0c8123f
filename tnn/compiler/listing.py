"""A plan as text: the flat list of kernel calls as a Python function, the generated kernels before it, what Python does
around it behind."""

from ..kernels._elementwise import KERNELS
from .fusion import Fused
from .records import AddNumber, Call, Copy, Decide, Fill, KernelCall, Place, Ref, Scalar


class _Names:
    """Short names for buffers: d arguments, r results, g gradients, p what was there before, t temporaries, c
    constants."""

    def __init__(self, plan):
        self.known, self.notes = {}, []
        self.counts = dict.fromkeys("drgptc", 0)
        self.fresh = {id(b) for b in plan.fresh}
        self.grads = {id(g.buffer) for g in plan.grads}
        self.chains = {}  # sources of generated loops, and their names
        self.loops = {address: k.name for k in KERNELS for address in (k.f32, k.f64) if address}

    def buffer(self, buffer):
        """A buffer's name."""
        name = self.known.get(id(buffer))
        if name is None:
            key = id(buffer)
            letter = {"argument": "d", "outside": "p", "constant": "c"}.get(buffer.kind, "t")
            letter = "r" if key in self.fresh else "g" if key in self.grads else letter
            number = buffer.place if letter == "d" else self.counts[letter]
            self.counts[letter] += 1
            name = self.known[key] = f"{letter}{number}"
            shape = buffer.array.shape
            if letter in "dp" or letter in "rg":
                self.notes.append(f"{name}: {buffer.array.dtype} {shape}")
        return name

    def chain(self, operation):
        """A generated loop's name."""
        text = operation.text.partition("\n\n\n@entry")[0]
        return self.chains.setdefault(text, f"chain_{len(self.chains)}")

    def value(self, value):
        """An argument of a call."""
        if isinstance(value, Ref):
            name = self.buffer(value.buffer)
            array = value.buffer.array
            if value.offset == 0 and value.shape == array.shape and value.strides == array.strides:
                return name
            if value.whole():
                return f"{name}.reshape({', '.join(map(str, value.shape))})"
            return f"part({name}, {value.offset}, {value.shape}, {value.strides})"
        if isinstance(value, Place):
            return f"address({self.value(value.ref)})"
        if isinstance(value, Scalar):
            return f"number({value.index})"
        if isinstance(value, tuple):
            return "(" + "".join(self.value(v) + ", " for v in value) + ")"
        if isinstance(value, int) and not isinstance(value, bool) and value in self.loops:
            return self.loops[value]
        return repr(value)


def _line(operation, names):
    value = names.value
    if isinstance(operation, Fused):
        given = [f"{name}={value(ref)}" for ref, name in operation.operands]
        given += [f"p{k}={number!r}" for k, number in enumerate(operation.numbers)]
        return f"{names.chain(operation)}({', '.join(given)})"
    if isinstance(operation, KernelCall):
        call = f"{operation.name}({', '.join(map(value, operation.args))})"
        return call if operation.expect is None else f"if {call} != {operation.expect}: return OTHERWISE"
    if isinstance(operation, Fill):
        content = operation.content
        short = repr(content.reshape(-1)[0].item()) if content.size and (content == content.reshape(-1)[0]).all() else (
            f"constants({content.size})"
        )  # fmt: skip
        text = f"{value(operation.target)}[...] = {short}"
        if operation.addresses:
            text += "  # and the addresses of " + ", ".join(value(r) for r in operation.addresses.values())
        return text
    if isinstance(operation, Copy):
        return f"{value(operation.target)}[...] = {value(operation.source)}"
    if isinstance(operation, AddNumber):
        return f"{value(operation.target)}[...] += {operation.number}"
    if isinstance(operation, Decide):
        return f"if bool({value(operation.source)}) is not {operation.expect}: return OTHERWISE"
    assert isinstance(operation, Call)
    arguments = ", ".join(map(value, operation.args))
    return f"{value(operation.target)}[...] = {operation.function.__name__}({arguments})"


def listing(plan, name):
    """The text."""
    names = _Names(plan)
    hidden = {id(op.args[1].buffer) for op in plan.operations if isinstance(op, Fused)}  # addresses for generated loops
    shown = [op for op in plan.operations if not (isinstance(op, Fill) and id(op.target.buffer) in hidden)]
    lines = [_line(operation, names) for operation in shown]
    once = [_line(operation, names) for operation in plan.once]
    packed = f", {plan.kept_bytes} bytes of packed weights" if once else ""
    out = [f"# {name}: {len(shown)} operations, {plan.temporary_bytes} bytes of temporary memory{packed}"]
    out += [f"# {note}" for note in names.notes]
    chains = [text.replace("def chain(", f"def {name}(") + "\n" for text, name in names.chains.items()]
    if once:
        chains += ["def once():  # and again when a weight has changed", *(f"    {line}" for line in once), ""]
    out += ["", *chains, "def native():", *(f"    {line}" for line in lines), "", "# around it", plan.text]
    return "\n".join(out)
