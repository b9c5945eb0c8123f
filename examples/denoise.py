"""Takes the noise out of photographs with a small U-Net, on scikit-learn's sample images china.jpg and flower.jpg.

    python examples/denoise.py                    trains, measures, writes pictures and a checkpoint to out/denoise
    python examples/denoise.py --resume           goes on from the checkpoint

The network learns from noisy patches of the left part of both pictures and is measured on the right part, which it has
not seen: PSNR = -10 log10(mean squared error), in dB. Needs the extra ``examples``.
"""

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from tqdm import tqdm

import tnn
from tnn import nn
from tnn.nn import functional as F

NOISE = 0.1
PATCH = 48
TOTAL_STEPS = 500


def block(inputs, outputs):
    """Two 3 x 3 convolutions, the first with group norm."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(4, outputs), nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1), nn.SiLU(),
    )  # fmt: skip


class UNet(nn.Module):
    """Two levels down and up with skips; predicts the noise (Ronneberger et al., arXiv 1505.04597)."""

    def __init__(self, width=16):
        super().__init__()
        self.first = block(3, width)
        self.second = block(width, 2 * width)
        self.bottom = block(2 * width, 4 * width)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.left2 = block(4 * width, 2 * width)
        self.up1 = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(2 * width, width, 1)
        )  # fmt: skip
        self.left1 = block(2 * width, width)
        self.out = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x):
        a = self.first(x)
        b = self.second(F.max_pool2d(a, 2))
        c = self.bottom(F.avg_pool2d(b, 2))
        b = self.left2(tnn.cat([self.up2(c), b], 1))
        a = self.left1(tnn.cat([self.up1(b), a], 1))
        return x - self.out(a)


def load_pictures():
    """Both pictures as (1, 3, H, W), cut in a left part to train on and a right part to measure on."""
    pictures = [tnn.tensor(p.transpose(2, 0, 1)[None].astype(np.float32) / 255) for p in load_sample_images().images]
    return [p[:, :, :424, :448] for p in pictures], [p[:, :, :424, 448:] for p in pictures]


def patches(pictures, count):
    """Random patches, half of them mirrored."""
    out = []
    for _ in range(count):
        p = pictures[tnn.randint(0, len(pictures), (1,)).item()]
        y = tnn.randint(0, p.shape[2] - PATCH + 1, (1,)).item()
        x = tnn.randint(0, p.shape[3] - PATCH + 1, (1,)).item()
        patch = p[0, :, y : y + PATCH, x : x + PATCH]
        out.append(patch.flip(2) if tnn.rand(1).item() < 0.5 else patch)
    return tnn.stack(out)


def psnr(a, b):
    """Peak signal-to-noise ratio in dB, for values in [0, 1]."""
    return -10 * np.log10(F.mse_loss(a.clamp(0, 1), b).item())


def measure(model, pictures):
    """(clean, noisy, cleaned) and both PSNRs for each picture, with noise of a fixed seed."""
    generator = tnn.Generator().manual_seed(1234)
    rows = []
    with tnn.no_grad():
        for clean in pictures:
            noisy = clean + NOISE * tnn.randn(clean.shape, generator=generator)
            cleaned = model(noisy)
            rows.append((clean, noisy, cleaned, psnr(noisy, clean), psnr(cleaned, clean)))
    return rows


def draw(folder, losses, rows):
    """The learning curve, and each picture clean, noisy and cleaned."""
    fig, ax = plt.subplots(figsize=(5, 3.2))
    ax.semilogy(losses, linewidth=0.7)
    ax.set(xlabel="step", ylabel="mean squared error")
    fig.tight_layout()
    fig.savefig(folder / "learning_curve.png", dpi=120)
    fig, axes = plt.subplots(len(rows), 3, figsize=(8, 8 * len(rows) / 2))
    for line, (clean, noisy, cleaned, before, after) in zip(axes, rows, strict=True):
        titles = ("clean", f"noisy, {before:.1f} dB", f"cleaned, {after:.1f} dB")
        for ax, image, title in zip(line, (clean, noisy, cleaned), titles, strict=True):
            ax.imshow(image[0].clamp(0, 1).permute(1, 2, 0).numpy())
            ax.set_title(title, fontsize=9)
            ax.axis("off")
    fig.tight_layout()
    fig.savefig(folder / "pictures.png", dpi=110)
    plt.close("all")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=TOTAL_STEPS, help=f"stop after this many of {TOTAL_STEPS} steps")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("out/denoise"))
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--smoke", action="store_true", help="a short run that shows that everything works")
    args = parser.parse_args(argv)
    if args.smoke:
        args.steps = 5
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    tnn.manual_seed(args.seed)
    train, test = load_pictures()
    model = UNet()
    optimizer = tnn.optim.Adam(model.parameters(), lr=2e-3)
    schedule = tnn.optim.lr_scheduler.CosineAnnealingLR(optimizer, TOTAL_STEPS, eta_min=1e-4)
    losses = []
    if args.resume:
        state = tnn.load(args.out / "checkpoint.pt")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        tnn.set_rng_state(state["random"])
        losses = state["losses"]

    with tqdm(total=args.steps - len(losses), disable=args.quiet, unit="step") as bar:
        while len(losses) < args.steps:
            clean = patches(train, args.batch)
            loss = F.mse_loss(model(clean + NOISE * tnn.randn(clean.shape)), clean)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            bar.update()
            bar.set_postfix(psnr=f"{-10 * np.log10(np.mean(losses[-20:])):.1f} dB")
    tnn.save(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "random": tnn.get_rng_state(),
            "losses": losses,
        },
        args.out / "checkpoint.pt",
    )
    rows = measure(model, test)
    draw(args.out, losses, rows)
    gain = float(np.mean([after - before for *_, before, after in rows]))
    print(
        f"PSNR {np.mean([r[3] for r in rows]):.2f} dB noisy, {np.mean([r[4] for r in rows]):.2f} dB cleaned: gain "
        f"{gain:.2f} dB, {time.perf_counter() - start:.1f} s; pictures and checkpoint in {args.out}"
    )
    return gain


if __name__ == "__main__":
    main()
