"""What versus.py does around its measurements; the peers themselves are not installed here."""

import json
import sys
from argparse import Namespace

import pytest
import versus
from cases import CASES


class Fixed:
    """A peer that answers with given times."""

    def __init__(self, name, *seconds):
        self.name, self.seconds, self.first = name, list(seconds), 1.0

    def time(self, case):
        return self.seconds.pop(0)


def row(name, family, ratio):
    return {"name": name, "family": family, "ratio": ratio}


def test_ratio_is_the_median_of_the_turns_without_the_first():
    ours, theirs = Fixed("tnn", 9, 1, 1, 2), Fixed("torch", 1, 2, 3, 8)
    found = versus.compare(CASES[0], ours, theirs, 3)
    assert (found["ratio"], found["low"], found["high"]) == (3, 2, 4)
    assert (found["tnn_seconds"], found["torch_seconds"]) == (1, 3)


def test_report_has_means_and_the_worst_row(tmp_path, capsys):
    rows = [row("a", "x", 4.0), row("b", "x", 1.0), row("c", "y", 0.5)]
    args = Namespace(threads=1, ours="tnn", peer="torch", json=tmp_path / "out.json", fail_under=None)
    assert versus.report(rows, ["d"], [], args) == 0
    found = json.loads(args.json.read_text())
    assert found["families"] == pytest.approx({"x": 2.0, "y": 0.5})
    assert found["mean"] == pytest.approx(2 ** (1 / 3))
    assert (found["worst"], found["missing"]) == ("c", ["d"])
    assert "slowest row: c, 0.50" in capsys.readouterr().out
    assert versus.report(rows, [], ["e"], args) == 1


@pytest.mark.parametrize("bound, status", [(0.4, 0), (0.6, 1)])
def test_fail_under(bound, status, capsys):
    args = Namespace(threads=1, ours="tnn", peer="torch", json=None, fail_under=bound)
    assert versus.report([row("a", "x", 2.0), row("c", "y", 0.5)], [], [], args) == status
    assert ("below 0.6: c" in capsys.readouterr().out) == bool(status)


def test_rows_are_chosen_by_family_part_and_pattern():
    def names(words):
        return [c.name for c in versus.choose(CASES, words)]

    assert names("gemm") == [c.name for c in CASES if c.family == "gemm" or "gemm" in c.name]
    assert names("tanh 8 *,relu 8 forward") == ["relu 8 forward", "relu 8 forward+backward"] + names("tanh 8 *")
    assert all(n.startswith(("step", "chain")) for n in names(versus.ROWS["torch.compile"]))
    assert all(n.startswith("inference") for n in names(versus.ROWS["onnxruntime"]))


@pytest.fixture
def peer():
    one = versus.Peer(sys.executable, "tnn", 1)
    yield one
    one.close()


def test_a_worker_times_rows_and_says_what_fails(peer):
    assert peer.time("zeros 8") > 0
    assert peer.first > 0
    with pytest.raises(RuntimeError, match="KeyError"):
        peer.time("no such row")
    assert peer.time("zeros 8") > 0


def test_what_cannot_be_exported_is_not_available():
    with pytest.raises(versus.NotAvailable):
        versus.exported(None, lambda: None, 1)
