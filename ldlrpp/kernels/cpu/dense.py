"""A dense layer on the CPU: BLAS's product in parts, one for every task, so that Numba's threads do all of the work.

Arrays are in C order; ``weights`` is ``(n_outputs, n_inputs)``. BLAS is called inside ``prange``: the caller must have
limited it to one thread (`ldlrpp.kernels.cpu.threads.single_threaded_blas`). How the work is cut depends on the shapes
alone, so results are the same to the last bit for any number of threads.
"""

import functools
from typing import NamedTuple

import numpy as np
from numba import prange

from ldlrpp.kernels.compiling import helper, njit
from ldlrpp.kernels.cpu.blas import Matrix, gemm, gemm_address

# Parts of a product at most, for the threads to share, and what each has at least: BLAS packs a factor for every part
# ((200, 1024) by (1024, 64) takes 0.19 ms on two cores in parts of 100 rows, in parts of 50 as long as on one, 0.30).
_PARTS = 16
_LEAST_ROWS = 100
_LEAST_COLUMNS = 128


class Sizes(NamedTuple):
    """Sizes of a layer, and of a batch."""

    batch: int
    n_inputs: int
    n_outputs: int


class Part(NamedTuple):
    """A part of a product: rows from ``first`` to ``last``, columns from ``start`` to ``stop``."""

    first: int
    last: int
    start: int
    stop: int


@helper
def _part(parts, i):
    return Part(parts[i, 0], parts[i, 1], parts[i, 2], parts[i, 3])


# Bodies of parallel loops are functions of their own: Numba compiles them in half of the time.


@helper
def _forward_part(x, weights, bias, address, sizes, part, relu, out):
    first, last, start, stop = part
    _, n_inputs, n_outputs = sizes
    for r in range(first, last):
        for c in range(start, stop):
            out[r * n_outputs + c] = bias[c]
    gemm(
        address, 0, Matrix(x, first * n_inputs, n_inputs), 1, Matrix(weights, start * n_inputs, n_inputs), 1,
        Matrix(out, first * n_outputs + start, n_outputs), last - first, stop - start, n_inputs,
    )  # fmt: skip
    if relu:
        for r in range(first, last):
            for i in range(r * n_outputs + start, r * n_outputs + stop):
                out[i] = max(out[i], out.dtype.type(0))


@njit(parallel=True, cache=True)
def _forward(x, weights, bias, address, sizes, parts, relu, out):
    sizes = Sizes(*sizes)
    for i in prange(len(parts)):
        _forward_part(x, weights, bias, address, sizes, _part(parts, i), relu, out)


@helper
def _weights_part(grad_y, x, address, sizes, part, grad_weights, grad_bias):
    first, last, start, stop = part
    batch, n_inputs, n_outputs = sizes
    # forward: out += x @ weights.T + bias
    gemm(
        address, 1, Matrix(grad_y, first, n_outputs), 0, Matrix(x, start, n_inputs), 0,
        Matrix(grad_weights, first * n_inputs + start, n_inputs), last - first, stop - start, batch,
    )  # fmt: skip
    if start == 0:
        for c in range(first, last):
            grad_bias[c] = 0
        for r in range(batch):
            for c in range(first, last):
                grad_bias[c] += grad_y[r * n_outputs + c]


@helper
def _inputs_part(grad_y, weights, address, sizes, part, grad_x):
    first, last, start, stop = part
    _, n_inputs, n_outputs = sizes
    gemm(
        address, 0, Matrix(grad_y, first * n_outputs, n_outputs), 0, Matrix(weights, start, n_inputs), 0,
        Matrix(grad_x, first * n_inputs + start, n_inputs), last - first, stop - start, n_outputs,
    )  # fmt: skip


@njit(parallel=True, cache=True)
def _backward(grad_y, x, weights, address, sizes, weight_parts, input_parts, grad_x, grad_weights, grad_bias):
    sizes = Sizes(*sizes)
    for i in prange(len(weight_parts) + len(input_parts)):
        j = i - len(weight_parts)
        if j < 0:
            _weights_part(grad_y, x, address, sizes, _part(weight_parts, i), grad_weights, grad_bias)
        else:
            _inputs_part(grad_y, weights, address, sizes, _part(input_parts, j), grad_x)


@functools.lru_cache(1024)
def _parts(n_rows, n_columns):
    """First and last row and column of every part of a product of that shape, (n_parts, 4).

    Columns are cut first, whose packing costs less.
    """
    n_blocks = max(1, min(_PARTS, n_columns // _LEAST_COLUMNS))
    n_chunks = max(1, min(_PARTS // n_blocks, n_rows // _LEAST_ROWS))
    rows, columns = max(1, -(-n_rows // n_chunks)), max(1, -(-n_columns // n_blocks))
    return np.array(
        [
            (row, min(row + rows, n_rows), column, min(column + columns, n_columns))
            for row in range(0, n_rows, rows)
            for column in range(0, n_columns, columns)
        ],
        np.intp,
    ).reshape(-1, 4)


def forward(x, weights, bias, relu, out):
    """``out = x @ weights.T + bias``, perhaps its relu; x (batch, n_inputs), bias (n_outputs,)."""
    n_outputs, n_inputs = weights.shape
    parts = _parts(len(x), n_outputs)
    flat_x, flat_weights, flat_out = x.reshape(-1), weights.reshape(-1), out.reshape(-1)
    sizes = len(x), n_inputs, n_outputs  # plain: to tell its type costs less (`ldl`)
    _forward(flat_x, flat_weights, bias, gemm_address(x.dtype), sizes, parts, relu, flat_out)


def backward(grad_y, x, weights, wants_grad_x, grad_x, grad_weights, grad_bias):
    """Overwrite the gradients, that of ``x`` only where it is wanted; shapes are those of `forward`."""
    n_outputs, n_inputs = weights.shape
    weight_parts, input_parts = _parts(n_outputs, n_inputs), _parts(len(x) if wants_grad_x else 0, n_inputs)
    _backward(
        grad_y.reshape(-1), x.reshape(-1), weights.reshape(-1), gemm_address(x.dtype),
        (len(x), n_inputs, n_outputs), weight_parts, input_parts, grad_x.reshape(-1), grad_weights.reshape(-1),
        grad_bias,
    )  # fmt: skip
