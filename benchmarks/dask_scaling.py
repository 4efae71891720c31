"""Training on a cluster against one machine: python benchmarks/dask_scaling.py [--data mnist.npz] [--json FILE]

A LocalCluster of processes with a thread each; everything else is kept to one thread as well. Accuracy at equal epochs,
seconds of an epoch for 1 and 2 workers, what a step and an epoch cost beside the kernels; and a model, called so, of
what clusters of 4 … 1024 workers would do from the latency and the bandwidth that are given or measured here.
"""

import argparse
import logging
import time
import warnings
from pathlib import Path

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, wait
from distributed.comm import get_address_host
from record import Record
from sklearn.exceptions import ConvergenceWarning

from ldlrpp import LDLClassifier, kernels
from ldlrpp.dask import DaskLDLClassifier
from ldlrpp.dask.collectives import Reduction, XGBoost

#: Of LDL (1024, 1024) and ten classes.
N_GRADIENTS = 2 * kernels.ldl_n_parameters(1024) + 10250


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
    columns = "trained", "partitions", "accuracy", "less than one machine", "s a fit"
    add = record.table(f"accuracy on MNIST, {epochs} epochs", *columns)
    options = {"hidden_layer_sizes": (1024, 1024), "max_iter": epochs, "n_iter_no_change": epochs}
    ways = [("one machine", None, {}), ("sync='step'", 2, {"sync": "step"}), ("sync='step'", 8, {"sync": "step"})]
    for copies, n_parts in ((2, 2), (2, 8), (4, 4), (4, 8)):
        ways.append((f"{copies} copies", n_parts, {"n_replicas": copies}))
    for copies in (2, 4):
        ways.append((f"{copies} copies, sync_steps=10", copies, {"n_replicas": copies, "sync_steps": 10}))
    one_machine = np.nan
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
                if n_parts is not None:
                    wait(inputs)
                start = time.perf_counter()
                model.fit(*inputs)
                seconds.append(time.perf_counter() - start)
                scores.append(model.score(X_test, y_test))
                del inputs
            one_machine = np.mean(scores) if n_parts is None else one_machine
            add(name, n_parts or 1, scores, one_machine - np.mean(scores), min(seconds))


class Epochs(logging.Handler):
    """When epochs have ended, by what an estimator says."""

    def __init__(self):
        super().__init__()
        self.ends = []

    def emit(self, record):
        if record.getMessage().startswith("Iteration"):
            self.ends.append((record.created, sent()))

    def __enter__(self):
        logger = logging.getLogger("ldlrpp")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)
        return self

    def __exit__(self, *_):
        logging.getLogger("ldlrpp").removeHandler(self)


def sent():
    """Bytes that have gone over this machine's own interface: Linux."""
    try:
        with open("/proc/net/dev") as file:
            return next(int(line.split()[1]) for line in file if line.strip().startswith("lo:"))
    except (OSError, StopIteration):
        return 0


def epochs_of(n_workers, n_rows, chunk, persisted, n_epochs, **options):
    """Seconds, and bytes between processes, of an epoch: the mean of all but the first."""
    with cluster(n_workers) as local, Client(local) as client, Epochs() as epochs:
        # of steps together every partition has its rows in each: a partition for a worker
        X, y = synthetic(n_rows, n_rows // 2 if options["sync"] == "step" else chunk)
        if persisted:
            X, y = client.persist([X, y])
        options = {"batch_size": 2048, "n_replicas": 2, "random_state": 0, **options}
        DaskLDLClassifier((1024, 1024), max_iter=n_epochs + 1, n_iter_no_change=99, client=client, **options).fit(X, y)
        (first, bytes_before), (last, bytes_after) = epochs.ends[0], epochs.ends[-1]
    return (last - first) / n_epochs, (bytes_after - bytes_before) / n_epochs


def seconds_an_epoch(record, n_rows, n_more, chunk, n_epochs):
    """Rows that workers have in memory, and many more that are made for every epoch."""
    columns = "sync", "batch", "rows", "data", "1 worker: s an epoch", "2 workers", "times faster"
    beside = "steps an epoch", "MB between processes a step", "ms a step beside the kernels"
    add = record.table("seconds of an epoch: rows of 100, LDL (1024, 1024)", *columns, *beside)
    cases = [("step", batch, n_rows, True) for batch in (200, 2048, 16384)]
    cases += [("epoch", batch, n_rows, True) for batch in (200, 2048)]
    cases += [("epoch", 2048, n_rows, False)] + [("epoch", 2048, n_more, False)] * bool(n_more)
    for sync, batch, n, persisted in cases:
        times, sent = zip(
            *(
                epochs_of(n_workers, n, chunk, persisted, n_epochs if n == n_rows else 1, sync=sync, batch_size=batch)
                for n_workers in (1, 2)
            ),
            strict=True,
        )
        steps = -(-n // batch)
        # two workers that waited for nothing would take half of the time
        beside = sent[1] / steps / 1e6, 1e3 * (times[1] - times[0] / 2) / (steps if sync == "step" else steps / 2)
        add(sync, batch, n, "there" if persisted else "made anew", *times, times[0] / times[1], steps, *beside)


def reductions(record):
    """Sums over two processes by themselves.

    Returns the seconds of a message, bytes a second, and the seconds that a step takes for conversions.
    """
    n = N_GRADIENTS
    with cluster(2) as local, Client(local) as client:
        args = client.submit(XGBoost.begin, 2, get_address_host(client.scheduler.address)).result()
        futures = [client.submit(_reduce, args, n, workers=[one], pure=False) for one in client.nthreads()]
        found = futures[0].result()
        wait(futures)
    add = record.table("sums over two processes", "numbers", "integers µs", "gradients µs")
    for size, integers, gradients in found:
        add(size, 1e6 * integers, 1e6 * gradients)
    # a sum over two sends two messages one after the other; a step looks for the largest number first
    (_, sum_of_one, _), *_, (_, of_n, gradients), (most, slowest, _) = found
    return sum_of_one / 2, 8 * most / (slowest - sum_of_one), gradients - of_n - sum_of_one


def _reduce(args, n):
    def median(call):
        times = []
        for _ in range(200):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return float(np.median(times))

    def step():
        reduction.add(flat, 1.0)
        reduction.sum(flat)

    found = []
    with XGBoost.joined(args) as joined:
        for size in (1, 1000, n, 10 * n):
            array, flat, reduction = np.ones(size, np.int64), np.ones(size, np.float32), Reduction([1, 1], joined)
            found.append((size, median(lambda: joined.sum(array)), median(step)))  # noqa: B023
    return found


def widths(record):
    """What a step sends and receives, of one hidden layer and ten classes, a worker: integers of 8 bytes, twice."""
    add = record.table("a model: megabytes that a worker sends a step", "N", "LDL, radix 4", "RPP, k = 100", "dense")
    for log in range(10, 21, 2):
        n = 2**log
        hidden = kernels.ldl_n_parameters(n), n * -(-n // 100) + n, n * n + n
        add(n, *(16e-6 * (count + 10 * n + 10) for count in hidden))


def model(record, name, latency, bandwidth, conversion, rate):
    """Speed-up of a step: two rings, the one for a number, the other sends 2·(W − 1)/W of the gradient.

    Each is of 2·(W − 1) messages, one after the other.
    """
    columns = "workers", "batch 2,048", "batch 16,384", "batch 131,072", "sync='epoch', 100 steps a turn"
    add = record.table(f"a model, {name}", *columns)
    n_bytes = 8 * N_GRADIENTS
    for n in (2, 4, 16, 64, 256, 1024):
        sent = 4 * (n - 1) * latency + 2 * (n - 1) / n * n_bytes / bandwidth + conversion
        steps = [batch / rate / (batch / rate / n + sent) for batch in (2048, 16384, 131072)]
        turn = 100 * 200 / rate
        # Dask's tasks: a millisecond each on the scheduler, and four arrays of the model's size to one worker and back
        scheduled = 1e-3 * n + 2 * 4 * n_bytes / 2 * n / bandwidth
        add(n, *steps, n * turn / (turn + scheduled))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="MNIST, an npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=1_000_000, help="that workers have in memory")
    parser.add_argument("--more", type=int, default=10_000_000, help="that are made for every epoch")
    parser.add_argument("--chunk", type=int, default=100_000)
    parser.add_argument("--latency", type=float, default=25e-6, help="seconds of a message, for the model")
    parser.add_argument("--bandwidth", type=float, default=1.25e9, help="bytes a second, for the model")
    parser.add_argument("--rate", type=float, default=1.5e5, help="rows a second on a thread, for the model")
    Record.argument(parser)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    record = Record(options)
    if options.data:
        accuracies(record, images(options.data), options.epochs, options.seeds)
    if options.rows:
        seconds_an_epoch(record, options.rows, options.more, options.chunk, 2)
    widths(record)
    latency, bandwidth, conversion = reductions(record)
    columns = "", "µs of a message", "GB/s", "µs of a step for conversions", "µs a row"
    add = record.table("what the models take", *columns)
    for name, *numbers in (
        ("of this machine", latency, bandwidth),
        ("of a network", options.latency, options.bandwidth),
    ):
        add(name, 1e6 * numbers[0], numbers[1] / 1e9, 1e6 * conversion, 1e6 / options.rate)
        model(record, name, *numbers, conversion, options.rate)


if __name__ == "__main__":
    main()
