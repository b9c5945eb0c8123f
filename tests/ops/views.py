"""What the tests of shape, part, joining, rearrange and indexing share: a case is checked against NumPy, in its
gradients to second order, and in whether it shares memory."""

import numpy as np

import tnn
from tnn.autograd import gradcheck, gradgradcheck


def sample(*shape, seed=0, dtype=np.float64):
    """Random numbers without ties."""
    return np.random.RandomState(seed).permutation(int(np.prod(shape))).reshape(shape).astype(dtype) / 4 - 1


def leaf(a):
    """A float64 tensor that requires gradients."""
    return tnn.tensor(np.asarray(a, np.float64), requires_grad=True)


def check(op, reference, *arrays, view=None):
    """``op`` of tensors agrees with ``reference`` of arrays, forward and in first and second gradients.

    Args:
        op, reference: functions of the arrays as tensors, and as they are.
        arrays: the inputs.
        view: whether the result shares memory with the first input; None: either.
    """
    for dtype in (np.float64, np.float32, np.int64):
        cast = [a.astype(dtype) for a in arrays]
        expected, inputs = reference(*cast), [tnn.tensor(a) for a in cast]
        many = isinstance(expected, tuple | list)
        result = op(*inputs)
        assert isinstance(result, tuple) == many
        for r, e in zip(result if many else [result], expected if many else [expected], strict=True):
            np.testing.assert_allclose(r.numpy(), e, rtol=1e-6)
            assert r.shape == np.shape(e) and r.dtype is inputs[0].dtype
            if view is not None and r.numel():
                assert np.shares_memory(r.numpy(), inputs[0].numpy()) is view
    inputs = tuple(leaf(a) for a in arrays)
    gradcheck(op, inputs)
    gradgradcheck(op, inputs)


def check_view_updates(op, a):
    """A change of the view in place reaches the base's values and gradient."""
    x = leaf(a)
    base = x * 2
    part = op(base)
    part.mul_(3)
    base.sum().backward()
    mask = np.zeros_like(a)
    marked = tnn.tensor(mask)
    op(marked).add_(1)
    expected = np.where(marked.numpy() > 0, 6.0, 2.0)
    np.testing.assert_array_equal(x.grad.numpy(), expected)
    np.testing.assert_array_equal(base.detach().numpy(), a * expected)
