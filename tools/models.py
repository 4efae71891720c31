"""Writes tests/models/VERSION.xz, models of this release and what they predict: python tools/models.py, at a release.

`tests/test_saved_models.py` loads the files of all releases, which must work for ever.
"""

import lzma
import pickle
import warnings
from pathlib import Path

import numpy as np
import skops.io

import ldlrpp
from ldlrpp import (
    LDLClassifier,
    LDLRegressor,
    LDLTransformer,
    MixedClassifier,
    MixedRegressor,
    RPPClassifier,
    RPPRegressor,
    RPPTransformer,
)

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "models"
MODELS = {
    "LDL, radix 2": LDLClassifier((16, 8), radix=2, init="orthogonal"),
    "LDL, radix 4": LDLClassifier((16,), solver="sgd", learning_rate="adaptive", early_stopping=True),
    "LDL, radix 32": LDLRegressor((32,), radix=32, loss="huber", input_expansion="pad"),
    "LDL, transformed": LDLTransformer((16,), average=False),
    "RPP": RPPClassifier((21,), n_permutations=4, class_weight={0: 1.0, 1: 2.0, 2: 0.5}),
    "RPP, no signs": RPPRegressor((20,), signs=False, share_columns=True, bias="shared", solver="adamw"),
    "RPP, stored": RPPClassifier((20,), permutation="stored", bias="none", solver="lbfgs"),
    "RPP, transformed": RPPTransformer((20,)),
    "mixed": MixedClassifier([("ldl", 16), ("rpp", 20, {"seed": 3}), ("dense", 5)], dropout=0.1),
    "mixed, regression": MixedRegressor([("dense", 6)], loss="poisson", activation="tanh"),
}


def saved():
    """Every model in each dtype, as pickle and as skops, with inputs and what it makes of them."""
    rng, models = np.random.default_rng(0), {}
    for name, model in MODELS.items():
        for dtype in (np.float32, np.float64):
            X = rng.normal(size=(60, 7)).astype(dtype)
            model.set_params(max_iter=3, random_state=0).fit(X, np.arange(60) % 3)
            method = next(m for m in ("transform", "predict_proba", "predict") if hasattr(model, m))
            models[f"{name}, {np.dtype(dtype).name}"] = {
                "pickle": pickle.dumps(model, protocol=4),
                "skops": skops.io.dumps(model),
                "X": X[:5].tolist(),
                "dtype": np.dtype(dtype).name,
                "method": method,
                "expected": getattr(model, method)(X[:5]).tolist(),
            }
    return models


def main():
    warnings.simplefilter("ignore")
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / f"{ldlrpp.__version__}.xz"
    if file.exists():
        raise SystemExit(f"{file} is there: models of a release stay as they were written")
    file.write_bytes(lzma.compress(pickle.dumps(saved(), protocol=4), preset=9))
    print(f"{file}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
