"""Models on disk with skops, which takes no more than names, numbers, arrays and the types that are trusted."""

import copy
import pickle

import numpy as np
import pytest
import skops.io
from sklearn.base import clone

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

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MODELS = [
    LDLClassifier((20, 16), max_iter=2, random_state=0),
    LDLClassifier((16,), solver="lbfgs", max_iter=2, random_state=0),
    LDLClassifier((8, 16), radix=4, max_iter=2, random_state=0),
    LDLRegressor((16,), loss="huber", early_stopping=True, max_iter=2, random_state=0),
    LDLTransformer((16,), max_iter=2, random_state=0),
    RPPClassifier((25,), solver="sgd", learning_rate="adaptive", max_iter=2, random_state=0),
    RPPClassifier((20,), permutation="stored", class_weight={0: 1.0, 1: 2.0, 2: 0.5}, max_iter=2, random_state=0),
    RPPRegressor((20,), loss="poisson", solver="adamw", max_iter=2, random_state=0),
    RPPTransformer((20,), max_iter=2, random_state=0),
    MixedClassifier([("ldl", 16), ("rpp", 20, {"seed": 3}), ("dense", 5)], max_iter=2, random_state=0),
    MixedRegressor([("rpp", 20, {"bias": "shared"})], loss="absolute_error", max_iter=2, random_state=np.int64(3)),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_skops_round_trip(model):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 7)).astype(np.float32)
    y = np.arange(60) % 3
    model.fit(X, y)
    data = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=data)
    # ours, and nothing of anybody else
    assert all(name.startswith("ldlrpp.") for name in types), types
    restored = skops.io.loads(data, trusted=types)
    method = "transform" if hasattr(model, "transform") else "predict"
    np.testing.assert_array_equal(getattr(restored, method)(X), getattr(model, method)(X))
    inner, restored_inner = (getattr(one, "estimator_", one) for one in (model, restored))
    np.testing.assert_array_equal(restored_inner.network_.flat, inner.network_.flat)
    # training goes on as if nothing had been
    if inner.solver != "lbfgs" and not inner.early_stopping:
        for one in (inner, restored_inner):
            one.partial_fit(X, y)
        np.testing.assert_array_equal(restored_inner.network_.flat, inner.network_.flat)


def before(option, model):
    """A fitted model as it was before there was an option of its layers."""
    model = copy.deepcopy(model)
    fitted = getattr(model, "estimator_", model)
    for layer in fitted.network_.layers[:-1]:
        vars(layer).pop(option, None)
    for _, _, options in fitted._structure[fitted._layers_parameter][0]:
        options.pop(option, None)  # one dict may serve all layers
    for values in (vars(model), vars(fitted), fitted._parameters, fitted._structure):
        values.pop(option, None)
    return model


def loads_of(model):
    """The model, from pickle and from skops."""
    data = skops.io.dumps(model)
    yield pickle.loads(pickle.dumps(model))
    yield skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


@pytest.mark.parametrize("permutation", ["auto", "stored"])
@pytest.mark.parametrize("kind", ["rpp", "mixed"])
def test_models_that_were_saved_before_there_were_signs(kind, permutation):
    rng = np.random.default_rng(0)
    # stored permutations that fill 16 bits
    n_inputs = 2**15 + 3 if permutation == "stored" else 7
    X, y = rng.normal(size=(12, n_inputs)).astype(np.float32), np.arange(12) % 3
    options = {"signs": False, "permutation": permutation, "n_permutations": 5}
    if kind == "rpp":
        new = RPPClassifier((9, 8), max_iter=2, random_state=0, **options)
    else:
        layers = [("rpp", 9, options), ("rpp", 8, options)]
        new = MixedClassifier(layers, max_iter=2, random_state=0)
    old = before("signs", new.fit(X, y))
    if kind == "mixed":
        # what its caller had written
        old.hidden_layers = [(name, width, {**given}) for name, width, given in layers]
        for _, _, given in old.hidden_layers:
            del given["signs"]
    for loaded in loads_of(old):
        assert not any(layer.signs for layer in loaded.network_.layers[:-1])
        assert loaded.network_.layers[0].stored.dtype == np.uint16
        np.testing.assert_array_equal(loaded.predict_proba(X), new.predict_proba(X))
        expected = copy.deepcopy(new).partial_fit(X, y)
        np.testing.assert_array_equal(loaded.partial_fit(X, y).network_.flat, expected.network_.flat)
        if kind == "rpp":
            assert loaded.get_params()["signs"] is False
            np.testing.assert_array_equal(clone(loaded).fit(X, y).predict_proba(X), new.predict_proba(X))


@pytest.mark.parametrize(
    "new",
    [
        LDLClassifier((20, 16), radix=2, max_iter=2, random_state=0),
        LDLTransformer((20, 16), radix=2, max_iter=2, random_state=0),
        MixedClassifier([("ldl", 20, {"radix": 2}), ("ldl", 16, {"radix": 2})], max_iter=2, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_models_that_were_saved_before_there_were_radices(new):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 7)).astype(np.float32), np.arange(60) % 3
    old = before("radix", new.fit(X, y))
    if isinstance(new, MixedClassifier):
        old.hidden_layers = [("ldl", 20), ("ldl", 16)]
    method = "transform" if hasattr(new, "transform") else "predict_proba"
    expected, trained = getattr(new, method)(X), copy.deepcopy(getattr(new, "estimator_", new)).partial_fit(X, y)
    for loaded in loads_of(old):
        fitted = getattr(loaded, "estimator_", loaded)
        assert [layer.radix for layer in fitted.network_.layers[:-1]] == [2, 2]
        np.testing.assert_array_equal(getattr(loaded, method)(X), expected)
        np.testing.assert_array_equal(fitted.partial_fit(X, y).network_.flat, trained.network_.flat)
        if not isinstance(new, MixedClassifier):
            assert loaded.get_params()["radix"] == 2
            with pytest.raises(ValueError, match="what the network has"):
                fitted.set_params(radix=4).partial_fit(X, y)
            fitted.set_params(radix=2)
            np.testing.assert_array_equal(getattr(clone(loaded).fit(X, y), method)(X), expected)
        else:
            # the description says nothing of it
            assert [layer.radix for layer in clone(loaded).fit(X, y).network_.layers[:-1]] == [4, 4]
