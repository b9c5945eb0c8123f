"""In-place forms that write where their operand lies, against the results of the plain operations."""

import itertools

import numpy as np
import pytest

import tnn
import tnn.nn.functional as F

UNARY = "exp log1p sqrt neg abs floor round square relu sigmoid tanh reciprocal".split()
SHAPES = [(7,), (3, 5), (2, 3, 4), (37, 1025), (3, 9000), (70000,)]


def positive(*shape, dtype=tnn.float32):
    return tnn.rand(*shape, dtype=dtype) + 0.5


def same(a, b):
    """Bit by bit, but for NaN."""
    np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_unary(name, shape):
    for dtype in (tnn.float32, tnn.float64):
        x = positive(*shape, dtype=dtype)
        expected = getattr(tnn, name)(x)
        for _ in range(2):  # the first call compiles, the second one goes the short way
            y = x.clone()
            assert getattr(y, name + "_")() is y
            same(y, expected)


OTHERS = {
    "alike": lambda x: positive(*x.shape, dtype=x.dtype),
    "row": lambda x: positive(x.shape[-1], dtype=x.dtype),
    "column": lambda x: positive(*x.shape[:-1], 1, dtype=x.dtype),
    "first": lambda x: positive(*x.shape[:1], *(1,) * (x.ndim - 1), dtype=x.dtype),
    "one": lambda x: positive(*(1,) * x.ndim, dtype=x.dtype),
    "without dimensions": lambda x: tnn.tensor(1.5, dtype=x.dtype),
    "number": lambda x: 1.5,
    "integer": lambda x: 3,
    "with gaps": lambda x: positive(*x.shape[:-1], 2 * x.shape[-1], dtype=x.dtype)[..., ::2],
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow"])
def test_binary(name, kind):
    for shape in SHAPES:
        for dtype in (tnn.float32, tnn.float64):
            x = positive(*shape, dtype=dtype)
            other = OTHERS[kind](x)
            expected = getattr(tnn, name)(x, other)
            for _ in range(2):
                y = x.clone()
                assert getattr(y, name + "_")(other) is y
                same(y, expected)


THREE = {
    "alpha": (lambda t, y, z, row, mask: t.add_(y, alpha=0.5), lambda x, y, z, row, mask: tnn.add(x, y, alpha=0.5)),
    "alpha row": (lambda t, y, z, row, mask: t.sub_(row, alpha=2), lambda x, y, z, row, mask: tnn.sub(x, row, alpha=2)),
    "addcmul": (
        lambda t, y, z, row, mask: t.addcmul_(y, z, value=0.3),
        lambda x, y, z, row, mask: tnn.addcmul(x, y, z, value=0.3),
    ),
    "addcmul row": (lambda t, y, z, row, mask: t.addcmul_(row, z), lambda x, y, z, row, mask: tnn.addcmul(x, row, z)),
    "addcdiv": (
        lambda t, y, z, row, mask: t.addcdiv_(y, z, value=-2),
        lambda x, y, z, row, mask: tnn.addcdiv(x, y, z, value=-2),
    ),
    "lerp": (lambda t, y, z, row, mask: t.lerp_(y, 0.25), lambda x, y, z, row, mask: tnn.lerp(x, y, 0.25)),
    "lerp tensor": (lambda t, y, z, row, mask: t.lerp_(y, z), lambda x, y, z, row, mask: tnn.lerp(x, y, z)),
    "clamp": (lambda t, y, z, row, mask: t.clamp_(0.7, 1.2), lambda x, y, z, row, mask: tnn.clamp(x, 0.7, 1.2)),
    "clamp_min": (lambda t, y, z, row, mask: t.clamp_min_(1.0), lambda x, y, z, row, mask: tnn.clamp_min(x, 1.0)),
    "clamp_max": (lambda t, y, z, row, mask: t.clamp_(max=1), lambda x, y, z, row, mask: tnn.clamp(x, max=1)),
    "mask": (
        lambda t, y, z, row, mask: t.masked_fill_(mask, 9.0),
        lambda x, y, z, row, mask: tnn.masked_fill(x, mask, 9.0),
    ),
    "mask row": (
        lambda t, y, z, row, mask: t.masked_fill_(row > 1, -1),
        lambda x, y, z, row, mask: tnn.masked_fill(x, row > 1, -1),
    ),
}


@pytest.mark.parametrize("name", THREE)
def test_parameters_and_three_operands(name):
    change, plain = THREE[name]
    for shape in SHAPES:
        x, y, z = (positive(*shape) for _ in range(3))
        others = y, z, positive(shape[-1]), tnn.rand(*shape) < 0.5
        expected = plain(x, *others)
        for _ in range(2):
            t = x.clone()
            assert change(t, *others) is t
            same(t, expected)


@pytest.mark.parametrize("n", [4, 300])
def test_operands_that_share_memory(n):
    x = positive(n, n)
    for _ in range(2):
        for change, expected in (
            (lambda t: t.add_(t), x + x),
            (lambda t: t.mul_(t[0]), x * x[0]),
            (lambda t: t.sub_(t[:, :1]), x - x[:, :1]),
            (lambda t: t.add_(t.T), x + x.T),
            (lambda t: t[1:].add_(t[:-1]), x[1:] + x[:-1]),
            (lambda t: t.view(-1)[1:].add_(t.view(-1)[:-1]), x.view(-1)[1:] + x.view(-1)[:-1]),
            (lambda t: t.addcmul_(t, t[0]), tnn.addcmul(x, x, x[0])),
            (lambda t: t.masked_fill_(t > 1, 0.0), x.masked_fill(x > 1, 0.0)),
        ):
            same(change(x.clone()), expected)


def test_targets_with_gaps():
    for shape in ((6, 8), (200, 300)):
        x = positive(*shape)
        for part in (lambda t: t[:, 1:], lambda t: t[::2], lambda t: t.T, lambda t: t[1:], lambda t: t[:, 0]):
            y = x.clone()
            expected = part(x) * 2.0 + 1.0
            part(y).mul_(2.0).add_(1.0)
            same(part(y), expected)
            z = x.clone()
            part(z).copy_(expected)
            same(y, z)


@pytest.mark.parametrize("dtype", [tnn.int64, tnn.int32, tnn.uint8])
def test_integers(dtype):
    x = tnn.randint(0, 9, (40, 50), dtype=dtype)
    row = tnn.randint(1, 5, (50,), dtype=dtype)
    for change, expected in (
        (lambda t: t.add_(1), x + 1),
        (lambda t: t.mul_(row), x * row),
        (lambda t: t.sub_(t), x - x),
        (lambda t: t.masked_fill_(row > 2, 7), x.masked_fill(row > 2, 7)),
    ):
        same(change(x.clone()), expected)
    with pytest.raises(RuntimeError, match="can't be cast"):
        x.clone().add_(0.5)


def test_versions_and_recording():
    x = positive(5)
    x.add_(1.0)
    before = x._version.n
    x.add_(1.0)
    x.exp_()
    assert x._version.n == before + 2
    leaf = positive(5).requires_grad_()
    for change in (lambda t: t.add_(1.0), lambda t: t.exp_(), lambda t: t[1:].mul_(2.0), lambda t: t.clamp_(0, 1)):
        with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
            change(leaf)
    with tnn.no_grad():
        part = leaf[1:]
        leaf.add_(1.0)
    with pytest.raises(RuntimeError, match="view of a leaf"):
        part.add_(1.0)
    y = positive(5)
    saved = (leaf * y).sum()
    y.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        saved.backward()
    z = positive(5)
    z.mul_(leaf)
    assert z.requires_grad
    z.sum().backward()
    assert leaf.grad is not None


def test_what_does_not_fit():
    x = positive(3, 4)
    with pytest.raises(RuntimeError, match="output with shape"):
        x[0].add_(x)
    with pytest.raises(RuntimeError):
        x.add_(positive(3))
    with pytest.raises(RuntimeError, match="single memory location"):
        x[:1].expand(3, 4).add_(1.0)
    with pytest.raises(TypeError):
        x.add_("1")
    for name in ("atan2_", "hypot_"):  # numbers are no operands of theirs
        with pytest.raises(TypeError, match="must be Tensor"):
            getattr(positive(3, 4), name)(2.0)
    empty = positive(0, 4)
    assert empty.add_(1.0) is empty


# -- by index


def drawn(dtype, *shape):
    if dtype in (tnn.int64, tnn.uint8):
        return tnn.randint(0, 100, shape, dtype=dtype)
    return tnn.randn(*shape, dtype=dtype)


DTYPES = [tnn.float32, tnn.float64, tnn.int64, tnn.uint8, tnn.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(9,), (5, 7), (3, 4, 6), (300, 200)], ids=str)
def test_rows_by_index(shape, dtype):
    for dim in range(-1, len(shape)):
        n = shape[dim]
        for count in (2, n + 3):
            index = tnn.randint(0, n, (count,))
            rows = list(shape)
            rows[dim] = count
            x, source = drawn(dtype, *shape), drawn(dtype, *rows)
            y = x.clone()
            assert y.index_copy_(dim, index, source) is y
            same(y.float(), tnn.index_copy(x, dim, index, source).float())
            y = x.clone()
            assert y.index_fill_(dim, index, 3) is y
            expected = x.clone()
            expected[(slice(None),) * (dim % len(shape)) + (index.tolist(),)] = 3
            same(y.float(), expected.float())
            same(tnn.index_fill(x, dim, index, 3).float(), expected.float())
            y = x.clone()
            assert y.index_add_(dim, index, source, alpha=2) is y
            expected = tnn.index_add(x.double(), dim, index, source.double(), alpha=2)
            tolerance = 0.1 if dtype is tnn.bfloat16 else 1e-5
            if dtype is not tnn.uint8:
                np.testing.assert_allclose(y.double().numpy(), expected.numpy(), tolerance, tolerance)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(9,), (5, 7), (3, 4, 6), (300, 200)], ids=str)
def test_elements_by_index(shape, dtype):
    for dim in range(-1, len(shape)):
        for count in (1, shape[dim] + 2):
            size = list(shape)
            size[dim] = count
            index = tnn.randint(0, shape[dim], size)
            x, source = drawn(dtype, *shape), drawn(dtype, *size)
            for change, expected in (
                (lambda t, d, i, s: t.scatter_(d, i, s), tnn.scatter(x, dim, index, source)),
                (lambda t, d, i, s: t.scatter_(d, i, 5), tnn.scatter(x, dim, index, 5)),
                (lambda t, d, i, s: t.scatter_(d, i, value=5), tnn.scatter(x, dim, index, value=5)),
                (lambda t, d, i, s: t.scatter_add_(d, i, s), tnn.scatter_add(x, dim, index, source)),
            ):
                y = x.clone()
                assert change(y, dim, index, source) is y
                np.testing.assert_allclose(y.double().numpy(), expected.double().numpy(), 1e-5, 1e-5)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_assigned_by_index(dtype):
    x = drawn(dtype, 6, 5, 4)
    i, j = tnn.tensor([[1, -6], [3, 2]]), tnn.tensor([[0, -1], [4, -5]])
    for key in (i, (i,), (i, j), (slice(None), j), (slice(None), slice(None), tnn.tensor([0, -2]))):
        parts = key if type(key) is tuple else (key,)
        as_lists = tuple(k.tolist() if isinstance(k, tnn.Tensor) else k for k in parts)
        expected = x.float().numpy().copy()
        same(x[key].float(), tnn.tensor(expected[as_lists]))
        y = x.clone()
        y[key] = 7
        expected[as_lists] = 7
        same(y.float(), tnn.tensor(expected))
        values = drawn(dtype, *x[key].shape)
        y[key] = values
        expected[as_lists] = values.float().numpy()
        same(y.float(), tnn.tensor(expected))
        y = x.clone()
        y[key] = values[:1]  # broadcast
        expected = x.float().numpy().copy()
        expected[as_lists] = values[:1].float().numpy()
        same(y.float(), tnn.tensor(expected))
    if dtype in (tnn.float32, tnn.float64):
        y, expected = x.clone(), x.numpy().copy()
        y.index_put_((i, j), x[i, j], accumulate=True)
        np.add.at(expected, (i.tolist(), j.tolist()), x.numpy()[i.tolist(), j.tolist()])
        np.testing.assert_allclose(y.numpy(), expected, 1e-6)


def test_assigned_numbers():
    for dtype in (tnn.float32, tnn.float64, tnn.int64):
        x = drawn(dtype, 6, 5)
        y, expected = x.clone(), x.numpy().copy()
        for key, value in (((0, 1), 2), (3, 4), (slice(1, 3), 5), ((slice(None), 2), 6), ((..., -1), 7)):
            y[key] = value
            expected[key] = value
            same(y, tnn.tensor(expected))
        y[...] = 0
        assert not y.any()
    x = tnn.zeros(2, 3)
    with pytest.raises(RuntimeError, match="without overflow"):
        x[0] = 1e39
    with pytest.raises(IndexError):
        x[2] = 1.0
    with pytest.raises(IndexError):
        x[0, 0, 0] = 1.0


def test_indices_out_of_range():
    x = tnn.randn(4, 5)
    before = x.clone()
    far, low = tnn.tensor([0, 4]), tnn.tensor([0, -1])
    for index in (far, low):
        for change in (
            lambda i: x.index_add_(0, i, x[:2]),
            lambda i: x.index_copy_(0, i, x[:2]),
            lambda i: x.scatter_(0, i[:, None].expand(2, 5), x[:2].clone()),
            lambda i: x.scatter_add_(0, i[:, None].expand(2, 5), x[:2].clone()),
        ):
            with pytest.raises((IndexError, RuntimeError), match="out of"):
                change(index)
    wide = tnn.tensor([5])
    for change in (lambda: x.index_fill_(0, far, 0.0), lambda: x[far], lambda: x[:, wide], lambda: x[far, low]):
        with pytest.raises(IndexError, match="out of bounds"):
            change()
    with pytest.raises(IndexError, match="out of bounds"):
        x[far, low] = 1.0
    same(x, before)


def test_sources_of_the_tensors_own_memory():
    x = tnn.randn(6, 6)
    index = tnn.tensor([1, 0, 3, 2, 5, 4])
    for change, expected in (
        (lambda t: t.index_copy_(0, index, t), x[index]),
        (lambda t: t.index_add_(0, index, t), x + x[index]),
        (lambda t: t.copy_(t.T), x.T),
    ):
        same(change(x.clone()), expected)
    y = x.clone()
    y[index] = y
    same(y, x[index])
    wide = tnn.randn(300, 300)
    same(wide.clone().copy_(wide.T), wide.T)
    z = wide.clone()
    same(z.copy_(z.T), wide.T)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(5, 7), (7, 5), (2, 6, 6), (200, 300)], ids=str)
def test_triangles(shape, dtype):
    for diagonal in (0, 1, -2, 9, -9, 400):
        for name in ("tril", "triu"):
            x = drawn(dtype, *shape)
            y = x.clone()
            assert getattr(y, name + "_")(diagonal) is y
            same(y.float(), getattr(tnn, name)(x, diagonal).float())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_by_positions_and_masks(dtype):
    for shape in ((9,), (5, 7), (200, 300)):
        x = drawn(dtype, *shape)
        mask = tnn.rand(*shape) < 0.3
        values = drawn(dtype, *shape)
        y, expected = x.clone(), x.float().numpy().copy()
        assert y.masked_scatter_(mask, values) is y
        expected[mask.numpy()] = values.float().numpy().reshape(-1)[: int(mask.sum())]
        same(y.float(), tnn.tensor(expected))
        same(tnn.masked_scatter(x, mask, values).float(), tnn.tensor(expected))
        y = x.clone()
        y[mask] = 3
        same(y.float(), tnn.where(mask, tnn.tensor(3.0), x.float()))
        y, expected = x.clone(), x.float().numpy().copy()
        picked = values[mask]
        y[mask] = picked
        expected[mask.numpy()] = picked.float().numpy()
        same(y.float(), tnn.tensor(expected))
        index = tnn.tensor([3, -1, 0, 5])
        y, expected = x.clone(), x.float().numpy().reshape(-1).copy()
        y.put_(index, values.reshape(-1)[:4])
        expected[index.numpy()] = values.float().numpy().reshape(-1)[:4]
        same(y.float().reshape(-1), tnn.tensor(expected))
    with pytest.raises(RuntimeError, match="Number of elements"):
        x.masked_scatter_(tnn.ones(*shape, dtype=tnn.bool), values[:1])
    with pytest.raises(IndexError):
        x.put_(tnn.tensor([x.numel()]), values.reshape(-1)[:1])


@pytest.mark.parametrize("reduce", ["prod", "amax", "amin"])
def test_slices_combined_by_index(reduce):
    combine = {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}[reduce]
    for shape, dim in (((5, 7), 0), ((5, 7), 1), ((3, 4, 6), 1), ((40, 900), 0)):
        x = tnn.randn(*shape, dtype=tnn.float64)
        rows = list(shape)
        rows[dim] = 9
        source, index = tnn.randn(*rows, dtype=tnn.float64), tnn.randint(0, shape[dim], (9,))
        expected = np.moveaxis(x.numpy().copy(), dim, 0)
        for j, i in enumerate(index.tolist()):
            expected[i] = combine(expected[i], np.moveaxis(source.numpy(), dim, 0)[j])
        expected = np.moveaxis(expected, 0, dim)
        np.testing.assert_allclose(tnn.index_reduce(x, dim, index, source, reduce).numpy(), expected, 1e-12)
        np.testing.assert_allclose(x.clone().index_reduce_(dim, index, source, reduce).numpy(), expected, 1e-12)
        wide = [1] * len(shape)
        wide[dim] = 9
        full = index.reshape(wide).expand(rows)
        np.testing.assert_allclose(x.scatter_reduce(dim, full, source, reduce).numpy(), expected, 1e-12)


def test_fills():
    for dtype in (tnn.float32, tnn.float64, tnn.int64, tnn.bfloat16):
        for shape in ((3,), (300, 400)):
            x = drawn(dtype, *shape)
            for change, value in ((lambda t: t.fill_(2), 2), (lambda t: t.zero_(), 0), (lambda t: t.fill_(-0.0), 0)):
                assert change(x) is x
                assert (x == value).all()
    x = tnn.ones(4)
    assert tnn.signbit(x.fill_(-0.0)).all()
    assert not tnn.signbit(x.zero_()).any()
    with pytest.raises(RuntimeError, match="without overflow"):
        x.fill_(1e39)


@pytest.mark.parametrize(
    "call", ["mul_()", "abs_(foo=1)", "index_fill_(0)", "scatter_add_(0)", "clamp_(foo=1)", "lerp_()", "tril_(foo=1)"]
)
def test_missing_arguments_are_told_by_the_method(call):
    with pytest.raises(TypeError, match=rf"^{call.partition('(')[0]}\(\) "):
        eval(f"x.{call}", {"x": tnn.ones(3, 3)})


def _changed(y):
    y += 1.5
    return y


RECORDED = {
    "relu": lambda y: y.relu_(),
    "sigmoid": lambda y: y.sigmoid_(),
    "exp": lambda y: y.exp_(),
    "neg": lambda y: y.neg_(),
    "square": lambda y: y.square_(),
    "relu6": lambda y: F.relu6(y, inplace=True),
    "hardtanh": lambda y: F.hardtanh(y, -0.5, 0.75, inplace=True),
    "leaky_relu": lambda y: F.leaky_relu(y, 0.2, inplace=True),
    "leaky_relu, negative slope": lambda y: F.leaky_relu(y, -0.2, inplace=True),
    "elu": lambda y: F.elu(y, 0.7, inplace=True),
    "silu": lambda y: F.silu(y, inplace=True),
    "hardswish": lambda y: F.hardswish(y, inplace=True),
    "mish": lambda y: F.mish(y, inplace=True),
    "selu": lambda y: F.selu(y, inplace=True),
    "add number": _changed,
    "mul number": lambda y: y.mul_(2.5),
    "add": lambda y: y.add_(tnn.ones(y.shape[-1], dtype=y.dtype)),
    "sub": lambda y: y.sub_(tnn.ones(y.shape, dtype=y.dtype)),
    "mul": lambda y: y.mul_(tnn.full(y.shape, 3.0, dtype=y.dtype)),
    "div": lambda y: y.div_(tnn.full(y.shape[-1:], 3.0, dtype=y.dtype)),
    "pow": lambda y: y.pow_(2),
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded(name):
    change = RECORDED[name]
    for shape in [(6,), (3, 5), (37, 1025)]:
        for dtype in (tnn.float32, tnn.float64):
            x = tnn.randn(*shape, dtype=dtype).requires_grad_()
            weight = tnn.randn(*shape, dtype=dtype)
            results = []
            for split in (False, True):  # a view's history goes the general way
                y = x * 2.0
                z = y.view(-1).view(shape) if split else y
                alias = y.detach()
                changed = change(z)
                assert changed is z
                same(alias, changed.detach())
                (first,) = tnn.autograd.grad((changed * weight).sum(), x, create_graph=True)
                second = tnn.autograd.grad(first.square().sum(), x)[0] if first.requires_grad else first
                results.append((changed.detach(), first.detach(), second))
            for a, b in zip(*results, strict=True):
                same(a, b)


def test_recorded_with_gradients_of_the_other_operand():
    a, b = tnn.randn(4, 6).requires_grad_(), tnn.randn(6).requires_grad_()
    x = tnn.randn(4, 6)
    for name in ("add", "sub", "mul", "div"):
        expected = tnn.autograd.grad(getattr(tnn, name)(a * 2.0, b).square().sum(), (a, b))
        y = a * 2.0
        getattr(y, name + "_")(b)
        for g, e in zip(tnn.autograd.grad(y.square().sum(), (a, b)), expected, strict=True):
            np.testing.assert_allclose(g.numpy(), e.numpy(), rtol=1e-5, atol=1e-6)
    y = x.clone().add_(b)
    assert y.requires_grad
    same(tnn.autograd.grad(y.sum(), b)[0], tnn.full((6,), 4.0))


def test_results_that_gradients_need_may_not_change():
    x = tnn.randn(5, 7).requires_grad_()
    turned = x.t()  # the general way
    for operand, change in itertools.product((x, turned), (tnn.relu_, tnn.exp_, tnn.tanh_)):
        y = change(operand * 2.0)
        y.mul_(2.0)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()
    y = (x * 2.0).sigmoid()
    y.relu_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    for operand in (x * 0.1, turned * 0.1):
        y = operand.erfinv_()
        z = y.detach().clone()
        y.mul_(2.0)
        slope = 0.1 * 2.0 / (2.0 / np.pi**0.5 * (-z.square()).exp())
        grad = tnn.autograd.grad(y.sum(), x)[0]
        np.testing.assert_allclose(grad.numpy(), (slope if y.shape == x.shape else slope.t()).numpy(), rtol=1e-5)
    y = x * 2.0
    y.mul_(y.detach())  # shares the memory
    same(y.detach(), (x * 2.0).square().detach())


def test_compiled_steps_with_activations_in_place():
    tnn.manual_seed(3)
    layers = tnn.nn.Sequential(
        tnn.nn.Conv2d(3, 8, 3, padding=1), tnn.nn.BatchNorm2d(8), tnn.nn.ReLU(inplace=True),
        tnn.nn.Conv2d(8, 8, 3, padding=1), tnn.nn.LeakyReLU(0.2, inplace=True),
        tnn.nn.Conv2d(8, 8, 3, padding=1), tnn.nn.SiLU(inplace=True),
    )  # fmt: skip
    parameters = list(layers.parameters())
    x = tnn.randn(4, 3, 20, 20)

    def step(x):
        for p in parameters:
            p.grad = None
        y = layers(x)
        y += x[:, :1]
        y.square().mean().backward()
        return y.detach()

    expected = step(x), [p.grad for p in parameters]
    compiled = tnn.compile(step)
    for _ in range(4):
        same(compiled(x), expected[0])
        for p, g in zip(parameters, expected[1], strict=True):
            same(p.grad, g)
    assert compiled.reason is None
