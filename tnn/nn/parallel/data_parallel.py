"""``DataParallel``: a batch shared out among devices, of which there is one."""

from ..modules.module import Module

__all__ = ["DataParallel", "data_parallel"]


def _check(device_ids, output_device):
    for name, value in (("device_ids", device_ids or None), ("output_device", output_device)):
        if value is not None:
            raise RuntimeError(f"{name}: tnn runs on the CPU, there are no other devices, got {value}")


class DataParallel(Module):
    """Calls a module; the CPU's cores share the work inside each operation. Its parameters' names begin with 'module.'.

    Args:
        module: the module.
        device_ids: None or empty, there being no devices but the CPU.
        output_device: None.
        dim: the batch's dimension; without effect.

    Raises:
        RuntimeError: devices are named.

    >>> import tnn
    >>> net = tnn.nn.DataParallel(tnn.nn.Linear(2, 1, bias=False))
    >>> list(net.state_dict())
    ['module.weight']
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        _check(device_ids, output_device)
        self.module = module
        self.device_ids = []
        self.dim = dim

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)


def data_parallel(module, inputs, device_ids=None, output_device=None, dim=0, module_kwargs=None):
    """``module(*inputs, **module_kwargs)``; see :class:`DataParallel`."""
    _check(device_ids, output_device)
    inputs = inputs if isinstance(inputs, tuple) else () if inputs is None else (inputs,)
    return module(*inputs, **(module_kwargs or {}))
