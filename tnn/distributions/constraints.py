"""What the parameters and the values of distributions must satisfy."""

from typing import Any

__all__ = [
    "Constraint", "boolean", "greater_than", "greater_than_eq", "half_open_interval", "independent",
    "integer_interval", "interval",
    "lower_cholesky", "multinomial", "nonnegative", "nonnegative_integer", "one_hot", "positive", "positive_definite",
    "positive_integer", "real", "real_vector", "simplex", "unit_interval",
]  # fmt: skip


class Constraint:
    """A condition: ``check(value)`` gives a bool tensor, one element for each event of ``event_dim`` dimensions."""

    def __init__(self, name: str, test, event_dim: int = 0, is_discrete: bool = False) -> None:
        self.name, self._test, self.event_dim, self.is_discrete = name, test, event_dim, is_discrete

    def check(self, value: Any) -> Any:
        return self._test(value)

    def __repr__(self) -> str:
        return self.name


def interval(lower_bound, upper_bound) -> Constraint:
    """lower_bound <= x <= upper_bound."""
    name = f"Interval(lower_bound={lower_bound}, upper_bound={upper_bound})"
    return Constraint(name, lambda x: (lower_bound <= x) & (x <= upper_bound))


def half_open_interval(lower_bound, upper_bound) -> Constraint:
    """lower_bound <= x < upper_bound."""
    name = f"HalfOpenInterval(lower_bound={lower_bound}, upper_bound={upper_bound})"
    return Constraint(name, lambda x: (lower_bound <= x) & (x < upper_bound))


def integer_interval(lower_bound, upper_bound) -> Constraint:
    """An integer from lower_bound to upper_bound."""
    name = f"IntegerInterval(lower_bound={lower_bound}, upper_bound={upper_bound})"
    return Constraint(name, lambda x: (x % 1 == 0) & (lower_bound <= x) & (x <= upper_bound), 0, True)


def greater_than(lower_bound) -> Constraint:
    """x > lower_bound."""
    return Constraint(f"GreaterThan(lower_bound={lower_bound})", lambda x: x > lower_bound)


def greater_than_eq(lower_bound) -> Constraint:
    """x >= lower_bound."""
    return Constraint(f"GreaterThanEq(lower_bound={lower_bound})", lambda x: x >= lower_bound)


def independent(base_constraint: Constraint, reinterpreted_batch_ndims: int) -> Constraint:
    """The constraint for events of that many more dimensions: all elements satisfy it."""
    n = reinterpreted_batch_ndims
    if not n:
        return base_constraint
    name = f"IndependentConstraint({base_constraint!r}, {n})"
    return Constraint(
        name, lambda x: base_constraint.check(x).flatten(-n).all(-1), base_constraint.event_dim + n,
        base_constraint.is_discrete,
    )  # fmt: skip


def multinomial(upper_bound) -> Constraint:
    """Vectors of whole numbers that are not negative and sum up to upper_bound."""
    return Constraint("Multinomial()", lambda x: (x >= 0).all(-1) & (x.sum(-1) <= upper_bound), 1, True)


def _is_simplex(x):
    return (x >= 0).all(-1) & ((x.sum(-1) - 1).abs() < 1e-6)


def _is_one_hot(x):
    return ((x == 0) | (x == 1)).all(-1) & (x.sum(-1) == 1)


def _is_lower_cholesky(x):
    return (x.tril() == x).flatten(-2).all(-1) & (x.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


def _is_positive_definite(x):
    from ..linalg import eigvalsh

    symmetric = ((x - x.mT).abs() < 1e-6).flatten(-2).all(-1)
    return symmetric & (eigvalsh(x) > 0).all(-1)


real = Constraint("Real()", lambda x: x == x)
real_vector = Constraint("IndependentConstraint(Real(), 1)", lambda x: (x == x).all(-1), 1)
positive = greater_than(0.0)
nonnegative = greater_than_eq(0.0)
unit_interval = interval(0.0, 1.0)
boolean = Constraint("Boolean()", lambda x: (x == 0) | (x == 1), 0, True)
nonnegative_integer = Constraint("IntegerGreaterThan(lower_bound=0)", lambda x: (x % 1 == 0) & (x >= 0), 0, True)
positive_integer = Constraint("IntegerGreaterThan(lower_bound=1)", lambda x: (x % 1 == 0) & (x >= 1), 0, True)
simplex = Constraint("Simplex()", _is_simplex, 1)
one_hot = Constraint("OneHot()", _is_one_hot, 1, True)
lower_cholesky = Constraint("LowerCholesky()", _is_lower_cholesky, 2)
positive_definite = Constraint("PositiveDefinite()", _is_positive_definite, 2)
