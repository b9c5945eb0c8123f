"""What programs ask of CUDA before they fall back to the CPU: there is none.

>>> import tnn
>>> tnn.device("cuda" if tnn.cuda.is_available() else "cpu")
device(type='cpu')
"""

from . import amp as amp


def is_available():
    """False: tnn runs on the CPU."""
    return False


def is_initialized():
    """False."""
    return False


def is_bf16_supported(including_emulation=True):
    """False."""
    return False


def device_count():
    """0."""
    return 0


def manual_seed(seed):
    """Nothing to seed."""


def manual_seed_all(seed):
    """Nothing to seed."""


def empty_cache():
    """Nothing to free."""


def synchronize(device=None):
    """Nothing to wait for: operations are done when they return."""


def _no_device(*args, **kwargs):
    """Raises: there is no CUDA device.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError("tnn runs on the CPU: there is no CUDA device")


current_device = get_device_name = get_device_properties = set_device = memory_allocated = _no_device
max_memory_allocated = reset_peak_memory_stats = get_device_capability = _no_device
