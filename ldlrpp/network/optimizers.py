"""Optimisers: change one flat array of all parameters, given the flat array of their gradients.

``step(parameters, gradients, n_decayed, penalty)`` adds ``penalty`` times themselves to the gradients of the first
``n_decayed`` parameters, an L2 penalty. ``learning_rate`` may be set between steps. An optimiser keeps no reference to
the parameters. What its steps have left behind is ``state``, a dict of arrays and numbers, empty before the first step;
``resume(state)`` goes on from a copy of that of another one of the class, whose options need not be the same.
"""

import math

import numpy as np

from ldlrpp.kernels import elementwise_cpu, memory


class _Optimizer:
    def __init__(self):
        self.state = {}

    def resume(self, state):
        self.state = {name: _copy(value) if isinstance(value, np.ndarray) else value for name, value in state.items()}


def _copy(array):
    copied = memory.empty(array.shape, array.dtype)
    copied[...] = array
    return copied


class SGD(_Optimizer):
    """Stochastic gradient descent with momentum (Nesterov's by default)."""

    def __init__(self, *, learning_rate=0.1, momentum=0.9, nesterov=True):
        super().__init__()
        self.learning_rate, self.momentum, self.nesterov = learning_rate, momentum, nesterov

    def step(self, parameters, gradients, n_decayed=0, penalty=0.0):
        if not self.state:
            self.state = {"velocities": memory.zeros(parameters.shape, parameters.dtype)}
        elementwise_cpu.sgd_step(
            parameters, gradients, self.state["velocities"], n_decayed, float(penalty),
            float(self.learning_rate), float(self.momentum), bool(self.nesterov),
        )  # fmt: skip


class Adam(_Optimizer):
    """Adam (Kingma and Ba, 2014, algorithm 1, with the bias corrections folded into the step size).

    With ``weight_decay`` it is AdamW (Loshchilov and Hutter, 2017): the parameters that decay are also multiplied by
    1 − learning_rate · weight_decay.
    """

    def __init__(self, *, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0):
        super().__init__()
        self.learning_rate, self.epsilon, self.weight_decay = learning_rate, epsilon, weight_decay
        self.beta_1, self.beta_2 = beta_1, beta_2

    def step(self, parameters, gradients, n_decayed=0, penalty=0.0):
        if not self.state:
            means, squares = (memory.zeros(parameters.shape, parameters.dtype) for _ in range(2))
            self.state = {"n_steps": 0, "means": means, "squares": squares}
        self.state["n_steps"] = n = self.state["n_steps"] + 1
        step_size = self.learning_rate * math.sqrt(1 - self.beta_2**n) / (1 - self.beta_1**n)
        elementwise_cpu.adam_step(
            parameters, gradients, self.state["means"], self.state["squares"], n_decayed, float(penalty),
            float(self.learning_rate * self.weight_decay), float(step_size),
            float(self.beta_1), float(self.beta_2), max(float(self.epsilon), float(np.finfo(parameters.dtype).tiny)),
        )  # fmt: skip
