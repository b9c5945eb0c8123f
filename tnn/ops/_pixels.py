"""Channels side by side in memory, as a permuted tensor may have them: what pooling and batch normalization make of
such a tensor has its channels so, too."""

from ._common import F32, F64, row_major

# With fewer channels than this most of a vector's lanes are lost, and with more columns tables are long.
_CHANNELS, COLUMNS = 8, 2048
_BEHIND = {3: (0, 2, 1), 4: (0, 2, 3, 1), 5: (0, 2, 3, 4, 1)}
_AHEAD = {3: (0, 2, 1), 4: (0, 3, 1, 2), 5: (0, 4, 1, 2, 3)}


def behind(d):
    """An ndarray (N, C, ...) seen as (N, ..., C)."""
    return d.transpose(_BEHIND[d.ndim])


def ahead(d):
    """An ndarray (N, ..., C) seen as (N, C, ...)."""
    return d.transpose(_AHEAD[d.ndim])


def in_pixels(t, ndim):
    """The array (N, ..., C) of a tensor (N, C, ...) of ``ndim`` dimensions where that is contiguous, else None."""
    d = t._data
    if d.flags.c_contiguous or d.ndim != ndim or ndim not in _BEHIND or (d.dtype is not F32 and d.dtype is not F64):
        return None
    d = behind(d)
    return d if d.flags.c_contiguous and d.shape[-1] >= _CHANNELS and d.shape[-2] <= COLUMNS else None


def gradient_in_pixels(grad):
    """A gradient (N, C, ...) as a contiguous array (N, ..., C)."""
    d = behind(grad._data)
    return d if d.flags.c_contiguous else row_major(d)
