"""The cluster that a call works on: which one it is, and results of it, or an error that says what it has lost."""

import logging
import os
import time
import uuid
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress

import dask
from distributed import Client, Future, default_client, get_worker, wait, worker_client
from distributed.scheduler import KilledWorker

from ldlrpp.estimators.undo import ClusterLost
from ldlrpp.kernels.cpu import heap
from ldlrpp.kernels.cpu.threads import kernel_threads

_logger = logging.getLogger("ldlrpp")
# Seconds that a call waits for a worker where there is none, and for a scheduler that is started again.
PATIENCE = 60.0
# How often an epoch is taken that a cluster forgot.
_ATTEMPTS = 3
# Seconds between two looks at whether there is a cluster still.
_LOOK = 2.0


class Forgotten(Exception):
    """The cluster knows nothing any more of what it was asked for, as after a restart."""


class Patience:
    """How long nobody has worked on futures that are waited for; after `PATIENCE` seconds nobody wants them any more.

    Or who works on the same later would wait for those who had them.
    """

    def __init__(self, client, futures):
        self._client, self._futures, self._since = client, futures, None

    def look(self, error):
        """Give the error that it would be, None if somebody may be at work."""
        now = time.monotonic()
        self._since = now if error is None or self._since is None else self._since
        if now - self._since >= PATIENCE:
            with suppress(OSError, RuntimeError, ValueError):  # of connections and clients that are closed
                self._client.cancel(self._futures)
            raise error


@contextmanager
def connected(client):
    """Context of a `Cluster`: of a client, of the current one where that is None, or of one that lasts as long."""
    # what waits for futures asks the current client
    with _client(client) as client, client.as_current():
        yield Cluster(client)


@contextmanager
def _client(client):
    if client is not None:
        if getattr(client, "asynchronous", False):
            raise ValueError("client must not be an asynchronous one: a fit waits for its epochs")
        yield client
        return
    try:
        get_worker()
    except ValueError:
        pass
    else:
        # in a task, which gives its place up to those that it waits for
        with worker_client() as client:
            yield client
        return
    try:
        client = default_client()
    except ValueError:
        # in this process, where kernels have all threads: no data are copied, and scripts need no __main__
        with Client(processes=False, n_workers=1, threads_per_worker=os.cpu_count(), dashboard_address=":0") as client:
            yield client
    else:
        yield client


@contextmanager
def scheduler_there():
    """Context of what asks the scheduler: `Forgotten` where there is none."""
    try:
        yield
    except OSError as error:  # of connections that are closed, too
        raise Forgotten(f"the scheduler does not answer: {error}") from error


@contextmanager
def threads_of_worker(n_jobs):
    """Context of a task: kernels have ``n_jobs`` threads, with None as many as the worker has.

    Kernels of one process take turns, so that the one that runs may have all of them.
    """
    try:
        n_threads = get_worker().state.nthreads if n_jobs is None else n_jobs
    except ValueError:  # not in a task
        n_threads = n_jobs
    with kernel_threads(n_threads), heap.keeping():
        yield


class Cluster:
    """A client, and how a call asks it for what it wants."""

    def __init__(self, client):
        self.client = client
        self._name, self._n = f"ldlrpp-{uuid.uuid4().hex[:12]}", 0

    def key(self, what):
        """A name for a task that no other fit has; Dask's pages show tasks of one kind by what is before the last -."""
        self._n += 1
        return f"{what}-{self._name}-{self._n}"

    def place(self, value):
        """A value on the cluster. It is part of a task, so that it is there again if a worker is lost."""
        with _large_graphs():
            return self.client.submit(_given, value, key=self.key("ldlrpp-given"))

    def submit(self, function, *args, **options):
        """A task of futures and small values."""
        with _large_graphs():
            return self.client.submit(function, *args, key=self.key(f"ldlrpp-{function.__name__}"), **options)

    def compute(self, function, calls, **options):
        """A task for every tuple of arguments, among which there may be parts of Dask's collections."""
        if all(not dask.is_dask_collection(value) or isinstance(value, Future) for call in calls for value in call):
            return [self.submit(function, *call, **options) for call in calls]
        name = f"ldlrpp-{function.__name__}"
        lazy = dask.delayed(function, pure=False, traverse=False)
        with _large_graphs():
            return self.client.compute([lazy(*call, dask_key_name=self.key(name)) for call in calls], **options)

    def held(self, values, **options):
        """Values of which those of Dask's collections are computed, and there for as long as what is returned lives."""
        lazy = [value for value in values if dask.is_dask_collection(value)]
        with _large_graphs():
            futures = iter(self.client.compute(lazy, **options))
        return tuple(next(futures) if dask.is_dask_collection(value) else value for value in values)

    def addresses(self, *, running=False):
        """The workers that there are, or those that get tasks, one at least."""
        with scheduler_there():
            found = set(self._running() if running else self.client.nthreads())
        if not found:
            raise Forgotten("there is no worker that takes tasks" if running else "there is no worker")
        return found

    def _running(self):
        return self.client.sync(self.client.scheduler.ncores_running).keys()

    def wait(self, futures):
        """Wait for futures; `Forgotten` if the cluster forgot them, `ClusterLost` if nobody works on them."""
        patience = Patience(self.client, futures)
        while True:
            try:
                wait(futures, timeout=_LOOK)
                return
            except TimeoutError:
                patience.look(self._idle())
            except CancelledError as error:
                raise Forgotten(str(error)) from error

    def results(self, futures):
        """What tasks return; their errors are raised here."""
        self.wait(futures)
        try:
            return [future.result() for future in futures]
        except CancelledError as error:
            raise Forgotten(str(error)) from error
        except KilledWorker as error:
            raise ClusterLost(
                "A task was given up because the workers that took it died, one after the other: a partition, the "
                f"network and a batch must fit in the memory of a worker ({error})."
            ) from error

    def result(self, future):
        return self.results([future])[0]

    def again(self, attempt):
        """What ``attempt()`` gives: taken again, some times, where the cluster forgets it on the way."""
        for n in range(_ATTEMPTS):
            try:
                return attempt()
            except Forgotten as error:
                lost = error
                _logger.info("The cluster forgot what was under way (%s): it is done again.", error)
            except ClusterLost:
                raise
            except Exception as error:
                # what the data are made of may be gone as well, of which Dask says this and that
                if not n:
                    raise
                raise ClusterLost(
                    f"The cluster was restarted, and data that were kept there are lost ({error})."
                ) from error
            self._wait_for_workers()
        raise ClusterLost(f"The cluster forgot what was under way {_ATTEMPTS} times ({lost}).") from lost

    def paused(self, addresses=None):
        """An error if workers are paused that are waited for: those of the addresses, or whoever may have a task.

        Dask gives no task to a worker whose memory is full, but leaves those with it that it has not begun.
        """
        running = self._running()
        if not self.client.nthreads().keys() - running:
            return None
        workers = self.client.sync(self.client.scheduler.identity)["workers"]
        at_work = {address for address, worker in workers.items() if _is_at_work(worker)}
        paused = {address for address, worker in workers.items() if worker["status"] == "paused"} - at_work
        if not (paused & addresses if addresses is not None else paused and not at_work):
            return None
        error = Forgotten if running else ClusterLost
        return error(
            f"Workers were paused by Dask for {PATIENCE:g} seconds, because their memory is too full for another task: "
            "the limit of a worker's memory must leave room for Python and its packages, the network, a partition and "
            "a batch."
        )

    def _idle(self):
        """An error if nobody works, None if somebody may."""
        try:
            if self.client.status == "running" and self.client.nthreads():
                return self.paused()
        except (OSError, RuntimeError, ValueError):  # of connections and clients that are closed
            pass
        return ClusterLost(
            f"No worker was there for {PATIENCE:g} seconds: the cluster must have one, and its scheduler run."
        )

    def _wait_for_workers(self):
        try:
            self.client.wait_for_workers(1, timeout=PATIENCE)
        except (TimeoutError, OSError, RuntimeError, ValueError) as error:
            raise ClusterLost(f"No worker came back within {PATIENCE:g} seconds.") from error


def _is_at_work(worker):
    # not a task that has given up its place, as one in which a fit waits for others has
    counts = worker["metrics"].get("task_counts", {})
    return any(counts.get(state) for state in ("executing", "flight"))


def _given(value):
    return value


def _large_graphs():
    # a network, or an array of NumPy's, as part of a task, is meant
    return dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TiB"})
