"""LDL on the GPU: one pass over memory, some stages of radix 2 and 4 at a time, forward beside backward.

Threads own weights, and rows go by. A block takes a *tile* of every row, in which its stages mix positions, and threads
(i, u) of it: `units` u = 0, 1, … that take up to three stages each, one after the other. A thread holds eight positions
of the tile, 2^low apart, and the weights of its stages for them in registers, read once for all rows of the block. A
row goes from unit to unit through shared memory, while the next ones follow: in every *slot* of time each unit has
another row, so that loads, arithmetic and stores of different rows happen together, with one barrier a slot.

Backward, a row goes through the units and back: a unit computes its stages again, takes the gradient back through them
and adds up the gradients of its weights in registers, over all rows of the block. There are no atomics, and which rows
a block has follows from the shapes: what is added to what, and in which order, does not depend on the GPU.

Between units, position t of a tile is at `_place` (t) of shared memory, where for every ``low`` that occurs (0, 2, 3, 4
and 5 and more) the 32 threads of a warp meet 32 banks.
"""

from typing import NamedTuple

import numpy as np
from numba import cuda

from ldlrpp.kernels.cuda.compiling import device, kernel
from ldlrpp.kernels.cuda.numbers import load, prefetch, store

# Columns of the table of units: `low`, the stages (below), and the rows of weights that the stages on bits 2, 1 and 0
# of a thread's positions begin at.
LOW, KIND, ROW = 0, 1, 2
COLUMNS = 5
# Stages of radix 2 on bits 2, 1 and 0, and of radix 4 on bits 1 and 0, or 2 and 1: the sum says which a unit has.
TWO_2, TWO_1, TWO_0, FOUR_0, FOUR_1 = 4, 2, 1, 8, 16
# Rows ahead of the one that is loaded that are fetched into L2.
_AHEAD = 6
#: Threads of a block at most, which registers are shared out for: in float32, and where numbers take two registers.
THREADS, BACKWARD_THREADS = 512, 384
DOUBLE_THREADS = 256


class Tile(NamedTuple):
    """Where the positions of a tile lie, all numbers logarithms.

    Of the bits of a position t of a tile the lower ``columns`` are neighbours in memory, the others are ``stride``
    apart; the tile has ``size`` positions, the layer ``width``. Arrays are taken as rows of ``row`` numbers: wider than
    the layer, several rows of the batch, where a tile is.
    """

    size: int
    columns: int
    stride: int
    width: int
    row: int


class Batch(NamedTuple):
    """Rows of arrays, of which a block does ``rows_a_block``, all numbers of them, and rows of weights of the pass."""

    n_rows: int
    rows_a_block: int
    size: int
    n_weights: int


class Parts(NamedTuple):
    """Parts of sums, of a pass with rows of weights, those of the layer's last stage from ``last`` on, of a width."""

    n: int
    n_rows: int
    last: int
    width: int


@device
def _first(i, low):
    """The first of a thread's eight positions of a tile."""
    return ((i >> low) << (low + np.uint32(3))) | (i & ((np.uint32(1) << low) - np.uint32(1)))


@device
def _place(t):
    h = (t >> np.uint32(5)) & np.uint32(7)
    return t ^ h ^ (h << np.uint32(2))


@device
def _at(first, block, tile):
    """Where a position of a block's tile is in a row."""
    columns, group = np.uint32(tile.columns), tile.stride - tile.columns
    start = ((block >> group) << (group + tile.size)) + ((block & ((np.int64(1) << group) - 1)) << tile.columns)
    return (
        start
        + (np.int64(first >> columns) << tile.stride)
        + np.int64(first & ((np.uint32(1) << columns) - np.uint32(1)))
    )


# --- Stages: z are a thread's eight positions, w the weights: for radix 2 own and other of every position, at 16·bit --


@device
def _two(z, w, bit):
    k = 1 << bit
    for e in range(8):
        if e & k == 0:
            a, b = z[e], z[e | k]
            z[e] = w[16 * bit + e] * a + w[16 * bit + 8 + e] * b
            z[e | k] = w[16 * bit + (e | k)] * b + w[16 * bit + 8 + (e | k)] * a


@device
def _two_backward(g, z, w, sums, bit):
    """The gradient of z, the input of the stage, takes the place of g."""
    k = 1 << bit
    for e in range(8):
        if e & k == 0:
            a, b, f, h = z[e], z[e | k], g[e], g[e | k]
            sums[16 * bit + e] += f * a
            sums[16 * bit + 8 + e] += f * b
            sums[16 * bit + (e | k)] += h * b
            sums[16 * bit + 8 + (e | k)] += h * a
            g[e] = w[16 * bit + e] * f + w[16 * bit + 8 + (e | k)] * h
            g[e | k] = w[16 * bit + (e | k)] * h + w[16 * bit + 8 + e] * f


@device
def _four(z, w, bit):
    """A stage of radix 4 on bits ``bit`` and ``bit`` + 1, its weights of q at 8·q."""
    k = 1 << bit
    for e in range(8):
        if e & (3 * k) == 0:
            i, j, m = e | k, e | (2 * k), e | (3 * k)
            a, b, c, d = z[e], z[i], z[j], z[m]
            z[e] = w[e] * a + w[8 + e] * b + w[16 + e] * c + w[24 + e] * d
            z[i] = w[i] * b + w[8 + i] * a + w[16 + i] * d + w[24 + i] * c
            z[j] = w[j] * c + w[8 + j] * d + w[16 + j] * a + w[24 + j] * b
            z[m] = w[m] * d + w[8 + m] * c + w[16 + m] * b + w[24 + m] * a


@device
def _add_products(sums, e, g, own, first, second, third):
    """Of the output at e, whose gradient is g and whose inputs are own and those 1, 2 and 3 distances away."""
    sums[e] += g * own
    sums[8 + e] += g * first
    sums[16 + e] += g * second
    sums[24 + e] += g * third


@device
def _four_backward(g, z, w, sums, bit):
    k = 1 << bit
    for e in range(8):
        if e & (3 * k) == 0:
            i, j, m = e | k, e | (2 * k), e | (3 * k)
            f, h, r, s = g[e], g[i], g[j], g[m]
            _add_products(sums, e, f, z[e], z[i], z[j], z[m])
            _add_products(sums, i, h, z[i], z[e], z[m], z[j])
            _add_products(sums, j, r, z[j], z[m], z[e], z[i])
            _add_products(sums, m, s, z[m], z[j], z[i], z[e])
            g[e] = w[e] * f + w[8 + i] * h + w[16 + j] * r + w[24 + m] * s
            g[i] = w[i] * h + w[8 + e] * f + w[16 + m] * s + w[24 + j] * r
            g[j] = w[j] * r + w[8 + m] * s + w[16 + e] * f + w[24 + i] * h
            g[m] = w[m] * s + w[8 + j] * r + w[16 + i] * h + w[24 + e] * f


@device
def _stages(z, w, kind):
    if kind & TWO_2:
        _two(z, w, 2)
    if kind & TWO_1:
        _two(z, w, 1)
    if kind & TWO_0:
        _two(z, w, 0)
    if kind & FOUR_0:
        _four(z, w, 0)
    if kind & FOUR_1:
        _four(z, w, 1)


@device
def _stages_backward(g, z, w, sums, kind):
    """Of g, the gradient of what the stages make of z, make that of z; gradients of weights are added to ``sums``."""
    after_first = cuda.local.array(8, w.dtype)
    after_second = cuda.local.array(8, w.dtype)
    for e in range(8):
        after_first[e] = z[e]
    if kind & TWO_2:
        _two(after_first, w, 2)
    for e in range(8):
        after_second[e] = after_first[e]
    if kind & TWO_1:
        _two(after_second, w, 1)
    if kind & TWO_0:
        _two_backward(g, after_second, w, sums, 0)
    if kind & TWO_1:
        _two_backward(g, after_first, w, sums, 1)
    if kind & FOUR_0:
        _four_backward(g, after_first, w, sums, 0)
    if kind & FOUR_1:
        _four_backward(g, after_first, w, sums, 1)
    if kind & TWO_2:
        _two_backward(g, z, w, sums, 2)


@device
def _own_row(weights, row, at, step, width, to, w):
    for e in range(8):
        w[to + e] = load(weights, row * width + ((at + e * step) & (width - 1)))


@device
def _own(weights, units, u, at, step, width, w):
    """Take a unit's weights for a thread's positions to registers."""
    kind, rows = units[COLUMNS * u + KIND], COLUMNS * u + ROW
    for e in range(48):
        w[e] = 0
    if kind & TWO_2:
        _own_row(weights, units[rows], at, step, width, 32, w)
        _own_row(weights, units[rows] + 1, at, step, width, 40, w)
    if kind & TWO_1:
        _own_row(weights, units[rows + 1], at, step, width, 16, w)
        _own_row(weights, units[rows + 1] + 1, at, step, width, 24, w)
    if kind & (TWO_0 | FOUR_0 | FOUR_1):
        _own_row(weights, units[rows + 2], at, step, width, 0, w)
        _own_row(weights, units[rows + 2] + 1, at, step, width, 8, w)
    if kind & (FOUR_0 | FOUR_1):
        _own_row(weights, units[rows + 2] + 2, at, step, width, 16, w)
        _own_row(weights, units[rows + 2] + 3, at, step, width, 24, w)


@device
def _own_scale(scale, kind, at, step, width, w):
    """Multiply the weights of the layer's last stage by its scale, which costs a row nothing then."""
    for e in range(8):
        factor = load(scale, (at + e * step) & (width - 1))
        w[e] *= factor
        w[8 + e] *= factor
        if kind & FOUR_0:
            w[16 + e] *= factor
            w[24 + e] *= factor


# --- Passes ----------------------------------------------------------------------------------------------------------


@device
def _take(x, at, step, total, z):
    """Eight numbers of a row; beyond the end of the batch zeros."""
    if at + 7 * step < total:
        for e in range(8):
            z[e] = load(x, at + e * step)
    else:
        for e in range(8):
            z[e] = load(x, at + e * step) if at + e * step < total else z.dtype.type(0)


@device
def _put(y, out, at, step, total):
    if at + 7 * step < total:
        for e in range(8):
            store(out, at + e * step, y[e])
    else:
        for e in range(8):
            if at + e * step < total:
                store(out, at + e * step, y[e])


@device
def _read(shared, start, places, z):
    for e in range(8):
        z[e] = shared[start + places[e]]


@device
def _write(z, shared, start, places):
    for e in range(8):
        shared[start + places[e]] = z[e]


@device
def _settle(units, tile, places):
    """What a thread is for: its unit's stages, the first of its positions in a row, and how far apart these are.

    Writes where they are in shared memory.
    """
    u = cuda.threadIdx.y
    low, kind = np.uint32(units[COLUMNS * u + LOW]), units[COLUMNS * u + KIND]
    first = _first(np.uint32(cuda.threadIdx.x), low)
    for e in range(8):
        places[e] = _place(first) ^ _place(np.uint32(e) << low)
    step = np.int64(1) << (np.int64(low) - tile.columns + tile.stride)
    return kind, _at(first, np.int64(cuda.blockIdx.x), tile), step


def _forward_pass(x, weights, scale, bias, units, tile, batch, finishes, relu, out):
    """Some stages of all rows, and after the last of them scale and bias if the pass ``finishes``; out may be x.

    Blocks are (tiles of a row, parts of the rows), threads (an eighth of a tile, units). Between one unit and the next,
    and the last and the first, which stores, are two rows in shared memory: one that is written and one that is read.
    """
    shared = cuda.shared.array(0, dtype=weights.dtype)
    w, z = cuda.local.array(48, weights.dtype), cuda.local.array(8, weights.dtype)
    y, shift = cuda.local.array(8, weights.dtype), cuda.local.array(8, weights.dtype)
    places = cuda.local.array(8, np.uint32)
    u, n_units = cuda.threadIdx.y, cuda.blockDim.y
    is_last = u == n_units - 1
    width, row, size = np.int64(1) << tile.width, np.int64(1) << tile.row, np.uint32(1) << np.uint32(tile.size)
    kind, at, step = _settle(units, tile, places)
    _own(weights, units, u, at, step, width, w)
    for e in range(8):
        shift[e] = 0
    if is_last and finishes:
        _own_scale(scale, kind, at, step, width, w)
        for e in range(8):
            shift[e] = load(bias, (at + e * step) & (width - 1))
    first, total = np.int64(cuda.blockIdx.y) * batch.rows_a_block, batch.size
    n = np.int32(min(batch.rows_a_block, batch.n_rows - first))
    at += first * row
    done = at
    # a thread has eight neighbours of a row brought to L2, its place among them being that of no unit
    ahead = _at(np.uint32(8 * cuda.threadIdx.x), np.int64(cuda.blockIdx.x), tile) + (first + _AHEAD) * row
    mine = np.uint32(2 * u) * size
    theirs = np.uint32(2 * (n_units - 1 if u == 0 else u - 1) + 1) * size
    if u == 0:
        _take(x, at, step, total, z)
    for slot in range(n + n_units):
        if u > 0:
            _read(shared, theirs, places, z)
        elif slot >= n_units:
            _read(shared, theirs, places, y)
            _put(y, out, done, step, total)
            done += row
        if u <= slot < n + u:
            _stages(z, w, kind)
            if is_last and finishes:
                for e in range(8):
                    z[e] += shift[e]
                if relu:
                    for e in range(8):
                        z[e] = z[e] if not z[e] < 0 else 0
            _write(z, shared, mine, places)
        if u == 0:
            # the next row is under way while the others of the block work
            at += row
            if slot + 1 < n:
                _take(x, at, step, total, z)
            if slot + _AHEAD < n and ahead < total:
                prefetch(x, ahead)
            ahead += row
        mine ^= size
        theirs ^= size
        cuda.syncthreads()


def _backward_pass(grad_y, x, weights, scale, units, tile, batch, finishes, partial, grad_bias, grad_x):
    """The transpose of `_forward_pass`: grad_x, and sums over the block's rows of the weights' gradients.

    x is the input of the pass, and grad_x may be grad_y. Sums are added to ``partial`` (parts, copies, n_weights,
    width): for every part of the rows, and where rows of the array are several of the batch, for each of them. Where
    the pass ``finishes``, they are for the weights times the scale, and ``grad_bias`` (parts, copies, width) has sums
    of grad_y.

    Unit u has row j in slot j + u, and its gradient in slot j + 2U − 1 − u, U being the number of units: 2U − 2u + 1
    rows stand before it, which it reads twice, and two gradients behind it.
    """
    shared = cuda.shared.array(0, dtype=weights.dtype)
    w, sums = cuda.local.array(48, weights.dtype), cuda.local.array(48, weights.dtype)
    z, g = cuda.local.array(8, weights.dtype), cuda.local.array(8, weights.dtype)
    # the first unit has the next row here, the last one of a pass that finishes sums of the bias's gradient
    spare = cuda.local.array(8, weights.dtype)
    places = cuda.local.array(8, np.uint32)
    u, n_units = cuda.threadIdx.y, cuda.blockDim.y
    is_last = u == n_units - 1
    width, row, size = np.int64(1) << tile.width, np.int64(1) << tile.row, np.uint32(1) << np.uint32(tile.size)
    kind, own, step = _settle(units, tile, places)
    _own(weights, units, u, own, step, width, w)
    for e in range(8):
        spare[e] = 0
    for e in range(48):
        sums[e] = 0
    if is_last and finishes:
        _own_scale(scale, kind, own, step, width, w)
    first, total = np.int64(cuda.blockIdx.y) * batch.rows_a_block, batch.size
    n = np.int32(min(batch.rows_a_block, batch.n_rows - first))
    at = own + first * row
    ahead = _at(np.uint32(8 * cuda.threadIdx.x), np.int64(cuda.blockIdx.x), tile) + (first + _AHEAD) * row
    # rows of shared memory: those before units 0, 1, …, then gradients behind them
    before, behind, end = (
        np.uint32(u * (2 * n_units + 2 - u)) * size,
        np.uint32((u + 1) * (2 * n_units + 1 - u)) * size,
        np.uint32((u + 2) * (2 * n_units - u)) * size,
    )
    gradients = np.uint32(n_units * (n_units + 2) + 2 * u) * size
    first_gradients = np.uint32(n_units * (n_units + 2) + 2 * (n_units - 1)) * size
    forth_at, back_at, behind_at, parity = before, before, behind, np.uint32(0)
    if u == 0:
        _take(x, at, step, total, spare)
    for slot in range(n + 2 * n_units):
        forth, back, coming = slot - u, slot - (2 * n_units - 1 - u), slot - (n_units - 1)
        if 0 <= back < n:
            _read(shared, back_at, places, z)
            back_at = _next(back_at, size, before, behind)
            _read(shared, gradients + (parity ^ size), places, g)
            if is_last and finishes:
                for e in range(8):
                    spare[e] += g[e]
            _stages_backward(g, z, w, sums, kind)
            if u == 0:
                _put(g, grad_x, at + back * row, step, total)
            else:
                _write(g, shared, gradients - 2 * size + parity, places)
        if u == 0 and 0 <= coming < n:
            # under way during what follows
            _take(grad_y, at + coming * row, step, total, g)
        if 0 <= forth < n:
            if u == 0:
                for e in range(8):
                    z[e] = spare[e]
                if slot + 1 < n:
                    _take(x, at + (slot + 1) * row, step, total, spare)
                _write(z, shared, forth_at, places)
            elif not is_last:
                _read(shared, forth_at, places, z)
            forth_at = _next(forth_at, size, before, behind)
            if not is_last:
                _stages(z, w, kind)
                _write(z, shared, behind_at, places)
                behind_at = _next(behind_at, size, behind, end)
        if u == 0:
            if 0 <= coming < n:
                _write(g, shared, first_gradients + parity, places)
            if slot + _AHEAD < n and ahead + slot * row < total:
                prefetch(x, ahead + slot * row)
                prefetch(grad_y, ahead + slot * row)
        parity ^= size
        cuda.syncthreads()
    copies = row >> tile.width if row > width else np.int64(1)
    part = np.int64(cuda.blockIdx.y) * copies
    _leave(sums, partial, units, u, own, step, width, tile.width, part, batch.n_weights)
    if is_last and finishes:
        _add_row(spare, 0, grad_bias, own, step, width, tile.width, part, np.int64(1), np.int64(0))


@device
def _next(at, size, start, end):
    """The next of some rows of shared memory that follow each other in a ring."""
    at += size
    return start if at == end else at


@device
def _add_row(sums, start, partial, own, step, width, log_width, part, n_rows, row):
    for e in range(8):
        p = own + e * step
        i = np.uint64(((part + (p >> log_width)) * n_rows + row) * width + (p & (width - 1)))
        partial[i] += sums[start + e]


@device
def _leave(sums, partial, units, u, own, step, width, log_width, part, n_rows):
    """Put a unit's sums where they belong: the transpose of `_own`."""
    kind, rows = units[COLUMNS * u + KIND], COLUMNS * u + ROW
    if kind & TWO_2:
        _add_row(sums, 32, partial, own, step, width, log_width, part, n_rows, units[rows])
        _add_row(sums, 40, partial, own, step, width, log_width, part, n_rows, units[rows] + 1)
    if kind & TWO_1:
        _add_row(sums, 16, partial, own, step, width, log_width, part, n_rows, units[rows + 1])
        _add_row(sums, 24, partial, own, step, width, log_width, part, n_rows, units[rows + 1] + 1)
    if kind & (TWO_0 | FOUR_0 | FOUR_1):
        _add_row(sums, 0, partial, own, step, width, log_width, part, n_rows, units[rows + 2])
        _add_row(sums, 8, partial, own, step, width, log_width, part, n_rows, units[rows + 2] + 1)
    if kind & (FOUR_0 | FOUR_1):
        _add_row(sums, 16, partial, own, step, width, log_width, part, n_rows, units[rows + 2] + 2)
        _add_row(sums, 24, partial, own, step, width, log_width, part, n_rows, units[rows + 2] + 3)


# 48 weights, 8 numbers, and 8 of their places, results and shifts each; backward 48 sums more, and there some addresses
# are kept in memory: 8 words for compute capability 9.0, 26 for 12.0.
forward_pass = kernel(threads=THREADS, registers=128)(_forward_pass)
backward_pass = kernel(threads=BACKWARD_THREADS, registers=168, spilled=112)(_backward_pass)
# 96 numbers of two registers are 192 of the 255 that a thread may have.
double_forward_pass = kernel(threads=DOUBLE_THREADS, registers=255)(_forward_pass)
double_backward_pass = kernel(threads=DOUBLE_THREADS, registers=255, spilled=560)(_backward_pass)


@kernel(registers=48)
def gather_sums(partial, bias_parts, weights, scale, parts, finishes, grad_weights, grad_scale, grad_bias):
    """Add up the sums of all parts, in order, of all rows of the weights of a pass, and what follows them.

    Blocks are (some positions, rows), threads (positions, eight segments of the parts at most). Where the pass
    ``finishes``, its rows from ``last`` on, those of the layer's last stage, are one row of blocks: their sums are for
    the weights times the scale, of which they give both gradients. One more row of blocks is for the bias.
    """
    shared = cuda.shared.array(256, dtype=weights.dtype)
    p = np.int64(cuda.blockIdx.x) * 32 + cuda.threadIdx.x
    group, width = cuda.blockIdx.y, parts.width
    if finishes and group == parts.last:
        total = weights.dtype.type(0)
        for row in range(parts.last, parts.n_rows):
            value = _sum_parts(partial, parts.n, parts.n_rows, row, p, width, shared)
            if cuda.threadIdx.y == 0 and p < width:
                # forward: z · (weights · scale)
                total += value * weights[row * width + p]
                store(grad_weights, row * width + p, value * scale[p])
        if cuda.threadIdx.y == 0 and p < width:
            store(grad_scale, p, total)
    elif finishes and group > parts.last:
        value = _sum_parts(bias_parts, parts.n, np.int64(1), np.int64(0), p, width, shared)
        if cuda.threadIdx.y == 0 and p < width:
            store(grad_bias, p, value)
    else:
        value = _sum_parts(partial, parts.n, parts.n_rows, np.int64(group), p, width, shared)
        if cuda.threadIdx.y == 0 and p < width:
            store(grad_weights, group * width + p, value)


@device
def _sum_parts(partial, n_parts, n_rows, row, p, width, shared):
    """In segments, one a thread, whose sums the first thread adds up."""
    segment, n_segments, column = np.int64(cuda.threadIdx.y), np.int64(cuda.blockDim.y), cuda.threadIdx.x
    total = partial.dtype.type(0)
    if p < width:
        for part in range(segment * n_parts // n_segments, (segment + 1) * n_parts // n_segments):
            total += partial[(part * n_rows + row) * width + p]
    shared[segment * 32 + column] = total
    cuda.syncthreads()
    if segment == 0:
        for k in range(1, n_segments):
            total += shared[k * 32 + column]
    cuda.syncthreads()
    return total
