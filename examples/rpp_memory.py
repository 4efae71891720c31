"""What a parameter is worth: the accuracy of RPP's networks against the parameters that they store.

Two relu layers of width 1000, whose columns are seen through k = 1, 3, 10, … 1000 permutations, and for each of them a
dense network with as many parameters. All of RPP's do the multiplications of the dense network of width 1000, which is
the last of the dense ones: k divides what is stored, not what is computed.

Usage: python examples/rpp_memory.py [--data FILE_OR_FOLDER] [--epochs 5] [--seeds 1] [--output rpp_memory.png]

--data is what examples/fashion_mnist_rpp.py takes, and where there is none it fetches.
"""

import argparse
import time
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from fashion_mnist_rpp import load
from sklearn.exceptions import ConvergenceWarning

from ldlrpp import MixedClassifier, RPPClassifier, warmup

COLORS = {"RPP": "#0072b2", "RPP, signs=False": "#56b4e9", "dense": "#d55e00"}


def rpp_parameters(n_inputs, width, n_outputs, k):
    """Two layers of ⌈width / k⌉ hidden columns and ``width`` biases, and the output layer."""
    return -(-width // k) * (n_inputs + width) + 2 * width + (width + 1) * n_outputs


def dense_width(n_inputs, n_outputs, n_parameters):
    """Width of the two layers of a dense network with about so many parameters, from w² + (m + n + 2) w + n."""
    b = n_inputs + n_outputs + 2
    return max(1, round((np.sqrt(b * b + 4 * (n_parameters - n_outputs)) - b) / 2))


def networks(n_inputs, n_outputs, width, permutations, **common):
    """Series, name and classifier of each network."""
    for label, options in {"RPP": {}, "RPP, signs=False": {"signs": False}}.items():
        for k in permutations:
            yield label, f"k = {k}", RPPClassifier((width, width), n_permutations=k, **options, **common)
    for k in reversed(permutations):
        w = dense_width(n_inputs, n_outputs, rpp_parameters(n_inputs, width, n_outputs, k))
        yield "dense", f"width {w}", MixedClassifier([("dense", w)] * 2, **common)


def draw(series, title, path):
    """A line for each series through (parameters, accuracy, name) of its networks."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for label, points in series.items():
        sizes, scores, names = zip(*sorted(points), strict=True)
        axes.semilogx(sizes, scores, "o-", color=COLORS[label], linewidth=2, markersize=5, label=label)
        # names stand on the side where no other line is
        left = {"RPP": True, "dense": False}.get(label)
        for point in zip(sizes, scores, names, strict=True) if left is not None else ():
            axes.annotate(
                point[2], point[:2], (-5, 7) if left else (6, -4), textcoords="offset points", fontsize=8,
                ha="right" if left else "left", va="bottom" if left else "top", color=COLORS[label],
            )  # fmt: skip
    axes.set(xlabel="parameters stored", ylabel="test accuracy", title=title)
    axes.margins(x=0.12, y=0.1)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="npz with x_train, y_train[, x_test, y_test], or folder of IDX files")
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--permutations", type=int, nargs="+", default=[1, 3, 10, 30, 100, 300, 1000])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("rpp_memory.png"))
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # all networks see as many epochs

    data, X_train, y_train, X_test, y_test = load(options.data)
    mean = X_train.mean()
    X_train, X_test = X_train - mean, X_test - mean
    print(f"{data}: {len(X_train)} training and {len(X_test)} test images, {options.epochs} epochs\n")
    warmup(X_train.dtype)
    shape = X_train.shape[1], len(np.unique(y_train)), options.width, sorted(options.permutations)
    common = {"max_iter": options.epochs, "n_iter_no_change": options.epochs}
    print("| | network | parameters stored | kB | test accuracy | s / epoch |\n|---|---|---|---|---|---|")
    series = {}
    for label, name, model in networks(*shape, **common):
        scores, seconds = [], 0.0
        for seed in range(options.seeds):
            start = time.perf_counter()
            model.set_params(random_state=seed).fit(X_train, y_train)
            seconds += time.perf_counter() - start
            scores.append(model.score(X_test, y_test))
        size, score = model.n_parameters_, float(np.mean(scores))
        series.setdefault(label, []).append((size, score, name))
        spread = f" ± {np.std(scores):.4f}" if options.seeds > 1 else ""
        seconds /= options.seeds * options.epochs
        print(
            f"| {label} | {name} | {size:,} | {size * 4 / 1000:,.0f} | {score:.4f}{spread} | {seconds:.2f} |",
            flush=True,
        )
    title = f"{data}, {options.epochs} epochs: two layers of width {options.width} from ever fewer parameters"
    draw(series, title, options.output)
    print(f"\nThe picture is in {options.output}")


if __name__ == "__main__":
    main()
