"""Every differentiable operation: gradients by differences, inputs of any layout, and empty inputs.

The calls are those of the table in ``every_op.py``.
"""

import ast
import inspect
import re
import warnings

import numpy as np
import pytest

import tnn as T
from tests.ops.every_op import CALLS
from tnn.autograd import gradcheck

F = T.nn.functional
SHAPES = dict(x=(2, 3), y=(2, 3), m=(3, 3), v=(3,), s=(2, 2, 4), im=(1, 2, 4, 4), vo=(1, 1, 3, 3, 3))
BATCHED = frozenset(("x", "y", "s", "im", "vo"))
ERRORS = (RuntimeError, ValueError, IndexError, TypeError)


def _values():
    rng = np.random.RandomState(0)
    return {name: rng.uniform(0.2, 0.8, shape) for name, shape in SHAPES.items()}


def _runner(expression):
    """The tensors' names in an expression, and the function that computes it from arrays or tensors."""
    code = compile(expression, "expression", "eval")
    used = [name for name in SHAPES if name in code.co_names]

    def run(*tensors, k=(1, 0)):
        T.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = {"k": T.tensor(k, dtype=T.int64), **dict(zip(used, tensors, strict=True))}
            return eval(code, {"T": T, "F": F}, given)

    return used, run


def _apart(a):
    """The same numbers with gaps between them in memory."""
    wide = np.zeros(tuple(2 * n for n in a.shape))
    apart = wide[tuple(slice(None, None, 2) for _ in a.shape)]
    apart[...] = a
    return T.from_numpy(apart)


@pytest.mark.boundscheck
@pytest.mark.parametrize("expression,empty", CALLS, ids=[e for e, _ in CALLS])
def test_operation(expression, empty):
    used, run = _runner(expression)
    arrays = _values()
    inputs = tuple(T.tensor(arrays[name], requires_grad=True) for name in used)
    out = run(*inputs)
    assert gradcheck(run, inputs)
    want = out.detach().numpy()
    for name, t in zip(used, inputs, strict=True):
        np.testing.assert_array_equal(t.detach().numpy(), arrays[name])
    loose = run(*(_apart(arrays[name]) for name in used))
    np.testing.assert_allclose(loose.numpy(), want, rtol=1e-9, atol=1e-12)
    small = [T.tensor(arrays[name][:0] if name in BATCHED else arrays[name], requires_grad=True) for name in used]
    if empty is None:
        with pytest.raises(ERRORS):
            run(*small, k=())
        return
    out = run(*small, k=())
    assert out.shape == empty and out.dtype is T.float64
    if out.requires_grad:
        out.sum().backward()
        assert all(t.grad is None or t.grad.shape == t.shape for t in small)


def _calls_of_functions():
    """``T.f(...)`` and ``F.f(...)`` of the table, with the places of the arguments that are tensors."""
    for expression, _ in CALLS:
        for node in ast.walk(ast.parse(expression, mode="eval")):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("T.", "F.")):
                places = [
                    i
                    for i, a in enumerate(node.args)
                    if any(isinstance(n, ast.Name) and n.id in SHAPES for n in ast.walk(a))
                ]
                if places:
                    yield node, places
                break


# Operations without a derivative: what they give is of bool, integers, numbers, new or drawn. The last ones are not
# differentiated in float64: casts, and products of lower precision, which have tests of their own.
UNDIFFERENTIABLE = set("""
    all allclose any argmax argmin argwhere bincount bucketize count_nonzero eq equal ge greater greater_equal gt
    heaviside histogram isclose isfinite isin isinf isnan isneginf isposinf isreal le less less_equal logical_and
    logical_not logical_or logical_xor lt matrix_rank ne nonzero nonzero_static not_equal one_hot signbit unique
    unique_consecutive unravel_index bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift
    bitwise_xor gcd lcm floor_divide geqrf broadcast_shapes is_complex is_conj is_distributed is_floating_point is_neg
    is_nonzero is_same_size numel result_type const_data_ptr dense_dim dim_order sparse_dim storage untyped_storage
    arange as_tensor asarray bartlett_window blackman_window empty empty_like empty_strided eye from_dlpack from_numpy
    frombuffer full full_like hamming_window hann_window kaiser_window linspace logspace new new_empty new_empty_strided
    new_full new_ones new_tensor new_zeros ones ones_like range scalar_tensor tensor tril_indices triu_indices zeros
    zeros_like bernoulli binomial cauchy exponential geometric log_normal multinomial normal poisson rand rand_like
    randint randint_like randn randn_like random randperm uniform apply as_subclass coalesce dequantize indices
    is_coalesced map pin_memory resize resize_as set to_sparse values cuda ipu mtia xpu eig lstsq solve symeig bool byte
    char int long short bfloat16 float half grouped_mm scaled_mm scaled_grouped_mm
""".split())


def _operations():
    """Every public operation, by its names as a function and as a method."""
    found = {}
    for place in (T, F, T.linalg, T.special, T.Tensor):
        for name in getattr(place, "__all__", None) or dir(place):
            value = getattr(place, name)
            if name[0] != "_" and inspect.isfunction(value) and value.__module__ in ("tnn", "tnn.special"):
                found.setdefault(value, set()).add(name)
            elif name[0] != "_" and inspect.isfunction(value) and value.__module__.startswith("tnn.ops"):
                found.setdefault(value, set()).add(name)
    return found


def test_every_operation_has_a_call():
    called = set()
    for expression, _ in CALLS:
        for node in ast.walk(ast.parse(expression, mode="eval")):
            if isinstance(node, ast.Attribute):
                name = ast.unparse(node)
                plain = re.fullmatch(r"(T|F)(\.\w+)+", name)
                called.add(eval(name, {"T": T, "F": F}) if plain else getattr(T.Tensor, node.attr, None))
    missing = [
        names
        for operation, names in _operations().items()
        if operation not in called and not {name.rstrip("_") for name in names} & UNDIFFERENTIABLE
    ]
    assert not missing, f"operations without a row in every_op.py: {missing}"


# In these places other things than tensors are allowed as well.
_OTHERS_TOO = {("T.searchsorted", 1), ("T.ldexp", 1)}


def test_what_is_no_tensor_is_refused():
    values = {name: T.tensor(a) for name, a in _values().items()}
    scope = {"T": T, "F": F, "np": np, "k": T.tensor([1, 0]), **values}
    wrong = []
    for node, places in _calls_of_functions():
        for i in places:
            for bad in ("'x'", "[None]", "np.ones((2, 3))"):
                args = [*node.args[:i], ast.parse(bad, mode="eval").body, *node.args[i + 1 :]]
                call = ast.unparse(ast.Call(node.func, args, node.keywords))
                if (ast.unparse(node.func), i) in _OTHERS_TOO:
                    continue
                try:
                    eval(call, scope)
                except TypeError:
                    continue
                except ERRORS as e:
                    wrong.append(f"{call}: {e!r}")
                except AttributeError as e:
                    wrong.append(f"{call}: {e!r}")
                else:
                    wrong.append(f"{call}: accepted")
    assert not wrong, "\n".join(wrong)


def test_matrices_that_are_not_square():
    for f in (T.cholesky_inverse, T.matrix_exp, T.linalg.det, T.linalg.inv, T.linalg.cholesky):
        with pytest.raises(RuntimeError, match="square|dimensions"):
            f(T.rand(2, 3))
