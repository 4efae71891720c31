"""LDL of radix 8 and more on the CPU, the arithmetic: small matrix products, in registers.

A stage of radix r mixes groups of ``members`` lines that are ``distance`` lines apart, and in each of them the lanes
that are multiples of ``stride`` apart, ``swaps`` of them: r = members · swaps. Places are those of `ldl_passes`: the
weights for the line and lane that are q = line · swaps + lane away by XOR are q rows behind a line's own.

Sources and results are tiles (`ldl_tiles`), not the same, whose rows are a multiple of `ROWS`: so many rows of two
lines are summed up in registers, which takes ten loads for sixteen multiply-adds. Swapping lanes takes one of the two
units that multiply; a swapped line serves two results where there are two lines.
"""

from ldlrpp.kernels.compiling import helper
from ldlrpp.kernels.cpu.addresses import Array, ByAddress, Size
from ldlrpp.kernels.cpu.ldl_passes import Groups, Place, Shape
from ldlrpp.kernels.cpu.vectors import (
    UNIT,
    add,
    add_many,
    exchange,
    lanes,
    load,
    load_many,
    load_splats,
    load_unit,
    maximum,
    minus_infinity_unit,
    multiply,
    multiply_add,
    multiply_add_swaps,
    store,
    store_many,
    swaps,
    transpose,
    turn,
    zeros,
    zeros_many,
    zeros_unit,
)

ROWS = 8


@helper
def _mix(src, src_at, dst, dst_at, weights, weights_at, groups, shape, n, stride, back):
    """A stage or, with ``back``, its transpose, of ``n`` swaps in a line; the last three are literals."""
    n_lanes = lanes(src)
    s_base, s_line, s_inner, _ = src_at
    d_base, d_line, d_inner, _ = dst_at
    w, w_line, _, width = weights_at
    distance, members = groups
    n_lines, inner, rows = shape
    s_step, d_step, w_step, q_step = distance * s_line, distance * d_line, distance * w_line, n * width
    for first in range(0, n_lines, members * distance):
        for line in range(first, first + distance):
            for j in range(inner):
                s_group = s_base + line * s_line + j * s_inner
                d_group = d_base + line * d_line + j * d_inner
                w_group = w + line * w_line + j * n_lanes
                if members == 1:
                    for r in range(0, rows * n_lanes, ROWS * n_lanes):
                        z = load_many(src, s_group + r, n_lanes, ROWS)
                        y = multiply_add_swaps(weights, w_group, width, z, zeros_many(src, ROWS), n, stride, back)
                        store_many(dst, d_group + r, n_lanes, y)
                for i in range(0, members - 1, 2):
                    for r in range(0, rows * n_lanes, ROWS * n_lanes):
                        y0 = y1 = zeros_many(src, ROWS)
                        for m in range(members):
                            z = load_many(src, s_group + m * s_step + r, n_lanes, ROWS)
                            # the weights of the line that gets the product
                            w0 = w_group + (m if back else i) * w_step + (i ^ m) * q_step
                            w1 = w_group + (m if back else i + 1) * w_step + (i ^ 1 ^ m) * q_step
                            y0 = multiply_add_swaps(weights, w0, width, z, y0, n, stride, back)
                            y1 = multiply_add_swaps(weights, w1, width, z, y1, n, stride, back)
                        d = d_group + i * d_step + r
                        store_many(dst, d, n_lanes, y0)
                        store_many(dst, d + d_step, n_lanes, y1)


@helper
def _add_gradients(z, z_at, src, src_at, grads, weights_at, groups, shape, n, stride):
    """Add the gradients of the weights at input ``z``, of ``n`` swaps in a line."""
    n_lanes = lanes(z)
    z_base, z_line, z_inner, _ = z_at
    s_base, s_line, s_inner, _ = src_at
    w, w_line, _, width = weights_at
    distance, members = groups
    n_lines, inner, rows = shape
    z_step, s_step, w_step, q_step = distance * z_line, distance * s_line, distance * w_line, n * width
    for first in range(0, n_lines, members * distance):
        for line in range(first, first + distance):
            for j in range(inner):
                z_group = z_base + line * z_line + j * z_inner
                s_group = s_base + line * s_line + j * s_inner
                w_group = w + line * w_line + j * n_lanes
                for i in range(members):
                    for m in range(members):
                        sums = zeros_many(z, n)
                        for r in range(0, rows * n_lanes, n_lanes):
                            others = swaps(load(z, z_group + m * z_step + r), n, stride)
                            sums = multiply_add(load(src, s_group + i * s_step + r), others, sums)
                        add_many(grads, w_group + i * w_step + (i ^ m) * q_step, width, sums)


@helper
def _add_gradients_of_lines(z, z_at, src, src_at, grads, weights_at, groups, shape, n):
    """Add the gradients of the weights at input ``z`` of whole lines, ``n`` by n of them at a time, 2 or 4."""
    n_lanes = lanes(z)
    z_base, z_line, z_inner, _ = z_at
    s_base, s_line, s_inner, _ = src_at
    w, w_line, _, width = weights_at
    distance, members = groups
    n_lines, inner, rows = shape
    z_step, s_step, w_step = distance * z_line, distance * s_line, distance * w_line
    for first in range(0, n_lines, members * distance):
        for line in range(first, first + distance):
            for j in range(inner):
                z_group = z_base + line * z_line + j * z_inner
                s_group = s_base + line * s_line + j * s_inner
                w_group = w + line * w_line + j * n_lanes
                for i in range(0, members, n):
                    for m in range(0, members, n):
                        sums0 = sums1 = sums2 = sums3 = zeros_many(z, n)
                        for r in range(0, rows * n_lanes, n_lanes):
                            s = s_group + i * s_step + r
                            inputs = load_many(z, z_group + m * z_step + r, z_step, n)
                            sums0 = multiply_add(load(src, s), inputs, sums0)
                            sums1 = multiply_add(load(src, s + s_step), inputs, sums1)
                            if n == 4:
                                sums2 = multiply_add(load(src, s + 2 * s_step), inputs, sums2)
                                sums3 = multiply_add(load(src, s + 3 * s_step), inputs, sums3)
                        at = w_group + i * w_step + (i ^ m) * width
                        add_many(grads, at, width, sums0)
                        add_many(grads, at + w_step, width, exchange(sums1, 1))
                        if n == 4:
                            add_many(grads, at + 2 * w_step, width, exchange(sums2, 2))
                            add_many(grads, at + 3 * w_step, width, exchange(sums3, 3))


@ByAddress
def mix_lines(
    src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, weights_at: Place, groups: Groups,
    shape: Shape, ahead: Size,
):  # fmt: skip
    """Mix whole lines."""
    _mix(src, src_at, dst, dst_at, weights, weights_at, groups, shape, 1, 1, 0)


@ByAddress
def mix_lines_backward(
    z: Array, z_at: Place, src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, grads: Array,
    weights_at: Place, groups: Groups, shape: Shape,
):  # fmt: skip
    """The transpose of `mix_lines` at input ``z``; the weights' gradients are added to ``grads``."""
    if groups.members == 2:
        _add_gradients_of_lines(z, z_at, src, src_at, grads, weights_at, groups, shape, 2)
    else:
        _add_gradients_of_lines(z, z_at, src, src_at, grads, weights_at, groups, shape, 4)
    _mix(src, src_at, dst, dst_at, weights, weights_at, groups, shape, 1, 1, 1)


@ByAddress
def mix_2x8(
    src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, weights_at: Place, groups: Groups,
    shape: Shape, ahead: Size,
):  # fmt: skip
    """Mix lines, and lanes that are 8 apart."""
    _mix(src, src_at, dst, dst_at, weights, weights_at, groups, shape, 2, 8, 0)


@ByAddress
def mix_2x8_backward(
    z: Array, z_at: Place, src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, grads: Array,
    weights_at: Place, groups: Groups, shape: Shape,
):  # fmt: skip
    """The transpose of `mix_2x8` at input ``z``; the weights' gradients are added to ``grads``."""
    _add_gradients(z, z_at, src, src_at, grads, weights_at, groups, shape, 2, 8)
    _mix(src, src_at, dst, dst_at, weights, weights_at, groups, shape, 2, 8, 1)


@ByAddress
def mix_8(
    src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, weights_at: Place, groups: Groups,
    shape: Shape, ahead: Size,
):  # fmt: skip
    """Mix lines, and the eight lanes of a group."""
    _mix(src, src_at, dst, dst_at, weights, weights_at, groups, shape, 8, 1, 0)


@ByAddress
def mix_8_backward(
    z: Array, z_at: Place, src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, grads: Array,
    weights_at: Place, groups: Groups, shape: Shape,
):  # fmt: skip
    """The transpose of `mix_8` at input ``z``; the weights' gradients are added to ``grads``."""
    _add_gradients(z, z_at, src, src_at, grads, weights_at, groups, shape, 8, 1)
    _mix(src, src_at, dst, dst_at, weights, weights_at, groups, shape, 8, 1, 1)


@ByAddress
def mix_16(
    src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, weights_at: Place, groups: Groups,
    shape: Shape, ahead: Size,
):  # fmt: skip
    """Mix lines, and sixteen lanes."""
    _mix(src, src_at, dst, dst_at, weights, weights_at, groups, shape, 16, 1, 0)


@ByAddress
def mix_turned_backward(
    z: Array, z_at: Place, src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, grads: Array,
    weights_at: Place, groups: Groups, shape: Shape,
):  # fmt: skip
    """The transpose of `mix_8` or `mix_16` at input ``z``, where a line has as many lanes.

    Weights are in the order of `fold_scale_turned`: numbers are loaded into all lanes, and none are swapped.
    """
    n_lanes = lanes(z)
    z_base, z_line, _, _ = z_at
    s_base, s_line, _, _ = src_at
    d_base, d_line, _, _ = dst_at
    w, w_line, _, width = weights_at
    _, members = groups
    n_lines, _, rows = shape
    one, q_step, all_rows = 1, n_lanes * width, rows * n_lanes
    for first in range(0, n_lines, members):
        for i in range(members):
            for m in range(members):
                at = w + (first + i) * w_line + (i ^ m) * q_step
                for j in range(0, n_lanes, 8):
                    sums = zeros_many(z, 8)
                    for r in range(0, all_rows, n_lanes):
                        numbers = load_splats(z, z_base + (first + m) * z_line + r + j, one, 8)
                        sums = multiply_add(load(src, s_base + (first + i) * s_line + r), numbers, sums)
                    add_many(grads, at + j * width, width, sums)
        for i in range(members):
            for r in range(0, all_rows, ROWS * n_lanes):
                back = zeros_many(z, ROWS)
                for m in range(members):
                    at = w + (first + m) * w_line + (i ^ m) * q_step
                    for j in range(n_lanes):
                        numbers = load_splats(src, s_base + (first + m) * s_line + r + j, n_lanes, ROWS)
                        back = multiply_add(load(weights, at + j * width), numbers, back)
                store_many(dst, d_base + (first + i) * d_line + r, n_lanes, back)


# --- Scale and bias --------------------------------------------------------------------------------------------------


@ByAddress
def scale_units(
    src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, weights_at: Place, scale: Array,
    bias: Array, position: Size, shape: Shape, relu: Size,
):  # fmt: skip
    """Scale and bias, perhaps a relu: `ldl_passes.finish` without stages."""
    n_lanes = lanes(src)
    s_base, s_line, _, s_row = src_at
    d_base, d_line, _, d_row = dst_at
    n_lines, _, rows = shape
    floor = zeros_unit(src) if relu else minus_infinity_unit(src)
    for line in range(0, n_lines, UNIT // n_lanes):
        p = position + line * n_lanes
        factor, shift = load_unit(scale, p, n_lanes), load_unit(bias, p, n_lanes)
        for r in range(rows):
            z = load_unit(src, s_base + line * s_line + r * s_row, s_line)
            y = maximum(multiply_add(factor, z, shift), floor)
            store_many(dst, d_base + line * d_line + r * d_row, d_line, y)


# Backward, the scale is a factor of the last stage's weights, whose result then need not be computed again. Copies of
# these, ``n`` rows of them, are multiplied by it, and their gradients taken apart again, once for many rows.


@ByAddress
def take_gradients(
    z: Array, z_at: Place, src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, grads: Array,
    weights_at: Place, shape: Shape,
):  # fmt: skip
    """Copy gradients from ``src`` to ``dst``, and add them up for the bias: the second row of ``grads`` behind w."""
    n_lanes = lanes(z)
    s_base, s_line, _, s_row = src_at
    d_base, d_line, _, d_row = dst_at
    w, _, _, width = weights_at
    n_lines, _, rows = shape
    for line in range(n_lines):
        i = w + width + line * n_lanes
        total = load(grads, i)
        for r in range(rows):
            grad = load(src, s_base + line * s_line + r * s_row)
            total = add(total, grad)
            store(dst, d_base + line * d_line + r * d_row, grad)
        store(grads, i, total)


@helper
def _fold_scale(weights, weights_at, n, scale, position, n_lines, turned):
    n_lanes = lanes(weights)
    w, _, _, width = weights_at
    for line in range(0, n_lines * n_lanes, n_lanes):
        factor = load(scale, position + line)
        for q in range(w + line, w + line + n * width, width):
            store(weights, q, multiply(factor, load(weights, q)))
        if turned:
            for q in range(w + line, w + line + n * width, n_lanes * width):
                turn(weights, q, width)
                transpose(weights, q, width)


@ByAddress
def fold_scale(weights: Array, weights_at: Place, n: Size, scale: Array, position: Size, n_lines: Size):
    """Multiply weights by the scale."""
    _fold_scale(weights, weights_at, n, scale, position, n_lines, 0)


@ByAddress
def fold_scale_turned(weights: Array, weights_at: Place, n: Size, scale: Array, position: Size, n_lines: Size):
    """The same, and order weights by the lane that they multiply: row i, lane j from lane i to lane j."""
    _fold_scale(weights, weights_at, n, scale, position, n_lines, 1)


@helper
def _unfold_scale(grads, grads_at, n, g_scale, weights, weights_at, scale, position, n_lines, turned):
    n_lanes = lanes(grads)
    g, _, _, g_width = grads_at
    w, _, _, width = weights_at
    for line in range(0, n_lines * n_lanes, n_lanes):
        if turned:
            for q in range(g + line, g + line + n * g_width, n_lanes * g_width):
                turn(grads, q, g_width)
        factor, total = load(scale, position + line), zeros(grads)
        for q in range(n):
            at = g + line + q * g_width
            grad = load(grads, at)
            total = multiply_add(load(weights, w + line + q * width), grad, total)
            store(grads, at, multiply(factor, grad))
        store(grads, g_scale + line, total)


@ByAddress
def unfold_scale(
    grads: Array, grads_at: Place, n: Size, g_scale: Size, weights: Array, weights_at: Place, scale: Array,
    position: Size, n_lines: Size,
):  # fmt: skip
    """From the gradients of weights times the scale, those of the weights and of the scale, to ``g_scale``."""
    _unfold_scale(grads, grads_at, n, g_scale, weights, weights_at, scale, position, n_lines, 0)


@ByAddress
def unfold_scale_turned(
    grads: Array, grads_at: Place, n: Size, g_scale: Size, weights: Array, weights_at: Place, scale: Array,
    position: Size, n_lines: Size,
):  # fmt: skip
    """The same of sums in the order of `mix_turned_backward`."""
    _unfold_scale(grads, grads_at, n, g_scale, weights, weights_at, scale, position, n_lines, 1)
