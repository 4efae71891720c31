"""LDL on the CPU: the passes over a tile that make up some stages of a layer, in order, as a table that kernels follow.

Kernels know nothing of radices. A *program* is an array of integers: a row of what is common, then a row for every
pass, with the columns named below. Programs are of a dtype, a radix, a width and a size of blocks (`ldl_cpu`): one of
the stages in a block, and one of the *top* stages, which mix blocks with blocks.
"""

import functools
import math

import numpy as np

from ldlrpp.kernels import ldl_passes, ldl_passes4, ldl_passes_mix
from ldlrpp.kernels.ldl_passes_mix import ROWS
from ldlrpp.kernels.ldl_weights import stages
from ldlrpp.kernels.vectors import UNIT, VECTOR_BYTES

# Columns of the first row: addresses of the last pass, which has scale and bias, and its transpose, and of `copy` and
# `put`; the number of rows of weights, the row at which they begin in the layer's, and that at which the last pass
# finds its own, counted from there; and the number that rows of a tile are a multiple of. Where that is above one,
# passes take tiles alone, and never write where they read; and PREPARE and CONCLUDE are what `ldl_passes_mix` does with
# the last stage's weights and their gradients.
FINISH, FINISH_BACKWARD, COPY, PUT, N_ROWS, FIRST_ROW, FINISH_ROW, MULTIPLE, PREPARE, CONCLUDE = range(10)
# Columns of the others: addresses of the pass and its transpose, its first row of weights, its distance in lines and
# what `ldl_passes_mix` calls members.
PASS, BACKWARD, ROW, DISTANCE, MEMBERS = range(5)

_UNIT_STAGES = UNIT.bit_length() - 1
# The passes of radices 2 and 4: over one stage of radix 2, over as many weights as two of those have, and the last.
_PASSES = {
    2: (ldl_passes.pass4, ldl_passes.pass4_backward, ldl_passes.finish, ldl_passes.finish_backward),
    4: (ldl_passes4.mix4, ldl_passes4.mix4_backward, ldl_passes4.finish4, ldl_passes4.finish4_backward),
}
# Those of larger ones, by the number of lanes that are mixed and the distance between them.
_MIXES = {
    (1, 1): (ldl_passes_mix.mix_lines, ldl_passes_mix.mix_lines_backward),
    (2, 8): (ldl_passes_mix.mix_2x8, ldl_passes_mix.mix_2x8_backward),
    (8, 1): (ldl_passes_mix.mix_8, ldl_passes_mix.mix_8_backward),
    (16, 1): (ldl_passes_mix.mix_16, ldl_passes_mix.mix_turned_backward),
}
_SCALE = ldl_passes_mix.scale_units, ldl_passes_mix.take_units
_LAST = ldl_passes_mix.prepare, ldl_passes_mix.conclude
_LAST_TURNED = ldl_passes_mix.prepare_turned, ldl_passes_mix.conclude_turned


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
    common = {"dtype": dtype, "backward": backward}
    if radix <= 4:
        steps, top_steps = _pairs(radix, block // UNIT, UNIT // n_lanes), _pairs(radix, width // block, 1)
        finish, last, finish_row, multiple = _PASSES[radix][2:], (), sum(inner) - 2 * _UNIT_STAGES, 1
    else:
        steps, top_steps = _mixes(inner, n_lanes), _mixes(top, 1)
        last = _LAST_TURNED if inner[-1] >= n_lanes else _LAST
        finish, finish_row, multiple = _SCALE, sum(inner), ROWS
    return (
        _table(steps, finish, last, sum(inner), sum(top), finish_row, multiple, **common),
        _table(top_steps, finish, (), sum(top), 0, 0, multiple, **common),
    )


def _pairs(radix, n, lowest):
    """The passes of radix 2 or 4 that mix ``n`` places ``lowest`` lines apart: as many stages as four rows hold."""
    row = 0
    while n > 1:
        odd = n.bit_length() % 2 == 0
        functions = (ldl_passes.pass2, ldl_passes.pass2_backward) if odd else _PASSES[radix][:2]
        n //= 2 if odd else 4
        yield *functions, row, n * lowest, 2 if odd else 4
        row += 2 if odd else 4


def _mixes(radices, n_lanes):
    """The passes of larger radices: lanes are mixed where a stage's distance is less than a line."""
    row, distance = 0, math.prod(radices)
    for radix in radices:
        distance //= radix
        swaps = max(1, min(radix, n_lanes // distance))
        stride = distance if swaps > 1 else 1
        forward, backward = _MIXES[swaps, stride]
        if 1 < swaps == n_lanes:
            backward = ldl_passes_mix.mix_turned_backward
        yield forward, backward, row, max(1, distance // n_lanes), radix // swaps
        row += radix


def _table(steps, finish, last, n_rows, first_row, finish_row, multiple, *, dtype, backward):
    def addresses(functions):
        return [function.address(dtype) if i % 2 == 0 or backward else 0 for i, function in enumerate(functions)]

    copy, put = addresses((ldl_passes.copy, ldl_passes.put))
    hooks = [function.address(dtype) for function in last] if last and backward else [0, 0]
    rows = [[*addresses(finish), copy, put, n_rows, first_row, finish_row, multiple, *hooks]]
    for forward_pass, backward_pass, *numbers in steps:
        rows.append([*addresses((forward_pass, backward_pass)), *numbers, *[0] * 5])
    return np.array(rows, np.intp)
