"""The buffer pool: no two live arrays share memory, memory comes back, and no more than allowed waits."""

import gc
import os
import resource
import subprocess
import sys
import threading

import ml_dtypes
import numpy as np
import pytest

from tnn.kernels import _blocks, _pool


@pytest.fixture(autouse=True)
def fresh():
    """An empty pool with a limit that no test here reaches by accident."""
    before = _pool.limit()
    _pool.clear()
    _pool.set_limit(256 << 20)
    yield
    _pool.set_limit(before)
    _pool.clear()


def waiting():
    """How many blocks wait, by their size."""
    counts = _blocks.state[_blocks.COUNTS : _blocks.COUNTS + _blocks.CLASSES]
    return {_blocks._size_of(i): int(counts[i]) for i in np.flatnonzero(counts)}


def address(x):
    return x.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", ["float32", np.float64, np.int64, np.bool_, np.dtype(ml_dtypes.bfloat16), "F"])
@pytest.mark.parametrize("shape", [(), (0,), 5, 100_003, (3, 4), [7, 9], (300, 701), (2, 0, 5), np.int64(70_000)])
def test_shape_dtype_and_layout(shape, dtype):
    want = np.zeros(shape, dtype)
    for x in (_pool.empty(shape, dtype), _pool.zeros(shape, dtype), _pool.empty_like(want)):
        assert type(x) is np.ndarray
        assert x.shape == want.shape and x.dtype == want.dtype
        assert x.flags.c_contiguous and x.flags.writeable
        if x.nbytes >= _pool.SMALL:
            assert address(x) % 64 == 0
    assert not _pool.zeros(shape, dtype).any()


def test_zeros_clears_a_used_block():
    x = _pool.empty((200, 200), np.float32)
    x.fill(7)
    at = address(x)
    del x
    y = _pool.zeros((200, 200), np.float32)
    assert address(y) == at and not y.any()


def test_empty_like_takes_another_dtype():
    x = _pool.empty_like(np.ones((4, 100_000), np.float32), np.int64)
    assert x.dtype == np.int64 and x.shape == (4, 100_000)


def test_objects_do_not_come_from_raw_memory():
    x = _pool.empty(20_000, object)
    assert x[0] is None and x[-1] is None


def test_a_block_returns_when_the_last_view_is_gone():
    x = _pool.empty((64, 1024), np.float32)
    at = address(x)
    assert _pool.idle_bytes() == 0
    y = x.reshape(-1)[100:].view(np.int32)[::2]
    z = np.broadcast_to(y, (3, *y.shape)).transpose()
    del x, y
    gc.collect()
    assert _pool.idle_bytes() == 0
    assert address(_pool.empty((64, 1024), np.float32)) != at
    z = memoryview(z)
    assert address(_pool.empty((64, 1024), np.float32)) != at
    del z
    blocks = [_pool.empty((64, 1024), np.float32) for _ in range(2)]
    assert at in map(address, blocks)


def test_live_arrays_never_overlap():
    rng = np.random.default_rng(0)
    live = []
    for step in range(3000):
        n = int(rng.integers(1, 200_000))
        x = _pool.empty(n, np.uint8)
        x.fill(step % 251)
        # Keep a view and let the owner go, as saved tensors do.
        live.append((x[n // 3 :] if step % 2 else x, step % 251))
        del x
        if len(live) > 20:
            view, value = live.pop(int(rng.integers(len(live))))
            assert view[0] == value and view[-1] == value and (view == value).all()
    spans = sorted((address(v), address(v) + v.nbytes) for v, _ in live)
    assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:], strict=False))


def test_size_classes():
    sizes = [_blocks.size_class(n)[1] for n in range(_pool.SMALL, 300_000, 7)]
    for n, size in zip(range(_pool.SMALL, 300_000, 7), sizes, strict=True):
        assert n <= size <= n * 1.125
        assert _blocks.size_class(size)[1] == size
    assert len(set(sizes)) < 25


def test_memory_stays_flat_over_a_thousand_loans():
    def step():
        for shape in ((256, 1024), (64, 3, 32, 32), (1000, 333)):
            x = _pool.empty(shape, np.float32)
            x.fill(1)
            y = _pool.empty_like(x)
            y.fill(2)

    for _ in range(3):
        step()
    before, idle = resource.getrusage(resource.RUSAGE_SELF), _pool.idle_bytes()
    for _ in range(1000):
        step()
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert _pool.idle_bytes() == idle
    # Without reuse this is a page fault for each 4 KiB: more than three million.
    assert after.ru_minflt - before.ru_minflt < 2000
    assert after.ru_maxrss - before.ru_maxrss < (4096 if sys.platform == "linux" else 4 << 20)


def test_the_limit_holds_and_old_classes_go_first():
    _pool.set_limit(4 << 20)
    old = _pool.empty(1 << 20, np.uint8)
    del old
    assert waiting()[1 << 20] == 1
    for _ in range(10):
        blocks = [_pool.empty(600_000, np.uint8) for _ in range(9)]
        del blocks
        assert _pool.idle_bytes() <= 4 << 20
    assert 1 << 20 not in waiting()
    assert sum(size * count for size, count in waiting().items()) == _pool.idle_bytes()
    _pool.set_limit(0)
    assert _pool.idle_bytes() == 0
    del_me = _pool.empty(600_000, np.uint8)
    del del_me
    assert _pool.idle_bytes() == 0
    with pytest.raises(ValueError, match="not negative"):
        _pool.set_limit(-1)


def test_clear_leaves_arrays_in_use_alone():
    x = _pool.empty(200_000, np.uint8)
    x.fill(9)
    _pool.clear()
    others = [_pool.zeros(200_000, np.uint8) for _ in range(5)]
    assert (x == 9).all() and len(others) == 5


def test_threads():
    errors = []

    def work(value):
        rng = np.random.default_rng(value)
        kept = []
        for _ in range(400):
            x = _pool.empty(int(rng.integers(70_000, 200_000)), np.uint8)
            x.fill(value)
            kept.append(x[5:])
            if len(kept) > 4:
                y = kept.pop(0)
                if not (y == value).all():
                    errors.append(value)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    assert sum(size * count for size, count in waiting().items()) == _pool.idle_bytes()


def test_the_collector_may_end_a_block():
    class Knot:
        pass

    for _ in range(200):
        knot = Knot()
        knot.me, knot.x = knot, _pool.empty(100_000, np.uint8)
        del knot
        gc.collect(0)
    gc.collect()
    assert 0 < _pool.idle_bytes() < 256 << 20


def test_a_forked_child_has_a_pool_of_its_own():
    x, y = _pool.empty(200_000, np.uint8), _pool.empty(200_000, np.uint8)
    x.fill(3)
    del y
    child = os.fork()
    if child == 0:
        z = [_pool.empty(200_000, np.uint8) for _ in range(3)]
        for one in z:
            one.fill(4)
        os._exit(0 if (x == 3).all() and all((one == 4).all() for one in z) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (x == 3).all()


def test_large_results_of_entries_come_from_the_pool():
    from tnn.kernels.pointwise_unary import exp_forward

    x = np.zeros(20_000, np.float32)
    exp_forward.address(x.dtype)
    out = exp_forward.small(x)
    assert not out.flags.owndata and address(out) % 64 == 0 and (out == 1).all()
    at = address(out)
    del out
    assert address(exp_forward.small(x)) == at


@pytest.mark.parametrize("shape", [(-1,), (2, -3), (1 << 62, 4), (1 << 70,), ("a",), (2.5,), None])
def test_bad_shapes(shape):
    with pytest.raises((ValueError, TypeError, MemoryError, OverflowError)):
        _pool.empty(shape)


def test_arrays_outlive_the_interpreter():
    code = "import sys, tnn; x = tnn.ones(400, 400); sys.kept = [x, x.T, x * 2]"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == ""


def test_without_the_compiler_there_is_no_pool():
    code = "from tnn.kernels import _pool as p; x = p.empty((300, 300)); assert x.flags.owndata and not p.idle_bytes()"
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0
