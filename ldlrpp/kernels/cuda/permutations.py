"""The keyed permutation and its signs on the GPU: a block of threads to a column, or a thread to a small one.

`ldlrpp.kernels.bijection` defines both. Permutations are kept as rows of entries, numbers whose highest bit is set
where the sign is −1. All values of the network, those of m and more too, are computed once and looked up where a value
goes through it again: 2% of them with 784 inputs, for which half of the warps would wait.
"""

import numpy as np
from numba import cuda

from ldlrpp.kernels import bijection
from ldlrpp.kernels.cuda.compiling import device, kernel
from ldlrpp.kernels.cuda.launching import launch

# Columns of a block that shuffles, one to a thread, and the entries of a row of its table: two more than are used, for
# the threads to be in banks of their own.
_COLUMNS = 64
_ROW = bijection.FISHER_YATES_INPUTS + 2
_TABLE = _COLUMNS * _ROW
# Values that a table holds, nearly 48 KiB of a block's shared memory. Of more inputs every value is computed by the
# thread that wants it.
_MOST_VALUES = 24_500
_ENTRY = np.dtype(np.uint16)
# Threads of a block that has a table, at least.
_LEAST_THREADS = 64
# Entries of a block where nothing is looked up: 2^30 inputs are 2^15 blocks, of the 65,535 of a grid's second axis.
_CHUNK = 2**15
_MAX_ROUNDS = bijection.MAX_ROUNDS


def permutation_rows(n, first, seed, signs, out):
    """Write the permutations of outputs ``first`` and following, of ``n`` columns, into rows of out (n_rows, m).

    ``out`` is of `bijection.entry_dtype`; with ``signs`` the highest bit is set where a sign is −1.
    """
    n_rows, m = out.shape
    seed = np.uint64(seed)
    if m <= bijection.FISHER_YATES_INPUTS:
        launch(_shuffle, -(-n_rows // _COLUMNS), _COLUMNS, n_rows, m, n, first, seed, signs, out)
        return
    a, b = bijection.feistel_sides(m)
    rounds = bijection.n_rounds(m)
    if a * b <= _MOST_VALUES:
        # eight values to a thread
        threads = min(1024, max(_LEAST_THREADS, -(-a * b // 256) * 32))
        size = a * b * _ENTRY.itemsize
        launch(_look_up, n_rows, threads, m, a, b, rounds, n, first, seed, signs, out, shared=size)
    else:
        shift = 8 * out.itemsize - 16
        launch(_compute, (n_rows, -(-m // _CHUNK)), 256, m, a, b, rounds, n, first, seed, signs, shift, out)


@kernel(threads=_COLUMNS, registers=64)
def _shuffle(n_rows, m, n, first, seed, signs, out):
    table = cuda.shared.array(_TABLE, np.uint16)
    start = cuda.blockIdx.x * _COLUMNS
    r = start + cuda.threadIdx.x
    if r < n_rows:
        order = table[cuda.threadIdx.x * _ROW : (cuda.threadIdx.x + 1) * _ROW]
        head, column = np.uint64((first + r) // n), np.uint64((first + r) % n)
        bijection.fisher_yates(m, seed, head, column, order)
        if signs:
            bits = bijection.few_signs(seed, head, column)
            for i in range(m):
                sign = np.uint16((bits >> np.uint64(i)) << np.uint64(15)) & np.uint16(0x8000)
                order[i] = np.uint16(order[i] | sign)
    cuda.syncthreads()
    # rows of the block follow each other in out
    at, inputs = np.uint64(start) * np.uint64(m), np.uint32(m)
    size = np.uint32(min(_COLUMNS, n_rows - start) * m)
    i = np.uint32(cuda.threadIdx.x)
    while i < size:
        out[at + np.uint64(i)] = table[i // inputs * np.uint32(_ROW) + i % inputs]
        i = np.uint32(i + np.uint32(_COLUMNS))


@device
def _keys(rounds, n, first, seed, multipliers, increments):
    """Keys of the block's column, made by a thread for every four rounds."""
    block = cuda.threadIdx.x
    if block < rounds // 4:
        c = first + cuda.blockIdx.x
        bijection.four_round_keys(block, seed, np.uint64(c // n), np.uint64(c % n), multipliers, increments)
    cuda.syncthreads()


@kernel(threads=1024, registers=40)
def _look_up(m, a, b, rounds, n, first, seed, signs, out):
    multipliers = cuda.shared.array(_MAX_ROUNDS, np.uint16)
    increments = cuda.shared.array(_MAX_ROUNDS, np.uint16)
    table = cuda.shared.array(0, _ENTRY)
    _keys(rounds, n, first, seed, multipliers, increments)
    inputs, count, a, b, rounds = np.uint32(m), np.uint32(a * b), np.uint32(a), np.uint32(b), np.uint32(rounds)
    step = np.uint32(cuda.blockDim.x)
    v = np.uint32(cuda.threadIdx.x)
    while v < count:
        left, right, sign = bijection.feistel_pass(
            np.uint16(v // b), np.uint16(v % b), a, b, rounds, multipliers, increments
        )
        # below 2^15
        table[v] = np.uint16(np.uint16(np.uint32(left) * b + np.uint32(right)) | sign)
        v = np.uint32(v + step)
    cuda.syncthreads()
    start = np.uint64(cuda.blockIdx.x) * np.uint64(m)
    kept = np.uint16(0xFFFF if signs else 0x7FFF)
    i = np.uint32(cuda.threadIdx.x)
    while i < inputs:
        entry = table[i]
        while entry & np.uint16(0x7FFF) >= inputs:
            entry = table[entry & np.uint16(0x7FFF)]
        out[start + np.uint64(i)] = entry & kept
        i = np.uint32(i + step)


@kernel(threads=256, registers=40)
def _compute(m, a, b, rounds, n, first, seed, signs, shift, out):
    multipliers = cuda.shared.array(_MAX_ROUNDS, np.uint16)
    increments = cuda.shared.array(_MAX_ROUNDS, np.uint16)
    _keys(rounds, n, first, seed, multipliers, increments)
    inputs, a, b, rounds = np.uint32(m), np.uint32(a), np.uint32(b), np.uint32(rounds)
    start = np.uint64(cuda.blockIdx.x) * np.uint64(m)
    kept = np.uint32(0xFFFF if signs else 0)
    i = np.uint32(cuda.blockIdx.y * _CHUNK + cuda.threadIdx.x)
    last = np.uint32(min((cuda.blockIdx.y + 1) * _CHUNK, m))
    while i < last:
        v, sign = i, np.uint16(0)
        while True:
            left, right, sign = bijection.feistel_pass(
                np.uint16(v // b), np.uint16(v % b), a, b, rounds, multipliers, increments
            )
            v = np.uint32(np.uint32(left) * b + np.uint32(right))
            if v < inputs:
                break
        out[start + np.uint64(i)] = v | np.uint32(np.uint32(sign & kept) << np.uint32(shift))
        i = np.uint32(i + np.uint32(cuda.blockDim.x))
