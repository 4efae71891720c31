"""LDL on the CPU, tile by tile: some stages of some rows, forward and backward, as a program of `ldl_programs` says.

A *block* of a row is ``size`` neighbouring positions that are mixed with each other alone, by all stages from the one
that mixes its parts on. The *top* stages mix blocks with blocks. Backward, parameters are used and gradients summed in
copies [row of weights][line]: an aligned copy next to a tile is read at twice the speed of lines that lie powers of two
apart, all in a few sets of the L1 cache, and perhaps across the boundaries of its lines.

Passes of radix 2 and 4 may read from an array and write where they read. Those of larger ones take a tile to another,
whose rows are padded with zeros to a multiple of what they have in registers.
"""

from typing import NamedTuple

import numpy as np

from ldlrpp.kernels.compiling import helper
from ldlrpp.kernels.cpu.addresses import call
from ldlrpp.kernels.cpu.ldl_passes import AHEAD, Groups, Place, Shape, clear
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


class Gradients(NamedTuple):
    """Where the gradients of a layer's parameters belong."""

    weights: np.ndarray
    scale: np.ndarray
    bias: np.ndarray


class Rows(NamedTuple):
    """``n`` rows of a batch from ``first`` on, which are worked on by the ``chunk``."""

    first: int
    n: int
    chunk: int


class Tiles(NamedTuple):
    """Tiles of one shape in an array, ``step`` entries apart, which passes go through one after another."""

    array: np.ndarray
    n: int
    step: int


@helper
def _rows_at(base, row, n_lanes):
    """The place of lines in order, in rows ``row`` entries apart."""
    # not literals: each set of literal arguments would be compiled anew
    return Place(np.intp(base), n_lanes, np.intp(0), np.intp(row))


@helper
def _from_row(at, row):
    """The place that begins at a later row of ``at``."""
    return Place(at.base + row * at.row, at.line, at.inner, at.row)


@helper
def _new_tiles(n, shape, like):
    """Tiles [line][inner line][row][lane].

    A line of padding follows every line with its inner ones: lines that are mixed with each other are powers of two
    apart, and would share a set of the L1 cache.
    """
    step = shape.n_lines * (shape.inner * shape.rows + 1) * lanes(like)
    return Tiles(empty(n * step, like), n, step)


@helper
def _tile_at(base, shape, n_lanes):
    """The place of a tile."""
    return Place(np.intp(base), (shape.inner * shape.rows + 1) * n_lanes, shape.rows * n_lanes, n_lanes)


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
# The k-th pass reads the (k−1)-th result, or the source, and leaves its own in the k-th tile.


@helper
def _mix(program, src, src_at, tiles, weights, weights_at, n_passes, shape, ahead):
    """The first ``n_passes`` passes of a program."""
    # taken apart once: whenever an array is taken from a tuple, its references are counted
    array, n, step = tiles
    n_lanes = lanes(array)
    for k in range(n_passes):
        y, y_at = array, _tile_at((k - 1) % n * step, shape, n_lanes)
        near = 0
        if k == 0:
            y, y_at, near = src, src_at, ahead
        call(
            program[k + 1, PASS], y, y_at, array, _tile_at(k % n * step, shape, n_lanes), weights,
            _from_row(weights_at, program[k + 1, ROW]), Groups(program[k + 1, DISTANCE], program[k + 1, MEMBERS]),
            shape, near,
        )  # fmt: skip


@helper
def _mix_backward(program, z, z_at, tiles, grad_tiles, dst, dst_at, weights, grads, weights_at, shape):
    """The transpose of `_mix`, whose results are in ``tiles``: gradients, from the first of ``grad_tiles`` to ``dst``.

    The place of ``grads`` is that of the weights.
    """
    array, n, step = tiles
    grad_array, n_grads, _ = grad_tiles
    n_lanes, n_passes = lanes(array), len(program) - 1
    for k in range(n_passes - 1, -1, -1):
        y, y_at = array, _tile_at((k - 1) % n * step, shape, n_lanes)
        g = n_passes - 1 - k
        o, o_at = grad_array, _tile_at((g + 1) % n_grads * step, shape, n_lanes)
        if k == 0:
            y, y_at, o, o_at = z, z_at, dst, dst_at
        call(
            program[k + 1, BACKWARD], y, y_at, grad_array, _tile_at(g % n_grads * step, shape, n_lanes), o, o_at,
            weights, grads, _from_row(weights_at, program[k + 1, ROW]),
            Groups(program[k + 1, DISTANCE], program[k + 1, MEMBERS]), shape,
        )  # fmt: skip


# --- Blocks ----------------------------------------------------------------------------------------------------------


@helper
def block_forward(program, src, dst, base, weights, scale, bias, position, size, rows, relu):
    """All stages of the block at ``position`` of some rows, then scale and bias and, if so, a ``relu``.

    ``base`` is the place of its first row in ``src`` and ``dst``.
    """
    width = len(scale)
    n_lanes = lanes(src)
    n_lines, one = size // n_lanes, np.intp(1)
    shape = Shape(n_lines, one, np.intp(rows))
    n_passes = len(program) - 1
    weights_at = _rows_at(program[0, FIRST_ROW] * width + position, width, n_lanes)
    finish_at = _from_row(weights_at, program[0, FINISH_ROW])
    at = dst_at = _rows_at(base, width, n_lanes)
    if n_passes == 0:
        call(program[0, FINISH], src, at, dst, dst_at, weights, finish_at, scale, bias, position, shape, relu)
        return
    tile_shape = Shape(n_lines, one, _tile_rows(program, rows))
    tiles = _new_tiles(_n_tiles(program), tile_shape, src)
    array, n, step = tiles
    ahead = AHEAD * n_lanes
    if n > 1 or (size >= _COPIED and program[1, MEMBERS] == 4):
        copy_at = _tile_at((n - 1) * step, tile_shape, n_lanes)
        if tile_shape.rows > rows:
            clear(array[(n - 1) * step :])
        call(program[0, COPY], src, at, array, copy_at, shape)
        src, at, ahead = array, copy_at, 0
    _mix(program, src, at, tiles, weights, weights_at, n_passes, tile_shape, ahead)
    last_at = _tile_at((n_passes - 1) % n * step, tile_shape, n_lanes)
    call(program[0, FINISH], array, last_at, dst, dst_at, weights, finish_at, scale, bias, position, shape, relu)


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
    weights_at = _rows_at(program[0, FIRST_ROW] * width + position, width, n_lanes)
    copies_at = _rows_at(0, row, n_lanes)
    call(program[0, COPY], weights, weights_at, copies, copies_at, Shape(n_lines, one, n_rows))
    call(
        program[0, COPY], scale, _rows_at(position, 0, n_lanes), copies, _from_row(copies_at, n_rows),
        Shape(n_lines, one, one),
    )  # fmt: skip
    if program[0, FOLD_SCALE]:
        last = program[len(program) - 1, ROW]
        call(program[0, FOLD_SCALE], copies, _from_row(copies_at, last), n_rows - last, scale, position, n_lines)
    return copies


@helper
def unfold_scale(program, grads, weights, scale, position, size, width):
    """What is left to do with the sums of a block's gradients after the last row."""
    if program[0, UNFOLD_SCALE]:
        n_lanes = lanes(grads)
        row = row_of_copies(size, n_lanes)
        n_rows, last = program[0, N_ROWS], program[len(program) - 1, ROW]
        weights_at = _rows_at((program[0, FIRST_ROW] + last) * width + position, width, n_lanes)
        call(
            program[0, UNFOLD_SCALE], grads, _rows_at(last * row, row, n_lanes), n_rows - last, n_rows * row, weights,
            weights_at, scale, position, size // n_lanes,
        )  # fmt: skip


@helper
def put_gradients(program, sums, grads, position, size, fresh):
    """Take the gradients of a block to where they belong: stored if they are ``fresh``, else added."""
    n_lanes = lanes(sums)
    n_lines = size // n_lanes
    n_rows, one = program[0, N_ROWS], np.intp(1)
    width = len(grads.scale)
    weights_at = _rows_at(program[0, FIRST_ROW] * width + position, width, n_lanes)
    at, row_shape = _rows_at(position, 0, n_lanes), Shape(n_lines, one, one)
    sums_at = _rows_at(0, row_of_copies(size, n_lanes), n_lanes)
    call(program[0, PUT], sums, sums_at, grads.weights, weights_at, Shape(n_lines, one, n_rows), fresh)
    call(program[0, PUT], sums, _from_row(sums_at, n_rows), grads.scale, at, row_shape, fresh)
    call(program[0, PUT], sums, _from_row(sums_at, n_rows + 1), grads.bias, at, row_shape, fresh)


@helper
def block_backward(program, grad_y, x, dst, base, copies, grads, size, rows, width):
    """The transpose of `block_forward` at input ``x``, which may be ``dst``.

    ``copies`` are `copied_parameters`; gradients are added to the same rows of ``grads``, and the bias's to one more.
    """
    n_lanes = lanes(x)
    n_lines, one = size // n_lanes, np.intp(1)
    shape = Shape(n_lines, one, np.intp(rows))
    n_passes = len(program) - 1
    copies_at = _rows_at(0, row_of_copies(size, n_lanes), n_lanes)
    finish_at = _from_row(copies_at, program[0, FINISH_ROW])
    at = _rows_at(base, width, n_lanes)
    if n_passes == 0:
        call(program[0, FINISH_BACKWARD], x, at, grad_y, at, dst, at, copies, grads, finish_at, shape)
        return
    tile_shape = Shape(n_lines, one, _tile_rows(program, rows))
    tiles, grad_tiles = _new_tiles(n_passes, tile_shape, x), _new_tiles(_n_tiles(program), tile_shape, x)
    array, _, step = tiles
    grad_array, n_grads, _ = grad_tiles
    grad_at = _tile_at(0, tile_shape, n_lanes)
    last_at = _tile_at((n_passes - 1) * step, tile_shape, n_lanes)
    z, z_at, n_mixed, ahead = x, at, n_passes, AHEAD * n_lanes
    to, to_at = dst, at
    direct = n_grads == 1
    if not direct:
        # the result of the last pass is not wanted: x takes its place
        z, z_at, n_mixed, ahead = array, last_at, n_passes - 1, 0
        to, to_at = grad_array, _tile_at(n_passes % n_grads * step, tile_shape, n_lanes)
        if tile_shape.rows > rows:
            clear(array[(n_passes - 1) * step :])
            clear(grad_array[:step])
        call(program[0, COPY], x, at, z, z_at, shape)
    _mix(program, z, z_at, tiles, copies, copies_at, n_mixed, tile_shape, ahead)
    call(
        program[0, FINISH_BACKWARD], array, last_at, grad_y, at, grad_array, grad_at, copies, grads,
        finish_at, shape,
    )  # fmt: skip
    _mix_backward(program, z, z_at, tiles, grad_tiles, to, to_at, copies, grads, copies_at, tile_shape)
    if not direct:
        call(program[0, COPY], to, to_at, dst, at, shape)


# --- The top stages --------------------------------------------------------------------------------------------------


@helper
def top_forward(program, src, dst, base, weights, line, inner, n_blocks, rows, width):
    """The stages that mix blocks with blocks, of lines ``line … line + inner − 1`` of every block of some rows."""
    n_lanes = lanes(src)
    block = width // n_blocks
    n_passes = len(program) - 1
    shape, tile_shape = Shape(n_blocks, inner, rows), Shape(n_blocks, inner, _tile_rows(program, rows))
    tiles = _new_tiles(_n_tiles(program), tile_shape, src)
    array, n, step = tiles
    if tile_shape.rows > rows:
        clear(array[(n - 1) * step :])
    at = Place(base + line * n_lanes, block, n_lanes, width)
    weights_at = Place(line * n_lanes, block, n_lanes, width)
    first_at = _tile_at((n - 1) * step, tile_shape, n_lanes)
    call(program[0, COPY], src, at, array, first_at, shape)
    _mix(program, array, first_at, tiles, weights, weights_at, n_passes, tile_shape, 0)
    last_at = _tile_at((n_passes - 1) % n * step, tile_shape, n_lanes)
    call(program[0, COPY], array, last_at, dst, at, shape)


@helper
def top_backward(program, x, grad_x, weights, grad_weights, rows, line, inner, n_blocks, width):
    """The transpose of `top_forward` at input ``x``, chunk by chunk of ``rows``.

    Gradients are replaced in ``grad_x``; those of the weights are stored in grad_weights by the first rows of a batch,
    and added by the others.
    """
    n_lanes = lanes(x)
    block = width // n_blocks
    n_passes, n_rows = len(program) - 1, program[0, N_ROWS]
    row = row_of_copies(n_blocks * inner * n_lanes, n_lanes)
    copies, sums = empty(n_rows * row, x), empty(n_rows * row, x)
    weights_at = Place(line * n_lanes, block, n_lanes, width)
    copies_at = Place(np.intp(0), inner * n_lanes, n_lanes, row)
    of_weights = Shape(n_blocks, inner, n_rows)
    call(program[0, COPY], weights, weights_at, copies, copies_at, of_weights)
    clear(sums)
    chunk_shape = Shape(n_blocks, inner, _tile_rows(program, rows.chunk))
    tiles, grad_tiles = _new_tiles(n_passes, chunk_shape, x), _new_tiles(_n_tiles(program), chunk_shape, x)
    array, _, step = tiles
    grad_array, n_grads, _ = grad_tiles
    for first in range(0, rows.n, rows.chunk):
        n = min(rows.chunk, rows.n - first)
        shape, tile_shape = Shape(n_blocks, inner, n), Shape(n_blocks, inner, _tile_rows(program, n))
        if tile_shape.rows > n:
            clear(array[(n_passes - 1) * step :])
            clear(grad_array[:step])
        at = Place((rows.first + first) * width + line * n_lanes, block, n_lanes, width)
        z_at, grad_at = _tile_at((n_passes - 1) * step, tile_shape, n_lanes), _tile_at(0, tile_shape, n_lanes)
        to_at = _tile_at(n_passes % n_grads * step, tile_shape, n_lanes)
        call(program[0, COPY], x, at, array, z_at, shape)
        call(program[0, COPY], grad_x, at, grad_array, grad_at, shape)
        # the result of the last pass is what the blocks have used: it is not computed again
        _mix(program, array, z_at, tiles, copies, copies_at, n_passes - 1, tile_shape, 0)
        _mix_backward(program, array, z_at, tiles, grad_tiles, grad_array, to_at, copies, sums, copies_at, tile_shape)
        call(program[0, COPY], grad_array, to_at, grad_x, at, shape)
    call(program[0, PUT], sums, copies_at, grad_weights, weights_at, of_weights, rows.first == 0)
