"""``torch.cuda.amp``'s names: mixed precision for a device that is not there."""

from ..amp import GradScaler as _GradScaler
from ..amp import autocast as _autocast
from ..amp import custom_bwd, custom_fwd

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


class autocast(_autocast):
    """``tnn.amp.autocast("cuda")`` under its old name: without effect, there being no such device."""

    def __init__(self, enabled=True, dtype=None, cache_enabled=True):
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(_GradScaler):
    """``tnn.amp.GradScaler("cuda")`` under its old name."""

    def __init__(self, *args, **kwargs):
        super().__init__("cuda", *args, **kwargs)
