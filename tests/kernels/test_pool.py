"""The buffer pool: no two live arrays share memory, memory comes back, and no more than allowed waits."""

import gc
import os
import resource
import sys
import threading

import ml_dtypes
import numpy as np
import pytest

from tnn.kernels import _pool


@pytest.fixture(autouse=True)
def fresh():
    """An empty pool with a limit that no test here reaches by accident."""
    before = _pool._pool.limit
    _pool.clear()
    _pool.set_limit(256 << 20)
    yield
    _pool.set_limit(before)
    _pool.clear()


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
    sizes = [_pool._size_class(n) for n in range(_pool.SMALL, 300_000, 7)]
    for n, size in zip(range(_pool.SMALL, 300_000, 7), sizes, strict=True):
        assert n <= size <= n * 1.125
        assert _pool._size_class(size) == size
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
    assert len(_pool._pool.idle[1 << 20]) == 1
    for _ in range(10):
        blocks = [_pool.empty(600_000, np.uint8) for _ in range(9)]
        del blocks
        assert _pool.idle_bytes() <= 4 << 20
    assert _pool._pool.idle[1 << 20] == []
    assert sum(size * len(blocks) for size, blocks in _pool._pool.idle.items()) == _pool.idle_bytes()
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
    assert sum(size * len(blocks) for size, blocks in _pool._pool.idle.items()) == _pool.idle_bytes()


def test_the_collector_may_end_a_block_inside_the_pool():
    class Knot:
        pass

    for _ in range(200):
        knot = Knot()
        knot.me, knot.x = knot, _pool.empty(100_000, np.uint8)
        del knot
        with _pool._pool.lock:
            gc.collect(0)
    gc.collect()
    assert 0 < _pool.idle_bytes() < 256 << 20


def test_fork_while_the_pool_is_locked():
    x = _pool.empty(200_000, np.uint8)
    x.fill(3)
    with _pool._pool.lock:  # as if another thread were inside
        child = os.fork()
        if child == 0:
            y = _pool.empty(200_000, np.uint8)
            y.fill(4)
            os._exit(0 if (x == 3).all() and (y == 4).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
