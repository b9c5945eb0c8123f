"""Distributions of vectors, and distributions made of others."""

from __future__ import annotations

import math

from ..linalg import cholesky, solve_triangular
from ..ops.creation import empty
from . import constraints
from .discrete import Categorical, broadcast_shape
from .distribution import Distribution


class MultivariateNormal(Distribution):
    """Normal vectors with mean ``loc`` and one of ``covariance_matrix``, ``precision_matrix``, ``scale_tril`` (the
    covariance's Cholesky factor).

    Raises:
        ValueError: not exactly one of the matrices is given, or shapes do not fit.
    """

    arg_constraints = {
        "loc": constraints.real_vector, "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite, "scale_tril": constraints.lower_cholesky,
    }  # fmt: skip
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril}
        given = {name: m for name, m in given.items() if m is not None}
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            raise ValueError(f"{name} must be at least two-dimensional, with optional leading batch dimensions")
        batch, n = broadcast_shape(matrix.shape[:-2], loc.shape[:-1]), loc.shape[-1]
        self.loc = loc.expand((*batch, n))
        self.__dict__[name] = matrix.expand((*batch, n, n))
        super().__init__(batch, (n,), validate_args=validate_args)
        matrix = self.__dict__[name]
        if name == "precision_matrix":
            matrix = matrix.inverse()
        self._unbroadcasted_scale_tril = matrix if name == "scale_tril" else cholesky(matrix)

    def __getattr__(self, name):
        if name in ("scale_tril", "covariance_matrix", "precision_matrix"):
            lower = self.__dict__["_unbroadcasted_scale_tril"]
            wide = lower.expand((*self._batch_shape, *self._event_shape, *self._event_shape))
            if name == "scale_tril":
                return wide
            covariance = wide @ wide.mT
            return covariance if name == "covariance_matrix" else covariance.inverse()
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    @property
    def mean(self):
        return self.loc

    mode = mean

    @property
    def variance(self):
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand((*self._batch_shape, *self._event_shape))

    def rsample(self, sample_shape=()):
        eps = empty(self._extended_shape(sample_shape), dtype=self.loc.dtype).normal_()
        return self.loc + (self._unbroadcasted_scale_tril @ eps.unsqueeze(-1)).squeeze(-1)

    def _log_scale(self):
        return self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value):
        self._checked(value)
        d, lower = value - self.loc, self._unbroadcasted_scale_tril
        distance = solve_triangular(lower, d.unsqueeze(-1), upper=False).squeeze(-1).pow(2).sum(-1)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + distance) - self._log_scale()

    def entropy(self):
        return 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._log_scale()


class Independent(Distribution):
    """A distribution whose last batch dimensions count as dimensions of one event.

    Raises:
        ValueError: the batch has fewer dimensions.
    """

    def __init__(self, base_distribution, reinterpreted_batch_ndims, validate_args=None) -> None:
        n, batch = reinterpreted_batch_ndims, base_distribution.batch_shape
        if n > len(batch):
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual "
                f"{n} vs {len(batch)}"
            )
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, n
        cut = len(batch) - n
        super().__init__(batch[:cut], (*batch[cut:], *base_distribution.event_shape), validate_args)

    @property
    def has_rsample(self):
        return self.base_dist.has_rsample

    @property
    def mean(self):
        return self.base_dist.mean

    @property
    def mode(self):
        return self.base_dist.mode

    @property
    def variance(self):
        return self.base_dist.variance

    def expand(self, batch_shape, _instance=None):
        inner = (*batch_shape, *self._event_shape[: self.reinterpreted_batch_ndims])
        return Independent(self.base_dist.expand(inner), self.reinterpreted_batch_ndims, validate_args=False)

    def sample(self, sample_shape=()):
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape=()):
        return self.base_dist.rsample(sample_shape)

    def _summed(self, x):
        n = self.reinterpreted_batch_ndims
        return x.sum(tuple(range(-n, 0))) if n else x

    def log_prob(self, value):
        return self._summed(self.base_dist.log_prob(value))

    def entropy(self):
        return self._summed(self.base_dist.entropy())

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamily(Distribution):
    """A mixture: the last batch dimension of ``component_distribution`` is chosen from by a :class:`Categorical`.

    Raises:
        ValueError: the mixture is no Categorical, or the batches do not fit.
    """

    def __init__(self, mixture_distribution, component_distribution, validate_args=None) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(" The Mixture distribution needs to be an  instance of Categorical")
        k = mixture_distribution.logits.shape[-1]
        if component_distribution.batch_shape[-1] != k:
            raise ValueError(
                f"`mixture_distribution component` ({k}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({component_distribution.batch_shape[-1]})"
            )
        self._mixture, self._component = mixture_distribution, component_distribution
        super().__init__(component_distribution.batch_shape[:-1], component_distribution.event_shape, validate_args)

    @property
    def mixture_distribution(self):
        return self._mixture

    @property
    def component_distribution(self):
        return self._component

    def _weights(self):
        p = self._mixture.probs
        return p.reshape((*p.shape, *[1] * len(self._event_shape)))

    @property
    def mean(self):
        return (self._weights() * self._component.mean).sum(-1 - len(self._event_shape))

    @property
    def variance(self):
        p, dim = self._weights(), -1 - len(self._event_shape)
        off = self._component.mean - self.mean.unsqueeze(dim)
        return (p * self._component.variance).sum(dim) + (p * off.pow(2)).sum(dim)

    def sample(self, sample_shape=()):
        lead, event = len(tuple(sample_shape)) + len(self._batch_shape), tuple(self._event_shape)
        which = self._mixture.sample(sample_shape)
        samples = self._component.sample(sample_shape)
        which = which.reshape((*which.shape, 1, *[1] * len(event)))
        which = which.expand((*samples.shape[:lead], 1, *event))
        return samples.gather(lead, which).squeeze(lead)

    def log_prob(self, value):
        each = self._component.log_prob(value.unsqueeze(-1 - len(self._event_shape)))
        return (each + self._mixture.logits).logsumexp(-1)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self._mixture},\n  {self._component})"

