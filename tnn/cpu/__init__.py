"""The CPU as a device, under ``torch.cpu``'s names: ``cpu.amp``, and questions with one answer."""

from . import amp

__all__ = ["amp", "current_device", "device_count", "is_available", "synchronize"]


def is_available():
    """True."""
    return True


def device_count():
    """1."""
    return 1


def current_device():
    """``"cpu"``."""
    return "cpu"


def synchronize(device=None):
    """Nothing to wait for."""
