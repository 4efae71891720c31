"""The estimators' options of training: each does what it says."""

import copy
import logging
import warnings

import numba
import numpy as np
import pytest
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

from ldlrpp import LDLClassifier, LDLRegressor, RPPClassifier, RPPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
CLASSIFIERS = [LDLClassifier, RPPClassifier]
REGRESSORS = [LDLRegressor, RPPRegressor]
SMALL = {"hidden_layer_sizes": (40,), "random_state": 0}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    return train_test_split(X, y, random_state=0)


@pytest.mark.parametrize(("estimator", "theirs"), [(LDLClassifier, MLPClassifier), (LDLRegressor, MLPRegressor)])
def test_every_parameter_of_mlp_is_there_with_its_default(estimator, theirs):
    ours, mlp = estimator().get_params(), theirs().get_params()
    assert set(mlp) <= set(ours)
    different = {name for name in mlp if ours[name] != mlp[name]}
    assert different == {"hidden_layer_sizes", "learning_rate_init"}


@pytest.mark.parametrize(("estimator", "theirs"), [(RPPClassifier, MLPClassifier), (RPPRegressor, MLPRegressor)])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_every_fitted_attribute_of_mlp_is_there(estimator, theirs, early_stopping, digits):
    X, _, y, _ = digits
    options = {"max_iter": 2, "early_stopping": early_stopping}
    mlp = theirs(hidden_layer_sizes=(10,), **options).fit(X[:200], y[:200])
    ours = estimator((10,), **options).fit(X[:200], y[:200])
    theirs_only = {name for name in vars(mlp) if name.endswith("_") and not name.startswith("_")} - set(vars(ours))
    # arrays of layers, which ours keep in network_, and the generator
    assert theirs_only == {"coefs_", "intercepts_"}
    for name in ("best_loss_", "best_validation_score_", "validation_scores_"):
        assert (getattr(mlp, name) is None) == (getattr(ours, name) is None)


@pytest.mark.parametrize("estimator", [LDLClassifier, RPPClassifier, LDLRegressor, RPPRegressor])
@pytest.mark.parametrize("sparse", [csr_array, csc_array, csr_matrix, coo_array])
def test_sparse_input_gives_what_dense_input_gives(estimator, sparse, digits):
    X, X_test, y, _ = digits
    X, X_test = np.where(X > 0, X, 0), np.where(X_test > 0, X_test, 0)
    dense = estimator(max_iter=3, **SMALL).fit(X, y)
    model = estimator(max_iter=3, **SMALL).fit(sparse(X), y)
    np.testing.assert_allclose(model.loss_curve_, dense.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(model.predict(sparse(X_test)), dense.predict(X_test), rtol=1e-4, atol=1e-5)
    model.partial_fit(sparse(X), y)
    if estimator in CLASSIFIERS:
        assert sparse(X).dtype == model.predict_proba(sparse(X_test)).dtype == np.float32
    early = estimator(max_iter=3, early_stopping=True, **SMALL)
    assert early.fit(sparse(X), y).validation_scores_ == early.fit(X, y).validation_scores_


@pytest.mark.parametrize("estimator", CLASSIFIERS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sample_weights_are_repetitions(estimator, solver, digits):
    X, _, y, _ = digits
    X, y = X[:90], y[:90]
    weights = np.random.default_rng(0).integers(0, 3, 90)
    # one batch of all rows in order, so that the two see the same sums
    options = {"solver": solver, "max_iter": 8, "shuffle": False, "batch_size": 200, "random_state": 0, "tol": 0}
    with pytest.warns(UserWarning, match="batch_size") if solver == "adam" else pytest.warns(ConvergenceWarning):
        weighted = estimator((40,), **options).fit(X, y, sample_weight=weights)
    rows = np.repeat(np.arange(90), weights)
    assert set(y[rows]) == set(y)
    options["batch_size"] = min(200, len(rows))
    repeated = estimator((40,), **options).fit(X[rows], y[rows])
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-3, atol=1e-5)
    assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-4)


def test_partial_fit_takes_sample_weights(digits):
    X, _, y, _ = digits
    weights = (y < 5).astype(float)
    model = LDLClassifier(learning_rate_init=0.01, **SMALL)
    for _ in range(20):
        model.partial_fit(X, y, weights, np.arange(10))
    assert model.predict_proba(X)[y < 5, 5:].max() < 0.1
    assert model.score(X[y < 5], y[y < 5]) > 0.95
    regressor = RPPRegressor(**SMALL)
    for _ in range(100):
        regressor.partial_fit(X, y, sample_weight=weights)
    assert r2_score(y[y < 5], regressor.predict(X[y < 5])) > 0.5


def test_class_weights(digits):
    X, _, y, _ = digits
    rare = np.concatenate([np.flatnonzero(y == 1)[:10], np.flatnonzero(y == 8)])
    X, y = X[rare], y[rare]
    options = {"max_iter": 10, "random_state": 0}
    by_class = RPPClassifier((40,), class_weight={1: 5.0, 8: 0.5}, **options).fit(X, y)
    by_sample = RPPClassifier((40,), **options).fit(X, y, sample_weight=np.where(y == 1, 5.0, 0.5))
    np.testing.assert_allclose(by_class.predict_proba(X), by_sample.predict_proba(X), rtol=1e-5)
    balanced = RPPClassifier((40,), class_weight="balanced", **options).fit(X, y)
    plain = RPPClassifier((40,), **options).fit(X, y)
    assert (balanced.predict(X) == 1).sum() > (plain.predict(X) == 1).sum()
    with pytest.raises(ValueError, match="class_weight='balanced' is not for partial_fit"):
        balanced.partial_fit(X, y)


def test_balanced_weights_are_those_of_the_training_labels(digits):
    X, X_test, y, y_test = digits
    train = (y < 3) & ((y != 1) | (np.arange(len(y)) % 5 == 0))
    by_class = dict(enumerate(compute_class_weight("balanced", classes=np.arange(3), y=y[train])))
    options = {"max_iter": 2, **SMALL}
    for val in (y_test == 0, (y_test == 0) | (y_test == 1)):
        balanced, given = (
            RPPClassifier(class_weight=weights, **options).fit(X[train], y[train], X_val=X_test[val], y_val=y_test[val])
            for weights in ("balanced", by_class)
        )
        assert balanced.loss_curve_ == given.loss_curve_
        assert balanced.validation_loss_curve_ == given.validation_loss_curve_
        assert balanced.validation_scores_ == given.validation_scores_
    # a warm start without class 1: the validation samples of it weigh 1
    part, val = train & (y != 1), y_test < 3
    by_class = dict(zip((0, 2), compute_class_weight("balanced", classes=np.array([0, 2]), y=y[part]), strict=True))
    for weights, model in (("balanced", balanced), (by_class | {1: 1.0}, given)):
        model.set_params(class_weight=weights, warm_start=True)
        model.fit(X[part], y[part], X_val=X_test[val], y_val=y_test[val])
    assert balanced.loss_curve_ == given.loss_curve_
    assert balanced.validation_loss_curve_ == given.validation_loss_curve_


def test_balanced_weights_of_several_labels(digits):
    X, X_test, y, y_test = digits
    Y, Y_test = (np.stack([labels < 2, labels % 2 == 0], axis=1).astype(int) for labels in (y, y_test))
    by_label = [dict(enumerate(compute_class_weight("balanced", classes=np.arange(2), y=column))) for column in Y.T]
    val = Y_test[:, 0] == 0
    balanced, given = (
        LDLClassifier(class_weight=weights, max_iter=2, **SMALL).fit(X, Y, X_val=X_test[val], y_val=Y_test[val])
        for weights in ("balanced", by_label)
    )
    assert balanced.loss_curve_ == given.loss_curve_
    assert balanced.validation_loss_curve_ == given.validation_loss_curve_


@pytest.mark.parametrize("estimator", [LDLClassifier, RPPRegressor])
def test_weights_that_are_all_zero(estimator, digits):
    X, X_test, y, y_test = digits
    model = estimator(max_iter=2, early_stopping=True, **SMALL)
    with pytest.raises(ValueError, match=r"sample_weight, .* must not be zero for all samples, got 1347 zeros"):
        model.fit(X, y, np.zeros(len(X)))
    # of 20 samples one has a weight, and is set aside or is not
    seen = []
    for weights in np.eye(20):
        message = r"sample_weight, .* early stopping \(validation_fraction=0.2\) (.*), got (4|16) zeros"
        with pytest.raises(ValueError, match=message) as error:
            clone(model).set_params(validation_fraction=0.2).fit(X[:20], y[:20], weights)
        seen.append(str(error.value).partition(") ")[2])
    assert seen.count("sets aside, got 4 zeros") == 16
    assert seen.count("leaves for training, got 16 zeros") == 4
    with pytest.raises(ValueError, match=r"sample_weight_val, .* must not be zero for all of X_val, got 450 zeros"):
        model.fit(X, y, X_val=X_test, y_val=y_test, sample_weight_val=np.zeros(len(X_test)))
    with pytest.raises(ValueError, match=r"Negative values in data passed to `sample_weight_val`"):
        model.fit(X, y, X_val=X_test, y_val=y_test, sample_weight_val=-np.ones(len(X_test)))
    assert not hasattr(model, "network_")


@pytest.mark.parametrize("estimator", [LDLClassifier, RPPRegressor])
def test_early_stopping_restores_the_best_weights(estimator, digits):
    X, X_test, y, y_test = digits
    model = estimator(
        (100,),
        early_stopping=True,
        n_iter_no_change=3,
        learning_rate_init=0.02,
        average=False,
        random_state=0,
        tol=1e-3,
    )
    model.fit(X, y, X_val=X_test, y_val=y_test)
    assert model.n_iter_ < 200
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_validation_score_ > model.validation_scores_[-1]
    assert model.score(X_test, y_test) == pytest.approx(model.best_validation_score_, abs=1e-6)
    assert model.best_loss_ is None


def test_early_stopping_sets_a_stratified_part_aside(digits, monkeypatch):
    X, _, y, _ = digits
    rows = np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:20]])
    parts = []
    model = LDLClassifier((16,), early_stopping=True, validation_fraction=0.25, max_iter=1, random_state=0)
    split = model._split
    monkeypatch.setattr(model, "_split", lambda data, y: parts.append(split(data, y)) or parts[-1])
    model.fit(X[rows], y[rows])
    (train, (validation, labels)) = parts[0]
    assert len(train) + len(validation) == len(rows)
    assert (labels == 1).sum() == 5
    with pytest.raises(ValueError, match="validation_fraction must leave two samples"):
        RPPRegressor((10,), early_stopping=True, validation_fraction=0.01).fit(X[:50], y[:50])
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        RPPRegressor((10,), early_stopping=True).partial_fit(X, y)
    X, y = make_multilabel_classification(n_samples=60, random_state=0)
    assert LDLClassifier((16,), early_stopping=True, max_iter=2).fit(X, y).n_iter_ == 2


def test_validation_samples_are_scored_after_every_epoch(digits):
    X, X_test, y, y_test = digits
    weights = np.linspace(0, 2, len(y_test))
    model = LDLClassifier(max_iter=3, **SMALL).fit(X, y, X_val=X_test, y_val=y_test, sample_weight_val=weights)
    score = accuracy_score(y_test, model.predict(X_test), sample_weight=weights)
    loss = log_loss(y_test, model.predict_proba(X_test), sample_weight=weights)
    assert model.validation_scores_[-1] == pytest.approx(score)
    assert model.validation_loss_curve_[-1] == pytest.approx(loss, rel=1e-5)
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == 3
    without = LDLClassifier(max_iter=3, **SMALL).fit(X, y)
    assert without.validation_scores_ is None
    np.testing.assert_array_equal(without.predict(X_test), model.predict(X_test))
    for options, message in (
        ({"X_val": X_test}, "X_val and y_val must be given together"),
        ({"sample_weight_val": weights}, "sample_weight_val needs X_val and y_val"),
        ({"X_val": X_test, "y_val": y_test + 5}, "y must hold only the classes"),
    ):
        with pytest.raises(ValueError, match=message):
            LDLClassifier(**SMALL).fit(X, y, **options)


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive", "cosine", "onecycle"])
def test_every_schedule_serves_every_solver(solver, learning_rate, digits, recwarn):
    X, X_test, y, y_test = digits
    options = {"learning_rate": learning_rate, "max_iter": 12, "learning_rate_init": 0.05 if solver == "sgd" else 0.01}
    model = RPPClassifier((100,), solver=solver, power_t=0.2, random_state=0, **options).fit(X, y)
    assert model.score(X_test, y_test) > 0.85
    ends = learning_rate in ("cosine", "onecycle")
    assert any(w.category is ConvergenceWarning for w in recwarn) != ends
    last = {"constant": 1, "invscaling": (11 * len(X) + 1) ** -0.2, "adaptive": 1}.get(learning_rate)
    if last is not None:
        assert model._optimizer.learning_rate == pytest.approx(options["learning_rate_init"] * last)
    else:
        assert model._optimizer.learning_rate < 0.05 * options["learning_rate_init"]


@pytest.mark.parametrize("learning_rate", ["cosine", "onecycle"])
def test_schedules_that_end_run_to_their_end(learning_rate, digits):
    X, X_test, y, y_test = digits
    # no epoch after the first improves by so much
    model = LDLClassifier(learning_rate=learning_rate, max_iter=7, tol=10.0, n_iter_no_change=1, **SMALL).fit(X, y)
    assert model.n_iter_ == 7
    assert model._optimizer.learning_rate < 0.1 * model.learning_rate_init
    stopped = clone(model).set_params(early_stopping=True).fit(X, y, X_val=X_test, y_val=y_test)
    assert stopped.n_iter_ == 3
    assert clone(model).set_params(learning_rate="constant").fit(X, y).n_iter_ == 3


def test_adaptive_lowers_the_rate_and_goes_on(digits, caplog):
    X, _, y, _ = digits
    with caplog.at_level(logging.INFO, "ldlrpp"):
        options = {"learning_rate": "adaptive", "learning_rate_init": 0.001, "solver": "sgd"}
        model = LDLRegressor((16,), tol=1e6, n_iter_no_change=1, max_iter=50, **options)
        model.fit(X[:100], y[:100])
    lowered = [r.message for r in caplog.records if "Setting learning rate" in r.message]
    assert lowered[0].endswith("Setting learning rate to 0.0002.")
    assert len(lowered) == 5
    assert "Stopping." in caplog.records[-1].message


@pytest.mark.parametrize("estimator", [LDLClassifier, RPPClassifier, LDLRegressor, RPPRegressor])
def test_lbfgs_fits_small_data(estimator, digits):
    X, X_test, y, y_test = digits
    model = estimator((64,) if "LDL" in estimator.__name__ else (60,), solver="lbfgs", max_iter=60, random_state=0)
    model.fit(X, y)
    assert model.score(X_test, y_test) > (0.9 if estimator in CLASSIFIERS else 0.5)
    assert len(model.loss_curve_) == model.n_iter_ <= 60
    assert model.loss_ <= model.loss_curve_[0] / 3
    with pytest.raises(AttributeError, match="partial_fit"):
        model.partial_fit(X, y)
    assert estimator((20,), solver="lbfgs", max_fun=5).fit(X, y).n_iter_ <= 5
    for options in ({"dropout": 0.1}, {"max_grad_norm": 1.0}):
        with pytest.raises(ValueError, match="solver='lbfgs' has no steps"):
            clone(model).set_params(**options).fit(X, y)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_warm_start_goes_on(solver, digits):
    X, _, y, _ = digits
    model = RPPClassifier((40,), n_permutations=4, warm_start=True, max_iter=5, solver=solver, random_state=0)
    first = model.fit(X, y).loss_
    network = model.network_
    assert model.fit(X, y).network_ is network
    assert model.loss_ < first
    assert model.n_iter_ == 5
    assert len(model.loss_curve_) == 10
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must stay \(40,\), what the network has"):
        model.set_params(hidden_layer_sizes=(80,)).fit(X, y)
    model.set_params(hidden_layer_sizes=(40,), warm_start=False).fit(X, y)
    assert len(model.loss_curve_) == 5


@pytest.mark.parametrize("estimator", REGRESSORS)
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
def test_losses_of_regressors(estimator, loss):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(800, 3))
    mean = np.exp(1 + X[:, 0] * X[:, 1] + X[:, 2])
    y = rng.poisson(mean).astype(float)
    outliers = rng.random(800) < 0.05
    if loss in ("absolute_error", "huber"):
        y[outliers] += 1000
    model = estimator((200,), loss=loss, max_iter=150, learning_rate_init=0.005, random_state=0).fit(X, y)
    assert r2_score(mean, model.predict(X)) > 0.6
    assert model.out_activation_ == ("exp" if loss == "poisson" else "identity")
    if loss == "poisson":
        assert (model.predict(X) > 0).all()
        with pytest.raises(ValueError, match="y must be 0 or more with loss='poisson'"):
            estimator(loss=loss).fit(X, -y)


def test_huber_delta(digits):
    X, _, y, _ = digits
    options = {"max_iter": 2, "random_state": 0, "alpha": 0}
    curves = [RPPRegressor((40,), loss="huber", huber_delta=d, **options).fit(X, y).loss_curve_ for d in (1e-3, 1e6)]
    assert curves[0][0] < 0.1
    np.testing.assert_allclose(curves[1], RPPRegressor((40,), **options).fit(X, y).loss_curve_, rtol=1e-5)


def test_adamw_decays_what_may_decay(digits):
    X, _, y, _ = digits
    options = {"alpha": 0, "max_iter": 20, "random_state": 0}
    adam, decayed, undecayed = (
        RPPClassifier((40,), solver=solver, weight_decay=decay, **options).fit(X, y)
        for solver, decay in (("adam", 5.0), ("adamw", 5.0), ("adamw", 0.0))
    )
    np.testing.assert_array_equal(adam.network_.flat, undecayed.network_.flat)
    for layer, other in zip(decayed.network_.layers, adam.network_.layers, strict=True):
        for name in layer.decayed:
            norms = [np.linalg.norm(net.parameters[name]) for net in (layer, other)]
            assert norms[0] < 0.9 * norms[1]


def test_dropout_and_gradient_norm_reach_training(digits):
    X, X_test, y, y_test = digits
    plain = LDLClassifier((256,), max_iter=30, random_state=0).fit(X, y)
    dropped = LDLClassifier((256,), max_iter=30, dropout=0.5, random_state=0).fit(X, y)
    assert dropped.loss_ > 2 * plain.loss_
    assert dropped.score(X_test, y_test) > 0.95
    short = LDLClassifier((256,), solver="sgd", max_iter=2, max_grad_norm=1e-9, random_state=0).fit(X, y)
    start = LDLClassifier((256,), solver="sgd", max_iter=2, learning_rate_init=1e-30, random_state=0).fit(X, y)
    np.testing.assert_allclose(short.network_.flat, start.network_.flat, atol=1e-6)


@pytest.mark.parametrize("kind", ["ten classes", "two classes", "several labels"])
def test_label_smoothing(kind, digits):
    X, X_test, y, y_test = digits
    if kind != "ten classes":
        y, y_test = y % 2, y_test % 2
    if kind == "several labels":
        y, y_test = (np.column_stack([labels, 1 - labels, labels]) for labels in (y, y_test))
    options = {"label_smoothing": 0.3, "alpha": 0, "learning_rate_init": 1e-30, "max_iter": 1, **SMALL}
    model = LDLClassifier(**options).fit(X, y, X_val=X_test, y_val=y_test)
    plain = clone(model).set_params(label_smoothing=0.0).fit(X, y, X_val=X_test, y_val=y_test)
    # nothing is learned yet: the losses are those of the same probabilities
    p = model.predict_proba(X).astype(np.float64)
    right = np.eye(10)[y] if kind == "ten classes" else np.eye(2)[y]
    if kind == "several labels":
        p, right = np.stack([1 - p, p], axis=2), np.eye(2)[y]
    soft = 0.7 * right + 0.3 / right.shape[-1]
    cross_entropies = -(soft * np.log(p)).sum(axis=-1).reshape(len(y), -1).sum(axis=1)
    assert model.loss_ == pytest.approx(cross_entropies.mean(), rel=1e-4)
    assert abs(model.loss_ - plain.loss_) > 1e-3
    assert model.validation_loss_curve_ == plain.validation_loss_curve_
    # and it softens what is predicted
    trained, sure = (clone(one).set_params(learning_rate_init=0.01, max_iter=30).fit(X, y) for one in (model, plain))
    assert np.abs(trained.predict_proba(X) - 0.5).mean() < np.abs(sure.predict_proba(X) - 0.5).mean()
    stepped = clone(trained).set_params(max_iter=1).partial_fit(X, y, classes=trained.classes_)
    np.testing.assert_array_equal(stepped.network_.flat, clone(stepped).fit(X, y).network_.flat)


@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_log_probabilities(estimator, digits):
    X, X_test, y, _ = digits
    model = estimator(max_iter=2, **SMALL).fit(X, y)
    np.testing.assert_array_equal(model.predict_log_proba(X_test), np.log(model.predict_proba(X_test)))


def test_n_jobs_are_the_threads_while_it_works(digits, monkeypatch):
    X, _, y, _ = digits
    before, seen = numba.get_num_threads(), []
    model = RPPClassifier(n_jobs=1, max_iter=1, **SMALL)
    monkeypatch.setattr(model, "_say", lambda message: seen.append(numba.get_num_threads()))
    model.fit(X, y)
    assert seen == [1]
    monkeypatch.setattr(model, "_say", lambda message: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.fit(X, y)
    assert numba.get_num_threads() == before
    monkeypatch.undo()
    np.testing.assert_array_equal(
        model.fit(X, y).predict_proba(X), clone(model).set_params(n_jobs=-1).fit(X, y).predict_proba(X)
    )


def test_negative_n_jobs_leave_threads_out(digits, monkeypatch):
    X, _, y, _ = digits
    seen = []
    monkeypatch.setattr(numba, "get_num_threads", lambda: 2)
    monkeypatch.setattr(numba, "set_num_threads", seen.append)
    for n_jobs in (-1, -2, -30):
        RPPClassifier(n_jobs=n_jobs, max_iter=1, **SMALL).fit(X, y)
    assert seen == [1, 2] * 2
    with pytest.raises(ValueError, match=r"The 'n_jobs' parameter of RPPClassifier must be .* Got 0"):
        RPPClassifier(n_jobs=0).fit(X, y)


def test_the_logger_has_what_verbose_prints(digits, caplog, capsys):
    X, _, y, _ = digits
    for verbose in (False, True):
        with caplog.at_level(logging.INFO, "ldlrpp"):
            caplog.clear()
            RPPRegressor(max_iter=2, verbose=verbose, **SMALL).fit(X, y)
        assert [r.name for r in caplog.records] == ["ldlrpp"] * 2
        printed = capsys.readouterr().out.splitlines()
        assert printed == ([r.message for r in caplog.records] if verbose else [])


class StopAfter:
    """A scikit-learn callback that stops after some epochs."""

    def __init__(self, n_epochs):
        self.n_epochs, self.seen, self.fitted = n_epochs, [], []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        pass

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.seen.append(context.task_name)
        self.fitted.append(fitted_estimator.predict(X[:5]))
        return len(self.seen) == self.n_epochs


@pytest.mark.parametrize("estimator", [LDLClassifier, RPPRegressor])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_callback_stops_training(estimator, solver, digits, recwarn):
    X, _, y, _ = digits
    callback = StopAfter(3)
    model = estimator(solver=solver, **SMALL).set_callbacks(callback).fit(X, y)
    assert model.n_iter_ == 3
    assert callback.seen == [{"adam": "epoch", "lbfgs": "iteration"}[solver]] * 3 + ["fit"]
    np.testing.assert_array_equal(callback.fitted[-1], model.predict(X[:5]))
    assert not [w for w in recwarn if w.category is ConvergenceWarning]


class Keep(StopAfter):
    """Keeps the estimators that it is given; ``train`` trains the first of them at once."""

    def __init__(self, train=None):
        super().__init__(None)
        self.train, self.n_torn_down = train, 0

    def teardown(self, estimator, context):
        self.n_torn_down += 1

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        if self.train and not self.fitted:
            fitted_estimator.partial_fit(*self.train)
        self.fitted.append(fitted_estimator)


@pytest.mark.parametrize("estimator", [LDLClassifier, RPPRegressor])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_estimators_that_a_callback_keeps_stay_what_they_were(estimator, solver, digits):
    X, X_test, y, y_test = digits
    keep = Keep()
    model = estimator(solver=solver, max_iter=3, **SMALL).set_callbacks(keep)
    model.fit(X, y, X_val=X_test, y_val=y_test)
    for n_epochs, kept in enumerate(keep.fitted[:3], 1):
        assert kept.n_iter_ == len(kept.loss_curve_) == len(kept.validation_scores_) == n_epochs
        assert kept.score(X_test, y_test) == pytest.approx(model.validation_scores_[n_epochs - 1])
        short = clone(model).set_params(max_iter=n_epochs).set_callbacks().fit(X, y)
        np.testing.assert_array_equal(kept.predict(X_test), short.predict(X_test))
    assert len({id(kept.network_) for kept in (*keep.fitted, model)}) == 5


def test_what_a_callback_trains_is_not_what_is_fitted(digits):
    X, _, y, _ = digits
    plain, keep, train = Keep(), Keep(), Keep((X, y))
    model = LDLClassifier(max_iter=3, **SMALL)
    alone, watched, trained = (clone(model).set_callbacks(callback).fit(X, y) for callback in (plain, keep, train))
    for each in (watched, trained):
        np.testing.assert_array_equal(each.network_.flat, alone.network_.flat)
        assert each.loss_curve_ == alone.loss_curve_
    # one epoch and a call of partial_fit, while the fit goes on or after it, are two epochs
    keep.fitted[0].partial_fit(X, y)
    for each in (keep, train):
        np.testing.assert_array_equal(each.fitted[0].network_.flat, plain.fitted[1].network_.flat)
        assert each.n_torn_down == 1


def test_scikit_learns_progress_bar(digits, capsys):
    X, _, y, _ = digits
    LDLClassifier(max_iter=3, **SMALL).set_callbacks(ProgressBar()).fit(X, y)
    assert "LDLClassifier" in capsys.readouterr().out


def test_what_is_built_into_a_network_stays(digits):
    X, _, y, _ = digits
    model = RPPClassifier(max_iter=1, warm_start=True, **SMALL).fit(X, y)
    for name, value in (("activation", "tanh"), ("n_permutations", 4), ("grad_scale", "mean")):
        with pytest.raises(ValueError, match=f"{name} must stay .*, what the network has, got {value!r}"):
            clone(model).fit(X, y).set_params(**{name: value}).fit(X, y)
    model.set_params(learning_rate_init=0.1).partial_fit(X, y)


@pytest.mark.parametrize("estimator", [LDLClassifier, RPPRegressor])
def test_early_stopping_may_come_and_go(estimator, digits):
    X, _, y, _ = digits
    model = estimator(early_stopping=True, warm_start=True, max_iter=2, **SMALL).fit(X, y)
    assert model.best_loss_ is None
    model.set_params(early_stopping=False).fit(X, y)
    assert model.best_loss_ == min(model.loss_curve_[2:])
    model.set_params(early_stopping=True).fit(X, y)
    assert model.best_loss_ is None
    assert model.best_validation_score_ == max(model.validation_scores_[2:])
    model.set_params(early_stopping=False).partial_fit(X, y)
    assert model.best_loss_ == model.loss_


def test_a_warm_start_restores_the_best_of_its_own_epochs(digits):
    X, X_test, y, y_test = digits
    model = LDLClassifier(early_stopping=True, warm_start=True, max_iter=3, **SMALL)
    model.fit(X, y, X_val=X, y_val=y)
    # other, harder validation samples: the best of before is none of theirs
    model.set_params(learning_rate_init=0.5).fit(X, y, X_val=X_test, y_val=(y_test + 1) % 10)
    assert model.score(X_test, (y_test + 1) % 10) == pytest.approx(model.best_validation_score_, abs=1e-6)


def test_early_stopping_ends_lbfgs(digits, caplog):
    X, X_test, y, y_test = digits
    model = RPPClassifier(solver="lbfgs", early_stopping=True, n_iter_no_change=2, tol=1e-3, **SMALL)
    with caplog.at_level(logging.INFO, "ldlrpp"):
        model.fit(X, y, X_val=X_test, y_val=y_test)
    assert caplog.records[-1].message.startswith("Validation score did not improve")
    assert model.n_iter_ < 200
    assert model.score(X_test, y_test) == pytest.approx(model.best_validation_score_, abs=1e-6)


def test_class_weights_of_classes_that_are_not_there(digits):
    X, _, y, _ = digits
    model = LDLClassifier(class_weight={1: 5.0}, **SMALL)
    model.partial_fit(X[y == 0], y[y == 0], classes=[0, 1])
    # a column of labels
    with pytest.warns(DataConversionWarning):
        model.set_params(early_stopping=True, max_iter=1).fit(X, y[:, np.newaxis])
    with pytest.raises(ValueError, match="are not in class_weight"):
        LDLClassifier(class_weight={77: 5.0}, **SMALL).fit(X, y)


def test_training_that_diverges_keeps_the_best_weights(digits):
    X, X_test, _, _ = digits
    y, y_test = np.exp(X[:, 2]), np.exp(X_test[:, 2])
    model = RPPRegressor(
        (40,), loss="poisson", solver="sgd", early_stopping=True, learning_rate_init=0.01, momentum=0,
        average=False, signs=False, random_state=0,
    )  # fmt: skip
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"Training diverged .* keeps the best weights"):
        model.fit(X[:300], y[:300], X_val=X_test, y_val=y_test)
    assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_ > 1
    assert model.score(X_test, y_test) == pytest.approx(model.best_validation_score_, abs=1e-6)
    # the last weights are finite, and what they predict is not
    assert np.isnan(model.validation_scores_[-1])


@pytest.mark.parametrize("estimator", [LDLClassifier, RPPRegressor])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_read_only_data(estimator, solver, digits):
    X, _, y, _ = digits
    X, y = X.copy(), y.copy()
    X.flags.writeable = y.flags.writeable = False
    estimator(solver=solver, max_iter=2, **SMALL).fit(X, y)


def test_adams_constants_near_one_and_zero(digits):
    X, _, y, _ = digits
    curves = [
        LDLClassifier(init="orthogonal", learning_rate_init=0.001, max_iter=5, random_state=0, **options)
        .fit(X, y)
        .loss_curve_
        for options in ({}, {"beta_2": 0.99999999, "epsilon": 1e-60})
    ]
    assert curves[1][-1] < 0.5 * curves[1][0]


def test_validation_targets_must_be_like_the_others(digits):
    X, X_test, y, y_test = digits
    two = np.stack([y, y], axis=1).astype(float)
    with pytest.raises(ValueError, match="y_val must have 2 outputs like y, got 1"):
        RPPRegressor(**SMALL).fit(X, two, X_val=X_test, y_val=y_test)
    with pytest.raises(TypeError, match="y must be a dense array"):
        LDLClassifier(**SMALL).fit(X[:100], csr_matrix(np.eye(10, dtype=int)[y[:100]]))


@pytest.mark.parametrize(
    ("at_first", "then"),
    [
        ({}, {"solver": "sgd"}),
        ({}, {"solver": "adamw"}),
        ({"solver": "adamw"}, {"weight_decay": 1.0}),
        ({}, {"learning_rate_init": 0.003}),
        ({}, {"learning_rate": "invscaling"}),
        ({"learning_rate": "invscaling"}, {"power_t": 0.3}),
        ({"learning_rate": "cosine"}, {"max_iter": 10}),
        ({}, {"beta_1": 0.5}),
        ({}, {"beta_2": 0.9}),
        ({}, {"epsilon": 0.1}),
        ({"solver": "sgd"}, {"momentum": 0.5}),
        ({"solver": "sgd"}, {"nesterovs_momentum": False}),
        ({}, {"random_state": 1}),
        ({}, {"alpha": 10.0}),
        ({}, {"dropout": 0.5}),
        ({}, {"max_grad_norm": 1e-3}),
        ({}, {"batch_size": 100}),
        ({}, {"shuffle": False}),
    ],
)
def test_changed_parameters_apply_from_the_next_call_on(at_first, then, digits):
    X, _, y, _ = digits
    model = RPPRegressor(**{**SMALL, **at_first}).partial_fit(X, y).partial_fit(X, y)
    same, changed = (copy.deepcopy(model).set_params(**options) for options in (at_first, then))
    for each in (model, same, changed):
        each.partial_fit(X, y)
    np.testing.assert_array_equal(same.network_.flat, model.network_.flat)
    assert (changed.network_.flat != model.network_.flat).any()


def test_what_goes_on_where_parameters_change(digits):
    X, _, y, _ = digits
    model = RPPRegressor(**SMALL).partial_fit(X, y).partial_fit(X, y)
    decayed = copy.deepcopy(model).set_params(solver="adamw", weight_decay=0.0)
    descending = copy.deepcopy(model).set_params(solver="sgd")
    cosine = copy.deepcopy(model).set_params(learning_rate="cosine", max_iter=4)
    reseeded = [copy.deepcopy(each).set_params(random_state=9) for each in (model, model.partial_fit(X, y))]
    for each in (decayed, descending, cosine, *reseeded):
        each.partial_fit(X, y)
    # Adam's moments stay, and its count of steps
    np.testing.assert_array_equal(decayed.network_.flat, model.network_.flat)
    assert list(descending._optimizer.state) == ["velocities"]
    # the third of four epochs, from one half of the cosine on
    assert 0.14 * model.learning_rate_init < cosine._optimizer.learning_rate < 0.5 * model.learning_rate_init
    assert cosine._schedule.state == model._schedule.state
    assert reseeded[0]._rng.bit_generator.state == reseeded[1]._rng.bit_generator.state
    # a warm start takes them up too
    warm = [copy.deepcopy(each).set_params(random_state=3, warm_start=True, max_iter=1) for each in reseeded]
    assert warm[0].fit(X, y)._rng.bit_generator.state == warm[1].fit(X, y)._rng.bit_generator.state
    for name, value in (("solver", "sdg"), ("dropout", -1), ("batch_size", 0)):
        with pytest.raises(ValueError, match=f"The '{name}' parameter of RPPRegressor must be"):
            copy.deepcopy(model).set_params(**{name: value}).partial_fit(X, y)


@pytest.mark.parametrize("rate", ["cosine", "onecycle"])
def test_partial_fit_says_when_the_learning_rate_has_come_to_its_end(rate, digits):
    X, _, y, _ = digits
    model = LDLRegressor(learning_rate=rate, max_iter=2, **SMALL).partial_fit(X, y).partial_fit(X, y)
    with pytest.warns(UserWarning, match=f"learning_rate='{rate}' has come to its end after 2 epochs"):
        model.partial_fit(X, y)
    model.set_params(max_iter=3).fit(X, y)  # begins anew
    with pytest.warns(UserWarning, match="after 3 epochs"):
        model.partial_fit(X, y)


def test_classes_too_rare_for_strata(digits, caplog):
    X, _, y, _ = digits
    y = np.where(np.arange(len(y)) == 5, 77, y)
    with caplog.at_level(logging.INFO, "ldlrpp"):
        model = LDLClassifier(early_stopping=True, max_iter=2, **SMALL).fit(X, y)
    assert "Validation samples are not stratified" in caplog.text
    assert 77 in model.classes_
    assert len(model.validation_scores_) == 2


def test_warnings_point_to_the_line_of_the_user(digits):
    X, _, y, _ = digits
    model = LDLRegressor(batch_size=5000, learning_rate="cosine", max_iter=1, **SMALL)
    for fit in (model.fit, model.partial_fit, clone(model).set_params(learning_rate="constant").fit):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit(X, y)
        assert caught
        assert {warning.filename for warning in caught} == {__file__}
