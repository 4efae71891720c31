"""Passes over whole arrays, one each, on the GPU: twins of `ldlrpp.kernels.cpu.elementwise`.

A thread has one entry, or one column of many rows. Loops are ``while`` loops: of a ``range`` with
a step Numba first computes the length, by a division of 64 bits.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import cuda

from ldlrpp.kernels.cuda import memory
from ldlrpp.kernels.cuda.compiling import device, kernel
from ldlrpp.kernels.cuda.launching import launch
from ldlrpp.kernels.cuda.numbers import constant, expit, load, store
from ldlrpp.kernels.cuda.sums import block_sum, sum_of
from ldlrpp.kernels.masks import is_kept, key

# Threads of a block.
_THREADS = 256
# Blocks in the second direction at most: what CUDA takes.
_MOST_ROWS = 65535
# Blocks of a sum at most, by sizes alone: results are the same on every GPU.
_PARTS = 512


_ZERO, _ONE = constant(0.0), constant(1.0)


def _blocks(size):
    return -(-size // _THREADS)


def _row_blocks(n_rows, width):
    """Blocks for threads that own columns, of every so many rows."""
    return _blocks(width), min(n_rows, _MOST_ROWS)


# --- Steps of optimisers ---------------------------------------------------------------------------------------------


@device
def _add_to_average(average, i, p, share):
    if i < average.size:
        a = load(average, i)
        store(average, i, a + share * (p - a))


class _Adam(NamedTuple):
    """The numbers of a step of Adam, of the dtype that it is done in; c are 1 − b."""

    penalty: np.floating
    decay: np.floating
    step_size: np.floating
    b1: np.floating
    b2: np.floating
    c1: np.floating
    c2: np.floating
    epsilon: np.floating
    share: np.floating


@kernel(threads=_THREADS, registers=40)
def _adam(parameters, gradients, means, squares, average, n_decayed, step):
    i = cuda.grid(1)
    if i < parameters.size:
        p, g = load(parameters, i), load(gradients, i)
        if i < n_decayed:
            g += step.penalty * p
            p -= step.decay * p
        mean = step.b1 * load(means, i) + step.c1 * g
        square = step.b2 * load(squares, i) + step.c2 * g * g
        store(means, i, mean)
        store(squares, i, square)
        p -= step.step_size * mean / (math.sqrt(square) + step.epsilon)
        store(parameters, i, p)
        _add_to_average(average, i, p, step.share)


@kernel(threads=_THREADS, registers=32)
def _sgd(parameters, gradients, velocities, average, n_decayed, penalty, rate, momentum, nesterov, share):
    i = cuda.grid(1)
    if i < parameters.size:
        p, g = load(parameters, i), load(gradients, i)
        if i < n_decayed:
            g += penalty * p
        velocity = momentum * load(velocities, i) - rate * g
        store(velocities, i, velocity)
        p += momentum * velocity - rate * g if nesterov else velocity
        store(parameters, i, p)
        _add_to_average(average, i, p, share)


def adam_step(
    parameters, gradients, means, squares, average, n_decayed, penalty, decay, step_size, beta_1, beta_2, epsilon, share
):  # fmt: skip
    """A step of Adam: changes parameters, means and squares; gradients are those of the loss without its penalty.

    The first ``n_decayed`` parameters have ``penalty`` times themselves added to their gradients (an L2 penalty), and
    are multiplied by 1 − ``decay`` (decoupled weight decay). ``average``, unless it is empty, becomes 1 − ``share``
    times itself and ``share`` times the new parameters.
    """
    cast = memory.accumulator(parameters.dtype).type
    numbers = penalty, decay, step_size, beta_1, beta_2, 1 - beta_1, 1 - beta_2, epsilon, share
    launch(
        _adam, _blocks(parameters.size), _THREADS, parameters, gradients, means, squares, average, n_decayed,
        _Adam(*map(cast, numbers)),
    )  # fmt: skip


def sgd_step(parameters, gradients, velocities, average, n_decayed, penalty, learning_rate, momentum, nesterov, share):
    """A step of gradient descent with momentum: changes parameters and velocities; the others as in `adam_step`."""
    cast = memory.accumulator(parameters.dtype).type
    launch(
        _sgd, _blocks(parameters.size), _THREADS, parameters, gradients, velocities, average, n_decayed, cast(penalty),
        cast(learning_rate), cast(momentum), nesterov, cast(share),
    )  # fmt: skip


@kernel(threads=_THREADS, registers=40)
def _square_sums(x, parts):
    sums = cuda.shared.array(_THREADS, parts.dtype)
    total = parts.dtype.type(0)
    i = cuda.grid(1)
    while i < x.size:
        value = load(x, i)
        total += value * value
        i += cuda.gridsize(1)
    total = block_sum(sums, total)
    if cuda.threadIdx.x == 0:
        parts[cuda.blockIdx.x] = total


def square_sum(x):
    """The sum of the squares of ``x``: a number, or what `float` makes one of."""
    parts = memory.empty(min(_blocks(x.size), _PARTS), memory.accumulator(x.dtype))
    launch(_square_sums, len(parts), _THREADS, x, parts)
    return sum_of(parts, 1)


@kernel(threads=_THREADS, registers=32)
def _shorten(x, squares, most):
    norm = math.sqrt(squares[0])
    i = cuda.grid(1)
    if norm > most and i < x.size:
        store(x, i, load(x, i) * (most / norm))


def shorten(x, most):
    """``x`` becomes shorter, where its Euclidean norm is more than ``most``: then that is its norm."""
    launch(_shorten, _blocks(x.size), _THREADS, x, square_sum(x), np.float64(most))


# --- Activations, and what is dropped --------------------------------------------------------------------------------


@kernel(threads=_THREADS, registers=32)
def _relu_backward(grad, y):
    i = cuda.grid(1)
    if i < grad.size and not load(y, i) > _ZERO:
        grad[i] = 0


def relu_backward(grad, y):
    """``grad`` is zeroed where the output ``y`` of a relu is not positive; both (batch, width)."""
    launch(_relu_backward, _blocks(grad.size), _THREADS, grad, y)


@kernel(threads=_THREADS, registers=32)
def _tanh(z):
    i = cuda.grid(1)
    if i < z.size:
        store(z, i, math.tanh(load(z, i)))


def tanh(z):
    """``z`` becomes its tanh."""
    launch(_tanh, _blocks(z.size), _THREADS, z)


@kernel(threads=_THREADS, registers=32)
def _tanh_backward(grad, y):
    i = cuda.grid(1)
    if i < grad.size:
        value = load(y, i)
        store(grad, i, load(grad, i) * (_ONE - value * value))


def tanh_backward(grad, y):
    """``grad`` is multiplied by the derivative of tanh where its output is ``y``."""
    launch(_tanh_backward, _blocks(grad.size), _THREADS, grad, y)


@kernel(threads=_THREADS, registers=32)
def _logistic(z):
    i = cuda.grid(1)
    if i < z.size:
        store(z, i, expit(load(z, i)))


def logistic(z):
    """``z`` becomes 1 / (1 + exp(−z))."""
    launch(_logistic, _blocks(z.size), _THREADS, z)


@kernel(threads=_THREADS, registers=32)
def _logistic_backward(grad, y):
    i = cuda.grid(1)
    if i < grad.size:
        value = load(y, i)
        store(grad, i, load(grad, i) * (value * (_ONE - value)))


def logistic_backward(grad, y):
    """``grad`` is multiplied by the derivative of `logistic` where its output is ``y``."""
    launch(_logistic_backward, _blocks(grad.size), _THREADS, grad, y)


@kernel(threads=_THREADS, registers=32)
def _drop(y, low, high, least, factor):
    i = cuda.grid(1)
    if i < y.size:
        store(y, i, load(y, i) * factor if is_kept(np.uint32(i), low, high, least) else _ZERO)


def drop(y, seed, rate):
    """Entries of ``y`` (batch, width) are zeroed with probability ``rate``, the others divided by 1 − ``rate``.

    Which they are follows from the seed, see `ldlrpp.kernels.masks`.
    """
    factor = memory.accumulator(y.dtype).type(1 / (1 - rate))
    launch(_drop, _blocks(y.size), _THREADS, y, *key(seed, rate), factor)


@kernel(threads=_THREADS, registers=32)
def _drop_backward(grad, y, low, high, least, factor, divisor):
    i = cuda.grid(1)
    if i < grad.size:
        store(grad, i, load(grad, i) * factor if is_kept(np.uint32(i), low, high, least) else _ZERO)
        store(y, i, load(y, i) * divisor)


def drop_backward(grad, y, seed, rate):
    """``grad`` becomes what `drop` made of ``y``, which is again what it was before, but for entries it has lost."""
    cast = memory.accumulator(y.dtype).type
    launch(
        _drop_backward, _blocks(grad.size), _THREADS, grad, y, *key(seed, rate), cast(1 / (1 - rate)), cast(1 - rate)
    )


# --- Rows ------------------------------------------------------------------------------------------------------------


@device
def _widen_row(x, row, n, c, repeated, out, at):
    if repeated:
        out[at] = x[row * n + np.uint32(c) % np.uint32(n)]
    elif c < n:
        out[at] = x[row * n + c]
    else:
        out[at] = 0


@kernel(threads=_THREADS, registers=40)
def _take_rows(x, rows, n, width, repeated, out):
    c = cuda.grid(1)
    if c < width:
        r = np.int64(cuda.blockIdx.y)
        while r < rows.size:
            _widen_row(x, rows[r], n, c, repeated, out, r * width + c)
            r += cuda.gridDim.y


def take_rows(x, rows, repeated, out):
    """``out = x[rows]``, every row again and again to the width of ``out``, or once, with zeros behind it.

    x (n_rows, n), rows (batch,) integers from 0 to n_rows − 1, out (batch, width), width n or more.
    """
    n, (batch, width) = x.shape[1], out.shape
    launch(_take_rows, _row_blocks(batch, width), _THREADS, x, rows, n, width, repeated, out)


@kernel(threads=_THREADS, registers=40)
def _take_sparse_rows(data, indices, indptr, rows, n, width, last, out):
    r = np.int64(cuda.blockIdx.x)
    start, row = r * width, rows[r]
    c = np.int64(cuda.threadIdx.x)
    while c < width:
        out[start + c] = 0
        c += cuda.blockDim.x
    cuda.syncthreads()
    entry, stop = np.int64(indptr[row]) + cuda.threadIdx.x, np.int64(indptr[row + 1])
    while entry < stop:
        c = np.int64(indices[entry])
        while c < last:
            out[start + c] = data[entry]
            c += n
        entry += cuda.blockDim.x


def take_sparse_rows(data, indices, indptr, rows, n, repeated, out):
    """`take_rows` of a CSR matrix of ``n`` columns, whose three arrays these are; no entry of it stands twice."""
    batch, width = out.shape
    last = width if repeated else min(n, width)
    launch(_take_sparse_rows, batch, _THREADS, data, indices, indptr, rows, n, width, last, out)


@kernel(threads=_THREADS, registers=40)
def _widen(x, n, n_rows, width, repeated, out):
    c = cuda.grid(1)
    if c < width:
        r = np.int64(cuda.blockIdx.y)
        while r < n_rows:
            _widen_row(x, r, n, c, repeated, out, r * width + c)
            r += cuda.gridDim.y


def widen(x, repeated, out):
    """`take_rows` of all rows, in their order."""
    n, (batch, width) = x.shape[1], out.shape
    launch(_widen, _row_blocks(batch, width), _THREADS, x, n, batch, width, repeated, out)


@kernel(threads=_THREADS, registers=40)
def _fold(wide, n, n_rows, width, repeated, out):
    c = cuda.grid(1)
    if c < n:
        last = width if repeated else n
        r = np.int64(cuda.blockIdx.y)
        while r < n_rows:
            total, i = load(wide, r * width + c), c + n
            while i < last:
                total += load(wide, r * width + i)
                i += n
            store(out, r * n + c, total)
            r += cuda.gridDim.y


def fold(wide, repeated, out):
    """The transpose of `widen`: ``out`` (batch, n) is the sum of the copies in ``wide`` (batch, width), or the first.

    Copies are added in their order.
    """
    (batch, width), n = wide.shape, out.shape[1]
    launch(_fold, _row_blocks(batch, n), _THREADS, wide, n, batch, width, repeated, out)
