"""LDL on the CPU: a butterfly in vector code.

Arrays are ``(batch, N)`` in C order. A row is a sequence of *lines*, vectors of neighbouring positions (16 float32 or
8 float64: a cache line). A stage of distance h mixes position p with those that are multiples of h from it by XOR, by
weights of its own for every position, so

- for h of a line or more, lines are mixed with whole lines, by weights that are lines themselves: nothing is
  broadcast, transposed or shuffled;
- for smaller h, in the last stages, a line is mixed with itself, its lanes swapped in registers.

A pass takes a few lines at a time: four for two stages of radix 2 or one of radix 4, with sixteen lines of weights
that are read once for all rows of a chunk of the batch; two for one of a larger radix, which is a small matrix product
(`ldl_passes`, `ldl_passes4`, `ldl_passes_mix`). Weight gradients add up over the rows of the chunk in registers, lane
by lane: no sum across lanes is ever taken. Which passes a layer takes is in a table, its program (`ldl_programs`).

The rows of a chunk are worked on in a tile ``[line][row][lane]`` that stays in the L2 cache: rows themselves lie
powers of two apart and would share few sets of the cache (without the tile, N = 1024 ran at 146 GFLOP/s in chunks of
8 rows, 75 in chunks of 16 and 43 in chunks of 32). Up to `_BLOCK` positions, forward `_ROW_BLOCK` where there are
chunks enough for all threads, a whole row is in the tile: it is its own only *block*. Wider rows are done in two
halves of the stages: first the *top* stages, which mix lines N / A apart, on tiles of such lines; then A blocks of
contiguous positions. Data moves twice between memory and cache, whatever N is.

How the work is cut depends on the shapes alone where sums are involved, and partial sums are added in order: a row's
result does not depend on the batch it came in, nor any result on the number of threads, to the last bit. Beyond
inputs and outputs a thread has a tile of 2 MiB at most (float32; float64 twice as much). In `backward` it has a tile
for every pass and copies of a block's parameters and their gradients, 3 MiB up to N = 2^16 and 7 MiB at N = 2^22; and
up to `_BACKWARD_BLOCK` positions there are at most 16 partial sums of the parameters' gradients (3 MiB in all). That
is for radices 2 and 4; above, tiles are two, and copies and sums larger as there are more weights.
"""

import math

from numba import get_num_threads, prange

from ldlrpp.kernels.compiling import helper, njit
from ldlrpp.kernels.cpu import ldl_plain
from ldlrpp.kernels.cpu.ldl_passes import clear
from ldlrpp.kernels.cpu.ldl_programs import programs, tile_multiple
from ldlrpp.kernels.cpu.ldl_tiles import (
    Gradients,
    Rows,
    block_backward,
    block_forward,
    copied_parameters,
    put_gradients,
    row_of_copies,
    size_of_gradients,
    top_backward,
    top_forward,
    unfold_scale,
)
from ldlrpp.kernels.cpu.vectors import UNIT, VECTOR_BYTES, add, empty, lanes, load, store
from ldlrpp.kernels.ldl_weights import radix_of

# Positions of a row that are done in one piece, and, forward, where there is a chunk of rows for every thread (a tile
# of 2^16 positions fills an L2 cache of 2 MiB: two halves take 0.8 of the time there).
_BLOCK = 2**12
_ROW_BLOCK = 2**15
_BACKWARD_BLOCK = 2**11
# Rows of a chunk: 8 keep the tile of a block at 128 KiB of float32; narrow rows are taken by the 8192 positions, to
# spread the cost of a task.
_ROWS = 8
# Backward amortises the loads of sixteen sums over the rows of a chunk.
_BACKWARD_ROWS = 16
# Rows of a chunk of wide rows: weights come from memory, and are read once a chunk.
_WIDE_ROWS = 16
_CHUNK_POSITIONS = 2**13
_MAX_ROWS = 64
# Positions of a tile of wide rows, over all rows of the chunk: forward in one tile of 2 MiB, which leaves the L2 cache
# but takes runs of 64 lines, a page, from every block (at N = 2^22 twice the speed of runs of 16); backward has a tile
# for every pass.
_TILE_POSITIONS = 2**19
_BACKWARD_TILE_POSITIONS = 2**17
# Lines of a block whose top stages are one task, at most, and such tasks, at least.
_TASK_LINES = 64
_TASKS = 8
# Rows of a batch of wide rows are taken in groups: 2^20 positions stay in L3 between top stages and blocks. Backward,
# every group reads and writes the gradients of the weights: fewer than 64 rows would not be worth it (N = 2^16 took
# 17 ms in groups of 16 rows, 13 in one of 64).
_GROUP_POSITIONS = 2**20
_BACKWARD_GROUP_ROWS = 64
# Logarithm of the number of partial sums of gradients, and the rows that each should have to be worth its memory.
_LOG_PARTS = 4
_PART_ROWS = 64
# Below this many multiplications a parallel region (some 10 µs) costs more than it saves.
_SERIAL = 2**17


# --- The kernels -----------------------------------------------------------------------------------------------------
# Each works on `Rows` of a batch, and is compiled when it is first wanted. Arrays are flat; programs are those of
# `ldl_programs`. Tuples come plain, and get their names inside: Numba takes 0.05 µs to tell the type of a plain one,
# and 0.5 µs of a named one.


@njit(cache=True)
def _forward_few(program, x, weights, scale, bias, out, chunk, relu):
    batch, width = x.shape
    # flattened here, where it costs nothing: one row of 1024 takes 1.5 µs (weights are of two or three axes)
    src, dst = x.reshape(-1), out.reshape(-1)
    for row in range(0, batch, chunk):
        n = min(chunk, batch - row)
        block_forward(program, src, dst, row * width, weights, scale, bias, 0, width, n, relu)


@njit(parallel=True, cache=True)
def _forward_blocks(program, src, weights, scale, bias, dst, rows, block, relu):
    rows = Rows(*rows)
    width = len(scale)
    n_blocks = width // block
    for task in prange((rows.n + rows.chunk - 1) // rows.chunk * n_blocks):
        row = task // n_blocks * rows.chunk
        position = task % n_blocks * block
        base = (rows.first + row) * width + position
        n = min(rows.chunk, rows.n - row)
        block_forward(program, src, dst, base, weights, scale, bias, position, block, n, relu)


@njit(parallel=True, cache=True)
def _forward_top(program, src, weights, dst, width, rows, block, lines):
    rows = Rows(*rows)
    n_tasks = block // (lanes(src) * lines)
    for task in prange((rows.n + rows.chunk - 1) // rows.chunk * n_tasks):
        row = task // n_tasks * rows.chunk
        base = (rows.first + row) * width
        n = min(rows.chunk, rows.n - row)
        top_forward(program, src, dst, base, weights, task % n_tasks * lines, lines, width // block, n, width)


@helper
def _backward_part(program, grad_y, z, weights, scale, grad_z, sums, rows, position, block):
    """A block of some rows; sums of gradients are left in ``sums``."""
    width = len(scale)
    copies = copied_parameters(program, weights, scale, position, block, width)
    clear(sums)
    stop = rows.first + rows.n
    for row in range(rows.first, stop, rows.chunk):
        base = row * width + position
        block_backward(program, grad_y, z, grad_z, base, copies, sums, block, min(rows.chunk, stop - row), width)
    unfold_scale(program, sums, weights, scale, position, block, width)


@njit(parallel=True, cache=True)
def _backward_blocks(program, grad_y, z, weights, scale, grad_z, grads, rows, block, n_parts):
    grads, rows = Gradients(*grads), Rows(*rows)
    n_blocks = len(scale) // block
    size = size_of_gradients(program, block, lanes(z))
    # the partial sums of parts; with one part, the sums of blocks, which need not be there together
    partial = empty(n_parts * size if n_parts > 1 else 0, z)
    for task in prange(n_parts * n_blocks):
        part, position = task // n_blocks, task % n_blocks * block
        sums = partial[part * size : (part + 1) * size] if n_parts > 1 else empty(size, z)
        start, stop = part * rows.n // n_parts, (part + 1) * rows.n // n_parts
        part_rows = Rows(rows.first + start, stop - start, rows.chunk)
        _backward_part(program, grad_y, z, weights, scale, grad_z, sums, part_rows, position, block)
        if n_parts == 1:
            put_gradients(program, sums, grads, position, block, rows.first == 0)
    return partial


@helper
def _put_row(partial, n_parts, row, n_rows, grads):
    """Add up a row of all parts' sums, in order, and take it to where it belongs."""
    n_lanes, width = lanes(partial), len(grads.scale)
    size = len(partial) // n_parts
    for i in range(0, width, n_lanes):
        first = row * row_of_copies(width, n_lanes) + i
        total = load(partial, first)
        for part in range(1, n_parts):
            total = add(total, load(partial, part * size + first))
        if row < n_rows:
            store(grads.weights, row * width + i, total)
        elif row == n_rows:
            store(grads.scale, i, total)
        else:
            store(grads.bias, i, total)


@njit(parallel=True, cache=True)
def _put_many_sums(partial, n_parts, grads):
    grads = Gradients(*grads)
    n_rows = len(grads.weights) // len(grads.scale)
    for row in prange(n_rows + 2):
        _put_row(partial, n_parts, row, n_rows, grads)


@njit(cache=True)
def _put_sums(partial, n_parts, grads):
    grads = Gradients(*grads)
    n_rows = len(grads.weights) // len(grads.scale)
    for row in range(n_rows + 2):
        _put_row(partial, n_parts, row, n_rows, grads)


@njit(parallel=True, cache=True)
def _backward_top(program, x, weights, grad_x, grad_weights, width, rows, block, lines):
    rows = Rows(*rows)
    for task in prange(block // (lanes(x) * lines)):
        top_backward(program, x, grad_x, weights, grad_weights, rows, task * lines, lines, width // block, width)


# --- What runs when: changes no bit of a row -------------------------------------------------------------------------


def _chunk(rows, width):
    return max(rows, min(_MAX_ROWS, _CHUNK_POSITIONS // width))


def _n_parts(batch):
    """A power of two, for as many threads: batches of 200 in three parts took 1.2 times as long as in four."""
    return 1 << min(_LOG_PARTS, max(0, round(math.log2(max(1, batch) / _PART_ROWS))))


def _even_chunk(rows, chunk, multiple):
    """Up to one and a half ``chunk`` rows, so that few rows that are left over are no chunk of their own."""
    n_chunks = max(1, round(rows / chunk))
    chunk = max(1, -(-rows // n_chunks))
    return -(-chunk // multiple) * multiple


def _plan(width, itemsize, radix, rows, block, tile):
    """For wide rows: rows of a chunk, positions of a block and lines of a task of the top stages."""
    n_lanes = VECTOR_BYTES // itemsize
    # About as many blocks as a block has lines. A block has whole stages, in number the nearest, and is not the row.
    log = max(block.bit_length() - 1, ((width * n_lanes).bit_length() + 1) // 2)
    bits = radix.bit_length() - 1
    n_stages = max(1, (2 * log + bits - 1) // (2 * bits))
    while n_stages * bits >= width.bit_length() - 1:
        n_stages -= 1
    block = 1 << n_stages * bits
    chunk = max(tile_multiple(radix), min(rows, tile // block))
    lines = min(_TASK_LINES, block // (_TASKS * n_lanes), tile // (width // block * n_lanes * chunk))
    return chunk, block, max(1, lines)


def _groups(batch, rows, width):
    """First row and number of rows, at least ``rows``, of every group of a batch; of an empty batch one group."""
    group = max(rows, _GROUP_POSITIONS // width)
    for first in range(0, max(1, batch), group):
        yield first, min(group, batch - first)


def forward(x, weights, scale, bias, relu, out):
    """``out = scale · z + bias`` with z the last stage or, with ``relu``, zero where that is negative; in C order.

    x, out (batch, N), weights of any radix, scale, bias (N,).
    """
    batch, width = x.shape
    if width < UNIT:
        ldl_plain.forward(x, weights, scale, bias, relu, out)
        return
    radix = radix_of(weights.shape)
    chunk = _chunk(_ROWS, width)
    if width <= _BLOCK or (width <= _ROW_BLOCK and batch >= chunk * get_num_threads()):
        program, _ = programs(x.dtype, radix, width, width)
        weights = weights.reshape(-1)
        if width <= _BLOCK and batch * weights.size < _SERIAL:
            _forward_few(program, x, weights, scale, bias, out, chunk, relu)
            return
        rows = 0, batch, chunk
        _forward_blocks(program, x.reshape(-1), weights, scale, bias, out.reshape(-1), rows, width, relu)
    else:
        chunk, block, lines = _plan(width, x.itemsize, radix, _WIDE_ROWS, _BLOCK, _TILE_POSITIONS)
        program, top = programs(x.dtype, radix, width, block)
        src, weights, dst = x.reshape(-1), weights.reshape(-1), out.reshape(-1)
        for first, n in _groups(batch, chunk, width):
            rows = first, n, chunk
            _forward_top(top, src, weights, dst, width, rows, block, lines)
            _forward_blocks(program, dst, weights, scale, bias, dst, rows, block, relu)


def backward(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias):
    """The transpose of `forward`: overwrites all four gradients.

    grad_y, x, grad_x (batch, N), weights, grad_weights of any radix, the others (N,), in C order. Stages are computed
    again, chunk by chunk of the batch.
    """
    batch, width = x.shape
    if width < UNIT:
        ldl_plain.backward(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias)
        return
    radix = radix_of(weights.shape)
    src, weights, dst, grad_weights = x.reshape(-1), weights.reshape(-1), grad_x.reshape(-1), grad_weights.reshape(-1)
    grad_y = grad_y.reshape(-1)
    grads = grad_weights, grad_scale, grad_bias
    if width <= _BACKWARD_BLOCK:
        program, _ = programs(x.dtype, radix, width, width, backward=True)
        n_parts = _n_parts(batch)
        chunk = _even_chunk(-(-batch // n_parts), _chunk(_BACKWARD_ROWS, width), tile_multiple(radix))
        rows = 0, batch, chunk
        partial = _backward_blocks(program, grad_y, src, weights, scale, dst, grads, rows, width, n_parts)
        if n_parts > 1:
            put = _put_many_sums if len(partial) >= _SERIAL else _put_sums
            put(partial, n_parts, grads)
        return
    # Tasks own positions and take all rows in order: gradients are summed in place. grad_x holds the result of the top
    # stages until the blocks replace it by their gradient.
    chunk, block, lines = _plan(
        width, x.itemsize, radix, _BACKWARD_ROWS, _BACKWARD_BLOCK // 2, _BACKWARD_TILE_POSITIONS
    )
    program, top = programs(x.dtype, radix, width, block, backward=True)
    for first, n in _groups(batch, _BACKWARD_GROUP_ROWS, width):
        rows = first, n, chunk
        _forward_top(top, src, weights, dst, width, rows, block, lines)
        _backward_blocks(program, grad_y, dst, weights, scale, dst, grads, rows, block, 1)
        _backward_top(top, src, weights, dst, grad_weights, width, rows, block, lines)


def scratch_bytes(batch, width, radix, itemsize):
    """Memory that `backward` takes beside its arguments, in bytes, about: next to none, tiles and parts of sums."""
    return 0
