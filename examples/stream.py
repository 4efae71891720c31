"""For those with a stream: partial_fit on chunks as they come, and a world that changes under way.

Chunks of points with a label that depends on products of their coordinates; half-way the rule changes. Every chunk is
first predicted, then learned: the picture shows the accuracy on chunks not yet seen, beside that of a linear model and
of a network that is left alone after the first half.

Usage: python examples/stream.py [--chunks 120] [--output stream.png]
"""

import argparse
import copy
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import SGDClassifier

from ldlrpp import LDLClassifier

N_FEATURES = 16
ROWS = 500


def stream(n_chunks, seed=0):
    """Chunks of inputs and labels; the rule is another one from the middle on."""
    rng = np.random.default_rng(seed)
    rules = rng.permutation(N_FEATURES).reshape(2, 2, -1)
    for chunk in range(n_chunks):
        X = rng.standard_normal((ROWS, N_FEATURES), dtype=np.float32)
        left, right = rules[2 * chunk // n_chunks]
        yield X, (X[:, left] * X[:, right]).sum(axis=1) > 0


def accuracies(n_chunks):
    """Accuracy on every chunk but the first, before it is learned, by model."""
    learners = {
        "LDLClassifier": LDLClassifier((512, 512), random_state=0),
        "linear (SGDClassifier)": SGDClassifier(random_state=0),
    }
    results = {name: [] for name in [*learners, "LDLClassifier, first half only"]}
    left_alone = None
    for number, (X, y) in enumerate(stream(n_chunks)):
        if 2 * number >= n_chunks and left_alone is None:
            left_alone = copy.deepcopy(learners["LDLClassifier"])
        for name, model in learners.items():
            if number:
                results[name].append(model.score(X, y))
            model.partial_fit(X, y, classes=[False, True])
        if left_alone is not None:
            results["LDLClassifier, first half only"].append(left_alone.score(X, y))
    return results


def draw(results, n_chunks, path):
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    styles = dict(zip(results, [("#0072b2", "-"), ("#999999", "-"), ("#56b4e9", "--")], strict=True))
    for name, values in results.items():
        chunks = np.arange(n_chunks - len(values), n_chunks) + 1
        color, style = styles[name]
        axes.plot(chunks, values, style, color=color, linewidth=2, label=name)
    axes.axvline(n_chunks / 2 + 0.5, color="#d55e00", linewidth=1)
    axes.text(n_chunks / 2 + 1, 0.99, "the rule changes", color="#d55e00", va="top")
    axes.set(xlabel=f"chunk of {ROWS} samples", ylabel="accuracy before it is learned", ylim=(0.3, 1))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, default=120)
    parser.add_argument("--output", type=Path, default=Path("stream.png"))
    options = parser.parse_args()
    results = accuracies(options.chunks)
    last = max(1, options.chunks // 12)
    print(f"accuracy on the last {last} of {options.chunks} chunks, each before it was learned")
    for name, values in results.items():
        print(f"{name:<32}{np.mean(values[-last:]):.3f}")
    draw(results, options.chunks, options.output)
    print(f"The picture is in {options.output}")


if __name__ == "__main__":
    main()
