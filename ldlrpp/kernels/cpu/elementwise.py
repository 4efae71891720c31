"""Passes over whole arrays: a step of an optimiser, activations and their derivatives, dropout, copies of rows.

Arrays are flat where a function does not say otherwise. Numbers are cast to the dtype of the arrays: a Python float
would make float32 arithmetic float64.
"""

from typing import NamedTuple

import numpy as np
from numba import prange
from scipy.special import expit

from ldlrpp.kernels.compiling import helper, njit
from ldlrpp.kernels.masks import is_kept, key

# Entries of a task: enough to repay it, few enough for the gradients of small networks to be shared out.
_TASK = 2**14


class Adam(NamedTuple):
    """The numbers of a step of Adam that are the same for all parameters: ``c1`` is 1 − ``b1``, c2 likewise."""

    step_size: float
    b1: float
    b2: float
    c1: float
    c2: float
    epsilon: float


# Bodies of the steps' loops are functions of parts of arrays, in which no index can be negative: a step of Adam takes
# 0.85 of the time that it takes with indices into the whole arrays.


@helper
def _adam(parameters, gradients, means, squares, penalty, decay, numbers):
    step_size, b1, b2, c1, c2, epsilon = numbers
    for i in range(len(parameters)):
        p = parameters[i]
        g = gradients[i] + penalty * p
        mean = b1 * means[i] + c1 * g
        square = b2 * squares[i] + c2 * g * g
        means[i], squares[i] = mean, square
        p -= decay * p
        parameters[i] = p - step_size * mean / (np.sqrt(square) + epsilon)


@helper
def _sgd(parameters, gradients, velocities, penalty, rate, momentum, nesterov):
    for i in range(len(parameters)):
        p = parameters[i]
        g = gradients[i] + penalty * p
        velocity = momentum * velocities[i] - rate * g
        velocities[i] = velocity
        parameters[i] = p + (momentum * velocity - rate * g if nesterov else velocity)


@helper
def _add_to_average(parameters, average, share):
    # a loop of its own over what the caches hold: 3 to 7% of a step of Adam; as a fifth array in Adam's loop 25%
    for i in range(len(average)):
        average[i] += share * (parameters[i] - average[i])


@njit(parallel=True, cache=True)
def adam_step(
    parameters, gradients, means, squares, average, n_decayed, penalty, decay, step_size, beta_1, beta_2, epsilon, share
):  # fmt: skip
    """A step of Adam: changes parameters, means and squares; gradients are those of the loss without its penalty.

    The first ``n_decayed`` parameters have ``penalty`` times themselves added to their gradients (an L2 penalty), and
    are multiplied by 1 − ``decay`` (decoupled weight decay). ``average``, unless it is empty, becomes 1 − ``share``
    times itself and ``share`` times the new parameters.
    """
    cast = parameters.dtype.type
    # 1 − beta in float64 first: a beta near one is one in float32
    c1, c2 = cast(1 - beta_1), cast(1 - beta_2)
    numbers = Adam(cast(step_size), cast(beta_1), cast(beta_2), c1, c2, cast(epsilon))
    for task in prange((len(parameters) + _TASK - 1) // _TASK):
        start, stop = task * _TASK, min((task + 1) * _TASK, len(parameters))
        middle = min(max(start, n_decayed), stop)
        _adam(
            parameters[start:middle], gradients[start:middle], means[start:middle], squares[start:middle],
            cast(penalty), cast(decay), numbers,
        )  # fmt: skip
        _adam(
            parameters[middle:stop], gradients[middle:stop], means[middle:stop], squares[middle:stop],
            cast(0), cast(0), numbers,
        )  # fmt: skip
        if len(average):
            _add_to_average(parameters[start:stop], average[start:stop], cast(share))


@njit(parallel=True, cache=True)
def sgd_step(parameters, gradients, velocities, average, n_decayed, penalty, learning_rate, momentum, nesterov, share):
    """A step of gradient descent with momentum: changes parameters and velocities; the others as in `adam_step`."""
    cast = parameters.dtype.type
    rate, m = cast(learning_rate), cast(momentum)
    for task in prange((len(parameters) + _TASK - 1) // _TASK):
        start, stop = task * _TASK, min((task + 1) * _TASK, len(parameters))
        middle = min(max(start, n_decayed), stop)
        for first, last, strength in ((start, middle, cast(penalty)), (middle, stop, cast(0))):
            _sgd(parameters[first:last], gradients[first:last], velocities[first:last], strength, rate, m, nesterov)
        if len(average):
            _add_to_average(parameters[start:stop], average[start:stop], cast(share))


@njit(parallel=True, cache=True)
def relu_backward(grad, y):
    """``grad`` is zeroed where the output ``y`` of a relu is not positive; both (batch, width)."""
    for r in prange(grad.shape[0]):
        for i in range(grad.shape[1]):
            grad[r, i] = grad[r, i] if y[r, i] > 0 else grad.dtype.type(0)


@njit(parallel=True, cache=True)
def take_rows(x, rows, repeated, out):
    """``out = x[rows]``, every row again and again to the width of ``out``, or once, with zeros behind it.

    x (n_rows, n), rows (batch,) integers from 0 to n_rows − 1, out (batch, width), width n or more.
    """
    n, width = x.shape[1], out.shape[1]
    for r in prange(len(rows)):
        row = rows[r]
        # entry by entry: to assign a row takes Numba 2 s to compile, with the message for rows that do not fit
        for start in range(0, width, n):
            for i in range(min(n, width - start)):
                out[r, start + i] = x[row, i] if repeated or start == 0 else x.dtype.type(0)


@njit(parallel=True, cache=True)
def take_sparse_rows(data, indices, indptr, rows, n, repeated, out):
    """`take_rows` of a CSR matrix of ``n`` columns, whose three arrays these are; what stands twice is added up."""
    width = out.shape[1]
    last = width if repeated else min(n, width)
    for r in prange(len(rows)):
        for c in range(width):
            out[r, c] = 0
        row = rows[r]
        for entry in range(indptr[row], indptr[row + 1]):
            for c in range(indices[entry], last, n):
                out[r, c] += data[entry]


def widen(x, repeated, out):
    """`take_rows` of all rows, in their order."""
    if repeated:
        take_rows(x, np.arange(len(x)), repeated, out)
    else:
        # one pass of NumPy's takes a batch less time than to wake threads
        out[:, : x.shape[1]] = x
        out[:, x.shape[1] :] = 0


def fold(wide, repeated, out):
    """The transpose of `widen`: ``out`` (batch, n) is the sum of the copies in ``wide`` (batch, width), or the first.

    Copies are added in their order.
    """
    n, width = out.shape[1], wide.shape[1]
    out[...] = wide[:, :n]
    for start in range(n, width if repeated else n, n):
        copy = wide[:, start : start + n]
        out[:, : copy.shape[1]] += copy


def tanh(z):
    """``z`` becomes its tanh."""
    np.tanh(z, out=z)


def tanh_backward(grad, y):
    """``grad`` is multiplied by the derivative of tanh where its output is ``y``."""
    grad *= 1 - y * y


def logistic(z):
    """``z`` becomes 1 / (1 + exp(−z))."""
    expit(z, out=z)


def logistic_backward(grad, y):
    """``grad`` is multiplied by the derivative of `logistic` where its output is ``y``."""
    grad *= y * (1 - y)


@helper
def _drop(y, first, low, high, least, factor):
    for i in range(len(y)):
        y[i] = y[i] * factor if is_kept(np.uint32(first + i), low, high, least) else y.dtype.type(0)


@njit(parallel=True, cache=True)
def _drop_parts(y, low, high, least, factor):
    for task in prange((len(y) + _TASK - 1) // _TASK):
        start = task * _TASK
        _drop(y[start : start + _TASK], start, low, high, least, factor)


def drop(y, seed, rate):
    """Entries of ``y`` (batch, width) are zeroed with probability ``rate``, the others divided by 1 − ``rate``.

    Which they are follows from the seed, see `ldlrpp.kernels.masks`.
    """
    _drop_parts(y.reshape(-1), *key(seed, rate), y.dtype.type(1 / (1 - rate)))


def drop_backward(grad, y, seed, rate):
    """``grad`` becomes what `drop` made of ``y``, which is again what it was before, but for entries it has lost."""
    drop(grad, seed, rate)
    y *= y.dtype.type(1 - rate)


def shorten(x, most):
    """``x`` becomes shorter, where its Euclidean norm is more than ``most``: then that is its norm."""
    norm = float(np.sqrt(x.dtype.type(square_sum(x))))
    if norm > most:
        x *= x.dtype.type(most / norm)


def square_sum(x):
    """The sum of the squares of ``x``: a number, or what `float` makes one of."""
    return np.dot(x, x)
