"""Where programs look whether they are being exported: tnn does not export."""

__all__ = ["export", "is_in_onnx_export"]


def is_in_onnx_export():
    """False."""
    return False


def export(model, args=(), f=None, **kwargs):
    """Raises: tnn does not write ONNX files.

    Args:
        model: the module.
        args: its inputs.
        f: where the file would go.

    Raises:
        NotImplementedError: always.
    """
    raise NotImplementedError("tnn does not export to ONNX: save the state_dict, which PyTorch loads, and export there")
