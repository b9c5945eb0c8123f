"""The tape and its engine: accumulation, freeing, hooks, higher orders, in-place rules."""

import gc
import threading
import weakref

import numpy as np
import pytest

import tnn
from tnn.autograd import grad, gradcheck, gradgradcheck


def leaf(*values):
    return tnn.tensor(values, dtype=tnn.float64, requires_grad=True)


def test_gradients_accumulate_on_leaves():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0] and x.is_leaf and x.grad_fn is None


def test_a_tensor_used_twice_gets_both_gradients():
    x = leaf(2.0)
    y = x * x
    z = y + y * x
    z.backward()
    assert x.grad.item() == pytest.approx(2 * 2 + 3 * 4)


def test_two_leaves_never_share_a_gradient_array():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (a + b).backward(tnn.ones(2, dtype=tnn.float64))
    a.grad.zero_()
    assert b.grad.tolist() == [1.0, 1.0]
    seed = tnn.ones(2, dtype=tnn.float64)
    c = leaf(1.0, 1.0)
    c.backward(seed)
    c.grad.mul_(5)
    assert seed.tolist() == [1.0, 1.0]
    d, e = leaf(1.0, 2.0), leaf(1.0, 2.0)
    (d.reshape(2, 1) + e.reshape(2, 1)).backward(tnn.ones(2, 1, dtype=tnn.float64))
    d.grad.zero_()
    assert e.grad.tolist() == [1.0, 1.0]


def test_a_long_chain_needs_no_recursion():
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1.0
    del y


def test_the_graph_is_freed_unless_retained():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4.0, 8.0]
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_saved_arrays_are_released_after_backward():
    x = tnn.ones(1000, requires_grad=True)
    y = x.exp()
    held = weakref.ref(y)
    z = (y * y).sum()
    z.backward()
    del y
    gc.disable()
    try:
        del z
        assert held() is None
    finally:
        gc.enable()


def test_no_reference_cycle_keeps_an_output_alive():
    x = tnn.ones(10, requires_grad=True)
    gc.disable()
    try:
        for op in (tnn.exp, tnn.sigmoid, tnn.tanh, lambda t: t.softmax(0), lambda t: t * 2):
            y = op(x)
            ref = weakref.ref(y)
            del y
            assert ref() is None
    finally:
        gc.enable()


def test_backward_needs_a_scalar_or_a_gradient():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="scalar"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match="shape"):
        (x * 2).backward(tnn.ones(3, dtype=tnn.float64))
    with pytest.raises(RuntimeError, match="does not require grad"):
        tnn.ones(1).sum().backward()


def test_grad_of_leaves_and_of_intermediates():
    x = leaf(3.0)
    y = x * x
    z = y * y
    gy, gx = grad(z, (y, x))
    assert gy.item() == 18.0 and gx.item() == 108.0 and x.grad is None
    other = leaf(1.0)
    with pytest.raises(RuntimeError, match="not have been used"):
        grad(x * 2, other)
    assert grad(x * 2, other, allow_unused=True) == (None,)
    assert grad(x * 2, other, materialize_grads=True)[0].item() == 0.0


def test_backward_into_chosen_inputs():
    a, b = leaf(2.0), leaf(3.0)
    (a * b).backward(inputs=[a])
    assert a.grad.item() == 3.0 and b.grad is None


def test_higher_derivatives():
    x = leaf(0.7)
    y = x.sin()
    for want in (np.cos(0.7), -np.sin(0.7), -np.cos(0.7)):
        (y,) = grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(want)
    x = leaf(1.0, -2.0, 3.0)
    assert gradgradcheck(lambda x: (x * x * x).sum(), (x,))


def test_gradcheck_finds_a_wrong_gradient():
    class Wrong(tnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    with pytest.raises(tnn.autograd.GradcheckError):
        gradcheck(Wrong.apply, (leaf(1.0),))
    assert not gradcheck(Wrong.apply, (leaf(1.0),), raise_exception=False)
    with pytest.raises(ValueError):
        gradcheck(lambda x: x, (tnn.ones(1),))


def test_grad_modes():
    x = leaf(1.0)
    with tnn.no_grad():
        assert not (x * 2).requires_grad
        with tnn.enable_grad():
            assert (x * 2).requires_grad
    with tnn.inference_mode():
        assert not (x * 2).requires_grad and tnn.is_inference_mode_enabled()
    with tnn.set_grad_enabled(False):
        assert not tnn.is_grad_enabled()
    assert tnn.is_grad_enabled()

    @tnn.no_grad()
    def double(t):
        return t * 2

    @tnn.no_grad()
    def several(t):
        yield t * 2
        yield t * 3

    assert not double(x).requires_grad
    assert not any(t.requires_grad for t in several(x)) and tnn.is_grad_enabled()
    seen = []
    with tnn.no_grad():
        thread = threading.Thread(target=lambda: seen.append(tnn.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_tensor_hooks_change_gradients_and_go_away():
    x = leaf(1.0)
    y = x * 2
    handle = y.register_hook(lambda g: g * 10)
    first = x.register_hook(lambda g: g + 1)
    y.backward(retain_graph=True)
    assert x.grad.item() == 21.0
    handle.remove()
    first.remove()
    x.grad = None
    y.backward()
    assert x.grad.item() == 2.0
    with pytest.raises(RuntimeError):
        tnn.ones(1).register_hook(print)


def test_retain_grad_and_post_accumulate_hooks():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    seen = []
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.item()))
    (y * y).backward()
    assert y.grad.item() == 12.0 and y.retains_grad and seen == [36.0]


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y.relu_(),
        lambda y: y.mul_(3.0),
        lambda y: y.add_(tnn.ones(3)),
        lambda y: y.clamp_(-0.1, 0.1),
        lambda y: y.cumsum_(0),
        lambda y: y[0].mul_(3.0),
        lambda y: y.__setitem__(0, 5.0),
        lambda y: y.copy_(tnn.ones(2, 3)),
        lambda y: y.view(-1)[1:].exp_(),
    ],
)
def test_a_kept_gradient_is_that_of_the_tensor_changed_in_place(change):
    x, weight = tnn.randn(2, 3).requires_grad_(), tnn.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    y = x * 0.5
    y.retain_grad()
    change(y)
    assert y.retains_grad
    (y * weight).sum().backward()
    assert y.grad.tolist() == weight.tolist()
    base = x * 0.5
    view = base[:, 1:]
    view.retain_grad()
    base.mul_(3.0)
    (view * weight[:, 1:]).sum().backward()
    assert view.grad.tolist() == weight[:, 1:].tolist()
    y = x * 0.5
    y.retain_grad()
    y.t_()
    (y * weight.t()).sum().backward()
    assert y.grad.tolist() == weight.t().tolist()


def test_node_hooks_and_graph_navigation():
    x = leaf(2.0)
    y = x * 3
    seen = []
    y.grad_fn.register_prehook(lambda g: seen.append("pre"))
    y.grad_fn.register_hook(lambda gi, go: seen.append("post"))
    y.backward()
    assert seen == ["pre", "post"]
    assert y.grad_fn.name() == "MulBackward0"
    assert y.grad_fn.next_functions[0][0].variable is x


def test_changing_a_saved_tensor_raises():
    x = leaf(1.0, 2.0)
    w = leaf(3.0, 4.0)
    y = x * 1
    z = y * w
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_leaves_may_not_change_in_place():
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match="leaf"):
        x.add_(1)
    with pytest.raises(RuntimeError, match="view of a leaf"):
        x[0:1].mul_(2)
    with tnn.no_grad():
        x.add_(1)
    assert x.item() == 2.0
    with pytest.raises(RuntimeError, match="single memory location"):
        tnn.zeros(1).expand(3).add_(1)


def test_in_place_operations_join_the_history():
    x = leaf(1.0, 2.0, 3.0)
    y = x * 2
    y.mul_(y.detach().clone())
    y[1:] = x[:2] * 5
    y.sum().backward()
    assert x.grad.tolist() == [2.0 * 2 + 5, 5.0, 0.0]


def test_views_follow_their_base_and_the_base_its_views():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    base = x * 1
    view = base.view(2, 2)[0]
    view.mul_(10)
    assert base.tolist() == [10.0, 20.0, 3.0, 4.0]
    base.sum().backward()
    assert x.grad.tolist() == [10.0, 10.0, 1.0, 1.0]

    x.grad = None
    base = x * 1
    view = base[:2]
    base.mul_(3)
    view.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0, 0.0, 0.0]


def test_a_plain_buffer_filled_from_a_recorded_tensor():
    x = leaf(1.0, 2.0)
    buffer = tnn.zeros(3, dtype=tnn.float64)
    early = buffer[0:2]
    buffer[:2] = x * 2
    assert buffer.requires_grad and early.requires_grad
    (buffer.sum() + early.sum()).backward()
    assert x.grad.tolist() == [4.0, 4.0]


def test_detach_shares_memory_and_versions():
    x = leaf(1.0, 2.0)
    y = x * 1
    z = (y * y).sum()
    y.detach().add_(1)
    assert y.tolist() == [2.0, 3.0]
    with pytest.raises(RuntimeError, match="modified"):
        z.backward()
    with pytest.raises(RuntimeError):
        y.requires_grad = False


class Cube(tnn.autograd.Function):
    """y = x ** 3, with a counter of what backward was asked."""

    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return scale * x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        assert ctx.needs_input_grad == (True, False)
        return 3 * ctx.scale * x * x * g, None


def test_functions_of_the_user():
    x = leaf(1.0, 2.0)
    assert gradcheck(lambda x: Cube.apply(x, 2.0), (x,))
    assert gradgradcheck(lambda x: Cube.apply(x, 2.0), (x,))
    y = Cube.apply(x, 1.0)
    assert y.grad_fn.name() == "CubeBackward"
    with pytest.raises(RuntimeError):
        Cube()


def test_function_with_setup_context_and_two_outputs():
    class Both(tnn.autograd.Function):
        @staticmethod
        def forward(x):
            return x * 2, x.argmax()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.mark_non_differentiable(output[1])
            ctx.set_materialize_grads(False)

        @staticmethod
        def backward(ctx, g, unused):
            assert unused is None
            return g * 2

    x = leaf(1.0, 5.0)
    y, at = Both.apply(x)
    assert at.item() == 1 and not at.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_once_differentiable_refuses_a_second_time():
    class Once(tnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @tnn.autograd.once_differentiable
        def backward(ctx, g):
            return g * 2

    x = leaf(1.0)
    (g,) = grad(Once.apply(x), x, tnn.ones(1, dtype=tnn.float64), create_graph=True)
    assert g.item() == 2.0


def test_backward_from_several_threads():
    results = {}

    def work(k):
        x = tnn.full((100,), float(k), requires_grad=True)
        for _ in range(20):
            x.grad = None
            (x * x).sum().backward()
        results[k] = x.grad.tolist()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(results[k] == [2.0 * k] * 100 for k in range(4))


@pytest.mark.parametrize("shape", [(3,), (200, 200)])
def test_a_gradient_that_nobody_else_holds_is_taken_over(shape):
    made = []

    class Twice(tnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            out = g * 2
            made.append(out.data_ptr())
            return out

    leaf = tnn.ones(shape, requires_grad=True)
    for _ in range(2):
        leaf.grad = None
        Twice.apply(leaf).sum().backward()
    assert leaf.grad.data_ptr() == made[-1]
    assert leaf.grad.unique().tolist() == [2.0]


@pytest.mark.parametrize("shape", [(3,), (200, 200)])
def test_a_gradient_that_others_hold_is_copied(shape):
    a, b = tnn.ones(shape, requires_grad=True), tnn.ones(shape, requires_grad=True)
    (a + b).backward(tnn.ones(shape))
    a.grad.zero_()
    assert b.grad.unique().tolist() == [1.0]


def test_names_of_nodes():
    # as PyTorch 2.13 prints them
    from tnn.nn import functional as F

    x, v, s = (tnn.rand(*shape, requires_grad=True) for shape in ((1, 2, 4, 4), (3,), (1, 2, 4)))
    names = {
        "RsubBackward1": 1 - v, "MulBackward0": 2 / v, "PowBackward2": 2**v, "PowBackward0": v**2,
        "RemainderBackward0": v % 2, "RemainderBackward1": v % v.detach(), "FmodBackward0": tnn.fmod(v, 2),
        "LerpBackward0": tnn.lerp(v, v, 0.5), "LerpBackward1": tnn.lerp(v, v, v), "SqueezeBackward1": x.squeeze(0),
        "SqueezeBackward2": x.squeeze((0, 1)), "MaskedFillBackward0": v.masked_fill(v > 2, 0.0),
        "MaskedFillBackward1": v.masked_fill(v > 2, tnn.tensor(0.0)), "AvgPool2DBackward0": F.avg_pool2d(x, 2),
        "MaxPool2DWithIndicesBackward0": F.max_pool2d(x, 2), "MeanBackward1": F.adaptive_avg_pool2d(x, 1),
        "AdaptiveAvgPool2DBackward0": F.adaptive_avg_pool2d(x, 2), "MeanBackward0": F.l1_loss(v, v.detach()),
        "AdaptiveMaxPool2DBackward0": F.adaptive_max_pool2d(x, 2), "AbsBackward0": F.l1_loss(v, v, reduction="none"),
        "FractionalMaxPool2DBackward0": F.fractional_max_pool2d(x, 2, output_size=2),
        "MaxUnpool2DBackward0": F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2),
        "UpsampleNearest2DBackward0": F.interpolate(x, scale_factor=2),
        "ViewBackward0": F.linear(s, tnn.ones(2, 4), v[:2]),
        "UpsampleBilinear2DBackward0": F.interpolate(x, scale_factor=2, mode="bilinear"),
        "UpsampleNearestExact1DBackward0": F.interpolate(s, scale_factor=2, mode="nearest-exact"),
        "UnsafeViewBackward0": F.linear(s, tnn.ones(2, 4)), "MedianBackward1": v.median(0).values,
        "SumBackward1": F.cosine_similarity(s, s),
        "PixelShuffleBackward0": F.pixel_shuffle(x.reshape(1, 8, 2, 2), 2),
        "PixelUnshuffleBackward0": F.pixel_unshuffle(x, 2), "ChannelShuffleBackward0": F.channel_shuffle(x, 2),
        "MultiMarginLossBackward0": F.multi_margin_loss(s[0], tnn.tensor([0, 1])),
    }  # fmt: skip
    assert {name: y.grad_fn.name() for name, y in names.items()} == {name: name for name in names}
    assert F.max_pool1d(s, 2).grad_fn.name() == F.avg_pool1d(s, 2).grad_fn.name() == "SqueezeBackward1"
    assert F.dropout(v).grad_fn.name() == "MulBackward0" and (v - 1).grad_fn.name() == "SubBackward0"


def test_gradient_lies_in_memory_as_its_leaf_does():
    for leaf in (tnn.randn(4, 5).t(), tnn.randn(2, 3, 4, 5).movedim(-1, 1), tnn.randn(60, 70).t()):
        x = leaf.detach().requires_grad_(True)
        (x * 2).backward(tnn.ones(x.shape))
        assert x.grad.stride() == x.stride() and x.grad.eq(2).all()
        x.grad = None
        (x.contiguous() * 2).sum().backward()
        assert x.grad.stride() == x.stride() and x.grad.eq(2).all()
    x = tnn.randn(4, 1).expand(4, 5).detach().requires_grad_(True)
    (x * 2).sum().backward()
    assert x.grad.stride() == (5, 1)
