"""PyTorch's torch.nn for the CPU: NumPy arrays hold the data, Numba compiles the loops.

The names are PyTorch's: a script written for PyTorch on the CPU ports with ``s/torch/tnn/``.
"""

import gc as _gc
from importlib import import_module as _import_module

# A full collection over Numba's many objects takes 20 ms, a tenth of the import; it waits for the end.
_collecting = _gc.isenabled()
_gc.disable()

from .autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .dtypes import (
    bfloat16,
    bool,
    can_cast,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .kernels._jit import get_num_threads, set_num_threads
from .ops.creation import (
    as_tensor,
    asarray,
    empty,
    empty_like,
    empty_strided,
    from_dlpack,
    from_numpy,
    frombuffer,
    full,
    full_like,
    ones,
    ones_like,
    scalar_tensor,
    tensor,
    zeros,
    zeros_like,
)
from .ops.gather import (
    gather,
    scatter,
    scatter_add,
    scatter_reduce,
    take_along_dim,
)
from .ops.index_select import (
    index_add,
    index_copy,
    index_fill,
    index_reduce,
    index_select,
    put,
    take,
)
from .ops.indexing import (
    index_put,
    index_put_,
)
from .ops.joining import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    block_diag,
    cartesian_prod,
    cat,
    chunk,
    column_stack,
    concat,
    concatenate,
    dsplit,
    dstack,
    hsplit,
    hstack,
    meshgrid,
    row_stack,
    split,
    split_with_sizes,
    stack,
    tensor_split,
    unbind,
    unsafe_chunk,
    unsafe_split,
    unsafe_split_with_sizes,
    vsplit,
    vstack,
)
from .ops.part import as_strided, diagonal, narrow, select
from .ops.ranges import arange, eye, linspace, logspace, range, tril_indices, triu_indices
from .ops.rearrange import (
    as_strided_scatter,
    combinations,
    diag,
    diag_embed,
    diagflat,
    diagonal_scatter,
    flip,
    fliplr,
    flipud,
    narrow_copy,
    repeat_interleave,
    roll,
    rot90,
    select_scatter,
    slice_scatter,
    tile,
    tril,
    triu,
)
from .ops.sampling import (
    bernoulli,
    multinomial,
    normal,
    poisson,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
)
from .ops.search import (
    argwhere,
    bincount,
    bucketize,
    masked_scatter,
    masked_select,
    nonzero,
    nonzero_static,
    searchsorted,
    unique,
    unique_consecutive,
)
from .ops.shape import (
    adjoint,
    broadcast_shapes,
    broadcast_tensors,
    broadcast_to,
    clone,
    flatten,
    moveaxis,
    movedim,
    permute,
    ravel,
    reshape,
    squeeze,
    swapaxes,
    swapdims,
    t,
    transpose,
    unflatten,
    unsqueeze,
)
from .ops.sort import (
    argsort,
    histc,
    kthvalue,
    median,
    mode,
    msort,
    nanmedian,
    nanquantile,
    quantile,
    sort,
    topk,
)
from .random import Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from .tensor import Size, Tensor, device, is_tensor

from . import _methods  # isort: skip

if _collecting:
    _gc.enable()

float = float32
double = float64
half = float16
int = int32
long = int64
short = int16

__version__ = "0.1.0"

_SUBMODULES = {
    "autograd", "distributed", "linalg", "nn", "ops", "optim", "quantization", "random", "serialization", "testing", "utils",
}  # fmt: skip


def __getattr__(name):
    if name in _SUBMODULES:
        return _import_module(f"tnn.{name}")
    raise AttributeError(f"module 'tnn' has no attribute {name!r}")
