"""The picture of seconds against widths, and the exponents beside its curves."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from ldlrpp import LDLClassifier, LDLRegressor, LDLTransformer, MixedClassifier, RPPRegressor, ScalingDisplay
from ldlrpp.estimators.scaling import scaling_exponent


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


def data(task):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    return X, {"classes": np.arange(60) % 3, "labels": rng.integers(2, size=(60, 3)), "numbers": X[:, 0]}[task]


def test_exponents():
    widths = np.array([1, 64, 256, 4096])
    work = widths * np.log2(np.maximum(widths, 2))
    assert scaling_exponent(widths, 1e-9 * work) == pytest.approx(1)
    assert scaling_exponent(widths, 3 * work**1.5) == pytest.approx(1.5)
    assert 1.7 < scaling_exponent(widths, widths**2.0) < 1.9
    assert np.isnan(scaling_exponent([64, 64], [1, 2]))
    assert np.isnan(scaling_exponent([1, 2], [1, 2]))


@pytest.mark.parametrize(
    ("model", "task"),
    [
        (LDLClassifier((32, 32), early_stopping=True, class_weight="balanced"), "classes"),
        (MixedClassifier([("ldl", 8), ("rpp", 8, {"n_permutations": 2})]), "labels"),
        (RPPRegressor((7,), loss="huber", dropout=0.1), "numbers"),
        (LDLRegressor(5, solver="sgd"), "numbers"),
    ],
    ids=["LDL", "mixed", "RPP", "regression"],
)
@pytest.mark.parametrize("form", [np.asarray, csr_array, np.ndarray.tolist], ids=["array", "sparse", "list"])
def test_seconds_of_one_s_own_data(model, task, form):
    X, y = data(task)
    parameters = repr(model.get_params())
    display = ScalingDisplay.from_estimator(
        model, form(X), y, widths=(16, 8, 64), dense_widths=(8, 16), n_repeats=1, linewidth=3
    )
    assert repr(model.get_params()) == parameters
    assert not hasattr(model, "network_")
    assert (np.array([display.fit_seconds, display.predict_seconds]) > 0).all()
    np.testing.assert_array_equal(np.isnan(display.dense_fit_seconds), [False, False, True])
    name = type(model).__name__
    labels = [f"{name}, epoch", f"{name}, prediction", "dense, epoch", "dense, prediction"]
    assert list(display.exponents_) == labels
    shown = [line.get_label() for line in display.lines_]
    assert shown == [f"{label}: p = {display.exponents_[label]:.2f}" for label in labels]
    assert [line.get_xdata().tolist() for line in display.lines_] == [[8, 16, 64]] * 2 + [[8, 16]] * 2
    assert {line.get_linewidth() for line in display.lines_} == {3}
    assert (display.ax_.get_xscale(), display.ax_.get_yscale()) == ("log", "log")


def test_what_is_drawn_again():
    _, ax = plt.subplots()
    display = ScalingDisplay([8, 16], [1e-6, 2e-6], [1e-7, 2e-7]).plot(ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert list(display.exponents_) == ["network, epoch", "network, prediction"]
    alone = ScalingDisplay([8], [1e-6], [1e-7], dense_fit_seconds=[np.nan], estimator_name="mine").plot()
    assert [line.get_label() for line in alone.lines_] == ["mine, epoch", "mine, prediction"]


def test_columns_of_targets_names_and_random_states():
    X, y = data("classes")
    random_state = np.random.RandomState(0)
    before = random_state.get_state()[2]
    model = LDLClassifier((8,), random_state=random_state, learning_rate="cosine", max_iter=1)
    display = ScalingDisplay.from_estimator(model, X, y.reshape(-1, 1), widths=(8, 16), dense_widths=(8,), name="dense")
    assert random_state.get_state()[2] == before
    labels = ["dense, epoch", "dense, prediction", "dense layers, epoch", "dense layers, prediction"]
    assert list(display.exponents_) == labels


def test_what_is_refused(monkeypatch):
    X, y = data("classes")
    for model in (LogisticRegression(), LDLTransformer(), LDLClassifier(solver="lbfgs")):
        with pytest.raises(ValueError, match=r"estimator must be a classifier or regressor of ldlrpp .*, got L"):
            ScalingDisplay.from_estimator(model, X, y)
    with pytest.raises(ValueError, match="estimator must have a hidden layer"):
        ScalingDisplay.from_estimator(LDLClassifier(()), X, y)
    for options in ({"widths": ()}, {"widths": (0, 8)}, {"widths": (8.5,)}, {"n_repeats": 0}, {"n_repeats": 1.5}):
        with pytest.raises(ValueError, match=r"(widths|n_repeats) must be .* of 1 or more, got"):
            ScalingDisplay.from_estimator(LDLClassifier(), X, y, **options)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"ScalingDisplay\.from_estimator requires matplotlib"):
        ScalingDisplay.from_estimator(LDLClassifier(), X, y)
    with pytest.raises(ImportError, match=r"ScalingDisplay\.plot requires matplotlib"):
        ScalingDisplay([8], [1.0], [1.0]).plot()
