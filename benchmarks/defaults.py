"""What the estimators' defaults rest on: python benchmarks/defaults.py --data FILE... [--only "LDL rates" ...]

Learning rates, averages and batches of every kind of network, and one default at a time changed. Networks are
scored on validation samples that are no one's test samples: two fifths of each of scikit-learn's data sets, and of the
files' training images all but the first 2,200 of few, all but 8,000 of many (of which 10,000 are scored), and all but
10,000 of many, which the slower ones are spared. Accuracy or, for diabetes, R²: mean ± standard deviation over the
seeds.

"radices" are tables of their own: two LDL layers of every width and radix, and dense networks, on the files' largest
training sets, scikit-learn's data sets and the signals of examples/long_signals.py, with parameters and the median of
seconds. What takes more than 10 s is fitted twice.
"""

import argparse
import itertools
import time
import warnings
from pathlib import Path

import numpy as np
from accuracy import LDL_WIDTHS, RPP_WIDTHS, TABLES, images
from from_examples import n_parameters, signals
from record import Record, cell
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from ldlrpp import (
    LDLClassifier,
    LDLRegressor,
    MixedClassifier,
    MixedRegressor,
    RPPClassifier,
    RPPRegressor,
    warmup,
)
from ldlrpp.network import LDL

RADICES = 2, 4, 8, 16, 32
DENSE = (("dense", 256), ("dense", 256))


def _grid(*rows):
    return {
        f"rate {rate}, average {average}": {"learning_rate_init": rate, "average": average} for rate, average in rows
    }


def _batches(*sizes):
    return {f"batches of {size}": {"batch_size": size} for size in sizes}


# All but the radix is chosen with radix 2, and all but the start from orthogonal weights.
LDL_NETWORK = (LDLClassifier, LDLRegressor), {"hidden_layer_sizes": LDL_WIDTHS, "radix": 2}
LDL_ORTHOGONAL = LDL_NETWORK[0], {**LDL_NETWORK[1], "init": "orthogonal"}
RPP_NETWORK = (RPPClassifier, RPPRegressor), {"hidden_layer_sizes": RPP_WIDTHS}
DENSE_NETWORK = (MixedClassifier, MixedRegressor), {"hidden_layers": DENSE}

# What is compared: the network, what of it changes, and the most samples of the data that it is fitted to.
COMPARED = {
    "LDL rates": (
        *LDL_ORTHOGONAL,
        _grid(*itertools.product((0.001, 0.002, 0.004, 0.008), (False, 0.99, 0.995, 0.998))),
        np.inf,
    ),
    "LDL batches": (*LDL_ORTHOGONAL, {"the defaults": {}, **_batches(100, 400)}, np.inf),
    "LDL others": (
        *LDL_ORTHOGONAL,
        {
            "learning_rate='cosine'": {"learning_rate": "cosine"},
            "init='normal'": {"init": "normal"},
            "input_expansion='pad'": {"input_expansion": "pad"},
            "1 layer": {"hidden_layer_sizes": LDL_WIDTHS[:1]},
            "3 layers": {"hidden_layer_sizes": LDL_WIDTHS[:1] * 3},
            "dropout=0.1": {"dropout": 0.1},
            "alpha=0.1, on butterflies too": {"alpha": 0.1},
        },
        10_000,
    ),
    "LDL starts": (
        *LDL_NETWORK,
        {
            "the defaults": {},
            "init='orthogonal'": {"init": "orthogonal"},
            "init='hadamard', the first layer": {"init": ("hadamard", "orthogonal")},
            **{f"learning_rate_init={rate}": {"learning_rate_init": rate} for rate in (0.002, 0.008)},
            "label_smoothing=0.1": {"label_smoothing": 0.1},
        },
        np.inf,
    ),
    "RPP rates": (
        *RPP_NETWORK,
        _grid((0.001, False), (0.001, 0.998), (0.002, 0.998), (0.004, 0.998), (0.002, 0.99)),
        10_000,
    ),
    "RPP others, at a rate of 0.002": (
        RPP_NETWORK[0],
        {**RPP_NETWORK[1], "learning_rate_init": 0.002},
        {
            "n_permutations=10": {},
            "signs=False": {"signs": False},
            "n_permutations=100": {"n_permutations": 100},
            "n_permutations=100, signs=False": {"n_permutations": 100, "signs": False},
        },
        10_000,
    ),
    "dense rates": (
        *DENSE_NETWORK,
        {
            **_grid(*itertools.product((0.001, 0.002), (False, 0.99, 0.998)), (0.004, 0.998)),
        },
        np.inf,
    ),
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
        sizes = ((8000, 20), (len(X) - 10_000, 10)) if len(X) > 20_000 else ((2200, 40),)
        for n, epochs in sizes:
            train, val = order[:n], order[n:][-10_000:]
            yield f"{name}, {n:,}", (X[train], y[train], X[val], y[val], epochs)


def long_signals():
    """As `splits`: two kinds of signals, and one of longer ones."""
    for kind, n_samples in (("tones", 1024), ("echoes", 1024), ("echoes", 4096)):
        X, y = signals(kind, 8000, n_samples)
        yield f"{kind} of {n_samples:,} samples", (X[:6000], y[:6000], X[6000:], y[6000:], 15)


def fits(kinds, parameters, data, seeds):
    """Model, score of the validation samples and seconds, seed by seed."""
    X_train, y_train, X_val, y_val, epochs = data
    kind = kinds[np.issubdtype(y_train.dtype, np.floating)]
    options = {"n_iter_no_change": epochs, **parameters, "max_iter": epochs}
    if "batch_size" in options:
        options["batch_size"] = min(options["batch_size"], len(X_train))
    if kind is kinds[1]:
        options.pop("label_smoothing", None)
    for seed in range(seeds):
        model, start = kind(**options, random_state=seed), time.perf_counter()
        model.fit(X_train, y_train)
        seconds = time.perf_counter() - start
        yield model, model.score(X_val, y_val), seconds


def radices(record, data, seeds):
    """Tables of radices: score, seconds and parameters."""
    for name, values in data.items():
        n_inputs = values[0].shape[1]
        add = record.table(name, "network", *(f"radix {radix}" for radix in RADICES))
        for width in (256, 512, 1024, 2048, 4096):
            if 4 * width >= n_inputs:
                networks = [{"hidden_layer_sizes": (width, width), "radix": radix} for radix in RADICES]
                add(f"LDL ({width}, {width})", *(_cell(LDL_NETWORK[0], each, values, seeds) for each in networks))
        add = record.table(f"{name}, dense", "dense", "score, seconds, parameters")
        for width in (32, 64, 128, 256, 512):
            parameters = {"hidden_layers": [("dense", width)] * 2}
            add(f"({width}, {width})", _cell(DENSE_NETWORK[0], parameters, values, seeds))


def _cell(kinds, parameters, data, seeds):
    results = []
    for model, score, seconds in fits(kinds, parameters, data, seeds):
        results.append((score, seconds, n_parameters(model)))
        if len(results) == 2 and seconds > 10:
            break
    scores, times, (size, *_) = zip(*results, strict=True)
    return f"{cell(scores)}, {np.median(times):.2f} s, {size:,}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=3)
    titles = [*COMPARED, "radices"]
    parser.add_argument("--only", nargs="*", choices=titles, default=titles)
    Record.argument(parser)
    options = parser.parse_args()
    record = Record(options)
    warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are counted, not waited out
    warmup(np.float32)
    data = dict(splits(options.data))
    for title in options.only:
        if title == "radices":
            largest = {name.partition(",")[0]: (name, values) for name, values in data.items()}
            radices(record, {**dict(largest.values()), **dict(long_signals())}, options.seeds)
            continue
        kinds, common, variants, most = COMPARED[title]
        scored = {name: values for name, values in data.items() if len(values[0]) <= most}
        add = record.table(title, "", *scored)
        for label, parameters in variants.items():
            LDL.decayed = ("weights",) if "butterflies" in label else ()
            add(
                label,
                *(
                    [score for _, score, _ in fits(kinds, {**common, **parameters}, values, options.seeds)]
                    for values in scored.values()
                ),
            )


if __name__ == "__main__":
    main()
