"""What programs ask of accelerators before they fall back to the CPU: there is none.

>>> import tnn
>>> tnn.accelerator.current_accelerator() if tnn.accelerator.is_available() else tnn.device("cpu")
device(type='cpu')
"""

__all__ = [
    "current_accelerator", "current_device_idx", "current_device_index", "current_stream", "device_count",
    "empty_cache", "is_available", "memory_allocated", "set_device_idx", "set_device_index", "synchronize",
]  # fmt: skip


def is_available():
    """False: tnn runs on the CPU."""
    return False


def device_count():
    """0."""
    return 0


def current_accelerator(check_available=False):
    """None.

    Args:
        check_available: no matter: there is none.
    """
    return None


def _no_device(*args, **kwargs):
    """Raises: there is no accelerator.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError("Cannot access accelerator device when none is available: tnn runs on the CPU")


current_device_index = current_device_idx = current_stream = empty_cache = memory_allocated = _no_device
set_device_index = set_device_idx = synchronize = _no_device
