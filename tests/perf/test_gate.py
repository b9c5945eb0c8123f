"""The gate passes what is as fast as stored, fails what is slower, and says so where nothing is stored."""

import io
import json

import gate
import pytest
import reference
from cases import CASES
from making import Case

ROWS = {"tanh 8 forward": "python"}


def run(store, *options, rows=ROWS):
    out = io.StringIO()
    status = gate.main(["--store", str(store), "--seconds", "0.01", *options], rows, out)
    return status, out.getvalue()


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "gate.json"
    assert run(path, "--update")[0] == 0
    return path


def test_update_stores_ratios_by_processor(store):
    kept = json.loads(store.read_text())
    assert list(kept) == [gate.processor()]
    assert kept[gate.processor()]["tanh 8 forward"] > 0


def test_what_is_as_fast_as_stored_passes(store):
    status, text = run(store, "--tolerance", "1")
    assert status == 0
    assert "TOO SLOW" not in text


def test_what_is_slower_fails_after_all_rounds(store):
    kept = json.loads(store.read_text())
    kept[gate.processor()]["tanh 8 forward"] /= 10
    store.write_text(json.dumps(kept))
    status, text = run(store, "--rounds", "3", "--json", str(store.with_name("found.json")))
    assert status == 1
    assert "in 3 round(s)  TOO SLOW" in text
    assert json.loads(store.with_name("found.json").read_text())["slow"] == ["tanh 8 forward"]


def test_faster_rows_are_named(store):
    kept = json.loads(store.read_text())
    kept[gate.processor()]["tanh 8 forward"] *= 10
    store.write_text(json.dumps(kept))
    status, text = run(store)
    assert status == 0
    assert "faster" in text


def test_another_processor_is_reported_and_passes(store):
    store.write_text(json.dumps({"another / sse": {"tanh 8 forward": 1e-9}}))
    status, text = run(store)
    assert status == 0
    assert "no ratios are stored" in text


def test_a_row_that_does_more_than_stored_is_slow(monkeypatch, store):
    fast = next(c for c in CASES if c.name == "tanh 8 forward")

    def make(lib):
        inner = fast.make(lib)

        def twice():
            inner()
            reference.interpreter(30)

        twice.work = inner.work
        return twice

    monkeypatch.setattr(gate, "CASES", [Case(fast.name, fast.family, make)])
    assert run(store, "--rounds", "2")[0] == 1


def test_stored_rows_are_rows_of_the_gate():
    names = {c.name for c in CASES}
    assert set(gate.ROWS) <= names
    for ratios in json.loads(gate.STORE.read_text()).values():
        assert set(ratios) <= set(gate.ROWS)
