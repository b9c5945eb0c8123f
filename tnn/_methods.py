"""Binds operations to Tensor as methods: one table, a line or block for each family.

METHODS: family -> names of operations that are Tensor methods of the same name.
INPLACE: family -> names of operations that also have an in-place form with a trailing underscore.
OPERATORS: family -> {special method: name of the operation in the family's module}.
"""

from importlib import import_module

from .ops._common import inplace
from .tensor import Tensor

METHODS = {
    "layout": "to_sparse to_sparse_coo to_dense dequantize sparse_dim dense_dim coalesce is_coalesced indices values",
    "activation": "hardshrink prelu relu sigmoid tanh relu_ sigmoid_ tanh_",
    "pointwise": (
        "add sub subtract mul multiply div divide true_divide floor_divide remainder fmod pow float_power ldexp "
        "maximum minimum fmax fmin"
    ),
    "pointwise_functions": (
        "atan2 arctan2 hypot logaddexp logaddexp2 copysign nextafter heaviside xlogy gcd lcm igamma igammac"
    ),
    "pointwise_unary": (
        "exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square sin cos tan asin acos atan sinh cosh "
        "asinh acosh atanh arcsin arccos arctan arcsinh arccosh arctanh deg2rad rad2deg sinc erf erfc erfinv lgamma "
        "digamma i0 mvlgamma logit abs absolute neg negative positive sign sgn floor ceil trunc fix frac round "
        "angle frexp nan_to_num isnan isinf isfinite isposinf isneginf signbit isreal logical_not"
    ),
    "pointwise_compare": (
        "eq ne not_equal lt less le less_equal gt greater ge greater_equal equal isclose allclose logical_and "
        "logical_or logical_xor bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift "
        "bitwise_right_shift"
    ),
    "pointwise_select": "masked_fill clamp clip clamp_min clamp_max lerp addcmul addcdiv",
    "linear": "mm bmm mv dot vdot outer ger addmm baddbmm addbmm addmv addr matmul",
    "shape": (
        "reshape view view_as reshape_as flatten ravel unflatten unsqueeze squeeze permute transpose swapaxes "
        "swapdims t adjoint T mT mH H movedim moveaxis sum_to_size expand expand_as broadcast_to clone contiguous "
        "squeeze_ unsqueeze_ transpose_ swapaxes_ swapdims_ t_ resize_ resize_as_"
    ),
    "assign": "copy_ fill_ zero_",
    "memory": (
        "untyped_storage storage set_ dim_order const_data_ptr is_same_size is_nonzero resize resize_as apply_ map_ "
        "as_subclass conj conj_physical resolve_conj resolve_neg is_conj is_neg pin_memory is_distributed real"
    ),
    "part": "select narrow diagonal as_strided as_strided_ unfold",
    "joining": (
        "unbind split split_with_sizes chunk tensor_split hsplit vsplit dsplit unsafe_chunk unsafe_split "
        "unsafe_split_with_sizes"
    ),
    "rearrange": (
        "flip fliplr flipud rot90 roll repeat tile repeat_interleave tril triu diag diag_embed diagflat "
        "select_scatter slice_scatter diagonal_scatter as_strided_scatter fill_diagonal_ narrow_copy"
    ),
    "indexing": "index_put index_put_",
    "gather": "gather take_along_dim scatter scatter_add scatter_reduce",
    "index_select": "index_select index_add index_copy index_fill index_reduce take put",
    "search": "nonzero argwhere nonzero_static masked_select masked_scatter bincount unique unique_consecutive",
    "sort": "sort argsort msort topk kthvalue median nanmedian mode quantile nanquantile histc histogram",
    "reduction": "sum nansum mean nanmean prod var std logsumexp all any count_nonzero",
    "extreme": "amax amin aminmax max min argmax argmin",
    "scan": "cumsum cumprod logcumsumexp cummax cummin diff",
    "softmax": "softmax log_softmax",
    "norms": "norm dist renorm",
    "einsum": "cross kron inner",
    "factor": "cholesky geqrf lu orgqr ormqr qr svd",
    "linalg": (
        "cholesky_inverse cholesky_solve corrcoef cov det inverse logdet lu_solve matrix_exp matrix_power pinverse "
        "slogdet trace triangular_solve"
    ),
    "removed": "eig lstsq solve symeig",
    "creation": "new new_tensor new_empty new_empty_strided new_zeros new_ones new_full",
    "random": "uniform_ normal_ random_ bernoulli_ exponential_ cauchy_ log_normal_ geometric_",
    "sampling": "bernoulli multinomial",
    "cast": "to type type_as float double half bfloat16 int long short char byte bool cpu cuda xpu ipu mtia",
}

INPLACE = {
    "pointwise": (
        "add sub subtract mul multiply div divide true_divide floor_divide remainder fmod pow ldexp"
    ),
    "pointwise_functions": "atan2 arctan2 hypot copysign nextafter heaviside xlogy gcd lcm igamma igammac",
    "pointwise_unary": (
        "exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square sin cos tan asin acos atan sinh cosh "
        "asinh acosh atanh arcsin arccos arctan arcsinh arccosh arctanh deg2rad rad2deg sinc erf erfc erfinv lgamma "
        "digamma i0 mvlgamma logit abs absolute neg negative sign sgn floor ceil trunc fix frac round nan_to_num "
        "logical_not"
    ),
    "pointwise_compare": (
        "eq ne not_equal lt less le less_equal gt greater ge greater_equal logical_and logical_or logical_xor "
        "bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift"
    ),
    "pointwise_select": "masked_fill clamp clip clamp_min clamp_max lerp addcmul addcdiv",
    "linear": "addmm baddbmm addbmm addmv addr",
    "rearrange": "tril triu",
    "gather": "scatter scatter_add scatter_reduce",
    "index_select": "index_add index_copy index_fill index_reduce put",
    "search": "masked_scatter",
    "scan": "cumsum cumprod",
    "norms": "renorm",
    "memory": "conj_physical",
}

OPERATORS = {
    "pointwise": {
        "__add__": "op_add", "__radd__": "op_radd", "__sub__": "op_sub", "__rsub__": "op_rsub", "__mul__": "op_mul",
        "__rmul__": "op_rmul", "__truediv__": "op_truediv", "__rtruediv__": "op_rtruediv",
        "__floordiv__": "op_floordiv", "__rfloordiv__": "op_rfloordiv",
        "__mod__": "op_mod", "__rmod__": "op_rmod", "__pow__": "op_pow",
        "__rpow__": "op_rpow", "__iadd__": "op_iadd", "__isub__": "op_isub", "__imul__": "op_imul",
        "__itruediv__": "op_itruediv", "__ifloordiv__": "op_ifloordiv", "__imod__": "op_imod", "__ipow__": "op_ipow",
        "float_power_": "float_power_",
    },
    "pointwise_unary": {
        "__neg__": "neg", "__pos__": "positive", "__abs__": "abs", "polygamma": "polygamma_method",
        "polygamma_": "polygamma_",
    },
    "pointwise_compare": {
        "__eq__": "op_eq", "__ne__": "op_ne", "__lt__": "op_lt", "__le__": "op_le", "__gt__": "op_gt",
        "__ge__": "op_ge", "__and__": "op_and", "__rand__": "op_rand", "__or__": "op_or", "__ror__": "op_ror",
        "__xor__": "op_xor",
        "__rxor__": "op_rxor", "__invert__": "bitwise_not", "__lshift__": "op_lshift", "__rshift__": "op_rshift",
        "__iand__": "op_iand", "__ior__": "op_ior", "__ixor__": "op_ixor", "__ilshift__": "op_ilshift",
        "__irshift__": "op_irshift",
    },
    "linear": {"__matmul__": "op_matmul", "__rmatmul__": "op_rmatmul"},
    "indexing": {"__getitem__": "getitem", "__setitem__": "setitem"},
    "pointwise_select": {"where": "where_method"},
}


class _Late:
    """Stands for a method until it is first looked up; then the operation takes its place on Tensor."""

    __slots__ = ("attribute", "family", "name", "in_place")

    def __init__(self, attribute, family, name, in_place=False):
        self.attribute, self.family, self.name, self.in_place = attribute, family, name, in_place

    def __get__(self, obj, owner=None):
        value = getattr(import_module(f"tnn.ops.{self.family}"), self.name)
        if self.in_place:
            value = inplace(value)
        setattr(Tensor, self.attribute, value)
        return value.__get__(obj, owner)


def bind():
    """Sets the methods on Tensor; a family is read when a method of its is first used."""
    for family, names in METHODS.items():
        for name in names.split():
            setattr(Tensor, name, _Late(name, family, name))
    for family, names in INPLACE.items():
        for name in names.split():
            setattr(Tensor, name + "_", _Late(name + "_", family, name, True))
    for family, table in OPERATORS.items():
        for special, name in table.items():
            setattr(Tensor, special, _Late(special, family, name))


bind()
