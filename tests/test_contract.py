"""What scikit-learn expects of estimators, and what its tools do with ours."""

import email
from importlib import metadata

import numpy as np
import pytest
from sklearn import config_context
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

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

LAYERS = [("ldl", 64), ("rpp", 30, {"bias": "shared"}), ("dense", 20)]
# with a tenth, the ten samples of some checks leave one for validation
STOPPING = {"early_stopping": True, "validation_fraction": 0.2}
# narrow where a check does not ask for accuracy; in 30 epochs all are as accurate as a check may ask
SETTINGS = [
    estimator.set_params(max_iter=30)
    for estimator in (
        LDLClassifier(),
        LDLClassifier(32, solver="lbfgs"),
        LDLClassifier(**STOPPING),
        LDLRegressor(),
        LDLRegressor(32, solver="adamw", learning_rate="onecycle", learning_rate_init=0.01, loss="huber"),
        RPPClassifier(),
        RPPClassifier(bias="none", permutation="stored"),
        RPPRegressor(),
        RPPRegressor(30, bias="shared", solver="sgd", learning_rate_init=0.01, max_grad_norm=1.0),
        RPPRegressor(30, learning_rate_init=0.01, **STOPPING),
        MixedClassifier(LAYERS),
        MixedRegressor(LAYERS, solver="sgd", learning_rate_init=0.01, max_grad_norm=1.0),
        LDLTransformer(32),
        RPPTransformer(30, task="reconstruction"),
    )
]


def expected_failures(estimator):
    """The checks that MLPRegressor fails too, with the same parameters, and why."""
    if not getattr(estimator, "early_stopping", False):
        return {}
    partial_fit = "partial_fit takes no validation samples: it refuses early_stopping, as theirs does"
    split = "a weight of two is one sample of the random split, two equal samples are two"
    return {
        "check_fit_score_takes_y": partial_fit,
        "check_n_features_in_after_fitting": partial_fit,
        "check_estimators_partial_fit_n_features": partial_fit,
        "check_sample_weight_equivalence_on_dense_data": split,
        "check_sample_weight_equivalence_on_sparse_data": split,
    }


@parametrize_with_checks(SETTINGS, expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_mlp_fails_what_ours_may_fail():
    failing = expected_failures(LDLClassifier(**STOPPING))
    checks = [
        (estimator, check)
        for estimator, check in estimator_checks_generator(MLPRegressor(**STOPPING))
        if check.func.__name__ in failing
    ]
    assert len(checks) == len(failing)
    for estimator, check in checks:
        with pytest.raises((AssertionError, ValueError), match=r"early_stopping|Not equal to tolerance"):
            check(estimator)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X.astype(np.float32) / 16, y


@pytest.mark.parametrize("estimator", [LDLClassifier, RPPRegressor, MixedClassifier, LDLTransformer])
def test_html_links_to_the_documentation_where_there_is_one(estimator, monkeypatch):
    monkeypatch.setattr(metadata, "metadata", lambda name: email.message_from_string("Name: ldlrpp\n\n"))
    assert "docs.invalid" not in estimator()._repr_html_()
    assert estimator()._get_doc_link() == ""
    headers = "Project-URL: Source, https://code.invalid\nProject-URL: Documentation, https://docs.invalid/ldlrpp\n\n"
    monkeypatch.setattr(metadata, "metadata", lambda name: email.message_from_string(headers))
    assert 'href="https://docs.invalid/ldlrpp"' in estimator()._repr_html_()


@pytest.mark.parametrize("estimator", [LDLClassifier, RPPRegressor, MixedRegressor])
def test_metadata_routing_brings_the_weights(estimator, digits):
    X, y = digits
    weights = (y < 5).astype(float)
    with config_context(enable_metadata_routing=True):
        model = estimator(max_iter=2, random_state=0).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        order = np.random.default_rng(0).permutation(len(X))
        splits = [(order[:1200], order[1200:])]
        routed, plain = (
            cross_validate(pipeline, X, y, cv=splits, params=params, return_estimator=True)
            for params in ({"sample_weight": weights}, {})
        )
    assert routed["estimator"][0][-1].loss_ != plain["estimator"][0][-1].loss_
    direct = estimator(max_iter=2, random_state=0)
    train, test = splits[0]
    scaler = StandardScaler().fit(X[train])
    direct.fit(scaler.transform(X[train]), y[train], sample_weight=weights[train])
    assert direct.loss_ == routed["estimator"][0][-1].loss_
    expected = direct.score(scaler.transform(X[test]), y[test], sample_weight=weights[test])
    assert routed["test_score"][0] == expected


def test_validation_samples_are_routed(digits):
    X, y = digits
    with config_context(enable_metadata_routing=True):
        model = LDLClassifier((32,), max_iter=2, random_state=0)
        model.set_fit_request(X_val=True, y_val=True, sample_weight=False)
        search = GridSearchCV(model, {"alpha": [0.1]}, cv=2).fit(X[:1000], y[:1000], X_val=X[1000:], y_val=y[1000:])
    assert len(search.best_estimator_.validation_loss_curve_) == 2


@pytest.mark.parametrize("estimator", [LDLClassifier, RPPClassifier, MixedClassifier])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_the_scoring_monitor_sees_every_epoch(estimator, solver, digits):
    X, y = digits
    monitor = ScoringMonitor(scoring="accuracy")
    model = estimator(solver=solver, max_iter=3, random_state=0).set_callbacks(monitor).fit(X, y)
    epochs = [row["accuracy"] for row in monitor.get_logs(select="most_recent").data if row["task_id_path"][1:]]
    assert len(epochs) == model.n_iter_ == 3
    assert epochs[0] < epochs[-1] == model.score(X, y)
