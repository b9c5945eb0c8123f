"""Guesses which package of Python's standard library a line of code comes from.

    python examples/text_cnn.py                   trains, tests, writes pictures and a checkpoint to out/text_cnn
    python examples/text_cnn.py --resume          goes on from the checkpoint

Two views of a line meet: convolutions over its characters, and the mean of its words' embeddings (words are hashed into
a table, so that none is unknown). The text is the standard library's own source. Needs the extra ``examples``.
"""

import argparse
import re
import sysconfig
import time
import zlib
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

import tnn
from tnn import nn
from tnn.nn import functional as F

PACKAGES = ["asyncio", "email", "multiprocessing", "unittest", "xml", "logging", "http", "json"]
LENGTH = 80
WORDS = 12
BUCKETS = 4096
TOTAL_EPOCHS = 6


def load_lines():
    """(lines, labels, names): distinct lines of at least 15 characters, by package."""
    root = Path(sysconfig.get_paths()["stdlib"])
    owners = {}
    names = [p for p in PACKAGES if (root / p).is_dir()]
    for label, name in enumerate(names):
        for path in sorted((root / name).rglob("*.py")):
            if "test" in path.relative_to(root / name).parts[:-1]:
                continue
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                line = line.strip()
                if len(line) >= 15:
                    owners.setdefault(line, set()).add(label)
    lines = sorted(line for line, labels in owners.items() if len(labels) == 1)
    return lines, np.array([next(iter(owners[line])) for line in lines]), names


def encode(lines):
    """Characters (n, LENGTH) and hashed words (n, WORDS), 0 where a line has no more of them."""
    characters = np.zeros((len(lines), LENGTH), np.int64)
    words = np.zeros((len(lines), WORDS), np.int64)
    for i, line in enumerate(lines):
        codes = [min(ord(c), 127) for c in line[:LENGTH]]
        characters[i, : len(codes)] = codes
        found = re.findall(r"\w+|[^\w\s]", line)[:WORDS]
        words[i, : len(found)] = [1 + zlib.crc32(w.encode()) % (BUCKETS - 1) for w in found]
    return tnn.tensor(characters), tnn.tensor(words)


class TextCNN(nn.Module):
    """Convolutions of three widths over characters, beside a bag of words."""

    def __init__(self, classes):
        super().__init__()
        self.characters = nn.Embedding(128, 24, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(24, 64, k, padding=k // 2) for k in (3, 5, 7))
        self.words = nn.EmbeddingBag(BUCKETS, 64, mode="mean", padding_idx=0)
        self.dropout = nn.Dropout(0.4)
        self.out = nn.Linear(3 * 64 + 64, classes)

    def forward(self, characters, words):
        x = self.characters(characters).transpose(1, 2)
        views = [F.relu(conv(x)).amax(2) for conv in self.convolutions]
        return self.out(self.dropout(tnn.cat([*views, self.words(words)], 1)))


def run_epoch(model, data, rows, batch, optimizer=None, bar=None):
    """One pass over some rows, in their order; returns the loss, the accuracy and the guesses."""
    characters, words, labels = data
    total, guesses = 0.0, []
    for lo in range(0, len(rows), batch):
        part = rows[lo : lo + batch]
        scores = model(characters[part], words[part])
        loss = F.cross_entropy(scores, labels[part])
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        total += loss.item() * len(part)
        guesses.append(scores.argmax(1))
        if bar is not None:
            bar.update()
            bar.set_postfix(loss=f"{total / (lo + len(part)):.3f}")
    guess = tnn.cat(guesses)
    return total / len(rows), (guess == labels[rows]).float().mean().item(), guess.numpy()


def draw(folder, history, truth, guess, names):
    """The learning curve and the confusion matrix."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
    epochs = range(1, len(history) + 1)
    left.plot(epochs, [h["train"] for h in history], label="training")
    left.plot(epochs, [h["test"] for h in history], label="test")
    left.set(xlabel="epoch", ylabel="accuracy")
    left.legend()
    matrix = np.zeros((len(names), len(names)))
    np.add.at(matrix, (truth, guess), 1)
    matrix /= matrix.sum(1, keepdims=True)
    right.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    for i in range(len(names)):
        for j in range(len(names)):
            right.text(j, i, f"{matrix[i, j]:.2f}", ha="center", va="center", fontsize=7)
    right.set(xlabel="guessed", ylabel="package", xticks=range(len(names)), yticks=range(len(names)))
    right.set_xticklabels(names, rotation=45, ha="right")
    right.set_yticklabels(names)
    fig.tight_layout()
    fig.savefig(folder / "text_cnn.png", dpi=120)
    plt.close(fig)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=TOTAL_EPOCHS)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--out", type=Path, default=Path("out/text_cnn"))
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--smoke", action="store_true", help="a short run that shows that everything works")
    args = parser.parse_args(argv)
    if args.smoke:
        args.epochs = 1
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    tnn.manual_seed(args.seed)
    lines, labels, names = load_lines()
    data = (*encode(lines), tnn.tensor(labels))
    order = tnn.randperm(len(lines))
    n_test = len(lines) // 5
    test, train = order[:n_test], order[n_test:]
    model = TextCNN(len(names))
    optimizer = tnn.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
    history = []
    if args.resume:
        state = tnn.load(args.out / "checkpoint.pt")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        tnn.set_rng_state(state["random"])
        history = state["history"]

    steps = -(-len(train) // args.batch)
    with tqdm(total=(args.epochs - len(history)) * steps, disable=args.quiet, unit="batch") as bar:
        for epoch in range(len(history), args.epochs):
            bar.set_description(f"epoch {epoch + 1}")
            model.train()
            shuffled = train[tnn.randperm(len(train))]
            loss, accuracy, _ = run_epoch(model, data, shuffled, args.batch, optimizer, bar)
            model.eval()
            with tnn.no_grad():
                _, right, guess = run_epoch(model, data, test, 512)
            history.append({"loss": loss, "train": accuracy, "test": right})
    with tnn.no_grad():
        model.eval()
        _, right, guess = run_epoch(model, data, test, 512)
    tnn.save(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": tnn.get_rng_state(),
            "history": history,
        },
        args.out / "checkpoint.pt",
    )
    truth = labels[test.numpy()]
    draw(args.out, history, truth, guess, names)
    majority = np.bincount(truth).max() / len(truth)
    print(
        f"{len(lines)} lines of {len(names)} packages: test accuracy {right:.2%} (always the largest package: "
        f"{majority:.2%}), {time.perf_counter() - start:.1f} s; picture and checkpoint in {args.out}"
    )
    return right


if __name__ == "__main__":
    main()
