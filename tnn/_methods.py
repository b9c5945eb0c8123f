"""Binds operations to Tensor as methods: one table, a line or block for each family.

METHODS: family -> names of operations that are Tensor methods of the same name.
INPLACE: family -> names of operations that also have an in-place form with a trailing underscore.
OPERATORS: family -> {special method: name of the operation in the family's module}.
"""

from importlib import import_module

from .ops._common import inplace
from .tensor import Tensor

METHODS = {
    "shape": (
        "reshape view view_as reshape_as flatten ravel unflatten unsqueeze squeeze permute transpose swapaxes swapdims t "
        "adjoint T mT mH H movedim moveaxis sum_to_size expand expand_as broadcast_to clone contiguous squeeze_ unsqueeze_ "
        "transpose_ swapaxes_ swapdims_ t_ resize_ resize_as_"
    ),
    "part": "select narrow diagonal as_strided as_strided_ unfold",
    "joining": (
        "unbind split split_with_sizes chunk tensor_split hsplit vsplit dsplit unsafe_chunk unsafe_split "
        "unsafe_split_with_sizes"
    ),
    "rearrange": (
        "flip fliplr flipud rot90 roll repeat tile repeat_interleave tril triu diag diag_embed diagflat select_scatter "
        "slice_scatter diagonal_scatter as_strided_scatter fill_diagonal_ narrow_copy"
    ),
    "indexing": "index_put index_put_",
    "gather": "gather take_along_dim scatter scatter_add scatter_reduce",
    "index_select": "index_select index_add index_copy index_fill index_reduce take put",
    "search": "nonzero argwhere nonzero_static masked_select masked_scatter bincount unique unique_consecutive",
    "sort": "sort argsort msort topk kthvalue median nanmedian mode quantile nanquantile histc",
    "creation": "new new_tensor new_empty new_empty_strided new_zeros new_ones new_full",
    "random": "uniform_ normal_ random_ bernoulli_ exponential_ cauchy_ log_normal_ geometric_",
    "sampling": "bernoulli multinomial",
    "cast": "to type type_as float double half bfloat16 int long short char byte bool cpu cuda",
}

INPLACE = {
    "rearrange": "tril triu",
    "gather": "scatter scatter_add scatter_reduce",
    "index_select": "index_add index_copy index_fill index_reduce put",
    "search": "masked_scatter",
}

OPERATORS = {
    "indexing": {"__getitem__": "getitem", "__setitem__": "setitem"},
}


def bind():
    """Sets the methods on Tensor."""
    for family, names in METHODS.items():
        module = import_module(f"tnn.ops.{family}")
        for name in names.split():
            setattr(Tensor, name, getattr(module, name))
    for family, names in INPLACE.items():
        module = import_module(f"tnn.ops.{family}")
        for name in names.split():
            setattr(Tensor, name + "_", inplace(getattr(module, name)))
    for family, table in OPERATORS.items():
        module = import_module(f"tnn.ops.{family}")
        for special, name in table.items():
            setattr(Tensor, special, getattr(module, name))


bind()
