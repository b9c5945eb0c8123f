"""Which of its arguments a kernel writes. What is not listed may write to all of them."""

from .records import AddNumber, Call, Copy, Decide, Fill, KernelCall, refs_in

# The places of the arguments that a kernel writes; a recording makes sure of it, see Recorder.kernel.
WRITES = {
    "_flat1": (1,), "_flat2": (1,), "_flat3": (1,), "_strided": (1,),
    "gemm_bias_act": (6,), "gemm_batched": (6,),
    "first_invalid": (), "scan_targets": (5,), "nll_total": (5, 6), "total_forward": (2,), "nll_forward": (4,),
    "nll_backward": (5,),
    "cross_entropy_forward": (5, 6), "cross_entropy_backward": (9,),
    "sgd": (0,), "sgd_momentum": (0, 2), "adam": (0, 2, 3), "amsgrad": (0, 2, 3, 4),
    "dropout_forward": (0, 2, 3), "dropout_backward": (2,), "bernoulli_forward": (0, 1), "masked": (3,),
    "layer_norm_forward": (1, 4, 5), "layer_norm_backward": (5, 6, 7), "batch_norm_reduce": (2, 3, 4, 5),
    "batch_norm_apply": (1,), "batch_norm_backward": (7,), "sum_rows": (1,), "sum_columns": (1,),
    "max_pool_forward": (1, 2), "max_pool_backward": (2,), "avg_pool_forward": (1,), "avg_pool_backward": (1,),
    "pool_pixels": (1, 2), "scatter_pixels": (2,),
    "conv_forward": (3,), "conv_backward_input": (3,), "conv_backward_weight": (2,),
    "move": (1,), "copy_turned": (1,), "fill": (0,), "batch_norm_rstd": (1,), "weight_norm_forward": (3, 4, 5),
    "invalid_index": (), "embedding_forward": (2,), "count_rows": (1,), "add_rows": (5,),
    "power_sum_forward": (3, 4), "norm_forward": (3,), "clip_forward": (0,),
    "gemm_pack": (2,), "conv_pack": (1,),
    "softmax_rows_forward": (1,), "softmax_rows_backward": (2,),
    "softmax_short_forward": (1,), "softmax_short_backward": (2,),
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


def written_buffers(operation):
    """The buffers that an operation may write to, those behind addresses too."""
    if isinstance(operation, KernelCall) and operation.name not in WRITES:
        return operation.buffers()
    return [r.buffer for r in written(operation)]


def clash(a, b):
    """Whether two buffers may share memory. Arguments of later calls may lie anywhere outside."""
    if a is b:
        return True
    if a.alone or b.alone:
        return False
    return "argument" in (a.kind, b.kind) or (a.start < b.stop and b.start < a.stop)
