"""What each operation takes as ``out``: the data that ``into`` of :mod:`tnn.ops._common` goes by.

An operation goes by its name; ``linalg_inv`` is ``linalg.inv``. ``max.0`` is the first of several results, and
``matmul.dot`` a case of an operation that has its own rule; the part before the point is what errors call it. What is
not in the tables takes each dtype to which its result can be cast.

A message's fields: ``want`` and ``got`` are the dtypes of the result and of ``out``, as in FloatTensor; ``c_want`` and
``c_got`` their names in C++; ``name`` is the operation.
"""

_CAST = "result type {want} can't be cast to the desired output type {got}"
_OUT = "Expected out tensor to have dtype {c_want}, but got {c_got} instead"
_SAFE = "Expected result to be safely castable from {want} dtype, but got result with dtype {got}"
_MEDIAN = (
    "Expected tensor for 'values' to have the same type as tensor for argument #2 'self'; but type torch.{got}Tensor "
    "does not equal torch.{want}Tensor (while checking arguments for median)"
)
_MEDIAN_INDICES = (
    "Expected tensor for argument #1 'indices' to have scalar type Long; but got torch.{got}Tensor instead (while "
    "checking arguments for median)"
)
_SEARCH = (
    "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending on "
    "whether out_int32 flag is True, but we got output tensor's dtype {got} and out_int32 flag is "
)

# Only the result's own dtype is taken.
EXACT = {
    _OUT: (
        "addmm addmv aminmax argmax argmin baddbmm bmm cross cumprod cumsum diag gather index_add index_copy "
        "index_reduce isin linalg_cholesky linalg_cholesky_ex linalg_cross linalg_det linalg_eigh "
        "linalg_eigvalsh linalg_inv linalg_inv_ex linalg_lu linalg_lu_factor linalg_lu_solve linalg_matmul "
        "linalg_qr linalg_slogdet linalg_solve linalg_solve_ex linalg_svd linalg_svdvals linalg_vector_norm "
        "lu_solve lu_unpack matmul max.0 max.1 mean.dtype min.0 min.1 mm msort nansum norm prod qr renorm "
        "scatter scatter_add scatter_reduce sort sum svd take_along_dim topk tril triu"
    ),
    "Found dtype {got} but expected {want}": (
        "abs bitwise_not ceil clamp.number clamp_max.number clamp_min.number conj_physical floor frac lerp.Tensor neg "
        "round sgn sign trunc"
    ),
    "expected scalar_type {want} but found {got}": "cummax cummin diff.clone logcumsumexp",
    "expected scalar type {want} but found {got}": "linalg_solve_triangular",
    "result dtype {got} does not match input dtype {want}": "dot vdot matmul.dot",
    "addmv input tensors must have the same dtype, but got {got}, {want}, and {want}": "mv matmul.mv",
    "self and mat2 must have the same dtype, but got {got} and {want}": "addbmm",
    "{name}(): self and result must have the same scalar type": "index_select masked_select",
    "{name}(): self and out expected to have the same dtype, but got self.dtype = {want} and out.dtype = {got}": "take",
    "{name} only supports bool tensor for result, got: {got}": "all any",
    "{name} does not support non-boolean outputs.": "isneginf isposinf signbit",
    "torch.frexp() expects mantissa to have dtype {c_want} but got {c_got}": "frexp.0",
    "torch.frexp() expects exponent to have {c_want} dtype but got {c_got}": "frexp.1",
    "Expected the dtype for input and out to match, but got {want} for input's dtype and {got} for out's dtype.": (
        "amax amin"
    ),
    "linalg.{name} expected out tensor dtype {want} but got: {got}": "linalg_matrix_norm linalg_norm",
    "multi_dot(): expected out tensor to have dtype {c_want} but got {c_got}": "linalg_multi_dot chain_matmul",
    "linalg.vecdot: Expected out of dtype{want} but found {got}": "linalg_vecdot",
    "nansum: provided dtype must match dtype of result. Got {got} and {want}.": "nansum.float",
    "the output given to float_power has dtype {got} but the operation's result requires dtype {want}": "float_power",
    "heaviside is not yet implemented for tensors with different dtypes.": "heaviside",
    "nan_to_num: dtype of out: {got} should be same as input: {want}": "nan_to_num",
    "Expected out type to be {want} but got {got}": "where",
    "{name}: Expected out tensor to have scalar type {want} but got scalar type{got}": "nonzero nonzero_static",
    "tensordot: Expected the output tensor to have dtype {want}, but got an output tensor with dtype {got}": (
        "tensordot inner.tensordot"
    ),
    "torch.ormqr: Expected input and result to have the same dtype, but input has dtype{want} and result has dtype "
    "{got}": "ormqr",
    "quantile() out tensor must be same dtype as the input tensor": "quantile nanquantile",
    "multinomial expects {want} tensor out, got: {got}": "multinomial",
    "output values must be of same type as input": "kthvalue.0",
    "output indices must be of scalar type {want}": "kthvalue.1",
    "expected scalar type '{want}' but got '{got}' for values output": "mode.0",
    "expected scalar type '{want}' but got '{got}' for indices output": "mode.1",
    _MEDIAN: "median.0 nanmedian.0",
    _MEDIAN_INDICES: "median.1 nanmedian.1",
    "torch.histogram: input tensor and hist tensor should have the same dtype, but got input {c_want} and hist "
    "{c_got}": "histogram.0 histc",
    "torch.histogram: input tensor and bin_edges tensor should have the same dtype, but got input {c_want} and "
    "bin_edges {c_got} for dimension 0": "histogram.1",
    _SEARCH + "False": "searchsorted bucketize",
    _SEARCH + "True": "searchsorted.int32 bucketize.int32",
}

# The result is cast; this is said where it can't be.
CAST = {
    "{name}: " + _SAFE: (
        "cholesky cholesky_inverse cholesky_solve linalg_matrix_power.copy linalg_tensorinv linalg_tensorsolve"
    ),
    "linalg.{name}: " + _SAFE: "linalg_cond linalg_pinv",
    "torch.linalg.{name}: " + _SAFE: "linalg_householder_product linalg_matrix_rank",
    "torch.geqrf: Expected a to be safely castable from {want} dtype, but got a with dtype {got}": "geqrf.0",
    "torch.geqrf: Expected tau to be safely castable from {want} dtype, but got tau with dtype {got}": "geqrf.1",
    "torch.cat(): input types can't be cast to the desired output type {got}": "cat stack",
    "mean.dtype_out(): input types can't be cast to the desired output type {got}": "mean.all",
    "logsumexp(): Expected floating point type for result tensor, but got: {got}": "logsumexp",
    "ldexp can't be cast to the desired output type {got}": "ldexp",
    "mvlgamma: result type {want} can't be cast to the desired output type {got}": "mvlgamma",
    "\"nansum_cpu\" not implemented for '{got}'": "nanmean",
    "\"normal_kernel_cpu\" not implemented for '{got}'": "normal",
}

# What is said where the result can't be cast, and where it could be but is not; None: it is taken all the same.
RULES: dict[str, tuple[str | None, str | None]] = {
    op: (text, text) for text, names in EXACT.items() for op in names.split()
}
RULES |= {op: (text, None) for text, names in CAST.items() for op in names.split()}
RULES |= {
    "bernoulli": (None, None),
    "diag.vector": ("diag: result type {want} can't be cast to the desired out= type {got}", _OUT),
    "linalg_matrix_power": ("{name}: " + _SAFE, _OUT),
    "lu": (None, None),
}
DEFAULT = (_CAST, None)

# Errors of another type than RuntimeError.
ERRORS = {"cat": TypeError, "stack": TypeError, "nanmean": NotImplementedError, "normal": NotImplementedError}

# ``out`` may not even be an input; elsewhere it may be one, but not another part of its memory.
APART = frozenset(
    "cat cross gather index_select kthvalue.0 kthvalue.1 linalg_cross masked_select take take_along_dim".split()
)

# No warning where ``out`` takes another shape.
QUIET = frozenset(
    (
        "addbmm bernoulli empty eye full logspace lu.0 lu.1 lu.2 multinomial normal ones rand randint randn "
        "randperm zeros"
    ).split()
)

# Which operation an error about gradients names, where it is not the one that was called.
RECORDED = {
    "cross": "linalg_cross",
    "float_power": "pow",
    "kron": "mul",
    "linalg_cholesky": "linalg_cholesky_ex",
    "linalg_det": "_linalg_det",
    "linalg_eigh": "_linalg_eigh",
    "linalg_eigvalsh": "_linalg_eigh",
    "linalg_inv": "linalg_inv_ex",
    "linalg_lu_factor": "linalg_lu_factor_ex",
    "linalg_multi_dot": "mm",
    "linalg_slogdet": "_linalg_slogdet",
    "linalg_solve": "_linalg_solve_ex",
    "linalg_solve_ex": "_linalg_solve_ex",
    "linalg_svd": "_linalg_svd",
    "linalg_svdvals": "_linalg_svd",
    "linalg_vecdot": "vdot",
    "lu_solve": "linalg_lu_solve",
    "msort": "sort",
    "nanmean": "nansum",
    "norm": "linalg_vector_norm",
    "normalize": "div",
    "outer": "mul",
    "qr": "linalg_qr",
    "square": "pow",
    "svd": "_linalg_svd",
    "take_along_dim": "gather",
    "true_divide": "div",
}

# Names in C++, by those of FloatTensor and its like.
C_NAMES = {
    "Bool": "bool",
    "Byte": "unsigned char",
    "Char": "signed char",
    "Short": "short int",
    "Int": "int",
    "Long": "long int",
    "UInt16": "short unsigned int",
    "UInt32": "unsigned int",
    "UInt64": "long unsigned int",
    "Half": "c10::Half",
    "BFloat16": "c10::BFloat16",
    "Float": "float",
    "Double": "double",
    "Float8_e4m3fn": "c10::Float8_e4m3fn",
    "Float8_e5m2": "c10::Float8_e5m2",
}
