"""``sync="step"``: every step is one of all workers together, each with its partitions."""

import contextlib
import time
from concurrent.futures import CancelledError
from contextlib import contextmanager

import numpy as np
from distributed import Future, Semaphore, get_worker, wait
from distributed.comm import get_address_host

from ldlrpp.dask import work
from ldlrpp.dask.cluster import PATIENCE, Forgotten, Patience, scheduler_there, threads_of_worker
from ldlrpp.dask.collectives import Alone, Lost, Reduction, XGBoost
from ldlrpp.estimators.borrowed import num_samples
from ldlrpp.estimators.run import Run
from ldlrpp.kernels import backend

# Seconds between two looks at whether all workers are there.
_LOOK = 1.0


def placed(cluster, sources):
    """Where partitions are trained on: for every worker its address and its parts, in order and all there."""
    workers = sorted(cluster.addresses(running=True))
    shares = np.array_split(np.arange(len(sources)), min(len(workers), len(sources)))
    ranks = []
    for address, share in zip(workers, shares, strict=False):
        parts = [cluster.held(sources[number], workers=[address], allow_other_workers=True) for number in share]
        ranks.append((address, parts))
    # what takes its time to be there is not waited for by workers that wait for each other
    cluster.wait([value for _, parts in ranks for part in parts for value in part if isinstance(value, Future)])
    return ranks


def epoch(cluster, twin, ranks, state, n_rows, seed, epoch, collective):
    """The state after an epoch of all ranks together."""
    collective = Alone if len(ranks) == 1 else collective or XGBoost
    addresses = [address for address, _ in ranks]
    # every rank has a task that waits for the others: two fits that each had half of the workers would wait for ever.
    # A lease of a client that goes away ends by itself
    with _alone(cluster.client):
        if not set(addresses) <= cluster.addresses():
            raise Forgotten("a worker is lost")
        started = cluster.submit(begin, collective, len(ranks), workers=addresses[:1], pure=False)
        future = cluster.place(state)
        futures = [
            cluster.submit(
                train_together, twin, future, seed, epoch, n_rows, collective, started, rank == 0,
                len(parts), *(value for part in parts for value in part), workers=[address], pure=False,
            )
            for rank, (address, parts) in enumerate(ranks)
        ]  # fmt: skip
        patience = PATIENCE
        while True:
            _wait(cluster, futures, set(addresses))
            # who has the state may die before it is here, and nobody else could compute it again
            with contextlib.suppress(TimeoutError, CancelledError):
                return futures[0].result(timeout=patience)
            # or it is a large one
            patience *= 2


@contextmanager
def _alone(client):
    """Context in which no other fit has steps on the cluster."""
    with scheduler_there():
        lock = Semaphore(1, "ldlrpp-step", scheduler_rpc=client.scheduler, loop=client.loop)
        lock.acquire()
    try:
        yield
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            lock.release()
        # it would ask for its lease for as long as the process lives
        client.loop.add_callback(lock.refresh_callback.stop)


def _wait(cluster, futures, addresses):
    """Wait for tasks of which none can do without the others."""
    patience = Patience(cluster.client, futures)
    while not all(future.status == "finished" for future in futures):
        with contextlib.suppress(TimeoutError, CancelledError):
            wait(futures, timeout=_LOOK)
        gone = not addresses <= cluster.addresses()
        with scheduler_there():
            paused = cluster.paused(addresses)
        patience.look(paused)
        if not gone and _fails(futures):
            # a worker's end is seen by its neighbours first
            time.sleep(_LOOK)
            gone = not addresses <= cluster.addresses()
        if gone or _fails(futures):
            errors = [future.exception() for future in futures if future.status == "error"]
            cluster.client.cancel(futures)
            mine = [error for error in errors if not isinstance(error, (FailedElsewhere, Lost))]
            if gone or not mine:
                lost = [error for error in errors if isinstance(error, Lost)]
                raise Forgotten(str(lost[0]) if lost and not gone else "a worker is lost")
            raise mine[0]


def _fails(futures):
    return any(future.status not in ("finished", "pending") for future in futures)


class FailedElsewhere(RuntimeError):
    """Another process of a step has raised an error."""


def begin(collective, n):
    """A task: what the processes of an epoch need to find each other."""
    return collective.begin(n, get_address_host(get_worker().address))


def train_together(twin, state, seed, epoch, n_rows, collective, started, wanted, n_parts, *values):
    """A task: what ``state`` becomes by an epoch of all ranks, of which this one has some parts."""
    width = len(values) // n_parts
    parts = [values[first : first + width] for first in range(0, len(values), width)]
    with threads_of_worker(twin.n_jobs), collective.joined(started) as joined:
        data, error = [], None
        try:
            for X, y, weights, rows, number in parts:
                numbers = work.kept(num_samples(X), rows, number)
                data.append(work.checked(twin, X, y, weights, numbers)[0])
        except Exception as raised:
            error = raised
        # all learn of it now, or they would wait for a step that never comes
        failed = joined.max(np.array([float(error is not None)]))[0]
        if error is not None:
            raise error
        if failed:
            raise FailedElsewhere("another worker has refused a part of the data")
        for part in data:
            part.targets = twin._softened(part.targets)
        one = work.another(twin, state)
        one._rng = [work.stream(seed, epoch, part[-1], work.ORDER_OF_ROWS) for part in parts]
        one.batch_size = one._batch_rows(one.network_, sum(n_rows))
        run = Run(one, backend.cpu)
        loss = next(one._epochs(data, run, Reduction(n_rows, joined)))
        after = work.State.of(run.network, run.optimizer, run.average, one._schedule)
    after.sum_of_losses = loss * sum(n_rows)
    return after if wanted else None
