"""Models on disk with skops, which takes no more than names, numbers, arrays and the types that are trusted."""

import copy
import os
import pickle
import sys

import numpy as np
import pytest
import safetensors.numpy
import skops.io
from sklearn.base import clone

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


# --- Versions --------------------------------------------------------------------------------------------------------


def fitted(kind=LDLClassifier, **options):
    X = np.random.default_rng(0).normal(size=(60, 7)).astype(np.float32)
    return kind((16,), max_iter=2, random_state=0, **options).fit(X, np.arange(60) % 3), X


@pytest.mark.parametrize("kind", [LDLClassifier, LDLTransformer])
def test_models_of_newer_versions(kind, monkeypatch):
    model, X = fitted(kind)
    method = "transform" if kind is LDLTransformer else "predict"
    cases = (
        ("2.0.1", "1.4.0", ValueError),
        ("1.5.0", "1.4.9", UserWarning),
        ("1.4.9", "1.4.0", None),
        ("0.3", "1.0", None),
    )
    for saved, ours, error in cases:
        monkeypatch.setattr(ldlrpp, "__version__", saved)
        data = pickle.dumps(model)
        monkeypatch.setattr(ldlrpp, "__version__", ours)
        if error is ValueError:
            with pytest.raises(ValueError, match=rf"was saved by ldlrpp {saved}, and ldlrpp {ours} loads it: update"):
                pickle.loads(data)
            continue
        if error is UserWarning:
            with pytest.warns(UserWarning, match="what is new since then"):
                loaded = pickle.loads(data)
        else:
            loaded = pickle.loads(data)
        np.testing.assert_array_equal(getattr(loaded, method)(X), getattr(model, method)(X))
        assert "_ldlrpp_version" not in vars(loaded)


# --- What was changed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["weights", "scale", "bias"])
def test_arrays_of_other_shapes_are_refused(name):
    model, _ = fitted()
    layer = model.network_.layers[0]
    layer.parameters[name] = layer.parameters[name][..., :-1]
    with pytest.raises(ValueError, match="a layer that was loaded has arrays of shapes"):
        pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("entry", [0, 6, 99, 2**15 + 3])
@pytest.mark.parametrize("signs", [False, True])
def test_stored_permutations_that_are_none_are_refused(entry, signs):
    model, X = fitted(RPPClassifier, permutation="stored", n_permutations=4, signs=signs)
    pickle.loads(pickle.dumps(model)).predict(X)
    stored = model.network_.layers[0].stored
    stored[1, 2:4] = entry
    with pytest.raises(ValueError, match="stored permutations that are none"):
        pickle.loads(pickle.dumps(model))
    model.network_.layers[0].stored = stored[:-1]
    with pytest.raises(ValueError, match="stored permutations that are none"):
        pickle.loads(pickle.dumps(model))
    for dtype in (np.int16, np.int32, np.uint32, np.int64):
        model.network_.layers[0].stored = np.full((8, 7), -1).astype(dtype)
        with pytest.raises(ValueError, match="stored permutations that are none"):
            pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("kind", [LDLClassifier, MixedClassifier])
def test_what_training_keeps_must_fit_the_network(kind):
    X = np.random.default_rng(0).normal(size=(60, 7)).astype(np.float32)
    layers = [("dense", 16)] if kind is MixedClassifier else (16,)
    model = kind(layers, max_iter=2, random_state=0).fit(X, np.arange(60) % 3)
    for change in (
        lambda one: one._optimizer.state.update(means=one._optimizer.state["means"][:4]),
        lambda one: one._average.state.update(iterate=one._average.state["iterate"].astype(float)),
        lambda one: vars(one).update(n_features_in_=8),
        lambda one: vars(one).update(n_outputs_=2),
        lambda one: vars(one.network_.layers[0]).pop("n_inputs"),
        lambda one: one.network_.layers[0].parameters.update(
            bias=one.network_.layers[0].parameters["bias"].astype("e")
        ),
    ):
        changed = copy.deepcopy(model)
        change(changed)
        with pytest.raises(ValueError, match="that was loaded"):
            pickle.loads(pickle.dumps(changed))


# --- Weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_are_a_file_of_their_own(model, dtype, tmp_path):
    file, rng = tmp_path / "weights.safetensors", np.random.default_rng(0)
    X, y = rng.normal(size=(60, 7)).astype(dtype), np.arange(60) % 3
    model = clone(model).fit(X, y)
    model.save_weights(file)
    arrays = safetensors.numpy.load_file(file)
    assert sum(array.size for array in arrays.values()) == sum(a.size for a in model.network_.parameters())
    assert {array.dtype for array in arrays.values()} == {np.dtype(dtype)}
    other = copy.deepcopy(model)
    other.network_.flat[:] = 0
    assert other.load_weights(str(file)) is other
    method = "transform" if hasattr(model, "transform") else "predict"
    np.testing.assert_array_equal(getattr(other, method)(X), getattr(model, method)(X))


def test_a_file_of_weights_is_replaced_as_a_whole(tmp_path, monkeypatch):
    file, other = tmp_path / "weights.safetensors", tmp_path / "other"
    model, _ = fitted()
    model.save_weights(file)
    other.touch()
    assert file.stat().st_mode == other.stat().st_mode
    before = file.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        model.save_weights(file)
    assert sorted(tmp_path.iterdir()) == [other, file]
    assert file.read_bytes() == before


def test_weights_of_another_network_are_refused(tmp_path):
    file = tmp_path / "weights.safetensors"
    model, X = fitted()
    model.save_weights(file)
    before = model.network_.flat.copy()
    wider = LDLClassifier((32,), max_iter=1, random_state=0).fit(X, np.arange(60) % 3)
    double = LDLClassifier((16,), max_iter=1, random_state=0).fit(X.astype(float), np.arange(60) % 3)
    deeper = LDLClassifier((16, 16), max_iter=1, random_state=0).fit(X, np.arange(60) % 3)
    for other, message in (
        (wider, r"layers.0.* has shape .*16\).* and in the network .*32\)"),
        (double, "dtype float32, and in the network .* float64"),
        (deeper, "it has the arrays .*layers.1.*and the network"),
    ):
        with pytest.raises(ValueError, match=message):
            other.load_weights(file)
    rpp, _ = fitted(RPPClassifier)
    rpp.save_weights(file)
    for name, value in (("seed", rpp.network_.layers[0].seed + 1), ("signs", False), ("share_columns", True)):
        other = copy.deepcopy(rpp)
        setattr(other.network_.layers[0], name, value)
        with pytest.raises(ValueError, match=r"its network is .* and not"):
            other.load_weights(file)
    other = copy.deepcopy(rpp)
    other.network_.activation = "tanh"
    with pytest.raises(ValueError, match=r"its network is .* and not"):
        other.load_weights(file)
    model.save_weights(file)
    padded, _ = fitted(input_expansion="pad")
    with pytest.raises(ValueError, match=r"its network is .* and not"):
        padded.load_weights(file)
    rpp.save_weights(file)
    with pytest.raises(ValueError, match="has no weights for this network"):
        model.load_weights(file)
    file.write_bytes(pickle.dumps(print))
    with pytest.raises(ValueError, match="has no weights for this network"):
        model.load_weights(file)
    safetensors.numpy.save_file({"layers.0.weights": X}, file)
    with pytest.raises(ValueError, match="its format is None"):
        model.load_weights(file)
    np.testing.assert_array_equal(model.network_.flat, before)


def test_training_goes_on_from_weights_that_were_loaded(tmp_path):
    file = tmp_path / "weights.safetensors"
    model, X = fitted()
    model.save_weights(file)
    other, _ = fitted()
    other.network_.flat[:] = 0
    other.load_weights(file)
    other.partial_fit(X, np.arange(60) % 3)
    assert 0 < np.abs(other.network_.flat - model.network_.flat).max() < 0.1


def test_without_safetensors_it_is_named(monkeypatch):
    model, _ = fitted()
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match="pip install 'ldlrpp\\[safetensors\\]'"):
        model.save_weights("weights.safetensors")
