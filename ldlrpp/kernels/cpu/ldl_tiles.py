"""LDL on the CPU, tile by tile: some stages of some rows, forward and backward, as a program of `ldl_programs` says.

A *block* of a row is ``size`` neighbouring positions that are mixed with each other alone, by all stages from the one
that mixes its parts on. The *top* stages mix blocks with blocks. Backward, parameters are used and gradients summed in
copies [row of weights][line]: an aligned copy next to a tile is read at twice the speed of lines that lie powers of two
apart, all in a few sets of the L1 cache, and perhaps across the boundaries of its lines.

Passes of radix 2 and 4 may read from an array and write where they read. Those of larger ones take a tile to another,
whose rows are padded with zeros to a multiple of what they have in registers.
"""

import numpy as np

from ldlrpp.kernels.compiling import helper
from ldlrpp.kernels.cpu.addresses import call
from ldlrpp.kernels.cpu.ldl_passes import AHEAD, clear
from ldlrpp.kernels.cpu.ldl_programs import (
    BACKWARD,
    COPY,
    DISTANCE,
    FINISH,
    FINISH_BACKWARD,
    FINISH_ROW,
    FIRST_ROW,
    FOLD_SCALE,
    MEMBERS,
    MULTIPLE,
    N_ROWS,
    PASS,
    PUT,
    ROW,
    UNFOLD_SCALE,
)
from ldlrpp.kernels.cpu.vectors import empty, lanes

# From this size on a first pass over four lines would follow too many streams (four quarters of eight rows): rows are
# copied to the tile one by one before. Where the first pass is over two lines it need not be.
_COPIED = 2**12


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


@helper
def _tile_rows(program, rows):
    """Rows of a tile: those that are added are zeros, which stages keep."""
    multiple = program[0, MULTIPLE]
    return (rows + multiple - 1) // multiple * multiple


@helper
def _n_tiles(program):
    """Tiles that passes go through, one after another: one where they may write where they read."""
    return 1 if program[0, MULTIPLE] == 1 else 2


# --- Several passes: some stages of a tile ---------------------------------------------------------------------------
# The k-th pass reads the (k−1)-th result, or the source, and leaves its own in ``tiles`` at (k mod n_tiles)·t_step.


@helper
def _mix(
    program, src, src_at, tiles, t_step, n_tiles, weights, w, w_line, n_passes, n_lines, inner, rows, width, ahead
):
    """The first ``n_passes`` passes of a program on ``n_lines`` lines."""
    n_lanes = lanes(src)
    for k in range(n_passes):
        y, y_at = tiles, _tile_at((k - 1) % n_tiles * t_step, inner, rows, n_lanes)
        near = 0
        if k == 0:
            y, y_at, near = src, src_at, ahead
        call(
            program[k + 1, PASS], y, y_at, tiles, _tile_at(k % n_tiles * t_step, inner, rows, n_lanes), weights,
            w + program[k + 1, ROW] * width, w_line, program[k + 1, DISTANCE], n_lines, inner, rows, width, near,
            program[k + 1, MEMBERS],
        )  # fmt: skip


@helper
def _mix_backward(
    program, z, z_at, tiles, t_step, n_tiles, grads_tiles, n_grads, direct, dst, dst_at, weights, grads, w_line,
    n_lines, inner, rows, width,
):  # fmt: skip
    """The transpose of `_mix`, whose results are in ``tiles``: gradients, from the first of ``n_grads`` tiles on.

    Those of the first pass are left in the tile whose number is returned or, if ``direct``, at ``dst``.
    """
    n_lanes = lanes(tiles)
    n_passes = len(program) - 1
    g = 0
    for k in range(n_passes - 1, -1, -1):
        y, y_at = tiles, _tile_at((k - 1) % n_tiles * t_step, inner, rows, n_lanes)
        g_at = _tile_at(g * t_step, inner, rows, n_lanes)
        g = (g + 1) % n_grads
        o, o_at = grads_tiles, _tile_at(g * t_step, inner, rows, n_lanes)
        if k == 0:
            y, y_at = z, z_at
            if direct:
                o, o_at = dst, dst_at
        call(
            program[k + 1, BACKWARD], y, y_at, grads_tiles, g_at, o, o_at, weights, grads, program[k + 1, ROW] * width,
            w_line, program[k + 1, DISTANCE], n_lines, inner, rows, width, program[k + 1, MEMBERS],
        )  # fmt: skip
    return g


# --- Blocks ----------------------------------------------------------------------------------------------------------


@helper
def block_forward(program, src, dst, base, weights, scale, bias, position, size, rows, width, relu):
    """All stages of the block at ``position`` of some rows, then scale and bias and, if so, a ``relu``.

    ``base`` is the place of its first row in ``src`` and ``dst``, rows are ``width`` apart.
    """
    n_lanes = lanes(src)
    n_lines = size // n_lanes
    n_passes = len(program) - 1
    w = program[0, FIRST_ROW] * width + position
    w_finish = w + program[0, FINISH_ROW] * width
    at = dst_at = _rows_at(base, width, n_lanes)
    if n_passes == 0:
        call(
            program[0, FINISH], src, at, dst, dst_at, weights, w_finish, scale, bias, position, n_lines, rows, width,
            relu,
        )  # fmt: skip
        return
    tile_rows, n_tiles = _tile_rows(program, rows), _n_tiles(program)
    t_step = _tile_size(n_lines, 1, tile_rows, n_lanes)
    tiles = empty(n_tiles * t_step, src)
    ahead = AHEAD * n_lanes
    if n_tiles > 1 or (size >= _COPIED and program[1, MEMBERS] == 4):
        copy_at = _tile_at((n_tiles - 1) * t_step, 1, tile_rows, n_lanes)
        if tile_rows > rows:
            clear(tiles[(n_tiles - 1) * t_step :])
        call(program[0, COPY], src, at, tiles, copy_at, n_lines, 1, rows)
        src, at, ahead = tiles, copy_at, 0
    _mix(program, src, at, tiles, t_step, n_tiles, weights, w, n_lanes, n_passes, n_lines, 1, tile_rows, width, ahead)
    last_at = _tile_at((n_passes - 1) % n_tiles * t_step, 1, tile_rows, n_lanes)
    call(
        program[0, FINISH], tiles, last_at, dst, dst_at, weights, w_finish, scale, bias, position, n_lines, rows, width,
        relu,
    )  # fmt: skip


@helper
def size_of_gradients(program, block, n_lanes):
    """Entries of the gradients of a block's parameters: rows of its weights, its scale and its bias."""
    return (program[0, N_ROWS] + 2) * row_of_copies(block, n_lanes)


@helper
def copied_parameters(program, weights, scale, position, size, width):
    """The parameters of the block at ``position`` in rows like their gradients', but for the bias."""
    n_lanes = lanes(weights)
    n_lines = size // n_lanes
    n_rows, one = program[0, N_ROWS], np.intp(1)
    row = row_of_copies(size, n_lanes)
    copies = empty((n_rows + 1) * row, weights)
    w_at = _rows_at(program[0, FIRST_ROW] * width + position, width, n_lanes)
    call(program[0, COPY], weights, w_at, copies, _rows_at(0, row, n_lanes), n_lines, one, n_rows)
    call(
        program[0, COPY], scale, _rows_at(position, 0, n_lanes), copies, _rows_at(n_rows * row, 0, n_lanes), n_lines,
        one, one,
    )  # fmt: skip
    if program[0, FOLD_SCALE]:
        last = program[len(program) - 1, ROW]
        call(program[0, FOLD_SCALE], copies, last * row, n_rows - last, scale, position, n_lines, row)
    return copies


@helper
def unfold_scale(program, grads, weights, scale, position, size, width):
    """What is left to do with the sums of a block's gradients after the last row."""
    if program[0, UNFOLD_SCALE]:
        n_lanes = lanes(grads)
        row = row_of_copies(size, n_lanes)
        n_rows, last = program[0, N_ROWS], program[len(program) - 1, ROW]
        w = (program[0, FIRST_ROW] + last) * width + position
        call(
            program[0, UNFOLD_SCALE], grads, last * row, n_rows - last, n_rows * row, weights, w, scale, position,
            size // n_lanes, row, width,
        )  # fmt: skip


@helper
def put_gradients(program, grads, grad_weights, grad_scale, grad_bias, position, size, fresh):
    """Take the gradients of a block to where they belong: stored if they are ``fresh``, else added."""
    n_lanes = lanes(grads)
    n_lines = size // n_lanes
    n_rows, one = program[0, N_ROWS], np.intp(1)
    row = row_of_copies(size, n_lanes)
    width = len(grad_scale)
    w_at = _rows_at(program[0, FIRST_ROW] * width + position, width, n_lanes)
    at = _rows_at(position, 0, n_lanes)
    call(program[0, PUT], grads, _rows_at(0, row, n_lanes), grad_weights, w_at, n_lines, one, n_rows, fresh)
    call(program[0, PUT], grads, _rows_at(n_rows * row, 0, n_lanes), grad_scale, at, n_lines, one, one, fresh)
    call(program[0, PUT], grads, _rows_at((n_rows + 1) * row, 0, n_lanes), grad_bias, at, n_lines, one, one, fresh)


@helper
def block_backward(program, grad_y, x, dst, base, copies, grads, size, rows, width):
    """The transpose of `block_forward` at input ``x``, which may be ``dst``.

    ``copies`` are `copied_parameters`; gradients are added to the same rows of ``grads``, and the bias's to one more.
    """
    n_lanes = lanes(x)
    n_lines = size // n_lanes
    n_passes = len(program) - 1
    row = row_of_copies(size, n_lanes)
    w_finish = program[0, FINISH_ROW] * row
    at = _rows_at(base, width, n_lanes)
    if n_passes == 0:
        call(program[0, FINISH_BACKWARD], x, at, grad_y, at, dst, at, copies, grads, w_finish, n_lines, rows, row)
        return
    tile_rows, n_grads = _tile_rows(program, rows), _n_tiles(program)
    direct = n_grads == 1
    t_step = _tile_size(n_lines, 1, tile_rows, n_lanes)
    tiles, grad_tiles = empty(n_passes * t_step, x), empty(n_grads * t_step, x)
    grad_at = _tile_at(0, 1, tile_rows, n_lanes)
    last_at = _tile_at((n_passes - 1) * t_step, 1, tile_rows, n_lanes)
    z, z_at, n_mixed, ahead = x, at, n_passes, AHEAD * n_lanes
    if not direct:
        # the result of the last pass is not wanted: x takes its place
        z, z_at, n_mixed, ahead = tiles, last_at, n_passes - 1, 0
        if tile_rows > rows:
            clear(tiles[(n_passes - 1) * t_step :])
            clear(grad_tiles[:t_step])
        call(program[0, COPY], x, at, z, z_at, n_lines, 1, rows)
    _mix(
        program, z, z_at, tiles, t_step, n_passes, copies, 0, n_lanes, n_mixed, n_lines, 1, tile_rows, row, ahead
    )  # fmt: skip
    call(
        program[0, FINISH_BACKWARD], tiles, last_at, grad_y, at, grad_tiles, grad_at, copies, grads, w_finish, n_lines,
        rows, row,
    )  # fmt: skip
    g = _mix_backward(
        program, z, z_at, tiles, t_step, n_passes, grad_tiles, n_grads, direct, dst, at, copies, grads, n_lanes,
        n_lines, 1, tile_rows, row,
    )  # fmt: skip
    if not direct:
        call(program[0, COPY], grad_tiles, _tile_at(g * t_step, 1, tile_rows, n_lanes), dst, at, n_lines, 1, rows)


# --- The top stages --------------------------------------------------------------------------------------------------


@helper
def top_forward(program, src, dst, base, weights, line, inner, n_blocks, rows, width):
    """The stages that mix blocks with blocks, of lines ``line … line + inner − 1`` of every block of some rows."""
    n_lanes = lanes(src)
    block = width // n_blocks
    n_passes = len(program) - 1
    tile_rows, n_tiles = _tile_rows(program, rows), _n_tiles(program)
    t_step = _tile_size(n_blocks, inner, tile_rows, n_lanes)
    tiles = empty(n_tiles * t_step, src)
    if tile_rows > rows:
        clear(tiles[(n_tiles - 1) * t_step :])
    at = base + line * n_lanes, block, n_lanes, width
    first_at = _tile_at((n_tiles - 1) * t_step, inner, tile_rows, n_lanes)
    call(program[0, COPY], src, at, tiles, first_at, n_blocks, inner, rows)
    _mix(
        program, tiles, first_at, tiles, t_step, n_tiles, weights, line * n_lanes, block, n_passes, n_blocks, inner,
        tile_rows, width, 0,
    )  # fmt: skip
    last_at = _tile_at((n_passes - 1) % n_tiles * t_step, inner, tile_rows, n_lanes)
    call(program[0, COPY], tiles, last_at, dst, at, n_blocks, inner, rows)


@helper
def top_backward(program, x, grad_x, base, weights, grad_weights, line, inner, n_blocks, batch, chunk, width, fresh):
    """The transpose of `top_forward` at input ``x``, chunk by chunk of ``batch`` rows.

    Gradients are replaced in ``grad_x``; those of the weights are added to grad_weights, or stored if it is ``fresh``.
    """
    n_lanes = lanes(x)
    block = width // n_blocks
    n_passes, n_rows = len(program) - 1, program[0, N_ROWS]
    row = row_of_copies(n_blocks * inner * n_lanes, n_lanes)
    copies, grads = empty(n_rows * row, x), empty(n_rows * row, x)
    w_at = line * n_lanes, block, n_lanes, width
    copies_at = 0, inner * n_lanes, n_lanes, row
    call(program[0, COPY], weights, w_at, copies, copies_at, n_blocks, inner, n_rows)
    clear(grads)
    n_grads = _n_tiles(program)
    t_step = _tile_size(n_blocks, inner, _tile_rows(program, chunk), n_lanes)
    tiles, grad_tiles = empty(n_passes * t_step, x), empty(n_grads * t_step, x)
    for first in range(0, batch, chunk):
        rows = min(chunk, batch - first)
        tile_rows = _tile_rows(program, rows)
        if tile_rows > rows:
            clear(tiles[(n_passes - 1) * t_step :])
            clear(grad_tiles[:t_step])
        at = base + first * width + line * n_lanes, block, n_lanes, width
        z_at = _tile_at((n_passes - 1) * t_step, inner, tile_rows, n_lanes)
        call(program[0, COPY], x, at, tiles, z_at, n_blocks, inner, rows)
        call(program[0, COPY], grad_x, at, grad_tiles, _tile_at(0, inner, tile_rows, n_lanes), n_blocks, inner, rows)
        # the result of the last pass is what the blocks have used: it is not computed again
        _mix(
            program, tiles, z_at, tiles, t_step, n_passes, copies, 0, inner * n_lanes, n_passes - 1, n_blocks, inner,
            tile_rows, row, 0,
        )  # fmt: skip
        g = _mix_backward(
            program, tiles, z_at, tiles, t_step, n_passes, grad_tiles, n_grads, False, grad_x, at, copies, grads,
            inner * n_lanes, n_blocks, inner, tile_rows, row,
        )  # fmt: skip
        call(
            program[0, COPY], grad_tiles, _tile_at(g * t_step, inner, tile_rows, n_lanes), grad_x, at, n_blocks, inner,
            rows,
        )  # fmt: skip
    call(program[0, PUT], grads, copies_at, grad_weights, w_at, n_blocks, inner, n_rows, fresh)
