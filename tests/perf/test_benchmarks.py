"""The asv suite covers the table, and its benchmarks run."""

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import benchmarks
import pytest
from benchmarks import bench_start, common
from cases import CASES

import tnn

MODULES = [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name.startswith("bench_")]


@pytest.fixture
def threads():
    before = tnn.get_num_threads()
    yield
    tnn.set_num_threads(before)


def classes():
    """Subclasses of Rows in all files, by file."""
    for name in MODULES:
        module = importlib.import_module(f"benchmarks.{name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, common.Rows):
                yield name, value


def test_every_row_is_in_the_file_of_its_family():
    found = {name: cls.params[0] for name, cls in classes()}
    families = {c.family for c in CASES}
    assert set(found) == {f"bench_{f}" for f in families}
    for family in families:
        assert found[f"bench_{family}"] == [c.name for c in CASES if c.family == family]


def test_rows_are_timed_on_one_and_two_threads(threads):
    for _, cls in classes():
        assert cls.params[1] == [1, 2]
    bench = importlib.import_module("benchmarks.bench_small").Small()
    bench.setup("tanh 8 forward", 1)
    assert tnn.get_num_threads() == 1
    bench.time_row("tanh 8 forward", 1)


def test_code_of_first_calls_runs(tmp_path):
    for row in bench_start.FirstCall.params:
        assert row in common.BY_NAME
    code, before = bench_start.FirstCall().timeraw_warm("tanh 8 forward")
    subprocess.run([sys.executable, "-c", before + code], check=True, cwd=Path(common.PERF).parent, timeout=120)
    code, before = bench_start.FirstCall().timeraw_cold("tanh 8 forward")
    compile(before + code, "cold", "exec")
    assert "TNN_CACHE_DIR" in before


def test_configuration_names_what_is_there():
    conf = Path(common.PERF, "asv.conf.json")
    settings = json.loads(conf.read_text())
    assert (conf.parent / settings["benchmark_dir"]).is_dir()
    assert settings["branches"] == ["main"]
    ignored = (conf.parent.parent / ".gitignore").read_text().splitlines()
    for key in ("env_dir", "results_dir", "html_dir"):
        assert settings[key].startswith(".asv/")
    assert "perf/.asv/" in ignored
