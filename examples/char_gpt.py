"""Trains a small GPT, character by character, on the source text of Python's standard library, and lets it write.

    python examples/char_gpt.py                   trains; sample, learning curve and checkpoint go to out/char_gpt
    python examples/char_gpt.py --steps 200       stops early ...
    python examples/char_gpt.py --resume          ... and goes on from the checkpoint, to the numbers of one long run
    python examples/char_gpt.py --resume --prompt "class Parser"      writes on from a beginning of your own

Every tenth file is kept back to validate on. The loss is in nats a character. Needs the extra ``examples`` (tqdm,
matplotlib).
"""

import argparse
import math
import os
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

import tnn
from tnn import nn
from tnn.nn import functional as F

LAYERS, HEADS, WIDTH, CONTEXT = 4, 4, 128, 128
TOTAL_STEPS, WARM_UP, RATE, BATCH = 1000, 60, 2e-3, 32
# Printable ASCII and the line break; everything else reads as "?".
ALPHABET = "\n" + "".join(map(chr, range(32, 127)))


class GPT(nn.Module):
    """A decoder-only Transformer: layers that look back only, and the embedding's own weights at the output."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(len(ALPHABET), WIDTH)
        self.places = nn.Embedding(CONTEXT, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(CONTEXT), persistent=False)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)
        for layer in self.body.layers:
            for last in (layer.self_attn.out_proj, layer.linear2):
                nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * LAYERS))

    def forward(self, x):
        """Logits (batch, length, characters) for what follows each character of x (batch, length)."""
        n = x.shape[1]
        y = self.tokens(x) + self.places.weight[:n]
        y = self.body(y, mask=self.mask[:n, :n], is_causal=True)
        return F.linear(y, self.tokens.weight)


def load_text():
    """The standard library's text as numbers: to train on, and to validate on."""
    table = np.full(65536, ALPHABET.index("?"), np.int64)
    table[[ord(c) for c in ALPHABET]] = np.arange(len(ALPHABET))
    parts = ([], [])
    for i, path in enumerate(sorted(Path(os.__file__).parent.glob("*.py"))):
        text = path.read_text(encoding="utf-8", errors="replace").expandtabs(8)
        codes = np.array([min(ord(c), 65535) for c in text + "\n\n"], np.int64)
        parts[i % 10 == 9].append(table[codes])
    return tuple(np.concatenate(p) for p in parts)


def windows(text, starts):
    """Inputs and targets: CONTEXT characters from each start, and the same shifted by one."""
    rows = text[starts[:, None] + np.arange(CONTEXT + 1)]
    return tnn.tensor(rows[:, :-1]), tnn.tensor(rows[:, 1:])


def loss_of(model, x, y):
    """Mean cross entropy."""
    return F.cross_entropy(model(x).reshape(-1, len(ALPHABET)), y.reshape(-1))


@tnn.no_grad()
def validate(model, text, batches=16):
    """The mean loss over windows spread evenly over the text."""
    starts = np.linspace(0, len(text) - CONTEXT - 2, batches * 64).astype(np.int64)
    return sum(loss_of(model, *windows(text, s)).item() for s in np.split(starts, batches)) / batches


@tnn.no_grad()
def sample(model, prompt, length, temperature=0.8):
    """The prompt and ``length`` characters that the model adds."""
    known = [ALPHABET.index(c) if c in ALPHABET else ALPHABET.index("?") for c in prompt]
    for _ in range(length):
        logits = model(tnn.tensor([known[-CONTEXT:]]))[0, -1]
        known.append(int(tnn.multinomial((logits / temperature).softmax(-1), 1).item()))
    return "".join(ALPHABET[i] for i in known)


def rate_at(step):
    """The factor of the learning rate: a linear warm-up, then half a cosine down to a tenth."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    done = min(1.0, (step - WARM_UP) / (TOTAL_STEPS - WARM_UP))
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


def draw(path, history):
    """The learning curve."""
    fig, ax = plt.subplots(figsize=(6, 4))
    losses = np.array(history["loss"])
    smooth = min(20, len(losses))
    ax.plot(np.arange(len(losses)) + 1, losses, color="0.8", lw=0.7)
    ax.plot(
        np.arange(smooth, len(losses) + 1), np.convolve(losses, np.ones(smooth) / smooth, "valid"), label="training"
    )
    ax.plot([s for s, _ in history["validation"]], [v for _, v in history["validation"]], "o-", label="validation")
    ax.set(xlabel="step", ylabel="nats a character", ylim=(0.8, 4))
    ax.legend()
    fig.tight_layout()
    fig.savefig(path, dpi=120)
    plt.close(fig)


def make_optimizer(model):
    """AdamW, with weight decay for the matrices only, and the schedule of its learning rate."""
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = tnn.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.95))
    return optimizer, tnn.optim.lr_scheduler.LambdaLR(optimizer, rate_at)


def train(model, optimizer, schedule, text, held_back, history, steps, quiet):
    """Trains up to step ``steps``, and validates now and then."""
    first = len(history["loss"])
    with tqdm(total=TOTAL_STEPS, initial=first, disable=quiet, unit="step") as bar:
        for step in range(first, steps):
            starts = tnn.randint(0, len(text) - CONTEXT - 1, (BATCH,)).numpy()
            loss = loss_of(model, *windows(text, starts))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            history["loss"].append(loss.item())
            if (step + 1) % 250 == 0 or step + 1 == steps:
                history["validation"].append((step + 1, validate(model, held_back)))
            bar.update()
            recent = history["validation"][-1][1] if history["validation"] else math.nan
            bar.set_postfix(loss=f"{loss.item():.3f}", validation=f"{recent:.3f}")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=TOTAL_STEPS, help=f"stop after this many of {TOTAL_STEPS} steps")
    parser.add_argument("--out", type=Path, default=Path("out/char_gpt"))
    parser.add_argument("--prompt", default="def ", help="what the sample starts with")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--smoke", action="store_true", help="a short run that shows that everything works")
    args = parser.parse_args(argv)
    if args.smoke:
        args.steps = 3
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint = args.out / "checkpoint.pt"

    start = time.perf_counter()
    tnn.manual_seed(args.seed)
    text, held_back = load_text()
    model = GPT()
    optimizer, schedule = make_optimizer(model)
    history = {"loss": [], "validation": []}
    if args.resume:
        state = tnn.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        tnn.set_rng_state(state["random"])
        history = state["history"]
    first = len(history["loss"])
    size = sum(p.numel() for p in model.parameters())
    print(f"{len(text):,} characters to train on, {len(held_back):,} to validate on, {size:,} parameters")
    train(model, optimizer, schedule, text, held_back, history, args.steps, args.quiet)
    seconds = time.perf_counter() - start
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
    tnn.save({**state, "random": tnn.get_rng_state(), "history": history}, checkpoint)
    draw(args.out / "learning_curve.png", history)
    written = sample(model, args.prompt, 400)
    (args.out / "sample.txt").write_text(written)
    validation = history["validation"][-1][1]
    print(
        f"{written}\n\nseed {args.seed}: {len(history['loss']) - first} steps in {seconds:.0f} s, training loss "
        f"{np.mean(history['loss'][-50:]):.4f}, validation loss {validation:.4f} nats a character; curve, sample and "
        f"checkpoint in {args.out}"
    )
    return validation


if __name__ == "__main__":
    main()
