"""Accuracy beside dense networks, linear models and boosted trees: python benchmarks/accuracy.py --data FILE...

Four of scikit-learn's data sets, and every FILE that examples/fashion_mnist_rpp.py takes with --data. Networks take the
same number of epochs, which those with a constant learning rate are held to by n_iter_no_change, for by default they
stop when the training loss stands still; all else is, but for what a name says, the default. "dense" are this
package's dense layers with the defaults of all its networks, MLPClassifier is scikit-learn's. A quarter of the data is
for testing; of a file its test images, or a sixth. Seeds change initial weights, the order of samples and the split; a
file's split stays. Scores are accuracies, R² for diabetes, mean ± standard deviation over the seeds; seconds are the
median of the fits. What takes more than half a minute is fitted twice, and models that are not of this package once
where there are more than 10,000 samples.
"""

import argparse
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
from from_examples import dense_width, load, n_parameters
from record import Record
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from ldlrpp import (
    LDLClassifier,
    LDLRegressor,
    MixedClassifier,
    MixedRegressor,
    RPPClassifier,
    RPPRegressor,
    kernels,
    warmup,
)  # fmt: skip

TABLES = {"digits": load_digits, "breast cancer": load_breast_cancer, "wine": load_wine, "diabetes": load_diabetes}
LDL_WIDTHS, RPP_WIDTHS = (1024, 1024), (1000, 1000)
# Seconds; what takes longer is fitted twice only.
SLOW = 30


def table(loader, seed):
    """Training and test data, every feature (of a regression the target as well) to mean 0 and variance 1."""
    X, y = loader(return_X_y=True)
    regression = loader is load_diabetes
    X_train, X_test, y_train, y_test = train_test_split(
        X.astype(np.float32), y, stratify=None if regression else y, random_state=seed
    )
    scaler = StandardScaler().fit(X_train)
    if regression:
        mean, deviation = y_train.mean(), y_train.std()
        y_train, y_test = (y_train - mean) / deviation, (y_test - mean) / deviation
    return scaler.transform(X_train), y_train, scaler.transform(X_test), y_test


def images(file):
    name, X_train, y_train, X_test, y_test = load(file)
    mean = X_train.mean()
    return name, (X_train - mean, y_train, X_test - mean, y_test)


def models(n_inputs, n_outputs, regression, epochs, seed):
    """What is compared, by name."""
    ldl, rpp, mixed, mlp, trees = (
        (LDLRegressor, RPPRegressor, MixedRegressor, MLPRegressor, HistGradientBoostingRegressor)
        if regression
        else (LDLClassifier, RPPClassifier, MixedClassifier, MLPClassifier, HistGradientBoostingClassifier)
    )
    common = {"max_iter": epochs, "random_state": seed}
    options = {**common, "n_iter_no_change": epochs}

    def dense(*widths):
        return mixed([("dense", width) for width in widths], **options)

    butterflies = (1 << (max(pair) - 1).bit_length() for pair in pairwise([n_inputs, *LDL_WIDTHS]))
    size = sum(map(kernels.ldl_n_parameters, butterflies)) + (LDL_WIDTHS[-1] + 1) * n_outputs
    width = dense_width(n_inputs, n_outputs, size)
    return {
        "LDL 1024": ldl(**options),
        "LDL (1024, 1024)": ldl(LDL_WIDTHS, **options),
        "LDL (1024, 1024), cosine": ldl(LDL_WIDTHS, learning_rate="cosine", **common),
        **{f"LDL (1024, 1024), radix {radix}": ldl(LDL_WIDTHS, radix=radix, **options) for radix in (2, 8, 16, 32)},
        "LDL (4096, 4096)": ldl((4096, 4096), **options),
        "RPP (1000, 1000), k = 10": rpp(RPP_WIDTHS, **options),
        "RPP (1000, 1000), k = 100": rpp(RPP_WIDTHS, n_permutations=100, **options),
        "dense, as many parameters as LDL (1024, 1024)": dense(width, width),
        "dense (256, 256)": dense(256, 256),
        "dense (1024, 1024)": dense(1024, 1024),
        "MLPClassifier (1024, 1024)": mlp(hidden_layer_sizes=(1024, 1024), **options),
        "ridge regression" if regression else "logistic regression": (
            Ridge() if regression else LogisticRegression(max_iter=200)
        ),
        "HistGradientBoosting": trees(random_state=seed),
    }


def compare(record, name, split, seeds, only):
    """Fit all models to a data set; ``split`` gives the data of a seed."""
    results = {}
    for seed in range(seeds):
        X_train, y_train, X_test, y_test = split(seed)
        epochs = 100 if len(X_train) < 2000 else 30 if len(X_train) < 10_000 else 10
        regression = np.issubdtype(np.asarray(y_train).dtype, np.floating)
        n_outputs = 1 if regression or len(np.unique(y_train)) == 2 else len(np.unique(y_train))
        for label, model in models(X_train.shape[1], n_outputs, regression, epochs, seed).items():
            if not label.startswith(only):
                continue
            result = results.setdefault(label, {"scores": [], "seconds": []})
            if seed and len(X_train) > 10_000 and not hasattr(model, "average"):
                continue
            if seed > 1 and max(result["seconds"]) > SLOW:
                continue
            start = time.perf_counter()
            model.fit(X_train, y_train)
            result["seconds"].append(time.perf_counter() - start)
            result["scores"].append(model.score(X_test, y_test))
            result["parameters"] = n_parameters(model)
            # OpenBLAS's threads wait actively for a while, and would take time from whoever is next
            time.sleep(0.3)
    print(f"\n{len(X_train)} + {len(X_test)} samples of {X_train.shape[1]} features, {epochs} epochs")
    add = record.table(name, "model", "score", "parameters", "s")
    for label, result in results.items():
        add(label, result["scores"], result["parameters"], np.median(result["seconds"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--tables", nargs="*", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[""], help="what the names of models begin with")
    Record.argument(parser)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are counted, not waited out
    warmup(np.float32)
    record = Record(options)
    splits = {name: lambda seed, loader=TABLES[name]: table(loader, seed) for name in options.tables}
    for file in options.data:
        name, data = images(file)
        splits[name] = lambda seed, data=data: data
    for name, split in splits.items():
        compare(record, name, split, options.seeds, tuple(options.only))


if __name__ == "__main__":
    main()
