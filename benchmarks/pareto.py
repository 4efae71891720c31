"""Draw accuracy against seconds and against parameters: python benchmarks/pareto.py [--data mnist] [--output FILE]

From benchmarks/accuracy.json, which benchmarks/accuracy.py --json writes. A line joins the models that no other one
beats in both. "radix" are other radices of LDL 2 × 1024, which is of radix 4.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.transforms import Bbox

FILE = Path(__file__).parent / "accuracy.json"
FAMILIES = {
    "LDL": ("#0072b2", "o"),
    "RPP": ("#d55e00", "s"),
    "dense": ("#333333", "^"),
    "MLPClassifier": ("#333333", "v"),
    "logistic": ("#999999", "D"),
    "HistGradientBoosting": ("#009e73", "P"),
}


def front(costs, scores):
    """The indices of the points that no other one beats in cost and score, by cost."""
    best, kept = -np.inf, []
    for i in np.lexsort((-scores, costs)):
        if scores[i] > best:
            best = scores[i]
            kept.append(i)
    return kept


def short(name):
    """A name that fits beside a point."""
    for long, brief in (
        ("LDL (1024, 1024), radix", "radix"),
        ("(1024, 1024)", "2 × 1024"), ("(4096, 4096)", "2 × 4096"), ("(256, 256)", "2 × 256"), (" (1000, 1000),", ""),
        ("dense, as many parameters as LDL 2 × 1024", "dense, as small"), ("HistGradientBoosting", "boosted trees"),
    ):  # fmt: skip
        name = name.replace(long, brief)
    return name


def label(axes, texts, taken):
    """Write texts, of (x, y, text, options), where none covers another one or a point."""
    renderer = axes.figure.canvas.get_renderer()
    for x, y, text, options in texts:
        for place, align in (((8, -4), "left"), ((-8, -4), "right"), ((0, 9), "center"), ((0, -16), "center"),
                             ((8, 8), "left"), ((8, -16), "left"), ((-8, 8), "right"), ((-8, -16), "right"),
                             ((0, 20), "center"), ((0, -28), "center")):  # fmt: skip
            note = axes.annotate(text, (x, y), xytext=place, textcoords="offset points", ha=align, **options)
            box = note.get_window_extent(renderer)
            inside = axes.bbox.x0 < box.x0 and box.x1 < axes.bbox.x1
            if inside and not any(box.overlaps(other) for other in taken):
                break
            note.remove()
        else:
            note = axes.annotate(text, (x, y), xytext=(8, -4), textcoords="offset points", **options)
        taken.append(note.get_window_extent(renderer))


def draw(axes, results, cost, title):
    known = {name: result for name, result in results.items() if result.get(cost) is not None}
    costs = np.array([float(np.median(result[cost])) for result in known.values()])
    scores = np.array([np.mean(result["scores"]) for result in known.values()])
    on_front = front(costs, scores)
    errors = 100 * (1 - scores)
    axes.plot(costs[on_front], errors[on_front], color="#dddddd", linewidth=8, zorder=0, solid_capstyle="round")
    axes.set(xscale="log", yscale="log", xlabel=title, xlim=(costs.min() / 2, costs.max() * 5))
    worst, least = max(errors) * 1.15, min(errors) / 1.15
    ticks = [tick for tick in (0.5, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50) if least < tick < worst]
    axes.set_yticks(ticks, [f"{100 - tick:g}" for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.set_ylim(worst, least)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    texts = []
    for i, name in enumerate(known):
        color, marker = next(style for family, style in FAMILIES.items() if name.startswith(family))
        axes.plot(costs[i], errors[i], marker, color=color, markersize=8)
        weight = "bold" if i in on_front else "normal"
        texts.append((costs[i], errors[i], short(name), {"fontsize": 9, "color": color, "fontweight": weight}))
    axes.figure.canvas.draw()
    points = [axes.transData.transform((x, y)) for x, y, *_ in texts]
    label(axes, texts, [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in points])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--output", type=Path, default=Path("pareto.png"))
    options = parser.parse_args()
    results = json.loads(FILE.read_text())[options.data]
    # a hair from the same without it
    results.pop("LDL (1024, 1024), cosine", None)
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 6.5), sharey=True)
    figure.subplots_adjust(left=0.06, right=0.99, bottom=0.1, top=0.98, wspace=0.05)
    draw(left, results, "seconds", "seconds of a fit")
    draw(right, results, "parameters", "parameters")
    left.set_ylabel(f"test accuracy in %, {options.data}")
    figure.savefig(options.output, dpi=90)
    plt.close(figure)
    print(f"The picture is in {options.output}")


if __name__ == "__main__":
    main()
