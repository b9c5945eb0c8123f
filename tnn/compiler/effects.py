"""Which of its arguments a kernel writes. What is not listed may write to all of them."""

from .records import AddNumber, Call, Copy, Decide, Fill, KernelCall, refs_in

# The places of the arguments that a kernel writes; a recording makes sure of it, see Recorder.kernel.
WRITES = {
    "_flat1": (1,), "_flat2": (1,), "_flat3": (1,), "_strided": (1,),
    "gemm_bias_act": (6,), "gemm_batched": (6,),
    "first_invalid": (), "target_weight": (3,), "total_forward": (2,), "nll_forward": (4,), "nll_backward": (5,),
    "cross_entropy_forward": (5, 6), "cross_entropy_backward": (9,),
    "sgd": (0,), "sgd_momentum": (0, 2), "adam": (0, 2, 3), "amsgrad": (0, 2, 3, 4),
    "dropout_backward": (2,),
}  # fmt: skip


def written(operation):
    """The refs that an operation may write to."""
    if isinstance(operation, KernelCall):
        places = WRITES.get(operation.name)
        return list(refs_in(operation.args if places is None else [operation.args[i] for i in places]))
    if isinstance(operation, Fill | Copy | AddNumber | Call):
        return [operation.target]
    assert isinstance(operation, Decide)
    return []


def read(operation):
    """The refs that an operation may read."""
    if isinstance(operation, KernelCall):
        places = WRITES.get(operation.name)
        if places is None:
            return list(refs_in(operation.args))
        return list(refs_in([a for i, a in enumerate(operation.args) if i not in places]))
    if isinstance(operation, Fill):
        return list(operation.addresses.values())
    if isinstance(operation, Copy):
        return [operation.source]
    if isinstance(operation, AddNumber):
        return [operation.target]
    if isinstance(operation, Call):
        return [*refs_in(operation.args), *refs_in(operation.kwargs)]
    return [operation.source]


def clash(a, b):
    """Whether two buffers may share memory. Arguments of later calls may lie anywhere outside."""
    if a is b:
        return True
    kinds = {a.kind, b.kind}
    if not kinds <= {"argument", "outside"}:
        return False
    return "argument" in kinds or (a.start < b.stop and b.start < a.stop)
