"""Normalization layers."""

import numpy as np
import pytest
from check_layer import LayerCase, check_layer

import tnn
from tnn import nn


def _eval(make):
    return lambda: make().eval()


CASES = [
    LayerCase("BatchNorm1d", lambda: nn.BatchNorm1d(3), ((4, 3),), empty=False),
    LayerCase("BatchNorm1d-3d", lambda: nn.BatchNorm1d(2, affine=False), ((3, 2, 3),), double=True, empty=False),
    LayerCase("BatchNorm2d", lambda: nn.BatchNorm2d(2, momentum=None), ((2, 2, 2, 3),), empty=False),
    LayerCase("BatchNorm3d-eval", _eval(lambda: nn.BatchNorm3d(2)), ((2, 2, 1, 2, 2),)),
    LayerCase("BatchNorm2d-untracked", lambda: nn.BatchNorm2d(2, track_running_stats=False), ((2, 2, 2, 2),)),
    LayerCase("SyncBatchNorm", _eval(lambda: nn.SyncBatchNorm(3)), ((4, 3),)),
    LayerCase("InstanceNorm1d", lambda: nn.InstanceNorm1d(2, affine=True), ((2, 2, 3),)),
    LayerCase("InstanceNorm2d", lambda: nn.InstanceNorm2d(2), ((2, 2, 2, 3),), double=True),
    LayerCase("InstanceNorm3d", _eval(lambda: nn.InstanceNorm3d(2, track_running_stats=True)), ((2, 2, 1, 2, 2),)),
    LayerCase("LayerNorm", lambda: nn.LayerNorm(4), ((3, 4),), double=True),
    LayerCase("LayerNorm-2d", lambda: nn.LayerNorm((2, 3), bias=False), ((2, 2, 3),)),
    LayerCase("RMSNorm", lambda: nn.RMSNorm(4), ((3, 4),), double=True),
    LayerCase("GroupNorm", lambda: nn.GroupNorm(2, 4), ((2, 4, 3),)),
    LayerCase("GroupNorm-2d", lambda: nn.GroupNorm(1, 4, affine=False), ((2, 4),)),
    LayerCase("LocalResponseNorm", lambda: nn.LocalResponseNorm(3, alpha=0.5), ((2, 4, 3),)),
    LayerCase("CrossMapLRN2d", lambda: nn.CrossMapLRN2d(3), ((2, 4, 2, 2),), differentiable=False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_layer(case):
    check_layer(case)


def test_training_and_evaluation():
    layer = nn.BatchNorm1d(3, momentum=None)
    batches = [np.random.RandomState(i).randn(5, 3).astype(np.float32) for i in range(3)]
    for b in batches:
        layer(tnn.tensor(b))
    assert layer.num_batches_tracked.item() == 3
    np.testing.assert_allclose(
        layer.running_mean.numpy(), np.mean([b.mean(0) for b in batches], 0), rtol=1e-4, atol=1e-6
    )
    before = layer.running_mean.clone()
    layer.eval()(tnn.tensor(batches[0]))
    assert layer.running_mean.equal(before) and layer.num_batches_tracked.item() == 3


@pytest.mark.parametrize("lazy, plain, shape", [
    (nn.LazyBatchNorm1d, nn.BatchNorm1d, (4, 3)),
    (nn.LazyBatchNorm2d, nn.BatchNorm2d, (4, 3, 2, 2)),
    (nn.LazyBatchNorm3d, nn.BatchNorm3d, (4, 3, 2, 2, 2)),
    (nn.LazyInstanceNorm1d, nn.InstanceNorm1d, (4, 3, 2)),
    (nn.LazyInstanceNorm2d, nn.InstanceNorm2d, (4, 3, 2, 2)),
    (nn.LazyInstanceNorm3d, nn.InstanceNorm3d, (4, 3, 2, 2, 2)),
])  # fmt: skip
def test_lazy_layers_become_ordinary_ones(lazy, plain, shape):
    layer = lazy()
    assert layer.num_features == 0 and layer.has_uninitialized_params()
    x = tnn.randn(*shape)
    y = layer(x)
    assert type(layer) is plain and layer.num_features == 3 and layer.weight.tolist() == [1, 1, 1]
    same = plain(3, affine=True, track_running_stats=True)
    assert y.equal(same(x)) and layer.state_dict().keys() == same.state_dict().keys()


def test_convert_sync_batchnorm():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    twin = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert type(twin[1]) is nn.SyncBatchNorm and twin[1].weight is model[1].weight
    x = tnn.randn(4, 2)
    assert twin(x).equal(model(x))


def test_old_checkpoints_without_a_count_load():
    layer = nn.BatchNorm1d(2)
    state = {k: v for k, v in layer.state_dict().items() if k != "num_batches_tracked"}
    layer.load_state_dict(state)
    assert layer.num_batches_tracked.item() == 0


def test_unbatched_instance_norm():
    x = tnn.randn(3, 5)
    y = nn.InstanceNorm1d(3)(x)
    assert y.shape == (3, 5) and y.equal(nn.InstanceNorm1d(3)(x.unsqueeze(0))[0])


def test_bad_input():
    for error, call in (
        (ValueError, lambda: nn.BatchNorm1d(3)(tnn.zeros(3))),
        (ValueError, lambda: nn.BatchNorm2d(3)(tnn.zeros(2, 3))),
        (ValueError, lambda: nn.BatchNorm3d(3)(tnn.zeros(2, 3))),
        (ValueError, lambda: nn.BatchNorm1d(3)(tnn.zeros(1, 3))),
        (RuntimeError, lambda: nn.BatchNorm1d(3)(tnn.zeros(2, 4))),
        (ValueError, lambda: nn.InstanceNorm1d(3, affine=True)(tnn.zeros(2, 4, 5))),
        (ValueError, lambda: nn.GroupNorm(2, 3)),
        (RuntimeError, lambda: nn.LayerNorm(3)(tnn.zeros(2, 4))),
        (ValueError, lambda: nn.CrossMapLRN2d(3)(tnn.zeros(2, 4))),
    ):
        with pytest.raises(error):
            call()


def test_repr():
    assert repr(nn.BatchNorm1d(3)) == (
        "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)"
    )
    assert repr(nn.GroupNorm(2, 4)) == "GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)"
    assert repr(nn.LayerNorm(3)) == "LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=True)"
    assert repr(nn.RMSNorm(3)) == "RMSNorm((3,), eps=None, elementwise_affine=True)"


def test_cross_map_windows():
    x = tnn.ones(1, 6, 1, 1, dtype=tnn.float64)
    layer = nn.CrossMapLRN2d(3, alpha=3.0, beta=1.0, k=1)
    # channels in the windows: two at the left edge, three, then three and the first one, which stays
    np.testing.assert_allclose((1 / layer(x)).flatten().numpy() - 1, [2, 3, 4, 4, 4, 3])


@pytest.mark.parametrize("shape", [(3, 16, 5, 7), (6, 9, 11), (2, 20, 3, 4, 5)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_of_channels_side_by_side(shape, training):
    g = np.random.default_rng(0)
    values, seed = g.standard_normal(shape) + 3, g.standard_normal(shape)
    found = []
    for turn in (False, True):
        def laid(a, turn=turn):
            return tnn.tensor(np.moveaxis(a, 1, -1).copy()).movedim(-1, 1) if turn else tnn.tensor(a)

        layer = {3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[len(shape)](shape[1]).double().train(training)
        with tnn.no_grad():
            layer.weight.copy_(tnn.tensor(np.linspace(1, 2, shape[1])))
            layer.running_mean.fill_(2.0)
        x = laid(values).requires_grad_()
        y = layer(x)
        y.backward(laid(seed))
        assert y.is_contiguous() is not turn
        results = x.grad, layer.weight.grad, layer.bias.grad, layer.running_mean, layer.running_var
        found.append([y.detach().numpy(), *(t.numpy() for t in results)])
    for contiguous, turned in zip(*found, strict=True):
        np.testing.assert_allclose(turned, contiguous, rtol=1e-10, atol=1e-12)
