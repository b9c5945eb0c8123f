"""Trains a bidirectional LSTM to tell from its characters what an identifier names: class, function, constant, module.

The data are the identifiers that Python's standard library defines, read from its own sources on this computer: about
12,000, each once, without those that name things of two kinds. Two in three are functions.

    python examples/names_lstm.py                    trains, tests, writes pictures and a checkpoint to out/names_lstm
    python examples/names_lstm.py --seed 1           another split and other initial weights
    python examples/names_lstm.py --epochs 4         stops early ...
    python examples/names_lstm.py --resume           ... and goes on from the checkpoint, to the numbers of one long run

Needs the extra ``examples`` (tqdm, matplotlib).
"""

import argparse
import ast
import sysconfig
import time
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

import tnn
from tnn import nn
from tnn.nn import functional as F
from tnn.nn.utils.rnn import pack_padded_sequence
from tnn.utils.data import DataLoader, TensorDataset, random_split

TOTAL_EPOCHS = 10
KINDS = ["class", "function", "constant", "module"]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
SKIPPED = {"site-packages", "test", "tests", "idle_test", "lib2to3"}


def definitions(path):
    """Pairs (name, kind) of what a source file defines, its own name included."""
    yield path.stem, "module"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, "class"
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, "function"
        elif isinstance(node, ast.Assign):
            yield from ((t.id, "constant") for t in node.targets if isinstance(t, ast.Name) and t.id.isupper())


def load_names():
    """The identifiers, sorted, and the number of each one's kind."""
    root = Path(sysconfig.get_path("stdlib"))
    found = {}
    for path in sorted(root.rglob("*.py")):
        if SKIPPED.isdisjoint(path.relative_to(root).parts):
            try:
                for name, kind in definitions(path):
                    found.setdefault(name, set()).add(kind)
            except (SyntaxError, ValueError):
                continue  # a template, or a sample of bad source
    names = sorted(n for n, kinds in found.items() if len(kinds) == 1 and set(n) <= set(LETTERS))
    return names, [KINDS.index(*found[n]) for n in names]


def load_data(seed):
    """80 % of the names to train on and 20 % to test on, divided by the seed: (characters, length, kind) each."""
    names, kinds = load_names()
    lengths = [len(n) for n in names]
    characters = np.zeros((len(names), max(lengths)), np.int64)
    for row, name in zip(characters, names, strict=True):
        row[: len(name)] = [LETTERS.index(c) for c in name]
    data = TensorDataset(tnn.from_numpy(characters), tnn.tensor(lengths), tnn.tensor(kinds))
    n_test = round(0.2 * len(data))
    return random_split(data, [len(data) - n_test, n_test], generator=tnn.Generator().manual_seed(seed))


class Reader(nn.Module):
    """Characters to vectors, an LSTM in both directions, and a linear layer on its two last states."""

    def __init__(self, width=24, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(len(LETTERS), width)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.3)
        self.score = nn.Linear(2 * hidden, len(KINDS))

    def forward(self, characters, lengths):
        longest = int(lengths.max())
        vectors = self.embed(characters[:, :longest])
        packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        _, (state, _) = self.lstm(packed)
        return self.score(self.dropout(tnn.cat([state[0], state[1]], 1)))


def train_epoch(model, loader, optimizer, schedule, weight, bar):
    """One pass over the training data; returns mean loss and accuracy."""
    model.train()
    total, right, seen = 0.0, 0, 0
    for characters, lengths, kinds in loader:
        scores = model(characters, lengths)
        loss = F.cross_entropy(scores, kinds, weight)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        total += loss.item() * len(kinds)
        right += (scores.argmax(1) == kinds).sum().item()
        seen += len(kinds)
        bar.update()
        bar.set_postfix(loss=f"{total / seen:.3f}", accuracy=f"{right / seen:.1%}")
    return total / seen, right / seen


@tnn.no_grad()
def predict(model, loader):
    """Kinds and predictions over a data set."""
    model.eval()
    pairs = [(kinds, model(characters, lengths).argmax(1)) for characters, lengths, kinds in loader]
    return tnn.cat([a for a, _ in pairs]).numpy(), tnn.cat([b for _, b in pairs]).numpy()


def draw(folder, history, matrix):
    """The learning curve, and the confusion matrix by rows."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
    epochs = range(1, len(history) + 1)
    left.plot(epochs, [h["loss"] for h in history])
    left.set(xlabel="epoch", ylabel="training loss")
    right.plot(epochs, [h["train"] for h in history], label="training")
    right.plot(epochs, [h["test"] for h in history], label="test")
    right.set(xlabel="epoch", ylabel="accuracy")
    right.legend()
    fig.tight_layout()
    fig.savefig(folder / "learning_curve.png", dpi=120)

    share = matrix / matrix.sum(1, keepdims=True).clip(1)
    fig, ax = plt.subplots(figsize=(4.6, 4.2))
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(*matrix.shape):
        ax.text(j, i, matrix[i, j], ha="center", va="center", color="white" if share[i, j] > 0.5 else "black")
    ticks = range(len(KINDS))
    ax.set(xlabel="taken for", ylabel="kind", xticks=ticks, yticks=ticks, xticklabels=KINDS, yticklabels=KINDS)
    fig.tight_layout()
    fig.savefig(folder / "confusion_matrix.png", dpi=120)
    plt.close("all")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--epochs", type=int, default=TOTAL_EPOCHS, help=f"stop after this many of {TOTAL_EPOCHS} epochs"
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("out/names_lstm"))
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--smoke", action="store_true", help="a short run that shows that everything works")
    args = parser.parse_args(argv)
    if args.smoke:
        args.epochs = 1
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint = args.out / "checkpoint.pt"

    start = time.perf_counter()
    tnn.manual_seed(args.seed)
    train_set, test_set = load_data(args.seed)
    train_loader = DataLoader(train_set, batch_size=args.batch, shuffle=True, drop_last=True)
    test_loader = DataLoader(test_set, batch_size=256)
    counts = np.bincount([int(train_set[i][2]) for i in range(len(train_set))], minlength=len(KINDS))
    weight = tnn.tensor((counts.max() / counts) ** 0.25, dtype=tnn.float32)
    model = Reader()
    optimizer = tnn.optim.Adam(model.parameters(), lr=2e-3)
    schedule = tnn.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=TOTAL_EPOCHS * len(train_loader))
    history = []
    if args.resume:
        state = tnn.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        tnn.set_rng_state(state["random"])
        history = state["history"]

    first = len(history)
    with tqdm(total=(args.epochs - first) * len(train_loader), disable=args.quiet, unit="batch") as bar:
        for epoch in range(first, args.epochs):
            bar.set_description(f"epoch {epoch + 1}")
            loss, accuracy = train_epoch(model, train_loader, optimizer, schedule, weight, bar)
            truth, guess = predict(model, test_loader)
            history.append({"loss": loss, "train": accuracy, "test": float((truth == guess).mean())})
    tnn.save(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "random": tnn.get_rng_state(),
            "history": history,
        },
        checkpoint,
    )

    truth, guess = predict(model, test_loader)
    matrix = np.zeros((len(KINDS), len(KINDS)), int)
    np.add.at(matrix, (truth, guess), 1)
    draw(args.out, history, matrix)
    shares = matrix.diagonal() / matrix.sum(1).clip(1)
    for kind, share, n in zip(KINDS, shares, matrix.sum(1), strict=True):
        print(f"{kind:9s} {share:6.1%} of {n}")
    right = int((truth == guess).sum())
    print(
        f"seed {args.seed}: loss {history[-1]['loss']:.6f}, test accuracy {right / len(truth):.2%} "
        f"({right} of {len(truth)}), mean over the kinds {shares.mean():.2%}, all taken for functions "
        f"{matrix.sum(1).max() / len(truth):.2%}; {time.perf_counter() - start:.1f} s; pictures and checkpoint in "
        f"{args.out}"
    )
    return right / len(truth)


if __name__ == "__main__":
    main()
