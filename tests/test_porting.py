"""What programs written for PyTorch ask of the package around its tensors."""

import itertools
import pickle
import subprocess
import sys
import warnings

import pytest

import tnn


def test_programs_fall_back_to_the_cpu():
    device = tnn.device("cuda" if tnn.cuda.is_available() else "mps" if tnn.backends.mps.is_available() else "cpu")
    assert device.type == "cpu" and tnn.cuda.device_count() == 0 and not tnn.mps.is_available()
    tnn.cuda.manual_seed_all(0)
    tnn.backends.cudnn.benchmark = True
    with pytest.raises(RuntimeError, match="CPU"):
        tnn.cuda.current_device()


def test_settings_are_kept():
    tnn.set_float32_matmul_precision("high")
    assert tnn.get_float32_matmul_precision() == "high"
    with pytest.raises(RuntimeError):
        tnn.set_float32_matmul_precision("low")
    tnn.set_float32_matmul_precision("highest")
    assert not tnn.are_deterministic_algorithms_enabled()
    tnn.use_deterministic_algorithms(True)
    assert tnn.are_deterministic_algorithms_enabled()
    tnn.use_deterministic_algorithms(False)
    with pytest.raises(RuntimeError):
        tnn.set_default_device("cuda")
    assert tnn.inf == float("inf") and tnn.newaxis is None and tnn.typename(tnn.ones(1)) == "tnn.FloatTensor"


def test_compile_gives_a_callable_that_computes_the_same():
    layer = tnn.nn.Linear(3, 2)
    x = tnn.ones(1, 3)
    assert tnn.compile(layer)(x).tolist() == layer(x).tolist()

    @tnn.compile(mode="reduce-overhead")
    def double(t):
        return t * 2

    assert double(x).tolist() == [[2.0, 2.0, 2.0]]
    with pytest.raises(TypeError):
        tnn.compile(3)


def test_legacy_tensor_types():
    assert tnn.FloatTensor([1, 2]).tolist() == [1.0, 2.0] and tnn.LongTensor(2, 3).shape == (2, 3)
    assert tnn.ByteTensor([1]).dtype is tnn.uint8 and isinstance(tnn.ones(1), tnn.FloatTensor)
    assert not isinstance(tnn.ones(1), tnn.DoubleTensor)
    with pytest.raises(AttributeError):
        tnn.WrongTensor  # noqa: B018
    assert tnn.ones(1).type(tnn.LongTensor).dtype is tnn.int64 and tnn.ones(1).type("tnn.ByteTensor").dtype is tnn.uint8
    assert tnn.nn.Linear(1, 1).type(tnn.DoubleTensor).weight.dtype is tnn.float64
    tnn.set_default_tensor_type("torch.DoubleTensor")
    try:
        assert tnn.ones(1).dtype is tnn.float64
    finally:
        tnn.set_default_tensor_type(tnn.FloatTensor)


def test_results_of_several_tensors_print_and_pickle():
    result = tnn.tensor([[3.0, 1.0], [2.0, 5.0]]).max(1)
    want = "tnn.return_types.max(\nvalues=tensor([3., 5.]),\nindices=tensor([0, 1]))"
    assert repr(result) == want
    assert isinstance(result, tnn.return_types.max) and repr(pickle.loads(pickle.dumps(result))) == want
    values, indices = tnn.ones(2).sort()
    assert values.shape == indices.shape == (2,)
    names = {type(r).__name__ for r in (tnn.ones(3).topk(2), tnn.aminmax(values), tnn.linalg.svd(tnn.eye(2)))}
    assert names == {"topk", "aminmax", "linalg_svd"}


def test_grad_fn_of_cross_entropy_is_named_by_its_last_step():
    x, t = tnn.zeros(2, 3, requires_grad=True), tnn.tensor([0, 2])
    loss = tnn.nn.functional.cross_entropy
    names = [
        loss(x, t).grad_fn.name(),
        loss(x[..., None], t[:, None]).grad_fn.name(),
        loss(x, t, label_smoothing=0.1).grad_fn.name(),
        loss(x, x.detach().softmax(1)).grad_fn.name(),
        tnn.nn.functional.nll_loss(x[..., None], t[:, None]).grad_fn.name(),
    ]
    assert names == [
        "NllLossBackward0", "NllLoss2DBackward0", "AddBackward0", "DivBackward1", "NllLoss2DBackward0"
    ]  # fmt: skip


def test_grad_fn_of_an_index_is_named_by_its_last_step():
    x = tnn.ones(3, 4, requires_grad=True)
    names = "Select Select Select Slice Slice Slice Unsqueeze Slice Alias".split()
    parts = (x[0, 0], x[0, :], x[..., 0], x[0, 1:], x[1:], x[:], x[0, None], x[..., 1:], x[...])
    assert [p.grad_fn.name() for p in parts] == [f"{name}Backward0" for name in names]


# What the old orders stand for: numbers before the tensors that they multiply.
OLD = {
    "add(x, 2, y)": "add(x, y, alpha=2)",
    "sub(x, 2, y)": "sub(x, y, alpha=2)",
    "addcmul(x, 0.5, x, y)": "addcmul(x, x, y, value=0.5)",
    "addcdiv(x, -0.5, x, y)": "addcdiv(x, x, y, value=-0.5)",
    "addmm(2, x, x, y)": "addmm(x, x, y, beta=2)",
    "addmm(2, x, 3, x, y)": "addmm(x, x, y, beta=2, alpha=3)",
    "addmv(2, x[0], 3, x, y[0])": "addmv(x[0], x, y[0], beta=2, alpha=3)",
    "addr(2, x, 3, x[0], y[0])": "addr(x, x[0], y[0], beta=2, alpha=3)",
    "baddbmm(2, x[None], x[None], y[None])": "baddbmm(x[None], x[None], y[None], beta=2)",
    "addbmm(2, x, 3, x[None], y[None])": "addbmm(x, x[None], y[None], beta=2, alpha=3)",
    "Tensor.addmm_(x.clone(), 2, 3, x, y)": "addmm(x, x, y, beta=2, alpha=3)",
    "Tensor.add_(x.clone(), -2, y)": "add(x, y, alpha=-2)",
}


@pytest.mark.parametrize("call", OLD)
def test_numbers_before_what_they_multiply(call):
    names = {name: getattr(tnn, name) for name in ("Tensor", *(call.split("(")[0] for call in OLD)) if "." not in name}
    names |= {"x": tnn.tensor([[1.0, 2.0], [3.0, 4.0]]), "y": tnn.tensor([[0.5, 1.5], [-1.0, 2.0]])}
    with pytest.warns(UserWarning, match="deprecated") as caught:
        result = eval(call, names)
    assert result.tolist() == eval(OLD[call], names).tolist() and caught[0].filename == "<string>"


def test_the_old_order_warns_once_in_a_loop():
    x = tnn.ones(2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for step in range(3):
            x.add_(-0.1 * step, x)
    assert len(caught) == 1


def test_other_orders_are_refused():
    x = tnn.ones(2)
    for args in ((x, x, x), (x, 2, 3, x), (x, "a", x)):
        with pytest.raises(TypeError, match="takes 2 positional arguments"):
            tnn.add(*args)
    with pytest.raises(TypeError, match="takes 3 positional arguments"):
        tnn.addmm(x, x, 2, x)


def test_submodules_are_reached_as_attributes():
    program = "import tnn; tnn.nn.utils.rnn.pad_sequence; tnn.nn.utils.prune; tnn.optim.lr_scheduler; tnn.utils.data"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_numbers_format_as_numbers_and_suffixes_wrap_at_80_columns():
    assert (
        f"{tnn.tensor(3)} {tnn.tensor(0.25)} {tnn.tensor(0.5):.2f}" == "3 0.25 0.50"
        and f"{tnn.ones(1)}" == "tensor([1.])"
    )
    x = (tnn.ones(5) * 0.1234).requires_grad_() * 1
    assert repr(tnn.tensor([0.1234, -0.5, 0.25, 0.5, 1.0]).requires_grad_()[:5].select(0, 0)).count("\n") == 0
    assert repr(x) == "tensor([0.1234, 0.1234, 0.1234, 0.1234, 0.1234], grad_fn=<MulBackward0>)"
    wide = repr(tnn.tensor([-0.5, 0.25, 0.5, 1.0, 2.0])[None].requires_grad_()[0])
    assert wide.endswith("2.0000],\n       grad_fn=<SelectBackward0>)")
    assert tnn.LongTensor(range(3)).tolist() == [0, 1, 2]


def test_old_wrappers_of_tensors_and_modules():
    given = tnn.ones(2)
    v = tnn.autograd.Variable(given, requires_grad=True)
    v.sum().backward()
    assert v.grad.tolist() == [1.0, 1.0] and not given.requires_grad and isinstance(given, tnn.autograd.Variable)
    assert not isinstance(3, tnn.autograd.Variable)
    layer = tnn.nn.Linear(2, 1)
    both = tnn.nn.DataParallel(layer)
    assert both(given).tolist() == layer(given).tolist() and list(both.state_dict()) == ["module.weight", "module.bias"]
    assert both.module is layer and tnn.nn.parallel.data_parallel(layer, given).shape == (1,)
    with pytest.raises(RuntimeError, match="device_ids"):
        tnn.nn.DataParallel(layer, device_ids=[0, 1])


def test_backends_can_be_imported():
    import tnn.backends.cudnn as cudnn

    cudnn.benchmark = True
    assert tnn.backends.cudnn.benchmark and not tnn.backends.mkldnn.benchmark and not cudnn.is_available()
    with cudnn.flags(enabled=False):
        tnn.backends.cuda.matmul.allow_tf32 = True


@pytest.mark.filterwarnings("ignore:tnn runs on the CPU")
def test_old_names_of_mixed_precision():
    from tnn.cuda.amp import GradScaler, autocast

    layer, scaler = tnn.nn.Linear(2, 1), GradScaler(enabled=False)
    with autocast(enabled=True):
        loss = layer(tnn.ones(1, 2)).sum()
    assert loss.dtype is tnn.float32 and scaler.scale(loss) is loss
    assert autocast(enabled=False)(lambda: 3)() == 3


def test_programs_fall_back_to_one_process():
    import tnn.distributed as dist
    import tnn.onnx
    from tnn.nn.parallel import DistributedDataParallel

    assert not tnn.accelerator.is_available() and tnn.accelerator.device_count() == 0
    assert tnn.accelerator.current_accelerator() is None
    with pytest.raises(RuntimeError, match="accelerator"):
        tnn.accelerator.synchronize()
    assert not dist.is_available() and not dist.is_initialized() and not tnn.onnx.is_in_onnx_export()
    for call, error in (
        (dist.get_rank, ValueError), (lambda: dist.init_process_group("nccl", rank=0), NotImplementedError),
        (lambda: tnn.onnx.export(tnn.nn.ReLU(), (tnn.ones(1),), "x.onnx"), NotImplementedError),
        (lambda: DistributedDataParallel(tnn.nn.ReLU()), NotImplementedError),
        (lambda: tnn.utils.data.distributed.DistributedSampler([1]), ValueError),
    ):  # fmt: skip
        with pytest.raises(error, match="tnn"):
            call()


def test_timers():
    from tnn.utils.benchmark import Timer

    seen, ticks = [], itertools.count()

    def clock():  # each measurement takes 2 ms
        return 0.002 * next(ticks)

    timer = Timer("f(0)", "f = seen.append", timer=clock, globals={"seen": seen}, label="append", num_threads=2)
    once = timer.timeit(50)
    assert len(seen) == 52 and once.number_per_run == 50 and once.mean == once.median == once.raw_times[0] / 50
    assert repr(once) == "append\nsetup: f = seen.append\n  40.00 us\n  1 measurement, 50 runs, 2 threads"
    many = timer.blocked_autorange(min_run_time=0.01)
    assert many.number_per_run == 1 and len(many.times) == 5 and many.iqr < 1e-12
    assert "  Median: 2.00 ms\n  IQR:    0.00 ms (2.00 to 2.00)\n  5 measurements, 1 runs per measurement" in repr(many)
    assert len(timer.adaptive_autorange(min_run_time=0.02).times) == 10
    with pytest.raises(NotImplementedError, match="language='c[+][+]'"):
        Timer("f();", language="c++")


def test_names_that_users_layers_import():
    from tnn.nn.modules.utils import _pair, _triple
    from tnn.optim.lr_scheduler import LRScheduler, _LRScheduler
    from tnn.types import Device, Number
    from tnn.utils.data.dataloader import default_collate

    assert _pair(3) == (3, 3) and _triple([1, 2, 3]) == (1, 2, 3)
    assert _LRScheduler is LRScheduler and default_collate([1, 2]).tolist() == [1, 2]
    assert isinstance(2.5, Number) and isinstance(tnn.device("cpu"), Device)


def test_numpys_names_of_arguments():
    x, i = tnn.arange(6.0).reshape(2, 3), tnn.tensor([[1, 0]])
    for name in "cumsum cumprod sort argsort unbind median mode softmax squeeze unsqueeze logsumexp cummax".split():
        got, expected = (getattr(tnn, name)(x, **{word: 1}) for word in ("axis", "dim"))
        assert str(got) == str(expected), name
    for join in (tnn.cat, tnn.stack, tnn.concatenate):
        assert join([x, x], axis=1).shape == join([x, x], 1).shape
    assert x.gather(axis=1, index=i[:, :1].expand(2, 1)).shape == (2, 1)
    assert tnn.kthvalue(x, 1, axis=0, keepdims=True).values.shape == (1, 3)
    assert len(x.chunk(3, axis=1)) == 3 and x.repeat_interleave(2, axis=1).shape == (2, 6)


def test_spmm_of_a_dense_adjacency_matrix():
    a = tnn.eye(3) * 2
    assert tnn.spmm(a, tnn.ones(3, 2)).tolist() == tnn.spmm(a.to_sparse(), tnn.ones(3, 2)).tolist() == [[2, 2]] * 3
