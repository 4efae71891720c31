"""Passes over whole arrays that the CPU's kernels have inside others: biases and relu, sums of columns, rounding."""

import numpy as np
from numba import cuda

from ldlrpp.kernels.cuda import memory
from ldlrpp.kernels.cuda.compiling import kernel
from ldlrpp.kernels.cuda.launching import launch
from ldlrpp.kernels.cuda.numbers import load, store

# Threads of a block.
_THREADS = 256
# A zero that leaves float32 as it is, and float64.
_ZERO = np.float32(0)
# Rows of a thread of `_add_bias`, for which it looks its bias up once.
_BIAS_ROWS = 8
# Threads of `_column_sums`: 32 columns beside each other, which one load brings, in so many rows; and the rows that a
# block adds up, whatever the GPU.
_COLUMNS, _LANES = 32, 8
_SUMS = _COLUMNS * _LANES
_SUMMED_ROWS = 256
# What the second axis of a grid can be.
_MOST_BLOCKS = 65_535


@kernel(registers=32)
def _add_bias(out, batch, width, bias, relu):
    c = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if c < width:
        shift = load(bias, np.uint32(c) % np.uint32(len(bias))) if len(bias) else _ZERO
        # a range of unknown step takes a division
        r = cuda.blockIdx.y
        while r < batch:
            at = np.int64(r) * np.int64(width) + np.int64(c)
            y = load(out, at) + shift
            store(out, at, _ZERO if relu and y < _ZERO else y)
            r += cuda.gridDim.y


def add_bias(out, bias, relu):
    """``out[:, c] += bias[c mod len(bias)]`` and perhaps its relu; ``bias`` may be empty."""
    if not len(bias) and not relu:
        return
    batch, width = out.shape
    threads = min(_THREADS, -(-width // 32) * 32)
    launch(
        _add_bias, (-(-width // threads), min(-(-batch // _BIAS_ROWS), _MOST_BLOCKS)), threads,
        out, batch, width, bias, relu,
    )  # fmt: skip


@kernel(registers=40)
def _column_sums(x, batch, width, n_blocks, out):
    sums = cuda.shared.array(_SUMS, out.dtype)
    lane = cuda.threadIdx.x // _COLUMNS
    # one axis, which has no end as a second one has
    part = np.int64(cuda.blockIdx.x) // n_blocks
    c = (cuda.blockIdx.x - part * n_blocks) * _COLUMNS + cuda.threadIdx.x % _COLUMNS
    first = part * _SUMMED_ROWS
    total = _ZERO
    if c < width:
        for r in range(first + lane, min(first + _SUMMED_ROWS, batch), _LANES):
            total += load(x, np.int64(r) * np.int64(width) + np.int64(c))
    sums[cuda.threadIdx.x] = total
    cuda.syncthreads()
    if lane == 0 and c < width:
        for other in range(1, _LANES):
            total += sums[other * _COLUMNS + cuda.threadIdx.x]
        out[part * np.int64(width) + np.int64(c)] = total


def column_sums(x, out):
    """``out = x.sum(axis=0)``, added up in an order that the shape alone decides; x (batch, width), out (width,)."""
    batch, width = x.shape
    parts = max(1, -(-batch // _SUMMED_ROWS))
    dtype = memory.accumulator(x.dtype)
    sums = out if parts == 1 and out.dtype == dtype else memory.empty((parts, width), dtype)
    n_blocks = -(-width // _COLUMNS)
    launch(_column_sums, parts * n_blocks, _SUMS, x, batch, width, n_blocks, sums)
    if parts > 1:
        column_sums(sums, out)
    elif sums is not out:
        cast(sums, out)


@kernel(registers=32)
def _cast(x, out):
    i = cuda.grid(1)
    if i < x.size:
        store(out, i, load(x, i))


def cast(x, out):
    """``out = x``, rounded to its dtype, of the same size."""
    launch(_cast, -(-x.size // _THREADS), _THREADS, x, out)
