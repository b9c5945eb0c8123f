"""The compile cache and the threads, mostly in processes of their own, on a small package around tnn's two files."""

import os
import pty
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from tnn.kernels import _cache, _jit

HERE = Path(_jit.__file__).parent

FILES = {
    "deep.py": """
        from numba import njit
        from ._jit import JIT

        FACTOR = 2.0

        @njit(**JIT)
        def scaled(v):
            return FACTOR * v
        """,
    "helper.py": """
        from numba import njit
        from ._jit import JIT
        from . import deep

        scaled = deep.scaled

        @njit(**JIT)
        def body(x, y):
            for i in range(x.shape[0]):
                y[i] = scaled(x[i]) + 1.0
        """,
    "work.py": """
        import numpy as np
        from numba import njit, prange
        from ._jit import JIT
        from .helper import (  # the body
            body,
        )

        @njit(parallel=True, **JIT)
        def forward(x, y):
            n = x.shape[0]
            if n < 64:
                body(x, y)
            else:
                for c in prange((n + 63) // 64):
                    lo = np.intp(c) * 64
                    hi = min(n, lo + 64)
                    body(x[lo:hi], y[lo:hi])
        """,
    "made.py": """
        from numba import njit
        from ._jit import JIT

        def make(one, shift):
            @njit(**JIT)
            def each(x, y):
                for i in range(x.shape[0]):
                    y[i] = one(x[i]) + shift
            return each

        @njit(**JIT)
        def double(v):
            return 2.0 * v

        @njit(**JIT)
        def square(v):
            return v * v

        KERNELS = {"double": make(double, 0.0), "square": make(square, 0.0), "double_one": make(double, 1.0)}
        """,
}

FILES["stub.py"] = """
    from numba.extending import overload

    def half(v):
        raise NotImplementedError

    def implementation(v):
        return lambda v: v / 2.0

    overload(half)(implementation)
    """
FILES["uses.py"] = """
    from numba import njit
    from ._jit import JIT
    from .made import make
    from .stub import half

    @njit(**JIT)
    def halved(v):
        return half(v)

    forward = make(halved, 0.0)
    """

RUN = """
    import sys
    import numpy as np
    from tnn.kernels.work import forward
    x = np.arange(300.0)
    y = np.empty(300)
    forward(x, y)
    s = forward.stats
    print(float(y[0]), float(y[10]), float(y[299]), sum(s.cache_hits.values()), sum(s.cache_misses.values()))
    """


class Copy:
    """A package in a temporary folder, a cache beside it, and processes that run code on them."""

    def __init__(self, root):
        self.root = root
        self.cache = root / "cache"
        self.kernels = root / "tnn" / "kernels"
        self.kernels.mkdir(parents=True)
        (root / "tnn" / "__init__.py").write_text("")
        (self.kernels / "__init__.py").write_text("")
        for name in ("_jit.py", "_cache.py", "_callees.py", "_threads.py"):
            shutil.copy(HERE / name, self.kernels / name)
        for name, text in FILES.items():
            (self.kernels / name).write_text(textwrap.dedent(text))

    def edit(self, name, old, new):
        path = self.kernels / name
        text = path.read_text()
        assert old in text
        # The same size and time: neither may be what the cache goes by.
        stat = path.stat()
        path.write_text(text.replace(old, new))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def start(self, code=RUN, **env):
        env = {**os.environ, "TNN_CACHE_DIR": str(self.cache), "NUMBA_DISABLE_JIT": "0", **env}
        return subprocess.Popen(
            [sys.executable, "-W", "default::RuntimeWarning", "-c", textwrap.dedent(code)],
            cwd=self.root,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code=RUN, **env):
        out, err = self.start(code, **env).communicate(timeout=300)
        return out.split(), err

    def numbers(self, **env):
        out, err = self.run(**env)
        assert len(out) == 5, err
        return [float(v) for v in out[:3]], int(out[3]), int(out[4])

    def files(self):
        return sorted(self.cache.rglob("*.nbc"))


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


def test_an_edit_of_a_helper_in_another_file_is_seen(copy):
    assert copy.numbers() == ([1.0, 21.0, 599.0], 0, 1)
    assert copy.numbers() == ([1.0, 21.0, 599.0], 1, 0)
    copy.edit("deep.py", "FACTOR = 2.0", "FACTOR = 3.0")
    assert copy.numbers() == ([1.0, 31.0, 898.0], 0, 1)
    copy.edit("helper.py", "+ 1.0", "- 1.0")
    assert copy.numbers() == ([-1.0, 29.0, 896.0], 0, 1)
    copy.edit("deep.py", "FACTOR = 3.0", "FACTOR = 2.0")
    copy.edit("helper.py", "- 1.0", "+ 1.0")
    # Back to the first text: its machine code is still there.
    assert copy.numbers() == ([1.0, 21.0, 599.0], 1, 0)


def test_options_and_settings_are_part_of_the_key(copy):
    copy.numbers()
    other = "0" if os.environ.get("NUMBA_BOUNDSCHECK") == "1" else "1"
    assert copy.numbers(NUMBA_BOUNDSCHECK=other)[1:] == (0, 1)
    assert copy.numbers(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")[1:] == (0, 1)
    assert copy.numbers(TNN_SIMD="other")[1:] == (0, 1)
    assert copy.numbers(TNN_NUM_THREADS="1")[1:] == (1, 0)
    copy.edit("_jit.py", '"error_model": "numpy"', '"error_model": "python"')
    assert copy.numbers()[1:] == (0, 1)


def test_damaged_files_mean_compiling_again(copy):
    copy.numbers()
    files = copy.files()
    assert files
    for damage in (lambda b: b"", lambda b: b[:20], lambda b: b[: len(b) // 2], lambda b: b[:-9] + b"\0" + b[-8:]):
        for path in files:
            path.write_bytes(damage(path.read_bytes()))
        assert copy.numbers() == ([1.0, 21.0, 599.0], 0, 1)
        assert copy.numbers() == ([1.0, 21.0, 599.0], 1, 0)


def test_eight_processes_start_cold(copy):
    running = [copy.start() for _ in range(8)]
    for process in running:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert out.split()[:3] == ["1.0", "21.0", "599.0"]
    assert copy.numbers() == ([1.0, 21.0, 599.0], 1, 0)
    assert not list(copy.cache.rglob("*.nbc.*"))


def test_processes_that_compile_different_signatures_lose_none(copy):
    code = """
        import sys
        import numpy as np
        from tnn.kernels.helper import body
        for name in TYPES:
            x = np.ones(5, name)
            body(x, x)
        print(sum(body.stats.cache_hits.values()), sum(body.stats.cache_misses.values()))
        """
    running = [copy.start(code.replace("TYPES", repr([name]))) for name in ("f4", "f8", "i4", "i8")]
    assert all(process.wait(timeout=300) == 0 for process in running)
    for process in running:
        process.communicate()
    assert copy.run(code.replace("TYPES", repr(["f4", "f8", "i4", "i8"])))[0] == ["4", "0"]


def test_kernels_from_a_factory_do_not_meet(copy):
    code = """
        import numpy as np
        from tnn.kernels.made import KERNELS
        x = np.array([3.0, 5.0])
        y = np.empty(2)
        for name in NAMES:
            KERNELS[name](x, y)
            print(y[1], sum(KERNELS[name].stats.cache_hits.values()))
        """
    for name, want in (("double", "10.0"), ("square", "25.0"), ("double_one", "11.0")):
        assert copy.run(code.replace("NAMES", repr([name])))[0] == [want, "0"]
    out, err = copy.run(code.replace("NAMES", repr(["square", "double_one", "double"])))
    assert out == ["25.0", "1", "11.0", "1", "10.0", "1"], err


def test_an_edit_of_an_overload_is_seen_through_a_factory(copy):
    code = """
        import numpy as np
        from tnn.kernels.uses import forward
        x = np.array([3.0])
        forward(x, x)
        print(x[0], sum(forward.stats.cache_hits.values()))
        """
    assert copy.run(code)[0] == ["1.5", "0"]
    assert copy.run(code)[0] == ["1.5", "1"]
    copy.edit("stub.py", "v / 2.0", "v / 4.0")
    assert copy.run(code)[0] == ["0.75", "0"]


def test_the_process_that_compiles_rounds_as_those_that_read_the_cache(tmp_path):
    code = """
        import hashlib
        import numpy as np
        from tnn.kernels.batchnorm import batch_norm_backward
        r = np.random.RandomState(0)
        g, x = r.randn(2, 64, 128, 16).astype("f4")
        mean, rstd, w, dw, db = r.rand(5, 128).astype("f4")
        dx = np.empty_like(x)
        batch_norm_backward(g, x, mean, rstd, w, dw, db, dx, True)
        print(hashlib.sha256(dx).hexdigest())
        """
    env = {**os.environ, "TNN_CACHE_DIR": str(tmp_path), "NUMBA_DISABLE_JIT": "0"}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    root = HERE.parent.parent
    first, second = (subprocess.run(command, cwd=root, env=env, stdout=subprocess.PIPE, check=True) for _ in range(2))
    assert first.stdout == second.stdout


def test_a_folder_that_cannot_be_written_costs_the_cache_and_one_warning(copy):
    (copy.root / "file").write_text("")
    code = RUN + "\n    forward(np.float32([1]), np.float32([1]))\n"
    out, err = copy.run(code, TNN_CACHE_DIR=str(copy.root / "file" / "below"))
    assert out[:3] == ["1.0", "21.0", "599.0"]
    assert err.count("RuntimeWarning: tnn cannot write compiled kernels") == 1
    assert "Set TNN_CACHE_DIR" in err


def test_the_package_folder_is_left_alone(copy):
    copy.numbers()
    assert not list((copy.root / "tnn").rglob("*.nb[ic]"))


def test_a_terminal_is_told_about_the_first_compilation(copy):
    out, err = copy.run()
    assert "compiling" not in err
    for told in (1, 0):
        terminal, end = pty.openpty()
        env = {**os.environ, "TNN_CACHE_DIR": str(copy.root / "other"), "NUMBA_DISABLE_JIT": "0"}
        command = [sys.executable, "-c", textwrap.dedent(RUN)]
        subprocess.run(command, cwd=copy.root, env=env, stdout=subprocess.PIPE, stderr=end, check=True)
        os.close(end)
        try:
            text = os.read(terminal, 10000).decode()
        except OSError:  # nothing was written
            text = ""
        os.close(terminal)
        assert text.count("tnn: compiling kernels") == told


@pytest.mark.parametrize("layer", ["workqueue", "omp"])
def test_kernels_may_be_called_from_threads(copy, layer):
    code = """
        import threading
        import numpy as np
        from tnn.kernels.work import forward
        wrong = []
        def calls():
            for _ in range(300):
                x = np.arange(2000.0)
                y = np.empty(2000)
                forward(x, y)
                if not np.array_equal(y, 2 * x + 1):
                    wrong.append(1)
        threads = [threading.Thread(target=calls) for _ in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        import numba
        print(numba.threading_layer(), len(wrong))
        """
    out, err = copy.run(code, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2")
    assert out == [layer, "0"], err


def test_number_of_threads(copy):
    code = """
        from tnn.kernels import _jit
        from tnn.kernels.work import forward
        import numpy as np
        print(_jit.get_num_threads())
        _jit.set_num_threads(3)
        print(_jit.get_num_threads())
        forward(np.zeros(1000), np.zeros(1000))
        import numba
        print(_jit.get_num_threads(), numba.get_num_threads())
        _jit.set_num_threads(1)
        print(_jit.get_num_threads(), numba.get_num_threads())
        """
    out, err = copy.run(code, TNN_NUM_THREADS="2", NUMBA_NUM_THREADS="5", OMP_NUM_THREADS="7")
    assert out == ["2", "3", "3", "3", "1", "1"], err


@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (-2, ValueError), (1.5, TypeError), ("2", TypeError), (True, TypeError)]
)
def test_number_of_threads_is_checked(value, error):
    before = _jit.get_num_threads()
    with pytest.raises(error, match="set_num_threads expects"):
        _jit.set_num_threads(value)
    assert _jit.get_num_threads() == before


def test_default_number_of_threads(monkeypatch):
    for name in ("TNN_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    for quota, want in ((float("inf"), 8), (2.5, 3), (0.2, 1), (64.0, 8)):
        monkeypatch.setattr(_jit, "_quota", lambda quota=quota: quota)
        assert _jit.default_num_threads() == want
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")
    assert _jit.default_num_threads() == 4
    monkeypatch.setenv("NUMBA_NUM_THREADS", "6")
    assert _jit.default_num_threads() == 6
    monkeypatch.setenv("TNN_NUM_THREADS", "zero")
    assert _jit.default_num_threads() == 6


def test_quota_of_control_groups(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    membership = tmp_path / "membership"
    membership.write_text("0::/a/b\n")
    assert _jit._quota(str(tmp_path), str(membership)) == float("inf")
    (inner / "cpu.max").write_text("max 100000\n")
    (tmp_path / "a" / "cpu.max").write_text("150000 100000\n")
    assert _jit._quota(str(tmp_path), str(membership)) == 1.5
    old = tmp_path / "cpu" / "c"
    old.mkdir(parents=True)
    membership.write_text("3:cpuset:/\n2:cpu,cpuacct:/c\n0::/\n")
    (old / "cpu.cfs_quota_us").write_text("-1\n")
    (old / "cpu.cfs_period_us").write_text("100000\n")
    assert _jit._quota(str(tmp_path), str(membership)) == float("inf")
    (old / "cpu.cfs_quota_us").write_text("300000\n")
    assert _jit._quota(str(tmp_path), str(membership)) == 3.0
    assert _jit._quota(str(tmp_path), str(tmp_path / "absent")) == float("inf")


def test_flags_keep_nan_and_infinity():
    assert not {"nnan", "ninf", "fast"} & set(_jit.JIT["fastmath"])
    assert _jit.JIT["cache"] and _jit.JIT["error_model"] == "numpy"


@pytest.mark.parametrize(
    ("statement", "files"),
    [
        ("from ._jit import JIT", {"kernels/_jit.py"}),
        ("from . import _jit, _cache", {"kernels/_jit.py", "kernels/_cache.py"}),
        ("from . import (  # a comment\n    _jit,\n    _cache,\n)", {"kernels/_jit.py", "kernels/_cache.py"}),
        ("from tnn.kernels import _jit as j", {"kernels/_jit.py"}),
        ("from tnn.kernels._cache import \\\n    prune", {"kernels/_cache.py"}),
        ("    import tnn.kernels._jit", {"kernels/_jit.py"}),
        ("from .. import kernels", {"kernels/__init__.py"}),
        ("from . import unknown", {"kernels/__init__.py"}),
        ("import numpy as np\nfrom numba import njit\nfrom tnnother import x", set()),
    ],
)
def test_imports_are_followed(statement, files):
    found = _cache._imports(str(HERE / "some.py"), statement)
    assert {str(Path(p).relative_to(HERE.parent)) for p in found} == files


def test_description_of_values():
    def outer(k):
        return lambda v: v + k

    values = [1, 1.0, True, "1", b"1", None, (1,), [1], {1}, {1: 2}, np.float32(1), np.ones(1), np.ones(2), np, int]
    texts = [_cache.describe(v) for v in values]
    assert len(set(texts)) == len(texts)
    assert _cache.describe({"b", "a"}) == _cache.describe({"a", "b"})
    assert _cache._digest_function(outer(1)) != _cache._digest_function(outer(2))
    assert _cache._digest_function(outer(1)) == _cache._digest_function(outer(1))
    one, two = njit(lambda v: v + 1), njit(lambda v: v + 2)
    assert len({_cache.describe(f) for f in (one, two, njit(error_model="numpy")(lambda v: v + 1))}) == 3


def test_pruning_takes_the_oldest(tmp_path):
    folder = tmp_path / "kernels"
    folder.mkdir()
    for i in range(8):
        path = folder / f"k-{i}.nbc"
        path.write_bytes(bytes(1000))
        os.utime(path, (1e9 + i, 1e9 + i))
    (folder / "k-9.nbc.leftover").write_bytes(b"1")
    os.utime(folder / "k-9.nbc.leftover", (1e9, 1e9))
    assert _cache.prune(tmp_path, 10_000) == 1
    assert _cache.prune(tmp_path, 7000) == 3
    assert sorted(p.name for p in folder.iterdir()) == [f"k-{i}.nbc" for i in range(3, 8)]


def test_place_of_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TNN_CACHE_DIR", str(tmp_path))
    assert _cache.cache_dir() == tmp_path
    monkeypatch.delenv("TNN_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert _cache.cache_dir() == tmp_path / "xdg" / "tnn"
