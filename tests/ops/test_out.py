"""What operations do with ``out``: the dtypes they take, the errors about others, shapes, memory and gradients."""

import re
import warnings

import numpy as np
import pytest

import tnn

DTYPES = ("float16", "float32", "float64", "int32", "int64", "bool")

V = np.array([1.0, 2.0, 3.0], np.float32)
W = np.array([0.2, 0.8, 0.5], np.float32)
M = np.array([[2.0, 1.0], [1.0, 3.0]], np.float32)
C = np.array([[1.5, 0.0], [0.5, 1.5]], np.float32)
L = np.array([1, 2, 3])
X = np.array([0, 1, 1])
K = np.array([0, 1, 2])
P = np.array([1, 2], np.int32)
B = np.array([True, False, True])

# The operation, its arguments, which of several results ``out`` has another dtype for, the dtypes that are taken, and
# for one that is not the error. From PyTorch 2.13.
# fmt: off
CASES = [
    ("abs", (V,), None, "float32", "float16", RuntimeError, "Found dtype Half but expected Float"),
    ("abs", (L,), None, "int64", "float16", RuntimeError, "Found dtype Half but expected Long"),
    ("acos", (W,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("add", (V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("add", (L, L), None, "float16 float32 float64 int32 int64",
     "bool", RuntimeError, "result type Long can't be cast to the desired output type Bool"),
    ("add", (B, B), None, "float16 float32 float64 int32 int64 bool", None, None, None),
    ("addbmm", (M, M[None], M[None]), None, "float32",
     "float16", RuntimeError, "self and mat2 must have the same dtype, but got Half and Float"),
    ("addcdiv", (V, V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("addcmul", (V, V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("addmm", (M, M, M), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("addmv", (M[0], M, M[0]), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("addr", (M, M[0], M[0]), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("all", (B,), None, "bool", "float16", RuntimeError, "all only supports bool tensor for result, got: Half"),
    ("all", (V,), None, "bool", "float16", RuntimeError, "all only supports bool tensor for result, got: Half"),
    ("amax", (V,), None, "float32",
     "float16", RuntimeError,
     "Expected the dtype for input and out to match, but got Float for input's dtype and Half for out's dtype."),
    ("amin", (L,), None, "int64",
     "float16", RuntimeError,
     "Expected the dtype for input and out to match, but got Long for input's dtype and Half for out's dtype."),
    ("aminmax", (V,), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("aminmax", (V,), 1, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("any", (B,), None, "bool", "float16", RuntimeError, "any only supports bool tensor for result, got: Half"),
    ("angle", (V,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("argmax", (V,), None, "int64",
     "float16", RuntimeError, "Expected out tensor to have dtype long int, but got c10::Half instead"),
    ("argmin", (V,), None, "int64",
     "float16", RuntimeError, "Expected out tensor to have dtype long int, but got c10::Half instead"),
    ("atan2", (V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("baddbmm", (M[None], M[None], M[None]), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("bitwise_and", (L, L), None, "float16 float32 float64 int32 int64",
     "bool", RuntimeError, "result type Long can't be cast to the desired output type Bool"),
    ("bitwise_not", (L,), None, "int64", "float16", RuntimeError, "Found dtype Half but expected Long"),
    ("bmm", (M[None], M[None]), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("bucketize", (V, V), None, "int64",
     "float16", RuntimeError,
     "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending "
     "on whether out_int32 flag is True, but we got output tensor's dtype Half and out_int32 flag is False"),
    ("cat", ([V, V],), None, "float16 float32 float64",
     "int32", TypeError, "torch.cat(): input types can't be cast to the desired output type Int"),
    ("ceil", (V,), None, "float32", "float16", RuntimeError, "Found dtype Half but expected Float"),
    ("chain_matmul", (M, M), None, "float32",
     "float16", RuntimeError, "multi_dot(): expected out tensor to have dtype float but got c10::Half"),
    ("cholesky", (M,), None, "float16 float32 float64",
     "int32", RuntimeError,
     "cholesky: Expected result to be safely castable from Float dtype, but got result with dtype Int"),
    ("cholesky_inverse", (C,), None, "float16 float32 float64",
     "int32", RuntimeError,
     "cholesky_inverse: Expected result to be safely castable from Float dtype, but got result with dtype Int"),
    ("cholesky_solve", (M, C), None, "float16 float32 float64",
     "int32", RuntimeError,
     "cholesky_solve: Expected result to be safely castable from Float dtype, but got result with dtype Int"),
    ("clamp", (V, 1.0, 2.0), None, "float32", "float16", RuntimeError, "Found dtype Half but expected Float"),
    ("clamp", (V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("column_stack", ([V, V],), None, "float16 float32 float64",
     "int32", TypeError, "torch.cat(): input types can't be cast to the desired output type Int"),
    ("conj_physical", (V,), None, "float32", "float16", RuntimeError, "Found dtype Half but expected Float"),
    ("cross", (V, V), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("cummax", (V, 0), 0, "float32", "float16", RuntimeError, "expected scalar_type Float but found Half"),
    ("cummax", (V, 0), 1, "int64", "float16", RuntimeError, "expected scalar_type Long but found Half"),
    ("cummin", (V, 0), 0, "float32", "float16", RuntimeError, "expected scalar_type Float but found Half"),
    ("cummin", (V, 0), 1, "int64", "float16", RuntimeError, "expected scalar_type Long but found Half"),
    ("cumprod", (V, 0), None, "float16 float32 float64 int32 int64",
     "bool", NotImplementedError, "\"cumprod_out_cpu\" not implemented for 'Bool'"),
    ("cumsum", (L, 0), None, "float16 float32 float64 int32 int64",
     "bool", NotImplementedError, "\"cumsum_out_cpu\" not implemented for 'Bool'"),
    ("diag", (V,), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("diff", (V,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("diff", (V, 0), None, "float32", "float16", RuntimeError, "expected scalar_type Float but found Half"),
    ("div", (L, L), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("dot", (V, V), None, "float32", "float16", RuntimeError, "result dtype Half does not match input dtype Float"),
    ("eq", (V, V), None, "float16 float32 float64 int32 int64 bool", None, None, None),
    ("exp", (V,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("exp", (L,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("float_power", (V, 2), None, "float64",
     "float16", RuntimeError,
     "the output given to float_power has dtype Half but the operation's result requires dtype Double"),
    ("floor", (V,), None, "float32", "float16", RuntimeError, "Found dtype Half but expected Float"),
    ("floor_divide", (V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("fmod", (V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("frac", (V,), None, "float32", "float16", RuntimeError, "Found dtype Half but expected Float"),
    ("gather", (V, 0, X), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("gcd", (L, L), None, "float16 float32 float64 int32 int64",
     "bool", RuntimeError, "result type Long can't be cast to the desired output type Bool"),
    ("geqrf", (M,), 0, "float16 float32 float64",
     "int32", RuntimeError,
     "torch.geqrf: Expected a to be safely castable from Float dtype, but got a with dtype Int"),
    ("geqrf", (M,), 1, "float16 float32 float64",
     "int32", RuntimeError,
     "torch.geqrf: Expected tau to be safely castable from Float dtype, but got tau with dtype Int"),
    ("heaviside", (V, V), None, "float32",
     "float16", RuntimeError, "heaviside is not yet implemented for tensors with different dtypes."),
    ("histc", (V,), None, "float32",
     "float16", RuntimeError,
     "torch.histogram: input tensor and hist tensor should have the same dtype, but got input float and hist "
     "c10::Half"),
    ("histogram", (V, 2), 0, "float32",
     "float16", RuntimeError,
     "torch.histogram: input tensor and hist tensor should have the same dtype, but got input float and hist "
     "c10::Half"),
    ("histogram", (V, 2), 1, "float32",
     "float16", RuntimeError,
     "torch.histogram: input tensor and bin_edges tensor should have the same dtype, but got input float and "
     "bin_edges c10::Half for dimension 0"),
    ("index_add", (V, 0, X, V), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("index_copy", (V, 0, K, V), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("index_select", (V, 0, X), None, "float32",
     "float16", RuntimeError, "index_select(): self and result must have the same scalar type"),
    ("inner", (V, V), None, "float32",
     "float16", RuntimeError,
     "tensordot: Expected the output tensor to have dtype Float, but got an output tensor with dtype Half"),
    ("kron", (V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("kthvalue", (V, 1), 0, "float32", "float16", RuntimeError, "output values must be of same type as input"),
    ("kthvalue", (V, 1), 1, "int64", "float16", RuntimeError, "output indices must be of scalar type Long"),
    ("ldexp", (V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "ldexp can't be cast to the desired output type Int"),
    ("lerp", (V, V, 0.5), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("lerp", (V, V, V), None, "float32", "float16", RuntimeError, "Found dtype Half but expected Float"),
    ("linalg.cholesky", (M,), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.cholesky_ex", (M,), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.cholesky_ex", (M,), 1, "int32",
     "float16", RuntimeError, "Expected out tensor to have dtype int, but got c10::Half instead"),
    ("linalg.cond", (M,), None, "float16 float32 float64",
     "int32", RuntimeError,
     "linalg.cond: Expected result to be safely castable from Float dtype, but got result with dtype Int"),
    ("linalg.cross", (V, V), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.det", (M,), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.eigh", (M,), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.eigh", (M,), 1, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.eigvalsh", (M,), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.householder_product", (C, W[:2]), None, "float16 float32 float64",
     "int32", RuntimeError,
     "torch.linalg.householder_product: Expected result to be safely castable from Float dtype, but got result "
     "with dtype Int"),
    ("linalg.inv", (M,), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.inv_ex", (M,), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.inv_ex", (M,), 1, "int32",
     "float16", RuntimeError, "Expected out tensor to have dtype int, but got c10::Half instead"),
    ("linalg.lu", (M,), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.lu", (M,), 1, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.lu", (M,), 2, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.lu_factor", (M,), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.lu_factor", (M,), 1, "int32",
     "float16", RuntimeError, "Expected out tensor to have dtype int, but got c10::Half instead"),
    ("linalg.lu_solve", (M, P, M), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.matmul", (M, M), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.matrix_norm", (M,), None, "float32",
     "float16", RuntimeError, "linalg.matrix_norm expected out tensor dtype Float but got: Half"),
    ("linalg.matrix_power", (M, 0), None, "float16 float32 float64",
     "int32", RuntimeError,
     "matrix_power: Expected result to be safely castable from Float dtype, but got result with dtype Int"),
    ("linalg.matrix_power", (M, 2), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.matrix_rank", (M,), None, "float16 float32 float64 int32 int64",
     "bool", RuntimeError,
     "torch.linalg.matrix_rank: Expected result to be safely castable from Long dtype, but got result with "
     "dtype Bool"),
    ("linalg.multi_dot", ([M, M, M],), None, "float32",
     "float16", RuntimeError, "multi_dot(): expected out tensor to have dtype float but got c10::Half"),
    ("linalg.norm", (M,), None, "float32",
     "float16", RuntimeError, "linalg.norm expected out tensor dtype Float but got: Half"),
    ("linalg.norm", (M, 2), None, "float32",
     "float16", RuntimeError, "linalg.norm expected out tensor dtype Float but got: Half"),
    ("linalg.pinv", (M,), None, "float16 float32 float64",
     "int32", RuntimeError,
     "linalg.pinv: Expected result to be safely castable from Float dtype, but got result with dtype Int"),
    ("linalg.qr", (M,), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.qr", (M,), 1, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.slogdet", (M,), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.slogdet", (M,), 1, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.solve", (M, M), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.solve_ex", (M, M), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.solve_ex", (M, M), 1, "int32",
     "float16", RuntimeError, "Expected out tensor to have dtype int, but got c10::Half instead"),
    ("linalg.svd", (M,), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.svd", (M,), 1, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.svd", (M,), 2, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.svdvals", (M,), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("linalg.tensorinv", (M, 1), None, "float16 float32 float64",
     "int32", RuntimeError,
     "tensorinv: Expected result to be safely castable from Float dtype, but got result with dtype Int"),
    ("linalg.tensorsolve", (M, M[0]), None, "float16 float32 float64",
     "int32", RuntimeError,
     "tensorsolve: Expected result to be safely castable from Float dtype, but got result with dtype Int"),
    ("linalg.vecdot", (V, V), None, "float32",
     "float16", RuntimeError, "linalg.vecdot: Expected out of dtypeFloat but found Half"),
    ("linalg.vector_norm", (V,), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("logaddexp", (V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("logcumsumexp", (V, 0), None, "float32", "float16", RuntimeError, "expected scalar_type Float but found Half"),
    ("logical_and", (V, V), None, "float16 float32 float64 int32 int64 bool", None, None, None),
    ("logical_not", (V,), None, "float16 float32 float64 int32 int64 bool", None, None, None),
    ("logit", (W,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("logsumexp", (V, 0), None, "float16 float32 float64",
     "int32", RuntimeError, "logsumexp(): Expected floating point type for result tensor, but got: Int"),
    ("lt", (V, V), None, "float16 float32 float64 int32 int64 bool", None, None, None),
    ("lu_solve", (M, M, P), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("lu_unpack", (M, P), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("lu_unpack", (M, P), 1, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("lu_unpack", (M, P), 2, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("masked_select", (V, B), None, "float32",
     "float16", RuntimeError, "masked_select(): self and result must have the same scalar type"),
    ("matmul", (M, M), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("matmul", (V, V), None, "float32",
     "float16", RuntimeError, "result dtype Half does not match input dtype Float"),
    ("matmul", (M, M[0]), None, "float32",
     "float16", RuntimeError, "addmv input tensors must have the same dtype, but got Half, Float, and Float"),
    ("max", (V,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("max", (V, 0), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("max", (V, 0), 1, "int64",
     "float16", RuntimeError, "Expected out tensor to have dtype long int, but got c10::Half instead"),
    ("max", (V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("maximum", (L, L), None, "float16 float32 float64 int32 int64",
     "bool", RuntimeError, "result type Long can't be cast to the desired output type Bool"),
    ("mean", (V,), None, "float16 float32 float64",
     "int32", RuntimeError, "mean.dtype_out(): input types can't be cast to the desired output type Int"),
    ("mean", (V, 0), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("median", (V, 0), 0, "float32",
     "float16", RuntimeError,
     "Expected tensor for 'values' to have the same type as tensor for argument #2 'self'; but type "
     "torch.HalfTensor does not equal torch.FloatTensor (while checking arguments for median)"),
    ("median", (V, 0), 1, "int64",
     "float16", RuntimeError,
     "Expected tensor for argument #1 'indices' to have scalar type Long; but got torch.HalfTensor instead "
     "(while checking arguments for median)"),
    ("min", (V,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("min", (V, 0), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("min", (V, 0), 1, "int64",
     "float16", RuntimeError, "Expected out tensor to have dtype long int, but got c10::Half instead"),
    ("min", (L, L), None, "float16 float32 float64 int32 int64",
     "bool", RuntimeError, "result type Long can't be cast to the desired output type Bool"),
    ("mm", (M, M), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("mode", (V, 0), 0, "float32",
     "float16", RuntimeError, "expected scalar type 'Float' but got 'Half' for values output"),
    ("mode", (V, 0), 1, "int64",
     "float16", RuntimeError, "expected scalar type 'Long' but got 'Half' for indices output"),
    ("msort", (V,), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("mul", (V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("mv", (M, M[0]), None, "float32",
     "float16", RuntimeError, "addmv input tensors must have the same dtype, but got Half, Float, and Float"),
    ("mvlgamma", (V + 3, 2), None, "float16 float32 float64",
     "int32", RuntimeError, "mvlgamma: result type Float can't be cast to the desired output type Int"),
    ("nan_to_num", (V,), None, "float32",
     "float16", RuntimeError, "nan_to_num: dtype of out: Half should be same as input: Float"),
    ("nanmean", (V, 0), None, "float16 float32 float64",
     "int32", NotImplementedError, "\"nansum_cpu\" not implemented for 'Int'"),
    ("nanmedian", (V, 0), 0, "float32",
     "float16", RuntimeError,
     "Expected tensor for 'values' to have the same type as tensor for argument #2 'self'; but type "
     "torch.HalfTensor does not equal torch.FloatTensor (while checking arguments for median)"),
    ("nanmedian", (V, 0), 1, "int64",
     "float16", RuntimeError,
     "Expected tensor for argument #1 'indices' to have scalar type Long; but got torch.HalfTensor instead "
     "(while checking arguments for median)"),
    ("nanquantile", (V, 0.5), None, "float32",
     "float16", RuntimeError, "quantile() out tensor must be same dtype as the input tensor"),
    ("nansum", (V, 0), None, "float16 float32 float64",
     "int32", NotImplementedError, "\"nansum_cpu\" not implemented for 'Int'"),
    ("nansum", (L, 0), None, "float16 float32 float64 int32 int64 bool", None, None, None),
    ("ne", (V, V), None, "float16 float32 float64 int32 int64 bool", None, None, None),
    ("neg", (V,), None, "float32", "float16", RuntimeError, "Found dtype Half but expected Float"),
    ("nonzero", (V,), None, "int64",
     "float16", RuntimeError, "nonzero: Expected out tensor to have scalar type Long but got scalar typeHalf"),
    ("norm", (V,), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("norm", (M, "nuc"), None, "float32",
     "float16", RuntimeError, "linalg.matrix_norm expected out tensor dtype Float but got: Half"),
    ("ormqr", (C, W[:2], M), None, "float32",
     "float16", RuntimeError,
     "torch.ormqr: Expected input and result to have the same dtype, but input has dtypeFloat and result has "
     "dtype Half"),
    ("outer", (V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("polygamma", (1, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("pow", (V, 2), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("prod", (V, 0), None, "float16 float32 float64 int32 int64 bool", None, None, None),
    ("prod", (L, 0), None, "float16 float32 float64 int32 int64 bool", None, None, None),
    ("qr", (M,), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("qr", (M,), 1, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("quantile", (V, 0.5), None, "float32",
     "float16", RuntimeError, "quantile() out tensor must be same dtype as the input tensor"),
    ("reciprocal", (V,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("remainder", (L, L), None, "float16 float32 float64 int32 int64",
     "bool", RuntimeError, "result type Long can't be cast to the desired output type Bool"),
    ("renorm", (M, 1.0, 0, 1.0), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("round", (V,), None, "float32", "float16", RuntimeError, "Found dtype Half but expected Float"),
    ("scatter", (V, 0, X, V), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("scatter_add", (V, 0, X, V), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("scatter_reduce", (V, 0, X, V, "sum"), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("searchsorted", (V, V), None, "int64",
     "float16", RuntimeError,
     "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending "
     "on whether out_int32 flag is True, but we got output tensor's dtype Half and out_int32 flag is False"),
    ("sgn", (V,), None, "float32", "float16", RuntimeError, "Found dtype Half but expected Float"),
    ("sigmoid", (V,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("sign", (V,), None, "float32", "float16", RuntimeError, "Found dtype Half but expected Float"),
    ("sort", (V,), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("sort", (V,), 1, "int64",
     "float16", RuntimeError, "Expected out tensor to have dtype long int, but got c10::Half instead"),
    ("sqrt", (L,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("stack", ([V, V],), None, "float16 float32 float64",
     "int32", TypeError, "torch.cat(): input types can't be cast to the desired output type Int"),
    ("std", (V,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("sub", (L, L), None, "float16 float32 float64 int32 int64",
     "bool", RuntimeError, "result type Long can't be cast to the desired output type Bool"),
    ("sum", (V, 0), None, "float16 float32 float64 int32 int64 bool", None, None, None),
    ("sum", (L, 0), None, "float16 float32 float64 int32 int64 bool", None, None, None),
    ("svd", (M,), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("svd", (M,), 1, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("svd", (M,), 2, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("take", (V, X), None, "float32",
     "float16", RuntimeError,
     "take(): self and out expected to have the same dtype, but got self.dtype = Float and out.dtype = Half"),
    ("take_along_dim", (V, X, 0), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("tensordot", (M, M), None, "float32",
     "float16", RuntimeError,
     "tensordot: Expected the output tensor to have dtype Float, but got an output tensor with dtype Half"),
    ("topk", (V, 2), 0, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("topk", (V, 2), 1, "int64",
     "float16", RuntimeError, "Expected out tensor to have dtype long int, but got c10::Half instead"),
    ("tril", (M,), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("triu", (M,), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("true_divide", (V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("trunc", (V,), None, "float32", "float16", RuntimeError, "Found dtype Half but expected Float"),
    ("var", (V,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("vdot", (V, V), None, "float32",
     "float16", RuntimeError, "result dtype Half does not match input dtype Float"),
    ("vstack", ([V, V],), None, "float16 float32 float64",
     "int32", TypeError, "torch.cat(): input types can't be cast to the desired output type Int"),
    ("where", (B, V, V), None, "float32", "float16", RuntimeError, "Expected out type to be Float but got Half"),
    ("xlogy", (V, V), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("frexp", (V,), 0, "float32",
     "float16", RuntimeError, "torch.frexp() expects mantissa to have dtype float but got c10::Half"),
    ("frexp", (V,), 1, "int32",
     "float16", RuntimeError, "torch.frexp() expects exponent to have int dtype but got c10::Half"),
    ("index_reduce", (V, 0, X, V, "amax"), None, "float32",
     "float16", RuntimeError, "Expected out tensor to have dtype float, but got c10::Half instead"),
    ("isin", (V, V), None, "bool",
     "float16", RuntimeError, "Expected out tensor to have dtype bool, but got c10::Half instead"),
    ("isneginf", (V,), None, "bool", "float16", RuntimeError, "isneginf does not support non-boolean outputs."),
    ("isposinf", (V,), None, "bool", "float16", RuntimeError, "isposinf does not support non-boolean outputs."),
    ("signbit", (V,), None, "bool", "float16", RuntimeError, "signbit does not support non-boolean outputs."),
    ("special.entr", (W,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("special.ndtr", (W,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("special.ndtri", (W,), None, "float16 float32 float64",
     "int32", RuntimeError, "result type Float can't be cast to the desired output type Int"),
    ("bernoulli", (W,), None, "float16 float32 float64 int32 int64 bool", None, None, None),
    ("multinomial", (W, 2), None, "int64",
     "float16", RuntimeError, "multinomial expects Long tensor out, got: Half"),]
# fmt: on


def tensors(argument):
    if isinstance(argument, list):
        return [tensors(a) for a in argument]
    return tnn.tensor(argument) if isinstance(argument, np.ndarray) else argument


def function(name):
    found = tnn
    for part in name.split("."):
        found = getattr(found, part)
    return found


def call(name, args, position, dtype):
    """The results without ``out`` and with one in which the result at ``position`` has another dtype."""
    op = function(name)
    tnn.manual_seed(0)
    plain = op(*map(tensors, args))
    outs = [tnn.empty(r.shape, dtype=r.dtype) for r in (plain if isinstance(plain, tuple) else (plain,))]
    outs[position or 0] = tnn.empty(outs[position or 0].shape, dtype=getattr(tnn, dtype))
    tnn.manual_seed(0)
    results = op(*map(tensors, args), out=outs[0] if position is None else tuple(outs))
    if position is not None:
        assert all(a is b for a, b in zip(results, outs, strict=True))
        return plain[position], results[position]
    assert results is outs[0]
    return plain, results


def name_of(case):
    return f"{case[0]} {case[1][0].dtype if isinstance(case[1][0], np.ndarray) else ''} {case[2] or ''}"


@pytest.mark.parametrize(
    ("name", "args", "position", "taken", "dtype", "error", "message"), CASES, ids=map(name_of, CASES)
)
def test_dtype(name, args, position, taken, dtype, error, message):
    taken = taken.split()
    for d in taken:
        plain, result = call(name, args, position, d)
        assert result.dtype is getattr(tnn, d) and result.shape == plain.shape
        np.testing.assert_allclose(result.numpy(), plain.to(result.dtype).numpy(), 2e-3)
    for d in DTYPES:
        if d not in taken:
            with pytest.raises(error) as raised:
                call(name, args, position, d)
            if d == dtype:
                assert str(raised.value) == message


@pytest.mark.parametrize(
    ("name", "taken", "int32"),
    [("sum", True, 6), ("prod", True, 6), ("cumsum", False, [1, 3, 6]), ("cumprod", False, [1, 2, 6])],
)
def test_sums_are_computed_in_the_dtype_of_out(name, taken, int32):
    x = tnn.tensor([1.5, 2.5, 3.75])
    op = function(name)
    assert op(x, 0, out=tnn.empty(0, dtype=tnn.int32)).tolist() == int32
    if taken:
        assert op(x, 0, out=tnn.empty(0, dtype=tnn.bool)).tolist() is True
    else:
        with pytest.raises(NotImplementedError, match=f"\"{name}_out_cpu\" not implemented for 'Bool'"):
            op(x, 0, out=tnn.empty(0, dtype=tnn.bool))
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype double, but got float instead"):
        op(x, 0, dtype=tnn.float64, out=tnn.empty(0))


def test_means_are_computed_in_the_dtype_of_out():
    x = tnn.tensor([1.5, 2.5, 3.75])
    assert tnn.mean(x, 0, out=tnn.empty(0, dtype=tnn.float64)).item() == pytest.approx(7.75 / 3, rel=1e-15)
    assert tnn.nanmean(x, 0, out=tnn.empty(0, dtype=tnn.float64)).item() == pytest.approx(7.75 / 3, rel=1e-15)
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype float, but got double instead"):
        tnn.mean(x, 0, dtype=tnn.float32, out=tnn.empty(0, dtype=tnn.float64))
    with pytest.raises(NotImplementedError, match="\"nansum_cpu\" not implemented for 'Long'"):
        tnn.nansum(x, 0, out=tnn.empty(0, dtype=tnn.int64))
    assert tnn.nansum(tnn.tensor([1, 2, 300]), 0, out=tnn.empty(0, dtype=tnn.uint8)).item() == 47


def test_truth_as_uint8():
    assert tnn.all(tnn.ones(2), out=tnn.empty(0, dtype=tnn.uint8)).item() == 1
    assert tnn.any(tnn.ones(2, dtype=tnn.uint8), out=tnn.empty(0, dtype=tnn.bool)).item() is True


@pytest.mark.parametrize("dtype", [tnn.float32, tnn.float64, tnn.bfloat16])
def test_half_precision_is_rounded_first(dtype):
    x = tnn.tensor([1.0, 1.0], dtype=tnn.float16)
    y = tnn.tensor([1e-4, 2.0], dtype=tnn.float16)
    assert tnn.add(x, y, out=tnn.empty(0, dtype=dtype)).tolist() == [1.0, 3.0]


def test_half_precision_out_of_other_inputs():
    x = tnn.tensor([[2.0, 1.0], [1.0, 3.0]])
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype float, but got c10::Half instead"):
        tnn.mm(x, x, out=tnn.empty(0, dtype=tnn.float16))
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype c10::Half, but got float instead"):
        tnn.mm(x.half(), x.half(), out=tnn.empty(0))
    values, indices = tnn.empty(0, dtype=tnn.float16), tnn.empty(0, dtype=tnn.int64)
    assert tnn.topk(x.half(), 1, out=(values, indices))[0] is values
    assert values.tolist() == [[2.0], [3.0]]


@pytest.mark.parametrize(
    ("name", "args"), [("add", (V, V)), ("sum", (V, 0)), ("mm", (M, M)), ("cat", ([V, V],)), ("nonzero", (V,))]
)
def test_warns_of_a_resize(name, args):
    op = function(name)
    plain = op(*map(tensors, args))
    out = tnn.empty(7, 1, dtype=plain.dtype)
    shapes = f"had shape [7, 1], which does not match the required output shape {list(plain.shape)}. This behavior"
    with pytest.warns(UserWarning, match=re.escape(shapes)):
        assert op(*map(tensors, args), out=out) is out
    assert out.tolist() == plain.tolist()


@pytest.mark.parametrize(("name", "args"), [("zeros", (2,)), ("eye", (2,)), ("add", (V, V))])
def test_resizes_in_silence(name, args):
    op = function(name)
    plain = op(*map(tensors, args))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for size in ((0,), plain.shape) if name == "add" else ((0,), (7, 1)):
            out = tnn.empty(size, dtype=plain.dtype)
            assert op(*map(tensors, args), out=out).tolist() == plain.tolist()


def test_nothing_is_written_before_all_outs_are_checked():
    values, indices = tnn.zeros(2), tnn.zeros(2)
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype long int, but got float instead"):
        tnn.topk(tnn.tensor([1.0, 2.0, 3.0]), 2, out=(values, indices))
    assert values.tolist() == [0.0, 0.0]


def test_not_a_tensor():
    x = tnn.ones(2)
    with pytest.raises(TypeError, match=r"mul\(\): argument 'out' must be Tensor, not tuple"):
        tnn.mul(x, x, out=(x,))
    with pytest.raises(TypeError, match=r"linalg_inv\(\): argument 'out' must be Tensor, not int"):
        tnn.linalg.inv(tnn.eye(2), out=1)
    with pytest.raises(TypeError, match=r"zeros\(\): argument 'out' must be Tensor, not int"):
        tnn.zeros(2, dtype=tnn.float32, out=1)
    with pytest.raises(TypeError, match=r"topk\(\): argument 'out' must be tuple of Tensors, not Tensor"):
        tnn.topk(x, 1, out=x)
    with pytest.raises(TypeError, match="expected tuple of 2 elements but got 1"):
        tnn.topk(x, 1, out=(x,))


@pytest.mark.parametrize(("name", "called"), [("exp", "exp"), ("square", "pow"), ("linalg.inv", "linalg_inv_ex")])
@pytest.mark.parametrize("which", ["input", "out"])
def test_gradients(name, called, which):
    x, out = tnn.eye(2), tnn.empty(2, 2)
    (x if which == "input" else out).requires_grad_()
    with pytest.raises(RuntimeError) as raised:
        function(name)(x, out=out)
    assert str(raised.value) == (
        f"{called}(): functions with out=... arguments don't support automatic differentiation, but one of the "
        "arguments requires grad."
    )
    with tnn.no_grad():
        assert function(name)(x, out=out) is out


@pytest.mark.parametrize("name", ["exp", "add", "cumsum", "addmm", "lerp", "index_add", "index_copy"])
def test_out_that_is_part_of_an_input(name):
    memory = tnn.arange(5.0)
    x, out = memory[:4].reshape(2, 2), memory[1:].reshape(2, 2)
    rows = (0, tnn.tensor([0, 1]), tnn.ones(2, 2))
    more = {"exp": (), "add": (x,), "cumsum": (0,), "addmm": (x, x), "lerp": (x, 0.5)}.get(name, rows)
    with pytest.raises(RuntimeError, match="some elements of the input tensor and the written-to tensor refer to a"):
        function(name)(x, *more, out=out)
    expected = function(name)(x, *more).tolist()
    assert function(name)(x, *more, out=x) is x
    assert x.tolist() == expected


def test_out_that_is_an_input_and_may_not_be():
    x = tnn.arange(3.0)
    with pytest.raises(RuntimeError, match="some elements of the input tensor and the written-to tensor refer to a"):
        tnn.take(x, tnn.tensor([2, 1, 0]), out=x)


def test_max_of_two_writes_to_out():
    out = tnn.empty(0)
    assert tnn.max(tnn.tensor([1.0, 5.0]), tnn.tensor([2.0, 3.0]), out=out) is out
    assert out.tolist() == [2.0, 5.0]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8"])
def test_large_results_are_written_where_they_belong(dtype):
    dtype = getattr(tnn, dtype)
    x, y = ((tnn.randn(200, 300) * 20).abs().to(dtype) for _ in range(2))
    z, mask = x + 1, x < y
    for op in (
        lambda out: tnn.add(x, y, out=out), lambda out: tnn.mul(x, y[:1], out=out),
        lambda out: tnn.maximum(x, y, out=out),
        lambda out: tnn.add(x[:, :1], y, out=out), lambda out: tnn.clamp(x, 2, 5, out=out),
        lambda out: tnn.abs(x, out=out), lambda out: tnn.where(mask, x, y, out=out), lambda out: tnn.mul(x, 3, out=out),
        lambda out: tnn.addcmul(x, y, z, value=2, out=out), lambda out: tnn.add(x.t(), y.t(), out=out),
    ):  # fmt: skip
        want = op(tnn.empty(0, dtype=dtype))
        for out in (tnn.empty(want.shape, dtype=dtype), tnn.empty(*want.shape[::-1], dtype=dtype).t()):
            assert op(out) is out and tnn.equal(out, want)
    truth = tnn.empty(200, 300, dtype=tnn.bool)
    assert tnn.equal(tnn.lt(x, y, out=truth), mask) and tnn.equal(truth, mask)


def test_a_result_over_an_operand():
    x, y = tnn.randn(200, 300), tnn.randn(200, 300)
    want = x + y
    assert tnn.equal(tnn.add(x, y, out=x), want) and tnn.equal(x, want)
    want = y - x
    assert tnn.equal(tnn.sub(y, x, out=x), want)
    want = tnn.exp(y)
    assert tnn.equal(tnn.exp(y, out=y), want)
    with pytest.raises(RuntimeError, match="single memory location"):
        tnn.add(x[:-1], 1.0, out=x[1:])
    w = tnn.randn(200, 300, requires_grad=True)
    product = w * y
    tnn.add(x, x, out=y)
    with pytest.raises(RuntimeError, match="modified by an in-?place operation"):
        product.sum().backward()
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        tnn.add(w, y, out=y)
