"""For those who heard of LDL first: the original experiment, LDL against dense layers in one network of a regression.

The original text put three less dense layers of width 128, or three dense ones, between a random dense layer of 13
inputs that was not trained and a dense output, trained both on 404 rows of Boston's housing prices, and found a
validation loss of 62.8 with LDL and of 74.7 with dense layers, of one run each. Here the same network is trained from
ten seeds, each with a split of its own, and the curves are means and quartiles. Inputs and targets are standardised
(losses are squared errors in units of the targets again), the random layer comes before the network, and the output
layer is trained. Beside the layer as it was first written down (radix 2, normal initial weights of standard deviation
1/√2) stands what this package does by default.

Usage: python examples/ldl_regression.py [--data diabetes] [--seeds 10] [--epochs 60] [--output ldl_regression.png]

DATA is 'diabetes' (442 rows, in scikit-learn), 'boston' or 'california' (from OpenML, where it answers), or a CSV file
of numbers, whose first line names the columns and whose last column is the target.
"""

import argparse
import time
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import fetch_openml, load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split

from ldlrpp import LDLRegressor, MixedRegressor, warmup

WIDTH = 128
NETWORKS = {
    "LDL, as first written": lambda **options: LDLRegressor((WIDTH,) * 3, radix=2, init="normal", **options),
    "LDL, the defaults": lambda **options: LDLRegressor((WIDTH,) * 3, **options),
    "dense": lambda **options: MixedRegressor([("dense", WIDTH)] * 3, **options),
}
STYLES = {"LDL, as first written": ("C0", "--"), "LDL, the defaults": ("C0", "-"), "dense": ("C1", "-.")}


def load(name):
    """Inputs and targets."""
    if name == "diabetes":
        return load_diabetes(return_X_y=True)
    if name in ("boston", "california"):
        bunch = fetch_openml({"boston": "boston", "california": "california_housing"}[name], version=1, as_frame=True)
        X = bunch.data.select_dtypes("number").to_numpy(float)
        return np.nan_to_num(X), bunch.target.to_numpy(float)
    table = np.genfromtxt(name, delimiter=",", skip_header=1)
    return table[:, :-1], table[:, -1]


def split(X, y, seed):
    """Training and validation samples, standardised by the former, four fifths, inputs through the random layer."""
    parts = train_test_split(X, y, test_size=0.2, random_state=seed)
    X, X_val, y, y_val = parts
    mean, scale, center, unit = X.mean(axis=0), X.std(axis=0) + 1e-12, y.mean(), y.std()
    layer = np.random.default_rng(seed).standard_normal((X.shape[1], WIDTH)) / np.sqrt(X.shape[1])
    wide = [((part - mean) / scale @ layer).astype(np.float32) for part in (X, X_val)]
    return *wide, (y - center) / unit, (y_val - center) / unit, unit


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="diabetes")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--output", type=Path, default=Path("ldl_regression.png"))
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # all train for as many epochs
    warmup(np.float32)
    X, y = load(options.data)
    curves, seconds, parameters = {name: [] for name in NETWORKS}, {name: [] for name in NETWORKS}, {}
    ridge = []
    for seed in range(options.seeds):
        X_train, X_val, y_train, y_val, unit = split(X, y, seed)
        linear = RidgeCV(np.logspace(-3, 3, 13)).fit(X_train, y_train)
        ridge.append(unit**2 * mean_squared_error(y_val, linear.predict(X_val)))
        for name, make in NETWORKS.items():
            model = make(max_iter=options.epochs, n_iter_no_change=np.inf, learning_rate_init=0.001, random_state=seed)
            start = time.perf_counter()
            model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
            seconds[name].append(time.perf_counter() - start)
            # the loss is half of the squared error
            curves[name].append(2 * unit**2 * np.array(model.validation_loss_curve_))
            parameters[name] = model.n_parameters_
    print(f"{options.data}: {len(X)} rows, {X.shape[1]} inputs, {options.seeds} seeds, {options.epochs} epochs")
    print(f"{'network':<24}{'parameters':>11}{'s / fit':>9}{'last loss':>20}{'best loss':>20}")
    for name, found in curves.items():
        last, best = np.array(found)[:, -1], np.min(found, axis=1)
        cells = f"{parameters[name]:>11,}{np.median(seconds[name]):>9.2f}"
        print(f"{name:<24}{cells}{last.mean():>11.4g} ± {last.std():<6.2g}{best.mean():>11.4g} ± {best.std():<6.2g}")
    print(f"{'ridge regression':<24}{WIDTH + 1:>11,}{'':>9}{np.mean(ridge):>11.4g} ± {np.std(ridge):<6.2g}")
    print("The original text: 62.8 with LDL and 74.7 with dense layers, Boston's housing prices, one run.")
    draw(curves, np.mean(ridge), options)


def draw(curves, ridge, options):
    """Means of the validation losses over the seeds, quartiles as a shade."""
    figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
    epochs = np.arange(options.epochs) + 1
    for name, found in curves.items():
        color, line = STYLES[name]
        ax.plot(epochs, np.mean(found, axis=0), color=color, linestyle=line, label=name)
        ax.fill_between(epochs, *np.quantile(found, (0.25, 0.75), axis=0), color=color, alpha=0.12, linewidth=0)
    ax.axhline(ridge, color="0.4", linewidth=1, linestyle=":", label="ridge regression")
    ax.set(xlabel="epoch", ylabel="validation loss (mean squared error)", xlim=(1, options.epochs), yscale="log")
    ax.set_title(f"{options.data}: three layers of {WIDTH}, mean of {options.seeds} seeds")
    ax.legend()
    figure.savefig(options.output, dpi=110)
    print(f"The picture is {options.output}.")


if __name__ == "__main__":
    main()
