"""Networks whose hidden layers are of several kinds, and the options of their layers."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier

from ldlrpp import LDLClassifier, LDLRegressor, MixedClassifier, MixedRegressor, RPPClassifier, RPPRegressor, kernels
from ldlrpp.network import LDL, RPP, Dense

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
LAYERS = [("ldl", 128), ("rpp", 89, {"n_permutations": 9, "seed": 3, "bias": "shared"}), ("dense", 20)]


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X.astype(np.float32) / 16, y


def test_layers_are_what_was_asked_for(digits):
    X, y = digits
    model = MixedClassifier(LAYERS, max_iter=40, random_state=0).fit(X, y)
    kinds = [type(layer) for layer in model.network_.layers]
    assert kinds == [LDL, RPP, Dense, Dense]
    assert [layer.n_outputs for layer in model.network_.layers] == [128, 89, 20, 10]
    rpp = model.network_.layers[1]
    assert (rpp.n_permutations, rpp.seed) == (9, 3)
    assert rpp.parameters["bias"].shape == (10,)
    assert model.n_layers_ == 5
    assert model.n_parameters_ == (2 * 128 * 7 + 256) + (128 * 10 + 10) + 90 * 20 + 21 * 10
    assert model.n_parameters_dense_ == 65 * 128 + 129 * 89 + 90 * 20 + 21 * 10
    assert model.score(X, y) > 0.97
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    ("mixed", "uniform"),
    [
        (MixedClassifier([("ldl", 60), ("ldl", 40)]), LDLClassifier((60, 40))),
        (MixedRegressor([("ldl", 60, {"init": "normal"})]), LDLRegressor(60, init="normal")),
        (MixedClassifier([("ldl", 60, {"radix": 4})] * 2), LDLClassifier((60, 60), radix=4)),
        (
            MixedClassifier([("ldl", 60), ("ldl", 40, {"init": "orthogonal"})]),
            LDLClassifier((60, 40), init=["hadamard", "orthogonal"]),
        ),
        (MixedClassifier([("rpp", 60)]), RPPClassifier(60)),
        (
            MixedRegressor([("rpp", 60, {"grad_scale": "mean"}), ("rpp", 20, {"grad_scale": "mean"})]),
            RPPRegressor((60, 20), grad_scale="mean"),
        ),
    ],
)
def test_layers_of_one_kind_make_the_network_of_that_kind(mixed, uniform, digits):
    curves = [model.set_params(max_iter=3, random_state=0).fit(*digits).loss_curve_ for model in (mixed, uniform)]
    assert curves[0] == curves[1]


def test_every_butterfly_has_a_radix_of_its_own(digits):
    X, y = digits
    layers = [("ldl", 128, {"radix": radix}) for radix in (2, 4, 16)]
    model = MixedClassifier(layers, max_iter=2, random_state=0).fit(X, y)
    assert [layer.radix for layer in model.network_.layers[:-1]] == [2, 4, 16]
    counts = [kernels.ldl_n_parameters(128, radix=radix) for radix in (2, 4, 16)]
    assert [layer.n_parameters for layer in model.network_.layers[:-1]] == counts
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.predict_proba(X), model.predict_proba(X))


def test_dense_layers_alone_learn_as_mlp_does(digits):
    X, y = digits
    options = {"max_iter": 20, "random_state": 0}
    ours = MixedClassifier([("dense", 100), ("dense", 50)], **options).fit(X, y)
    mlp = MLPClassifier((100, 50), **options).fit(X, y)
    assert ours.n_parameters_ == ours.n_parameters_dense_ == sum(a.size for a in mlp.coefs_ + mlp.intercepts_)
    assert ours.loss_ < 1.2 * mlp.loss_
    assert ours.score(X, y) > mlp.score(X, y) - 0.005


def test_a_grid_of_networks(digits):
    nets = [[("dense", 1)], LAYERS]
    search = GridSearchCV(MixedClassifier(max_iter=10, random_state=0), {"hidden_layers": nets}, cv=2).fit(*digits)
    assert search.best_params_ == {"hidden_layers": LAYERS}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([("ldl",)], r"hidden_layers\[0\] must be \(kind, width\) or .*, got \('ldl',\)"),
        ([("ldl", 8), "rpp"], r"hidden_layers\[1\] must be .*, got 'rpp'"),
        ([("conv", 8)], "kind one of 'ldl', 'rpp', 'dense', .*, got .'conv', 8"),
        ([(["ldl"], 8)], r"hidden_layers\[0\] must be"),
        ([("ldl", 0)], r"width an integer of 1 or more .*, got \('ldl', 0\)"),
        ([("ldl", 2.5)], "width an integer"),
        ([("ldl", 8, "normal")], "options a dict"),
        ([8], r"hidden_layers\[0\] must be .*, got 8"),
        ([("rpp", 8, {"k": 4, 2: 3})], r"hidden_layers\[0\]: the options of 'rpp' are 'n_permutations', .* got 'k', 2"),
        ([("dense", 8, {"init": 4})], "the options of 'dense' are none, got 'init'"),
        ([("rpp", 10, {"bias": "yes"})], r"The 'bias' parameter of hidden_layers\[0\] of MixedRegressor must be"),
        ([("ldl", 8, {"init": ["hadamard"]})], r"The 'init' parameter of hidden_layers\[0\] of Mixed"),
        ([("ldl", 8, {"radix": 3})], r"The 'radix' parameter of hidden_layers\[0\] of MixedRegressor must be"),
        (8, "The 'hidden_layers' parameter of MixedRegressor must be an array-like"),
    ],
)
def test_errors_name_the_layer(layers, message, digits):
    with pytest.raises(ValueError, match=message):
        MixedRegressor(layers).fit(*digits)


def test_what_is_built_into_a_network_stays(digits):
    model = MixedClassifier(LAYERS, warm_start=True, max_iter=1).fit(*digits)
    model.set_params(hidden_layers=tuple(LAYERS)).fit(*digits)  # the same
    with pytest.raises(
        ValueError, match=r"hidden_layers must stay \[.*'dense', 20.*, what the network has, got \[.*64"
    ):
        model.set_params(hidden_layers=[("ldl", 64)]).fit(*digits)
    layers = [["ldl", 64]]
    model = MixedClassifier(layers, warm_start=True, max_iter=1).fit(*digits)
    layers[0][1] = 32
    with pytest.raises(ValueError, match=r"hidden_layers must stay \[\['ldl', 64\]\], .* got \[\['ldl', 32\]\]"):
        model.fit(*digits)


def test_the_seed_of_the_permutations(digits):
    X, y = digits
    options = {"learning_rate_init": 1e-30, "alpha": 0.0, "max_iter": 1, "random_state": 0}
    drawn = RPPClassifier((40, 40), **options).fit(X, y)
    assert len(set(drawn.seeds_)) == 2
    assert drawn.seeds_ == [int(layer.seed) for layer in drawn.network_.layers[:2]]
    given = RPPClassifier((40, 40), seed=2**64 - 1, **options).fit(X, y)
    assert given.seeds_ == [2**64 - 1] * 2
    # weights and everything else are drawn as before
    for layer in range(3):
        for name, array in drawn.layer_weights(layer).items():
            np.testing.assert_allclose(given.layer_weights(layer)[name], array, atol=1e-20)  # steps of 1e-30
    matrix, _ = given.to_dense(0)
    wide = kernels.rpp_expand(given.layer_weights(0)["hidden"], 10, given.seeds_[0], signs=True)
    np.testing.assert_allclose(matrix, wide, atol=1e-6)
    again = clone(drawn).set_params(seed=drawn.seeds_[0], permutation="stored").fit(X, y)
    assert again.seeds_ == [drawn.seeds_[0]] * 2
    for model in (drawn, given):
        assert pickle.loads(pickle.dumps(model)).seeds_ == model.seeds_
    assert MixedClassifier(LAYERS, max_iter=1).fit(X, y).seeds_ == [None, 3, None]
    for seed in (-1, 2**64, 1.5):
        with pytest.raises(ValueError, match="The 'seed' parameter of RPPClassifier must be"):
            RPPClassifier(seed=seed).fit(X, y)
    assert not hasattr(RPPClassifier(), "seeds_")


def test_stored_permutations_of_layers_with_seeds_of_their_own(digits):
    X, y = digits
    layers = [("rpp", 60, {"permutation": "stored", "seed": seed}) for seed in (1, 2, 1, 1)]
    model = MixedClassifier([("ldl", 60), *layers], max_iter=1, random_state=0).fit(X, y)
    _, *rpp, _ = model.network_.layers
    assert [int(layer.seed) for layer in rpp] == [1, 2, 1, 1]
    assert rpp[0].stored is rpp[2].stored is rpp[3].stored
    assert (rpp[0].stored != rpp[1].stored).any()
