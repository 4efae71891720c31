"""Sums over the processes of a step, whose bits depend neither on who computes which part nor on the order.

A *collective* is a class of what exists elsewhere. ``begin(n, host)`` runs in the first of ``n`` processes, which
others reach as ``host``, and returns what all of them need to find each other, picklable. ``joined(args)`` is a context
in every one of them, that gives what has ``sum(array)`` and ``max(array)``: of arrays of all processes, element by
element, int64 and float64. What fails because another process is gone, or is too late, raises `Lost`: the epoch is then
taken again.
"""

import contextlib
import functools
import threading
from contextlib import contextmanager

import numpy as np


class Lost(RuntimeError):
    """Another process is gone, or did not come in time."""


class XGBoost:
    """`xgboost.collective`, of the package xgboost or xgboost-cpu.

    Who waits for a process that is gone gets an error at once within a sum, and after ``timeout`` seconds before; one
    that is there may be as late as that.
    """

    timeout = 120

    @classmethod
    def begin(cls, n, host):
        from xgboost.tracker import RabitTracker

        tracker = RabitTracker(n_workers=n, host_ip=host, timeout=cls.timeout)
        tracker.start()
        # it works for as long as there is a reference, and is not let go before without waiting for it
        threading.Thread(target=cls._keep, args=(tracker,), daemon=True).start()
        return {**tracker.worker_args(), "dmlc_timeout": cls.timeout}

    @staticmethod
    def _keep(tracker):
        # of a process that is gone training says what there is to be said; a limit would end what is still in use
        with contextlib.suppress(Exception):
            tracker.wait_for()

    @staticmethod
    @contextmanager
    def joined(args):
        from xgboost import collective
        from xgboost.core import XGBoostError

        @contextmanager
        def losing():
            try:
                yield
            except XGBoostError as error:
                raise Lost(f"a sum over workers failed: {error}") from error

        def reduced(op, array):
            with losing():
                # before 3.4 it comes back flat
                return np.asarray(collective.allreduce(np.ascontiguousarray(array), op)).reshape(array.shape)

        context = collective.CommunicatorContext(**args)
        with losing():
            context.__enter__()
        try:
            yield _Joined(functools.partial(reduced, collective.Op.SUM), functools.partial(reduced, collective.Op.MAX))
        except BaseException:
            with contextlib.suppress(XGBoostError):
                context.__exit__(None, None, None)
            raise
        with losing():
            context.__exit__(None, None, None)


class _Joined:
    def __init__(self, sum, max):
        self.sum, self.max = sum, max


class Alone:
    """The collective of one process."""

    @staticmethod
    def begin(n, host):
        return None

    @staticmethod
    @contextmanager
    def joined(args):
        yield _Joined(lambda array: array, lambda array: array)


class Reduction:
    """What `ldlrpp.network.epochs` calls ``reduce``, over a collective.

    Sums of floating-point numbers depend on their order, and those of integers do not: what is added up is in integers
    of 64 bits, at a scale that follows from the largest number of all parts: rounded to some 2^-60 of that.
    The sum of a single part is that part, to the last bit.
    """

    def __init__(self, n_rows, joined):
        self.n_rows, self._joined = n_rows, joined
        self._gradients, self._values = [], []

    def totals(self, weights):
        return self._sums([weights])[0] if len(self.n_rows) > 1 else weights[0]

    def add(self, flat, value):
        self._gradients.append(flat.copy())
        self._values.append(float(value))

    def sum(self, flat):
        gradients, values = self._gradients, self._values
        self._gradients, self._values = [], []
        if len(self.n_rows) == 1:
            return values[0]
        gradients = np.array(gradients) if gradients else np.zeros((0, len(flat)), flat.dtype)
        total, value = self._sums([gradients, np.array(values).reshape(-1, 1)])
        flat[:] = total
        return float(value[0])

    def _sums(self, arrays):
        """Of every array (parts here, n) the sums (n,) over all parts."""
        largest = [max(float(array.max(initial=0.0)), -float(array.min(initial=0.0))) for array in arrays]
        largest = self._joined.max(np.array([one if np.isfinite(one) else np.inf for one in largest]))
        # so many numbers, each below 2^exponent, stay below 2^62 together; a power of two above 2^1000 is none
        room = 62 - (len(self.n_rows) - 1).bit_length()
        scales = [2.0 ** min(room - int(np.frexp(one)[1]), 1000) if np.isfinite(one) else 0.0 for one in largest]
        whole = [_whole(array, scale) for array, scale in zip(arrays, scales, strict=True)]
        added = self._joined.sum(np.concatenate(whole))
        parts = np.split(added, np.cumsum([len(one) for one in whole])[:-1])
        # products with powers of two are exact
        return [
            part * (1 / scale) if scale else np.full(len(part), np.nan)
            for part, scale in zip(parts, scales, strict=True)
        ]


def _whole(array, scale):
    """The sum over parts (parts, n) of what the nearest whole numbers of ``scale`` times the entries are."""
    total, scaled = np.zeros(array.shape[1], np.int64), np.empty(array.shape[1])
    for part in array if scale else ():
        np.multiply(part, scale, out=scaled, dtype=np.float64)
        total += np.rint(scaled, out=scaled).astype(np.int64)
    return total
