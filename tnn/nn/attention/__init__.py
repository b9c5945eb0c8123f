"""How :func:`tnn.nn.functional.scaled_dot_product_attention` is computed: the names of ``torch.nn.attention`` that have
a meaning on a CPU."""

import contextlib
import enum

from ...ops import attention as _ops

__all__ = [
    "SDPBackend",
    "activate_flash_attention_impl",
    "current_flash_attention_impl",
    "list_flash_attention_impls",
    "register_flash_attention_impl",
    "restore_flash_attention_impl",
    "sdpa_kernel",
]


class SDPBackend(enum.IntEnum):
    """Ways to compute attention. A CPU has two: FLASH_ATTENTION, in blocks, and MATH, by the matrix of weights."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


_NAMES = {SDPBackend.MATH: "math", SDPBackend.FLASH_ATTENTION: "flash"}


@contextlib.contextmanager
def sdpa_kernel(backends, set_priority=False):
    """Within the context, attention is computed by the named ways only.

    Args:
        backends: an SDPBackend or a list of them.
        set_priority: accepted; of the two ways of a CPU, FLASH_ATTENTION comes first.

    Raises:
        AssertionError: ``backends`` is something else.

    Attention in the context raises RuntimeError where neither MATH nor FLASH_ATTENTION is named.

    >>> import tnn
    >>> from tnn.nn.attention import SDPBackend, sdpa_kernel
    >>> x = tnn.ones(1, 1, 2, 4)
    >>> with sdpa_kernel(SDPBackend.MATH):
    ...     tnn.nn.functional.scaled_dot_product_attention(x, x, x).sum().item()
    8.0
    """
    if not isinstance(backends, (list, SDPBackend)):
        raise AssertionError(
            f"backends must be an SDPBackend or a list of SDPBackend, but got {type(backends).__name__}"
        )
    wanted = [backends] if isinstance(backends, SDPBackend) else backends
    before = set(_ops.enabled)
    _ops.enabled.clear()
    _ops.enabled.update(_NAMES[b] for b in wanted if b in _NAMES)
    try:
        yield {}
    finally:
        _ops.enabled.clear()
        _ops.enabled.update(before)


_registered = {}
_active = None


def register_flash_attention_impl(impl, *, register_fn):
    """Notes ``register_fn`` under the name ``impl``; :func:`activate_flash_attention_impl` calls it.

    Args:
        impl: the name.
        register_fn: called without arguments; may return a handle with a method ``remove``.
    """
    _registered[impl] = register_fn


def activate_flash_attention_impl(impl):
    """Calls what was registered under the name ``impl``, after undoing what was active.

    Args:
        impl: the name.

    Raises:
        ValueError: nothing is registered under that name.
    """
    global _active
    restore_flash_attention_impl()
    if impl not in _registered:
        raise ValueError(f"Unknown flash attention impl {impl!r}, available: {list_flash_attention_impls()}")
    handle = _registered[impl]()
    if handle is not None:
        _active = (impl, handle)


def list_flash_attention_impls():
    """The registered names in order."""
    return sorted(_registered)


def current_flash_attention_impl():
    """The name that is active, or None."""
    return None if _active is None else _active[0]


def restore_flash_attention_impl():
    """Removes what is active, if anything is."""
    global _active
    if _active is not None:
        _active[1].remove()
    _active = None
