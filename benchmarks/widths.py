"""Accuracy against parameters and seconds, widths of 64 to 16384: python benchmarks/widths.py [--data FILE]

LDL and dense networks of two relu layers, default parameters, ten epochs, batches of 200; the dense layers are this
package's, with the same averages and rate. FILE is what examples/fashion_mnist_rpp.py takes with --data, of which
10,000 training images are learned; without it the data are scikit-learn's digits. Three seeds, one where a fit
takes more than half a minute; seconds are the median of the fits.
"""

import argparse
import time
import warnings

import numpy as np
from from_examples import n_parameters
from loss import load
from record import Record
from sklearn.exceptions import ConvergenceWarning

from ldlrpp import LDLClassifier, MixedClassifier, warmup

# Seconds; what takes longer is fitted once only.
SLOW = 30


def ldl(width, **options):
    return LDLClassifier((width, width), **options)


def dense(width, **options):
    return MixedClassifier([("dense", width)] * 2, **options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="a file of images")
    parser.add_argument("--rows", type=int, default=10_000, help="images that are learned")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--widest", type=int, default=14, help="logarithm of the largest width")
    Record.argument(parser)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are counted, not waited out
    warmup(np.float32)
    X, y, X_test, y_test = load(options.data)
    # of files that are sorted by class, too
    learned = np.random.default_rng(0).permutation(len(X))[: options.rows]
    X, y, X_test = X[learned] - X.mean(), y[learned], X_test - X.mean()
    record = Record(options)
    for name, kind in (("LDL", ldl), ("dense", dense)):
        add = record.table(name, "width", "parameters", "test accuracy", "s")
        for width in (2**log for log in range(6, options.widest + 1)):
            scores, seconds = [], []
            for seed in range(3):
                model = kind(width, max_iter=options.epochs, n_iter_no_change=options.epochs, random_state=seed)
                start = time.perf_counter()
                model.fit(X, y)
                seconds.append(time.perf_counter() - start)
                scores.append(model.score(X_test, y_test))
                if seconds[0] > SLOW:
                    break
            add(width, n_parameters(model), scores, np.median(seconds))


if __name__ == "__main__":
    main()
