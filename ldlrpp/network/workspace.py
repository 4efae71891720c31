"""Memory that stays from batch to batch of one fit or one prediction, and is given back after it."""

import math

import numpy as np


class Workspace:
    """What a layer works with and in, and what it need not compute again for the next batch.

    Whoever starts a fit or a prediction makes one for every layer and drops it at the end: nothing of it stays on a
    model, and several threads may predict with one network.

    Parameters
    ----------
    kernels : module
        The backend, see `ldlrpp.kernels.backend`.
    fixed : bool
        Whether parameters stay as they are for as long as it is used, as in a prediction.
    """

    def __init__(self, kernels, *, fixed):
        self.kernels, self.fixed = kernels, fixed
        self._arrays, self._values = {}, {}

    def empty(self, name, shape, dtype):
        """An array of any content, in memory that later calls of the same name get again.

        Fresh memory is cleared page by page by the system when it is first written to.
        """
        size, key = math.prod(shape), (name, np.dtype(dtype))
        if key not in self._arrays or self._arrays[key].size < size:
            self._arrays[key] = self.kernels.memory.empty(size, dtype)
        return self._arrays[key][:size].reshape(shape)

    def has(self, name):
        """Whether there is a result of `once`."""
        return name in self._values

    def once(self, name, make):
        """The result of the first call of ``make``."""
        if name not in self._values:
            self._values[name] = make()
        return self._values[name]
