"""The threading layer: every block once, from any thread, in a forked child, with more threads and with fewer."""

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from numba import get_parallel_chunksize, njit, prange, set_parallel_chunksize

from tnn.kernels import _jit, _threads, activation

ROOT = Path(__file__).parents[2]


@pytest.fixture
def threads():
    before = _jit.get_num_threads()
    yield _jit.set_num_threads
    _jit.set_num_threads(before)


@njit(parallel=True)
def count(visits):
    """Adds one to each element of visits."""
    for k in prange(visits.size):
        visits[k] += 1


@njit(parallel=True)
def total(x):
    """Sum of x."""
    s = 0
    for k in prange(x.size):
        s += x[k]
    return s


@njit(parallel=True)
def nested(x, y):
    """Adds one to each element of x, and inside to each of y."""
    for k in prange(x.size):
        x[k] += 1
        for j in prange(y.shape[1]):
            y[k, j] += 1


def test_the_layer_is_in_place():
    count(np.zeros(1, np.int64))
    assert _jit.threading_layer() == "tnn"
    assert _threads._word_of(_threads._STARTED).value == len(_threads._workers) + 1 >= _jit.get_num_threads()


def test_numba_may_have_started_its_threads_before():
    done = python("""
        import numba
        numba.set_num_threads(1)
        numba.set_num_threads(2)
        import numpy as np
        from tnn.kernels import _threads, activation
        out = np.empty(100_000, np.float32)
        activation.relu_forward(np.linspace(-1, 1, 100_000, dtype=np.float32), out)
        print(len(_threads._workers), out.sum())
        """)
    assert done.stdout.split()[0] == "1" and done.returncode == 0, done.stderr


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 8, 31, 1000])
def test_each_iteration_runs_once(threads, n):
    for number in (1, 2, 3, 4):
        threads(number)
        visits = np.zeros(n, np.int64)
        for _ in range(50):
            count(visits)
        assert (visits == 50).all()


def test_a_sum_over_threads_of_a_users_kernel(threads):
    x = np.arange(1000)
    for number in (1, 2, 4):
        threads(number)
        assert all(total(x) == 499500 for _ in range(100))


def test_a_loop_inside_a_loop(threads):
    threads(3)
    x, y = np.zeros(20, np.int64), np.zeros((20, 30), np.int64)
    nested(x, y)
    assert (x == 1).all() and (y == 1).all()


def test_callers_of_several_threads(threads):
    threads(2)
    x = np.linspace(-1, 1, 100_000, dtype=np.float32)
    expected = np.maximum(x, 0)
    wrong = []

    def call():
        out = np.empty_like(x)
        for _ in range(100):
            out[:] = -1
            activation.relu_forward(x, out)
            if not np.array_equal(out, expected):
                wrong.append(1)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_a_chunk_size_of_the_user(threads):
    threads(2)
    visits = np.zeros(1000, np.int64)
    before = set_parallel_chunksize(7)
    try:
        count(visits)
        assert get_parallel_chunksize() == 7
    finally:
        set_parallel_chunksize(before)
    assert (visits == 1).all()


def python(code):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TNN_NUM_THREADS": "2"}
    env.pop("NUMBA_THREADING_LAYER", None)
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def test_a_forked_child_has_threads_of_its_own():
    done = python("""
        import os
        import numpy as np
        from tnn.kernels import _threads, activation
        x = np.linspace(-1, 1, 100_000, dtype=np.float32)
        out = np.empty_like(x)
        activation.relu_forward(x, out)
        child = os.fork()
        if child == 0:
            out[:] = -1
            for _ in range(50):
                activation.relu_forward(x, out)
            os._exit(0 if np.array_equal(out, np.maximum(x, 0)) and len(_threads._workers) == 1 else 3)
        print(os.waitpid(child, 0)[1])
        """)
    assert done.stdout == "0\n" and done.returncode == 0, done.stderr


def test_sleeping_workers_wake_and_the_process_ends():
    done = python("""
        import time
        import numpy as np
        from tnn.kernels import _threads, activation
        x = np.linspace(-1, 1, 100_000, dtype=np.float32)
        out = np.empty_like(x)
        for _ in range(5):
            activation.relu_forward(x, out)
            late = time.monotonic() + 60
            while not _threads._word_of(_threads._ASLEEP).value and time.monotonic() < late:
                time.sleep(0.01)
            print(_threads._word_of(_threads._ASLEEP).value, end=" ")
        print(np.array_equal(out, np.maximum(x, 0)))
        """)
    assert done.stdout == "1 1 1 1 1 True\n" and done.returncode == 0, done.stderr


def test_after_the_end_kernels_run_alone():
    done = python("""
        import numpy as np
        from tnn.kernels import _threads, activation
        x = np.linspace(-1, 1, 100_000, dtype=np.float32)
        out = np.empty_like(x)
        activation.relu_forward(x, out)
        _threads.stop()
        out[:] = -1
        activation.relu_forward(x, out)
        print(np.array_equal(out, np.maximum(x, 0)))
        """)
    assert done.stdout == "True\n" and done.returncode == 0, done.stderr
