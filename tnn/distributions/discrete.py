"""Distributions of booleans, categories and counts."""

from __future__ import annotations

import math

from .. import special
from ..autograd.grad_mode import no_grad
from ..dtypes import finfo
from ..ops.activation import logsigmoid, sigmoid
from ..ops.creation import empty, ones_like, zeros, zeros_like
from ..ops.loss import binary_cross_entropy_with_logits
from ..ops.ranges import arange
from ..ops.sampling import bernoulli, binomial, multinomial, poisson, rand
from ..ops.search import one_hot
from ..ops.softmax import softmax
from ..tensor import Size
from . import constraints
from .continuous import Gamma, _batch
from .distribution import Distribution, broadcast_all


def clamp_probs(probs):
    """Probabilities kept off 0 and 1 by the machine epsilon."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def _one_of(probs, logits):
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


class _Binary(Distribution):
    """Shared by distributions of one probability, given as such or as ``logits = log(p / (1 - p))``."""

    def __init__(self, probs=None, logits=None, validate_args=None) -> None:
        _one_of(probs, logits)
        given = logits if probs is None else probs
        (value,) = broadcast_all(given)
        self._probs, self._logits = (None, value) if probs is None else (value, None)
        self.__dict__["logits" if probs is None else "probs"] = value
        super().__init__(_batch(value, given), validate_args=validate_args)

    def __getattr__(self, name):
        if name == "probs":
            self.probs = sigmoid(self._logits)
            return self.probs
        if name == "logits":
            p = clamp_probs(self._probs)
            self.logits = p.log() - (-p).log1p()
            return self.logits
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    @property
    def param_shape(self):
        return (self._logits if self._probs is None else self._probs).size()


class Bernoulli(_Binary):
    """1 with probability ``probs`` (or ``sigmoid(logits)``), else 0."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean
    has_enumerate_support = True

    @property
    def mean(self):
        return self.probs

    @property
    def mode(self):
        p = self.probs
        return (p >= 0.5).to(p.dtype).masked_fill(p == 0.5, math.nan)

    @property
    def variance(self):
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        with no_grad():
            return bernoulli(self.probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value):
        self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self):
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand=True):
        values = arange(2, dtype=self.probs.dtype).view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values


class Geometric(_Binary):
    """How many failures come before the first success of probability ``probs``: ``(1 - p)^k p``."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    @property
    def mean(self):
        return 1.0 / self.probs - 1.0

    @property
    def mode(self):
        return zeros_like(self.probs)

    @property
    def variance(self):
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape=()):
        shape, p = self._extended_shape(sample_shape), self.probs
        with no_grad():
            u = rand(shape, dtype=p.dtype).clamp(min=finfo(p.dtype).tiny)
            return (u.log() / (-p).log1p()).floor()

    def log_prob(self, value):
        self._checked(value)
        value, p = broadcast_all(value, self.probs)
        stay = (-p).log1p().masked_fill((p == 1) & (value == 0), 0)
        return value * stay + self.probs.log()

    def entropy(self):
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs


class Binomial(_Binary):
    """How many of ``total_count`` trials of probability ``probs`` succeed."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None) -> None:
        _one_of(probs, logits)
        total, value = broadcast_all(total_count, logits if probs is None else probs)
        self.total_count = total.type_as(value)
        super().__init__(*((None, value) if probs is None else (value, None)), validate_args=validate_args)

    @property
    def support(self):
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self):
        return self.total_count * self.probs

    @property
    def variance(self):
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return binomial(self.total_count.expand(shape), self.probs.expand(shape))

    @property
    def mode(self):
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    has_enumerate_support = True

    def enumerate_support(self, expand=True):
        total = int(self.total_count.max())
        if not int(self.total_count.min()) == total:
            raise NotImplementedError("Inhomogeneous total count not supported by `enumerate_support`.")
        values = arange(1 + total, dtype=self.probs.dtype).view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values

    def entropy(self):
        log = self.log_prob(self.enumerate_support(False))
        return -(log.exp() * log).sum(0)

    def log_prob(self, value):
        self._checked(value)
        n, z = self.total_count, self.logits
        chosen = (n + 1).lgamma() - (value + 1).lgamma() - (n - value + 1).lgamma()
        return value * z - n * (z.clamp(min=0) + (-z.abs()).exp().log1p()) + chosen


class NegativeBinomial(_Binary):
    """How many successes of probability ``probs`` come before ``total_count`` failures."""

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0), "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }  # fmt: skip
    support = constraints.nonnegative_integer

    def __init__(self, total_count, probs=None, logits=None, validate_args=None) -> None:
        _one_of(probs, logits)
        total, value = broadcast_all(total_count, logits if probs is None else probs)
        self.total_count = total.type_as(value)
        super().__init__(*((None, value) if probs is None else (value, None)), validate_args=validate_args)

    @property
    def mean(self):
        return self.total_count * self.logits.exp()

    @property
    def mode(self):
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self):
        return self.mean / sigmoid(-self.logits)

    def sample(self, sample_shape=()):
        with no_grad():
            rate = Gamma(self.total_count, (-self.logits).exp(), validate_args=False).sample(sample_shape)
            return poisson(rate)

    def log_prob(self, value):
        self._checked(value)
        n, z = self.total_count, self.logits
        chosen = (n + value).lgamma() - (1.0 + value).lgamma() - n.lgamma()
        return n * logsigmoid(-z) + value * logsigmoid(z) + chosen.masked_fill(n + value == 0, 0.0)


class Multinomial(Distribution):
    """How often each category comes up in ``total_count`` draws.

    Raises:
        NotImplementedError: ``total_count`` is no int.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count, self._categorical = total_count, Categorical(probs, logits)
        batch, event = self._categorical.batch_shape, self._categorical.param_shape[-1:]
        super().__init__(batch, event, validate_args=validate_args)

    @property
    def support(self):
        return constraints.multinomial(self.total_count)

    @property
    def probs(self):
        return self._categorical.probs

    @property
    def logits(self):
        return self._categorical.logits

    @property
    def param_shape(self):
        return self._categorical.param_shape

    @property
    def mean(self):
        return self.probs * self.total_count

    @property
    def variance(self):
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        drawn = self._categorical.sample((self.total_count, *sample_shape)).movedim(0, -1)
        counts = zeros(self._extended_shape(sample_shape), dtype=drawn.dtype)
        return counts.scatter_add(-1, drawn, ones_like(drawn)).type_as(self.probs)

    def log_prob(self, value):
        self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        logits = logits.masked_fill((value == 0) & (logits == -math.inf), 0)
        return (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1) + (logits * value).sum(-1)

    def entropy(self):
        n = zeros((), dtype=self.probs.dtype) + self.total_count
        one = Binomial(self.total_count, probs=self.probs)
        values = one.enumerate_support(False)[1:]
        repeated = (one.log_prob(values).exp() * (values + 1).lgamma()).sum((0, -1))
        return n * self._categorical.entropy() - (n + 1).lgamma() + repeated


class Poisson(Distribution):
    """Counts with probability ``rate^k exp(-rate) / k!``."""

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate, validate_args=None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(_batch(self.rate, rate), validate_args=validate_args)

    @property
    def mean(self):
        return self.rate

    variance = mean

    @property
    def mode(self):
        return self.rate.floor()

    def sample(self, sample_shape=()):
        with no_grad():
            return poisson(self.rate.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value):
        self._checked(value)
        rate, value = broadcast_all(self.rate, value)
        return special.xlogy(value, rate) - rate - (value + 1).lgamma()


class Categorical(Distribution):
    """The numbers 0 to K - 1 with probabilities in the last dimension of ``probs`` (need not sum to 1) or ``logits``.

    >>> import tnn
    >>> tnn.distributions.Categorical(tnn.tensor([1.0, 3.0])).probs
    tensor([0.2500, 0.7500])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None) -> None:
        _one_of(probs, logits)
        if probs is not None:
            if probs.dim() < 1:
                raise ValueError("`probs` parameter must be at least one-dimensional.")
            self.probs = probs / probs.sum(-1, keepdim=True)
        else:
            if logits.dim() < 1:
                raise ValueError("`logits` parameter must be at least one-dimensional.")
            self.logits = logits - logits.logsumexp(-1, keepdim=True)
        self._param = self.probs if probs is not None else self.logits
        self._num_events = self._param.size()[-1]
        super().__init__(self._param.size()[:-1], validate_args=validate_args)

    def __getattr__(self, name):
        if name == "probs":
            self.probs = softmax(self.__dict__["logits"], -1)
            return self.probs
        if name == "logits":
            self.logits = clamp_probs(self.__dict__["probs"]).log()
            return self.logits
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    @property
    def param_shape(self):
        return self._param.size()

    @property
    def support(self):
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mean(self):
        return self.probs.sum(-1) * math.nan

    variance = mean

    @property
    def mode(self):
        return self.probs.argmax(dim=-1)

    def sample(self, sample_shape=()):
        with no_grad():
            rows = self.probs.reshape(-1, self._num_events)
            drawn = multinomial(rows, math.prod(sample_shape), True).t()
            return drawn.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value):
        self._checked(value)
        place = value.long().unsqueeze(-1)
        lead = broadcast_shape(place.shape[:-1], self.logits.shape[:-1])
        logits = self.logits.expand((*lead, self._num_events))
        return logits.gather(-1, place.expand((*lead, 1))).squeeze(-1)

    def entropy(self):
        logits = self.logits.clamp(min=finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand=True):
        values = arange(self._num_events).view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values


def broadcast_shape(a, b):
    """The shape to which two shapes broadcast."""
    from ..ops.shape import broadcast_shapes

    return tuple(broadcast_shapes(tuple(a), tuple(b)))


class OneHotCategorical(Distribution):
    """As :class:`Categorical`, with vectors of zeros and a one as values."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None) -> None:
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(
            self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args=validate_args
        )

    @property
    def probs(self):
        return self._categorical.probs

    @property
    def logits(self):
        return self._categorical.logits

    @property
    def mean(self):
        return self.probs

    @property
    def mode(self):
        return one_hot(self.probs.argmax(-1), self._event_shape[-1]).to(self.probs.dtype)

    @property
    def variance(self):
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        drawn = self._categorical.sample(Size(sample_shape))
        return one_hot(drawn, self._event_shape[-1]).to(self.probs.dtype)

    def log_prob(self, value):
        self._checked(value)
        return self._categorical.log_prob(value.max(-1)[1])

    def entropy(self):
        return self._categorical.entropy()

    def enumerate_support(self, expand=True):
        n = self._event_shape[0]
        values = zeros(n, n, dtype=self.probs.dtype).fill_diagonal_(1)
        values = values.view((n,) + (1,) * len(self._batch_shape) + (n,))
        return values.expand((n, *self._batch_shape, n)) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """The same; ``rsample`` gives a sample whose gradient is that of the probabilities."""

    has_rsample = True

    def rsample(self, sample_shape=()):
        return self.sample(sample_shape) + (self.probs - self.probs.detach())


class RelaxedOneHotCategorical(Distribution):
    """Vectors near one-hot ones, differentiable: softmax of (logits + Gumbel noise) / temperature.

    C. Maddison et al., "The concrete distribution" (2017); E. Jang et al., "Gumbel-softmax" (2017).
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None) -> None:
        self._categorical, self._temperature = Categorical(probs, logits), (temperature,)
        super().__init__(
            self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args=validate_args
        )

    @property
    def temperature(self):
        return self._temperature[0]

    @property
    def probs(self):
        return self._categorical.probs

    @property
    def logits(self):
        return self._categorical.logits

    def rsample(self, sample_shape=()):
        logits = self.logits
        u = clamp_probs(empty(self._extended_shape(sample_shape), dtype=logits.dtype).uniform_())
        scores = (logits - (-u.log()).log()) / self.temperature
        return (scores - scores.logsumexp(-1, keepdim=True)).exp()

    def log_prob(self, value):
        k, t = self._event_shape[-1], self.temperature
        log_value = value.log()
        score = self.logits - log_value * t
        score = (score - score.logsumexp(-1, keepdim=True)).sum(-1)
        return score + math.lgamma(k) + (k - 1) * math.log(float(t)) - log_value.sum(-1)
