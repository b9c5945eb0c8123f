"""Memory formats of convolution weights: tnn has one, so there is nothing to convert."""

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def convert_conv2d_weight_memory_format(module, memory_format):
    """The module as it is: every tensor is in the contiguous format.

    Args:
        module: the module.
        memory_format: not used.
    """
    return module


def convert_conv3d_weight_memory_format(module, memory_format):
    """The module as it is: every tensor is in the contiguous format.

    Args:
        module: the module.
        memory_format: not used.
    """
    return module
