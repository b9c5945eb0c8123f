"""Clipping of gradients, and parameters as one vector."""

import math

import numpy as np
import pytest

import tnn
from tnn import nn
from tnn.nn import utils

rng = np.random.default_rng(0)


def make(*shapes, dtype=np.float32):
    params = []
    for shape in shapes:
        p = nn.Parameter(tnn.from_numpy(np.zeros(shape, dtype)))
        p.grad = tnn.from_numpy(rng.standard_normal(shape).astype(dtype))
        params.append(p)
    return params


def norm(params, p):
    return np.linalg.norm([np.linalg.norm(q.grad.numpy().ravel().astype(np.float64), p) for q in params], p)


@pytest.mark.parametrize("p", [2.0, 1, 3, 0.5, math.inf, -math.inf, 0])
def test_norms(p):
    params = make((3, 4), (5,), (2, 2, 2))
    total = utils.get_total_norm([q.grad for q in params], p)
    expected = 3.0 if p == 0 else norm(params, p)
    assert total.shape == () and total.dtype is tnn.float32
    assert total.item() == pytest.approx(expected, rel=1e-5)


def test_a_large_gradient_is_summed_the_same_with_any_number_of_threads():
    (p,) = make((200_003,))
    before = tnn.get_num_threads()
    try:
        totals = []
        for n in (1, 2):
            tnn.set_num_threads(n)
            totals.append(utils.get_total_norm(p.grad).item())
    finally:
        tnn.set_num_threads(before)
    assert totals[0] == totals[1] == pytest.approx(norm([p], 2), rel=1e-6)
    assert utils.get_total_norm(p.grad, math.inf).item() == np.abs(p.grad.numpy()).max()


def test_clip_grad_norm_scales_only_where_it_must():
    params = make((3, 4), (40_000,), dtype=np.float64)
    before = [p.grad.numpy().copy() for p in params]
    total = utils.clip_grad_norm_(params, 2.0)
    assert total.dtype is tnn.float64
    coef = 2.0 / (total.item() + 1e-6)
    for p, b in zip(params, before, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), b * coef, rtol=1e-12)
    assert norm(params, 2) == pytest.approx(2.0, rel=1e-6)
    again = [p.grad.numpy().copy() for p in params]
    utils.clip_grad_norm_(params, 1e9)
    assert all(np.array_equal(p.grad.numpy(), b) for p, b in zip(params, again, strict=True))


def test_clip_grad_norm_takes_one_tensor_generators_and_parameters_without_gradient():
    (p,) = make((4,))
    p.grad = tnn.full((4,), 3.0)
    assert utils.clip_grad_norm_(p, 3.0).item() == 6
    np.testing.assert_allclose(p.grad.numpy(), 1.5, rtol=1e-6)
    assert utils.clip_grad_norm_((q for q in [p, nn.Parameter(tnn.zeros(1))]), 100.0).item() == pytest.approx(3.0)
    assert utils.clip_grad_norm_([nn.Parameter(tnn.zeros(1))], 1.0).item() == 0
    with pytest.warns(UserWarning, match="empty generator"):
        utils.clip_grad_norm_((q for q in []), 1.0)
    with pytest.warns(FutureWarning, match="deprecated"):
        utils.clip_grad_norm(p, 1.0)


def test_views_and_half_precisions_are_clipped():
    p = nn.Parameter(tnn.zeros(3, 2))
    p.grad = tnn.full((2, 3), 4.0).t()
    utils.clip_grad_norm_(p, 1.0)
    np.testing.assert_allclose(p.grad.numpy(), 1 / math.sqrt(6), rtol=1e-6)
    h = nn.Parameter(tnn.zeros(4, dtype=tnn.float16))
    h.grad = tnn.full((4,), 3.0, dtype=tnn.float16)
    total = utils.clip_grad_norm_([h], 3.0)
    assert total.dtype is tnn.float16 and total.item() == 6
    np.testing.assert_allclose(h.grad.float().numpy(), 1.5, rtol=2e-3)
    utils.clip_grad_value_([h, p], 0.25)
    assert h.grad.tolist() == [0.25] * 4 and p.grad.tolist() == [[0.25, 0.25]] * 3


def test_a_norm_that_is_not_finite():
    params = make((3,), (2,))
    params[0].grad = tnn.tensor([1.0, math.nan, 2.0])
    for p in (2, 1, math.inf, -math.inf, 3):
        assert math.isnan(utils.get_total_norm([q.grad for q in params], p).item())
        with pytest.raises(RuntimeError, match="non-finite"):
            utils.clip_grad_norm_(params, 1.0, p, error_if_nonfinite=True)
    assert params[1].grad.isfinite().all()
    utils.clip_grad_norm_(params, 1.0)
    assert params[1].grad.isnan().all()


def test_clip_grad_value():
    p = nn.Parameter(tnn.zeros(5))
    p.grad = tnn.tensor([-3.0, -0.5, math.nan, 0.5, math.inf])
    utils.clip_grad_value_(p, 1)
    assert p.grad.tolist()[:2] == [-1.0, -0.5] and p.grad.tolist()[3:] == [0.5, 1.0] and math.isnan(p.grad[2].item())
    (q,) = make((50_000,))
    expected = np.clip(q.grad.numpy(), -0.1, np.float32(0.1))
    utils.clip_grad_value_([q, nn.Parameter(tnn.zeros(1))], 0.1)
    assert np.array_equal(q.grad.numpy(), expected)


def test_clipping_counts_as_a_change_in_place():
    x = tnn.ones(3, requires_grad=True)
    p = nn.Parameter(tnn.zeros(3))
    p.grad = tnn.full((3,), 2.0)
    y = x * p.grad
    utils.clip_grad_norm_(p, 1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        y.sum().backward()


def test_parameters_to_vector_and_back():
    a, b = nn.Parameter(tnn.arange(6).float().reshape(2, 3)), nn.Parameter(tnn.full((2,), 9.0))
    vec = utils.parameters_to_vector([a, b])
    assert vec.tolist() == [0, 1, 2, 3, 4, 5, 9, 9] and vec.requires_grad
    new = tnn.arange(8).float() * 2
    utils.vector_to_parameters(new, [a, b])
    assert a.tolist() == [[0, 2, 4], [6, 8, 10]] and b.tolist() == [12, 14] and a.requires_grad
    new.fill_(1.0)
    assert a[0, 0].item() == 1, "the memory is shared"
    with pytest.raises(TypeError):
        utils.vector_to_parameters([1.0], [a])
    with pytest.raises(RuntimeError):
        utils.vector_to_parameters(tnn.zeros(3), [a])
