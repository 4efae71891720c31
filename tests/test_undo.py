"""Calls that fail leave the estimator as it was, bit for bit; training that diverges keeps what was good."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from ldlrpp import LDLClassifier, RPPClassifier
from ldlrpp.network import SGD, Adam

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300].astype(np.float32) / 16, y[:300]


class Failing:
    """A scikit-learn callback that fails at some moment."""

    def __init__(self, moment):
        self.moment, self.n_epochs = moment, 0

    def setup(self, estimator, context):
        self.fail("setup")

    def teardown(self, estimator, context):
        self.fail("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        pass

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.n_epochs += 1
        self.fail(f"epoch {self.n_epochs}")

    def fail(self, moment):
        if self.moment == moment:
            raise ArithmeticError(f"a callback that fails at {moment}")


def break_steps(monkeypatch, first, with_error=None):
    """From step number ``first`` on optimisers raise an error, or leave what is not finite."""
    n_steps = 0

    def broken(step):
        def wrapper(self, parameters, *args):
            nonlocal n_steps
            n_steps += 1
            step(self, parameters, *args)
            if n_steps >= first:
                if with_error is not None:
                    raise with_error
                parameters[3] = np.nan

        return wrapper

    for optimizer in (Adam, SGD):
        monkeypatch.setattr(optimizer, "step", broken(optimizer.step))


def prepared(when, X, y, **options):
    """An estimator before a call that is to fail, and the method to call."""
    model = RPPClassifier((40,), max_iter=3, warm_start=when == "warm start", random_state=0).set_params(**options)
    if when != "unfitted":
        model.fit(X, y)
    return model, model.partial_fit if when == "partial_fit" else model.fit


CALLBACKS = ["setup", "epoch 2", "teardown"]  # which partial_fit has none of
OTHERS = ["labels", "third step", "interrupted", "diverges at once", "random_state"]


@pytest.mark.parametrize(
    ("when", "how"),
    [(when, how) for when in ("unfitted", "refit", "warm start") for how in CALLBACKS + OTHERS]
    + [("partial_fit", how) for how in OTHERS],
)
def test_a_call_that_fails_leaves_the_estimator_as_it_was(when, how, digits, monkeypatch):
    X, y = digits
    state = np.random.RandomState(3) if how == "random_state" else 0
    model, call = prepared(when, X, y, random_state=state)
    untouched, before = copy.deepcopy(model), pickle.dumps(model)
    new = (X, y) if when in ("warm start", "partial_fit") else (X[:, :20], np.array(list("abc"))[y % 3])
    error, message = ArithmeticError, "fails"
    with monkeypatch.context() as patch:
        if how == "labels":
            new, error, message = (new[0], np.stack([y, y], axis=1)), ValueError, "y must be a column of labels"
        elif how in ("third step", "random_state"):
            break_steps(patch, 3, ArithmeticError("a step fails"))
            model.set_params(batch_size=50)
        elif how == "interrupted":
            if call == model.partial_fit:
                break_steps(patch, 2, KeyboardInterrupt("a step fails"))
            else:
                patch.setattr(model, "_targets", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt("fails")))
            error = KeyboardInterrupt
        elif how == "diverges at once":
            break_steps(patch, 1)
            error, message = ValueError, r"Training diverged in epoch \d+: .* may be too high.$"
        else:
            model.set_callbacks(Failing(how))
        with pytest.raises(error, match=message):
            call(*new)
    model.set_callbacks().set_params(batch_size="auto")
    assert pickle.dumps(model) == before
    if when == "unfitted":
        assert not hasattr(model, "n_features_in_")
        with pytest.raises(NotFittedError):
            model.predict(X)
    else:
        np.testing.assert_array_equal(model.predict_proba(X), untouched.predict_proba(X))
    for each in (model, untouched):
        getattr(each, call.__name__)(X, y)
    assert model.loss_curve_ == untouched.loss_curve_
    np.testing.assert_array_equal(model.network_.flat, untouched.network_.flat)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_that_diverges_keeps_what_was_good(early_stopping, solver, digits, monkeypatch):
    X, y = digits
    options = {"solver": solver, "early_stopping": early_stopping, "learning_rate": "invscaling", "batch_size": 60}
    # with early stopping it is not the last epoch that is to be kept
    monkeypatch.setattr(LDLClassifier, "_score", lambda self, *args: 1 / self.n_iter_)
    model = LDLClassifier((32,), max_iter=2, random_state=0, **options).fit(X, y)
    broken = LDLClassifier(**model.get_params()).set_params(max_iter=9)
    break_steps(monkeypatch, 2 * 5 + 3)
    kept = "the best weights of those before" if early_stopping else "the weights of epoch 2"
    with pytest.raises(ValueError, match=f"Training diverged in epoch 3: .* The estimator keeps {kept}"):
        broken.fit(X, y)
    np.testing.assert_array_equal(broken.network_.flat, model.network_.flat)
    assert np.isfinite(broken.predict_proba(X)).all()
    assert broken.n_iter_ == len(broken.loss_curve_) == 2
    assert broken.loss_curve_ == model.loss_curve_
    assert broken.validation_scores_ == model.validation_scores_
    assert broken._optimizer.state == {}
    assert broken._schedule.state == model._schedule.state
    monkeypatch.undo()
    assert np.isfinite(broken.set_params(early_stopping=False).partial_fit(X, y).loss_)
