"""What tasks do on workers, with the methods of the local estimator, a *twin* of the one that is fitted.

A task changes nothing that it is given: Dask may run it again, elsewhere, and another task may have the same objects.
"""

import copy
import math
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, check_consistent_length

from ldlrpp.dask.cluster import threads_of_worker
from ldlrpp.estimators import devices
from ldlrpp.estimators.borrowed import num_samples, safe_indexing
from ldlrpp.estimators.run import Run

# What a random stream of an epoch and a part is for: the third number of its key.
ORDER_OF_ROWS, DROPS = range(2)


# --- Targets, before training ----------------------------------------------------------------------------------------


@dataclass
class Summary:
    """What must be known of targets and weights before training.

    Attributes
    ----------
    n_rows, n_axes : int
        Rows, and axes of the targets.
    values, counts : list of ndarray
        Of every column the labels that there are and how often, or the lowest and the highest number.
    weighs : bool
        Whether any sample has a weight that is not zero.
    """

    n_rows: int
    n_axes: int
    values: list
    counts: list
    weighs: bool

    def stand_in(self):
        """Targets in which every value stands that there is in some column."""
        columns = [np.unique(np.concatenate(self.values)) if len(self.values) > 1 else self.values[0]]
        columns = columns * len(self.values)
        return columns[0] if self.n_axes == 1 else np.stack(columns, axis=1)

    def balanced(self):
        """What class_weight='balanced' is: a dict of weights by class, or a list of one for every column.

        Of several columns each is of zeros and ones; what there is none of weighs 1, as for a local estimator.
        """
        weights = [
            dict(zip(values.tolist(), (counts.sum() / (len(values) * counts)).tolist(), strict=True))
            for values, counts in zip(self.values, self.counts, strict=True)
        ]
        return [{0: 1.0, 1: 1.0, **each} for each in weights] if self.n_axes > 1 else weights[0]


def summary(y, sample_weight, labels):
    """The `Summary` of a part."""
    if issparse(y):
        raise TypeError(f"y must be a dense array, got {type(y).__name__}")
    y = np.asarray(y)
    assert_all_finite(y, input_name="y")
    columns = y.reshape(len(y), -1).T if len(y) else []
    if labels:
        found = [np.unique(column, return_counts=True) for column in columns]
        values, counts = [one for one, _ in found], [numbers for _, numbers in found]
    else:
        values = [np.array([column.min(), column.max()]) for column in columns]
        counts = [np.array([len(y)]) for _ in columns]
    weighs = sample_weight is None or bool(np.any(np.asarray(sample_weight)))
    return Summary(len(y), y.ndim, values, counts, weighs)


def together(summaries):
    """That of several parts."""
    shapes = {(one.n_axes, len(one.values)) for one in summaries}
    if len(shapes) > 1:
        raise ValueError(f"y must have as many columns in every partition, got {sorted(n for _, n in shapes)}")
    values, counts = [], []
    for of_parts, numbers in zip(
        zip(*(one.values for one in summaries), strict=True),
        zip(*(one.counts for one in summaries), strict=True),
        strict=True,
    ):
        all_values = np.concatenate(of_parts)
        distinct, places = np.unique(all_values, return_inverse=True)
        all_numbers = np.concatenate(numbers)
        if len(all_numbers) == len(all_values):  # of labels
            values.append(distinct)
            counts.append(np.bincount(places, weights=all_numbers).astype(np.int64))
        else:
            values.append(np.array([all_values.min(), all_values.max()]))
            counts.append(all_numbers.sum(keepdims=True))
    return Summary(
        sum(one.n_rows for one in summaries), summaries[0].n_axes, values, counts, any(one.weighs for one in summaries)
    )


# --- Parts -----------------------------------------------------------------------------------------------------------


def n_rows_of(n, share, *, held_out):
    """How many of ``n`` rows of a part are for training, or are set aside."""
    n_held_out = min(math.ceil(share * n), n - 1)
    return n_held_out if held_out else n - n_held_out


def stream(seed, *key):
    """A random stream of its own for every key."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def kept(n, rows, number):
    """Which of the ``n`` rows of a part, as numbers in order, ``rows`` says; None for all of them."""
    if rows is None:
        return None
    share, seed, held_out = rows
    order = stream(seed, number).permutation(n)
    n_held_out = n_rows_of(n, share, held_out=True)
    return np.sort(order[:n_held_out] if held_out else order[n_held_out:])


def of_rows(value, numbers):
    """Those rows of an array, a sparse matrix, a dataframe or a list."""
    value = value.tocsr() if issparse(value) else value if hasattr(value, "shape") else np.asarray(value)
    return safe_indexing(value, numbers)


def checked(twin, X, y, weights, numbers):
    """Rows of a part as `ldlrpp.network.Data`, and their targets as they were; with None all rows."""
    if numbers is not None:
        check_consistent_length(X, y, weights)
        X, y, weights = (None if value is None else of_rows(value, numbers) for value in (X, y, weights))
    X, y, weights = twin._samples(X, y, weights, False)
    targets = twin._targets(y, False, None)
    return twin._data(X, targets, twin._weights(y, weights, y)), y


def another(twin, state):
    """A copy that has attributes of its own and goes on from a state."""
    other = object.__new__(type(twin))
    vars(other).update(vars(twin))
    other.network_ = copy.deepcopy(twin.network_)
    other._optimizer, other._schedule, other._average = (
        make() for make in (other._make_optimizer, other._make_schedule, other._make_average)
    )
    state.give(other.network_, other._optimizer, other._average)
    other._schedule.resume(state.schedule)
    return other


# --- Epochs of parts -------------------------------------------------------------------------------------------------


@dataclass
class State:
    """What training goes on from, in arrays of NumPy; and what led there.

    Attributes
    ----------
    flat : ndarray
        The parameters: their average, where there is one.
    optimizer, average, schedule : dict
        The states of these.
    sum_of_losses : float
        Losses of the rows that were trained on in the epoch so far.
    n_rows : int
        How many rows the last steps were of: the weight in a combination.
    """

    flat: np.ndarray
    optimizer: dict
    average: dict
    schedule: dict
    sum_of_losses: float = 0.0
    n_rows: int = 0

    @classmethod
    def of(cls, network, optimizer, average, schedule):
        """That of what is trained, copied."""
        return cls(
            network.flat.copy(), copy.deepcopy(optimizer.state), copy.deepcopy(average.state), dict(schedule.state)
        )

    def give(self, network, optimizer, average):
        """Let others go on from a copy of it."""
        network.flat[:] = self.flat
        optimizer.resume(self.optimizer)
        average.resume(self.average)


@dataclass
class Turn:
    """What a copy of the network does with a part before copies are combined.

    Attributes
    ----------
    seed, epoch : int
        Where random numbers come from.
    steps : (int, int) or None
        Of the steps that the part has, the first and the one after the last; None for all.
    progress : (float, float)
        Which share of the epoch is behind when it begins, and when it ends.
    n_steps : int
        Steps that copies take one after the other in the epoch, about.
    n_copies : int
        How many copies take the turn.
    """

    seed: int
    epoch: int
    steps: tuple | None
    progress: tuple
    n_steps: int
    n_copies: int


class _PartOfSchedule:
    """The learning rate of a schedule while a share of an epoch goes by, for one of some copies.

    The mean of n copies that each take their own steps has come as far as one of them, by gradients whose noise is that
    of n times the rows: each takes steps that are √n times as long. (After ten epochs of MNIST four copies have an
    accuracy of 0.9766 without that, and of 0.9801 with it; one machine has 0.9812.)
    """

    def __init__(self, schedule, progress, n_copies):
        self._schedule, (self._first, self._last) = schedule, progress
        self._factor = math.sqrt(n_copies)

    def rate(self, part_of_turn=0.0):
        return self._factor * self._schedule.rate(self._first + part_of_turn * (self._last - self._first))

    def end_epoch(self, n_samples):
        pass


def train(twin, state, turn, X, y, weights, rows, number):
    """What ``state`` becomes by a turn with a part."""
    with threads_of_worker(twin.n_jobs), devices.working(twin.device, None, needed=True) as kernels:
        numbers = kept(num_samples(X), rows, number)
        n_rows = num_samples(X) if numbers is None else len(numbers)
        one = another(twin, state)
        one._rng = stream(turn.seed, turn.epoch, number, ORDER_OF_ROWS)
        # no batch is larger than the part, of which an estimator warns
        one.batch_size = one._batch_rows(one.network_, n_rows)
        if turn.steps is not None:
            first, end = (step * one.batch_size for step in turn.steps)
            order = one._rng.permutation(n_rows) if one.shuffle else np.arange(n_rows)
            numbers = order[first:end] if numbers is None else numbers[order[first:end]]
            one.shuffle, one.batch_size = False, min(one.batch_size, len(numbers))
            one._rng = stream(turn.seed, turn.epoch, number, DROPS, first)
        # not the whole part: 100,000 rows of 100 take a quarter of the time of ten steps of LDL (1024, 1024)
        data, _ = checked(twin, X, y, weights, numbers)
        # averages reach back epochs, and this is a part of one
        here = -(-len(data) // one.batch_size)
        one._average.reach *= max(1.0, turn.n_steps / here)
        data.targets = one._softened(data.targets)
        one._schedule = _PartOfSchedule(one._schedule, turn.progress, turn.n_copies)
        run = Run(one, kernels)
        loss = next(one._epochs(data, run))
        run.bring_parameters(one)
        run.bring_state(one)
        flat, optimizer, average = one.network_.flat, one._optimizer.state, one._average.state
    return State(flat, optimizer, average, state.schedule, state.sum_of_losses + loss * len(data), len(data))


def combine(before, *states):
    """The mean of what copies of the network became, weighted by the rows that each has seen, in their order.

    Sums are of float64, so that they depend on nothing but that order; the mean of one is that one, to the last bit.
    """
    total = sum(state.n_rows for state in states)
    shares = [state.n_rows / total for state in states]

    def mean(arrays):
        if len(arrays) == 1:
            return arrays[0]
        result = np.zeros(arrays[0].shape)
        for share, array in zip(shares, arrays, strict=True):
            result += share * array
        return result.astype(arrays[0].dtype)

    def mean_of_dicts(dicts):
        # numbers count steps, of which the longest turn has the most
        return {
            name: mean([one[name] for one in dicts])
            if isinstance(value, np.ndarray)
            else max(one[name] for one in dicts)
            for name, value in dicts[0].items()
        }

    return State(
        mean([state.flat for state in states]),
        mean_of_dicts([state.optimizer for state in states]),
        mean_of_dicts([state.average for state in states]),
        before.schedule,
        before.sum_of_losses + sum(state.sum_of_losses - before.sum_of_losses for state in states),
    )


# --- Predictions and scores ------------------------------------------------------------------------------------------


def predicted(twin, make, X, none):
    """What the method called ``make`` makes of the scores of a part; ``none`` is that of no rows."""
    if not num_samples(X):
        return none
    with threads_of_worker(twin.n_jobs):
        return devices.computed(twin, X, lambda network, rows: getattr(twin, make)(network.scores(rows)))


def evaluated(twin, flat, X, y, weights, rows, number):
    """Loss and score of a part, as `mean_loss_and_score` takes them."""
    with threads_of_worker(twin.n_jobs):
        data, y = checked(twin, X, y, weights, kept(num_samples(X), rows, number))
        network = copy.deepcopy(twin.network_)
        network.flat[:] = flat
        scores = network.scores(data.X)
        loss, _ = twin._loss.value_and_gradient(scores, data.targets, data.weights)
        w = np.ones(len(data)) if data.weights is None else np.asarray(data.weights, float)
        make = twin._labels if hasattr(twin, "_labels") else twin._loss.predict
        return float(loss) * w.sum(), w.sum(), _moments(twin, y, make(scores), w)


def scored(twin, X, y, weights):
    """What is needed of a part for the score of predictions."""
    y = np.asarray(y)
    if not len(y):
        return None
    with threads_of_worker(twin.n_jobs):
        predictions = twin.predict(X)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, float)
    return _moments(twin, y, predictions, w)


def _moments(twin, y, predictions, w):
    """Weight, and what is right of it; or of every target weight, mean, squares around it and squares of errors."""
    if hasattr(twin, "classes_"):
        y = y.reshape(len(y), -1)
        right = (y == np.asarray(predictions).reshape(y.shape)).all(axis=1)
        return w.sum(), (w * right).sum()
    y = y.reshape(len(y), -1).astype(float)
    errors = y - np.asarray(predictions, float).reshape(y.shape)
    total = w.sum()
    mean = w @ y / total if total else np.zeros(y.shape[1])
    return total, mean, w @ (y - mean) ** 2, w @ errors**2


def score_of(moments):
    """Accuracy or R² from those of all parts, in order."""
    if not moments:
        raise ValueError("X and y must have rows, got partitions without any")
    if len(moments[0]) == 2:
        total, right = (sum(part) for part in zip(*moments, strict=True))
        return float(right / total)
    total, mean, squares, errors = moments[0]
    for weight, mean_of_part, squares_of_part, errors_of_part in moments[1:]:
        both = total + weight
        distance = mean_of_part - mean
        share = weight / both if both else 0.0
        mean, squares = mean + share * distance, squares + squares_of_part + total * share * distance**2
        total, errors = both, errors + errors_of_part
    # as in scikit-learn: targets that do not vary are predicted rightly, or not at all
    varies = squares > 0
    parts = np.where(varies, 1 - errors / np.where(varies, squares, 1), np.where(errors == 0, 1.0, 0.0))
    return float(parts.mean()) if np.isfinite(errors).all() else np.nan


def mean_loss_and_score(parts):
    """Those of all parts, from what `evaluated` gives of each, in order."""
    losses, weights, moments = zip(*parts, strict=True)
    if not sum(weights):
        raise ValueError("sample_weight, times class_weight, must not be zero for all validation samples")
    return float(sum(losses) / sum(weights)), score_of(moments)
