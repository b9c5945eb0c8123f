"""What programs ask of Apple's GPUs before they fall back to the CPU: there is none."""


def is_available():
    """False: tnn runs on the CPU."""
    return False


def device_count():
    """0."""
    return 0


def empty_cache():
    """Nothing to free."""


def synchronize():
    """Nothing to wait for."""


def manual_seed(seed):
    """Nothing to seed."""
