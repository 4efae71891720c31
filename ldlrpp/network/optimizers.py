"""Optimisers: change one flat array of all parameters, given the flat array of their gradients.

``step(parameters, gradients, n_decayed, penalty)`` adds ``penalty`` times themselves to the gradients of the first
``n_decayed`` parameters, an L2 penalty. ``learning_rate`` may be set between steps. An optimiser keeps its own state,
made at the first step, and no reference to the parameters: the two may be pickled apart.
"""

import math

import numpy as np

from ldlrpp.kernels import elementwise_cpu, memory


class SGD:
    """Stochastic gradient descent with momentum (Nesterov's by default)."""

    def __init__(self, *, learning_rate=0.1, momentum=0.9, nesterov=True):
        self.learning_rate, self.momentum, self.nesterov = learning_rate, momentum, nesterov
        self._velocities = None

    def step(self, parameters, gradients, n_decayed=0, penalty=0.0):
        if self._velocities is None:
            self._velocities = memory.zeros(parameters.shape, parameters.dtype)
        elementwise_cpu.sgd_step(
            parameters, gradients, self._velocities, n_decayed, float(penalty),
            float(self.learning_rate), float(self.momentum), bool(self.nesterov),
        )  # fmt: skip


class Adam:
    """Adam (Kingma and Ba, 2014, algorithm 1, with the bias corrections folded into the step size).

    With ``weight_decay`` it is AdamW (Loshchilov and Hutter, 2017): the parameters that decay are also multiplied by
    1 − learning_rate · weight_decay.
    """

    def __init__(self, *, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0):
        self.learning_rate, self.epsilon, self.weight_decay = learning_rate, epsilon, weight_decay
        self.beta_1, self.beta_2 = beta_1, beta_2
        self._n_steps = 0
        self._means = self._squares = None

    def step(self, parameters, gradients, n_decayed=0, penalty=0.0):
        if self._means is None:
            self._means = memory.zeros(parameters.shape, parameters.dtype)
            self._squares = memory.zeros(parameters.shape, parameters.dtype)
        self._n_steps += 1
        step_size = self.learning_rate * math.sqrt(1 - self.beta_2**self._n_steps) / (1 - self.beta_1**self._n_steps)
        elementwise_cpu.adam_step(
            parameters, gradients, self._means, self._squares, n_decayed, float(penalty),
            float(self.learning_rate * self.weight_decay), float(step_size),
            float(self.beta_1), float(self.beta_2), max(float(self.epsilon), float(np.finfo(parameters.dtype).tiny)),
        )  # fmt: skip
