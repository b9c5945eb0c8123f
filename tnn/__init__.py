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
    float8_e4m3fn,
    float8_e5m2,
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
from .ops.creation import tensor
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

# Operations by family, read at first use: together they would cost as much as importing Numba does. ``tensor`` is not
# among them: the file of that name would stand in its place.
_OPERATIONS = {
    "activation": (
        "celu celu_ hardshrink prelu relu relu_ rrelu rrelu_ selu selu_ sigmoid sigmoid_ tanh tanh_ threshold "
        "threshold_"
    ),
    "adaptive_pooling": "adaptive_avg_pool1d adaptive_max_pool1d",
    "conv": "conv1d conv2d conv3d conv_tbc",
    "conv_transpose": "conv_transpose1d conv_transpose2d conv_transpose3d",
    "creation": (
        "as_tensor asarray empty empty_like empty_strided from_dlpack from_numpy frombuffer full full_like ones "
        "ones_like scalar_tensor zeros zeros_like"
    ),
    "ctc": "ctc_loss",
    "distance": "cdist cosine_similarity pairwise_distance pdist",
    "einsum": "chain_matmul cross einsum inner kron tensordot",
    "embedding": "embedding embedding_bag",
    "extreme": "amax amin aminmax argmax argmin max min",
    "factor": "cholesky geqrf lu lu_unpack orgqr ormqr qr svd",
    "gather": "gather scatter scatter_add scatter_reduce take_along_dim",
    "index_select": "index_add index_copy index_fill index_reduce index_select put take",
    "indexing": "index_put index_put_",
    "joining": (
        "atleast_1d atleast_2d atleast_3d block_diag cartesian_prod cat chunk column_stack concat concatenate "
        "dsplit dstack hsplit hstack meshgrid row_stack split split_with_sizes stack tensor_split unbind "
        "unsafe_chunk unsafe_split unsafe_split_with_sizes vsplit vstack"
    ),
    "linalg": (
        "cholesky_inverse cholesky_solve corrcoef cov det inverse logdet lu_solve matrix_exp matrix_power "
        "pca_lowrank pinverse slogdet svd_lowrank trace triangular_solve vander"
    ),
    "linear": "addbmm addmm addmv addr baddbmm bilinear bmm dot ger matmul mm mv outer vdot",
    "margin_loss": "cosine_embedding_loss hinge_embedding_loss margin_ranking_loss triplet_margin_loss",
    "memory": (
        "conj conj_physical is_complex is_floating_point is_nonzero is_same_size numel resolve_conj resolve_neg"
    ),
    "norms": "dist norm renorm",
    "part": "as_strided diagonal narrow select",
    "pointwise": (
        "add div divide float_power floor_divide fmax fmin fmod ldexp maximum minimum mul multiply pow remainder "
        "result_type rsub sub subtract true_divide"
    ),
    "pointwise_compare": (
        "allclose bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor eq equal ge "
        "greater greater_equal gt isclose le less less_equal logical_and logical_or logical_xor lt ne not_equal"
    ),
    "pointwise_functions": (
        "arctan2 atan2 copysign gcd heaviside hypot igamma igammac lcm logaddexp logaddexp2 nextafter xlogy"
    ),
    "pointwise_select": "addcdiv addcmul clamp clamp_max clamp_min clip lerp masked_fill where",
    "pointwise_unary": (
        "abs absolute acos acosh angle arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh ceil cos "
        "cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 fix floor frac frexp i0 isfinite isinf isnan isneginf "
        "isposinf isreal lgamma log log10 log1p log2 logical_not logit mvlgamma nan_to_num neg negative polygamma "
        "positive rad2deg reciprocal round rsqrt sgn sign signbit sin sinc sinh sqrt square tan trunc"
    ),
    "positional": (
        "affine_grid_generator alpha_dropout alpha_dropout_ batch_norm binary_cross_entropy_with_logits "
        "constant_pad_nd convolution dropout dropout_ feature_alpha_dropout feature_alpha_dropout_ feature_dropout "
        "feature_dropout_ "
        "frobenius_norm grid_sampler grid_sampler_2d grid_sampler_3d group_norm instance_norm kl_div layer_norm "
        "norm_except_dim nuclear_norm poisson_nll_loss rms_norm"
    ),
    "pooling": "avg_pool1d max_pool1d max_pool1d_with_indices max_pool2d max_pool3d",
    "ranges": "arange eye linspace logspace range tril_indices triu_indices",
    "rearrange": (
        "as_strided_scatter combinations diag diag_embed diagflat diagonal_scatter flip fliplr flipud narrow_copy "
        "repeat_interleave roll rot90 select_scatter slice_scatter tile tril triu"
    ),
    "recurrent": "gru gru_cell lstm lstm_cell rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell",
    "reduction": "all any count_nonzero logsumexp mean nanmean nansum prod std std_mean sum var var_mean",
    "resample": "channel_shuffle native_channel_shuffle pixel_shuffle pixel_unshuffle",
    "sampling": (
        "bernoulli binomial multinomial normal poisson rand rand_like randint randint_like randn randn_like randperm"
    ),
    "scan": "cummax cummin cumprod cumsum cumulative_trapezoid diff logcumsumexp trapezoid trapz",
    "search": (
        "argwhere bincount bucketize isin masked_scatter masked_select nonzero nonzero_static searchsorted unique "
        "unique_consecutive unravel_index"
    ),
    "shape": (
        "adjoint broadcast_shapes broadcast_tensors broadcast_to clone flatten moveaxis movedim permute ravel "
        "reshape squeeze swapaxes swapdims t transpose unflatten unsqueeze"
    ),
    "softmax": "log_softmax softmax",
    "sort": "argsort histc histogram kthvalue median mode msort nanmedian nanquantile quantile sort topk",
    "windows": "bartlett_window blackman_window gradient hamming_window hann_window kaiser_window",
}
# Methods of Tensor that are functions too.
_METHODS = frozenset((
    "abs_ acos_ acosh_ addmv_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ as_strided_ asin_ asinh_ atan_ atanh_ "
    "ceil_ clamp_ clamp_max_ clamp_min_ clip_ cos_ cosh_ deg2rad_ detach detach_ erf_ erfc_ exp2_ exp_ expm1_ fill_ "
    "fix_ floor_ frac_ gcd_ i0_ is_conj is_distributed is_inference is_neg is_signed lcm_ ldexp_ log10_ log1p_ log2_ "
    "log_ logit_ nan_to_num_ neg_ negative_ rad2deg_ reciprocal_ resize_as_ round_ rsqrt_ sin_ sinc_ sinh_ sqrt_ "
    "square_ tan_ trunc_ xlogy_ zero_"
).split())  # fmt: skip
_FAMILY = {name: family for family, names in _OPERATIONS.items() for name in names.split()}

_SUBMODULES = {
    "accelerator", "amp", "autograd", "backends", "compiler", "cpu", "cuda", "distributed", "distributions",
    "formats", "func", "hub", "jit", "legacy", "linalg", "mps", "multiprocessing", "nn", "onnx", "ops", "optim",
    "overrides", "random", "return_types", "serialization", "settings", "sparse", "special", "storage", "testing",
    "types", "utils", "version",
}  # fmt: skip


def __getattr__(name):
    if name in _FAMILY:
        value = globals()[name] = getattr(_import_module(f"tnn.ops.{_FAMILY[name]}"), name)
        return value
    if name in _SUBMODULES:
        return _import_module(f"tnn.{name}")
    if name in _METHODS:
        return getattr(Tensor, name)
    if name == "vmap":
        return _import_module("tnn.func").vmap
    if name == "spmm":
        return _import_module("tnn.coordinates").mm
    if name == "sparse_coo_tensor":
        return _import_module("tnn.coordinates").sparse_coo_tensor
    if name in ("load", "save"):
        return getattr(_import_module("tnn.serialization"), name)
    if name.endswith("Tensor"):
        return getattr(_import_module("tnn.legacy"), name)
    raise AttributeError(f"module 'tnn' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_FAMILY, *_METHODS, "vmap", *_SUBMODULES, "load", "save"})
