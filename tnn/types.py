"""Types for annotations, under ``torch.types``' names."""

import builtins
from collections.abc import Sequence

from .tensor import Size, Tensor, device

__all__ = ["Device", "Number"]

Number = int | float | bool
Device = device | str | int | None

_int, _float, _bool, _size = builtins.int, builtins.float, builtins.bool, Size | Sequence[int]
_TensorOrTensors = Tensor | Sequence[Tensor]
_device = device
