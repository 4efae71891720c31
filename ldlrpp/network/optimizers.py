"""Optimisers: change a list of parameter arrays in place, given the list of their gradients.

An optimiser keeps its own state, made at the first step, and no reference to the parameters: the two may be pickled
apart. All numbers are Python floats, which leave float32 arrays float32 where a NumPy scalar would not.
"""

import math

import numpy as np


class SGD:
    """Stochastic gradient descent with momentum (Nesterov's by default)."""

    def __init__(self, *, learning_rate=0.1, momentum=0.9, nesterov=True):
        self.learning_rate, self.momentum, self.nesterov = float(learning_rate), float(momentum), nesterov
        self._velocities = None

    def step(self, parameters, gradients):
        if self._velocities is None:
            self._velocities = [np.zeros_like(p) for p in parameters]
        for p, g, v in zip(parameters, gradients, self._velocities, strict=True):
            v *= self.momentum
            v -= self.learning_rate * g
            if self.nesterov:
                p += self.momentum * v - self.learning_rate * g
            else:
                p += v


class Adam:
    """Adam (Kingma and Ba, 2014, algorithm 1, with the bias corrections folded into the step size)."""

    def __init__(self, *, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        self.learning_rate, self.epsilon = float(learning_rate), float(epsilon)
        self.beta_1, self.beta_2 = float(beta_1), float(beta_2)
        self._n_steps = 0
        self._means = self._squares = None

    def step(self, parameters, gradients):
        if self._means is None:
            self._means = [np.zeros_like(p) for p in parameters]
            self._squares = [np.zeros_like(p) for p in parameters]
        self._n_steps += 1
        step_size = self.learning_rate * math.sqrt(1 - self.beta_2**self._n_steps) / (1 - self.beta_1**self._n_steps)
        for p, g, mean, square in zip(parameters, gradients, self._means, self._squares, strict=True):
            mean *= self.beta_1
            mean += (1 - self.beta_1) * g
            square *= self.beta_2
            square += (1 - self.beta_2) * np.square(g)
            p -= step_size * mean / (np.sqrt(square) + self.epsilon)
