"""For those who have tables: what columns become before they enter a network, cross-validated, with its effect.

A network that is given a column's piecewise-linear spline, with knots at its quantiles, beside the column itself finds
steps and bands in it that it would have to build first, and is not disturbed by what is far out:

    numbers = make_union(StandardScaler(), SplineTransformer(8, degree=1, knots="quantile"))
    ColumnTransformer([
        ("numbers", numbers, make_column_selector(dtype_include="number")),
        ("categories", OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
    ])

It is set against StandardScaler alone before the same models, linear ones and scikit-learn's network among them, and
against boosted trees, which take the table as it is: on scikit-learn's tables, on its generated ones, and on two of a
generator of mixed columns (`mixed_columns`). From 1,000 rows on networks stop early, by a tenth of their rows; targets
of regressions are standardised; all else is the default.

Usage: python examples/tables.py [--tables NAME ...] [--folds 5] [--repeats 3]
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_wine,
    make_friedman1,
    make_friedman2,
    make_friedman3,
    make_hastie_10_2,
)
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler

from ldlrpp import LDLClassifier, LDLRegressor, warmup


def columns(numbers):
    """What a table becomes: ``numbers`` of its numeric columns, a column for each level of its categories."""
    return ColumnTransformer(
        [
            ("numbers", numbers, make_column_selector(dtype_include="number")),
            ("categories", OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
        ],
        sparse_threshold=0,
    )


def splines(n_knots=8):
    return columns(make_union(StandardScaler(), SplineTransformer(n_knots, degree=1, knots="quantile")))


def diabetes():
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    return X.astype({"sex": "category"}), y


def generated(make, **options):
    X, y = make(random_state=0, **options)
    return pd.DataFrame(X).add_prefix("x"), y


def mixed_columns(classes, n_samples=2000, seed=0):
    """A generated table of numbers and categories, whose effects are curves, steps and bands.

    ``price`` is log-normal and acts by its logarithm, as much as ``region`` (4 levels) says; ``age`` makes a step at 18
    and one at 65; ``hour`` matters between 7 and 9 and between 16 and 19; ``visits`` is a count that acts up to 3;
    ``shop`` has 30 levels, the rarest in a hundredth of the rows, each with an effect of its own; ``noise`` acts not at
    all. A third of the target's variance is noise, or, with ``classes``, its sign is the label.
    """
    rng = np.random.default_rng(seed)
    frequencies = 1 / np.arange(4, 34)
    table = pd.DataFrame(
        {
            "price": rng.lognormal(3, 1.5, n_samples),
            "age": rng.integers(1, 91, n_samples),
            "hour": rng.uniform(0, 24, n_samples),
            "visits": rng.poisson(2, n_samples),
            "noise": rng.standard_t(2, n_samples),
            "region": rng.choice(list("NESW"), n_samples),
            "shop": rng.choice(30, n_samples, p=frequencies / frequencies.sum()),
        }
    )
    busy = table.hour.between(7, 9) | table.hour.between(16, 19)
    slopes = table.region.map({"N": -0.7, "E": 0.0, "S": 0.7, "W": 0.3})
    effects = [
        slopes * (np.log(table.price) - 3),
        0.8 * (table.age >= 18) - 1.2 * (table.age >= 65),
        1.2 * busy,
        0.4 * table.visits.clip(upper=3),
        rng.normal(0, 0.5, 30)[table["shop"]],
    ]
    signal = np.sum(effects, axis=0)
    y = signal + rng.normal(0, signal.std() / np.sqrt(2), n_samples)
    table = table.astype({"region": "category", "shop": "category"})
    return table, np.where(y > np.median(y), "above", "below") if classes else y


TABLES = {
    "breast cancer": lambda: load_breast_cancer(return_X_y=True, as_frame=True),
    "wine": lambda: load_wine(return_X_y=True, as_frame=True),
    "diabetes": diabetes,
    "Friedman 1": lambda: generated(make_friedman1, n_samples=1000, noise=1.0),
    "Friedman 2": lambda: generated(make_friedman2, n_samples=1000, noise=125.0),
    "Friedman 3": lambda: generated(make_friedman3, n_samples=1000, noise=0.1),
    "Hastie 10.2": lambda: generated(make_hastie_10_2, n_samples=2000),
    "mixed, classes": lambda: mixed_columns(classes=True),
    "mixed, numbers": lambda: mixed_columns(classes=False),
}


def models(regression, n_rows):
    """What is compared, by name: models with both encodings, and trees."""
    linear = Ridge() if regression else LogisticRegression(max_iter=1000)
    # a tenth of some hundred rows says too little, and costs too much: LDL on breast cancer, 0.953 instead of 0.975
    stops = {"early_stopping": n_rows >= 1000}
    network = (LDLRegressor if regression else LDLClassifier)(**stops)
    mlp = (MLPRegressor if regression else MLPClassifier)(**stops)
    trees = HistGradientBoostingRegressor() if regression else HistGradientBoostingClassifier()
    encodings = {"": columns(StandardScaler()), ", splines": splines()}
    result = {}
    for name, model in {"LDL": network, "MLP": mlp, "linear": linear}.items():
        for suffix, encoding in encodings.items():
            result[name + suffix] = make_pipeline(encoding, clone(model))
        if name == "LDL":
            result["LDL, splines, dropout"] = make_pipeline(splines(), clone(model).set_params(dropout=0.3))
    result["boosted trees"] = trees
    if regression:
        return {name: TransformedTargetRegressor(model, transformer=StandardScaler()) for name, model in result.items()}
    return result


def seeded(model, seed):
    """The model with ``seed`` as its every random state."""
    model = clone(model)
    return model.set_params(**{name: seed for name in model.get_params() if name.endswith("random_state")})


def compare(X, y, folds, repeats):
    """Scores (repeats, means of folds) and median seconds of a fit, by model."""
    y = np.asarray(y)
    regression = len(np.unique(y)) > 10
    results = {}
    for name, model in models(regression, len(X)).items():
        scores, times = np.empty((repeats, folds)), []
        for seed in range(repeats):
            split = (KFold if regression else StratifiedKFold)(folds, shuffle=True, random_state=seed)
            for fold, (train, test) in enumerate(split.split(X, y)):
                fitted = seeded(model, seed)
                start = time.perf_counter()
                fitted.fit(X.iloc[train], y[train])
                times.append(time.perf_counter() - start)
                scores[seed, fold] = fitted.score(X.iloc[test], y[test])
        results[name] = scores.mean(axis=1), np.median(times)
    return results


def shown(values, sign=""):
    return f"{np.mean(values):{sign}.3f} ± {np.std(values):.3f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3, help="of cross-validation, each with a seed of its own")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # few networks need more than the 200 epochs of the default
    warmup("float64")
    for table in options.tables:
        X, y = TABLES[table]()
        results = compare(X, y, options.folds, options.repeats)
        n_levels = X.select_dtypes("category").nunique()
        print(f"\n{table}: {len(X)} rows, {X.shape[1]} columns, {len(n_levels)} of them categories")
        print("| model | score | s / fit | gain |\n|---|---|---|---|")
        for name, (scores, seconds) in results.items():
            plain, *changes = name.split(", ")
            effect = shown(scores - results[plain][0], "+") if changes else ""
            print(f"| {name} | {shown(scores)} | {seconds:.2f} | {effect} |", flush=True)


if __name__ == "__main__":
    main()
