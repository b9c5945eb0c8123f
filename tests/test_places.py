"""Names under the places where programs for PyTorch import them from, and the small modules behind some of them."""

import importlib
import math
import os

import numpy as np
import pytest

import tnn
from tnn import testing

PLACES = """
nn.modules.rnn: RNNBase LSTM GRUCell
nn.modules.sparse: Embedding EmbeddingBag
nn.modules.upsampling: Upsample
nn.modules.instancenorm: _InstanceNorm InstanceNorm2d
nn.modules.pixelshuffle: PixelShuffle
nn.modules.channelshuffle: ChannelShuffle
nn.modules.activation: MultiheadAttention Softmax
nn.modules.conv: _ConvNd _ConvTransposeNd ConvTranspose2d
nn.modules.pooling: _AdaptiveAvgPoolNd AdaptiveMaxPool1d
nn.modules.loss: _WeightedLoss CrossEntropyLoss TripletMarginLoss
nn.modules.transformer: _get_clones _get_activation_fn
nn.modules.module: _addindent _IncompatibleKeys
nn.common_types: _size_2_t _size_any_t
nn.init: _no_grad_trunc_normal_ _no_grad_uniform_
optim.optimizer: ParamsT required
utils.data._utils.collate: default_collate default_convert
utils.hooks: RemovableHandle
utils.dlpack: to_dlpack from_dlpack
utils.model_zoo: load_url
hub: load_state_dict_from_url get_dir
autograd.function: InplaceFunction
compiler: disable is_compiling
overrides: has_torch_function is_tensor_like
multiprocessing: Process Queue get_context set_start_method spawn
jit: ignore unused export Final
cpu.amp: autocast GradScaler
""".strip().splitlines()


@pytest.mark.parametrize("line", PLACES)
def test_place(line):
    place, names = line.split(": ")
    module = importlib.import_module(f"tnn.{place}")
    for name in names.split():
        assert getattr(module, name) is not None
        exec(f"from tnn.{place} import {name}", {})


def test_places_hold_the_same_classes():
    from tnn.nn.modules.rnn import LSTM
    from tnn.nn.modules.sparse import Embedding

    assert LSTM is tnn.nn.LSTM and Embedding is tnn.nn.Embedding


def test_small_functions():
    from tnn._utils import _flatten_dense_tensors, _unflatten_dense_tensors
    from tnn.nn.modules.utils import _list_with_default, _reverse_repeat_tuple, consume_prefix_in_state_dict_if_present

    parts = [tnn.ones(2, 2), tnn.zeros(3)]
    flat = _flatten_dense_tensors(parts)
    assert flat.tolist() == [1.0] * 4 + [0.0] * 3
    assert [p.shape for p in _unflatten_dense_tensors(flat, parts)] == [(2, 2), (3,)]
    assert _reverse_repeat_tuple((1, 2), 2) == (2, 2, 1, 1)
    assert _list_with_default((None, 3), (5, 6, 7)) == [6, 3]
    state = {"module.a": 1, "b": 2}
    consume_prefix_in_state_dict_if_present(state, "module.")
    assert state == {"a": 1, "b": 2}
    assert tnn.overrides.is_tensor_like(tnn.ones(1)) and not tnn.overrides.has_torch_function((tnn.ones(1),))
    x = tnn.arange(3)
    y = tnn.utils.dlpack.from_dlpack(tnn.utils.dlpack.to_dlpack(x))
    assert y.tolist() == [0, 1, 2]
    x[0] = 5
    assert tnn.utils.dlpack.from_dlpack(x).tolist() == [5, 1, 2]


def test_marks_for_torchscript_change_nothing():
    @tnn.jit.script
    def double(x):
        return x * 2 if not tnn.jit.is_scripting() else x

    class Model(tnn.nn.Module):
        @tnn.jit.ignore
        def one(self):
            return 1

        @tnn.jit.unused
        def two(self):
            return 2

        @tnn.jit.ignore(drop=True)
        def three(self):
            return 3

    model = tnn.jit.script(Model())
    assert double(tnn.ones(1)).item() == 2.0 and (model.one(), model.two(), model.three()) == (1, 2, 3)
    assert tnn.compiler.disable(double) is double and tnn.compiler.disable()(double) is double


def test_trees():
    from tnn.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_map_only, tree_unflatten

    tree = {"a": [1, 2], "b": (3.0, "x")}
    leaves, spec = tree_flatten(tree)
    assert leaves == tree_leaves(tree) == [1, 2, 3.0, "x"]
    assert tree_unflatten([5, 6, 7, 8], spec) == {"a": [5, 6], "b": (7, 8)}
    assert tree_map(str, tree) == {"a": ["1", "2"], "b": ("3.0", "x")}
    assert tree_map_only(int, lambda v: v + 1, tree) == {"a": [2, 3], "b": (3.0, "x")}
    with pytest.raises(ValueError, match="4 leaves"):
        tree_unflatten([1], spec)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_gradients_of_convolutions(dimensions):
    convolve = getattr(tnn.nn.functional, f"conv{dimensions}d")
    x = tnn.rand(2, 2, *(4,) * dimensions, dtype=tnn.float64, requires_grad=True)
    w = tnn.rand(4, 1, *(2,) * dimensions, dtype=tnn.float64, requires_grad=True)
    y = convolve(x, w, None, 2, 1, 1, 2)
    g = tnn.rand(y.shape, dtype=tnn.float64)
    gx, gw = tnn.autograd.grad(y, (x, w), g)
    of_input, of_weight = (getattr(tnn.nn.grad, f"conv{dimensions}d_{what}") for what in ("input", "weight"))
    testing.assert_close(of_input(x.shape, w, g, 2, 1, 1, 2), gx)
    testing.assert_close(of_weight(x, w.shape, g, stride=2, padding=1, groups=2), gw)


def test_hub(tmp_path, monkeypatch):
    monkeypatch.setattr(tnn.hub, "_folder", None)
    tnn.hub.set_dir(tmp_path / "hub")
    weights = tnn.nn.Linear(2, 1).state_dict()
    tnn.save(weights, tmp_path / "linear.pth")
    for _ in range(2):
        got = tnn.hub.load_state_dict_from_url((tmp_path / "linear.pth").as_uri(), progress=False)
        assert got["weight"].tolist() == weights["weight"].tolist()
    assert (tmp_path / "hub" / "checkpoints" / "linear.pth").exists()
    with pytest.raises(RuntimeError, match="invalid hash value"):
        tnn.hub.download_url_to_file((tmp_path / "linear.pth").as_uri(), tmp_path / "copy", hash_prefix="00000000")
    assert not (tmp_path / "copy").exists() and not list(tmp_path.glob("*.part"))


def write_rank(rank, folder):
    if rank == 2:
        raise ValueError("two")
    (folder / f"{rank}").write_text("done")


def test_spawn(tmp_path):
    tnn.multiprocessing.spawn(write_rank, args=(tmp_path,), nprocs=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0", "1"]
    with pytest.raises(tnn.multiprocessing.ProcessRaisedException, match="Process 2 terminated (.*\n)*ValueError: two"):
        tnn.multiprocessing.spawn(write_rank, args=(tmp_path,), nprocs=3)


def test_a_process_that_ends_while_it_is_waited_for():
    class Ending:
        exitcode = 0

        def __init__(self):
            self.answers = [True]
            self.sentinel, writer = os.pipe()
            os.close(writer)

        def is_alive(self):
            return bool(self.answers and self.answers.pop())

    ending = Ending()
    assert tnn.multiprocessing.ProcessContext([ending], None).join(0.1)
    os.close(ending.sentinel)


def test_make_tensor():
    # numbers of PyTorch 2.13
    tnn.manual_seed(0)
    np.testing.assert_allclose(
        testing.make_tensor(3, device="cpu", dtype=tnn.float32).numpy(), [-0.0674, 4.8280, -7.4074], atol=5e-5
    )
    assert testing.make_tensor((2, 2), dtype=tnn.int64).tolist() == [[-9, 2], [-2, -4]]
    assert testing.make_tensor(4, dtype=tnn.bool).tolist() == [True] * 4
    x = testing.make_tensor((2, 3), dtype=tnn.float64, noncontiguous=True, low=0, high=1, requires_grad=True)
    assert x.stride() == (6, 2) and x.requires_grad and 0 <= x.min() <= x.max() < 1
    assert testing.make_tensor(3, dtype=tnn.uint8).tolist() == [5, 2, 9]
    assert 0 not in testing.make_tensor(50, dtype=tnn.int8, low=0, high=2, exclude_zero=True)
    for options in ({"low": 3, "high": 2}, {"low": math.nan}):
        with pytest.raises(ValueError, match="must be less than"):
            testing.make_tensor(2, dtype=tnn.float32, **options)


def test_assert_close():
    x, nan = tnn.tensor([1.0, 2.0]), tnn.tensor(math.nan)
    equal = [
        (x, x + 1e-7), ([x, x], [x, x]), ({"a": x}, {"a": x}), (1.0, 1.0 + 1e-9), (x.numpy(), x.numpy()), (None, None),
        (tnn.tensor(math.inf), tnn.tensor(math.inf)), (True, True),
    ]  # fmt: skip
    for pair in equal:
        testing.assert_close(*pair)
    testing.assert_close(x, x.double(), check_dtype=False)
    testing.assert_close(x, x + 0.1, rtol=0, atol=0.2)
    testing.assert_close(nan, nan, equal_nan=True)
    different = [
        (x, x + 1e-3, "not close"), (x, x.double(), "dtype"), (x, tnn.ones(3), "shape"), ([x], [x, x], "length"),
        ({"a": x}, {"b": x}, "keys"), ({"a": x}, {"a": x + 1}, "item"), (nan, nan, "Scalars are not close"),
        (tnn.tensor([1, 2]), tnn.tensor([1, 3]), "not equal"), (1, 1.0, "types"),
    ]  # fmt: skip
    for actual, expected, text in different:
        with pytest.raises(AssertionError, match=text):
            testing.assert_close(actual, expected)
    with pytest.raises(AssertionError, match="stride"):
        testing.assert_close(tnn.ones(2, 2), tnn.ones(2, 2).t(), check_stride=True)
    with pytest.raises(AssertionError, match="^mine$"):
        testing.assert_close(x, x + 1, msg="mine")
    for actual, expected in ((x, x.numpy()), (x, 1.0), ("a", "a")):
        with pytest.raises(TypeError, match="No comparison pair"):
            testing.assert_close(actual, expected)
    with pytest.raises(ValueError, match="'atol'"):
        testing.assert_close(x, x, rtol=0)
