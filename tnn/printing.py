"""How a tensor prints: as PyTorch's do."""

import math
import re

import numpy as np

from . import dtypes

_options = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None}


def set_printoptions(precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None):
    """How tensors print: digits, when to leave elements out, how many to show at the edges, the line's width.

    Args:
        precision: digits after the point.
        threshold: from how many elements on some are left out.
        edgeitems: how many to show at each edge then.
        linewidth: characters in a line.
        profile: ``"default"``, ``"short"`` or ``"full"``; the other arguments override it.
        sci_mode: True or False to force scientific notation on or off.
    """
    profiles = {
        "default": dict(precision=4, threshold=1000, edgeitems=3, linewidth=80),
        "short": dict(precision=2, threshold=1000, edgeitems=2, linewidth=80),
        "full": dict(precision=4, threshold=math.inf, edgeitems=3, linewidth=80),
    }
    if profile is not None:
        _options.update(profiles[profile])
    for name, value in (
        ("precision", precision),
        ("threshold", threshold),
        ("edgeitems", edgeitems),
        ("linewidth", linewidth),
    ):
        if value is not None:
            _options[name] = value
    _options["sci_mode"] = sci_mode


class _Formatter:
    """Formats the elements of one tensor in one width."""

    def __init__(self, data, precision):
        self.floating = data.dtype.kind == "f"
        self.integral = True
        self.scientific = False
        self.precision = precision
        flat = data.reshape(-1)
        if not self.floating:
            self.width = max((len(str(v)) for v in flat.tolist()), default=1)
            return
        values = flat[np.isfinite(flat) & (flat != 0)].astype(np.float64)
        self.width = 1
        if not values.size:
            return
        size = np.abs(values)
        big, small = size.max(), size.min()
        self.integral = bool(np.all(values == np.ceil(values)))
        self.scientific = float(big) > 1000.0 * float(small) or big > 1e8 or small < 1e-4
        if _options["sci_mode"] is not None:
            self.scientific = _options["sci_mode"]
        # zeros and what is not finite do not count: they may stand out of line
        self.width = max(len(self(v)) for v in values.tolist())

    def __call__(self, value):
        if not self.floating:
            return str(value)
        if self.scientific:
            return f"{value:.{self.precision}e}"
        if self.integral:
            return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"
        return f"{value:.{self.precision}f}"

    def padded(self, value):
        return self(value).rjust(self.width)


def _rows(values, indent, formatter):
    per_line = max(1, int((_options["linewidth"] - indent) // (formatter.width + 2)))
    words = [v if v == " ..." else formatter.padded(v) for v in values]
    lines = [words[i : i + per_line] for i in range(0, len(words), per_line)] or [[]]
    return "[" + (",\n" + " " * (indent + 1)).join(", ".join(line) for line in lines) + "]"


def _nested(data, indent, formatter, summarize):
    edge = _options["edgeitems"]
    if data.ndim == 0:
        return formatter.padded(data.item())
    n = data.shape[0]
    short = summarize and n > 2 * edge
    if data.ndim == 1:
        values = data.tolist()
        return _rows(values[:edge] + [" ..."] + values[-edge:] if short else values, indent, formatter)
    index = list(range(edge)) + [None] + list(range(n - edge, n)) if short else range(n)
    parts = ["..." if i is None else _nested(data[i], indent + 1, formatter, summarize) for i in index]
    return "[" + ("," + "\n" * (data.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _edges(data):
    """The elements that a summary shows."""
    edge = _options["edgeitems"]
    for axis in range(data.ndim):
        if data.shape[axis] > 2 * edge:
            n = data.shape[axis]
            data = np.take(data, [*range(edge), *range(n - edge, n)], axis)
    return data


def tensor_str(t, prefix="tensor("):
    """The text of ``repr(tensor)``."""
    data = t._data
    if data.dtype == dtypes.bfloat16.np or data.dtype in dtypes.FLOAT8:
        data = data.astype(np.float32)
    suffixes = []
    default = dtypes.get_default_dtype()
    if data.size == 0:
        if data.ndim != 1:
            suffixes.append(f"size={tuple(data.shape)}")
        if t.dtype is not default:
            suffixes.append(f"dtype={t.dtype}")
        body = "[]"
    else:
        if t.dtype not in (default, dtypes.int64, dtypes.bool):
            suffixes.append(f"dtype={t.dtype}")
        summarize = data.size > _options["threshold"]
        formatter = _Formatter(_edges(data) if summarize else data, _options["precision"])
        body = _nested(data, len(prefix), formatter, summarize)
    if t._node is not None:
        suffixes.append(f"grad_fn=<{re.sub('^.*::', '', t.grad_fn.name())}>")
    elif t._rg:
        suffixes.append("requires_grad=True")
    out = [prefix + body]
    length = len(out[0]) - out[0].rfind("\n") + 1
    for s in suffixes:
        if length + len(s) + 2 > _options["linewidth"]:
            out.append(",\n" + " " * len(prefix) + s)
            length = len(prefix) + len(s)
        else:
            out.append(", " + s)
            length += len(s) + 2
    text = "".join(out) + ")"
    return f"Parameter containing:\n{text}" if type(t).__name__ == "Parameter" else text
