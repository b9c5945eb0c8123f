"""The checks of every layer for those that no family's own tests run them for: padding, dropout, shapes, and the
dimensions of pooling that the others leave out."""

import re

import pytest
from check_layer import LayerCase, check_layer

import tnn
from tnn import nn

L, I, V = (2, 2, 4), (2, 2, 3, 4), (1, 2, 3, 3, 4)  # noqa: E741
SHAPES = {1: L, 2: I, 3: V}


class CTCOfScores(nn.CTCLoss):
    """``nn.CTCLoss`` of numbers that it normalizes first, as its gradient takes them to be."""

    def forward(self, scores, *args):
        return super().forward(scores.log_softmax(-1), *args)


def _padding(name, *args):
    return lambda: getattr(nn, name)(1, *args)


CASES = [
    LayerCase(f"{kind}Pad{n}d", _padding(f"{kind}Pad{n}d", *value), (SHAPES[n],))
    for kind, value in (("Zero", ()), ("Constant", (0.5,)), ("Reflection", ()), ("Replication", ()), ("Circular", ()))
    for n in (1, 2, 3)
]  # fmt: skip
CASES += [
    LayerCase("Dropout", lambda: nn.Dropout(0.4).eval(), (L,), double=True),
    LayerCase("Dropout1d", lambda: nn.Dropout1d(0.4).eval(), (L,)),
    LayerCase("Dropout2d", lambda: nn.Dropout2d(0.4).eval(), (I,)),
    LayerCase("Dropout3d", lambda: nn.Dropout3d(0.4).eval(), (V,)),
    LayerCase("AlphaDropout", lambda: nn.AlphaDropout(0.4).eval(), (L,)),
    LayerCase("FeatureAlphaDropout", lambda: nn.FeatureAlphaDropout(0.4).eval(), (I,)),
    LayerCase("Flatten", lambda: nn.Flatten(), (I,), double=True),
    LayerCase("Unflatten", lambda: nn.Unflatten(1, (1, 2)), (L,), double=True),
    LayerCase("UpsamplingNearest2d", lambda: nn.UpsamplingNearest2d(scale_factor=2), (I,)),
    LayerCase("AdaptiveAvgPool1d", lambda: nn.AdaptiveAvgPool1d(3), (L,), double=True),
    LayerCase("AdaptiveMaxPool3d", lambda: nn.AdaptiveMaxPool3d(2), (V,)),
    LayerCase("LPPool1d", lambda: nn.LPPool1d(2, 2), (L,)),
    LayerCase("LPPool3d", lambda: nn.LPPool3d(2, 2), (V,)),
    LayerCase("MaxUnpool1d", lambda: nn.MaxUnpool1d(2), ((1, 2, 2),), (tnn.tensor([[[0, 2], [1, 3]]]),)),
    LayerCase("MaxUnpool3d", lambda: nn.MaxUnpool3d(2), ((1, 1, 1, 1, 2),), (tnn.tensor([[[[[0, 6]]]]]),)),
    LayerCase("FractionalMaxPool3d", lambda: nn.FractionalMaxPool3d(
        2, 1, _random_samples=tnn.full((1, 2, 3), 0.3)), (V,), half=False, empty=False),
    LayerCase("CTCLoss", CTCOfScores, ((4, 2, 3),), (tnn.tensor([[1, 2], [2, 2]]), (4, 4), (2, 2)),
              half=False, empty=False),
    LayerCase("NLLLoss2d", lambda: nn.NLLLoss2d(), ((1, 2, 2, 2),), (tnn.tensor([[[0, 1], [1, 1]]]),)),
    LayerCase("AdaptiveLogSoftmaxWithLoss", lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 5, [2]), ((3, 4),),
              (tnn.tensor([0, 3, 4]),), half=False, empty=False),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_layer(case):
    check_layer(case)


@pytest.mark.parametrize("name", ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d"])
def test_dropout_in_training(name):
    """Zeroes whole parts, doubles the others, and passes the gradient where it kept the input."""
    whole = 0 if name == "Dropout" else int(name[7])
    x = tnn.ones(64, 8, *(2,) * whole, requires_grad=True)
    y = getattr(nn, name)(0.5)(x)
    assert set(y.detach().flatten().tolist()) == {0.0, 2.0}
    if whole:
        assert set(y.detach().flatten(2).mean(2).flatten().tolist()) == {0.0, 2.0}
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()


def test_each_layer_has_a_case():
    """Every Module class stands in a file of tests that runs the checks, but for containers and bases."""
    from pathlib import Path

    text = "".join(p.read_text() for p in Path(__file__).parent.glob("test_*.py") if "check_layer" in p.read_text())
    text += "".join(f"nn.{case.name}(" for case in CASES)
    exempt = {
        "Module", "Container", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "RNNBase",
        "RNNCellBase", "NonDynamicallyQuantizableLinear", "TransformerDecoder", "DataParallel", "SyncBatchNorm",
    }  # fmt: skip
    layers = {
        n for n in dir(nn) if isinstance(getattr(nn, n), type) and issubclass(getattr(nn, n), nn.Module)
    } - exempt  # fmt: skip
    assert not sorted(n for n in layers if not n.startswith("Lazy") and not re.search(rf"nn\.{n}\b", text))
