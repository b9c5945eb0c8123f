"""What no operation may take: something else than a tensor in a tensor's place, and numbers that do not fit."""

import inspect

import pytest

import tnn
import tnn.nn.functional as F

ERRORS = (TypeError, RuntimeError, ValueError, IndexError, NotImplementedError, AssertionError)


def operations():
    """Every function of the operations' files that the package exports, by the name it is exported under."""
    found = {}
    for place, prefix in ((tnn, "tnn."), (F, "F."), (tnn.linalg, "linalg."), (tnn.special, "special.")):
        for name in getattr(place, "__all__", dir(place)):
            value = getattr(place, name)
            if name[0] != "_" and inspect.isfunction(value) and value.__module__ in ("tnn", "tnn.special"):
                found.setdefault(value, prefix + name)
            elif name[0] != "_" and inspect.isfunction(value) and value.__module__.startswith("tnn.ops"):
                found.setdefault(value, prefix + name)
    return [(name, value) for value, name in found.items()]


def required(function):
    """The names of the positional arguments without a default."""
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]


# Any object stands for a value of its own kind here.
ANYTHING = {"tnn.is_tensor", "tnn.typename"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name,function", operations(), ids=[name for name, _ in operations()])
def test_an_argument_of_another_kind_is_refused(name, function):
    """An error of the usual kinds and with a message, never that an object lacks some attribute."""
    names = required(function)
    x = tnn.full((2, 3), 0.5)
    for at, argument in enumerate(names):
        for bad in ("abc", object()):
            args = [x] * len(names)
            args[at] = bad
            with pytest.raises(ERRORS) as caught:
                function(*args)
            assert str(caught.value), f"{name}: {argument}"


def test_out_is_a_tensor():
    x = tnn.ones(2)
    for call in (lambda: tnn.exp(x, out=[1]), lambda: tnn.add(x, x, out="x"), lambda: tnn.zeros(2, out=3)):
        with pytest.raises(TypeError, match="'out'"):
            call()
    with pytest.raises(TypeError, match="'out' must be tuple of Tensors"):
        tnn.sort(x, out=x)


def test_a_dimension_is_an_integer():
    x = tnn.ones(2, 3)
    for call in (lambda d: x.cumsum(d), lambda d: x.softmax(d), lambda d: x.select(d, 0), lambda d: x.sort(d)):
        for d in (0.0, "0", None):
            if d is None and call(0) is not None:
                continue
            with pytest.raises(TypeError, match="'dim' must be int"):
                call(d)


def test_numbers_beside_tensors():
    x = tnn.ones(3)
    with pytest.raises(TypeError, match="'weight'"):
        x.lerp(x, "x")
    with pytest.raises(TypeError, match="'value'"):
        x.addcmul(x, x, value="x")
    with pytest.raises(TypeError, match="'tensor2'"):
        tnn.result_type(x, "x")
    with pytest.raises(TypeError, match="'indices_or_sections'"):
        x.hsplit("x")
    with pytest.raises(TypeError, match="'sorter'"):
        tnn.searchsorted(x, x, sorter="x")
    with pytest.raises(TypeError, match="'weight'"):
        tnn.histogram(x, 2, weight="x")
    with pytest.raises(TypeError, match="'weights'"):
        tnn.bincount(x.long(), "x")
    with pytest.raises(TypeError, match="'fweights'"):
        tnn.cov(x, fweights="x")


def test_pivots_are_checked():
    """They are row numbers from 1 on; the parts of the factorization that are not wanted stay empty."""
    a = tnn.tensor([[0.0, 2.0], [1.0, 3.0]])
    lu, pivots = tnn.linalg.lu_factor(a)
    for bad in (pivots * 0, pivots + 5, pivots.long(), pivots[:1]):
        with pytest.raises(RuntimeError, match="LU_pivots"):
            tnn.lu_unpack(lu, bad)
        with pytest.raises(RuntimeError, match="LU_pivots"):
            tnn.linalg.lu_solve(lu, bad, a)
    p, lower, upper = tnn.lu_unpack(lu, pivots, unpack_data=False)
    assert p.shape == (2, 2) and lower.shape == upper.shape == (0,)
    p, lower, upper = tnn.lu_unpack(lu, pivots, unpack_pivots=False)
    assert p.shape == (0,) and (lower @ upper).tolist() == [[1.0, 3.0], [0.0, 2.0]]


def test_reflections_have_one_factor_each():
    a = tnn.ones(3, 2)
    for tau in (tnn.ones(2, 2), tnn.ones(3), tnn.ones(2).double(), tnn.tensor(1.0)):
        with pytest.raises(RuntimeError, match="householder_product"):
            tnn.linalg.householder_product(a, tau)
    with pytest.raises(RuntimeError, match="householder_product"):
        tnn.linalg.householder_product(a.t(), tnn.ones(2))


def test_vandermonde_has_two_columns():
    for x, n in ((tnn.ones(2, 3), 1), (tnn.tensor(1.0), None), (tnn.ones(3), -1)):
        with pytest.raises(RuntimeError, match="N must be greater than 1"):
            tnn.linalg.vander(x, N=n)
