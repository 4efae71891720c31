"""For those who build networks: layers of several kinds in one, compared on an even footing, a table.

A wide butterfly or wide permuted weights can stand before a narrow dense layer, which learns from all of their outputs;
after one another they cost a part of what dense layers of their widths do.

Usage: python examples/mixed_networks.py [--data FILE_OR_FOLDER] [--epochs 30]

Without --data the images are scikit-learn's digits; with it, what examples/fashion_mnist_rpp.py takes.
"""

import argparse
import time
import warnings
from pathlib import Path

from fashion_mnist_rpp import load
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from ldlrpp import MixedClassifier, warmup

NETWORKS = {
    "dense": [("dense", 1024), ("dense", 64)],
    "LDL, dense": [("ldl", 1024), ("dense", 64)],
    "RPP, dense": [("rpp", 1000, {"n_permutations": 100}), ("dense", 64)],
    "LDL, RPP": [("ldl", 1024), ("rpp", 1000, {"n_permutations": 100})],
    "LDL, RPP, dense": [("ldl", 1024), ("rpp", 1000, {"n_permutations": 100}), ("dense", 64)],
    "dense, narrow": [("dense", 64), ("dense", 64)],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="npz with x_train, y_train[, x_test, y_test], or folder of IDX files")
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # all networks see as many epochs

    if options.data:
        name, X_train, y_train, X_test, y_test = load(options.data)
    else:
        name, (X, y) = "digits", load_digits(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X.astype("f") / 16, y, stratify=y, random_state=0)
    print(f"{name}: {len(X_train)} training and {len(X_test)} test images, {options.epochs} epochs\n")
    warmup(X_train.dtype)
    print(f"{'hidden layers':<18}{'parameters':>12}{'if dense':>12}{'loss':>9}{'test accuracy':>15}{'s / epoch':>11}")
    for name, layers in NETWORKS.items():
        model = MixedClassifier(layers, max_iter=options.epochs, random_state=0)
        start = time.perf_counter()
        model.fit(X_train, y_train)
        seconds = (time.perf_counter() - start) / model.n_iter_
        sizes = f"{model.n_parameters_:>12,}{model.n_parameters_dense_:>12,}"
        print(f"{name:<18}{sizes}{model.loss_:>9.4f}{model.score(X_test, y_test):>15.4f}{seconds:>11.3f}", flush=True)


if __name__ == "__main__":
    main()
