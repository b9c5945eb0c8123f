"""Rows that are long enough are timed on one thread and on several, alone and beside a busy process."""

import json

import threads

import tnn


def test_rows_are_timed_and_stored(tmp_path, monkeypatch, capsys):
    before = tnn.get_num_threads()
    monkeypatch.setattr(threads, "TURN_SECONDS", 0.001)
    monkeypatch.setattr(threads, "copies", lambda lib: [("copy 4 KiB", lib.randn(512).clone)])
    path = tmp_path / "threads.json"
    try:
        threads.main(["--only", "tanh 8 forward", "--least", "0", "--turns", "1", "--json", str(path)])
        threads.main(["--only", "tanh 8 forward", "--least", "10000", "--turns", "1"])
    finally:
        tnn.set_num_threads(before)
    stored = json.loads(path.read_text())
    assert [row["name"] for row in stored][0] == "copy 4 KiB"
    assert "tanh 8 forward" in [row["name"] for row in stored]
    assert all(row[key] > 0 for row in stored for key in ("ms", "times", "busy_ms", "busy_times"))
    # Printed by the first call only: the second asks for rows of ten seconds.
    assert capsys.readouterr().out.count("tanh 8 forward ") == 1
