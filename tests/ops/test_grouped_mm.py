"""Grouped products of matrices."""

import io

import numpy as np
import pytest

import tnn
import tnn.nn.functional as F

rng = np.random.RandomState(0)


def _t(*shape):
    return tnn.tensor(rng.uniform(-1, 1, shape).astype(np.float32), requires_grad=True)


def _offs(*ends):
    return tnn.tensor(ends, dtype=tnn.int32)


def test_values_and_gradients():
    a, b = _t(6, 3), _t(2, 3, 4)
    y = F.grouped_mm(a, b, offs=_offs(2, 5))
    want = np.zeros((6, 4), np.float32)
    want[:2] = a.detach().numpy()[:2] @ b.detach().numpy()[0]
    want[2:5] = a.detach().numpy()[2:5] @ b.detach().numpy()[1]
    np.testing.assert_allclose(y.detach().numpy(), want, rtol=1e-5, atol=1e-6)
    y.sum().backward()
    rows = b.detach().numpy().sum(2)
    np.testing.assert_allclose(a.grad.numpy(), [*rows[[0, 0, 1, 1, 1]], [0, 0, 0]], rtol=1e-5)
    p, q = _t(2, 5, 3), _t(3, 6)
    y = F.grouped_mm(p, q, offs=_offs(4, 6)).detach().numpy()
    np.testing.assert_allclose(y[:, :4], p.detach().numpy()[0] @ q.detach().numpy()[:, :4], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y[:, 4:], p.detach().numpy()[1] @ q.detach().numpy()[:, 4:], rtol=1e-5, atol=1e-6)
    u, v = _t(2, 6), _t(6, 4)
    y = F.grouped_mm(u, v, offs=_offs(1, 1, 6)).detach().numpy()
    assert y.shape == (3, 2, 4) and not y[1].any()
    np.testing.assert_allclose(y[0] + y[2], u.detach().numpy() @ v.detach().numpy(), rtol=1e-4, atol=1e-6)
    assert F.grouped_mm(p, _t(2, 3, 4)).shape == (2, 5, 4)
    assert F.grouped_mm(a.bfloat16(), b.bfloat16(), offs=_offs(2, 5)).dtype is tnn.bfloat16


def test_errors():
    a, b = _t(6, 3), _t(2, 3, 4)
    for kwargs, message in (
        ({}, "Have to provide offsets"),
        (dict(offs=tnn.tensor([2, 5])), "int32"),
        (dict(offs=_offs(2, 7)), "within 6"),
        (dict(offs=_offs(3, 2)), "must not fall"),
        (dict(offs=_offs(1, 2, 3)), "batch sizes"),
        (dict(offs=_offs(2, 5), bias=b), "Bias"),
        (dict(offs=_offs(2, 5), out_dtype=tnn.bfloat16), "output dtype"),
    ):
        with pytest.raises(RuntimeError, match=message):
            F.grouped_mm(a, b, **kwargs)
    with pytest.raises(RuntimeError, match="one dtype"):
        F.grouped_mm(a.double(), b.double(), offs=_offs(2, 5))
    with pytest.raises(RuntimeError, match="contraction dimension"):
        F.grouped_mm(a, _t(2, 2, 4), offs=_offs(2, 5))
    with pytest.raises(TypeError, match="'mat_a'"):
        F.grouped_mm("a", b)


def test_float8_is_storage():
    """The numbers are PyTorch 2.13's: float8_e4m3fn saturates, float8_e5m2 has infinities."""
    x = tnn.tensor([1.0, 500.0, -0.3, 1e-4, float("nan"), 1e9])
    small, wide = x.to(tnn.float8_e4m3fn), x.to(tnn.float8_e5m2)
    np.testing.assert_array_equal(small.float().numpy(), [1, 448, -0.3125, 0, np.nan, 448])
    np.testing.assert_array_equal(wide.double().numpy(), [1, 512, -0.3125, 0.0001068115234375, np.nan, np.inf])
    assert small.view(tnn.uint8).tolist() == [56, 126, 170, 0, 127, 126] and small.bfloat16().to(tnn.int8)[1] == -64
    assert repr(small[:3]) == "tensor([ 1.0000e+00,  4.4800e+02, -3.1250e-01], dtype=tnn.float8_e4m3fn)"
    for t in (small, wide):
        kept = io.BytesIO()
        tnn.save(t, kept)
        kept.seek(0)
        assert tnn.load(kept).view(tnn.uint8).tolist() == t.view(tnn.uint8).tolist()
        for refused in (t.sum, t.prod, lambda t=t: t.cumsum(0)):
            with pytest.raises(NotImplementedError, match="not implemented for 'Float8"):
                refused()
    with pytest.raises(RuntimeError, match="Promotion for Float8"):
        tnn.promote_types(tnn.float8_e5m2, tnn.float32)


def _plain(*shape):
    return _t(*shape).detach()


def _eight(*shape):
    return _t(*shape).detach().to(tnn.float8_e4m3fn)


@pytest.mark.parametrize("recipe", ["TensorWise", "RowWise"])
def test_scaled_mm(recipe):
    a, b = _eight(3, 4), _eight(4, 2)
    recipe = F.ScalingType[recipe]
    rowwise = recipe is F.ScalingType.RowWise
    s, t = (_t(3, 1).detach(), _t(1, 2).detach()) if rowwise else (tnn.tensor(0.5), tnn.tensor([0.3]))
    want = (a.double() @ b.double() * s * t).numpy()
    got = F.scaled_mm(a, b, [s], [recipe], t, recipe, output_dtype=tnn.float32)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-5)
    biased = F.scaled_mm(a, b, s, recipe, t, recipe, F.SwizzleType.NO_SWIZZLE, None, tnn.ones(2), tnn.float32)
    np.testing.assert_allclose(biased.numpy(), want + 1, rtol=1e-5)
    assert F.scaled_mm(a, b, s, recipe, t, recipe).dtype is tnn.bfloat16
    with pytest.raises(ValueError, match="Invalid scaling|one element"):
        F.scaled_mm(a, b, _t(2, 1), recipe, t, recipe)


def test_scaled_grouped_mm():
    row, offs, _t = F.ScalingType.RowWise, _offs(2, 3), _plain
    for a, b, s, t, kwargs in (
        (_eight(4, 3), _eight(2, 3, 5), _t(4), _t(2, 5), {"offs": offs}),
        (_eight(2, 3, 4), _eight(4, 5), _t(2, 3), _t(5), {"offs": offs}),
        (_eight(4, 5), _eight(5, 3), _t(8), _t(6), {"offs": offs}),
        (_eight(2, 3, 4), _eight(2, 4, 5), _t(2, 3), _t(2, 5), {}),
    ):
        got = F.scaled_grouped_mm(a, b, s, row, t, row, output_dtype=tnn.float32, **kwargs).numpy()
        plain = F.grouped_mm(a.float(), b.float(), **kwargs).numpy()
        rows, columns = s.numpy(), t.numpy()
        if plain.ndim == 3:
            scale = rows.reshape(2, -1, 1) * columns.reshape(2, 1, -1)
        elif b.ndim == 3:
            scale = rows[:, None] * columns[[0, 0, 1, 1]]
        else:
            scale = rows[[0, 0, 1, 1, 1]].T * columns
        np.testing.assert_allclose(got, plain * scale, rtol=1e-5)
        with pytest.raises(ValueError, match="Invalid scaling"):
            F.scaled_grouped_mm(a, b, s[:-1], row, t, row, **kwargs)


def test_errors_of_scaled_products():
    a, b, one = _eight(3, 4), _eight(4, 2), tnn.tensor(1.0)
    whole, row = F.ScalingType.TensorWise, F.ScalingType.RowWise
    for args, error in (
        ((a, a, one, whole, one, whole), ValueError),
        ((a.float(), b.float(), one, whole, one, whole), ValueError),
        ((a, b, one.double(), whole, one, whole), ValueError),
        ((a, b, one, whole, one, row), ValueError),
        ((a, b, one, F.ScalingType.BlockWise1x32, one, F.ScalingType.BlockWise1x32), ValueError),
        ((a, b, one, 0, one, 0), TypeError),
        ((a, b, 1.0, whole, one, whole), TypeError),
        ((a, b, [one, one], whole, one, whole), ValueError),
        ((a, b, one, whole, one, whole, F.SwizzleType.SWIZZLE_32_4_4), ValueError),
        ((a, b, one, whole, one, whole, None, None, tnn.ones(3)), ValueError),
    ):
        with pytest.raises(error):
            F.scaled_mm(*args)
    with pytest.raises(ValueError, match="RowWise"):
        F.scaled_grouped_mm(a, b, one, whole, one, whole, offs=_offs(4))
