"""Trains a small convolutional network on scikit-learn's handwritten digits (1,797 real images of 8 x 8 pixels).

    python examples/digits.py                    trains, tests, writes pictures and a checkpoint to out/digits
    python examples/digits.py --seed 1           another split and other initial weights
    python examples/digits.py --epochs 10        stops early ...
    python examples/digits.py --resume           ... and goes on from the checkpoint, to the numbers of one long run

Needs the extra ``examples`` (scikit-learn, tqdm, matplotlib).
"""

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from tqdm import tqdm

import tnn
from tnn import nn
from tnn.nn import functional as F
from tnn.utils.data import DataLoader, TensorDataset, random_split

TOTAL_EPOCHS = 30


def make_model():
    """Three convolutions with batch norm, two poolings, dropout, and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout2d(0.1),
        nn.Conv2d(64, 128, 3, padding=1, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(128 * 2 * 2, 10),
    )  # fmt: skip


def load_data(seed):
    """The digits, 80 % to train on and 20 % to test on, divided by the seed."""
    digits = load_digits()
    images = tnn.tensor(digits.images[:, None].astype(np.float32) / 16)
    labels = tnn.tensor(digits.target.astype(np.int64))
    data = TensorDataset(images, labels)
    n_test = round(0.2 * len(data))
    return random_split(data, [len(data) - n_test, n_test], generator=tnn.Generator().manual_seed(seed))


def shifted(images):
    """The images moved by up to one pixel in each direction, each batch by its own amount."""
    dy, dx = tnn.randint(0, 3, (2,)).tolist()
    padded = F.pad(images, (1, 1, 1, 1))
    return padded[:, :, dy : dy + images.shape[2], dx : dx + images.shape[3]]


def train_epoch(model, loader, optimizer, schedule, bar):
    """One pass over the training data; returns mean loss and accuracy."""
    model.train()
    total, right, seen = 0.0, 0, 0
    for images, labels in loader:
        scores = model(shifted(images))
        loss = F.cross_entropy(scores, labels, label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item() * len(labels)
        right += (scores.argmax(1) == labels).sum().item()
        seen += len(labels)
        bar.update()
        bar.set_postfix(loss=f"{total / seen:.3f}", accuracy=f"{right / seen:.1%}")
    return total / seen, right / seen


@tnn.no_grad()
def predict(model, loader):
    """Labels and predictions over a data set."""
    model.eval()
    pairs = [(labels, model(images).argmax(1)) for images, labels in loader]
    return tnn.cat([a for a, _ in pairs]).numpy(), tnn.cat([b for _, b in pairs]).numpy()


def draw(folder, history, truth, guess, test_set):
    """The learning curve, the confusion matrix, and the digits that were misread."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
    epochs = range(1, len(history) + 1)
    left.plot(epochs, [h["loss"] for h in history])
    left.set(xlabel="epoch", ylabel="training loss")
    right.plot(epochs, [h["train"] for h in history], label="training")
    right.plot(epochs, [h["test"] for h in history], label="test")
    right.set(xlabel="epoch", ylabel="accuracy", ylim=(0.9, 1.002))
    right.legend()
    fig.tight_layout()
    fig.savefig(folder / "learning_curve.png", dpi=120)

    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (truth, guess), 1)
    fig, ax = plt.subplots(figsize=(5, 4.6))
    ax.imshow(np.log1p(matrix), cmap="Blues")
    for i, j in zip(*np.nonzero(matrix), strict=True):
        ax.text(j, i, matrix[i, j], ha="center", va="center", color="white" if matrix[i, j] > 12 else "black")
    ax.set(xlabel="read as", ylabel="digit", xticks=range(10), yticks=range(10))
    fig.tight_layout()
    fig.savefig(folder / "confusion_matrix.png", dpi=120)

    wrong = np.nonzero(truth != guess)[0]
    columns = max(1, min(8, len(wrong)))
    rows = max(1, -(-len(wrong) // columns))
    fig, axes = plt.subplots(rows, columns, figsize=(1.4 * columns, 1.7 * rows), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, i in zip(axes.flat, wrong, strict=False):
        ax.imshow(test_set[int(i)][0][0].numpy(), cmap="gray_r")
        ax.set_title(f"{truth[i]} read as {guess[i]}", fontsize=8)
    fig.tight_layout()
    fig.savefig(folder / "misclassified.png", dpi=120)
    plt.close("all")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--epochs", type=int, default=TOTAL_EPOCHS, help=f"stop after this many of {TOTAL_EPOCHS} epochs"
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("out/digits"))
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint = args.out / "checkpoint.pt"

    start = time.perf_counter()
    tnn.manual_seed(args.seed)
    train_set, test_set = load_data(args.seed)
    train_loader = DataLoader(train_set, batch_size=args.batch, shuffle=True, drop_last=True)
    test_loader = DataLoader(test_set, batch_size=256)
    model = make_model()
    optimizer = tnn.optim.Adam(model.parameters(), lr=2e-3)
    schedule = tnn.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=TOTAL_EPOCHS * len(train_loader))
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
            loss, accuracy = train_epoch(model, train_loader, optimizer, schedule, bar)
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
    draw(args.out, history, truth, guess, test_set)
    right = int((truth == guess).sum())
    print(
        f"seed {args.seed}: loss {history[-1]['loss']:.6f}, test accuracy {right / len(truth):.2%} "
        f"({right} of {len(truth)}), {time.perf_counter() - start:.1f} s; pictures and checkpoint in {args.out}"
    )
    return right / len(truth)


if __name__ == "__main__":
    main()
