"""LDL on the CPU: the passes over a tile that make up some stages of a layer, in order, as a table that kernels follow.

Kernels know nothing of radices. A *program* is an array of integers: a row of what is common, then a row for every
pass, with the columns named below. Programs are of a dtype, a radix, a width and a size of blocks (`ldl`): one of
the stages in a block, and one of the *top* stages, which mix blocks with blocks.
"""

import functools
import math

import numpy as np

from ldlrpp.kernels.cpu import ldl_passes, ldl_passes4, ldl_passes_mix
from ldlrpp.kernels.cpu.ldl_passes_mix import ROWS
from ldlrpp.kernels.cpu.vectors import UNIT, VECTOR_BYTES
from ldlrpp.kernels.ldl_weights import stages

# Columns of the first row: addresses of the last pass, which has scale and bias, and its transpose, and of `copy` and
# `put`; the number of rows of weights, the row at which they begin in the layer's, and that at which the last pass
# finds its own, counted from there; the number that rows of a tile are a multiple of (`tile_multiple`); and what
# `ldl_passes_mix` does with the last stage's weights and their gradients.
FINISH, FINISH_BACKWARD, COPY, PUT, N_ROWS, FIRST_ROW, FINISH_ROW, MULTIPLE, FOLD_SCALE, UNFOLD_SCALE = range(10)
# Columns of the others: addresses of the pass and its transpose, its first row of weights, its distance in lines and
# the number of lines that it mixes with each other.
PASS, BACKWARD, ROW, DISTANCE, MEMBERS = range(5)

# Rows of weights of four stages of radix 2, or of two of radix 4.
_FINISH_ROWS = 8
# The passes of radices 2 and 4 over four lines, and the last ones.
_PASSES = {
    2: (ldl_passes.pass4, ldl_passes.pass4_backward, ldl_passes.finish, ldl_passes.finish_backward),
    4: (ldl_passes4.mix4, ldl_passes4.mix4_backward, ldl_passes4.finish4, ldl_passes4.finish4_backward),
}
# Those of larger ones, by the number of lanes that are mixed and the distance between them.
_MIXES = {
    (1, 1): (ldl_passes_mix.mix_lines, ldl_passes_mix.mix_lines_backward),
    (2, 8): (ldl_passes_mix.mix_2x8, ldl_passes_mix.mix_2x8_backward),
    (8, 1): (ldl_passes_mix.mix_8, ldl_passes_mix.mix_8_backward),
    (16, 1): (ldl_passes_mix.mix_16, None),
}
_SCALE = ldl_passes_mix.scale_units, ldl_passes_mix.take_gradients


def tile_multiple(radix):
    """What the number of rows of a tile is a multiple of.

    Where it is above one, passes take tiles alone, and never write where they read.
    """
    return 1 if radix <= 4 else ROWS


@functools.cache
def programs(dtype, radix, width, block, backward=False):
    """The programs of a block and of the top stages, which are none where a block is the whole row.

    Passes are compiled here, their transposes only if ``backward``.
    """
    radices = stages(width, radix)
    n_top = 0
    while math.prod(radices[n_top:]) > block:
        n_top += 1
    n_lanes = VECTOR_BYTES // dtype.itemsize
    top, inner = radices[:n_top], radices[n_top:]
    common = {"dtype": dtype, "backward": backward, "multiple": tile_multiple(radix)}
    if radix <= 4:
        steps, top_steps = _pairs(radix, block // UNIT, UNIT // n_lanes), _pairs(radix, width // block, 1)
        finish, folds, finish_row = _PASSES[radix][2:], (), sum(inner) - _FINISH_ROWS
    else:
        # the last stage mixes all lanes of a line
        turned = inner[-1] >= n_lanes
        steps, top_steps = _mixes(inner, n_lanes, turned), _mixes(top, 1, False)
        finish, finish_row = _SCALE, sum(inner)
        folds = (ldl_passes_mix.fold_scale, ldl_passes_mix.unfold_scale)
        if turned:
            folds = (ldl_passes_mix.fold_scale_turned, ldl_passes_mix.unfold_scale_turned)
    return (
        _table(steps, finish, folds, sum(inner), sum(top), finish_row, **common),
        _table(top_steps, finish, (), sum(top), 0, 0, **common),
    )


def _pairs(radix, n, lowest):
    """The passes of radix 2 or 4 that mix ``n`` places ``lowest`` lines apart: over four lines, or two at first."""
    row = 0
    while n > 1:
        odd = n.bit_length() % 2 == 0
        functions = (ldl_passes.pass2, ldl_passes.pass2_backward) if odd else _PASSES[radix][:2]
        n //= 2 if odd else 4
        yield *functions, row, n * lowest, 2 if odd else 4
        row += 2 if odd else 4


def _mixes(radices, n_lanes, turned):
    """The passes of larger radices: lanes are mixed where a stage's distance is less than a line."""
    row, distance = 0, math.prod(radices)
    for radix in radices:
        distance //= radix
        swaps = max(1, min(radix, n_lanes // distance))
        forward, backward = _MIXES[swaps, distance if swaps > 1 else 1]
        if turned and distance == 1:
            backward = ldl_passes_mix.mix_turned_backward
        yield forward, backward, row, max(1, distance // n_lanes), radix // swaps
        row += radix


def _table(steps, finish, folds, n_rows, first_row, finish_row, *, dtype, backward, multiple):
    def addresses(forward_pass, backward_pass):
        return [forward_pass.address(dtype), backward_pass.address(dtype) if backward else 0]

    of_folds = [fold.address(dtype) for fold in folds] if folds and backward else [0, 0]
    common = [*addresses(*finish), *addresses(ldl_passes.copy, ldl_passes.put)]
    rows = [[*common, n_rows, first_row, finish_row, multiple, *of_folds]]
    for forward_pass, backward_pass, *numbers in steps:
        rows.append([*addresses(forward_pass, backward_pass), *numbers, *[0] * 5])
    return np.array(rows, np.intp)
