"""PyTorch's torch.nn for the CPU: NumPy arrays hold the data, Numba compiles the loops.

The names are PyTorch's: a script written for PyTorch on the CPU ports with ``s/torch/tnn/``.
"""

import gc as _gc
from importlib import import_module as _import_module

# A full collection over Numba's many objects takes 20 ms, a tenth of the import; it waits for the end.
_collecting = _gc.isenabled()
_gc.disable()

from .autograd.autocast import (
    autocast,
    clear_autocast_cache,
    get_autocast_cpu_dtype,
    get_autocast_dtype,
    is_autocast_cache_enabled,
    is_autocast_cpu_enabled,
    is_autocast_enabled,
    set_autocast_cache_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
)
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
from .formats import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    layout,
    memory_format,
    preserve_format,
    sparse_coo,
    strided,
)
from .kernels._jit import get_num_threads, set_num_threads
from .ops.activation import (
    celu,
    celu_,
    hardshrink,
    prelu,
    relu,
    relu_,
    rrelu,
    rrelu_,
    selu,
    selu_,
    sigmoid,
    sigmoid_,
    tanh,
    tanh_,
    threshold,
    threshold_,
)
from .ops.adaptive_pooling import adaptive_avg_pool1d, adaptive_max_pool1d
from .ops.conv import conv1d, conv2d, conv3d, conv_tbc
from .ops.conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
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
from .ops.ctc import ctc_loss
from .ops.distance import cdist, cosine_similarity, pairwise_distance, pdist
from .ops.einsum import chain_matmul, cross, einsum, inner, kron, tensordot
from .ops.embedding import embedding, embedding_bag
from .ops.extreme import amax, amin, aminmax, argmax, argmin, max, min
from .ops.factor import cholesky, geqrf, lu, lu_unpack, orgqr, ormqr, qr, svd
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
from .ops.linalg import (
    cholesky_inverse,
    cholesky_solve,
    corrcoef,
    cov,
    det,
    inverse,
    logdet,
    lu_solve,
    matrix_exp,
    matrix_power,
    pca_lowrank,
    pinverse,
    slogdet,
    trace,
    triangular_solve,
    vander,
)
from .ops.linear import addbmm, addmm, addmv, addr, baddbmm, bilinear, bmm, dot, ger, matmul, mm, mv, outer, vdot
from .ops.margin_loss import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    triplet_margin_loss,
)
from .ops.memory import (
    conj,
    conj_physical,
    is_complex,
    is_floating_point,
    is_nonzero,
    is_same_size,
    numel,
    resolve_conj,
    resolve_neg,
)
from .ops.norms import dist, norm, renorm
from .ops.part import as_strided, diagonal, narrow, select
from .ops.pointwise import (
    add,
    div,
    divide,
    float_power,
    floor_divide,
    fmax,
    fmin,
    fmod,
    ldexp,
    maximum,
    minimum,
    mul,
    multiply,
    pow,
    remainder,
    result_type,
    rsub,
    sub,
    subtract,
    true_divide,
)
from .ops.pointwise_compare import (
    allclose,
    bitwise_and,
    bitwise_left_shift,
    bitwise_not,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    eq,
    equal,
    ge,
    greater,
    greater_equal,
    gt,
    isclose,
    le,
    less,
    less_equal,
    logical_and,
    logical_or,
    logical_xor,
    lt,
    ne,
    not_equal,
)
from .ops.pointwise_functions import (
    arctan2,
    atan2,
    copysign,
    gcd,
    heaviside,
    hypot,
    igamma,
    igammac,
    lcm,
    logaddexp,
    logaddexp2,
    nextafter,
    xlogy,
)
from .ops.pointwise_select import (
    addcdiv,
    addcmul,
    clamp,
    clamp_max,
    clamp_min,
    clip,
    lerp,
    masked_fill,
    where,
)
from .ops.pointwise_unary import (
    abs,
    absolute,
    acos,
    acosh,
    angle,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctanh,
    asin,
    asinh,
    atan,
    atanh,
    ceil,
    cos,
    cosh,
    deg2rad,
    digamma,
    erf,
    erfc,
    erfinv,
    exp,
    exp2,
    expm1,
    fix,
    floor,
    frac,
    frexp,
    i0,
    isfinite,
    isinf,
    isnan,
    isneginf,
    isposinf,
    isreal,
    lgamma,
    log,
    log1p,
    log2,
    log10,
    logical_not,
    logit,
    mvlgamma,
    nan_to_num,
    neg,
    negative,
    polygamma,
    positive,
    rad2deg,
    reciprocal,
    round,
    rsqrt,
    sgn,
    sign,
    signbit,
    sin,
    sinc,
    sinh,
    sqrt,
    square,
    tan,
    trunc,
)
from .ops.pooling import avg_pool1d, max_pool1d, max_pool1d_with_indices, max_pool2d, max_pool3d
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
from .ops.recurrent import gru, gru_cell, lstm, lstm_cell, rnn_relu, rnn_relu_cell, rnn_tanh, rnn_tanh_cell
from .ops.reduction import (
    all,
    any,
    count_nonzero,
    logsumexp,
    mean,
    nanmean,
    nansum,
    prod,
    std,
    std_mean,
    sum,
    var,
    var_mean,
)
from .ops.resample import channel_shuffle, native_channel_shuffle, pixel_shuffle, pixel_unshuffle
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
from .ops.scan import cummax, cummin, cumprod, cumsum, cumulative_trapezoid, diff, logcumsumexp, trapezoid, trapz
from .ops.search import (
    argwhere,
    bincount,
    bucketize,
    isin,
    masked_scatter,
    masked_select,
    nonzero,
    nonzero_static,
    searchsorted,
    unique,
    unique_consecutive,
    unravel_index,
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
from .ops.softmax import log_softmax, softmax
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
from .printing import set_printoptions
from .random import Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from .settings import (
    are_deterministic_algorithms_enabled,
    compile,
    e,
    get_default_device,
    get_float32_matmul_precision,
    get_num_interop_threads,
    inf,
    nan,
    newaxis,
    pi,
    set_default_device,
    set_default_tensor_type,
    set_float32_matmul_precision,
    set_num_interop_threads,
    typename,
    use_deterministic_algorithms,
)
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
    "amp", "autograd", "backends", "cuda", "formats", "func", "legacy", "linalg", "mps", "nn", "ops", "optim", "random",
    "return_types", "serialization", "settings", "sparse", "storage", "utils", "version",
}  # fmt: skip


def __getattr__(name):
    if name in _SUBMODULES:
        return _import_module(f"tnn.{name}")
    if name in ("load", "save"):
        return getattr(_import_module("tnn.serialization"), name)
    if name.endswith("Tensor"):
        return getattr(_import_module("tnn.legacy"), name)
    raise AttributeError(f"module 'tnn' has no attribute {name!r}")
