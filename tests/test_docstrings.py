"""What every docstring says: of an operation its arguments, shapes and errors; of anything public its arguments."""

import enum
import inspect
import re
from importlib import import_module

import pytest

import tnn
from tnn import nn

PLACES = (
    "tnn", "tnn.nn.functional", "tnn.nn", "tnn.linalg", "tnn.special", "tnn.optim", "tnn.optim.lr_scheduler",
    "tnn.optim.swa_utils", "tnn.nn.init", "tnn.nn.attention", "tnn.nn.utils", "tnn.nn.utils.parametrize",
    "tnn.nn.utils.parametrizations", "tnn.nn.utils.prune", "tnn.nn.utils.rnn", "tnn.nn.utils.stateless",
)  # fmt: skip
# Helpers that a module without ``__all__`` imports.
HELPERS = {
    "as_matrix", "check_number", "check_tensor", "current", "launch", "output_dim", "packed_functions", "per_group",
    "random_unit", "unit", "warn_outside_step", "wrap",
}  # fmt: skip
# Operations whose results have no shape: numbers, dtypes, storages.
NO_SHAPE = {
    "tnn.allclose", "tnn.equal", "tnn.is_complex", "tnn.is_conj", "tnn.is_distributed", "tnn.is_floating_point",
    "tnn.is_neg", "tnn.is_nonzero", "tnn.is_same_size", "tnn.numel", "tnn.result_type", "tnn.conj",
    "tnn.conj_physical", "tnn.resolve_conj", "tnn.resolve_neg", "tnn.resize_as_",
}  # fmt: skip


def public():
    """Functions, classes and methods by their names, each once."""
    found = {}
    for place in PLACES:
        module = import_module(place)
        for name in getattr(module, "__all__", None) or dir(module):
            value = getattr(module, name)
            if name[0] == "_" or name in HELPERS or inspect.ismodule(value) or not callable(value):
                continue
            if getattr(value, "__module__", "").startswith("tnn"):
                found.setdefault(value, f"{place}.{name}")
    for cls, prefix in ((tnn.Tensor, "Tensor."), (nn.Module, "nn.Module.")):
        for name in dir(cls):
            value = getattr(cls, name)
            if name[0] != "_" and inspect.isfunction(value):
                found.setdefault(value, prefix + name)
    return [(name, value) for value, name in found.items()]


def arguments(value):
    """The names of a function's or a class's parameters; keywords that are merely passed on have none of their own."""
    if isinstance(value, type) and issubclass(value, enum.Enum | BaseException):
        return []
    parameters = [p for p in inspect.signature(value).parameters.values() if p.kind is not p.VAR_KEYWORD]
    return [p.name for p in parameters if p.name not in ("self", "cls") and p.name[0] != "_"]


def described(doc):
    """The names that the section ``Args`` explains."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", doc, re.DOTALL | re.MULTILINE)
    names = re.findall(r"^    (\w[\w, ]*):", section.group(1) if section else "", re.MULTILINE)
    return {name.strip() for line in names for name in line.split(",")}


PUBLIC = public()


@pytest.mark.parametrize("name,value", PUBLIC, ids=[name for name, _ in PUBLIC])
def test_arguments_are_described(name, value):
    doc = inspect.getdoc(value) or ""
    assert doc.strip(), f"{name} has no docstring"
    missing = [a for a in arguments(value) if a not in described(doc)]
    assert not missing, f"{name} does not say what its arguments are: {missing}"


def is_operation(value):
    return inspect.isfunction(value) and (value.__module__.startswith("tnn.ops") or value.__module__ == "tnn")


@pytest.mark.parametrize("name,value", [(n, v) for n, v in PUBLIC if is_operation(v) and n.startswith("tnn.")])
def test_an_operation_says_its_shapes_and_errors(name, value):
    doc = inspect.getdoc(value)
    assert re.search(r"^Raises:", doc, re.MULTILINE), f"{name} says no errors"
    assert name in NO_SHAPE or re.search(r"^(Shape|Returns):", doc, re.MULTILINE), f"{name} says no shape"


LAYERS = sorted(n for n in dir(nn) if isinstance(getattr(nn, n), type) and issubclass(getattr(nn, n), nn.Module))
CONTAINERS = {
    "Container", "Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential", "RNNBase",
    "RNNCellBase", "DataParallel",
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in LAYERS if n not in CONTAINERS])
def test_a_layer_says_its_shapes_and_errors(name):
    doc = inspect.getdoc(getattr(nn, name))
    assert re.search(r"^Shape:", doc, re.MULTILINE), f"nn.{name} says no shape"
    assert name == "Identity" or re.search(r"^Raises:", doc, re.MULTILINE), f"nn.{name} says no errors"
