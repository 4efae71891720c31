"""Draw accuracy against seconds and against parameters: python benchmarks/pareto.py [--data mnist] [--output FILE]

From benchmarks/accuracy.json, which benchmarks/accuracy.py --json writes. A line joins the models that no other one
beats in both.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

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


def draw(axes, results, cost, label):
    known = {name: result for name, result in results.items() if result.get(cost) is not None}
    names = list(known)
    costs = np.array([float(np.median(result[cost])) for result in known.values()])
    scores = np.array([np.mean(result["scores"]) for result in known.values()])
    on_front = front(costs, scores)
    axes.plot(costs[on_front], scores[on_front], color="#cccccc", linewidth=6, zorder=0, solid_capstyle="round")
    for i, name in enumerate(names):
        color, marker = next(style for family, style in FAMILIES.items() if name.startswith(family))
        axes.plot(costs[i], scores[i], marker, color=color, markersize=8)
        short = name.replace("as many parameters as LDL (1024, 1024)", "as small as LDL").replace(
            "LDL (1024, 1024)", "LDL (1024, 1024)"
        )
        axes.annotate(
            short, (costs[i], scores[i]), xytext=(6, -4), textcoords="offset points", fontsize=8, color=color,
            fontweight="bold" if i in on_front else "normal",
        )  # fmt: skip
    axes.set(xscale="log", xlabel=label)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--output", type=Path, default=Path("pareto.png"))
    options = parser.parse_args()
    results = json.loads(FILE.read_text())[options.data]
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained", sharey=True)
    draw(left, results, "seconds", "seconds of a fit")
    draw(right, results, "parameters", "parameters")
    left.set_ylabel(f"test accuracy, {options.data}")
    figure.savefig(options.output, dpi=90)
    plt.close(figure)
    print(f"The picture is in {options.output}")


if __name__ == "__main__":
    main()
