"""Switches of PyTorch's backends, for programs that set them. None of them is here; setting a flag has no effect."""

import contextlib
import sys
import types


class _Backend(types.ModuleType):
    """A backend that is not there; its flags can be set and read, and it can be imported as a module."""

    enabled = False
    benchmark = False
    deterministic = True
    allow_tf32 = False
    matmul: "_Backend"

    @staticmethod
    def is_available():
        """False."""
        return False

    @staticmethod
    def is_built():
        """False."""
        return False

    @staticmethod
    def version():
        """None."""
        return None

    @staticmethod
    def flags(**kwargs):
        """A region in which flags have other values: without effect."""
        return contextlib.nullcontext()


def _make(name):
    backend = sys.modules[f"{__name__}.{name}"] = _Backend(f"{__name__}.{name}", _Backend.__doc__)
    return backend


cuda, cudnn, mkl, mkldnn, mps, openmp = map(_make, ("cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp"))
cuda.matmul = _Backend("matmul")
