"""LDL on the CPU, tile by tile: some stages of some rows, forward and backward, made of the passes of `ldl_passes`.

A *block* of a row is ``size`` neighbouring positions that are mixed with each other alone, by all stages from the one
that mixes its halves on. The *top* stages mix blocks with blocks. Backward, parameters are used and gradients summed in
copies [stage, own or other][line]: an aligned copy next to a tile is read at twice the speed of lines that lie powers
of two apart, all in a few sets of the L1 cache, and perhaps across the boundaries of its lines.
"""

import numpy as np

from ldlrpp.kernels.addresses import call
from ldlrpp.kernels.compiling import helper
from ldlrpp.kernels.ldl_passes import (
    AHEAD,
    COPY,
    FINISH,
    FINISH_BACKWARD,
    PASS2,
    PASS2_BACKWARD,
    PASS4,
    PASS4_BACKWARD,
    PUT,
    clear,
)
from ldlrpp.kernels.vectors import empty, lanes

# From this size on a first pass over two stages would follow too many streams (four quarters of eight rows): rows are
# copied to the tile one by one before. Where the first pass is over one stage it need not be.
_COPIED = 2**12


@helper
def log2(n):
    log = 0
    while n >> (log + 1):
        log += 1
    return log


@helper
def _rows_at(base, row, n_lanes):
    """The place of lines in order, in rows ``row`` entries apart."""
    # not literals: each set of literal arguments would be compiled anew
    return np.intp(base), n_lanes, np.intp(0), np.intp(row)


@helper
def _tile_at(base, inner, rows, n_lanes):
    """The place of a tile [line][inner line][row][lane].

    A line of padding follows every line with its inner ones: lines that are mixed with each other are powers of two
    apart, and would share a set of the L1 cache.
    """
    return np.intp(base), (inner * rows + 1) * n_lanes, rows * n_lanes, n_lanes


@helper
def _tile_size(n_lines, inner, rows, n_lanes):
    return n_lines * (inner * rows + 1) * n_lanes


@helper
def row_of_copies(size, n_lanes):
    """Entries between the rows of copied parameters: a line of padding follows each."""
    return size + n_lanes


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
def _mix(
    passes, src, src_at, tiles, t_step, dst, dst_at, weights, w, w_line, n_stages, n_passes, n_lines, inner, rows,
    width, ahead,
):  # fmt: skip
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
            call(
                passes[PASS2], y, y_at, o, o_at, weights, w_stage, w_line, n_lines >> 1, n_lines, inner, rows, width,
                near,
            )  # fmt: skip
        else:
            quarter = n_lines >> (stage + 2)
            call(passes[PASS4], y, y_at, o, o_at, weights, w_stage, w_line, quarter, n_lines, inner, rows, width, near)


@helper
def _mix_backward(
    passes, z, z_at, tiles, t_step, src, src_at, tile, dst, dst_at, weights, grads, w_line, n_stages, n_lines, inner,
    rows, width,
):  # fmt: skip
    """The transpose of `_mix`, whose results are in ``tiles``: gradients from ``src`` by way of ``tile`` to ``dst``."""
    n_lanes = lanes(tile)
    for k in range(_n_passes(n_stages) - 1, -1, -1):
        stage = _first_stage(n_stages, k)
        w = 2 * width * stage
        y, y_at = tiles, _tile_at((k - 1) * t_step, inner, rows, n_lanes)
        g, g_at = tile, _tile_at(0, inner, rows, n_lanes)
        o, o_at = tile, _tile_at(0, inner, rows, n_lanes)
        if k == _n_passes(n_stages) - 1:
            g, g_at = src, src_at
        if k == 0:
            y, y_at, o, o_at = z, z_at, dst, dst_at
        if k == 0 and n_stages % 2:
            call(
                passes[PASS2_BACKWARD], y, y_at, g, g_at, o, o_at, weights, grads, w, w_line, n_lines >> 1, n_lines,
                inner, rows, width,
            )  # fmt: skip
        else:
            quarter = n_lines >> (stage + 2)
            call(
                passes[PASS4_BACKWARD], y, y_at, g, g_at, o, o_at, weights, grads, w, w_line, quarter, n_lines, inner,
                rows, width,
            )  # fmt: skip


# --- Blocks ----------------------------------------------------------------------------------------------------------


@helper
def block_forward(passes, src, dst, base, weights, scale, bias, position, size, rows, width, relu):
    """All stages of the block at ``position`` of some rows, then scale and bias and, if so, a ``relu``.

    ``base`` is the place of its first row in ``src`` and ``dst``, rows are ``width`` apart.
    """
    n_lanes = lanes(src)
    n_lines = size // n_lanes
    n_stages = log2(n_lines)
    w = 2 * width * (log2(width) - log2(size)) + position
    w_finish = w + 2 * width * n_stages
    at = dst_at = _rows_at(base, width, n_lanes)
    if n_stages == 0:
        call(passes[FINISH], src, at, dst, dst_at, weights, w_finish, scale, bias, position, 1, rows, width, relu)
        return
    tile = empty(_tile_size(n_lines, 1, rows, n_lanes), src)
    tile_at = _tile_at(0, 1, rows, n_lanes)
    ahead = AHEAD * n_lanes
    if size >= _COPIED and n_stages % 2 == 0:
        call(passes[COPY], src, at, tile, tile_at, n_lines, 1, rows)
        src, at, ahead = tile, tile_at, 0
    n_passes = _n_passes(n_stages)
    _mix(
        passes, src, at, tile, 0, tile, tile_at, weights, w, n_lanes, n_stages, n_passes, n_lines, 1, rows, width, ahead
    )
    call(
        passes[FINISH], tile, tile_at, dst, dst_at, weights, w_finish, scale, bias, position, n_lines, rows, width, relu
    )


@helper
def size_of_gradients(block, n_lanes):
    """Entries of the gradients of a block's parameters: rows of its weights, its scale and its bias."""
    return (2 * log2(block) + 2) * row_of_copies(block, n_lanes)


@helper
def copied_parameters(passes, weights, scale, position, size, width):
    """The parameters of the block at ``position`` in rows like their gradients', but for the bias."""
    n_lanes = lanes(weights)
    n_lines = size // n_lanes
    n_rows, one = 2 * log2(size), np.intp(1)
    row = row_of_copies(size, n_lanes)
    copies = empty((n_rows + 1) * row, weights)
    w_at = _rows_at(2 * width * (log2(width) - log2(size)) + position, width, n_lanes)
    call(passes[COPY], weights, w_at, copies, _rows_at(0, row, n_lanes), n_lines, one, n_rows)
    call(
        passes[COPY], scale, _rows_at(position, 0, n_lanes), copies, _rows_at(n_rows * row, 0, n_lanes), n_lines, one,
        one,
    )  # fmt: skip
    return copies


@helper
def put_gradients(passes, grads, grad_weights, grad_scale, grad_bias, position, size, fresh):
    """Take the gradients of a block to where they belong: stored if they are ``fresh``, else added."""
    n_lanes = lanes(grads)
    n_lines = size // n_lanes
    n_rows, one = 2 * log2(size), np.intp(1)
    row = row_of_copies(size, n_lanes)
    width = len(grad_scale)
    w_at = _rows_at(2 * width * (log2(width) - log2(size)) + position, width, n_lanes)
    at = _rows_at(position, 0, n_lanes)
    call(passes[PUT], grads, _rows_at(0, row, n_lanes), grad_weights, w_at, n_lines, one, n_rows, fresh)
    call(passes[PUT], grads, _rows_at(n_rows * row, 0, n_lanes), grad_scale, at, n_lines, one, one, fresh)
    call(passes[PUT], grads, _rows_at((n_rows + 1) * row, 0, n_lanes), grad_bias, at, n_lines, one, one, fresh)


@helper
def block_backward(passes, grad_y, x, dst, base, copies, grads, size, rows, width):
    """The transpose of `block_forward` at input ``x``, which may be ``dst``.

    ``copies`` are `copied_parameters`; gradients are added to the same rows of ``grads``, and the bias's to one more.
    """
    n_lanes = lanes(x)
    n_lines = size // n_lanes
    n_stages = log2(n_lines)
    n_passes = _n_passes(n_stages)
    row = row_of_copies(size, n_lanes)
    w_finish = 2 * row * n_stages
    at = _rows_at(base, width, n_lanes)
    if n_stages == 0:
        call(passes[FINISH_BACKWARD], x, at, grad_y, at, dst, at, copies, grads, w_finish, n_lines, rows, row)
        return
    t_step = _tile_size(n_lines, 1, rows, n_lanes)
    tiles = empty(n_passes * t_step, x)
    grad = empty(t_step, x)
    last_at = _tile_at((n_passes - 1) * t_step, 1, rows, n_lanes)
    grad_at = _tile_at(0, 1, rows, n_lanes)
    ahead = AHEAD * n_lanes
    _mix(
        passes, x, at, tiles, t_step, tiles, last_at, copies, 0, n_lanes, n_stages, n_passes, n_lines, 1, rows, row,
        ahead,
    )  # fmt: skip
    call(
        passes[FINISH_BACKWARD], tiles, last_at, grad_y, at, grad, grad_at, copies, grads, w_finish, n_lines, rows, row
    )
    _mix_backward(
        passes, x, at, tiles, t_step, grad, grad_at, grad, dst, at, copies, grads, n_lanes, n_stages, n_lines, 1, rows,
        row,
    )  # fmt: skip


# --- The top stages --------------------------------------------------------------------------------------------------


@helper
def top_forward(passes, src, dst, base, weights, line, inner, n_blocks, rows, width):
    """The stages that mix blocks with blocks, of lines ``line … line + inner − 1`` of every block of some rows."""
    n_lanes = lanes(src)
    block = width // n_blocks
    n_stages = log2(n_blocks)
    tile = empty(_tile_size(n_blocks, inner, rows, n_lanes), src)
    at = base + line * n_lanes, block, n_lanes, width
    tile_at = _tile_at(0, inner, rows, n_lanes)
    call(passes[COPY], src, at, tile, tile_at, n_blocks, inner, rows)
    _mix(
        passes, tile, tile_at, tile, 0, tile, tile_at,
        weights, line * n_lanes, block, n_stages, _n_passes(n_stages), n_blocks, inner, rows, width, 0,
    )  # fmt: skip
    call(passes[COPY], tile, tile_at, dst, at, n_blocks, inner, rows)


@helper
def top_backward(passes, x, grad_x, base, weights, grad_weights, line, inner, n_blocks, batch, chunk, width, fresh):
    """The transpose of `top_forward` at input ``x``, chunk by chunk of ``batch`` rows.

    Gradients are replaced in ``grad_x``; those of the weights are added to grad_weights, or stored if it is ``fresh``.
    """
    n_lanes = lanes(x)
    block = width // n_blocks
    n_stages = log2(n_blocks)
    n_passes = _n_passes(n_stages)
    n_rows = 2 * n_stages
    row = row_of_copies(n_blocks * inner * n_lanes, n_lanes)
    copies, grads = empty(n_rows * row, x), empty(n_rows * row, x)
    w_at = line * n_lanes, block, n_lanes, width
    copies_at = 0, inner * n_lanes, n_lanes, row
    call(passes[COPY], weights, w_at, copies, copies_at, n_blocks, inner, n_rows)
    clear(grads)
    t_step = _tile_size(n_blocks, inner, chunk, n_lanes)
    tiles, grad = empty(n_passes * t_step, x), empty(t_step, x)
    for first in range(0, batch, chunk):
        rows = min(chunk, batch - first)
        at = base + first * width + line * n_lanes, block, n_lanes, width
        z_at = _tile_at((n_passes - 1) * t_step, inner, rows, n_lanes)
        grad_at = _tile_at(0, inner, rows, n_lanes)
        call(passes[COPY], x, at, tiles, z_at, n_blocks, inner, rows)
        call(passes[COPY], grad_x, at, grad, grad_at, n_blocks, inner, rows)
        # the result of the last pass is what the blocks have used: it is not computed again
        _mix(
            passes, tiles, z_at, tiles, t_step, tiles, z_at,
            copies, 0, inner * n_lanes, n_stages, n_passes - 1, n_blocks, inner, rows, row, 0,
        )  # fmt: skip
        _mix_backward(
            passes, tiles, z_at, tiles, t_step, grad, grad_at, grad, grad, grad_at,
            copies, grads, inner * n_lanes, n_stages, n_blocks, inner, rows, row,
        )  # fmt: skip
        call(passes[COPY], grad, grad_at, grad_x, at, n_blocks, inner, rows)
    call(passes[PUT], grads, copies_at, grad_weights, w_at, n_blocks, inner, n_rows, fresh)
