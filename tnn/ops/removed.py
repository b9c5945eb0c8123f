"""Tensor methods that PyTorch has removed: they raise and say what to use in their place."""


def _removed(name, instead):
    def method(self, *args, **kwargs):
        raise RuntimeError(f"Tensor.{name} was removed: use {instead}")

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"""Raises: removed in favour of {instead}.

    Args:
        args, kwargs: not used.

    Raises:
        RuntimeError: always.
    """
    return method


eig = _removed("eig", "linalg.eigh, for symmetric matrices (tnn has no complex numbers)")
lstsq = _removed("lstsq", "linalg.lstsq, with the arguments the other way round")
solve = _removed("solve", "linalg.solve, with the arguments the other way round")
symeig = _removed("symeig", "linalg.eigh")
