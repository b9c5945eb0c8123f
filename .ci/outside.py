"""Trains a small model with the installed package: python outside.py CHECKOUT, run from another folder."""

import sys
from pathlib import Path

import tnn

assert not Path(tnn.__file__).resolve().is_relative_to(Path(sys.argv[1]).resolve()), tnn.__file__
assert (Path(tnn.__file__).parent / "py.typed").exists()

tnn.manual_seed(0)
model = tnn.nn.Sequential(tnn.nn.Linear(4, 8), tnn.nn.ReLU(), tnn.nn.Linear(8, 1))
optimizer = tnn.optim.SGD(model.parameters(), lr=0.1)
x = tnn.randn(32, 4)
y = x.sum(dim=1, keepdim=True)
losses = []
for _ in range(50):
    optimizer.zero_grad()
    loss = tnn.nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[-1] < 0.2 * losses[0], losses
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")
