"""What the estimators' defaults rest on: python benchmarks/defaults.py --data FILE...

One default at a time is changed, and the networks are scored on validation samples that are no one's test samples: two
fifths of each of scikit-learn's data sets, and of the files' training images all but the first 2,200 of few and all
but 8,000 of many (of which 10,000 are scored). Mean over the seeds, accuracy or, for diabetes, R².
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from accuracy import LDL_WIDTHS, RPP_WIDTHS, TABLES, images
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from ldlrpp import LDLClassifier, LDLRegressor, RPPClassifier, RPPRegressor, warmup
from ldlrpp.network import LDL

LDL_VARIANTS = {
    "the defaults": {},
    **{f"learning_rate_init={rate}": {"learning_rate_init": rate} for rate in (0.0005, 0.002, 0.004, 0.01)},
    **{
        f"learning_rate='{kind}', learning_rate_init=0.004": {"learning_rate": kind, "learning_rate_init": 0.004}
        for kind in ("cosine", "onecycle")
    },
    "init='normal'": {"init": "normal"},
    "input_expansion='pad'": {"input_expansion": "pad"},
    "1 layer": {"hidden_layer_sizes": LDL_WIDTHS[:1]},
    "3 layers": {"hidden_layer_sizes": LDL_WIDTHS[:1] * 3},
    **{f"dropout={rate}": {"dropout": rate} for rate in (0.1, 0.3)},
    "alpha=0.1": {"alpha": 0.1},
    **{f"alpha={alpha}, on butterflies too": {"alpha": alpha} for alpha in (0.01, 0.1, 1.0)},
}
RPP_VARIANTS = {
    "the defaults": {},
    "learning_rate_init=0.003": {"learning_rate_init": 0.003},
    "n_permutations=100": {"n_permutations": 100},
    "1 layer": {"hidden_layer_sizes": RPP_WIDTHS[:1]},
}


def splits(files):
    """Training samples, validation samples and epochs, by the name of the data."""
    for name, loader in TABLES.items():
        X, y = loader(return_X_y=True)
        X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.4, random_state=1)
        scaler = StandardScaler().fit(X_train)
        if loader is load_diabetes:
            y_train, y_val = ((a - y_train.mean()) / y_train.std() for a in (y_train, y_val))
        yield name, (scaler.transform(X_train).astype("f"), y_train, scaler.transform(X_val).astype("f"), y_val, 100)
    for file in files:
        name, (X, y, _, _) = images(file)
        order = np.random.default_rng(0).permutation(len(X))
        first, epochs = (8000, 20) if len(X) > 10_000 else (2200, 40)
        train, val = order[:first], order[first : first + 10_000]
        yield name, (X[train], y[train], X[val], y[val], epochs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are counted, not waited out
    warmup(np.float32)
    data = dict(splits(options.data))
    for kinds, widths, variants in (
        ((LDLClassifier, LDLRegressor), LDL_WIDTHS, LDL_VARIANTS),
        ((RPPClassifier, RPPRegressor), RPP_WIDTHS, RPP_VARIANTS),
    ):
        print(f"\n| {kinds[0].__name__[:3]} {widths} | {' | '.join(data)} |\n|---|{'---|' * len(data)}")
        for label, parameters in variants.items():
            LDL.decayed = ("weights",) if "butterflies" in label else ()
            means = []
            for X_train, y_train, X_val, y_val, epochs in data.values():
                kind = kinds[np.issubdtype(y_train.dtype, np.floating)]
                scores = []
                for seed in range(options.seeds):
                    common = {"hidden_layer_sizes": widths, "max_iter": epochs, "n_iter_no_change": epochs}
                    model = kind(**{**common, "random_state": seed, **parameters}).fit(X_train, y_train)
                    scores.append(model.score(X_val, y_val))
                means.append(f"{np.mean(scores):.3f}")
            print(f"| {label} | {' | '.join(means)} |", flush=True)


if __name__ == "__main__":
    main()
