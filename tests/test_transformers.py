"""Hidden representations as scikit-learn transformers."""

import pickle

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_digits, make_friedman1
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ldlrpp import (
    LDLClassifier,
    LDLRegressor,
    LDLTransformer,
    LossCurveDisplay,
    RPPClassifier,
    RPPRegressor,
    RPPTransformer,
)
from ldlrpp.network import Adam

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TRANSFORMERS = [LDLTransformer, RPPTransformer]
KINDS = {LDLTransformer: (LDLClassifier, LDLRegressor), RPPTransformer: (RPPClassifier, RPPRegressor)}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return StandardScaler().fit_transform(X).astype(np.float32), y


@pytest.mark.parametrize("transformer", TRANSFORMERS)
def test_the_task_follows_from_y(transformer, digits):
    X, y = digits
    classifier, regressor = KINDS[transformer]
    model = transformer((40,), max_iter=2, random_state=0)
    assert type(model.fit(X, y).estimator_) is classifier
    assert type(model.fit(X, y.astype(float)).estimator_) is regressor
    assert type(model.fit(X, y.astype(str)).estimator_) is classifier
    assert type(model.fit(X).estimator_) is regressor
    assert model.estimator_.n_outputs_ == 64
    assert type(clone(model).set_params(task="regression").fit(X, y).estimator_) is regressor
    assert clone(model).set_params(task="reconstruction").fit(X, y).estimator_.n_outputs_ == 64
    assert type(clone(model).set_params(task="classification").fit(X, y.astype(float)).estimator_) is classifier
    for task in ("regression", "classification"):
        with pytest.raises(ValueError, match=f"y must be given with task='{task}', got None"):
            clone(model).set_params(task=task).fit(X)


@pytest.mark.parametrize("transformer", TRANSFORMERS)
def test_it_gives_the_last_hidden_layer_of_the_estimator(transformer, digits):
    X, y = digits
    options = {"max_iter": 2, "activation": "tanh", "random_state": 0}
    weights = np.linspace(0, 1, len(X))
    model = transformer((40, 30), **options).fit(X, y, sample_weight=weights)
    estimator = KINDS[transformer][0]((40, 30), **options).fit(X, y, sample_weight=weights)
    assert model.estimator_.loss_curve_ == estimator.loss_curve_
    assert model.n_iter_ == 2
    z = X
    for layer in range(2):
        matrix, bias = estimator.to_dense(layer)
        z = np.tanh(z @ matrix + bias)
    hidden = model.transform(X)
    assert hidden.dtype == np.float32
    np.testing.assert_allclose(hidden, z, atol=1e-4)
    # the output layer makes the scores of it
    matrix, bias = estimator.to_dense(2)
    np.testing.assert_allclose(hidden @ matrix + bias, estimator.network_.scores(X), atol=1e-4)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(X), hidden)


def test_the_radix_is_that_of_the_network(digits):
    X, y = digits
    model = LDLTransformer((40,), radix=4, max_iter=2, random_state=0).fit(X, y)
    assert model.network_.layers[0].radix == model.estimator_.radix == 4
    matrix, bias = model.to_dense(0)
    np.testing.assert_allclose(model.transform(X), np.maximum(X @ matrix + bias, 0), atol=1e-4)


@pytest.mark.parametrize("transformer", TRANSFORMERS)
def test_what_was_learned_helps(transformer, digits):
    X, y = digits
    pipeline = make_pipeline(transformer((200,), max_iter=30, random_state=0), RidgeClassifier(10))
    assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.92
    X, y = make_friedman1(600, noise=0.3, random_state=0)
    X, y = StandardScaler().fit_transform(X), (y - y.mean()) / y.std()
    linear = cross_val_score(Ridge(), X, y, cv=3).mean()
    hidden = transformer((200,), max_iter=60, random_state=0)
    assert cross_val_score(make_pipeline(hidden, Ridge(10)), X, y, cv=3).mean() > linear + 0.1


def test_reconstruction_learns_the_inputs(digits):
    X, _ = digits
    model = LDLTransformer((16,), activation="identity", max_iter=60, learning_rate_init=0.01, random_state=0)
    assert model.fit(X).estimator_.score(X, X) > 0.55
    hidden = model.transform(X)
    sparse = clone(model).fit(csr_array(X))
    np.testing.assert_allclose(sparse.transform(csr_array(X)), hidden, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("transformer", TRANSFORMERS)
def test_names_and_data_frames(transformer, digits):
    pandas = pytest.importorskip("pandas")
    X, y = digits
    frame = pandas.DataFrame(X, columns=[f"pixel_{i}" for i in range(64)])
    model = transformer((20,), max_iter=2, random_state=0).set_output(transform="pandas").fit(frame, y)
    hidden = model.transform(frame)
    prefix = transformer.__name__.lower()
    assert hidden.columns.tolist() == [f"{prefix}{i}" for i in range(20)] == model.get_feature_names_out().tolist()
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    np.testing.assert_array_equal(model.set_output(transform="default").transform(frame), hidden.to_numpy())
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(frame[frame.columns[::-1]])
    with pytest.raises(NotFittedError):
        transformer().transform(X)


def test_warm_start_goes_on(digits):
    X, y = digits
    model = LDLTransformer((32,), max_iter=2, warm_start=True, random_state=0).fit(X, y)
    estimator = model.estimator_
    assert model.fit(X, y).estimator_ is estimator
    assert len(estimator.loss_curve_) == 4
    with pytest.raises(ValueError, match="X has 10 features, but LDLTransformer is expecting 64"):
        model.fit(X[:, :10], y)
    for other in (y.astype(float), None):
        with pytest.raises(ValueError, match="task must stay 'classification', what the network has learned, got 're"):
            model.fit(X, other)
    assert model.transform(X).shape == (len(X), 32)


def test_a_fit_that_fails_leaves_what_was_there(digits):
    X, y = digits
    model = RPPTransformer((0,), max_iter=1)
    with pytest.raises(ValueError, match="hidden_layer_sizes must be integers of 1 or more"):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.transform(X)
    hidden = model.set_params(hidden_layer_sizes=20).fit(X, y).transform(X)
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        model.set_params(hidden_layer_sizes=(20, 0)).fit(X, y)
    np.testing.assert_array_equal(model.transform(X), hidden)


class Stop:
    """A scikit-learn callback that is passed on to estimators inside, and stops or fails after some epochs."""

    max_propagation_depth = None

    def __init__(self, n_epochs, error=None):
        self.n_epochs, self.error, self.seen = n_epochs, error, []

    def setup(self, estimator, context):
        self.seen.append("setup")

    def teardown(self, estimator, context):
        self.seen.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        pass

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.seen.append(context.task_name)
        if self.seen.count("epoch") == self.n_epochs and self.error is not None:
            raise self.error
        return self.seen.count("epoch") == self.n_epochs


@pytest.mark.parametrize("transformer", TRANSFORMERS)
def test_callbacks_see_the_epochs(transformer, digits):
    X, y = digits
    callback, monitor = Stop(2), ScoringMonitor(scoring="accuracy")
    model = transformer((20,), random_state=0).set_callbacks(callback, monitor).fit(X, y)
    assert model.n_iter_ == 2
    assert callback.seen == ["setup", "epoch", "epoch", "fit", "teardown"]
    assert [row["task_name"] for row in monitor.get_logs().data] == ["fit", "epoch", "epoch"]
    model.estimator_.set_params(max_iter=3).fit(X, y)
    assert len(callback.seen) == 5
    # in a pipeline that has the callback, too
    callback = Stop(2)
    pipeline = make_pipeline(transformer((20,), random_state=0), "passthrough")
    pipeline.set_callbacks(callback).fit(X, y)
    assert pipeline[0].n_iter_ == 2
    assert [callback.seen.count(what) for what in ("setup", "epoch", "teardown")] == [1, 2, 1]


@pytest.mark.parametrize("transformer", TRANSFORMERS)
def test_a_warm_start_that_fails_leaves_what_was_there(transformer, digits):
    X, y = digits
    model = transformer((20,), max_iter=2, warm_start=True, random_state=0).fit(X, y)
    before = pickle.dumps(model)
    callback = Stop(2, ArithmeticError("a callback that fails"))
    with pytest.raises(ArithmeticError, match="a callback that fails"):
        model.set_params(max_iter=7).set_callbacks(callback).fit(X, y)
    assert callback.seen[-1] == "teardown"
    assert pickle.dumps(model.set_params(max_iter=2).set_callbacks()) == before


def test_training_that_diverges_keeps_the_last_good_epoch(digits, monkeypatch):
    X, y = digits
    short = LDLTransformer((16,), max_iter=2, random_state=0).fit(X, y)
    step, n_steps = Adam.step, 2 * -(-len(X) // 200)

    def broken(self, parameters, *args):
        step(self, parameters, *args)
        if self.state["n_steps"] > n_steps:
            parameters[:] = np.nan

    monkeypatch.setattr(Adam, "step", broken)
    model = LDLTransformer((16,), random_state=0)
    with pytest.raises(ValueError, match="The estimator keeps the weights of epoch 2"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.transform(X), short.transform(X))


@pytest.mark.parametrize("transformer", TRANSFORMERS)
def test_what_is_inside(transformer, digits):
    X, y = digits
    model = transformer((20,), max_iter=2, random_state=0)
    for look in (model.layer_weights, model.to_dense):
        with pytest.raises(NotFittedError):
            look(0)
    assert not hasattr(model, "seeds_")
    estimator = model.fit(X, y).estimator_
    for layer in (0, 1):
        assert model.layer_weights(layer).keys() == estimator.layer_weights(layer).keys()
        for ours, theirs in zip(model.to_dense(layer), estimator.to_dense(layer), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    if transformer is RPPTransformer:
        assert model.seeds_ == estimator.seeds_
    display = LossCurveDisplay.from_estimator(model)
    assert display.ax_.get_title() == transformer.__name__
    assert display.loss_curve == estimator.loss_curve_
    plt.close("all")


def test_warnings_of_a_transformer_point_to_the_line_of_the_user(digits):
    X, y = digits
    pipeline = make_pipeline(StandardScaler(), LDLTransformer((8,), batch_size=5000, max_iter=1))
    for each in (pipeline, pipeline[-1]):
        with pytest.warns(UserWarning, match="batch_size=5000 is larger") as caught:
            each.fit(X, y)
        assert {warning.filename for warning in caught} == {__file__}


def test_one_feature_is_reconstructed(digits):
    X, _ = digits
    assert LDLTransformer((8,), max_iter=1).fit_transform(X[:, 2:3]).shape == (len(X), 8)


def test_n_jobs_is_that_of_the_transformer(digits, monkeypatch):
    X, y = digits
    model = LDLTransformer((8,), max_iter=1).fit(X, y)
    seen = []
    monkeypatch.setattr("numba.set_num_threads", seen.append)
    model.set_params(n_jobs=1).transform(X)
    assert seen[0] == 1
