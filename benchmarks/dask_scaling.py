"""Training on a cluster against one machine: python benchmarks/dask_scaling.py [--data mnist.npz] [--json FILE]

A LocalCluster of processes with a thread each; everything else is kept to one thread as well. Accuracy at equal epochs,
seconds of an epoch for 1 and 2 workers, what a step and an epoch cost beside the kernels; and a model, called so, of
what clusters of 4 … 1024 workers would do from the latency and the bandwidth that are given or measured here.
"""

import argparse
import math
import time
import warnings
from pathlib import Path

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster
from record import Record
from sklearn.exceptions import ConvergenceWarning

from ldlrpp import LDLClassifier, kernels
from ldlrpp.dask import DaskLDLClassifier


def cluster(n_workers):
    return LocalCluster(n_workers=n_workers, threads_per_worker=1, memory_limit=None, dashboard_address=":0")


def images(file):
    """Images and labels of MNIST, in an order by chance, for training and for testing."""
    with np.load(file) as arrays:
        X = [arrays[f"x_{part}"].reshape(len(arrays[f"x_{part}"]), -1) for part in ("train", "test")]
        X_train, X_test = (np.asarray(one, np.float32) / np.float32(255) for one in X)
        # a file may be sorted by class, and partitions of one class teach a network to forget the others
        order = np.random.default_rng(0).permutation(len(X_train))
        return X_train[order], arrays["y_train"][order], X_test, arrays["y_test"]


def synthetic(n_rows, chunk):
    """Rows of 100 inputs, made lazily, and labels that follow from them."""
    X = da.random.default_rng(0).standard_normal((n_rows, 100), dtype=np.float32, chunks=(chunk, 100))
    directions = np.random.default_rng(1).standard_normal((100, 10), dtype=np.float32)
    return X, X.map_blocks(lambda block: (block @ directions).argmax(axis=1), dtype=np.int64, drop_axis=1)


def accuracies(record, data, epochs, seeds):
    """Test accuracy of LDL (1024, 1024), batches of 200, defaults."""
    X, y, X_test, y_test = data
    add = record.table(f"accuracy on MNIST, {epochs} epochs", "trained", "partitions", "accuracy", "s a fit")
    options = {"hidden_layer_sizes": (1024, 1024), "max_iter": epochs, "n_iter_no_change": epochs}
    ways = [("one machine", None, {})]
    ways += [(f"sync='epoch', n_replicas={r}", p, {"n_replicas": r}) for r, p in ((2, 2), (2, 8), (4, 4), (4, 8))]
    ways += [(f"sync='epoch', n_replicas={r}, sync_steps=10", r, {"n_replicas": r, "sync_steps": 10}) for r in (2, 4)]
    ways += [("sync='step'", p, {"sync": "step"}) for p in (2, 8)]
    with cluster(2) as local, Client(local) as client:
        for name, n_parts, more in ways:
            scores, seconds = [], []
            for seed in range(seeds):
                if n_parts is None:
                    model, inputs = LDLClassifier(random_state=seed, n_jobs=1, **options), (X, y)
                else:
                    model = DaskLDLClassifier(random_state=seed, client=client, **options, **more)
                    rows = -(-len(X) // n_parts)
                    inputs = client.persist([da.from_array(X, chunks=(rows, 784)), da.from_array(y, chunks=rows)])
                start = time.perf_counter()
                model.fit(*inputs)
                seconds.append(time.perf_counter() - start)
                scores.append(model.score(X_test, y_test))
                del inputs
            add(name, n_parts or 1, scores, min(seconds))


def seconds_an_epoch(record, n_rows, chunk, epochs):
    """The mean of all epochs but the first, of data that are there (persisted) and that are made for every epoch."""
    add = record.table(
        f"{n_rows:,} rows of 100, LDL (1024, 1024)",
        "sync",
        "batch",
        "data",
        "1 worker: s an epoch",
        "2 workers",
        "times faster",
    )
    for sync in ("epoch", "step"):
        for batch in (200, 2048):
            for persisted in (True, False):
                if sync == "step" and not persisted:
                    continue  # it keeps its partitions
                times = []
                for n_workers in (1, 2):
                    with cluster(n_workers) as local, Client(local) as client:
                        X, y = synthetic(n_rows, chunk)
                        if persisted:
                            X, y = client.persist([X, y])
                        stamps = []
                        model = DaskLDLClassifier(
                            (1024, 1024), batch_size=batch, max_iter=epochs + 1, n_replicas=2, sync=sync,
                            random_state=0, client=client,
                        )  # fmt: skip
                        model._say = lambda message, stamps=stamps: stamps.append(time.perf_counter())
                        model.fit(X, y)
                        times.append((stamps[epochs] - stamps[0]) / epochs)
                add(sync, batch, "there" if persisted else "made anew", *times, times[0] / times[1])


def widths(record):
    """What a step sends and receives, of one hidden layer and ten classes, a worker: integers of 8 bytes, twice."""
    add = record.table("a model: megabytes that a worker sends a step", "N", "LDL, radix 4", "RPP, k = 100", "dense")
    for log in range(10, 21, 2):
        n = 2**log
        hidden = kernels.ldl_n_parameters(n), n * -(-n // 100) + n, n * n + n
        add(n, *(16e-6 * (count + 11 * n) for count in hidden))


def model(record, latency, bandwidth, rate):
    """Speed-up of a step: a ring sends 2·(W − 1)/W of the gradient and waits 2·log2 W times for the latency."""
    add = record.table(
        f"a model: times faster than one worker, {1e6 * latency:.0f} µs, {bandwidth / 1e9:.2g} GB/s, "
        f"{1e6 / rate:.2g} µs a row of LDL (1024, 1024)",
        "workers", "batch 2,048", "batch 16,384", "batch 131,072", "sync='epoch', 100 steps a turn",
    )  # fmt: skip
    n_bytes = 8 * (2 * kernels.ldl_n_parameters(1024) + 10250)
    for n in (2, 4, 16, 64, 256, 1024):
        sent = 2 * latency * math.log2(n) + 2 * (n - 1) / n * n_bytes / bandwidth
        steps = [batch / rate / (batch / rate / n + sent) for batch in (2048, 16384, 131072)]
        turn = 100 * 200 / rate
        # Dask's tasks: a millisecond each on the scheduler, and four arrays of the model's size to one worker
        scheduled = 1e-3 * n + 4 * n_bytes / 2 * n / bandwidth
        add(n, *steps, n * turn / (turn + scheduled))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="MNIST, an npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--chunk", type=int, default=100_000)
    parser.add_argument("--latency", type=float, default=50e-6, help="seconds, for the model")
    parser.add_argument("--bandwidth", type=float, default=1.25e9, help="bytes a second, for the model")
    Record.argument(parser)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    record = Record(options)
    if options.data:
        accuracies(record, images(options.data), options.epochs, options.seeds)
    if options.rows:
        seconds_an_epoch(record, options.rows, options.chunk, 1)
    widths(record)
    model(record, options.latency, options.bandwidth, 1.5e5)


if __name__ == "__main__":
    main()
