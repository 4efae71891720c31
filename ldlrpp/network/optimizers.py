"""Optimisers: change one flat array of all parameters, given the flat array of their gradients.

``step(parameters, gradients, n_decayed, penalty, average, kernels)`` adds ``penalty`` times themselves to the gradients
of the first ``n_decayed`` parameters, an L2 penalty, and the new parameters to an `Average`, if there is one.
``learning_rate`` may be set between steps. An optimiser keeps no reference to the parameters. What its steps have left
behind is ``state``, a dict of arrays and numbers, empty before the first step; ``resume(state, kernels)`` goes on from
a copy of that of another one of the class, whose options need not be the same.

Arrays are those of the backend ``kernels`` (`ldlrpp.kernels.backend`), by default of that for the CPU. A state to
resume from may hold NumPy arrays, as pickles do.
"""

import copy
import math
from contextlib import contextmanager
from numbers import Number

import numpy as np

from ldlrpp.kernels import backend


class _Resumable:
    def __init__(self):
        self.state = {}

    def resume(self, state, kernels=backend.cpu):
        self.state = _changed(state, lambda array: _copy(kernels.memory.put(array), kernels))

    def on(self, kernels):
        """A copy whose arrays are where other kernels work."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other.resume(self.__getstate__()["state"], kernels)
        return other

    def __getstate__(self):
        return {**vars(self), "state": _changed(self.state, lambda array: backend.of(array).memory.get(array))}

    def __deepcopy__(self, memo):
        # by way of __getstate__ arrays would leave a GPU
        other = object.__new__(type(self))
        vars(other).update(copy.deepcopy(vars(self), memo))
        return other


def _changed(state, change):
    """A state with what ``change`` makes of its arrays."""
    return {name: value if isinstance(value, Number) else change(value) for name, value in state.items()}


def _copy(array, kernels):
    copied = kernels.memory.empty(array.shape, array.dtype)
    copied[...] = array
    return copied


class Average(_Resumable):
    """An exponential moving average of the parameters that steps lead to, for all that is not training.

    After step t = 0, 1, …, which leads to w::

        a ← d·a + (1 − d)·w,    d = min(decay, (1 + t) / (10 + t), 1 − 1 / (reach · n_steps))

    so that the first steps, far from where training ends, are soon forgotten (Polyak and Juditsky, 1992; this form of d
    is that of TensorFlow's ExponentialMovingAverage), and an epoch of ``n_steps`` steps after ``reach`` of them: what a
    stream brings in small parts must not be averaged over too many. Within `steps` the parameters are w, before and
    after that they are a, and ``state`` keeps w, from which training goes on.

    Parameters
    ----------
    decay : float
        The largest d; 0 for no average: `steps` then go on from the w that another `Average` has left, if any, and end
        there.
    reach : float, default=inf
        How many epochs a reaches back, about, at most.
    """

    def __init__(self, decay, reach=math.inf):
        super().__init__()
        self.decay, self.reach = decay, reach
        self._values, self._most = None, decay

    @contextmanager
    def steps(self, parameters, n_steps, kernels=backend.cpu):
        """Context of an epoch: in it ``parameters`` are what the last step led to, after it their average."""
        self._most = min(self.decay, 1 - 1 / (self.reach * n_steps))
        iterate = self.state.pop("iterate", None)
        if iterate is not None:
            _swap(parameters, iterate)
        if not self.decay:
            self.state = {}
        else:
            self._values = _copy(parameters, kernels) if iterate is None else iterate
        try:
            yield
        finally:
            if self.decay:
                _swap(parameters, self._values)
                self.state["iterate"], self._values = self._values, None

    def next(self):
        """The array of a, None if there is none, and the share 1 − d of what the next step leads to."""
        if not self.decay:
            return None, 0.0
        t = self.state.get("n_steps", 0)
        self.state["n_steps"] = t + 1
        return self._values, 1 - min(self._most, (1 + t) / (10 + t))

    def restart(self, state, kernels=backend.cpu):
        """Go on from the parameters that another one's ``state`` has kept, with an average of what follows."""
        self.resume({name: value for name, value in state.items() if name == "iterate"}, kernels)


def _swap(a, b, size=2**16):
    """In parts, so that there is no third array of that length: a fit has six of them."""
    for start in range(0, len(a), size):
        part = slice(start, start + size)
        a[part], b[part] = b[part], a[part].copy()


class _Optimizer(_Resumable):
    def step(self, parameters, gradients, n_decayed=0, penalty=0.0, average=None, kernels=backend.cpu):
        values, share = (None, 0.0) if average is None else average.next()
        values = parameters[:0] if values is None else values
        self._step(parameters, gradients, n_decayed, float(penalty), values, share, kernels)


class SGD(_Optimizer):
    """Stochastic gradient descent with momentum (Nesterov's by default)."""

    def __init__(self, *, learning_rate=0.1, momentum=0.9, nesterov=True):
        super().__init__()
        self.learning_rate, self.momentum, self.nesterov = learning_rate, momentum, nesterov

    def _step(self, parameters, gradients, n_decayed, penalty, average, share, kernels):
        if not self.state:
            self.state = {"velocities": kernels.memory.zeros(parameters.shape, parameters.dtype)}
        kernels.elementwise.sgd_step(
            parameters, gradients, self.state["velocities"], average, n_decayed, penalty,
            float(self.learning_rate), float(self.momentum), bool(self.nesterov), share,
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

    def _step(self, parameters, gradients, n_decayed, penalty, average, share, kernels):
        if not self.state:
            means, squares = (kernels.memory.zeros(parameters.shape, parameters.dtype) for _ in range(2))
            self.state = {"n_steps": 0, "means": means, "squares": squares}
        self.state["n_steps"] = n = self.state["n_steps"] + 1
        step_size = self.learning_rate * math.sqrt(1 - self.beta_2**n) / (1 - self.beta_1**n)
        kernels.elementwise.adam_step(
            parameters, gradients, self.state["means"], self.state["squares"], average, n_decayed, penalty,
            float(self.learning_rate * self.weight_decay), float(step_size), float(self.beta_1), float(self.beta_2),
            max(float(self.epsilon), float(np.finfo(parameters.dtype).tiny)), share,
        )  # fmt: skip
