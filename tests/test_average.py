"""Averaged weights: what predicts, while training goes on from the weights themselves."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone

from ldlrpp import LDLClassifier, LDLRegressor, LDLTransformer, MixedClassifier, RPPClassifier
from ldlrpp.network import SGD, Adam, Average, Data, Dense, Network, SquaredError, epochs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X, X_TEST = RNG.standard_normal((150, 6), np.float32), RNG.standard_normal((80, 6), np.float32)
Y, Y_TEST = X[:, 0] * X[:, 1] > 0, X_TEST[:, 0] * X_TEST[:, 1] > 0
SMALL = {"hidden_layer_sizes": (20,), "batch_size": 40, "learning_rate_init": 0.01, "random_state": 0, "max_iter": 3}


def averaged(iterates, first, decay, reach=np.inf, n_steps=1):
    """The average by its formula, in float64, from the parameters after every step."""
    a = first.astype(np.float64)
    for t, w in enumerate(iterates):
        d = min(decay, (1 + t) / (10 + t), 1 - 1 / (reach * n_steps))
        a = d * a + (1 - d) * w
    return a


@pytest.mark.parametrize("optimizer", [SGD(learning_rate=0.01), Adam(learning_rate=0.01)])
@pytest.mark.parametrize(("size", "decay"), [(3, 0.2), (40_000, 0.998)])
def test_the_average_follows_its_formula(optimizer, size, decay):
    rng = np.random.default_rng(1)
    parameters = rng.normal(size=size)
    first, iterates = parameters.copy(), []
    optimizer, average = copy.deepcopy(optimizer), Average(decay)
    for n_steps in (1, 4):  # in two contexts, as of two epochs
        with average.steps(parameters, n_steps):
            for _ in range(n_steps):
                optimizer.step(parameters, rng.normal(size=size), size // 2, 0.1, average)
                iterates.append(parameters.copy())
        np.testing.assert_allclose(parameters, averaged(iterates, first, decay))
        np.testing.assert_array_equal(average.state["iterate"], iterates[-1])


def test_the_average_reaches_back_a_few_epochs():
    parameters, average = np.zeros(1), Average(0.9, 0.4)
    optimizer = SGD(learning_rate=1.0, momentum=0.0)
    iterates = []
    for _ in range(4):
        with average.steps(parameters, 3):
            for _ in range(3):
                optimizer.step(parameters, np.ones(1), average=average)
                iterates.append(parameters.copy())
        np.testing.assert_allclose(parameters, averaged(iterates, np.zeros(1), 0.9, 0.4, 3))
    # 1 − 1 / (0.4 · 3) = 0.17 is reached by the second step
    assert parameters[0] < -11.7


def test_training_is_what_it_is_without_an_average():
    rng = np.random.default_rng(2)
    layers = [Dense(6, 4, rng=rng, dtype=np.float32), Dense(4, 1, rng=rng, dtype=np.float32)]
    plain = Network(layers, "relu")
    data = Data(X, Y[:, np.newaxis].astype(np.float32))
    losses = []
    for average in (None, Average(0.9)):
        network = copy.deepcopy(plain)
        training = epochs(
            network, SquaredError(), Adam(), data, average=average, batch_size=40, rng=np.random.default_rng(0)
        )
        losses.append([next(training) for _ in range(3)])
        if average is None:
            flat = network.flat
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(average.state["iterate"], flat)
    assert not np.array_equal(network.flat, flat)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
def test_training_goes_on_from_the_weights_themselves(solver, how):
    with_average, without = (
        LDLClassifier(average=average, solver=solver, warm_start=how == "warm_start", **SMALL).fit(X, Y)
        for average in (True, False)
    )
    for _ in range(2):
        assert with_average.loss_curve_ == without.loss_curve_
        np.testing.assert_array_equal(with_average._average.state["iterate"], without.network_.flat)
        assert not np.array_equal(with_average.network_.flat, without.network_.flat)
        for model in (with_average, without):
            (model.fit if how == "warm_start" else model.partial_fit)(X, Y)


def test_epochs_one_by_one_are_a_fit():
    fitted = LDLRegressor(shuffle=False, **SMALL).fit(X, Y)
    stepped = clone(fitted)
    for _ in range(SMALL["max_iter"]):
        stepped.partial_fit(X, Y)
    np.testing.assert_array_equal(stepped.network_.flat, fitted.network_.flat)
    assert stepped._average.state["n_steps"] == 12


def test_everything_but_training_uses_the_average():
    class Keep:
        fitted = ()

        def setup(self, estimator, context):
            pass

        teardown = setup

        def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
            pass

        def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
            self.fitted = (*self.fitted, fitted_estimator)

    keep = Keep()
    model = LDLClassifier(**SMALL).set_callbacks(keep).fit(X, Y, X_val=X_TEST, y_val=Y_TEST)
    iterate = clone(model).set_params(average=False).set_callbacks().fit(X, Y)
    for kept, score in zip(keep.fitted, model.validation_scores_, strict=False):
        assert kept.score(X_TEST, Y_TEST) == pytest.approx(score)
    loaded = pickle.loads(pickle.dumps(model.set_callbacks()))
    for each in (keep.fitted[2], model, loaded):
        np.testing.assert_array_equal(each.network_.flat, model.network_.flat)
        np.testing.assert_array_equal(each.predict_proba(X_TEST), model.predict_proba(X_TEST))
    weights, bias = model.to_dense(-1)
    np.testing.assert_allclose(weights, model.layer_weights(-1)["weights"].T, rtol=1e-6)
    assert not np.array_equal(bias, iterate.to_dense(-1)[1])
    hidden = LDLTransformer(**SMALL).fit(X, Y.astype(int)).transform(X_TEST)
    np.testing.assert_array_equal(hidden, model.network_.hidden(X_TEST))


def test_early_stopping_restores_average_and_weights_of_the_best_epoch():
    X_val, y_val = X_TEST[:30], Y_TEST[:30]
    options = {**SMALL, "learning_rate_init": 0.05, "max_iter": 60, "n_iter_no_change": 60}
    model = LDLClassifier(early_stopping=True, **options).fit(X, Y, X_val=X_val, y_val=y_val)
    best = 1 + np.argmax(model.validation_scores_)
    assert best < model.n_iter_
    short = LDLClassifier(**{**options, "max_iter": best}).fit(X, Y)
    np.testing.assert_array_equal(model.network_.flat, short.network_.flat)
    np.testing.assert_array_equal(model._average.state["iterate"], short._average.state["iterate"])


def test_average_may_come_and_go():
    plain = LDLClassifier(average=False, **SMALL).fit(X, Y)
    model = LDLClassifier(**SMALL).fit(X, Y)
    model.set_params(average=False).partial_fit(X, Y)
    np.testing.assert_array_equal(model.network_.flat, plain.partial_fit(X, Y).network_.flat)
    assert not model._average.state
    model.set_params(average=0.9).partial_fit(X, Y)
    np.testing.assert_array_equal(model._average.state["iterate"], plain.partial_fit(X, Y).network_.flat)
    # what 'lbfgs' finds is what there is
    model.set_params(solver="lbfgs", warm_start=True).fit(X, Y)
    assert not model._average.state
    found = model.network_.flat.copy()
    model.set_params(solver="adam", learning_rate_init=1e-12).partial_fit(X, Y)
    np.testing.assert_allclose(model.network_.flat, found, atol=1e-6)


def test_ctrl_c_in_an_epoch_leaves_the_average(monkeypatch):
    steps = []
    step = Adam.step

    def interrupted(self, parameters, *args):
        if len(steps) == 6:
            raise KeyboardInterrupt
        step(self, parameters, *args)
        steps.append(parameters.copy())

    monkeypatch.setattr(Adam, "step", interrupted)
    model = LDLClassifier(**SMALL)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, Y)
    first = clone(model).set_params(learning_rate_init=1e-30, average=False)
    steps_before, steps[:] = steps[:], []
    first.set_params(max_iter=1).fit(X, Y)
    np.testing.assert_allclose(
        model.network_.flat, averaged(steps_before, first.network_.flat, 0.998), rtol=1e-4, atol=1e-6
    )


def test_diverged_training_keeps_the_average_of_the_last_good_epoch(monkeypatch):
    steps = []
    step = Adam.step

    def broken(self, parameters, *args):
        steps.append(None)
        if len(steps) == 12:  # the last of an epoch
            parameters[0] = np.nan
        step(self, parameters, *args)

    monkeypatch.setattr(Adam, "step", broken)
    model = LDLClassifier(**SMALL)
    with pytest.raises(ValueError, match="keeps the weights of epoch 2"):
        model.fit(X, Y)
    assert "iterate" not in model._average.state
    good = clone(model).set_params(max_iter=2).fit(X, Y)
    np.testing.assert_array_equal(model.network_.flat, good.network_.flat)
    assert np.isfinite(model.partial_fit(X, Y).network_.flat).all()


@pytest.mark.parametrize("kind", [LDLClassifier, RPPClassifier])
def test_models_of_a_time_without_averages(kind):
    model = kind(**{**SMALL, "average": False}).fit(X, Y)
    expected = model.predict_proba(X_TEST)
    state = model.__getstate__()
    del state["average"], state["_average"], state["_parameters"]["average"]
    old = kind.__new__(kind)
    old.__setstate__(state)
    np.testing.assert_array_equal(old.predict_proba(X_TEST), expected)
    assert old.get_params()["average"] is False
    np.testing.assert_array_equal(old.partial_fit(X, Y).network_.flat, model.partial_fit(X, Y).network_.flat)


def test_transformers_of_a_time_without_averages():
    model = LDLTransformer(**{**SMALL, "average": False}).fit(X, Y.astype(int))
    state = model.__getstate__()
    del state["average"]
    old = LDLTransformer.__new__(LDLTransformer)
    old.__setstate__(state)
    np.testing.assert_array_equal(old.transform(X_TEST), model.transform(X_TEST))
    # the parameters of a warm start, or of a clone, are all there
    assert clone(old).get_params() == clone(model).get_params()


@pytest.mark.parametrize("average", [0.0, 1.0, -0.5, "yes", None])
def test_values_that_will_not_do(average):
    with pytest.raises(ValueError, match="The 'average' parameter of MixedClassifier must be"):
        MixedClassifier(average=average).fit(X, Y)
