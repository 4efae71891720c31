"""Estimators on a cluster of Dask's: what they learn, whatever the number of workers and whoever of these dies."""

import contextlib
import gc
import itertools
import pickle
import subprocess
import sys
import threading
import time
import warnings

import cloudpickle
import joblib
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV

pytest.importorskip("distributed", reason="the extra dask is not installed")

import dask.array as da
from clusters import COMMON, Callback, alone, assert_same_model, collections, data
from distributed import Semaphore

from ldlrpp import LDLClassifier, MixedRegressor, RPPClassifier
from ldlrpp.dask import DaskLDLClassifier, DaskLDLRegressor, DaskMixedRegressor, DaskRPPClassifier
from ldlrpp.dask.base import planned
from ldlrpp.dask.cluster import Cluster
from ldlrpp.dask.collectives import Lost, Reduction, XGBoost
from ldlrpp.estimators import checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_the_package_does_not_import_dask():
    code = "import ldlrpp, sys; assert not {'dask', 'distributed'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- One machine, and one partition ----------------------------------------------------------------------------------


LOCAL = {
    "LDL": (DaskLDLClassifier(**COMMON, dropout=0.0), LDLClassifier(**COMMON)),
    "RPP": (DaskRPPClassifier(**COMMON, n_permutations=4), RPPClassifier(**COMMON, n_permutations=4)),
    "schedule, adamw": (
        DaskLDLClassifier(**COMMON, learning_rate="onecycle", solver="adamw", max_grad_norm=0.1),
        LDLClassifier(**COMMON, learning_rate="onecycle", solver="adamw", max_grad_norm=0.1),
    ),
    "sgd without averages": (
        DaskLDLClassifier(**COMMON, solver="sgd", average=False, learning_rate="invscaling"),
        LDLClassifier(**COMMON, solver="sgd", average=False, learning_rate="invscaling"),
    ),
}


@pytest.mark.parametrize("case", LOCAL)
def test_one_partition_in_order_is_the_local_estimator_to_the_last_bit(client, case):
    model, local = (clone(one).set_params(shuffle=False) for one in LOCAL[case])
    X, y, _ = data(90)
    assert_same_model(model.fit(*collections(X, y, rows=90)), local.fit(X, y))
    assert model.t_ == local.t_
    np.testing.assert_array_equal(model.predict(X), local.predict(X))


@pytest.mark.parametrize("options", [{"class_weight": "balanced", "label_smoothing": 0.1}, {"class_weight": {1: 3.0}}])
def test_weights_of_classes_and_samples_are_the_local_ones(client, options):
    X, y, _ = data(90)
    weights = np.random.default_rng(1).uniform(size=90).astype(np.float32)
    local = LDLClassifier(**COMMON, shuffle=False, **options).fit(X, y, weights)
    model = DaskLDLClassifier(**COMMON, shuffle=False, **options).fit(*collections(X, y, weights, rows=90))
    np.testing.assert_allclose(model.loss_curve_, local.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(model.network_.flat, local.network_.flat, rtol=1e-3, atol=1e-4)


def test_partial_fit_goes_on(client):
    X, y, _ = data(90)
    model = DaskLDLClassifier(**COMMON, shuffle=False, client=client)
    local = LDLClassifier(**COMMON, shuffle=False)
    for _ in range(2):
        model.partial_fit(*collections(X, y, rows=90), classes=[0, 1, 2, 3])
        local.partial_fit(X, y, classes=[0, 1, 2, 3])
    assert_same_model(model, local)
    model.partial_fit(*collections(X, y))
    assert len(model.loss_curve_) == 3


def test_a_checkpoint_of_a_fit_on_the_cluster(client, tmp_path, monkeypatch):
    X, y, _ = data()
    path = tmp_path / "training"
    model = DaskLDLClassifier(**COMMON, checkpoint=path, early_stopping=True)
    write = checkpoint._write

    def write_and_stop(*args):
        write(*args)
        raise KeyError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_write", write_and_stop)
        with pytest.raises(KeyError, match="stopped"):
            model.fit(*collections(X, y))
    resumed = clone(model).fit(*collections(X, y))
    assert_same_model(resumed, clone(model).set_params(checkpoint=None).fit(*collections(X, y)))
    with pytest.raises(ValueError, match="training with other data"):
        clone(model).fit(*collections(2 * X, y))
    with pytest.raises(ValueError, match="the machine was the processor, is workers with device='auto'"):
        clone(model).set_params(device="auto").fit(*collections(X, y))


# --- Several partitions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"sync_steps": 1, "dropout": 0.2, "n_replicas": 2}])
def test_bits_do_not_depend_on_the_number_of_workers(client, options):
    X, y, _ = data()
    model = DaskLDLClassifier(**COMMON, **options)
    two = clone(model).set_params(client=client).fit(*collections(X, y))
    with alone() as one:
        single = clone(model).set_params(client=one).fit(*collections(X, y))
    assert_same_model(two, single)


def test_every_row_is_trained_on_once_an_epoch():
    n_rows = [7, 100, 0, 33, 20]
    for n_replicas, sync_steps, seed in [(1, None, None), (3, None, 0), (2, 2, 1), (9, 1, None)]:
        turns = planned(n_rows, 10, n_replicas, sync_steps, seed, 0)
        assert all(len(turn) <= n_replicas for turn in turns)
        rows = dict.fromkeys(range(4), 0)
        for turn in turns:
            assert [number for number, *_ in turn] == sorted({number for number, *_ in turn})
            for number, span, steps, n in turn:
                rows[number] += n
                assert span is None or span[1] - span[0] == steps
        assert list(rows.values()) == [7, 100, 33, 20]


def test_it_learns_with_several_partitions_in_turns(client):
    X, y, target = data(1200)
    model = DaskLDLClassifier((64,), max_iter=25, batch_size=20, random_state=0, n_replicas=2, client=client)
    assert model.fit(*collections(X, y, rows=200)).score(X, y) > 0.93
    regressor = DaskLDLRegressor((64,), max_iter=25, batch_size=20, random_state=0, n_replicas=2, client=client)
    assert regressor.fit(*collections(X, target, rows=200)).score(X, target) > 0.93


def test_copies_take_longer_steps(client):
    X, y, _ = data(60)
    options = {"solver": "sgd", "momentum": 0.0, "average": False, "alpha": 0.0, "learning_rate_init": 0.1}
    model = DaskLDLClassifier(**{**COMMON, "max_iter": 1, "batch_size": 60}, **options, shuffle=False, client=client)
    start = clone(model).set_params(learning_rate_init=1e-12).fit(*collections(X, y)).network_.flat
    one = clone(model).fit(*collections(X, y)).network_.flat - start
    four = clone(model).fit(*collections(np.tile(X, (4, 1)), np.tile(y, 4))).network_.flat - start
    np.testing.assert_allclose(four, 2 * one, rtol=1e-3, atol=1e-5 * np.abs(one).max())


def test_what_is_of_the_client_is_sent_once(client, monkeypatch):
    X, y, _ = data()
    place, placed = Cluster.place, []
    monkeypatch.setattr(Cluster, "place", lambda self, value: placed.append(value) or place(self, value))
    counts = []
    for max_iter in (2, 5):
        placed.clear()
        DaskLDLClassifier(**{**COMMON, "max_iter": max_iter}, early_stopping=True, client=client).fit(X, y)
        counts.append(sum(getattr(value, "shape", ())[1:] == (12,) for value in placed))
    assert counts[0] == counts[1] > 0


def test_counts_may_be_small_integers_of_numpy(client):
    X, y, _ = data()
    model = DaskLDLClassifier(**COMMON, n_replicas=2, sync_steps=1, client=client)
    small = clone(model).set_params(batch_size=np.int8(20), n_replicas=np.int8(2), sync_steps=np.int8(1))
    assert_same_model(small.fit(*collections(X, y, rows=150)), model.fit(*collections(X, y, rows=150)))


def test_arrays_of_this_process(client):
    X, y, _ = data()
    order = np.argsort(y)
    model = DaskLDLClassifier(**COMMON, client=client).fit(X[order], y[order])
    assert model.classes_.tolist() == [0, 1, 2, 3]
    assert len(model.loss_curve_) == 3
    assert_same_model(model, DaskLDLClassifier(**COMMON, client=client).fit(csr_array(X[order]), y[order]))


def test_a_client_that_is_not_the_current_one():
    code = (
        "import numpy as np; from distributed import Client; from ldlrpp.dask import DaskLDLClassifier\n"
        "X = np.random.default_rng(0).normal(size=(90, 4)); y = X[:, 0] > 0\n"
        "options = dict(processes=False, n_workers=1, dashboard_address=':0', set_as_default=False)\n"
        "with Client(**options) as client:\n"
        "    for sync in ('epoch', 'step'):\n"
        "        model = DaskLDLClassifier((8,), max_iter=2, n_iter_no_change=9, sync=sync, client=client).fit(X, y)\n"
        "    print(model.score(X, y))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr


def test_without_a_client_it_is_a_cluster_of_this_process():
    code = (
        "import numpy as np; from ldlrpp.dask import DaskLDLClassifier\n"
        "X = np.random.default_rng(0).normal(size=(90, 4)); y = X[:, 0] > 0\n"
        "print(DaskLDLClassifier((8,), max_iter=2, n_iter_no_change=9).fit(X, y).score(X, y))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60)
    assert 0 <= float(done.stdout) <= 1, done.stderr


# --- What else fit takes ---------------------------------------------------------------------------------------------


def test_sparse_chunks_are_dense_ones(client):
    X, y, _ = data()
    X[X < 0.5] = 0
    dense, labels = collections(X, y)
    sparse = dense.map_blocks(csr_array)
    one, other = (DaskLDLClassifier(**COMMON, client=client).fit(inputs, labels) for inputs in (dense, sparse))
    assert_same_model(one, other)
    np.testing.assert_array_equal(one.predict(sparse).compute(), one.predict(X))


def test_dataframes(client):
    dd = pytest.importorskip("dask.dataframe")
    import pandas as pd

    X, y, _ = data()
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(12)]).assign(label=np.array(list("abcd"))[y])
    frames = dd.from_pandas(frame, npartitions=5)
    frames = frames[frames.x0 < 1]  # rows are not known
    model = DaskLDLClassifier(**COMMON, client=client).fit(frames.drop(columns="label"), frames.label)
    assert model.feature_names_in_[:2].tolist() == ["x0", "x1"]
    assert model.classes_.tolist() == list("abcd")
    local = frame[frame.x0 < 1]
    predictions = model.predict(frames.drop(columns="label"))
    np.testing.assert_array_equal(predictions.compute(), model.to_local().predict(local.drop(columns="label")))
    score = model.score(frames.drop(columns="label"), frames.label)
    assert score == pytest.approx(accuracy_score(local.label, predictions.compute()))


def test_early_stopping_on_rows_of_every_partition(client):
    X, y, _ = data()
    model = DaskLDLClassifier(**COMMON, early_stopping=True, n_iter_no_change=2, client=client)
    model.set_params(max_iter=40).fit(*collections(X, y))
    assert model.n_iter_ < 40
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.t_ == model.n_iter_ * (300 - 5 * 6)


def test_validation_samples_of_both_kinds(client):
    X, y, target = data()
    weights = np.random.default_rng(1).uniform(size=100)
    for cls, targets, options in (
        (DaskLDLClassifier, y, {"class_weight": "balanced"}),
        (DaskLDLRegressor, target.reshape(-1, 1) * [1, 2], {}),
    ):
        model = cls(**COMMON, **options, client=client)
        training = collections(X[:200], targets[:200])
        given = X[200:], targets[200:], weights
        here, there = (
            clone(model).fit(*training, X_val=X_val, y_val=y_val, sample_weight_val=w)
            for X_val, y_val, w in (given, collections(*given, rows=30))
        )
        assert_same_model(here, there)
        np.testing.assert_allclose(here.validation_scores_, there.validation_scores_)
        np.testing.assert_allclose(here.validation_loss_curve_, there.validation_loss_curve_, rtol=1e-5)


def test_validation_samples_of_dask_are_checked(client):
    X, y, target = data()
    training = collections(X, np.stack([target, target], axis=1))
    model = DaskLDLRegressor(**COMMON, client=client)
    with pytest.raises(ValueError, match="y_val must have 2 outputs like y, got 1"):
        model.fit(*training, **dict(zip(("X_val", "y_val"), collections(X, target), strict=True)))
    with pytest.raises(ValueError, match="y_val must have 300 rows as X_val, got 299"):
        model.fit(*training, **dict(zip(("X_val", "y_val"), collections(X, target[:-1]), strict=True)))
    # what early stopping sets aside of rows of which one has a weight
    weights = np.zeros(300)
    weights[0] = 1
    model = DaskLDLClassifier(**COMMON, early_stopping=True, client=client)
    with pytest.raises(ValueError, match="must not be zero for all validation samples"):
        model.fit(*collections(X, y, weights))


def test_labels_that_training_has_not_weigh_one(client):
    X, _, _ = data()
    y = (X[:, :3] > 0.3).astype(int)
    y[:200, 2] = 0
    given = {"X_val": X[200:], "y_val": y[200:]}
    model = DaskLDLClassifier(**COMMON, class_weight="balanced", client=client)
    lazy = dict(zip(given, collections(*given.values()), strict=True))
    here, there = (clone(model).fit(*collections(X[:200], y[:200]), **inputs) for inputs in (given, lazy))
    np.testing.assert_allclose(there.validation_loss_curve_, here.validation_loss_curve_, rtol=1e-5)


@pytest.mark.parametrize(
    "options", [{"early_stopping": True}, {"sync_steps": 1}, {"sync": "step", "early_stopping": True}]
)
def test_partitions_of_different_lengths_are_refused(options):
    dd = pytest.importorskip("dask.dataframe")
    import pandas as pd

    X, y, _ = data()
    frame, labels = dd.from_pandas(pd.DataFrame(X), npartitions=3), dd.from_pandas(pd.Series(y), npartitions=3)
    labels = labels.map_partitions(lambda part: part.iloc[:-3])
    with alone() as one, pytest.raises(ValueError, match="inconsistent numbers of samples"):
        DaskLDLClassifier(**COMMON, **options, client=one).fit(frame, labels)


class Locked(Callback):
    """A callback that no other process can have."""

    def __init__(self):
        self.lock, self.n = threading.Lock(), 0

    def on_fit_task_end(self, estimator, context, **kwargs):
        self.n += context.task_name == "epoch"


def test_callbacks_stay_with_the_client(client):
    X, y, _ = data()
    callback = Locked()
    DaskLDLClassifier(**COMMON, client=client).set_callbacks(callback).fit(*collections(X, y))
    assert callback.n == 3


def test_several_labels_and_balanced_weights(client):
    X, _, _ = data(90)
    y = (X[:, :3] > 0.3).astype(int)
    y[:, 2] = 0
    options = {"shuffle": False, "class_weight": "balanced"}
    model = DaskLDLClassifier(**COMMON, **options, client=client).fit(*collections(X, y, rows=90))
    local = LDLClassifier(**COMMON, **options).fit(X, y)
    np.testing.assert_allclose(model.loss_curve_, local.loss_curve_, rtol=1e-5)
    assert model.score(*collections(X, y, rows=30)) == pytest.approx(local.score(X, y), abs=0.05)


# --- Predictions -----------------------------------------------------------------------------------------------------


def test_predictions_are_lazy_and_the_local_ones(client):
    X, y, target = data()
    lazy_X, lazy_y = collections(X, y)
    model = DaskLDLClassifier(**COMMON, client=client).fit(lazy_X, lazy_y)
    local = model.to_local()
    assert type(local) is LDLClassifier
    for name in ("predict", "predict_proba", "predict_log_proba"):
        lazy = getattr(model, name)(lazy_X)
        assert isinstance(lazy, da.Array)
        assert lazy.chunks[0] == lazy_X.chunks[0]
        expected = getattr(local, name)(X)
        assert lazy.dtype == expected.dtype
        assert lazy.shape == expected.shape
        np.testing.assert_allclose(lazy.compute(), expected, rtol=1e-5)
    weights = np.random.default_rng(2).uniform(size=len(X))
    assert model.score(lazy_X, lazy_y, *collections(weights)) == pytest.approx(local.score(X, y, weights))
    several = target.reshape(-1, 1) * [1, -2]
    regressor = DaskMixedRegressor([("dense", 8)], max_iter=3, random_state=0, client=client).fit(X, several)
    assert type(regressor.to_local()) is MixedRegressor
    score = regressor.score(*collections(X, several), *collections(weights))
    assert score == pytest.approx(r2_score(several, regressor.predict(X), sample_weight=weights))


def test_partitions_without_rows(client):
    X, y, _ = data()
    lazy_X, lazy_y = collections(X, y)
    kept = da.from_array(np.arange(300) >= 100, chunks=60)
    model = DaskLDLClassifier(**COMMON, client=client).fit(lazy_X[kept], lazy_y[kept])
    np.testing.assert_array_equal(model.predict(lazy_X[kept]).compute(), model.predict(X[100:]))
    assert model.predict_proba(lazy_X[kept]).compute().shape == (200, 4)
    assert model.score(lazy_X[kept], lazy_y[kept]) == pytest.approx(model.score(X[100:], y[100:]))
    with pytest.raises(ValueError, match="must have rows, got partitions without any"):
        model.score(lazy_X[kept & ~kept], lazy_y[kept & ~kept])


def test_a_model_is_a_snapshot_for_lazy_predictions(client):
    X, y, _ = data()
    lazy_X, lazy_y = collections(X, y)
    model = DaskLDLClassifier(**COMMON, client=client).fit(lazy_X, lazy_y)
    lazy, before = model.predict_proba(lazy_X), model.predict_proba(X)
    model.partial_fit(lazy_X, lazy_y)
    np.testing.assert_allclose(lazy.compute(), before, rtol=1e-5)


def test_pickles_and_clones(client):
    X, y, _ = data()
    model = DaskLDLClassifier(**COMMON, client=client).fit(*collections(X, y))
    again = pickle.loads(pickle.dumps(model))
    assert again.client is None
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert clone(model).client is client
    model.set_params(collective=XGBoost).partial_fit(*collections(X, y))
    local = pickle.dumps(model.to_local())
    code = (
        "import pickle, sys; model = pickle.load(sys.stdin.buffer)\n"
        "assert not {'dask', 'distributed'} & set(sys.modules); model.partial_fit([[0.0] * 12], [1])"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], input=local, check=True)


# --- Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, y[:-1]), "y must have 300 rows as X, got 299"),
        (lambda X, y: (X, y.rechunk(-1).compute()[:-1]), "y must have 300 rows as X, got 299"),
        (lambda X, y: (X.compute(), y), "y must be an array of this process as X is"),
        (lambda X, y: (X, y + 0.5), "Unknown label type"),
        (lambda X, y: (da.where(X > 2.5, np.nan, X), y), "Input X contains NaN"),
        (lambda X, y: (X, y, da.zeros(300, chunks=60)), "must not be zero for all samples"),
        (lambda X, y: (X, y, -da.ones(300, chunks=60)), "Negative values in data"),
        (lambda X, y: (X, None), "y must be given"),
        (lambda X, y: (X, y, 2.0), "sample_weight must be an array, got 2.0"),
        (lambda X, y: (X, da.where(y > 2, np.nan, y)), "Input y contains NaN"),
        (lambda X, y: (X, y[y < 3]), "inconsistent numbers of samples"),
    ],
)
def test_data_that_will_not_do_are_refused_and_nothing_changes(client, change, message):
    X, y, _ = data()
    lazy_X, lazy_y = collections(X, y)
    model = DaskLDLClassifier(**COMMON, client=client)
    with pytest.raises(ValueError, match=message):
        model.fit(*change(lazy_X, lazy_y))
    assert not hasattr(model, "network_")
    assert not hasattr(model, "_job")


def test_parameters_that_will_not_do_are_refused(client):
    X, y, _ = data(80)
    for options, message in (
        ({"solver": "lbfgs"}, "solver must be 'adam', 'adamw' or 'sgd' on a cluster, got 'lbfgs'"),
        ({"n_replicas": 0}, "n_replicas"),
        ({"client": "tcp://nowhere"}, "client"),
        ({"device": "tpu"}, "device must be"),
    ):
        with pytest.raises(ValueError, match=message):
            DaskLDLClassifier(**{**COMMON, "client": client, **options}).fit(X, y)


@pytest.mark.parametrize(("rate", "n_epochs"), [(1e9, 0), (0.1, 1)])
def test_training_that_diverges_keeps_the_last_good_epoch(client, rate, n_epochs):
    X, _, target = data()
    model = DaskLDLRegressor(**COMMON, client=client, solver="sgd", learning_rate_init=rate, average=False)
    with pytest.raises(ValueError, match=f"Training diverged in epoch {n_epochs + 1}"):
        model.fit(*collections(X, target))
    if not n_epochs:
        assert not hasattr(model, "network_")
        return
    assert_same_model(model, clone(model).set_params(max_iter=n_epochs).fit(*collections(X, target)))


# --- Steps of all workers together -----------------------------------------------------------------------------------


class Threads:
    """A collective of threads."""

    def __init__(self, n):
        self.values, self.barrier = {}, threading.Barrier(n, timeout=20)

    def reduced(self, operation, array):
        self.values[threading.get_ident()] = array
        self.barrier.wait()
        result = operation(list(self.values.values()))
        self.barrier.wait()
        return result

    def sum(self, array):
        return self.reduced(lambda arrays: np.sum(arrays, axis=0), array)

    def max(self, array):
        return self.reduced(lambda arrays: np.max(arrays, axis=0), array)


def sums(groups, gradients):
    """What every one of some processes has for the sum of the gradients, of which each has a group."""
    joined, results = Threads(len(groups)), []

    def work(group):
        reduction, total = Reduction([1] * len(gradients), joined), np.empty(gradients.shape[1], np.float32)
        for number in group:
            reduction.add(gradients[number], 1.0 + number)
        results.append((reduction.sum(total), total))

    threads = [threading.Thread(target=work, args=(group,), daemon=True) for group in groups]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(results) == len(groups)
    return results


def test_sums_depend_on_neither_grouping_nor_order():
    rng = np.random.default_rng(0)
    gradients = (rng.normal(size=(5, 1000)) * 10.0 ** rng.integers(-6, 3, (5, 1000))).astype(np.float32)
    results = []
    for groups in (
        [[0, 1, 2, 3, 4]],
        [[3, 1, 4, 0, 2]],
        [[0, 1], [2, 3, 4]],
        [[4], [2, 0], [3], [1]],
        [[], [*range(5)]],
    ):
        results += sums(groups, gradients)
    for value, total in results:
        assert value == 15.0
        np.testing.assert_array_equal(total, results[0][1])
    np.testing.assert_allclose(results[0][1], gradients.astype(float).sum(axis=0), rtol=1e-6)
    gradients[2, 7] = np.nan
    for _, total in sums([[0, 1], [2, 3, 4]], gradients):
        assert np.isnan(total).all()


def late(args):
    """In a task: a sum for longer than the collective waits for what is late."""
    with Quick.joined(args) as joined:
        for _ in range(5):
            time.sleep(0.8)
            total = joined.sum(np.ones(1, np.int64))
    return int(total[0])


class Quick(XGBoost):
    timeout = 3


@pytest.mark.usefixtures("collective")
def test_an_epoch_may_be_longer_than_a_collective_waits(client):
    first, second = client.nthreads()
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        args = client.submit(Quick.begin, 2, "127.0.0.1", workers=[first], pure=False).result()
        futures = [client.submit(late, args, workers=[one], pure=False) for one in (first, second)]
        assert client.gather(futures) == [2, 2]
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.usefixtures("collective")
def test_a_sum_that_is_lost_has_the_epoch_taken_again(client, tmp_path):
    class Losing(XGBoost):
        @staticmethod
        @contextlib.contextmanager
        def joined(args):
            with XGBoost.joined(args) as joined:
                try:
                    (tmp_path / "lost").touch(exist_ok=False)
                except FileExistsError:
                    yield joined
                else:
                    raise Lost("as it happens")

    X, y, _ = data()
    model = DaskLDLClassifier(**COMMON, sync="step", client=client)
    undisturbed = clone(model).fit(*collections(X, y))
    assert_same_model(clone(model).set_params(collective=Losing).fit(*collections(X, y)), undisturbed)
    assert (tmp_path / "lost").exists()


@pytest.mark.usefixtures("collective")
def test_steps_leave_nothing_that_asks_for_leases(client):
    X, y, _ = data()
    DaskLDLClassifier(**COMMON, sync="step", client=client).fit(*collections(X, y))
    deadline, left = time.monotonic() + 10, True
    while left and time.monotonic() < deadline:
        # of proxies, whose objects may be gone, isinstance asks those
        locks = [one for one in gc.get_objects() if type(one) is Semaphore]
        left = [lock for lock in locks if lock.refresh_callback.is_running()]
    assert not left


@pytest.mark.parametrize("case", LOCAL)
def test_steps_of_one_partition_in_order_are_the_local_ones_to_the_last_bit(client, case):
    model, local = (clone(one).set_params(shuffle=False) for one in LOCAL[case])
    X, y, _ = data(90)
    assert_same_model(model.set_params(sync="step").fit(*collections(X, y, rows=90)), local.fit(X, y))


def test_steps_of_several_partitions_are_those_of_one_machine_with_the_same_batches():
    X, y, _ = data(330, np.float64)
    weights = np.random.default_rng(1).uniform(size=330)
    n_rows, batch = [100, 150, 80], 33
    starts = np.cumsum([0, *n_rows])
    ends = [*range(0, 330, batch), 330]
    order = np.concatenate([
        np.arange(starts[part] + n * begin // 330, starts[part] + n * end // 330)
        for begin, end in itertools.pairwise(ends)
        for part, n in enumerate(n_rows)
    ])  # fmt: skip
    options = {**COMMON, "batch_size": batch, "shuffle": False}
    local = LDLClassifier(**options).fit(X[order], y[order], weights[order])
    inputs = [da.from_array(array, chunks=(tuple(n_rows), *array.shape[1:])) for array in (X, y, weights)]
    with alone() as one:
        model = DaskLDLClassifier(**options, sync="step", client=one).fit(*inputs)
    np.testing.assert_allclose(model.loss_curve_, local.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(model.network_.flat, local.network_.flat, rtol=1e-6, atol=1e-9)


@pytest.mark.usefixtures("collective")
@pytest.mark.parametrize("options", [{"dropout": 0.2}, {"class_weight": "balanced", "early_stopping": True}])
def test_bits_of_steps_do_not_depend_on_the_number_of_workers(client, options):
    X, y, _ = data()
    model = DaskLDLClassifier(**COMMON, **options, sync="step")
    two = clone(model).set_params(client=client).fit(*collections(X, y))
    with alone() as one:
        single = clone(model).set_params(client=one).fit(*collections(X, y))
    assert_same_model(two, single)


@pytest.mark.usefixtures("collective")
def test_a_part_that_one_worker_refuses_ends_the_steps_of_all(client):
    X, y, _ = data()
    X[250, 3] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        DaskLDLClassifier(**COMMON, sync="step", client=client).fit(*collections(X, y))
    with pytest.raises(ValueError, match="device must be 'cpu' with sync='step', got 'auto'"):
        DaskLDLClassifier(**COMMON, sync="step", device="auto", client=client).fit(*collections(X, y))


# --- Searches, and dask-ml -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV])
def test_a_search_over_local_estimators_runs_on_the_cluster(client, search):
    X, y, _ = data(120)
    options = {"random_state": 0, "min_resources": 60} if search is HalvingGridSearchCV else {}
    search = search(LDLClassifier(**COMMON), {"alpha": [0.1, 0.001]}, cv=2, **options)
    here = clone(search).fit(X, y)
    client.run(warnings.simplefilter, "ignore")
    with joblib.parallel_config("dask"):
        search.fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"])


def test_blocks_one_after_the_other_with_dask_ml(client):
    wrappers = pytest.importorskip("dask_ml.wrappers", reason="dask-ml is not installed")
    X, y, _ = data()
    model = LDLClassifier(**COMMON)
    wrapped = wrappers.Incremental(clone(model), shuffle_blocks=False).fit(*collections(X, y), classes=[0, 1, 2, 3])
    for start in range(0, len(X), 60):
        model.partial_fit(X[start : start + 60], y[start : start + 60], classes=[0, 1, 2, 3])
    np.testing.assert_array_equal(wrapped.estimator_.network_.flat, model.network_.flat)
    np.testing.assert_array_equal(wrapped.predict(collections(X)[0]).compute(), model.predict(X))
