"""Faults of clusters, many of them: python benchmarks/dask_faults.py [--only kills ...] [--json FILE]

What the tests try once: workers that are killed at random moments of a fit, one that is slow, one that comes, all that
are started again, two fits at once; and rows of four times a worker's memory. A fit that does not end in the model of
the undisturbed one, bit for bit, ends the script with an error.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, get_worker
from record import run_parts
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from ldlrpp.dask import DaskLDLClassifier
from ldlrpp.dask.collectives import XGBoost

# Workers die again and again, which is what is tried; and who asks one that is gone asks for 5 seconds.
PATIENT = {"distributed.deploy.lost-worker-timeout": "1h", "distributed.comm.timeouts.connect": "5s"}
N_FEATURES = 100


class Impatient(XGBoost):
    timeout = 10


@contextlib.contextmanager
def cluster(n_workers=2, **options):
    """A client of a cluster of processes with a thread each."""
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": None, **options}
    with dask.config.set(PATIENT):
        local = LocalCluster(n_workers=n_workers, **options)
        with Client(local) as client:
            client.run(warnings.simplefilter, "ignore", ConvergenceWarning)
            yield client
        # distributed 2026.8, of a worker that was restarted
        with contextlib.suppress(KeyError):
            local.close()


def rows(n, chunk):
    """Lazy inputs and labels."""
    X = da.random.default_rng(0).standard_normal((n, N_FEATURES), dtype=np.float32, chunks=(chunk, N_FEATURES))
    directions = np.random.default_rng(1).standard_normal((N_FEATURES, 8), dtype=np.float32)
    return X, X.map_blocks(lambda block: (block @ directions).argmax(axis=1), dtype=np.int64, drop_axis=1)


def fitted(model, X, y):
    """A fit of a copy, and its seconds."""
    start = time.perf_counter()
    model = clone(model).fit(X, y)
    return model, time.perf_counter() - start


def must_be_equal(one, other, what):
    if not (np.array_equal(one.network_.flat, other.network_.flat) and one.loss_curve_ == other.loss_curve_):
        raise SystemExit(f"{what}: another model")
    return 1


def models(client):
    common = {"hidden_layer_sizes": (256,), "max_iter": 6, "batch_size": 200, "random_state": 0, "client": client}
    return {
        "sync='epoch'": DaskLDLClassifier(**common, n_replicas=2, dropout=0.1),
        "sync='step'": DaskLDLClassifier(**common, sync="step", collective=Impatient),
    }


def kills(record, n):
    """One of two workers is killed (-9) at a random moment of a fit, and started again by its nanny."""
    rng = np.random.default_rng(0)
    add = record.table(
        "kills", "", "kills", "within the fit", "models equal to the last bit", "s undisturbed", "median s", "most s"
    )
    X, y = rows(60_000, 10_000)
    with cluster() as client:
        for name, model in models(client).items():
            fitted(model, X, y)
            undisturbed, lasts = fitted(model, X, y)
            equal, within, seconds = 0, 0, []
            pid = None
            for i in range(n):
                pids, killed = _pids(client, pid), []
                pid = pids[i % 2]
                timer = threading.Timer(
                    rng.uniform(0, lasts),
                    lambda pid=pid, killed=killed: (os.kill(pid, signal.SIGKILL), killed.append(True)),
                )
                timer.start()
                again, took = fitted(model, X, y)
                within += bool(killed)
                timer.join()
                equal += must_be_equal(again, undisturbed, f"{name}, kill {i}")
                seconds.append(took)
            add(name, n, within, equal, lasts, float(np.median(seconds)), max(seconds))


def _pids(client, dead):
    """Of two workers, of which none is the one that is dead."""
    while True:
        client.wait_for_workers(2, timeout=60)
        # who is gone may not be known to be
        with contextlib.suppress(OSError):
            found = list(client.run(os.getpid).values())
            if len(found) == 2 and dead not in found:
                return found
        time.sleep(0.1)


def _slow(block, address=None):
    if get_worker().address == address:
        time.sleep(0.3)
    return block


def others(record, n):
    """A worker that is slow, one more, all of them started again, and two fits at once."""
    add = record.table("other faults", "", "", "tried", "models equal to the last bit", "most s")
    X, y = rows(60_000, 10_000)

    def slow(client, model):
        address = min(client.nthreads())
        return [fitted(model, X.map_blocks(_slow, address=address, dtype=X.dtype), y)]

    def meanwhile(act, client, model, n_workers):
        timer = threading.Timer(0.2, act)
        timer.start()
        result = fitted(model, X, y)
        if timer.is_alive():
            raise SystemExit("a fit ended before its fault")
        client.wait_for_workers(n_workers, timeout=60)
        return [result]

    def one_more(client, model):
        result = meanwhile(lambda: client.cluster.scale(3), client, model, 3)
        client.cluster.scale(2)
        return result

    def restart(client, model):
        return meanwhile(client.restart, client, model, 2)

    def two(client, model):
        results = []
        threads = [threading.Thread(target=lambda: results.append(fitted(model, X, y))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if len(results) < 2:
            raise SystemExit("a fit beside another has failed")
        return results

    with cluster() as client:
        for name, model in models(client).items():
            undisturbed, _ = fitted(model, X, y)
            for what, disturb in (
                ("a worker that takes 0.3 s more for a partition", slow),
                ("a third worker is started after 0.2 s", one_more),
                ("the cluster is started again after 0.2 s", restart),
                ("two fits at once", two),
            ):  # fmt: skip
                results = [result for _ in range(n) for result in disturb(client, model)]
                equal = sum(must_be_equal(one, undisturbed, f"{name}, {what}") for one, _ in results)
                add(name, what, len(results), equal, max(took for _, took in results))


MEMORY = """
import sys
sys.path.insert(0, sys.argv[1])
import dask_faults
if __name__ == "__main__":
    dask_faults.memory_of(int(sys.argv[2]), int(sys.argv[3]))
"""


def memory_of(limit, ratio):
    """Print what client and workers take for a fit of rows of ``ratio`` times the memory limit of a worker."""
    with cluster(memory_limit=limit) as client:
        X, y = rows(ratio * limit // (4 * N_FEATURES), 50_000)
        model = DaskLDLClassifier((64,), batch_size=1000, max_iter=1, random_state=0, client=client)
        fitted(model, X[:100_000], y[:100_000])
        before, of_workers = _most(), client.run(_most)
        model, seconds = fitted(model, X, y)
        workers = [most / 2**20 for most in client.run(_most).values()]
        print(X.nbytes / 2**20, max(of_workers.values()) / 2**20, max(workers), (_most() - before) / 2**20, seconds)
        _must_not_restart(client, set(of_workers))


def _most():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _must_not_restart(client, addresses):
    if set(client.nthreads()) != addresses:
        raise SystemExit("a worker was started again: it had too little memory")


def memory(record, n):
    """Rows of four times the memory of a worker, made chunk by chunk."""
    add = record.table(
        "memory", "MiB a worker may have", "MiB of data", "MiB a worker had before", "MiB a worker had at most",
        "MiB the client grew by", "s of a fit of one epoch",
    )  # fmt: skip
    limit = 600 * 2**20
    for ratio in (4, 8):
        command = [sys.executable, "-W", "ignore", "-c", MEMORY, os.path.dirname(__file__), str(limit), str(ratio)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        add(limit // 2**20, *map(float, done.stdout.split()))


#: What there is, and how many of each.
FAULTS = {"kills": (kills, 30), "others": (others, 2), "memory": (memory, 1)}


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    run_parts(FAULTS, __doc__)


if __name__ == "__main__":
    main()
