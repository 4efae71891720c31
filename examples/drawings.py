"""What the two layers are, in two drawings: a butterfly, and a column of weights seen through permutations.

Usage: python examples/drawings.py [--output docs]
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from ldlrpp import kernels

BLUE, PALE, GREY = "#0072b2", "#dcebf5", "#c4c4c4"


def draw_butterfly(path, width=8):
    """The paths from all inputs to one output of a butterfly."""
    n_stages = width.bit_length() - 1
    figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    seen = {0}  # positions that the output depends on, from the last stage to the first
    for s in reversed(range(n_stages)):
        h = width >> (s + 1)
        for p in range(width):
            for q in (p, p ^ h):
                color, order = (BLUE, 2) if p in seen else (GREY, 1)
                ax.plot([s, s + 1], [q, p], color=color, linewidth=2 if p in seen else 1.2, zorder=order)
        ax.scatter([s + 1] * width, range(width), s=80, c=[BLUE if p in seen else GREY for p in range(width)], zorder=3)
        ax.text(s + 0.5, -0.75, f"stage {s}\n{h} apart", ha="center", va="bottom")
        seen |= {p ^ h for p in seen}
    ax.scatter([0] * width, range(width), s=80, c=BLUE, zorder=3)
    for p in range(width):
        ax.text(-0.15, p, f"x[{p}]", ha="right", va="center")
        ax.text(n_stages + 0.15, p, f"y[{p}]", ha="left", va="center", color=BLUE if p == 0 else "black")
    ax.set_ylim(width - 0.7, -1.5)
    _save(figure, ax, path)


def draw_permuted_column(path, n_inputs=6, n_permutations=4):
    """One column of hidden weights, and the columns of the wide matrix that it becomes."""
    figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    orders = kernels.rpp_permutation(n_inputs, 1, n_permutations, seed=7)[:, :, 0]
    columns = [(0.0, np.arange(n_inputs), "kept")]
    columns += [(2.5 + 1.25 * h, order, f"used, h = {h}") for h, order in enumerate(orders)]
    for x, order, title in columns:
        ax.text(x + 0.5, -0.2, title, ha="center", va="bottom")
        for i, weight in enumerate(order):
            kept = weight == 0
            ax.add_patch(Rectangle((x, i), 1, 0.9, facecolor=BLUE if kept else PALE, edgecolor="white"))
            ax.text(x + 0.5, i + 0.45, f"w{weight}", ha="center", va="center", color="white" if kept else "black")
    ax.annotate("", (2.3, n_inputs / 2), (1.2, n_inputs / 2), arrowprops={"arrowstyle": "->", "color": "black"})
    ax.text(1.75, n_inputs / 2 - 0.15, "seed", ha="center", va="bottom")
    ax.set(xlim=(-0.4, 7.6), ylim=(n_inputs + 0.1, -0.9))
    _save(figure, ax, path)


def _save(figure, ax, path):
    ax.axis("off")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("docs"), help="the folder of the pictures")
    options = parser.parse_args()
    for name, draw in {"butterfly": draw_butterfly, "permuted_column": draw_permuted_column}.items():
        draw(options.output / f"{name}.png")
        print(f"The picture is in {options.output / name}.png")


if __name__ == "__main__":
    main()
