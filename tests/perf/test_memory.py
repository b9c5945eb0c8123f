"""Training keeps its memory: what memory.py measures and how it judges it."""

import sys

import memory
import pytest

MIB = memory.MIB


def test_memory_is_flat_over_steps():
    got = memory.measure(sys.executable, "tnn", "step MLP 8-16-4 batch 16", 400, 1)
    assert [step for step, _ in got["resident"]] == [*range(0, 400, 20), 400]
    assert got["import"] < got["resident"][-1][1] <= got["peak"]
    assert memory.growth(got["resident"]) < 2 * MIB


@pytest.mark.parametrize("last, flat", [(100, True), (100.5, True), (102, False), (130, False)])
def test_growth_from_a_tenth_of_the_steps_on(last, flat):
    resident = [(0, 50 * MIB), (50, 90 * MIB), (100, 100 * MIB), (550, 100 * MIB), (1000, int(last * MIB))]
    assert memory.growth(resident) == int(last * MIB) - 100 * MIB
    assert memory.is_flat(resident) == flat


def test_status_reads_the_kernel_s_figures():
    assert 0 < memory.status("VmRSS") <= memory.status("VmHWM")
    with pytest.raises(KeyError):
        memory.status("VmNothing")
