"""Switches of PyTorch's backends, for programs that set them. None of them is here; setting a flag has no effect."""


class _Backend:
    """A backend that is not there; its flags can be set and read."""

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


cudnn, mps, mkldnn, mkl, openmp = (_Backend() for _ in range(5))
cuda = _Backend()
cuda.matmul = _Backend()
