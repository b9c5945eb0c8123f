"""A module whose gradients are averaged among processes: a name that programs import, and tnn has no process groups."""

from ..modules.module import Module


class DistributedDataParallel(Module):
    """Raises: tnn runs in one process, see :mod:`tnn.distributed`.

    Args:
        module: the module to train in several processes.

    Raises:
        NotImplementedError: always.
    """

    def __init__(self, module, *args, **kwargs):
        raise NotImplementedError("tnn has no process groups: use the module itself, in one process")
