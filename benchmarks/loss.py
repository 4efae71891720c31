"""Training loss against seconds, beside MLPClassifier: python benchmarks/loss.py [--data FILE] [--json FILE]

Two relu layers of 1024 (RPP: 1000, k = 100), default parameters, an epoch at a time by `partial_fit`, after one of a
few rows that compiles; each network in a process of its own, with all threads. FILE is what
examples/fashion_mnist_rpp.py takes with --data; without it the data are scikit-learn's digits.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from record import Record
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

WIDTHS = (1024, 1024)


def ldl():
    from ldlrpp import LDLClassifier

    return LDLClassifier(WIDTHS, random_state=0)


def rpp():
    from ldlrpp import RPPClassifier

    return RPPClassifier((1000, 1000), n_permutations=100, random_state=0)


def dense():
    from ldlrpp import MixedClassifier

    return MixedClassifier([("dense", width) for width in WIDTHS], random_state=0)


def scikit():
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(WIDTHS, random_state=0)


NETWORKS = {"LDL": ldl, "RPP, k = 100": rpp, "dense, of this package": dense, "MLPClassifier": scikit}


def load(file):
    """Images as rows from 0 to 1, float32, and labels, for training and for testing."""
    if file is None:
        X, y = load_digits(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split((X / 16).astype(np.float32), y, random_state=0)
        return X_train, y_train, X_test, y_test
    with np.load(file) as arrays:
        parts = [arrays[name] for name in ("x_train", "y_train", "x_test", "y_test")]
    for i in (0, 2):
        parts[i] = parts[i].reshape(len(parts[i]), -1).astype(np.float32) / 255
    return parts


def measure(name, file, epochs):
    """Seconds of training so far and the training loss after every epoch, and the test accuracy in the end."""
    warnings.simplefilter("ignore")
    X, y, X_test, y_test = load(file)
    NETWORKS[name]().partial_fit(X[:400], y[:400], classes=np.unique(y))
    model, passed, found = NETWORKS[name](), 0.0, {"seconds": [], "loss": []}
    for _ in range(epochs):
        start = time.perf_counter()
        model.partial_fit(X, y, classes=np.unique(y))
        passed += time.perf_counter() - start
        found["seconds"].append(round(passed, 4))
        found["loss"].append(round(float(model.loss_), 6))
    return {**found, "accuracy": model.score(X_test, y_test)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    Record.argument(parser)
    parser.add_argument("--network", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.network:
        print(json.dumps(measure(options.network, options.data, options.epochs)))
        return
    record, last = Record(options), []
    print("digits" if options.data is None else options.data.stem)
    for name in NETWORKS:
        command = [sys.executable, __file__, "--network", name, "--epochs", str(options.epochs)]
        command += [] if options.data is None else ["--data", str(options.data)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        add = record.table(name, "epoch", "s", "training loss")
        for row in zip(range(1, options.epochs + 1), found["seconds"], found["loss"], strict=True):
            add(*row)
        last.append((name, found["seconds"][-1], found["loss"][-1], found["accuracy"]))
    add = record.table("networks", "", "s", "training loss", "test accuracy")
    for row in last:
        add(*row)


if __name__ == "__main__":
    main()
