"""Products of matrices of float8 numbers with scales, as inference in eight bits takes them.

The operands are stored numbers; a scale for the whole matrix (TensorWise) or for each of its rows or columns (RowWise)
stands for what was divided by when they were stored:

    y = (a @ b) * scale_a * scale_b + bias

Sums are in float32, and the result is rounded once.
"""

import enum

import numpy as np

from .. import dtypes
from ..tensor import wrap
from ._common import check_tensor
from .cast import cast
from .grouped_mm import grouped_mm
from .linear import mm


class ScalingType(enum.Enum):
    """What one scale belongs to. On the CPU: TensorWise and RowWise."""

    TensorWise = 0
    RowWise = 1
    BlockWise1x16 = 2
    BlockWise1x32 = 3
    BlockWise1x128 = 4
    BlockWise128x128 = 5


class SwizzleType(enum.Enum):
    """The order in which blocks' scales lie in memory."""

    NO_SWIZZLE = 0
    SWIZZLE_32_4_4 = 1


def _single(function, name, value):
    """The only element of a list, as one scale and one recipe are all that the CPU takes."""
    if isinstance(value, list | tuple):
        if len(value) != 1:
            raise ValueError(f"{function}: expected one {name}, got {len(value)}")
        return value[0]
    return value


def _arguments(function, mat_a, mat_b, scale_a, recipe_a, scale_b, recipe_b, swizzles, contraction_dim):
    """The two scales and their recipe, checked."""
    check_tensor(function, "mat_a", mat_a, 1)
    check_tensor(function, "mat_b", mat_b, 2)
    found = []
    for name, scale, recipe in (("scale_a", scale_a, recipe_a), ("scale_b", scale_b, recipe_b)):
        scale, recipe = _single(function, name, scale), _single(function, f"recipe of {name}", recipe)
        check_tensor(function, name, scale)
        if not isinstance(recipe, ScalingType):
            raise TypeError(f"{function}: expected a ScalingType for {name}, got {type(recipe).__name__}")
        found.append((scale, recipe))
    (scale_a, recipe_a), (scale_b, recipe_b) = found
    for swizzle in swizzles:
        if swizzle is not None and _single(function, "swizzle", swizzle) is not SwizzleType.NO_SWIZZLE:
            raise ValueError(f"{function}: scales in swizzled order are not supported on the CPU, got {swizzle}")
    if len(contraction_dim):
        raise ValueError(f"{function}: contraction_dim is not supported on the CPU, got {contraction_dim}")
    if (
        recipe_a is not recipe_b
        or recipe_a not in (ScalingType.TensorWise, ScalingType.RowWise)
        or any(m._data.dtype not in dtypes.FLOAT8 for m in (mat_a, mat_b))
        or any(s.dtype is not dtypes.float32 for s in (scale_a, scale_b))
    ):
        raise ValueError(
            f"{function}: Invalid scaling configuration. Expected float8 matrices with float32 scales, TensorWise or "
            f"RowWise for both, got {mat_a.dtype} ({recipe_a.name}) and {mat_b.dtype} ({recipe_b.name}) with scales of "
            f"{scale_a.dtype} and {scale_b.dtype}"
        )
    return scale_a, scale_b, recipe_a


def _check_scale(function, name, scale, shape):
    if scale._data.shape != shape:
        raise ValueError(
            f"{function}: Invalid scaling configuration. Expected {name} of shape {list(shape)}, got "
            f"{list(scale._data.shape)}"
        )


def scaled_mm(
    mat_a, mat_b, scale_a, scale_recipe_a, scale_b, scale_recipe_b, swizzle_a=None, swizzle_b=None, bias=None,
    output_dtype=dtypes.bfloat16, contraction_dim=(), use_fast_accum=False,
):  # fmt: skip
    """The product of two float8 matrices, scaled: ``y = (a @ b) * scale_a * scale_b + bias``.

    Args:
        mat_a, mat_b: float8_e4m3fn or float8_e5m2.
        scale_a, scale_b: float32, what the stored numbers are multiplied by.
        scale_recipe_a, scale_recipe_b: ``ScalingType.TensorWise`` for scales of one element, ``RowWise`` for
            (n, 1) and (1, m); the same for both.
        swizzle_a, swizzle_b: None or ``SwizzleType.NO_SWIZZLE``.
        bias: (m,), floating point.
        output_dtype: the result's dtype.
        contraction_dim: empty.
        use_fast_accum: accepted.

    Shape:
        (n, k) and (k, m) give (n, m).

    Raises:
        ValueError: shapes, dtypes or scales do not fit, or a recipe is none of the CPU's.
        TypeError: an argument is no tensor, or a recipe no ScalingType.

    >>> import tnn
    >>> from tnn.nn.functional import ScalingType, scaled_mm
    >>> a, scale = tnn.ones(2, 3).to(tnn.float8_e4m3fn), tnn.tensor(0.5)
    >>> scaled_mm(a, a.t(), scale, ScalingType.TensorWise, scale, ScalingType.TensorWise, output_dtype=tnn.float32)
    tensor([[0.7500, 0.7500],
            [0.7500, 0.7500]])
    """
    name = "scaled_mm"
    scale_a, scale_b, recipe = _arguments(
        name, mat_a, mat_b, scale_a, scale_recipe_a, scale_b, scale_recipe_b, (swizzle_a, swizzle_b), contraction_dim
    )
    a, b = mat_a._data.shape, mat_b._data.shape
    if len(a) != 2 or len(b) != 2 or a[1] != b[0]:
        raise ValueError(f"{name}: mat_a and mat_b shapes cannot be multiplied ({list(a)} and {list(b)})")
    if recipe is ScalingType.RowWise:
        _check_scale(name, "scale_a", scale_a, (a[0], 1))
        _check_scale(name, "scale_b", scale_b, (1, b[1]))
    else:
        for s, which in ((scale_a, "scale_a"), (scale_b, "scale_b")):
            if s._data.size != 1:
                raise ValueError(f"{name}: expected {which} of one element, got shape {list(s._data.shape)}")
        scale_a, scale_b = scale_a.reshape(()), scale_b.reshape(())
    y = mm(cast(mat_a, dtypes.float32), cast(mat_b, dtypes.float32)) * scale_a * scale_b
    if bias is not None:
        check_tensor(name, "bias", bias)
        if bias._data.shape != (b[1],):
            raise ValueError(f"{name}: Bias must be of shape [{b[1]}], got {list(bias._data.shape)}")
        y = y + bias.float()
    return y if output_dtype is None else cast(y, output_dtype)


def scaled_grouped_mm(
    mat_a, mat_b, scale_a, scale_recipe_a, scale_b, scale_recipe_b, swizzle_a=None, swizzle_b=None, bias=None,
    offs=None, output_dtype=dtypes.bfloat16, contraction_dim=(), use_fast_accum=False,
):  # fmt: skip
    """:func:`grouped_mm` of float8 matrices with a scale for each row of ``mat_a`` and column of ``mat_b``.

    Args:
        mat_a, mat_b: float8_e4m3fn or float8_e5m2, as in :func:`grouped_mm`.
        scale_a, scale_b: float32, what the stored numbers are multiplied by.
        scale_recipe_a, scale_recipe_b: ``ScalingType.RowWise``.
        swizzle_a, swizzle_b: None or ``SwizzleType.NO_SWIZZLE``.
        bias: None.
        offs: where each group ends in the grouped dimension, int32.
        output_dtype: the result's dtype.
        contraction_dim: empty.
        use_fast_accum: accepted.

    Shape:
        The scales have their operand's shape without the dimension that is summed over; for two 2-D operands, where it
        is grouped, they hold one after the other those of each group.

    Raises:
        ValueError, RuntimeError, TypeError: as for these two.
    """
    name = "scaled_grouped_mm"
    scale_a, scale_b, recipe = _arguments(
        name, mat_a, mat_b, scale_a, scale_recipe_a, scale_b, scale_recipe_b, (swizzle_a, swizzle_b), contraction_dim
    )
    if recipe is not ScalingType.RowWise:
        raise ValueError(f"{name}: expected RowWise scales, got {recipe.name}")
    if bias is not None:
        raise ValueError(f"{name}: Bias not supported yet")
    y = grouped_mm(cast(mat_a, dtypes.float32), cast(mat_b, dtypes.float32), offs=offs)
    a, b = mat_a._data.shape, mat_b._data.shape
    if len(a) == len(b) == 2:
        groups = y._data.shape[0]
        _check_scale(name, "scale_a", scale_a, (groups * a[0],))
        _check_scale(name, "scale_b", scale_b, (groups * b[1],))
        y = y * scale_a.reshape(groups, a[0], 1) * scale_b.reshape(groups, 1, b[1])
    else:
        _check_scale(name, "scale_a", scale_a, a[:-1])
        _check_scale(name, "scale_b", scale_b, (*b[:-2], b[-1]))
        if len(a) == len(b):
            rows, columns = scale_a.unsqueeze(2), scale_b.unsqueeze(1)
        elif not offs._data.size:
            rows = columns = 1.0
        else:
            of = wrap(np.searchsorted(offs._data, np.arange(a[0] if len(b) == 3 else b[1]), "right"))
            of = of.clamp_max(offs._data.size - 1)  # what lies past the last group is 0
            rows = scale_a.unsqueeze(1) if len(b) == 3 else scale_a.index_select(0, of).t()
            columns = scale_b.index_select(0, of) if len(b) == 3 else scale_b.unsqueeze(0)
        y = y * rows * columns
    return y if output_dtype is None else cast(y, output_dtype)
