"""The base class of distributions."""

from __future__ import annotations

from typing import Any

from ..autograd.grad_mode import no_grad
from ..dtypes import get_default_dtype
from ..ops.creation import tensor
from ..ops.shape import broadcast_tensors
from ..tensor import Size, Tensor
from .constraints import Constraint


def broadcast_all(*values) -> tuple[Any, ...]:
    """Tensors of one shape from tensors and numbers; numbers take the dtype of the first tensor.

    Raises:
        ValueError: a value is neither.
    """
    if not all(isinstance(v, Tensor | int | float) for v in values):
        raise ValueError("Input arguments must all be instances of Number, Tensor or objects implementing ...")
    dtype = next((v.dtype for v in values if isinstance(v, Tensor)), get_default_dtype())
    return tuple(broadcast_tensors(*(v if isinstance(v, Tensor) else tensor(v, dtype=dtype) for v in values)))


class Distribution:
    """A probability distribution; a batch of them where parameters have dimensions.

    Args:
        batch_shape: shape of the batch.
        event_shape: shape of one sample of one distribution.
        validate_args: whether parameters and values are checked (the default).

    Raises:
        ValueError: a parameter does not satisfy its constraint.
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: dict[str, Constraint] = {}
    support: Constraint | None = None
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions made from now on check their arguments."""
        if value not in (True, False):
            raise ValueError(f"expected True or False, got {value!r}")
        Distribution._validate_args = value

    def __init__(self, batch_shape=Size(), event_shape=Size(), validate_args: bool | None = None) -> None:  # noqa: B008
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if not self._validate_args:
            return
        for name, constraint in self.arg_constraints.items():
            value = self.__dict__.get(name)
            if isinstance(value, Tensor) and not bool(constraint.check(value).all()):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution "
                    f"{self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    @property
    def batch_shape(self) -> Size:
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        return self._event_shape

    @property
    def mean(self) -> Any:
        raise NotImplementedError

    @property
    def mode(self) -> Any:
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Any:
        raise NotImplementedError

    @property
    def stddev(self) -> Any:
        return self.variance.sqrt()

    def sample(self, sample_shape=Size()) -> Any:  # noqa: B008
        """A sample of each distribution in the batch, or ``sample_shape`` of them; no gradient."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=Size()) -> Any:  # noqa: B008
        """As :meth:`sample`, differentiable with respect to the parameters."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Any:
        return self.sample(Size((n,)))

    def log_prob(self, value: Any) -> Any:
        """The logarithm of the density or probability at ``value``."""
        raise NotImplementedError

    def cdf(self, value: Any) -> Any:
        raise NotImplementedError

    def icdf(self, value: Any) -> Any:
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Any:
        raise NotImplementedError

    def entropy(self) -> Any:
        raise NotImplementedError

    def perplexity(self) -> Any:
        return self.entropy().exp()

    def expand(self, batch_shape, _instance=None) -> Distribution:
        """The same with parameters expanded to a larger batch."""
        shape = Size(batch_shape)
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        cut = len(self._batch_shape)
        for name, value in self.__dict__.items():
            if isinstance(value, Tensor):
                wide: Any = value
                new.__dict__[name] = wide.expand(shape + tuple(value.shape)[cut:])
            elif isinstance(value, Distribution):
                new.__dict__[name] = value.expand(shape + tuple(value.batch_shape)[cut:])
        new._batch_shape = shape
        return new

    def _extended_shape(self, sample_shape=Size()) -> Size:  # noqa: B008
        return Size(tuple(sample_shape) + tuple(self._batch_shape) + tuple(self._event_shape))

    def _validate_sample(self, value: Any) -> None:
        """Raises ValueError where a value cannot come from this distribution."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        shape, own = tuple(value.shape), tuple(self._batch_shape) + tuple(self._event_shape)
        for i, j in zip(reversed(shape), reversed(own), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ValueError(f"Value is not broadcastable with batch_shape+event_shape: {shape} vs {own}.")
        if self.support is not None and not bool(self.support.check(value).all()):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {shape}) to be within the support "
                f"({self.support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def _checked(self, value: Any) -> None:
        if self._validate_args:
            self._validate_sample(value)

    def __repr__(self) -> str:
        given = [name for name in self.arg_constraints if name in self.__dict__]
        shown = (self.__dict__[name] for name in given)
        parts = (f"{n}: {v if v.numel() == 1 else v.size()}" for n, v in zip(given, shown, strict=True))
        return f"{type(self).__name__}({', '.join(parts)})"
