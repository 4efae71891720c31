"""What the estimators on a cluster share: how data come in, how an epoch is made. All else is their local twins'."""

import copy
from contextlib import contextmanager

import dask
import dask.array as da
import numpy as np
from sklearn.utils.validation import check_is_fitted

from ldlrpp.dask import steps, work
from ldlrpp.dask.cluster import connected
from ldlrpp.dask.parameters import DASK
from ldlrpp.dask.parts import blocks, counted, is_collection, partitions, rows_of, stand_in
from ldlrpp.estimators.base import BaseNetworkEstimator, _check_not_all_zero
from ldlrpp.estimators.borrowed import clone_parametrized
from ldlrpp.estimators.messages import warn
from ldlrpp.kernels import backend
from ldlrpp.kernels.cpu.threads import kernel_threads

# What a twin in a task has no use for.
_OF_THE_CLIENT = (
    "loss_curve_",
    "validation_scores_",
    "validation_loss_curve_",
    "_optimizer",
    "_schedule",
    "_average",
    "_rng",
)


class DaskNetwork:
    """Mixin, before a local estimator: the client runs its `fit`, and workers its steps."""

    def to_local(self):
        """The estimator of this process that it is: fitted if this one is, and without Dask.

        Returns
        -------
        estimator : object
            A copy, of the class without ``Dask`` in its name.
        """
        return copy.deepcopy(self._twin(fitted=True))

    def _twin(self, **changes):
        """That estimator, with attributes of this one; those of fitting, too, where it is asked for as ``fitted``."""
        fitted = changes.pop("fitted", False)
        parameters = {name: getattr(self, name) for name in self._parameter_constraints if name not in DASK}
        twin = self._local(**parameters)
        left_out = (*DASK, "_job", *(() if fitted else _OF_THE_CLIENT))
        kept = {name: value for name, value in vars(self).items() if name not in left_out}
        # callbacks, and what belongs to them, are the client's
        kept = {name: value for name, value in kept.items() if not name.startswith(("_skl", "_callback"))}
        if "_parameters" in kept:
            kept["_parameters"] = {name: value for name, value in kept["_parameters"].items() if name not in DASK}
        vars(twin).update(kept)
        return twin.set_params(**changes)

    def __getstate__(self):
        # a client is a connection of this process
        state = {**super().__getstate__(), "client": None}
        state.pop("_job", None)
        return state

    def __sklearn_clone__(self):
        other = clone_parametrized(copy.copy(self))
        other.client = self.client
        return other

    def _machine(self, kernels):
        return "the processor" if self.device == "cpu" else f"workers with device={self.device!r}"

    def _given_parameters(self):
        return {name: value for name, value in super()._given_parameters().items() if name != "client"}

    # --- Data ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def _working(self, X):
        if self.solver == "lbfgs":
            raise ValueError("solver must be 'adam', 'adamw' or 'sgd' on a cluster, got 'lbfgs'")
        if self.sync == "step" and self.device != "cpu":
            raise ValueError(f"device must be 'cpu' with sync='step', got {self.device!r}")
        with connected(self.client) as cluster, kernel_threads(self.n_jobs):
            self._job = _Job(cluster)
            try:
                yield backend.cpu
            finally:
                del self._job

    def _start(self, X, y, sample_weight, **options):
        # what is checked is a row for every label there is; what is trained on is checked part by part
        data = partitions(X, y, sample_weight, self.n_replicas)
        labels = hasattr(self, "class_weight")
        cluster = self._job.cluster
        data, summary = cluster.again(lambda: counted(data, cluster, labels=labels))
        y_checked = summary.stand_in()
        n = len(y_checked)
        weights = None if sample_weight is None else np.full(n, float(summary.weighs))
        super()._start(stand_in(X, n), y_checked, weights, **options)
        if labels and isinstance(self.class_weight, str):
            self._job.changes["class_weight"] = summary.balanced()
        return X, y, data

    def _softened(self, targets):
        return targets  # there are none here

    def _validation_samples(self, X_val, y_val, sample_weight_val, y_train):
        given = X_val, y_val, sample_weight_val
        if not any(map(is_collection, given)):
            twin = self._twin(**self._job.changes)
            return BaseNetworkEstimator._validation_samples(twin, *given, y_train)
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val must be given together")
        cluster, labels = self._job.cluster, hasattr(self, "class_weight")
        data = partitions(X_val, y_val, sample_weight_val, self.n_replicas, "X_val", "y_val", "sample_weight_val")
        data, summary = cluster.again(lambda: counted(data, cluster, labels=labels))
        y = summary.stand_in()
        _, y, _ = self._samples(stand_in(X_val, len(y)), y, None, False)
        targets = self._targets(y, False, None)
        if targets.shape[1] != self.n_outputs_:
            raise ValueError(f"y_val must have {self.n_outputs_} outputs like y, got {targets.shape[1]}")
        if not summary.weighs:
            _check_not_all_zero(np.zeros(len(data)), "sample_weight_val must not be zero for all of X_val")
        return data, None

    def _split(self, data, y):
        """Training data and validation data: of every part its share, chosen by chance."""
        training, held_out = data.divided(self.validation_fraction, int(self._rng.integers(2**31)))
        if len(held_out) < 2:
            raise ValueError(
                f"validation_fraction must leave two samples or more for validation, got {self.validation_fraction} "
                f"of {len(data)} samples in {len(data.X)} partitions"
            )
        return training, (held_out, None)

    # --- Epochs -------------------------------------------------------------------------------------------------------

    def _epochs(self, data, run):
        together = self.sync == "step"
        most = len(data) if together else max(data.n_rows)
        if self.batch_size != "auto" and self.batch_size > most:
            of_what = "" if together else " of a partition"
            warn(f"batch_size={self.batch_size} is larger than the {most} samples{of_what}; it is cut.")
        cluster, twin = self._job.cluster, self._twin(**self._job.changes)
        on_cluster = None
        while True:
            seed, epoch = int(self._rng.integers(2**63)), self.n_iter_
            state = work.State.of(run.network, run.optimizer, run.average, self._schedule)

            def attempt():
                nonlocal on_cluster
                held, on_cluster = on_cluster, None
                if held is None:
                    sources = data.sources(cluster)
                    held = cluster.place(twin), steps.placed(cluster, sources) if together else sources
                if together:
                    n_rows = [n for n in data.n_rows if n]
                    state_after = steps.epoch(cluster, *held, state, n_rows, seed, epoch, self.collective)  # noqa: B023
                else:
                    state_after = self._epoch(cluster, *held, data, state, seed, epoch)  # noqa: B023
                on_cluster = held
                return state_after

            state = cluster.again(attempt)
            state.give(run.network, run.optimizer, run.average)
            self._schedule.end_epoch(len(data))
            yield state.sum_of_losses / len(data)

    def _epoch(self, cluster, twin, sources, data, state, seed, epoch):
        """The state after an epoch: copies of the network take turns of parts, and are combined after every turn.

        A turn is waited for before the next, so that no more partitions are made than are trained on. Its tasks follow
        from the state that the epoch began with, which is part of the first: whatever is lost, Dask makes it again.
        """
        wanted = 200 if self.batch_size == "auto" else int(self.batch_size)
        sync_steps = None if self.sync_steps is None else int(self.sync_steps)
        seed_of_turns = seed if self.shuffle else None
        turns = planned(data.n_rows, wanted, int(self.n_replicas), sync_steps, seed_of_turns, epoch)
        n_steps = sum(max(steps for _, _, steps, _ in turn) for turn in turns)
        future, done = cluster.place(state), 0
        for turn in turns:
            rows = sum(n for _, _, _, n in turn)
            progress = done / len(data), (done + rows) / len(data)
            calls = [
                (twin, future, work.Turn(seed, epoch, span, progress, n_steps, len(turn)), *sources[part])
                for part, span, _, _ in turn
            ]
            trained = cluster.compute(work.train, calls)
            future = cluster.submit(work.combine, future, *trained)
            del trained
            cluster.wait([future])
            done += rows
        return cluster.result(future)

    def _loss_and_score(self, data, y, run):
        if y is not None:
            return super()._loss_and_score(data, y, run)
        cluster, twin = self._job.cluster, self._twin(**self._job.changes)

        def attempt():
            # what is of the client is sent once, for all epochs
            held, self._job.held_out = self._job.held_out, None
            held = held or (cluster.place(twin), data.sources(cluster))
            placed, flat = held[0], cluster.place(run.network.flat.copy())
            calls = [(placed, flat, *source) for source in held[1]]
            results = cluster.results(cluster.compute(work.evaluated, calls))
            self._job.held_out = held
            return results

        return work.mean_loss_and_score(cluster.again(attempt))

    # --- Predictions --------------------------------------------------------------------------------------------------

    def _predicted(self, X, make):
        if not is_collection(X):
            return super()._predicted(X, make)
        check_is_fitted(self)
        sample = super()._predicted(stand_in(X, 1), make)
        parts, rows = blocks("X", X), rows_of(X)
        rows = [np.nan] * len(parts) if rows is None else rows
        twin, make = dask.delayed(self.to_local()), make.__name__
        predict = dask.delayed(work.predicted, pure=False)
        return da.concatenate([
            da.from_delayed(predict(twin, make, part, sample[:0]), (n, *sample.shape[1:]), meta=sample[:0])
            for part, n in zip(parts, rows, strict=True)
        ], allow_unknown_chunksizes=True)  # fmt: skip

    def score(self, X, y, sample_weight=None):
        if not is_collection(X):
            return super().score(X, y, sample_weight)
        check_is_fitted(self)
        data = partitions(X, y, sample_weight, self.n_replicas)
        with connected(self.client) as cluster:
            twin = self.to_local()

            def attempt():
                placed = cluster.place(twin)
                weights = data.weights or [None] * len(data.X)
                calls = [(placed, x, y, w) for x, y, w in zip(data.X, data.y, weights, strict=True)]
                return [part for part in cluster.results(cluster.compute(work.scored, calls)) if part is not None]

            return work.score_of(cluster.again(attempt))


class _Job:
    """What there is for the time of a call.

    The cluster, parameters that a twin has otherwise, and what is held on the cluster to evaluate validation samples.
    """

    def __init__(self, cluster):
        self.cluster, self.changes, self.held_out = cluster, {}, None


def planned(n_rows, batch_size, n_replicas, sync_steps, seed, epoch):
    """The turns of an epoch: for every turn a list of (number among ``sources``, steps or None, their number, rows).

    Parts are taken in an order by ``seed``, in order with None, in groups as equal as can be; the copies of a group are
    combined in the order of the parts.
    """
    parts = np.flatnonzero(n_rows)
    numbers = np.arange(len(parts))
    if seed is not None:
        numbers = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch,))).permutation(numbers)
    turns = []
    for group in np.array_split(numbers, -(-len(numbers) // n_replicas)):
        sizes = {number: n_rows[parts[number]] for number in sorted(group.tolist())}
        batches = {number: min(batch_size, n) for number, n in sizes.items()}
        steps = {number: -(-n // batches[number]) for number, n in sizes.items()}
        if sync_steps is None:
            turns.append([(number, None, steps[number], n) for number, n in sizes.items()])
            continue
        for first in range(0, max(steps.values()), sync_steps):
            turn = []
            for number, n in sizes.items():
                end = min(first + sync_steps, steps[number])
                if first < end:
                    rows = min(end * batches[number], n) - first * batches[number]
                    turn.append((number, (first, end), end - first, rows))
            turns.append(turn)
    return turns
