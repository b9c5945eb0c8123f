"""Probability distributions: sampling, log-probabilities, entropies, divergences.

``sample`` draws from tnn's generator, in PyTorch's order; ``rsample`` is differentiable with respect to the parameters.
"""

import re
import sys
from types import ModuleType

from . import constraints, kl, transforms, utils
from .continuous import (
    Beta,
    Cauchy,
    Chi2,
    Dirichlet,
    Exponential,
    Gamma,
    Gumbel,
    Laplace,
    LogNormal,
    Normal,
    StudentT,
    Uniform,
)
from .discrete import (
    Bernoulli,
    Binomial,
    Categorical,
    Geometric,
    Multinomial,
    NegativeBinomial,
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
    Poisson,
    RelaxedOneHotCategorical,
)
from .distribution import Distribution
from .kl import kl_divergence, register_kl
from .multivariate import Independent, MixtureSameFamily, MultivariateNormal
from .transformed import (
    HalfCauchy,
    HalfNormal,
    InverseGamma,
    Kumaraswamy,
    LogisticNormal,
    Pareto,
    RelaxedBernoulli,
    TransformedDistribution,
    Weibull,
)
from .transforms import *  # noqa: F403

__all__ = [
    "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "Dirichlet", "Distribution", "Exponential",
    "Gamma", "Geometric", "Gumbel", "HalfCauchy", "HalfNormal", "Independent", "InverseGamma", "Kumaraswamy",
    "Laplace", "LogNormal", "LogisticNormal", "MixtureSameFamily", "Multinomial", "MultivariateNormal",
    "NegativeBinomial", "Normal", "OneHotCategorical", "OneHotCategoricalStraightThrough", "Pareto", "Poisson",
    "RelaxedBernoulli", "RelaxedOneHotCategorical", "StudentT", "TransformedDistribution", "Uniform", "Weibull",
    "constraints", "kl", "kl_divergence", "register_kl", "transforms", "utils", *transforms.__all__,
]  # fmt: skip


def _modules_of_one() -> None:
    """The modules from which programs import single classes: ``from tnn.distributions.normal import Normal``."""
    for name in __all__:
        value = globals()[name]
        if isinstance(value, type) and issubclass(value, Distribution) and value is not Distribution:
            own = re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("student_t", "studentT")
            module = sys.modules.setdefault(f"{__name__}.{own}", ModuleType(f"{__name__}.{own}", value.__doc__))
            setattr(module, name, value)
            globals()[own] = module


_modules_of_one()
