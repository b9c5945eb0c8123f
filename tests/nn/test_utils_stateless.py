"""Functional calls, skip_init, memory formats and fusion."""

import numpy as np
import pytest

import tnn
from tnn import nn
from tnn.nn import utils
from tnn.nn.utils.stateless import _functional_call, functional_call


class Scale(nn.Module):
    def __init__(self, factor=2.0, device=None):
        super().__init__()
        self.factor = nn.Parameter(tnn.tensor([factor]))
        self.register_buffer("calls", tnn.zeros(1))

    def forward(self, x, bias=0.0):
        self.calls = self.calls + 1
        return self.factor * x + bias


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Scale()
        self.b = Scale()
        self.b.factor = self.a.factor

    def forward(self, x):
        return self.b(self.a(x))


def call(*args, **kwargs):
    with pytest.warns(FutureWarning, match="deprecated"):
        return functional_call(*args, **kwargs)


def test_the_module_is_as_before_afterwards():
    m, x = Scale(), tnn.ones(1)
    given = {"factor": tnn.full((1,), 5.0, requires_grad=True)}
    own = m.factor
    y = call(m, given, x)
    y.backward()
    assert y.item() == 5 and m.factor is own and own.grad is None and given["factor"].grad.item() == 1
    assert call(m, given, (x,), {"bias": 1.0}).item() == 6 and call(m, {}, x).item() == 2
    buffers = {"calls": tnn.full((1,), 10.0)}
    before = m.calls
    call(m, buffers, x)
    assert buffers["calls"].item() == 11 and m.calls is before


def test_tied_weights():
    m, x = Tied(), tnn.ones(1)
    new = tnn.full((1,), 3.0)
    assert _functional_call(m, {"a.factor": new}, x).item() == 9
    assert _functional_call(m, {"a.factor": new}, x, tie_weights=False).item() == 6
    with pytest.raises(ValueError, match="tied"):
        _functional_call(m, {"a.factor": new, "b.factor": tnn.ones(1)}, x)
    assert _functional_call(m, {"a.factor": new, "b.factor": new}, x).item() == 9


def test_names_that_do_not_fit():
    m, x = Scale(), tnn.ones(1)
    with pytest.raises(RuntimeError, match=r"Unexpected key\(s\): 'nothing'(.|\n)*Missing key\(s\): 'calls', 'factor'"):
        _functional_call(m, {"nothing": x}, x, strict=True)
    assert _functional_call(m, {"nothing": x}, x).item() == 2 and not hasattr(m, "nothing")
    with pytest.raises(AttributeError):
        _functional_call(m, {"no.thing": x}, x)
    with pytest.raises(TypeError, match="training"):
        _functional_call(m, {"training": x}, x)
    with pytest.raises(TypeError):
        _functional_call(m, {"factor": 3}, x)
    own = m.factor
    with pytest.raises(TypeError):
        _functional_call(m, {"factor": x}, (x, 1, 2, 3))
    assert m.factor is own, "an error in forward does not leave the module changed"


def test_skip_init_takes_no_random_numbers():
    tnn.manual_seed(0)
    want = tnn.rand(1).item()
    tnn.manual_seed(0)
    assert utils.skip_init(tnn.nn.Linear, 2, 3).weight.shape == (3, 2) and tnn.rand(1).item() == want


def test_skip_init():
    m = utils.skip_init(Scale, 3.0)
    assert m.factor.shape == (1,) and m.factor.requires_grad
    with pytest.raises(RuntimeError, match="Expected a Module"):
        utils.skip_init(int)
    with pytest.raises(RuntimeError, match="'device'"):
        utils.skip_init(Tied)
    with pytest.raises(RuntimeError):
        utils.skip_init(Scale, device="cuda")


def test_memory_formats_change_nothing():
    m = Scale()
    assert utils.convert_conv2d_weight_memory_format(m, None) is m
    assert utils.convert_conv3d_weight_memory_format(m, None) is m


rng = np.random.default_rng(0)


def tensor(*shape):
    return tnn.from_numpy(rng.standard_normal(shape))


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_fused_weights(with_bias, affine):
    w, b = nn.Parameter(tensor(3, 4)), nn.Parameter(tensor(3)) if with_bias else None
    mean, var = tensor(3), tensor(3).abs()
    bn_w, bn_b = (tensor(3), tensor(3)) if affine else (None, None)
    x = tensor(4).numpy()
    weight, bias = utils.fuse_linear_bn_weights(w, b, mean, var, 1e-5, bn_w, bn_b)
    y = w.detach().numpy() @ x + (b.detach().numpy() if with_bias else 0)
    y = (y - mean.numpy()) / np.sqrt(var.numpy() + 1e-5)
    if affine:
        y = y * bn_w.numpy() + bn_b.numpy()
    np.testing.assert_allclose(weight.detach().numpy() @ x + bias.detach().numpy(), y, rtol=1e-10)
    assert weight.requires_grad and bias.requires_grad == with_bias and isinstance(bias, nn.Parameter)


def test_fused_convolution_weights():
    w, mean, var = tensor(2, 3, 1, 1), tensor(2), tensor(2).abs()
    weight, bias = utils.fuse_conv_bn_weights(w, None, mean, var, 0.0, None, None)
    np.testing.assert_allclose(weight.detach().numpy(), w.numpy() / np.sqrt(var.numpy())[:, None, None, None])
    np.testing.assert_allclose(bias.detach().numpy(), -mean.numpy() / np.sqrt(var.numpy()))
    weight, _ = utils.fuse_conv_bn_weights(w.transpose(0, 1), None, mean, var, 0.0, None, None, transpose=True)
    np.testing.assert_allclose(weight.detach().numpy()[0, :, 0, 0], w.numpy()[:, 0, 0, 0] / np.sqrt(var.numpy()))


def test_func_takes_several_dicts():
    m, x = Scale(), tnn.ones(1)
    parts = ({"factor": tnn.full((1,), 4.0)}, {"calls": tnn.zeros(1)})
    assert tnn.func.functional_call(m, parts, x, strict=True).item() == 4
    assert tnn.func.functional_call(m, parts[0], x).item() == 4
    with pytest.raises(ValueError, match="factor appeared"):
        tnn.func.functional_call(m, (parts[0], parts[0]), x)
    for bad in (3, [3]):
        with pytest.raises(ValueError, match="dictionaries"):
            tnn.func.functional_call(m, bad, x)


def test_fused_layers():
    linear, bn = nn.Linear(4, 3).double(), nn.BatchNorm1d(3).double()
    with tnn.no_grad():
        for t in (bn.weight, bn.bias, bn.running_mean):
            t.copy_(tensor(3))
        bn.running_var.copy_(tensor(3).abs())
    x = tensor(5, 4)
    with pytest.raises(AssertionError, match="eval"):
        utils.fuse_linear_bn_eval(linear, bn)
    linear.eval(), bn.eval()
    fused = utils.fuse_linear_bn_eval(linear, bn)
    assert type(fused) is nn.Linear and fused.weight is not linear.weight
    np.testing.assert_allclose(fused(x).detach().numpy(), bn(linear(x)).detach().numpy(), rtol=1e-9)
    with pytest.raises(AssertionError, match="num_features"):
        utils.fuse_linear_bn_eval(linear, nn.BatchNorm1d(2).eval())
    with pytest.raises(AssertionError, match="running_mean"):
        utils.fuse_linear_bn_eval(linear, nn.BatchNorm1d(3, track_running_stats=False).eval())
    conv, bn = nn.Conv2d(2, 3, 2).double().eval(), nn.BatchNorm2d(3).double().eval()
    with tnn.no_grad():
        bn.running_mean.copy_(tensor(3))
        bn.running_var.copy_(tensor(3).abs())
    x = tensor(1, 2, 3, 3)
    np.testing.assert_allclose(
        utils.fuse_conv_bn_eval(conv, bn)(x).detach().numpy(), bn(conv(x)).detach().numpy(), rtol=1e-9
    )
