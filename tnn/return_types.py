"""The named tuples that functions with several results return: ``max(dim)``, ``sort``, ``topk``, ``svd``, ..."""

from collections import namedtuple


def _repr(result):
    fields = ",\n".join(f"{name}={value!r}" for name, value in zip(result._fields, result, strict=True))
    return f"tnn.return_types.{type(result).__name__}(\n{fields})"


def _result_type(name, fields):
    kind = namedtuple(name, fields, module=__name__)
    kind.__repr__ = _repr
    return kind


_FIELDS = {
    "aminmax": "min max",
    "cummax": "values indices",
    "cummin": "values indices",
    "frexp": "mantissa exponent",
    "geqrf": "a tau",
    "histogram": "hist bin_edges",
    "kthvalue": "values indices",
    "linalg_cholesky_ex": "L info",
    "linalg_eigh": "eigenvalues eigenvectors",
    "linalg_inv_ex": "inverse info",
    "linalg_lstsq": "solution residuals rank singular_values",
    "linalg_lu": "P L U",
    "linalg_lu_factor": "LU pivots",
    "linalg_qr": "Q R",
    "linalg_slogdet": "sign logabsdet",
    "linalg_solve_ex": "result info",
    "linalg_svd": "U S Vh",
    "max": "values indices",
    "median": "values indices",
    "min": "values indices",
    "mode": "values indices",
    "nanmedian": "values indices",
    "sort": "values indices",
    "svd": "U S V",
    "topk": "values indices",
    "triangular_solve": "solution cloned_coefficient",
}
__all__ = list(_FIELDS)  # noqa: PLE0605

globals().update({name: _result_type(name, fields) for name, fields in _FIELDS.items()})


def __getattr__(name: str) -> type:  # that the types above are here is more than a type checker sees
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
