"""Models of earlier releases load, predict what they did, and can be trained further."""

import lzma
import pickle
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.base import clone

FILES = sorted((Path(__file__).parent / "models").glob("*.xz"))
MODELS = {
    f"{file.stem}: {name}": model
    for file in FILES
    for name, model in pickle.loads(lzma.decompress(file.read_bytes())).items()
}


def test_there_are_some():
    assert len(MODELS) >= 20


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("form", ["pickle", "skops"])
@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model(name, form):
    saved = MODELS[name]
    if form == "pickle":
        model = pickle.loads(saved["pickle"])
    else:
        types = skops.io.get_untrusted_types(data=saved["skops"])
        assert all(each.startswith("ldlrpp.") for each in types)
        model = skops.io.loads(saved["skops"], trusted=types)
    X = np.array(saved["X"], saved["dtype"])
    # rounding differs from machine to machine
    tolerance = 1e-5 if saved["dtype"] == "float32" else 1e-12
    found = getattr(model, saved["method"])(X)
    np.testing.assert_allclose(found, saved["expected"], rtol=tolerance, atol=tolerance)
    assert repr(model)
    y = np.arange(60) % 3
    rows = np.random.default_rng(0).normal(size=(60, 7)).astype(saved["dtype"])
    assert np.isfinite(getattr(clone(model).fit(rows, y), saved["method"])(X)).all()
    inner = getattr(model, "estimator_", model)
    if inner.solver != "lbfgs" and not inner.early_stopping:
        before = inner.network_.flat.copy()
        inner.partial_fit(X, inner.predict(X))
        assert np.isfinite(inner.network_.flat).all()
        assert (inner.network_.flat != before).any()
