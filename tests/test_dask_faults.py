"""What happens to a fit on a cluster when parts of it are lost, come late or are shared."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

pytest.importorskip("distributed", reason="the extra dask is not installed")

import dask
from clusters import COMMON, Callback, assert_same_model, collections, data
from distributed import Client, Status, get_worker

from ldlrpp.dask import DaskLDLClassifier, cluster, work
from ldlrpp.dask.cluster import Cluster, Forgotten
from ldlrpp.dask.collectives import XGBoost

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=["epoch", "step"])
def sync(request):
    if request.param == "step":
        request.getfixturevalue("collective")
    return request.param


def slowly(block, address=None):
    if address in (None, get_worker().address):
        time.sleep(0.05)
    return block


def until(true, seconds=60):
    """Wait until it is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class AfterAnEpoch(Callback):
    """A callback that does something once, after the first epoch, and stops training when it is told to."""

    def __init__(self, act, stops=lambda estimator: False):
        self.act, self.stops, self.done = act, stops, False

    def on_fit_task_end(self, estimator, context, **kwargs):
        if context.task_name != "epoch":
            return False
        if not self.done:
            self.done = True
            self.act()
        return self.stops(estimator)


def killed_on_the_way(client, model, inputs):
    """A fit of which a worker is killed some time after the first epoch."""
    pid, _ = client.run(os.getpid).values()
    timer = threading.Timer(0.1, os.kill, (pid, signal.SIGKILL))
    callback = AfterAnEpoch(timer.start)
    disturbed = clone(model).set_callbacks(callback).fit(*inputs)
    assert callback.done
    assert not timer.is_alive(), "the fit ended before the worker did"
    until(lambda: is_replaced(client, pid))
    return disturbed


def is_replaced(client, pid):
    """Whether there are two workers, of which none is the one that was killed."""
    try:
        pids = client.run(os.getpid).values()
    except OSError:  # who is gone may not be known to be
        return False
    return len(pids) == 2 and pid not in pids


def test_a_worker_that_is_killed_costs_time_and_changes_nothing(client):
    X, y, _ = data()
    lazy_X, lazy_y = collections(X, y)
    lazy_X = lazy_X.map_blocks(slowly, dtype=X.dtype)
    model = DaskLDLClassifier(**COMMON, client=client, n_replicas=2)
    undisturbed = clone(model).fit(lazy_X, lazy_y)
    assert_same_model(killed_on_the_way(client, model, (lazy_X, lazy_y)), undisturbed)


class Impatient(XGBoost):
    timeout = 5


@pytest.mark.usefixtures("collective")
def test_a_worker_that_is_killed_among_steps_has_the_epoch_taken_again(client):
    X, y, _ = data(12_000)
    model = DaskLDLClassifier(**COMMON, sync="step", collective=Impatient, client=client)
    inputs = collections(X, y, rows=3000)
    undisturbed = clone(model).fit(*inputs)
    assert_same_model(killed_on_the_way(client, model, inputs), undisturbed)


@pytest.mark.parametrize("n_times", [1, 3])
def test_what_a_cluster_forgets_is_done_again(client, n_times, monkeypatch):
    X, y, _ = data()
    model = DaskLDLClassifier(**COMMON, client=client, n_replicas=2)
    undisturbed, forgotten, compute = clone(model).fit(*collections(X, y)), [], Cluster.compute

    def forgetful(self, function, calls, **options):
        # as after a restart, in the middle of an epoch
        if function is work.train and len(calls) == 1 and len(forgotten) < n_times:
            forgotten.append(calls)
            raise Forgotten("restarted")
        return compute(self, function, calls, **options)

    monkeypatch.setattr(Cluster, "compute", forgetful)
    disturbed = clone(model)
    if n_times == 3:
        with pytest.raises(RuntimeError, match="The cluster forgot what was under way 3 times"):
            disturbed.fit(*collections(X, y))
        assert not hasattr(disturbed, "network_")
    else:
        assert_same_model(disturbed.fit(*collections(X, y)), undisturbed)
    assert len(forgotten) == n_times


def test_two_fits_at_once(client, sync):
    X, y, _ = data()
    model = DaskLDLClassifier(**COMMON, sync=sync, client=client)
    alone = clone(model).fit(*collections(X, y))
    fitted = [clone(model) for _ in range(2)]
    threads = [threading.Thread(target=one.fit, args=collections(X, y), daemon=True) for one in fitted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    for one in fitted:
        assert_same_model(one, alone)


def test_a_slow_worker_and_one_that_comes_change_nothing(client):
    X, y, _ = data()
    lazy_X, lazy_y = collections(X, y)
    model = DaskLDLClassifier(**COMMON, client=client)
    undisturbed = clone(model).fit(lazy_X, lazy_y)
    slow_X = lazy_X.map_blocks(slowly, address=min(client.nthreads()), dtype=X.dtype)
    assert_same_model(clone(model).fit(slow_X, lazy_y), undisturbed)
    # one that comes after the first epoch, and two more epochs
    there = []

    def enough(estimator):
        if len(client.nthreads()) > 2:
            there.append(estimator.n_iter_)
        return len(there) > 2

    callback = AfterAnEpoch(lambda: client.cluster.scale(3), enough)
    longer = clone(model).set_params(max_iter=10_000, n_iter_no_change=10_000)
    disturbed = clone(longer).set_callbacks(callback).fit(lazy_X.map_blocks(slowly, dtype=X.dtype), lazy_y)
    client.cluster.scale(2)
    assert_same_model(disturbed, longer.set_params(max_iter=disturbed.n_iter_).fit(lazy_X, lazy_y))


GONE = """
import pickle, sys, warnings
import dask.array as da
from distributed import Client
warnings.simplefilter("ignore")
model, X, y = pickle.load(sys.stdin.buffer)
with Client(sys.argv[1]) as client:
    print("begins", flush=True)
    model.set_params(client=client, max_iter=10_000, n_iter_no_change=10_000)
    model.fit(*(da.from_array(array, chunks=(60, *array.shape[1:])) for array in (X, y)))
"""


def tasks(dask_scheduler):
    return {key for key in map(str, dask_scheduler.tasks) if key.startswith("ldlrpp")}


def test_a_client_that_goes_away_leaves_nothing(client, sync):
    X, y, _ = data()
    model = DaskLDLClassifier(**COMMON, sync=sync)
    command = [sys.executable, "-c", GONE, client.scheduler.address]
    # the time that steps of other clients wait for one that is gone is for that one to say
    environment = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__LOCKS__LEASE_TIMEOUT": "4s"}
    # tasks of fits before this one may go at any time: by their names, for no two have the same
    before = client.run_on_scheduler(tasks)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        try:
            process.stdin.write(pickle.dumps((model, X, y)))
            process.stdin.close()
            process.stdout.readline()
            until(lambda: client.run_on_scheduler(tasks) - before)
            time.sleep(0.2)
        finally:
            process.kill()
    until(lambda: not client.run_on_scheduler(tasks) - before)
    assert clone(model).set_params(client=client).fit(*collections(X, y)).n_iter_ == 3


def test_a_scheduler_that_goes_away_is_an_error_and_finished_epochs_are_kept(sync, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 2.0)
    file = tmp_path / "scheduler.json"
    modules = ("dask_scheduler", "--port", "0", "--no-dashboard"), ("dask_worker", "--nthreads", "1", "--no-dashboard")
    started = []
    try:
        with dask.config.set({"distributed.comm.timeouts.connect": "2s"}):
            for name, *options in modules:
                command = [sys.executable, "-m", f"distributed.cli.{name}", "--scheduler-file", str(file), *options]
                started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=tmp_path))
                until(file.exists)
            with Client(scheduler_file=str(file), set_as_default=False) as client:
                client.wait_for_workers(1, timeout=30)
                X, y, _ = data()
                model = DaskLDLClassifier(**COMMON, sync=sync, client=client).set_callbacks(
                    AfterAnEpoch(started[0].kill)
                )
                model.set_params(max_iter=10_000, n_iter_no_change=10_000)
                with pytest.raises(RuntimeError, match="The estimator keeps the weights of epoch"):
                    model.fit(*collections(X, y))
                assert np.isfinite(model.predict_proba(X)).all()
    finally:
        for process in started:
            process.kill()
            process.wait()


def set_status(status, dask_worker):
    # as Dask's watch over memory does; here there is none
    dask_worker.status = Status[status]


@pytest.mark.parametrize("n_paused", [1, 2])
def test_workers_whose_memory_is_full(client, sync, n_paused, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 2.0)
    X, y, _ = data()
    model, paused = DaskLDLClassifier(**COMMON, sync=sync, client=client), sorted(client.nthreads())[:n_paused]
    callback = AfterAnEpoch(lambda: client.run(set_status, "paused", workers=paused))
    disturbed, n_epochs = clone(model).set_callbacks(callback), 3
    try:
        if n_paused == 1:
            disturbed.fit(*collections(X, y))
        else:
            n_epochs = 1
            with pytest.raises(RuntimeError, match=r"paused by Dask for 2 seconds.*The estimator keeps the weights"):
                disturbed.fit(*collections(X, y))
    finally:
        client.run(set_status, "running", workers=paused)
    assert_same_model(disturbed, model.set_params(max_iter=n_epochs).fit(*collections(X, y)))


def paused_within(block, flag, seconds=0.2, after=Status.paused):
    """A block, whose first task after there is such a file has the memory of its worker full, for so many seconds."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(flag)
        worker = get_worker()
        worker.loop.add_callback(setattr, worker, "status", Status.paused)
        time.sleep(seconds)
        worker.loop.add_callback(setattr, worker, "status", after)
    return block


def test_tasks_that_a_worker_has_when_its_memory_is_full(client, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(cluster, "PATIENCE", 2.0)
    X, y, _ = data(600)
    lazy_X, lazy_y = collections(X, y, rows=30)
    model = DaskLDLClassifier(**COMMON, n_replicas=20, client=client)
    undisturbed = clone(model).fit(lazy_X, lazy_y)
    flag = tmp_path / "full"
    lazy_X = lazy_X.map_blocks(paused_within, flag=flag, dtype=X.dtype)
    try:
        with caplog.at_level("INFO", "ldlrpp"):
            disturbed = clone(model).set_callbacks(AfterAnEpoch(flag.touch)).fit(lazy_X, lazy_y)
    finally:
        client.run(set_status, "running")
    assert caplog.text.count("Workers were paused by Dask for 2 seconds") == 1
    assert_same_model(disturbed, undisturbed)


def test_a_long_task_whose_worker_has_its_memory_full_is_waited_for(client, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(cluster, "PATIENCE", 2.0)
    X, y, _ = data()
    lazy_X, lazy_y = collections(X, y, rows=300)
    model, flag = DaskLDLClassifier(**COMMON, client=client), tmp_path / "full"
    undisturbed = clone(model).fit(lazy_X, lazy_y)
    lazy_X = lazy_X.map_blocks(paused_within, flag=flag, seconds=5, after=Status.running, dtype=X.dtype)
    with caplog.at_level("INFO", "ldlrpp"):
        disturbed = clone(model).set_callbacks(AfterAnEpoch(flag.touch)).fit(lazy_X, lazy_y)
    assert not flag.exists()
    assert "paused" not in caplog.text
    assert_same_model(disturbed, undisturbed)


LARGE = """
import resource, sys
import dask.array as da
import numpy as np
from clusters import COMMON, processes
from ldlrpp.dask import DaskLDLClassifier

def most():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

if __name__ == "__main__":
    # Python and the packages alone are 420 MB of a worker, and Dask pauses one at 80% of this
    limit = 640 * 2**20
    with processes(memory_limit=limit) as client:
        X = da.random.default_rng(0).standard_normal((limit // 100 + 1, 100), dtype=np.float32, chunks=(50_000, 100))
        y = X.map_blocks(lambda block: block[:, 0] > block[:, 1], dtype=bool, drop_axis=1)
        model = DaskLDLClassifier(**{**COMMON, "batch_size": 1000, "max_iter": 1}, client=client)
        workers = set(client.nthreads())
        model.fit(X[:50_000], y[:50_000])
        before = most()
        score = model.fit(X, y).score(X[:50_000], y[:50_000])
        print(score, X.nbytes / limit, most() - before, max(client.run(most).values()) / limit)
        assert set(client.nthreads()) == workers
"""


@pytest.mark.slow
def test_rows_of_four_times_the_memory_of_a_worker(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parent)}
    script = tmp_path / "large.py"
    script.write_text(LARGE)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script], env=environment, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    score, ratio, grown, largest = map(float, done.stdout.split())
    assert score > 0.9
    assert ratio >= 4
    # two chunks are 40 MB
    assert grown < 100 * 2**20
    assert largest < 0.95
