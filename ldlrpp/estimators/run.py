"""What a fit trains, on whichever machine, and what it remembers."""

import numpy as np

from ldlrpp.kernels import backend


class Run:
    """What a fit trains, and remembers of its own epochs.

    It trains the estimator's own network, optimiser and average, or copies of them on a GPU: the estimator gets the
    parameters after every epoch and all else in the end. ``last`` are the weights after the last epoch (before the
    first one, those that there were), beside the state that the schedule was in; ``best`` those of the best validation
    score where early stopping is to restore them, beside what training goes on from.
    """

    def __init__(self, estimator, kernels):
        self.network, self.optimizer, self.average = estimator.network_, estimator._optimizer, estimator._average
        self.is_copy = kernels is not self.network.kernels
        if self.is_copy:
            trained = self.network, self.optimizer, self.average
            self.network, self.optimizer, self.average = (one.on(kernels) for one in trained)
        self.last = self.best = None
        self.n_no_improvement = 0

    def bring_parameters(self, estimator):
        """Let the estimator have the parameters."""
        if self.is_copy:
            self.network.kernels.memory.get(self.network.flat, estimator.network_.flat)

    def bring_state(self, estimator):
        """Let the estimator have what else training goes on from."""
        if self.is_copy:
            estimator._optimizer, estimator._average = self.optimizer.on(backend.cpu), self.average.on(backend.cpu)

    def remember(self, estimator):
        if self.last is None:
            self.last = np.empty_like(estimator.network_.flat)
        self.last[:] = estimator.network_.flat
        self.schedule = dict(estimator._schedule.state)

    def keep_best(self, estimator):
        self.best = estimator.network_.flat.copy(), self.average.on(backend.cpu)

    def restore_best(self, estimator):
        estimator.network_.flat[:], estimator._average = self.best
