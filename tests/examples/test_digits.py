"""The digits example: it learns, writes its files, and a run that was cut goes on to the same numbers."""

import importlib.util
from pathlib import Path

import pytest

import tnn


@pytest.fixture(scope="module")
def digits():
    path = Path(__file__).parents[2] / "examples" / "digits.py"
    spec = importlib.util.spec_from_file_location("digits", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_resumed_run_gives_the_numbers_of_an_uninterrupted_one(digits, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    accuracy = digits.main(["--epochs", "2", "--out", str(whole), "--quiet"])
    digits.main(["--epochs", "1", "--out", str(cut), "--quiet"])
    assert digits.main(["--epochs", "2", "--out", str(cut), "--quiet", "--resume"]) == accuracy > 0.8
    a, b = tnn.load(whole / "checkpoint.pt"), tnn.load(cut / "checkpoint.pt")
    assert a["history"] == b["history"]
    assert a["schedule"] == b["schedule"]
    for name, value in a["model"].items():
        assert value.tolist() == b["model"][name].tolist()
    for name in ("learning_curve.png", "confusion_matrix.png", "misclassified.png"):
        assert (whole / name).stat().st_size > 1000
