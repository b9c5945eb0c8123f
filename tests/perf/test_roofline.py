"""The table of rows, the reference kernels and the arithmetic of roofline.py."""

import numpy as np
import pytest
import reference
import roofline
from cases import CASES
from making import Work

import tnn

FAMILIES = """conv conv_transpose gemm linear pooling padding pointwise softmax normalization dropout embedding fold
loss ctc distance resample recurrent attention reduction indexing shape linalg sort creation random optim
step""".split()


def test_table_has_every_family_once():
    names = [c.name for c in CASES]
    assert len(set(names)) == len(names)
    assert {c.family for c in CASES} >= set(FAMILIES)
    assert sum("float64" in n for n in names) > 10


@pytest.mark.parametrize(
    "name, work",
    [
        ("gemm 16", Work(2 * 16**3, 2 * 1024, 1024, 1)),
        ("relu 8 forward", Work(0, 32, 32, 1)),
        ("relu 8 forward+backward", Work(0, 96, 64, 3)),
        ("linear 1x8->8 forward", Work(128, 32 + 256 + 32, 32, 1)),
        ("linear 1x8->8 forward+backward", Work(384, 2 * 320 + 32, 32 + 320, 3)),
    ],
)
def test_work_of_a_row(name, work):
    run = next(c for c in CASES if c.name == name).make(tnn)
    run()
    assert run.work() == work


def test_work_of_a_step():
    work = next(c for c in CASES if c.name == "step MLP 8-16-4 batch 16").make(tnn).work()
    assert work.flops == 3 * 2 * 16 * (8 * 16 + 16 * 4)
    weights = 4 * (8 * 16 + 16 + 16 * 4 + 4)
    assert work.written == 4 * 16 * 4 + 4 * weights


def test_limits_name_what_binds():
    ways = dict.fromkeys(reference.WAYS, 1e9)
    roof = {
        "threads": 1,
        "flops": {"float32": 1e11, "float64": 5e10},
        "bandwidth": {"L2": ways, "L3": dict.fromkeys(ways, 5e8), "memory": dict.fromkeys(ways, 1e8)},
        "launch": 1e-6,
    }
    assert roofline.limits(Work(1e9, 1000, 1000, 1), "float64", roof)["FMA float64"] == pytest.approx(0.02)
    bounds = roofline.limits(Work(0, 2e9, 1e9, 3), "float32", roof)
    assert bounds["memory triad"] == pytest.approx(30)
    assert bounds["launch"] == pytest.approx(3e-6)
    assert max(roofline.limits(Work(0, 8, 8, 1), "float32", roof).items(), key=lambda p: p[1])[0] == "launch"


def test_ways_and_levels():
    pairs = (100, 1), (1, 100), (10, 10), (20, 10)
    assert [reference.way_of(*p) for p in pairs] == ["read", "write", "copy", "triad"]
    sizes = reference.caches()
    assert reference.level_of(sizes["L2"]) == "L2"
    assert reference.level_of(sizes["L3"]) == "L3"
    assert reference.level_of(sizes["L3"] + 1) == "memory"


def test_reference_kernels_do_what_they_say():
    a, times = 0.1, 3
    expected = 0.0
    for chain in range(reference.CHAINS):
        value = a + 0.01 * chain
        for _ in range(times):
            value = value * (a / 2) + a / 2
        expected += value
    assert reference.fma(a, times) == pytest.approx(expected, rel=1e-12)
    x, y, z = np.full(40, 2.0, np.float32), np.full(40, 5.0, np.float32), np.zeros(40, np.float32)
    reference.triad(x, y, z, 1)
    assert z.tolist() == [17.0] * 40
    reference.copy(y, z, 1)
    assert z.tolist() == [5.0] * 40
    assert reference.read(z, 1) == 200
    reference.write(z, 2)
    assert z.tolist() == [1.0] * 40


def test_threads_run_together():
    done = []
    reference.on_threads([lambda: done.append(1), lambda: done.append(2)])()
    assert sorted(done) == [1, 2]
