"""What programs ask before they run in one process: tnn has no process groups.

>>> import tnn
>>> tnn.distributed.get_rank() if tnn.distributed.is_available() and tnn.distributed.is_initialized() else 0
0
"""

__all__ = [
    "all_gather", "all_reduce", "barrier", "broadcast", "destroy_process_group", "get_backend", "get_rank",
    "get_world_size", "init_process_group", "is_available", "is_gloo_available", "is_initialized", "is_mpi_available",
    "is_nccl_available", "is_torchelastic_launched", "is_tnnelastic_launched", "new_group", "reduce",
]  # fmt: skip


def is_available():
    """False: there are no process groups."""
    return False


is_gloo_available = is_initialized = is_mpi_available = is_nccl_available = is_available
# The second as a program asks in which every "torch" has been replaced.
is_torchelastic_launched = is_tnnelastic_launched = is_available


def _no_group(*args, **kwargs):
    """Raises: there is no process group.

    Raises:
        ValueError: always.
    """
    raise ValueError("Default process group has not been initialized: tnn runs in one process")


all_gather = all_reduce = barrier = broadcast = destroy_process_group = get_backend = get_rank = _no_group
get_world_size = new_group = reduce = _no_group


def init_process_group(backend=None, *args, **kwargs):
    """Raises: tnn runs in one process.

    Args:
        backend: the way in which processes would talk.
        args: what would follow.

    Raises:
        NotImplementedError: always.
    """
    raise NotImplementedError(f"tnn has no process groups (got backend={backend!r}): it runs in one process")
