"""Sums of what threads have, and of arrays, always in the same order."""

import numpy as np
from numba import cuda

from ldlrpp.kernels.cuda import memory
from ldlrpp.kernels.cuda.compiling import device, kernel
from ldlrpp.kernels.cuda.launching import launch
from ldlrpp.kernels.cuda.numbers import load

# Threads of a block that adds up what blocks have left.
_THREADS = 256


@device
def lanes_sum(shared, lanes, value):
    """The sum of what each ``lanes`` neighbouring threads give, a power of two of them, in the order of a tree.

    All threads of a block call it, with an entry of ``shared`` for each.
    """
    thread = cuda.threadIdx.x
    lane = thread & (lanes - 1)
    cuda.syncthreads()
    shared[thread] = value
    cuda.syncthreads()
    step = lanes >> 1
    while step > 0:
        if lane < step:
            shared[thread] += shared[thread + step]
        cuda.syncthreads()
        step >>= 1
    return shared[thread - lane]


@device
def lanes_max(shared, lanes, value):
    """The greatest of what each ``lanes`` neighbouring threads give; otherwise `lanes_sum`."""
    thread = cuda.threadIdx.x
    lane = thread & (lanes - 1)
    cuda.syncthreads()
    shared[thread] = value
    cuda.syncthreads()
    step = lanes >> 1
    while step > 0:
        if lane < step:
            shared[thread] = max(shared[thread], shared[thread + step])
        cuda.syncthreads()
        step >>= 1
    return shared[thread - lane]


@device
def block_sum(shared, value):
    """The sum of what the threads of a block give, a power of two of them; otherwise `lanes_sum`."""
    return lanes_sum(shared, cuda.blockDim.x, value)


@kernel(threads=_THREADS, registers=40)
def _sum(x, divisor, out):
    sums = cuda.shared.array(_THREADS, np.float64)
    total = divisor - divisor
    i = np.int64(cuda.threadIdx.x)
    while i < x.size:
        total += load(x, i)
        i += _THREADS
    total = block_sum(sums, total)
    if cuda.threadIdx.x == 0:
        out[0] = total / divisor


def sum_of(x, divisor):
    """The sum of ``x`` over ``divisor`` in float64, an array of no axes: few numbers are added by one block."""
    out = memory.empty((), np.float64)
    launch(_sum, 1, _THREADS, x, np.float64(divisor), out)
    return out
