"""Accuracy of RPP's variants: python benchmarks/rpp_variants.py FILE...

Files are what examples/fashion_mnist_rpp.py takes with --data. Two relu layers of width 1000, 10 columns of weights
seen through 100 permutations, batches of 200: columns with permutations of their own, with and without signs, against
columns that share them (Adam), and what the gradient of a weight, a sum over its 100 copies, is divided by (SGD with
one seed, at several learning rates; Adam divides it out).
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from from_examples import load
from record import Record
from sklearn.exceptions import ConvergenceWarning

from ldlrpp import RPPClassifier


def scores(data, n_seeds, **options):
    """Test accuracy and last training loss for every seed; none where training diverged."""
    _, X_train, y_train, X_test, y_test = data
    results = []
    for seed in range(n_seeds):
        model = RPPClassifier((1000, 1000), n_permutations=100, random_state=seed, n_iter_no_change=np.inf, **options)
        try:
            model.fit(X_train, y_train)
        except ValueError as error:
            if "diverged" not in str(error):
                raise
            continue
        results.append((model.score(X_test, y_test), model.loss_))
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--epochs", type=int, help="epochs (default: 30, or 4 for more than 10,000 images)")
    parser.add_argument("--seeds", type=int, default=3)
    Record.argument(parser)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    record = Record(options)
    for file in options.files:
        data = load(file)
        epochs = options.epochs or (4 if len(data[1]) > 10_000 else 30)
        print(f"\n{data[0]}, {len(data[1])} images, {epochs} epochs, {options.seeds} seeds")
        add = record.table(data[0], "variant", "test accuracy", "training loss")

        def row(title, n_seeds, add=add, data=data, epochs=epochs, **parameters):
            results = scores(data, n_seeds, max_iter=epochs, **parameters)
            accuracy, loss = zip(*results, strict=True) if results else ("diverged", ())
            add(title, accuracy, np.mean(loss) if loss else None)

        row("Adam, a permutation for every column", options.seeds)
        row("Adam, columns that share permutations", options.seeds, share_columns=True)
        row("Adam, no signs", options.seeds, signs=False)
        for grad_scale in ("sum", "sqrt", "mean"):
            for rate in (0.001, 0.01, 0.1):
                sgd = {"solver": "sgd", "learning_rate_init": rate, "grad_scale": grad_scale}
                row(f"SGD, learning rate {rate}, {grad_scale}", 1, **sgd)


if __name__ == "__main__":
    main()
