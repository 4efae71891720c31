"""For those with more rows than memory: training on a cluster of Dask's, and a worker that is killed in the middle.

Rows are made chunk by chunk, in workers whose memory holds a part of them; a worker is killed while an epoch is under
way, and the model comes out as if nothing had been, bit for bit. In the end the estimator is one without Dask.

Usage: python examples/dask_cluster.py [--rows 10000000] [--memory 1GB] [--epochs 2] [--workers 2]
"""

import argparse
import os
import signal
import threading
import time

import dask.array as da
import numpy as np
from dask.utils import format_bytes, parse_bytes
from distributed import Client, LocalCluster

from ldlrpp.dask import DaskLDLClassifier

N_FEATURES, N_CLASSES = 100, 8


def rows(n, chunk):
    """Lazy inputs and labels: which of some random directions a row goes farthest along."""
    X = da.random.default_rng(0).standard_normal((n, N_FEATURES), dtype=np.float32, chunks=(chunk, N_FEATURES))
    directions = np.random.default_rng(1).standard_normal((N_FEATURES, N_CLASSES), dtype=np.float32)
    y = X.map_blocks(lambda block: (block @ directions).argmax(axis=1), dtype=np.int64, drop_axis=1)
    return X, y


def kill(client, seconds):
    """Kill a worker, as a machine that fails would, when some time is over."""
    pids = list(client.run(os.getpid).values())
    timer = threading.Timer(seconds, lambda: os.kill(pids[0], signal.SIGKILL))
    timer.start()
    return timer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--chunk", type=int, default=100_000, help="rows of a partition")
    parser.add_argument("--memory", default="1GB", help="memory limit of a worker")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    with (
        LocalCluster(
            n_workers=options.workers, threads_per_worker=1, memory_limit=options.memory, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        X, y = rows(options.rows, options.chunk)
        X_test, y_test = X[: options.chunk], y[: options.chunk]
        X, y = X[options.chunk :], y[options.chunk :]
        ratio = X.nbytes / parse_bytes(options.memory)
        print(f"{len(X):,} rows of {N_FEATURES}: {format_bytes(X.nbytes)}, {ratio:.2g} times a worker's memory")
        print(f"{'':<24}{'s':>8}{'loss':>10}{'accuracy':>10}")
        models, seconds = [], 0.0
        for name in ("undisturbed", "a worker is killed"):
            model = DaskLDLClassifier(
                (256,), batch_size=1000, max_iter=options.epochs, n_iter_no_change=options.epochs,
                learning_rate="cosine", random_state=0, client=client,
            )  # fmt: skip
            start = time.perf_counter()
            timer = kill(client, seconds / 2) if models else None
            model.fit(X, y)
            seconds = time.perf_counter() - start
            if timer is not None:
                timer.join()
            models.append(model)
            print(f"{name:<24}{seconds:>8.1f}{model.loss_:>10.4f}{model.score(X_test, y_test):>10.4f}")
        same = np.array_equal(models[0].network_.flat, models[1].network_.flat)
        print(f"The same model, bit for bit: {'yes' if same else 'no'}")
        local = models[1].to_local()
        print(f"{type(local).__name__}, without Dask: {local.predict(np.asarray(X_test[:5])).tolist()}")


if __name__ == "__main__":
    main()
