"""Losses on the GPU: twins of `ldlrpp.kernels.cpu.losses`.

A launch gives the losses of all rows and the gradient, and one more adds the losses up. A row has as many threads as it
has outputs, up to a power of two, at most all of a block.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import cuda

from ldlrpp.kernels.cuda import memory
from ldlrpp.kernels.cuda.compiling import device, kernel
from ldlrpp.kernels.cuda.launching import launch
from ldlrpp.kernels.cuda.numbers import constant, expit, load, store
from ldlrpp.kernels.cuda.sums import lanes_max, lanes_sum, sum_of

# Threads of a block.
_THREADS = 256
# Losses that are sums over outputs.
_SQUARED, _ABSOLUTE, _HUBER, _POISSON, _LOGISTIC = range(5)
_ZERO, _HALF, _ONE, _LEAST = constant(0.0), constant(0.5), constant(1.0), constant(-math.inf)


class _Shape(NamedTuple):
    """Rows and outputs, and the logarithm to base 2 of how many threads a row has."""

    n_rows: int
    n: int
    bits: int


@device
def _loss(kind, score, target, delta):
    """The loss of an output and its derivative."""
    error = score - target
    if kind == _SQUARED:
        return _HALF * error * error, error
    if kind == _ABSOLUTE:
        return abs(error), math.copysign(_ONE, error) if error != _ZERO else error
    if kind == _HUBER:
        inner = min(max(error, -delta), delta)
        # error² / 2 inside and delta · (|error| − delta / 2) outside
        return inner * (error - _HALF * inner), inner
    if kind == _POISSON:
        prediction = math.exp(score)
        entropy = target * math.log(target) if target > _ZERO else _ZERO
        return entropy - target * score - target + prediction, prediction - target
    # −t·log p − (1−t)·log(1−p) = log(1 + e^z) − t·z
    return max(score, _ZERO) + math.log1p(math.exp(-abs(score))) - target * score, expit(score) - target


@device
def _place(shape):
    """Of a thread its row, its number among the 2^bits that this has, and the entries that it has.

    The latter are from one place to another, in steps of the number of these threads; none in rows that there are not.
    """
    thread, n, bits = cuda.threadIdx.x, shape.n, shape.bits
    row, lane = np.int64(cuda.blockIdx.x) * (_THREADS >> bits) + (thread >> bits), thread & ((1 << bits) - 1)
    return row, lane, row * n + lane, (row * n + n if row < shape.n_rows else 0)


@device
def _weight(weights, row, n_rows):
    return load(weights, row) if weights.size > 0 and row < n_rows else _ONE


@kernel(threads=_THREADS, registers=56)
def _outputs(kind, scores, targets, weights, delta, divisor, total, shape, losses, gradient):
    shared = cuda.shared.array(_THREADS, losses.dtype)
    row, lane, i, stop = _place(shape)
    weight = _weight(weights, row, shape.n_rows) / divisor
    loss, factor = losses.dtype.type(0), weight / total
    while i < stop:
        part, slope = _loss(kind, load(scores, i), load(targets, i), delta)
        loss += part
        store(gradient, i, slope * factor)
        i += 1 << shape.bits
    loss = lanes_sum(shared, 1 << shape.bits, loss)
    if row < shape.n_rows and lane == 0:
        losses[row] = loss * weight


@device
def _softmax_of_row(shared, scores, start, stop, lanes):
    """The greatest score of a row, and the sum of exp(score − that)."""
    top, total = shared.dtype.type(_LEAST), shared.dtype.type(0)
    i = start
    while i < stop:
        top = max(top, load(scores, i))
        i += lanes
    top = lanes_max(shared, lanes, top)
    i = start
    while i < stop:
        total += math.exp(load(scores, i) - top)
        i += lanes
    return top, lanes_sum(shared, lanes, total)


@kernel(threads=_THREADS, registers=56, spilled=8)
def _softmax(scores, targets, weights, total, shape, losses, gradient):
    shared = cuda.shared.array(_THREADS, losses.dtype)
    row, lane, i, stop = _place(shape)
    top, powers = _softmax_of_row(shared, scores, i, stop, 1 << shape.bits)
    weight = _weight(weights, row, shape.n_rows)
    wanted, factor = losses.dtype.type(0), weight / total
    while i < stop:
        shifted, target = load(scores, i) - top, load(targets, i)
        wanted += shifted * target
        store(gradient, i, (math.exp(shifted) / powers - target) * factor)
        i += 1 << shape.bits
    wanted = lanes_sum(shared, 1 << shape.bits, wanted)
    if row < shape.n_rows and lane == 0:
        losses[row] = (math.log(powers) - wanted) * weight


@kernel(threads=_THREADS, registers=56, spilled=48)
def _softmax_predictions(scores, like, shape, out):
    shared = cuda.shared.array(_THREADS, like.dtype)
    _, _, i, stop = _place(shape)
    top, powers = _softmax_of_row(shared, scores, i, stop, 1 << shape.bits)
    while i < stop:
        store(out, i, math.exp(load(scores, i) - top) / powers)
        i += 1 << shape.bits


@kernel(threads=_THREADS, registers=32)
def _predictions(kind, scores, out):
    i = cuda.grid(1)
    if i < scores.size:
        store(out, i, math.exp(load(scores, i)) if kind == _POISSON else expit(load(scores, i)))


def _shape(scores):
    """The shape of scores for kernels, and their number of blocks."""
    n_rows, n = scores.shape
    bits = min((n - 1).bit_length(), _THREADS.bit_length() - 1)
    return _Shape(n_rows, n, bits), -(-n_rows // (_THREADS >> bits))


def _mean(kernel, scores, arguments, numbers, total, gradient):
    """Launch a kernel that leaves the losses of rows, and one that takes their mean."""
    shape, n_blocks = _shape(scores)
    losses = memory.empty(len(scores), memory.accumulator(scores.dtype))
    cast = losses.dtype.type
    launch(kernel, n_blocks, _THREADS, *arguments, *map(cast, numbers), cast(total), shape, losses, gradient)
    return sum_of(losses, total)


def _mean_of_outputs(kind, scores, targets, weights, total, gradient, delta=0.0, divisor=None):
    divisor = scores.shape[1] if divisor is None else divisor
    return _mean(_outputs, scores, (kind, scores, targets, weights), (delta, divisor), total, gradient)


def squared_error(scores, targets, weights, total, gradient):
    """Half the squared error, averaged over outputs."""
    return _mean_of_outputs(_SQUARED, scores, targets, weights, total, gradient)


def absolute_error(scores, targets, weights, total, gradient):
    """The absolute error, averaged over outputs."""
    return _mean_of_outputs(_ABSOLUTE, scores, targets, weights, total, gradient)


def huber(scores, targets, delta, weights, total, gradient):
    """Half the squared error up to ``delta``, and beyond the straight line that goes on; averaged over outputs."""
    return _mean_of_outputs(_HUBER, scores, targets, weights, total, gradient, delta)


def poisson(scores, targets, weights, total, gradient):
    """Half the Poisson deviance, averaged over outputs; scores are logarithms of the predictions."""
    return _mean_of_outputs(_POISSON, scores, targets, weights, total, gradient)


def softmax(scores, targets, weights, total, gradient):
    """Cross-entropy of classes that exclude each other; targets are one-hot, or shares of the classes."""
    return _mean(_softmax, scores, (scores, targets, weights), (), total, gradient)


def logistic(scores, targets, weights, total, gradient):
    """Binary cross-entropy, summed over outputs; targets are 0 or 1, or between them."""
    return _mean_of_outputs(_LOGISTIC, scores, targets, weights, total, gradient, divisor=1)


@kernel(registers=32)
def _accumulate(total, value, squares, half_penalty, n):
    loss = value[0]
    if half_penalty != 0:
        loss += half_penalty * squares[0]
    total[0] += loss * n


def accumulate(total, value, squares, half_penalty, n):
    """``total + (value + half_penalty · squares) · n``, the loss of an epoch so far; ``total`` is of no use after it.

    ``value`` is what a loss has returned, ``squares`` an `elementwise.square_sum`, not read without a penalty.
    """
    launch(_accumulate, 1, 1, total, value, squares, np.float64(half_penalty), np.float64(n))
    return total


def poisson_predictions(scores, out):
    """``out = exp(scores)``; both (batch, n_outputs), as below."""
    launch(_predictions, -(-scores.size // _THREADS), _THREADS, _POISSON, scores, out)


def softmax_predictions(scores, out):
    """Probabilities of classes that exclude each other."""
    shape, n_blocks = _shape(scores)
    like = memory.empty(0, memory.accumulator(scores.dtype))
    launch(_softmax_predictions, n_blocks, _THREADS, scores, like, shape, out)


def logistic_predictions(scores, out):
    """Probabilities of classes that do not."""
    launch(_predictions, -(-scores.size // _THREADS), _THREADS, _LOGISTIC, scores, out)
