"""Averages of weights."""

import numpy as np
import pytest

import tnn
from tnn.optim import swa_utils


class Model(tnn.nn.Module):
    def __init__(self, value):
        super().__init__()
        self.w = tnn.nn.Parameter(tnn.tensor(np.full(3, value)))
        self.f = tnn.nn.Parameter(tnn.tensor([value], dtype=tnn.float32))
        self.register_buffer("b", tnn.tensor([value * 10]))

    def forward(self, x):
        return x + float(self.w.detach().numpy()[0])


def averaged(values, **options):
    average = swa_utils.AveragedModel(Model(0.0), **options)
    for v in values:
        average.update_parameters(Model(v))
    return average


def test_equal_average_is_the_default():
    average = averaged([1.0, 2.0, 6.0])
    np.testing.assert_allclose(average.module.w.detach().numpy(), [3.0] * 3, rtol=1e-12)
    np.testing.assert_allclose(average.module.f.item(), 3.0, rtol=1e-6)
    assert average.module.b.item() == 60.0 and average.n_averaged.item() == 3
    assert average(1.0) == pytest.approx(4.0)
    assert "n_averaged" in average.state_dict()


def test_exponential_average():
    for options in (
        {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.75)},
        {"avg_fn": swa_utils.get_ema_avg_fn(0.75)},
    ):
        average = averaged([1.0, 2.0, 6.0], **options)
        np.testing.assert_allclose(average.module.w.detach().numpy(), [2.4375] * 3, rtol=1e-12)
    average = averaged([1.0, 2.0, 6.0], avg_fn=swa_utils.get_swa_avg_fn())
    np.testing.assert_allclose(average.module.w.detach().numpy(), [3.0] * 3, rtol=1e-12)


def test_buffers_can_be_averaged():
    average = averaged([1.0, 3.0], use_buffers=True, multi_avg_fn=swa_utils.get_swa_multi_avg_fn())
    assert average.module.b.item() == 20.0 and average.module.w.tolist() == [2.0] * 3


def test_integers_average_too():
    ints = tnn.tensor([10, 20])
    swa_utils.get_ema_multi_avg_fn(0.5)([ints], [tnn.tensor([20, 40])], 1)
    assert ints.tolist() == [15, 30]


def test_options_out_of_range():
    for make in (swa_utils.get_ema_avg_fn, swa_utils.get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match="Invalid decay value 1.5"):
            make(1.5)
    with pytest.raises(AssertionError, match="Only one of"):
        swa_utils.AveragedModel(Model(0.0), avg_fn=max, multi_avg_fn=max)


def test_update_bn():
    bn = tnn.nn.BatchNorm1d(2)
    model = tnn.nn.Sequential(bn)
    model.eval()
    bn.running_mean.fill_(9.0)
    x = tnn.tensor(np.arange(24.0, dtype=np.float32).reshape(3, 4, 2))
    swa_utils.update_bn([(x[i], None) for i in range(3)], model)
    np.testing.assert_allclose(bn.running_mean.numpy(), x.numpy().mean(1).mean(0), rtol=1e-6)
    np.testing.assert_allclose(bn.running_var.numpy(), x.numpy().var(1, ddof=1).mean(0), rtol=1e-5)
    assert bn.momentum == 0.1 and not bn.training
    assert swa_utils.update_bn([], tnn.nn.Sequential()) is None
