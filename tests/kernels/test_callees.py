"""Functions that only compiled code calls are compiled into their callers and nowhere else."""

import importlib
import pkgutil

import numpy as np
import pytest
from numba import njit, types
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher

import tnn.kernels
from tnn.kernels import _callees

ADDED = 1.0


def _kernel(function):
    """A jitted function that counts as one of the package's kernels."""
    code = function.__code__.replace(co_filename=_callees.KERNELS + "made_by_a_test.py")
    return njit(type(function)(code, function.__globals__, function.__name__))


def _pair():
    @_kernel
    def helper(x):
        if x.size == 0:
            raise ValueError("nothing")
        return x[0] + ADDED

    def kernel(x):
        return 2 * helper(x)

    code = kernel.__code__.replace(co_filename=_callees.KERNELS + "made_by_a_test.py")
    return helper, njit(type(kernel)(code, globals(), "kernel", None, kernel.__closure__))


SIGNATURE = (types.Array(types.float64, 1, "C"),)


def test_a_helper_has_no_machine_code_of_its_own():
    helper, kernel = _pair()
    assert kernel(np.ones(3)) == 4
    assert not helper.overloads
    (made,) = helper._callees.values()
    assert _callees.is_callee(made)
    assert made.library._awaits_machine_code
    assert not kernel.overloads[SIGNATURE].library._awaits_machine_code


def test_a_helper_may_be_called_from_python_before_and_after():
    for first in (0, 1):
        helper, kernel = _pair()
        calls = [lambda h=helper: h(np.ones(3)) == 2, lambda k=kernel: k(np.ones(3)) == 4]
        assert calls[first]()
        assert calls[1 - first]()
        assert calls[first]()
        assert len(helper.overloads) == len(helper._callees) == 1


def test_errors_of_a_helper_arrive():
    _, kernel = _pair()
    with pytest.raises(ValueError, match="nothing"):
        kernel(np.ones(0))


def test_functions_of_users_are_compiled_as_ever():
    @njit
    def inner(x):
        return x + 1

    @njit
    def outer(x):
        return inner(x) * 2

    assert outer(3) == 8
    assert len(inner.overloads) == 1
    assert inner(3) == 4
    assert not hasattr(inner, "_callees")


@pytest.mark.parametrize("module", [m.name for m in pkgutil.iter_modules(tnn.kernels.__path__)])
def test_no_function_has_a_cache_that_does_not_see_its_helpers(module):
    for name, value in vars(importlib.import_module("tnn.kernels." + module)).items():
        if isinstance(value, Dispatcher):
            assert not isinstance(value._cache, FunctionCache), name  # Numba's, which asks about one file alone
