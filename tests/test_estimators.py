"""The estimators as scikit-learn's users meet them."""

import pickle
import sys
import warnings

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits, make_friedman1, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer, StandardScaler

from ldlrpp import LDLClassifier, LDLRegressor, LDLTransformer, LossCurveDisplay, RPPClassifier, RPPRegressor, kernels
from ldlrpp.kernels import cpu
from ldlrpp.network import SGD, Adam, Logistic, Softmax, epochs, fit_lbfgs

ESTIMATORS = [LDLClassifier, LDLRegressor, RPPClassifier, RPPRegressor]
CLASSIFIERS = [LDLClassifier, RPPClassifier]
SMALL = {LDLClassifier: (32,), LDLRegressor: (32,), RPPClassifier: (30,), RPPRegressor: (30,)}
WIDE = {LDLClassifier: (256,), LDLRegressor: (256,), RPPClassifier: (300,), RPPRegressor: (300,)}

unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    return train_test_split(X, y, stratify=y, random_state=0)


@unconverged
def test_ldl_in_a_pipeline_with_cross_validation_and_grid_search():
    X, y = load_digits(return_X_y=True)
    pipeline = make_pipeline(
        StandardScaler(), LDLClassifier(hidden_layer_sizes=(1024, 1024), max_iter=20, random_state=0)
    )
    order = np.random.default_rng(0).permutation(len(X))
    assert cross_val_score(pipeline, X[order], y[order], cv=4).mean() >= 0.96
    search = GridSearchCV(pipeline, {"ldlclassifier__alpha": [1e-4, 1e-2]}, cv=3, n_jobs=2)
    search.fit(X[order], y[order])
    assert search.best_score_ >= 0.96
    assert search.score(X, y) > 0.98


@unconverged
def test_rpp_is_near_the_dense_net_of_its_width(digits):
    X_train, X_test, y_train, y_test = digits
    common = {"hidden_layer_sizes": (1000, 1000), "max_iter": 12, "random_state": 0}
    dense = MLPClassifier(**common).fit(X_train, y_train)
    for bias in ("full", "shared", "none"):
        rpp = RPPClassifier(n_permutations=100, bias=bias, **common).fit(X_train, y_train)
        assert rpp.score(X_test, y_test) > dense.score(X_test, y_test) - 0.02
        assert rpp.n_parameters_ < 0.03 * rpp.n_parameters_dense_
    assert rpp.n_parameters_dense_ == sum(a.size for a in dense.coefs_ + dense.intercepts_)


@unconverged
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_every_activation_and_solver_learns(estimator, activation, solver, digits):
    X, _, y, _ = digits
    rate = {"adam": 0.003, "sgd": 0.02}[solver]
    model = estimator(
        SMALL[estimator], activation=activation, solver=solver, learning_rate_init=rate, max_iter=15, random_state=0
    )
    model.fit(X, y)
    assert len(model.loss_curve_) == model.n_iter_ == 15
    assert model.loss_curve_[-1] < 0.7 * model.loss_curve_[0]
    assert model.t_ == 15 * len(X)


@unconverged
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_regression_and_classification_generalise(estimator, digits):
    if issubclass(estimator, LDLRegressor | RPPRegressor):
        X, y = make_friedman1(1000, noise=0.5, random_state=0)
        X = StandardScaler().fit_transform(X)
        X_train, X_test, y_train, y_test = train_test_split(X, (y - y.mean()) / y.std(), random_state=0)
        wanted = 0.88
    else:
        X_train, X_test, y_train, y_test = digits
        wanted = 0.94
    model = estimator(WIDE[estimator], max_iter=100, alpha=0.1, random_state=0).fit(X_train, y_train)
    assert model.score(X_test, y_test) > wanted


@unconverged
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_random_state_repeats_a_fit(estimator, digits):
    X, _, y, _ = digits
    models = [estimator(SMALL[estimator], max_iter=2, random_state=s).fit(X, y) for s in (1, 1, 2)]
    assert models[0].loss_curve_ == models[1].loss_curve_
    np.testing.assert_array_equal(models[0].predict(X), models[1].predict(X))
    assert models[0].loss_curve_ != models[2].loss_curve_


@unconverged
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(estimator, dtype, digits):
    X, _, y, _ = digits
    model = estimator(SMALL[estimator], max_iter=2, random_state=0).fit(X.astype(dtype), y)
    assert {a.dtype for a in model.network_.parameters()} == {np.dtype(dtype)}
    output = getattr(model, "predict_proba", model.predict)(X.astype(np.float64))
    assert output.dtype == dtype


@unconverged
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_partial_fit_is_an_epoch_of_fit(estimator, digits):
    X, _, y, _ = digits
    whole = estimator(SMALL[estimator], max_iter=3, random_state=0).fit(X, y)
    parts = estimator(SMALL[estimator], random_state=0)
    for _ in range(3):
        parts.partial_fit(X, y, **({"classes": np.arange(10)} if estimator in CLASSIFIERS else {}))
    assert parts.loss_curve_ == whole.loss_curve_
    np.testing.assert_array_equal(parts.predict(X), whole.predict(X))


@unconverged
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("how", ["pickle", "joblib"])
def test_a_saved_model_predicts_and_trains_on(estimator, how, digits, tmp_path):
    X, _, y, _ = digits
    model = estimator(SMALL[estimator], random_state=0)
    model.partial_fit(X, y, **({"classes": np.arange(10)} if estimator in CLASSIFIERS else {}))
    if how == "pickle":
        restored = pickle.loads(pickle.dumps(model))
    else:
        joblib.dump(model, tmp_path / "model.joblib")
        restored = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(restored.predict(X), model.predict(X))
    model.partial_fit(X, y)
    restored.partial_fit(X, y)
    assert restored.loss_curve_ == model.loss_curve_
    np.testing.assert_array_equal(restored.predict(X), model.predict(X))


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_partial_fit_wants_the_classes_first(classifier, digits):
    X, _, y, _ = digits
    model = classifier(SMALL[classifier], random_state=0)
    with pytest.raises(ValueError, match="classes must be given at the first call of partial_fit, got None"):
        model.partial_fit(X, y)
    model.partial_fit(X[y < 5], y[y < 5], classes=np.arange(10))
    assert model.predict_proba(X).shape == (len(X), 10)
    with pytest.raises(ValueError, match="classes must stay"):
        model.partial_fit(X, y, classes=np.arange(5))
    with pytest.raises(ValueError, match=r"y must hold only the classes .* got \[77\]"):
        model.partial_fit(X, np.where(y == 3, 77, y))


@unconverged
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_kinds_of_labels(classifier, digits):
    X, _, y, _ = digits
    model = classifier(WIDE[classifier], max_iter=60, learning_rate_init=0.003, random_state=0)

    names = np.array(["no", "yes"])[(y % 2)]
    binary = clone(model).fit(X, names)
    assert binary.classes_.tolist() == ["no", "yes"]
    assert binary.out_activation_ == Logistic.activation
    assert binary.n_outputs_ == 1
    assert binary.score(X, names) > 0.95
    np.testing.assert_array_equal(binary.predict(X) == "yes", binary.predict_proba(X)[:, 1] > 0.5)

    many = clone(model).fit(X, y)
    assert many.out_activation_ == Softmax.activation
    np.testing.assert_allclose(many.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(many.predict(X), many.predict_proba(X).argmax(axis=1))

    X2, Y2 = make_multilabel_classification(n_samples=300, n_classes=4, random_state=0)
    labels = clone(model).fit(StandardScaler().fit_transform(X2), Y2)
    assert labels.out_activation_ == Logistic.activation
    assert np.mean(labels.predict(StandardScaler().fit_transform(X2)) == Y2) > 0.9


@unconverged
@pytest.mark.parametrize("regressor", [LDLRegressor, RPPRegressor])
def test_several_targets(regressor, digits):
    X, _, y, _ = digits
    model = regressor(WIDE[regressor], max_iter=30, learning_rate_init=0.003, random_state=0)
    model.fit(X, np.stack([y, -y, y % 2], axis=1))
    assert model.predict(X).shape == (len(X), 3)
    assert model.score(X, np.stack([y, -y, y % 2], axis=1)) > 0.5


def test_counts_of_parameters(digits):
    X, _, y, _ = digits
    ldl = LDLClassifier((128, 100)).partial_fit(X, y, classes=np.arange(10))
    butterfly = 2 * 128 * 7 + 2 * 128
    assert ldl.n_parameters_ == 2 * butterfly + 101 * 10
    assert ldl.n_parameters_dense_ == 65 * 128 + 129 * 100 + 101 * 10
    for bias, n_bias in (("full", 90 + 59), ("shared", 30 + 20), ("none", 0)):
        rpp = RPPClassifier((90, 59), n_permutations=3, bias=bias).partial_fit(X, y, classes=np.arange(10))
        assert rpp.n_parameters_ == 64 * 30 + 90 * 20 + n_bias + 60 * 10


@unconverged
@pytest.mark.parametrize(
    "options", [{}, {"share_columns": True, "signs": False, "bias": "shared", "n_permutations": 7}], ids=str
)
@pytest.mark.parametrize("width", [1, 2, 13, 64, 99, 101])
def test_rpp_of_any_width(width, options, digits):
    X, X_test, y, _ = digits
    seeded, stored = (
        RPPClassifier((width, 32), permutation=p, max_iter=2, random_state=0, **options).fit(X, y)
        for p in ("seeded", "stored")
    )
    assert seeded.loss_curve_ == stored.loss_curve_
    matrix, bias = seeded.to_dense(0)
    layer = seeded.network_.layers[0]
    assert matrix.shape == (64, width)
    hidden, how = layer.parameters["hidden"], {"share_columns": layer.share_columns, "signs": layer.signs}
    wide = kernels.rpp_expand(hidden, layer.n_permutations, seeded.seeds_[0], width=width, **how)
    np.testing.assert_allclose(matrix, wide, atol=1e-5)
    np.testing.assert_array_equal(bias, np.resize(layer.parameters["bias"], width))
    for model in (stored, pickle.loads(pickle.dumps(seeded)), pickle.loads(pickle.dumps(stored))):
        np.testing.assert_array_equal(model.predict_proba(X_test), seeded.predict_proba(X_test))


@unconverged
@pytest.mark.parametrize("radix", [2, 4, 8, np.int64(16), 32])
def test_ldl_of_any_radix(radix, digits):
    X, X_test, y, y_test = digits
    options = {"radix": radix, "activation": "tanh", "random_state": 0}
    model = LDLClassifier((256, 20), max_iter=3, **options).fit(X, y)
    n_parameters = kernels.ldl_n_parameters(256, radix=radix), kernels.ldl_n_parameters(256, radix=radix), 21 * 10
    assert [layer.n_parameters for layer in model.network_.layers] == list(n_parameters)
    assert model.n_parameters_ == sum(n_parameters)
    start = kernels.ldl_init(256, radix=radix)[0]
    assert model.layer_weights(0)["weights"].shape == start.shape
    z = X_test
    for layer in range(3):
        matrix, bias = model.to_dense(layer)
        z = z @ matrix + bias
        z = np.tanh(z) if layer < 2 else z
    np.testing.assert_allclose(z, model.network_.scores(X_test), rtol=1e-3, atol=1e-4)
    assert LDLClassifier((256,), radix=radix, max_iter=20, random_state=0).fit(X, y).score(X_test, y_test) > 0.94
    parts = LDLClassifier((256, 20), **options)
    for _ in range(3):
        parts.partial_fit(X, y, classes=np.arange(10))
    assert parts.loss_curve_ == model.loss_curve_
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(parts)).predict_proba(X), model.predict_proba(X))
    other = 8 if radix == 2 else 2
    with pytest.raises(ValueError, match=rf"radix must stay .*{radix}.*, what the network has, got {other}"):
        parts.set_params(radix=other).partial_fit(X, y)


@unconverged
@pytest.mark.parametrize("init", ["orthogonal", "hadamard"])
def test_networks_of_every_radix_start_as_the_same(init, digits):
    X, _, y, _ = digits
    options = {"init": init, "learning_rate_init": 1e-30, "max_iter": 1, "random_state": 0}
    probabilities = [LDLClassifier((128, 64), radix=r, **options).fit(X, y).predict_proba(X) for r in (2, 4, 8, 16, 32)]
    for others in probabilities[1:]:
        np.testing.assert_allclose(others, probabilities[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("radix", [1, 3, 64, 4.0, "4", None])
def test_what_is_no_radix(radix, digits):
    X, _, y, _ = digits
    for estimator in (LDLClassifier, LDLRegressor, LDLTransformer):
        with pytest.raises(ValueError, match=f"The 'radix' parameter of {estimator.__name__} must be a.* int among"):
            estimator((16,), radix=radix).fit(X, y)


@unconverged
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_layers_as_arrays_and_as_dense_layers(estimator, digits):
    X, _, y, _ = digits
    model = estimator((40, 30), activation="tanh", max_iter=2, random_state=0).fit(X, y)
    z = X
    for layer in range(3):
        matrix, bias = model.to_dense(layer)
        z = z @ matrix + bias
        z = np.tanh(z) if layer < 2 else z
    np.testing.assert_allclose(z, model.network_.scores(X), rtol=1e-3, atol=1e-4)
    assert sum(array.size for i in range(3) for array in model.layer_weights(i).values()) == model.n_parameters_
    weights = model.layer_weights(-1)
    np.testing.assert_allclose(weights["weights"].T, model.to_dense(-1)[0], atol=1e-6)
    weights["weights"][:] = 0  # a copy
    assert model.layer_weights(2)["weights"].any()


def test_the_picture_of_a_fit(digits):
    X, X_test, y, y_test = digits
    model = LDLClassifier((32,), max_iter=5, learning_rate="cosine", random_state=0)
    alone = LossCurveDisplay.from_estimator(model.fit(X, y), color="red")
    (line,) = alone.lines_
    np.testing.assert_array_equal(line.get_data(), [range(1, 6), model.loss_curve_])
    assert line.get_color() == "red"
    assert alone.ax_.get_title() == "LDLClassifier"
    model.set_params(warm_start=True).fit(X, y, X_val=X_test, y_val=y_test)
    _, ax = plt.subplots()
    both = LossCurveDisplay.from_estimator(model, ax=ax, name="warm")
    assert both.ax_ is ax
    assert [line.get_label() for line in both.lines_] == ["training", "validation"]
    np.testing.assert_array_equal(both.lines_[1].get_data(), [range(6, 11), model.validation_loss_curve_])
    plt.close("all")
    with pytest.raises(ValueError, match="estimator must have a loss_curve_, got LogisticRegression"):
        LossCurveDisplay.from_estimator(LogisticRegression().fit(X[:50], y[:50]))
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(LDLClassifier())


def test_pictures_want_matplotlib(digits, monkeypatch):
    X, _, y, _ = digits
    model = LDLClassifier((32,), max_iter=2, learning_rate="cosine").fit(X, y)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"LossCurveDisplay\.from_estimator requires matplotlib"):
        LossCurveDisplay.from_estimator(model)
    with pytest.raises(ImportError, match=r"LossCurveDisplay\.plot requires matplotlib"):
        LossCurveDisplay([1.0]).plot()


@unconverged
@pytest.mark.parametrize("sizes", [16, np.int64(16), np.array(16), np.array([16]), [np.int32(16)]])
def test_widths_in_all_their_forms(sizes, digits):
    X, _, y, _ = digits
    assert LDLRegressor(sizes, max_iter=1).fit(X, y).network_.layers[0].n_outputs == 16


@unconverged
@pytest.mark.parametrize("names", [["hadamard", "orthogonal"], np.array(["hadamard", "orthogonal"])])
def test_a_start_of_its_own_for_every_layer(names, digits):
    X, _, y, _ = digits
    model = clone(LDLClassifier((64, 64), radix=2, init=names, max_iter=1, learning_rate_init=1e-30, random_state=0))
    assert list(model.get_params()["init"]) == ["hadamard", "orthogonal"]
    first, second = (layer.parameters["weights"] for layer in model.fit(X, y).network_.layers[:2])
    np.testing.assert_allclose(abs(first), np.sqrt(0.5), rtol=1e-6)
    assert abs(second).std() > 0.2
    for all_layers in ("hadamard", ["hadamard"] * 2):
        model.set_params(init=all_layers).fit(X, y)
        for i in range(2):
            np.testing.assert_allclose(abs(model.layer_weights(i)["weights"]), np.sqrt(0.5), rtol=1e-6)


@unconverged
def test_the_starts_of_a_network_stay(digits):
    X, _, y, _ = digits
    for model in (
        LDLClassifier((16, 16), init=["hadamard", "normal"], warm_start=True, max_iter=1),
        LDLTransformer((16, 16), init=np.array(["hadamard", "normal"]), warm_start=True, max_iter=1),
    ):
        model.fit(X, y)
        first = model.layer_weights(0)["weights"]
        model.set_params(init=("hadamard", "normal")).fit(X, y)
        assert (model.layer_weights(0)["weights"] != first).any()
        names = model.get_params()["init"]
        with pytest.raises(ValueError, match=r"init must stay \('hadamard', 'normal'\), .* got \('normal', 'normal'\)"):
            model.set_params(init=["normal", "normal"]).fit(X, y)
        assert model.set_params(init=names).fit(X, y).init == ("hadamard", "normal")


@unconverged
def test_options_of_the_layers_reach_them(digits):
    X, _, y, _ = digits
    normal = LDLClassifier(100, radix=2, init="normal", input_expansion="pad", max_iter=1).fit(X, y)
    layer = normal.network_.layers[0]
    assert (layer.expansion, layer.width, layer.n_outputs) == ("pad", 128, 100)
    rotation = layer.parameters["weights"][0].reshape(2, 2, 64)
    assert np.abs(rotation[0, 0] ** 2 + rotation[1, 0] ** 2 - 1).max() > 0.1
    rpp = RPPClassifier((100,), n_permutations=5, max_iter=1).fit(X, y)
    assert rpp.network_.layers[0].parameters["hidden"].shape == (64, 20)
    assert rpp.network_.layers[0].signs
    assert not RPPClassifier((100,), signs=False, max_iter=1).fit(X, y).network_.layers[0].signs
    assert (
        RPPClassifier((100,), max_iter=1, random_state=1).fit(X, y).network_.layers[0].seed
        != rpp.network_.layers[0].seed
    )


@unconverged
def test_stored_permutations_are_those_of_the_seeds_and_shared_by_shape(digits):
    X, X_test, y, _ = digits
    options = {"n_permutations": 10, "max_iter": 2, "random_state": 0}
    for share_columns, signs in ((False, True), (False, False), (True, True)):
        seeded, stored = (
            RPPClassifier((100,), permutation=p, share_columns=share_columns, signs=signs, **options).fit(X, y)
            for p in ("seeded", "stored")
        )
        np.testing.assert_array_equal(seeded.predict_proba(X_test), stored.predict_proba(X_test))
        assert seeded.network_.layers[0].stored.shape == (0, 64)
        rows = stored.network_.layers[0].stored
        assert rows.dtype == np.uint16
        assert rows.shape == (10 if share_columns else 100, 64)
        assert (rows >= 2**15).any() == signs
    model = RPPClassifier((100, 100, 100), permutation="stored", **options).fit(X, y)
    for layers in (model.network_.layers, pickle.loads(pickle.dumps(model)).network_.layers):
        assert layers[1].stored is layers[2].stored
        assert layers[1].stored.flags.c_contiguous
        assert layers[1].seed == layers[2].seed != layers[0].seed


RPP_OPTIONS = [
    {},
    {"share_columns": True, "signs": False, "bias": "shared"},
    {"solver": "lbfgs", "bias": "none"},
    {"early_stopping": True, "grad_scale": "mean"},
]


# bytes, and what two layers keep of them: permutations, and weights besides
RPP_BUDGETS = {0: ["", ""], 10_000: ["", "p"], 60_000: ["pw", "p"], 2**28: ["pw", "pw"]}


@unconverged
@pytest.mark.parametrize("budget", RPP_BUDGETS)
@pytest.mark.parametrize("options", RPP_OPTIONS, ids=str)
def test_what_rpp_keeps_during_a_fit_changes_no_bit(options, budget, digits, monkeypatch):
    X, X_test, y, _ = digits
    monkeypatch.setattr("ldlrpp.estimators.layers._BUDGET", budget)
    models = [
        RPPClassifier((99, 50), permutation=p, n_permutations=7, max_iter=3, random_state=0, **options).fit(X, y)
        for p in ("seeded", "auto")
    ]
    layers = models[1].network_.layers[:2]
    assert sum(layer.n_kept for layer in layers) <= budget
    if not options.get("share_columns"):
        kept = ["p" * layer.keeps_permutations + "w" * layer.keeps_weights for layer in layers]
        assert kept == RPP_BUDGETS[budget]
    assert models[0].loss_curve_ == models[1].loss_curve_
    for rows in (X_test, X_test[:3], np.concatenate([X_test] * 5)):  # several chunks
        np.testing.assert_array_equal(models[0].predict_proba(rows), models[1].predict_proba(rows))
    for layer in (0, 1):
        np.testing.assert_array_equal(models[0].to_dense(layer)[0], models[1].to_dense(layer)[0])


@unconverged
def test_what_rpp_keeps_is_not_saved(digits):
    X, _, y, _ = digits
    options = {"max_iter": 1, "random_state": 0}
    seeded, kept = (RPPClassifier((99, 50), permutation=p, **options).fit(X, y) for p in ("seeded", "auto"))
    kept.predict(X)
    sizes = [len(pickle.dumps(model)) for model in (seeded, kept)]
    assert abs(sizes[0] - sizes[1]) < 100


@unconverged
def test_rpp_expands_once_for_a_prediction(digits, monkeypatch):
    X, _, y, _ = digits
    model = RPPClassifier((99, 50), max_iter=1, random_state=0).fit(X, y)
    calls = []
    expand = cpu.rpp.expand
    monkeypatch.setattr(cpu.rpp, "expand", lambda *arguments: (calls.append(0), expand(*arguments)))
    monkeypatch.setattr(cpu.rpp, "permutations", None)
    computed, generate = [], cpu.rpp._permutations
    monkeypatch.setattr(cpu.rpp, "_permutations", lambda *arguments: (computed.append(0), generate(*arguments)))
    rows = np.concatenate([X] * 3)
    # the last chunk may have few rows
    for n_rows in (2 * 1024 + 100, 1024 + 5):
        calls.clear(), computed.clear()
        model.predict(rows[:n_rows])
        assert len(calls) == len(computed) == 2  # one for each layer
    calls.clear()
    model.predict(X[:5])
    assert not calls


@unconverged
def test_the_scale_of_rpp_gradients(digits):
    X, _, y, _ = digits
    starts, ends = [], []
    for grad_scale in ("sum", "sqrt", "mean"):
        rpp = RPPClassifier(
            (100,), n_permutations=10, grad_scale=grad_scale, solver="sgd", alpha=0, momentum=0, batch_size=len(X),
            learning_rate_init=0.01, max_iter=1, random_state=0,
        )  # fmt: skip
        with_zero_rate = clone(rpp).set_params(learning_rate_init=1e-30)
        starts.append(with_zero_rate.fit(X, y).network_.layers[0].parameters["hidden"])
        ends.append(rpp.fit(X, y).network_.layers[0].parameters["hidden"])
    steps = [end - start for start, end in zip(starts, ends, strict=True)]
    np.testing.assert_allclose(steps[1], steps[0] / np.sqrt(10), rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(steps[2], steps[0] / 10, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LDLClassifier((100, 0)), r"hidden_layer_sizes must be integers of 1 or more, got \(100, 0\)"),
        (LDLClassifier(np.array(16.5)), r"hidden_layer_sizes must be integers of 1 or more, got array\(16\.5\)"),
        (LDLClassifier((10.5,)), r"hidden_layer_sizes must be integers of 1 or more, got \(10\.5,\)"),
        (LDLClassifier(activation="gelu"), "The 'activation' parameter of LDLClassifier must be"),
        (LDLRegressor(init="zeros"), "The 'init' parameter of LDLRegressor must be"),
        (
            LDLRegressor((16, 16), init=["hadamard"]),
            r"init must be .* one for each of the 2 hidden layers, got \['hadamard'\]",
        ),
        (LDLClassifier((16, 16), init=("normal", "zeros")), r"init must be .*, got \('normal', 'zeros'\)"),
        (LDLClassifier(16, init=[None]), r"init must be one of 'orthogonal', .*, got \[None\]"),
        (RPPRegressor(bias=True), "The 'bias' parameter of RPPRegressor must be"),
        (RPPRegressor(permutation=None), "The 'permutation' parameter of RPPRegressor must be"),
        (RPPRegressor(share_columns="all"), "The 'share_columns' parameter of RPPRegressor must be"),
        (RPPClassifier(grad_scale=0.5), "The 'grad_scale' parameter of RPPClassifier must be"),
    ],
)
def test_errors_name_the_parameter(estimator, message, digits):
    X, _, y, _ = digits
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y)


def test_training_ends_where_the_loss_does(digits, capsys):
    X, _, y, _ = digits
    model = LDLClassifier((32,), tol=10.0, n_iter_no_change=3, verbose=True, random_state=0).fit(X, y)
    # the first epoch improves on nothing: infinity
    assert model.n_iter_ == 5
    printed = capsys.readouterr().out
    assert "Iteration 5, loss = " in printed
    assert "did not improve more than tol=10 for 3 consecutive epochs" in printed
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        model.set_params(max_iter=2, tol=0.0, verbose=False).fit(X, y)
    with pytest.warns(UserWarning, match="batch_size=5000 is larger than the 1347 samples"):
        model.set_params(batch_size=5000).partial_fit(X, y)


def test_training_that_diverges_says_so(digits):
    X, _, y, _ = digits
    with (
        pytest.raises(ValueError, match=r"Training diverged in epoch 1: .* learning_rate_init may be too high"),
        np.errstate(all="ignore"),
    ):
        LDLRegressor((32,), solver="sgd", learning_rate_init=1e30, random_state=0).fit(X, y)


def test_options_of_training_reach_it(digits, monkeypatch):
    X, _, y, _ = digits
    seen = {}

    def spy(network, loss, optimizer, data, **options):
        seen.update(options)
        return epochs(network, loss, optimizer, data, **options)

    monkeypatch.setattr("ldlrpp.estimators.base.epochs", spy)
    adam = LDLRegressor(
        (32,), alpha=0.5, batch_size=50, shuffle=False, learning_rate_init=0.02, beta_1=0.8, beta_2=0.7, epsilon=0.1
    ).partial_fit(X, y)
    assert (seen["alpha"], seen["batch_size"], seen["shuffle"]) == (0.5, 50, False)
    optimizer = adam._optimizer
    assert isinstance(optimizer, Adam)
    assert (optimizer.learning_rate, optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.02, 0.8, 0.7, 0.1)
    sgd = RPPRegressor((30,), solver="sgd", momentum=0.3, nesterovs_momentum=False).partial_fit(X, y)
    assert isinstance(sgd._optimizer, SGD)
    assert (sgd._optimizer.momentum, sgd._optimizer.nesterov) == (0.3, False)
    assert (seen["alpha"], seen["batch_size"], seen["shuffle"]) == (0.0001, 200, True)


@unconverged
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_data_frames(estimator, digits):
    pandas = pytest.importorskip("pandas")
    X, X_test, y, _ = digits
    names = [f"pixel_{i}" for i in range(64)]
    model = estimator(SMALL[estimator], max_iter=2, random_state=0)
    model.fit(pandas.DataFrame(X, columns=names), pandas.Series(y))
    assert model.feature_names_in_.tolist() == names
    np.testing.assert_array_equal(
        model.predict(pandas.DataFrame(X_test, columns=names)),
        estimator(SMALL[estimator], max_iter=2, random_state=0).fit(X, y).predict(X_test),
    )
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(pandas.DataFrame(X_test, columns=names[::-1]))


@unconverged
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_single_class(classifier, digits):
    X, _, _, _ = digits
    model = classifier(SMALL[classifier], max_iter=2).fit(X, np.full(len(X), 7))
    assert model.classes_.tolist() == [7]
    np.testing.assert_array_equal(model.predict(X), 7)
    np.testing.assert_array_equal(model.predict_proba(X), np.ones((len(X), 1)))


@pytest.mark.parametrize("regressor", [LDLRegressor, RPPRegressor])
def test_the_number_of_targets_stays(regressor, digits):
    X, _, y, _ = digits
    model = regressor(SMALL[regressor]).partial_fit(X, np.stack([y, y, y], axis=1))
    with pytest.raises(ValueError, match=r"y must have 3 outputs as in the first call, got 1"):
        model.partial_fit(X, y)
    with pytest.raises(TypeError, match="y must be a dense array, got csr_array"):
        model.fit(X, csr_array(np.stack([y, y], axis=1)))


def test_the_kind_of_labels_stays(digits):
    X, _, y, _ = digits
    indicator = np.eye(10, dtype=int)[y]
    model = LDLClassifier((32,)).partial_fit(X, indicator, classes=np.arange(10))
    with pytest.raises(ValueError, match=r"y must have shape \(n_samples, 10\) as in the first call, got \(1347,\)"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"y must have shape \(n_samples, 10\) .* got \(1347, 4\)"):
        model.partial_fit(X, indicator[:, :4])
    with pytest.raises(ValueError, match="y must be a column of labels or an indicator matrix of 0 and 1"):
        LDLClassifier((32,)).fit(X, 1 + indicator)
    with pytest.raises(ValueError, match=r"classes of a y of several labels must be \[0 1 2 .* 9\], its columns"):
        LDLClassifier((32,)).partial_fit(X, indicator, classes=[10, 20, 30])


def test_ctrl_c_keeps_the_model(digits, monkeypatch):
    X, _, y, _ = digits

    def interrupted(*args, **kwargs):
        generator = epochs(*args, **kwargs)
        yield next(generator)
        yield next(generator)
        raise KeyboardInterrupt

    monkeypatch.setattr("ldlrpp.estimators.base.epochs", interrupted)
    model = LDLClassifier((32,), random_state=0)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, y)
    assert model.n_iter_ == 2
    assert model.predict(X).shape == y.shape


def test_ctrl_c_keeps_the_last_iteration_of_lbfgs(digits, monkeypatch):
    X, _, y, _ = digits
    seen = []

    def interrupted(network, *args, callback, **kwargs):
        def after(loss):
            callback(loss)
            seen.append(network.flat.copy())
            if len(seen) == 2:
                network.flat[:] = 1e3  # as its line search may
                raise KeyboardInterrupt

        return fit_lbfgs(network, *args, callback=after, **kwargs)

    monkeypatch.setattr("ldlrpp.estimators.base.fit_lbfgs", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = LDLClassifier((32,), solver="lbfgs", random_state=0).fit(X, y)
    assert model.n_iter_ == 2
    np.testing.assert_array_equal(model.network_.flat, seen[1])


@pytest.mark.parametrize(
    "y", [list("abca"), np.array(["no", "yes"], dtype=object), [3, 3], [5, -1, 7, 7], [1.0, 0.0], [True, False]]
)
def test_targets_of_labels_are_those_of_the_binarizer(y):
    y = np.asarray(y)
    np.testing.assert_array_equal(LDLClassifier()._targets(y, True, None), LabelBinarizer().fit_transform(y))


def test_labels_that_hardly_repeat_are_labels():
    X = np.random.default_rng(0).normal(size=(60, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert LDLClassifier((16,), max_iter=1).fit(X, np.arange(60)).classes_.tolist() == list(range(60))


@pytest.mark.parametrize("values", [(0, 1), (0, 1.5), ("a", "b"), (0, "a")])
def test_matrices_of_objects_are_no_labels(values):
    X = np.random.default_rng(0).normal(size=(20, 4))
    y = np.array([[values[0], values[1]]] * 20, dtype=object)
    with pytest.raises(ValueError, match="y must be a column of labels or an indicator matrix"):
        LDLClassifier((16,)).fit(X, y)
