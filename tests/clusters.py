"""What tests of estimators on a cluster share."""

import contextlib

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

COMMON = {"hidden_layer_sizes": (16,), "max_iter": 3, "batch_size": 20, "random_state": 0}


class Callback:
    """One of scikit-learn's that does nothing."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **kwargs):
        pass

    def on_fit_task_end(self, estimator, context, **kwargs):
        pass


@contextlib.contextmanager
def processes(n_workers=2, **options):
    """A client of a cluster of processes, whose workers may be killed again and again."""
    # one that is killed is started again, and who has not heard of its end waits for it no longer
    patient = {
        "distributed.deploy.lost-worker-timeout": "1h",
        "distributed.comm.timeouts.connect": "5s",
        "distributed.scheduler.locks.lease-timeout": "4s",
        "distributed.scheduler.locks.lease-validation-interval": "1s",
    }
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": None, **options}
    with dask.config.set(patient):
        cluster = LocalCluster(n_workers=n_workers, processes=True, **options)
        with Client(cluster) as client:
            yield client
        # distributed 2026.8, of a worker that was restarted: its end is told to a cluster that has not heard of it
        with contextlib.suppress(KeyError):
            cluster.close()


def alone():
    """A cluster of this process."""
    return Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0", set_as_default=False)


def data(n=300, dtype=np.float32):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 12)).astype(dtype)
    return X, (X @ rng.normal(size=(12, 4))).argmax(axis=1), X @ rng.normal(size=12).astype(dtype)


def collections(*arrays, rows=60):
    return [da.from_array(array, chunks=(rows, *array.shape[1:])) for array in arrays]


def assert_same_model(one, other):
    np.testing.assert_array_equal(one.network_.flat, other.network_.flat)
    assert one.loss_curve_ == other.loss_curve_
