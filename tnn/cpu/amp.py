"""``torch.cpu.amp``'s names: mixed precision on the CPU."""

from ..amp import GradScaler as _GradScaler
from ..amp import autocast as _autocast
from ..dtypes import bfloat16

__all__ = ["GradScaler", "autocast"]


class autocast(_autocast):
    """``tnn.amp.autocast("cpu")`` under its old name."""

    def __init__(self, enabled=True, dtype=bfloat16, cache_enabled=True):
        super().__init__("cpu", dtype, enabled, cache_enabled)


class GradScaler(_GradScaler):
    """``tnn.amp.GradScaler("cpu")`` under its old name."""

    def __init__(self, *args, **kwargs):
        super().__init__("cpu", *args, **kwargs)
