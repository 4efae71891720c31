"""Passes over whole arrays, one each, on all threads: a step of an optimiser, relu's derivative, copies of rows.

Arrays are flat where a function does not say otherwise. Numbers are cast to the dtype of the arrays: a Python float
would make float32 arithmetic float64.
"""

import numpy as np
from numba import prange

from ldlrpp.kernels.compiling import njit

# Entries of a task: enough to repay it, few enough for the gradients of small networks to be shared out.
_TASK = 2**14


@njit(parallel=True, cache=True)
def adam_step(parameters, gradients, means, squares, n_decayed, penalty, decay, step_size, beta_1, beta_2, epsilon):
    """A step of Adam: changes parameters, means and squares; gradients are those of the loss without its penalty.

    The first ``n_decayed`` parameters have ``penalty`` times themselves added to their gradients (an L2 penalty), and
    are multiplied by 1 − ``decay`` (decoupled weight decay).
    """
    cast = parameters.dtype.type
    size, eps, b1, b2 = cast(step_size), cast(epsilon), cast(beta_1), cast(beta_2)
    # in float64 first: a beta near one is one in float32
    c1, c2 = cast(1 - beta_1), cast(1 - beta_2)
    for task in prange((len(parameters) + _TASK - 1) // _TASK):
        start, stop = task * _TASK, min((task + 1) * _TASK, len(parameters))
        for i in range(start, stop):
            p = parameters[i]
            decayed = i < n_decayed
            g = gradients[i] + (cast(penalty) * p if decayed else cast(0))
            mean = b1 * means[i] + c1 * g
            square = b2 * squares[i] + c2 * g * g
            means[i], squares[i] = mean, square
            p -= cast(decay) * p if decayed else cast(0)
            parameters[i] = p - size * mean / (np.sqrt(square) + eps)


@njit(parallel=True, cache=True)
def sgd_step(parameters, gradients, velocities, n_decayed, penalty, learning_rate, momentum, nesterov):
    """A step of gradient descent with momentum: changes parameters and velocities; the others as in `adam_step`."""
    cast = parameters.dtype.type
    rate, m = cast(learning_rate), cast(momentum)
    for task in prange((len(parameters) + _TASK - 1) // _TASK):
        start, stop = task * _TASK, min((task + 1) * _TASK, len(parameters))
        for i in range(start, stop):
            p = parameters[i]
            g = gradients[i] + (cast(penalty) * p if i < n_decayed else cast(0))
            velocity = m * velocities[i] - rate * g
            velocities[i] = velocity
            parameters[i] = p + (m * velocity - rate * g if nesterov else velocity)


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
