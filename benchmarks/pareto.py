"""Accuracy against seconds and against parameters: a line joins the models that no other one beats in both.

"radix" are other radices of LDL 2 × 1024, which is of radix 4.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.transforms import Bbox

#: Colour, that of texts if none, and marker.
FAMILIES = {
    "LDL": ("#0072b2", "o"),
    "RPP": ("#d55e00", "s"),
    "dense": (None, "^"),
    "MLPClassifier": (None, "v"),
    "logistic": ("#8a8a8a", "D"),
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


def pareto(found, axes, paper, data="mnist"):
    """From the tables of `accuracy.py`."""
    # the cosine is a hair from the same without it
    results = [row for row in found[data]["rows"] if not row[0].endswith("cosine")]
    axes[0].set_ylabel(f"test accuracy in %, {data.upper()}")
    for ax, place, title in zip(axes, (3, 2), ("seconds of a fit", "parameters"), strict=True):
        known = [row for row in results if row[place] is not None]
        _draw(ax, [row[0] for row in known], [np.mean(row[1]) for row in known], [row[place] for row in known], title)


def _draw(axes, names, scores, costs, title):
    ink, costs, scores = plt.rcParams["text.color"], np.array(costs), np.array(scores)
    on_front = front(costs, scores)
    errors = 100 * (1 - scores)
    axes.plot(costs[on_front], errors[on_front], color=ink, alpha=0.15, linewidth=8, zorder=0, solid_capstyle="round")
    axes.set(xscale="log", yscale="log", xlabel=title, xlim=(costs.min() / 2, costs.max() * 5))
    worst, least = max(errors) * 1.15, min(errors) / 1.15
    ticks = [tick for tick in (0.5, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50) if least < tick < worst]
    axes.set_yticks(ticks, [f"{100 - tick:g}" for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.set_ylim(worst, least)
    axes.spines[["top", "right"]].set_visible(False)
    texts = []
    for i, name in enumerate(names):
        color, marker = next(style for family, style in FAMILIES.items() if name.startswith(family))
        color = color or ink
        axes.plot(costs[i], errors[i], marker, color=color, markersize=8)
        weight = "bold" if i in on_front else "normal"
        texts.append((costs[i], errors[i], short(name), {"fontsize": 9, "color": color, "fontweight": weight}))
    axes.figure.canvas.draw()
    points = [axes.transData.transform((x, y)) for x, y, *_ in texts]
    label(axes, texts, [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in points])
