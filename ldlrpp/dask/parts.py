"""Data in parts: of Dask's collections, or cut from arrays of this process; and what training must know of them first.

Nothing of a collection comes to the client but a summary of its targets. A lazy collection is computed again, part by
part, whenever it is wanted, as it is everywhere in Dask: who has the memory lets it ``persist`` before.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from numbers import Number

import dask
import dask.array as da
import numpy as np

from ldlrpp.dask import work
from ldlrpp.estimators.borrowed import num_samples


def is_collection(value):
    """Whether a value is an array or a dataframe of Dask's."""
    return dask.is_dask_collection(value)


def _is_frame(value):
    return hasattr(value, "_meta_nonempty")


@dataclass
class Partitions:
    """Data of training in parts, as `ldlrpp.network.Data` has them in one.

    Attributes
    ----------
    X, y, weights : list
        Of every part: what it has of Dask's collections, delayed, or arrays; ``weights`` may be None.
    n_rows : list of int
        Rows of every part, those that `split` sets aside not counted.
    split : (float, int) or None
        The share of the rows of every part that is set aside, and the seed by which they are chosen.
    held_out : bool
        Whether this is what is set aside.
    """

    X: list
    y: list
    weights: list | None
    n_rows: list
    split: tuple | None = None
    held_out: bool = False
    targets: None = None

    def __len__(self):
        return sum(self.n_rows)

    def n_bytes(self, kernels):
        return 0

    def on(self, kernels, n_bytes=0):
        return self

    def digest(self):
        """What `ldlrpp.estimators.checkpoint` knows them by: what Dask calls them, which follows from what they are."""
        return dask.base.tokenize(self.X, self.y, self.weights, self.split, self.held_out)

    def divided(self, share, seed):
        """Two of them: the rows of training, and those that are set aside, of every part a ``share``."""
        split = share, seed
        kept, held_out = (
            [work.n_rows_of(n, share, held_out=held_out) for n in self.n_rows] for held_out in (False, True)
        )
        return (
            replace(self, n_rows=kept, split=split),
            replace(self, n_rows=held_out, split=split, held_out=True),
        )

    def sources(self, cluster):
        """What a task takes of every part: X, y, weights, which of the rows, and the number of the part.

        Arrays of this process are then on the cluster, for as long as what is returned lives.
        """
        rows = None if self.split is None else (*self.split, self.held_out)
        weights = self.weights or [None] * len(self.X)
        # rows that there are none of have nothing to train on, nor to be scored
        return [
            (*(_there(value, cluster) for value in values), rows, number)
            for number, values in enumerate(zip(self.X, self.y, weights, strict=True))
            if self.n_rows[number]
        ]


def _there(value, cluster):
    return value if value is None or is_collection(value) else cluster.place(value)


def blocks(name, value, rows=None, X_name="X"):
    """The parts of a collection, delayed; of an array in ``rows`` each, where they are known."""
    if isinstance(value, da.Array):
        if value.ndim not in (1, 2):
            raise ValueError(f"{name} must have 1 or 2 dimensions, got {value.ndim}")
        if value.ndim == 2 and value.numblocks[1] > 1:
            value = value.rechunk({1: -1})
        known = rows is not None and not np.isnan(sum(rows)) and not np.isnan(value.shape[0])
        if known and value.chunks[0] != rows:
            if value.shape[0] != sum(rows):
                raise ValueError(f"{name} must have {sum(rows)} rows as {X_name}, got {value.shape[0]}")
            value = value.rechunk({0: rows})
        return value.to_delayed().reshape(-1).tolist()
    if _is_frame(value):
        return list(value.to_delayed())
    raise TypeError(f"{name} must be an array or a dataframe of Dask's, or of this process, got {type(value).__name__}")


def rows_of(value):
    """Rows of the parts of a collection, None where they are not known."""
    return value.chunks[0] if isinstance(value, da.Array) else None


def _cut(name, value, rows, X_name):
    """The parts of an array of this process that go with those of a collection."""
    if rows is None or np.isnan(sum(rows)):
        raise ValueError(
            f"{name} must be of Dask where the rows of the partitions of {X_name} are not known, got an array"
        )
    if num_samples(value) != sum(rows):
        raise ValueError(f"{name} must have {sum(rows)} rows as {X_name}, got {num_samples(value)}")
    ends = np.cumsum([0, *rows])
    return [work.of_rows(value, np.arange(start, end)) for start, end in pairwise(ends)]


def partitions(X, y, sample_weight, n_parts, *names):
    """Parts of inputs, targets and weights, their rows not yet counted; ``names`` are what errors call them.

    Arrays of this process are dealt out row by row, so that parts of sorted ones are alike.
    """
    X_name, y_name, weight_name = names or ("X", "y", "sample_weight")
    given = {X_name: X, y_name: y, weight_name: sample_weight}
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        if isinstance(value, Number):
            raise ValueError(f"{name} must be an array, got {value!r}")
    if not is_collection(X):
        for name, value in given.items():
            if is_collection(value):
                raise ValueError(
                    f"{name} must be an array of this process as {X_name} is, got a {type(value).__name__} of Dask"
                )
        n = num_samples(X)
        for name, value in given.items():
            if num_samples(value) != n:
                raise ValueError(f"{name} must have {n} rows as {X_name}, got {num_samples(value)}")
        n_parts = max(1, min(n_parts, n))
        parts = {
            name: [work.of_rows(value, np.arange(first, n, n_parts)) for first in range(n_parts)]
            for name, value in given.items()
        }
    else:
        rows = rows_of(X)
        parts = {
            name: (blocks if is_collection(value) else _cut)(name, value, rows, X_name) for name, value in given.items()
        }
        for name, of_this in parts.items():
            if len(of_this) != len(parts[X_name]):
                raise ValueError(f"{name} must have {len(parts[X_name])} partitions as {X_name}, got {len(of_this)}")
    if y is None:
        raise ValueError(f"{y_name} must be given, got None")
    return Partitions(parts[X_name], parts[y_name], parts.get(weight_name), [None] * len(parts[X_name]))


def counted(data, cluster, *, labels):
    """The parts that have rows, and a `work.Summary` of all targets: a pass over targets and weights."""
    weights = data.weights or [None] * len(data.y)
    placed = [(_there(y, cluster), _there(w, cluster), labels) for y, w in zip(data.y, weights, strict=True)]
    summaries = cluster.results(cluster.compute(work.summary, placed))
    there = [number for number, one in enumerate(summaries) if one.n_rows]
    if not there:
        raise ValueError("X and y must have rows, got partitions without any")
    data = Partitions(
        [data.X[number] for number in there],
        [data.y[number] for number in there],
        None if data.weights is None else [data.weights[number] for number in there],
        [summaries[number].n_rows for number in there],
    )
    return data, work.together([summaries[number] for number in there])


def stand_in(X, n_rows):
    """So many rows of the columns, names and dtypes of X, for what is checked before training."""
    if _is_frame(X):
        return X._meta_nonempty.iloc[[0] * n_rows]
    if isinstance(X, da.Array):
        if X.ndim != 2:
            raise ValueError(f"X must have 2 dimensions, got {X.ndim}")
        return np.zeros((n_rows, X.shape[1]), X.dtype)
    return work.of_rows(X, np.zeros(n_rows, int))
