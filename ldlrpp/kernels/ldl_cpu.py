"""LDL on the CPU: a butterfly in vector code.

Arrays are ``(batch, N)`` in C order. A row is a sequence of *lines*, vectors of neighbouring positions (16 float32 or
8 float64: a cache line). A stage of distance h mixes position p with p XOR h by weights of its own for every
position, so

- for h of a line or more, lines are mixed with whole lines, by weights that are lines themselves: nothing is
  broadcast, transposed or shuffled;
- for smaller h, the last log2(16) stages, a line is mixed with itself, its lanes swapped: one shuffle a stage, all of
  them in registers.

Two line stages are done at a time (radix 4): four lines are read, mixed twice and written, with sixteen lines of
weights that are read once for all rows of a chunk of the batch. Weight gradients add up over the rows of the chunk in
sixteen registers, lane by lane: no sum across lanes is ever taken.

The rows of a chunk are worked on in a tile ``[line][row][lane]`` that stays in the L2 cache: rows themselves lie
powers of two apart and would share few sets of the cache (without the tile, N = 1024 ran at 146 GFLOP/s in chunks of
8 rows, 75 in chunks of 16 and 43 in chunks of 32). Up to `_BLOCK` positions, forward `_ROW_BLOCK` where there are
chunks enough for all threads, a whole row is in the tile. Wider rows are done in two halves of the stages: first the
*top* stages, which mix lines N / A apart, on tiles of such lines; then the *bottom* stages on A blocks of contiguous
positions. Data moves twice between memory and cache, whatever N is.

How the work is cut depends on the shapes alone where sums are involved, and partial sums are added in order: a row's
result does not depend on the batch it came in, nor any result on the number of threads, to the last bit. Beyond
inputs and outputs there are tiles, of float32 2 MiB a thread at most up to N = 2^22, and in `backward`, up to
`_BACKWARD_BLOCK` positions, at most 16 partial sums of the parameters' gradients (3 MiB).
"""

import numpy as np
from numba import get_num_threads, njit, prange

from ldlrpp.kernels import ldl_plain
from ldlrpp.kernels.ldl_passes import (
    AHEAD,
    copy,
    finish,
    finish_backward,
    helper,
    pass2,
    pass2_backward,
    pass4,
    pass4_backward,
)
from ldlrpp.kernels.vectors import VECTOR_BYTES, lanes

# Positions of a row that are done in one piece, and, forward, where there is a chunk of rows for every thread.
_BLOCK = 2**12
_ROW_BLOCK = 2**16
_BACKWARD_BLOCK = 2**11
# From this size on a first pass over two stages would follow too many streams (four quarters of eight rows): rows are
# copied to the tile one by one before. Where the first pass is over one stage it need not be.
_COPIED = 2**12
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
_BACKWARD_TILE_POSITIONS = 2**16
# Lines of a block whose top stages are one task, at most, and such tasks, at least.
_TASK_LINES = 64
_TASKS = 8
# Chunks that a batch of wide rows is cut into at a time: 2^20 positions stay in L3 between top and bottom stages.
_GROUP_POSITIONS = 2**20
# Partial sums of gradients, and the rows that each should have to be worth its memory.
_PARTS = 16
_PART_ROWS = 64
# Below this many multiplications a parallel region (some 10 µs) costs more than it saves.
_SERIAL = 2**17


# --- Several passes: some stages of a tile ---------------------------------------------------------------------------
# The k-th of n passes reads the (k−1)-th result, or the source, and leaves its own in ``tiles`` at k·t_step (the last
# one at the destination). The first pass is of one stage where the number of stages is odd, all others are of two.


@helper
def _n_passes(n_stages):
    return (n_stages + 1) // 2


@helper
def _first_stage(n_stages, k):
    return 2 * k - n_stages % 2 if k else 0


@helper
def _tile_at(base, inner, rows, n_lanes):
    """The place of a tile [line][inner line][row][lane]."""
    return base, inner * rows * n_lanes, rows * n_lanes, n_lanes


@helper
def _mix(
    src, src_at, tiles, t_step, dst, dst_at, weights, w, w_line, n_stages, n_passes, n_lines, inner, rows, width, ahead
):
    """The first ``n_passes`` of all passes of ``n_stages`` stages on ``n_lines`` lines."""
    n_lanes = lanes(src)
    for k in range(n_passes):
        stage = _first_stage(n_stages, k)
        w_stage = w + 2 * width * stage
        y, y_at = tiles, _tile_at((k - 1) * t_step, inner, rows, n_lanes)
        o, o_at = tiles, _tile_at(k * t_step, inner, rows, n_lanes)
        near = 0
        if k == 0:
            y, y_at, near = src, src_at, ahead
        if k == _n_passes(n_stages) - 1:
            o, o_at = dst, dst_at
        if k == 0 and n_stages % 2:
            pass2(y, y_at, o, o_at, weights, w_stage, w_line, n_lines >> 1, n_lines, inner, rows, width, near)
        else:
            quarter = n_lines >> (stage + 2)
            pass4(y, y_at, o, o_at, weights, w_stage, w_line, quarter, n_lines, inner, rows, width, near)


@helper
def _mix_backward(
    z,
    z_at,
    tiles,
    t_step,
    src,
    src_at,
    tile,
    dst,
    dst_at,
    weights,
    grads,
    w,
    w_line,
    n_stages,
    n_lines,
    inner,
    rows,
    width,
):
    """The transpose of `_mix`, whose results are in ``tiles``: gradients from ``src`` by way of ``tile`` to ``dst``."""
    n_lanes = lanes(tile)
    for k in range(_n_passes(n_stages) - 1, -1, -1):
        stage = _first_stage(n_stages, k)
        w_stage = w + 2 * width * stage
        y, y_at = tiles, _tile_at((k - 1) * t_step, inner, rows, n_lanes)
        g, g_at = tile, _tile_at(0, inner, rows, n_lanes)
        o, o_at = tile, _tile_at(0, inner, rows, n_lanes)
        if k == _n_passes(n_stages) - 1:
            g, g_at = src, src_at
        if k == 0:
            y, y_at, o, o_at = z, z_at, dst, dst_at
        if k == 0 and n_stages % 2:
            pass2_backward(
                y, y_at, g, g_at, o, o_at, weights, grads, w_stage, w_line, n_lines >> 1, n_lines, inner, rows, width
            )
        else:
            quarter = n_lines >> (stage + 2)
            pass4_backward(
                y, y_at, g, g_at, o, o_at, weights, grads, w_stage, w_line, quarter, n_lines, inner, rows, width
            )


@helper
def _log2(n):
    log = 0
    while n >> (log + 1):
        log += 1
    return log


@helper
def _block(src, dst, base, weights, scale, bias, position, size, rows, width):
    """All stages from the one that mixes halves of ``size`` positions on, of the block at ``position`` of some rows.

    ``base`` is the place of its first row in ``src`` and ``dst``, rows are ``width`` apart.
    """
    n_lanes = lanes(src)
    n_lines = size // n_lanes
    n_stages = _log2(n_lines)
    w = 2 * width * (_log2(width) - _log2(size)) + position
    w_finish = w + 2 * width * n_stages
    at = dst_at = base, n_lanes, 0, width
    if n_stages == 0:
        finish(src, at, dst, dst_at, weights, w_finish, scale, bias, position, 1, rows, width)
        return
    tile = np.empty(rows * size, src.dtype)
    tile_at = _tile_at(0, 1, rows, n_lanes)
    n_passes = _n_passes(n_stages)
    ahead = AHEAD * n_lanes
    if size >= _COPIED and n_stages % 2 == 0:
        copy(src, at, tile, tile_at, n_lines, 1, rows)
        src, at, ahead = tile, tile_at, 0
    _mix(src, at, tile, 0, tile, tile_at, weights, w, n_lanes, n_stages, n_passes, n_lines, 1, rows, width, ahead)
    finish(tile, tile_at, dst, dst_at, weights, w_finish, scale, bias, position, n_lines, rows, width)


@helper
def _block_backward(
    grad_y, x, dst, base, weights, scale, grad_weights, grad_scale, grad_bias, position, size, rows, width
):
    """The transpose of `_block` at input ``x``, which may be ``dst``: the parameters' gradients are added to."""
    n_lanes = lanes(x)
    n_lines = size // n_lanes
    n_stages = _log2(n_lines)
    n_passes = _n_passes(n_stages)
    w = 2 * width * (_log2(width) - _log2(size)) + position
    w_finish = w + 2 * width * n_stages
    at = base, n_lanes, 0, width
    if n_stages == 0:
        finish_backward(
            x, at, grad_y, at, dst, at,
            weights, grad_weights, w_finish, scale, grad_scale, grad_bias, position, 1, rows, width,
        )  # fmt: skip
        return
    t_step = rows * size
    tiles = np.empty(n_passes * t_step, x.dtype)
    grad = np.empty(t_step, x.dtype)
    last_at = _tile_at((n_passes - 1) * t_step, 1, rows, n_lanes)
    grad_at = _tile_at(0, 1, rows, n_lanes)
    ahead = AHEAD * n_lanes
    _mix(x, at, tiles, t_step, tiles, last_at, weights, w, n_lanes, n_stages, n_passes, n_lines, 1, rows, width, ahead)
    finish_backward(
        tiles, last_at, grad_y, at, grad, grad_at,
        weights, grad_weights, w_finish, scale, grad_scale, grad_bias, position, n_lines, rows, width,
    )  # fmt: skip
    _mix_backward(
        x, at, tiles, t_step, grad, grad_at, grad, dst, at,
        weights, grad_weights, w, n_lanes, n_stages, n_lines, 1, rows, width,
    )  # fmt: skip


@helper
def _top(src, dst, base, weights, line, inner, n_blocks, rows, width):
    """The stages that mix blocks with blocks, of lines ``line … line + inner − 1`` of every block of some rows."""
    n_lanes = lanes(src)
    block = width // n_blocks
    n_stages = _log2(n_blocks)
    tile = np.empty(rows * n_blocks * inner * n_lanes, src.dtype)
    at = base + line * n_lanes, block, n_lanes, width
    tile_at = _tile_at(0, inner, rows, n_lanes)
    copy(src, at, tile, tile_at, n_blocks, inner, rows)
    _mix(
        tile, tile_at, tile, 0, tile, tile_at,
        weights, line * n_lanes, block, n_stages, _n_passes(n_stages), n_blocks, inner, rows, width, 0,
    )  # fmt: skip
    copy(tile, tile_at, dst, at, n_blocks, inner, rows)


@helper
def _top_backward(x, grad_x, base, weights, grad_weights, line, inner, n_blocks, rows, width):
    """The transpose of `_top` at input ``x``: gradients are replaced in ``grad_x``, grad_weights is added to."""
    n_lanes = lanes(x)
    block = width // n_blocks
    n_stages = _log2(n_blocks)
    n_passes = _n_passes(n_stages)
    t_step = rows * n_blocks * inner * n_lanes
    tiles = np.empty(n_passes * t_step, x.dtype)
    grad = np.empty(t_step, x.dtype)
    at = base + line * n_lanes, block, n_lanes, width
    z_at = _tile_at((n_passes - 1) * t_step, inner, rows, n_lanes)
    grad_at = _tile_at(0, inner, rows, n_lanes)
    copy(x, at, tiles, z_at, n_blocks, inner, rows)
    copy(grad_x, at, grad, grad_at, n_blocks, inner, rows)
    # the result of the last pass is what the blocks have used: it is not computed again
    _mix(
        tiles, z_at, tiles, t_step, tiles, z_at,
        weights, line * n_lanes, block, n_stages, n_passes - 1, n_blocks, inner, rows, width, 0,
    )  # fmt: skip
    _mix_backward(
        tiles, z_at, tiles, t_step, grad, grad_at, grad, grad, grad_at,
        weights, grad_weights, line * n_lanes, block, n_stages, n_blocks, inner, rows, width,
    )  # fmt: skip
    copy(grad, grad_at, grad_x, at, n_blocks, inner, rows)


# --- The kernels -----------------------------------------------------------------------------------------------------
# Rows and wide rows have kernels of their own, so that each is compiled when it is first wanted.


@helper
def _plan(width, n_lanes, rows, block, tile):
    """For wide rows: positions of a block, rows of a chunk and lines of a task of the top stages."""
    block = max(block, 1 << (_log2(width * n_lanes) + 1) // 2)
    chunk = max(1, min(rows, tile // block))
    lines = min(_TASK_LINES, block // (_TASKS * n_lanes), tile // (width // block * n_lanes * chunk))
    return block, chunk, max(1, lines)


@njit(cache=True)
def _forward_few(x, weights, scale, bias, out, batch, chunk):
    width = len(scale)
    for first in range(0, batch, chunk):
        _block(x, out, first * width, weights, scale, bias, 0, width, min(chunk, batch - first), width)


@njit(parallel=True, cache=True)
def _forward_rows(x, weights, scale, bias, out, batch, chunk):
    width = len(scale)
    for c in prange((batch + chunk - 1) // chunk):
        first = c * chunk
        _block(x, out, first * width, weights, scale, bias, 0, width, min(chunk, batch - first), width)


@njit(parallel=True, cache=True)
def _backward_rows(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias, batch, chunk):
    width = len(scale)
    n_weights = len(weights)
    n_parts = max(1, min(_PARTS, batch // _PART_ROWS))
    partial = np.zeros((n_parts, n_weights + 2 * width), x.dtype)
    for part in prange(n_parts):
        grads = partial[part]
        start, stop = part * batch // n_parts, (part + 1) * batch // n_parts
        for first in range(start, stop, chunk):
            _block_backward(
                grad_y, x, grad_x, first * width, weights, scale,
                grads[:n_weights], grads[n_weights : n_weights + width], grads[n_weights + width :],
                0, width, min(chunk, stop - first), width,
            )  # fmt: skip
    for p in prange(n_weights + 2 * width):
        total = partial[0, p]
        for part in range(1, n_parts):
            total += partial[part, p]
        if p < n_weights:
            grad_weights[p] = total
        elif p < n_weights + width:
            grad_scale[p - n_weights] = total
        else:
            grad_bias[p - n_weights - width] = total


@njit(parallel=True, cache=True)
def _forward_wide(x, weights, scale, bias, out, batch):
    width = len(scale)
    block, chunk, lines = _plan(width, lanes(x), _WIDE_ROWS, _BLOCK, _TILE_POSITIONS)
    n_blocks = width // block
    n_tasks = block // (lanes(x) * lines)
    group = max(chunk, _GROUP_POSITIONS // width)
    for first in range(0, batch, group):
        group_rows = min(group, batch - first)
        n_chunks = (group_rows + chunk - 1) // chunk
        for task in prange(n_chunks * n_tasks):
            c = task // n_tasks
            rows = min(chunk, group_rows - c * chunk)
            base = (first + c * chunk) * width
            _top(x, out, base, weights, task % n_tasks * lines, lines, n_blocks, rows, width)
        for task in prange(n_chunks * n_blocks):
            c = task // n_blocks
            rows = min(chunk, group_rows - c * chunk)
            position = task % n_blocks * block
            base = (first + c * chunk) * width + position
            _block(out, out, base, weights, scale, bias, position, block, rows, width)


@njit(parallel=True, cache=True)
def _backward_wide(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias, batch):
    # Tasks own positions and take all rows in order: gradients are added in place, and there are no partial sums.
    # grad_x holds the result of the top stages until the blocks replace it by their gradient.
    width = len(scale)
    block, chunk, lines = _plan(width, lanes(x), _ROWS, _BACKWARD_BLOCK // 2, _BACKWARD_TILE_POSITIONS)
    grad_weights[:] = 0
    grad_scale[:] = 0
    grad_bias[:] = 0
    n_blocks = width // block
    n_tasks = block // (lanes(x) * lines)
    group = max(chunk, _GROUP_POSITIONS // width)
    for first in range(0, batch, group):
        group_rows = min(group, batch - first)
        n_chunks = (group_rows + chunk - 1) // chunk
        for task in prange(n_chunks * n_tasks):
            c = task // n_tasks
            rows = min(chunk, group_rows - c * chunk)
            base = (first + c * chunk) * width
            _top(x, grad_x, base, weights, task % n_tasks * lines, lines, n_blocks, rows, width)
        for b in prange(n_blocks):
            for c in range(n_chunks):
                rows = min(chunk, group_rows - c * chunk)
                base = (first + c * chunk) * width + b * block
                _block_backward(
                    grad_y, grad_x, grad_x, base, weights, scale,
                    grad_weights, grad_scale, grad_bias, b * block, block, rows, width,
                )  # fmt: skip
        for task in prange(n_tasks):
            for c in range(n_chunks):
                rows = min(chunk, group_rows - c * chunk)
                base = (first + c * chunk) * width
                _top_backward(x, grad_x, base, weights, grad_weights, task * lines, lines, n_blocks, rows, width)


def _narrow(x):
    return x.shape[1] * x.itemsize < VECTOR_BYTES


def _chunk(rows, width):
    return max(rows, min(_MAX_ROWS, _CHUNK_POSITIONS // width))


def forward(x, weights, scale, bias, out):
    """``out = scale · z + bias`` with z the last stage, in C order.

    x, out (batch, N), weights (L, 2, N), scale, bias (N,).
    """
    if _narrow(x):
        ldl_plain.forward(x, weights, scale, bias, out)
        return
    batch, width = x.shape
    chunk = _chunk(_ROWS, width)
    flat = x.reshape(-1), weights.reshape(-1), scale, bias, out.reshape(-1), batch
    # Which kernel runs changes no bit of the result.
    if width <= _BLOCK and batch * weights.size < _SERIAL:
        _forward_few(*flat, chunk)
    elif width <= _BLOCK or (width <= _ROW_BLOCK and batch >= chunk * get_num_threads()):
        _forward_rows(*flat, chunk)
    else:
        _forward_wide(*flat)


def backward(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias):
    """The transpose of `forward`: overwrites all four gradients.

    grad_y, x, grad_x (batch, N), weights, grad_weights (L, 2, N), the others (N,), in C order. Stages are computed
    again, chunk by chunk of the batch.
    """
    if _narrow(x):
        ldl_plain.backward(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias)
        return
    batch, width = x.shape
    arrays = grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias
    flat = [array.reshape(-1) for array in arrays]
    if width <= _BACKWARD_BLOCK:
        _backward_rows(*flat, batch, _chunk(_BACKWARD_ROWS if width < _BACKWARD_BLOCK else _ROWS, width))
    else:
        _backward_wide(*flat, batch)
