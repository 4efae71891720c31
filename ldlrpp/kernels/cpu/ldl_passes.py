"""LDL of radix 2 on the CPU, the arithmetic: one pass over the lines of a tile, forward and backward.

Arrays are flat, and a `Place` says where their lines are. Weights have places too: their rows are those that a pass
uses, and neighbouring lines are a vector apart. In radix 2 they are a line's own weights, those for the line that it is
mixed with, and then those of the next stage.

Every pass is compiled once, and called by its address (`addresses`). Passes in the same role have the same arguments in
all radices: `pass4` and `ldl_passes4.mix4`, `finish` and `ldl_passes4.finish4`. The ``members`` of groups are for those
of `ldl_passes_mix` alone.
"""

from typing import NamedTuple

from ldlrpp.kernels.compiling import helper
from ldlrpp.kernels.cpu.addresses import Array, ByAddress, Size
from ldlrpp.kernels.cpu.vectors import (
    UNIT,
    add,
    add_many,
    lanes,
    load,
    load_unit,
    maximum,
    minus_infinity_unit,
    multiply,
    multiply_add,
    prefetch,
    prefetch_for_writing,
    store,
    store_many,
    swap,
    zeros,
    zeros_unit,
)

# Lines that are asked for ahead of time where rows are read from or written to memory.
AHEAD = 3


class Place(NamedTuple):
    """Where lines are: line j of the neighbours in line l, in row r, is at base + l·line + j·inner + r·row."""

    base: int
    line: int
    inner: int
    row: int


class Shape(NamedTuple):
    """The lines of a tile, each of which stands for ``inner`` neighbouring ones, and its rows."""

    n_lines: int
    inner: int
    rows: int


class Groups(NamedTuple):
    """Lines that are mixed with each other: ``members``, the nearest of which are ``distance`` lines apart."""

    distance: int
    members: int


@ByAddress
def pass4(
    src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, weights_at: Place, groups: Groups,
    shape: Shape, ahead: Size,
):  # fmt: skip
    """Two stages, of distances 2·quarter and quarter lines, from ``src`` to ``dst``."""
    n_lanes = lanes(src)
    s_base, s_line, s_inner, s_row = src_at
    d_base, d_line, d_inner, d_row = dst_at
    w, w_line, _, width = weights_at
    quarter, _ = groups
    n_lines, inner, rows = shape
    s_step, d_step, w_step = quarter * s_line, quarter * d_line, quarter * w_line
    for first in range(0, n_lines, 4 * quarter):
        for line in range(first, first + quarter):
            for j in range(inner):
                w0 = w + line * w_line + j * n_lanes
                w1, w2, w3 = w0 + w_step, w0 + 2 * w_step, w0 + 3 * w_step
                a0, b0 = load(weights, w0), load(weights, w0 + width)
                a1, b1 = load(weights, w1), load(weights, w1 + width)
                a2, b2 = load(weights, w2), load(weights, w2 + width)
                a3, b3 = load(weights, w3), load(weights, w3 + width)
                c0, d0 = load(weights, w0 + 2 * width), load(weights, w0 + 3 * width)
                c1, d1 = load(weights, w1 + 2 * width), load(weights, w1 + 3 * width)
                c2, d2 = load(weights, w2 + 2 * width), load(weights, w2 + 3 * width)
                c3, d3 = load(weights, w3 + 2 * width), load(weights, w3 + 3 * width)
                for r in range(rows):
                    s = s_base + line * s_line + j * s_inner + r * s_row
                    d = d_base + line * d_line + j * d_inner + r * d_row
                    if ahead:
                        prefetch(src, s + ahead)
                        prefetch(src, s + s_step + ahead)
                        prefetch(src, s + 2 * s_step + ahead)
                        prefetch(src, s + 3 * s_step + ahead)
                    z0, z1 = load(src, s), load(src, s + s_step)
                    z2, z3 = load(src, s + 2 * s_step), load(src, s + 3 * s_step)
                    y0 = multiply_add(b0, z2, multiply(a0, z0))
                    y1 = multiply_add(b1, z3, multiply(a1, z1))
                    y2 = multiply_add(b2, z0, multiply(a2, z2))
                    y3 = multiply_add(b3, z1, multiply(a3, z3))
                    store(dst, d, multiply_add(d0, y1, multiply(c0, y0)))
                    store(dst, d + d_step, multiply_add(d1, y0, multiply(c1, y1)))
                    store(dst, d + 2 * d_step, multiply_add(d2, y3, multiply(c2, y2)))
                    store(dst, d + 3 * d_step, multiply_add(d3, y2, multiply(c3, y3)))


@helper
def _add_to(array, index, vector):
    store(array, index, add(load(array, index), vector))


@ByAddress
def pass4_backward(
    z: Array, z_at: Place, src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, grads: Array,
    weights_at: Place, groups: Groups, shape: Shape,
):  # fmt: skip
    """The transpose of `pass4` at input ``z``: gradients from ``src`` to ``dst``, the weights' added to ``grads``."""
    n_lanes = lanes(z)
    z_base, z_line, z_inner, z_row = z_at
    s_base, s_line, s_inner, s_row = src_at
    d_base, d_line, d_inner, d_row = dst_at
    w, w_line, _, width = weights_at
    quarter, _ = groups
    n_lines, inner, rows = shape
    z_step, s_step, d_step, w_step = quarter * z_line, quarter * s_line, quarter * d_line, quarter * w_line
    for first in range(0, n_lines, 4 * quarter):
        for line in range(first, first + quarter):
            for j in range(inner):
                w0 = w + line * w_line + j * n_lanes
                w1, w2, w3 = w0 + w_step, w0 + 2 * w_step, w0 + 3 * w_step
                grad_a0 = grad_b0 = grad_a1 = grad_b1 = grad_a2 = grad_b2 = grad_a3 = grad_b3 = zeros(z)
                grad_c0 = grad_d0 = grad_c1 = grad_d1 = grad_c2 = grad_d2 = grad_c3 = grad_d3 = zeros(z)
                for r in range(rows):
                    # Weights are loaded for every row: the sixteen sums fill half the registers, and operands in L1 are
                    # cheaper than spills (three quarters of the time).
                    a0, b0 = load(weights, w0), load(weights, w0 + width)
                    a1, b1 = load(weights, w1), load(weights, w1 + width)
                    a2, b2 = load(weights, w2), load(weights, w2 + width)
                    a3, b3 = load(weights, w3), load(weights, w3 + width)
                    c0, d0 = load(weights, w0 + 2 * width), load(weights, w0 + 3 * width)
                    c1, d1 = load(weights, w1 + 2 * width), load(weights, w1 + 3 * width)
                    c2, d2 = load(weights, w2 + 2 * width), load(weights, w2 + 3 * width)
                    c3, d3 = load(weights, w3 + 2 * width), load(weights, w3 + 3 * width)
                    i = z_base + line * z_line + j * z_inner + r * z_row
                    z0, z1 = load(z, i), load(z, i + z_step)
                    z2, z3 = load(z, i + 2 * z_step), load(z, i + 3 * z_step)
                    y0 = multiply_add(b0, z2, multiply(a0, z0))
                    y1 = multiply_add(b1, z3, multiply(a1, z1))
                    y2 = multiply_add(b2, z0, multiply(a2, z2))
                    y3 = multiply_add(b3, z1, multiply(a3, z3))
                    s = s_base + line * s_line + j * s_inner + r * s_row
                    g0, g1 = load(src, s), load(src, s + s_step)
                    g2, g3 = load(src, s + 2 * s_step), load(src, s + 3 * s_step)
                    # forward: out0, out1 = c0·y0 + d0·y1, c1·y1 + d1·y0; out2, out3 = c2·y2 + d2·y3, c3·y3 + d3·y2
                    grad_c0, grad_d0 = multiply_add(g0, y0, grad_c0), multiply_add(g0, y1, grad_d0)
                    grad_c1, grad_d1 = multiply_add(g1, y1, grad_c1), multiply_add(g1, y0, grad_d1)
                    grad_c2, grad_d2 = multiply_add(g2, y2, grad_c2), multiply_add(g2, y3, grad_d2)
                    grad_c3, grad_d3 = multiply_add(g3, y3, grad_c3), multiply_add(g3, y2, grad_d3)
                    h0 = multiply_add(d1, g1, multiply(c0, g0))
                    h1 = multiply_add(d0, g0, multiply(c1, g1))
                    h2 = multiply_add(d3, g3, multiply(c2, g2))
                    h3 = multiply_add(d2, g2, multiply(c3, g3))
                    # forward: y0, y2 = a0·z0 + b0·z2, a2·z2 + b2·z0; y1, y3 = a1·z1 + b1·z3, a3·z3 + b3·z1
                    grad_a0, grad_b0 = multiply_add(h0, z0, grad_a0), multiply_add(h0, z2, grad_b0)
                    grad_a1, grad_b1 = multiply_add(h1, z1, grad_a1), multiply_add(h1, z3, grad_b1)
                    grad_a2, grad_b2 = multiply_add(h2, z2, grad_a2), multiply_add(h2, z0, grad_b2)
                    grad_a3, grad_b3 = multiply_add(h3, z3, grad_a3), multiply_add(h3, z1, grad_b3)
                    d = d_base + line * d_line + j * d_inner + r * d_row
                    store(dst, d, multiply_add(b2, h2, multiply(a0, h0)))
                    store(dst, d + d_step, multiply_add(b3, h3, multiply(a1, h1)))
                    store(dst, d + 2 * d_step, multiply_add(b0, h0, multiply(a2, h2)))
                    store(dst, d + 3 * d_step, multiply_add(b1, h1, multiply(a3, h3)))
                _add_to(grads, w0, grad_a0)
                _add_to(grads, w1, grad_a1)
                _add_to(grads, w2, grad_a2)
                _add_to(grads, w3, grad_a3)
                _add_to(grads, w0 + width, grad_b0)
                _add_to(grads, w1 + width, grad_b1)
                _add_to(grads, w2 + width, grad_b2)
                _add_to(grads, w3 + width, grad_b3)
                _add_to(grads, w0 + 2 * width, grad_c0)
                _add_to(grads, w1 + 2 * width, grad_c1)
                _add_to(grads, w2 + 2 * width, grad_c2)
                _add_to(grads, w3 + 2 * width, grad_c3)
                _add_to(grads, w0 + 3 * width, grad_d0)
                _add_to(grads, w1 + 3 * width, grad_d1)
                _add_to(grads, w2 + 3 * width, grad_d2)
                _add_to(grads, w3 + 3 * width, grad_d3)


@ByAddress
def pass2(
    src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, weights_at: Place, groups: Groups,
    shape: Shape, ahead: Size,
):  # fmt: skip
    """One stage, of distance half lines, from ``src`` to ``dst``."""
    n_lanes = lanes(src)
    s_base, s_line, s_inner, s_row = src_at
    d_base, d_line, d_inner, d_row = dst_at
    w, w_line, _, width = weights_at
    half, _ = groups
    n_lines, inner, rows = shape
    for first in range(0, n_lines, 2 * half):
        for line in range(first, first + half):
            for j in range(inner):
                w0 = w + line * w_line + j * n_lanes
                w1 = w0 + half * w_line
                a0, b0 = load(weights, w0), load(weights, w0 + width)
                a1, b1 = load(weights, w1), load(weights, w1 + width)
                for r in range(rows):
                    s = s_base + line * s_line + j * s_inner + r * s_row
                    d = d_base + line * d_line + j * d_inner + r * d_row
                    if ahead:
                        prefetch(src, s + ahead)
                        prefetch(src, s + half * s_line + ahead)
                    z0, z1 = load(src, s), load(src, s + half * s_line)
                    store(dst, d, multiply_add(b0, z1, multiply(a0, z0)))
                    store(dst, d + half * d_line, multiply_add(b1, z0, multiply(a1, z1)))


@ByAddress
def pass2_backward(
    z: Array, z_at: Place, src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, grads: Array,
    weights_at: Place, groups: Groups, shape: Shape,
):  # fmt: skip
    """The transpose of `pass2` at input ``z``: gradients from ``src`` to ``dst``, the weights' added to ``grads``."""
    n_lanes = lanes(z)
    z_base, z_line, z_inner, z_row = z_at
    s_base, s_line, s_inner, s_row = src_at
    d_base, d_line, d_inner, d_row = dst_at
    w, w_line, _, width = weights_at
    half, _ = groups
    n_lines, inner, rows = shape
    for first in range(0, n_lines, 2 * half):
        for line in range(first, first + half):
            for j in range(inner):
                w0 = w + line * w_line + j * n_lanes
                w1 = w0 + half * w_line
                a0, b0 = load(weights, w0), load(weights, w0 + width)
                a1, b1 = load(weights, w1), load(weights, w1 + width)
                grad_a0 = grad_b0 = grad_a1 = grad_b1 = zeros(z)
                for r in range(rows):
                    i = z_base + line * z_line + j * z_inner + r * z_row
                    z0, z1 = load(z, i), load(z, i + half * z_line)
                    s = s_base + line * s_line + j * s_inner + r * s_row
                    g0, g1 = load(src, s), load(src, s + half * s_line)
                    # forward: out0, out1 = a0·z0 + b0·z1, a1·z1 + b1·z0
                    grad_a0, grad_b0 = multiply_add(g0, z0, grad_a0), multiply_add(g0, z1, grad_b0)
                    grad_a1, grad_b1 = multiply_add(g1, z1, grad_a1), multiply_add(g1, z0, grad_b1)
                    d = d_base + line * d_line + j * d_inner + r * d_row
                    store(dst, d, multiply_add(b1, g1, multiply(a0, g0)))
                    store(dst, d + half * d_line, multiply_add(b0, g0, multiply(a1, g1)))
                _add_to(grads, w0, grad_a0)
                _add_to(grads, w1, grad_a1)
                _add_to(grads, w0 + width, grad_b0)
                _add_to(grads, w1 + width, grad_b1)


# --- The last four stages, scale and bias ----------------------------------------------------------------------------
# These take the units of a block in order, each `UNIT` positions that four stages mix with each other alone: a line of
# float32, or two of float64. Their places have no inner lines.


@ByAddress
def finish(
    src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, weights_at: Place, scale: Array,
    bias: Array, position: Size, shape: Shape, relu: Size,
):  # fmt: skip
    """The stages of distances 8, 4, 2 and 1, scale and bias, perhaps a relu."""
    n_lanes = lanes(src)
    s_base, s_line, _, s_row = src_at
    d_base, d_line, _, d_row = dst_at
    w, _, _, width = weights_at
    n_lines, _, rows = shape
    floor = zeros_unit(src) if relu else minus_infinity_unit(src)
    for line in range(0, n_lines, UNIT // n_lanes):
        i, p = w + line * n_lanes, position + line * n_lanes
        a8, b8 = load_unit(weights, i, n_lanes), load_unit(weights, i + width, n_lanes)
        a4, b4 = load_unit(weights, i + 2 * width, n_lanes), load_unit(weights, i + 3 * width, n_lanes)
        a2, b2 = load_unit(weights, i + 4 * width, n_lanes), load_unit(weights, i + 5 * width, n_lanes)
        a1, b1 = load_unit(weights, i + 6 * width, n_lanes), load_unit(weights, i + 7 * width, n_lanes)
        factor, shift = load_unit(scale, p, n_lanes), load_unit(bias, p, n_lanes)
        for r in range(rows):
            z = load_unit(src, s_base + line * s_line + r * s_row, s_line)
            z = multiply_add(b8, swap(z, 8), multiply(a8, z))
            z = multiply_add(b4, swap(z, 4), multiply(a4, z))
            z = multiply_add(b2, swap(z, 2), multiply(a2, z))
            z = multiply_add(b1, swap(z, 1), multiply(a1, z))
            d = d_base + line * d_line + r * d_row
            prefetch_for_writing(dst, d + AHEAD * n_lanes)
            store_many(dst, d, d_line, maximum(multiply_add(factor, z, shift), floor))


@ByAddress
def finish_backward(
    z: Array, z_at: Place, src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, grads: Array,
    weights_at: Place, shape: Shape,
):  # fmt: skip
    """The transpose of `finish` at input ``z``, from ``src`` to ``dst``; gradients of the parameters are added to.

    The scale follows the last weights, ``width`` further on, and in ``grads`` the bias's gradient the scale's.
    """
    n_lanes = lanes(z)
    z_base, z_line, _, z_row = z_at
    s_base, s_line, _, s_row = src_at
    d_base, d_line, _, d_row = dst_at
    w, _, _, width = weights_at
    n_lines, _, rows = shape
    for line in range(0, n_lines, UNIT // n_lanes):
        i = w + line * n_lanes
        a8, b8 = load_unit(weights, i, n_lanes), load_unit(weights, i + width, n_lanes)
        a4, b4 = load_unit(weights, i + 2 * width, n_lanes), load_unit(weights, i + 3 * width, n_lanes)
        a2, b2 = load_unit(weights, i + 4 * width, n_lanes), load_unit(weights, i + 5 * width, n_lanes)
        a1, b1 = load_unit(weights, i + 6 * width, n_lanes), load_unit(weights, i + 7 * width, n_lanes)
        factor = load_unit(weights, i + 8 * width, n_lanes)
        scaled_a1, scaled_b1 = multiply(factor, a1), multiply(factor, b1)
        grad_a8 = grad_b8 = grad_a4 = grad_b4 = zeros_unit(z)
        grad_a2 = grad_b2 = grad_a1 = grad_b1 = sum_bias = zeros_unit(z)
        for r in range(rows):
            z8 = load_unit(z, z_base + line * z_line + r * z_row, z_line)
            z4 = multiply_add(b8, swap(z8, 8), multiply(a8, z8))
            z2 = multiply_add(b4, swap(z4, 4), multiply(a4, z4))
            z1 = multiply_add(b2, swap(z2, 2), multiply(a2, z2))
            s = s_base + line * s_line + r * s_row
            prefetch(src, s + AHEAD * n_lanes)
            grad = load_unit(src, s, s_line)
            sum_bias = add(sum_bias, grad)
            # forward: out = factor · (a1·z1 + b1·swap(z1)) + shift; the factor is taken care of outside the loop
            grad_a1, grad_b1 = multiply_add(grad, z1, grad_a1), multiply_add(grad, swap(z1, 1), grad_b1)
            grad = multiply_add(scaled_a1, grad, swap(multiply(scaled_b1, grad), 1))
            # forward, at the other distances: z' = a·z + b·swap(z)
            grad_a2, grad_b2 = multiply_add(grad, z2, grad_a2), multiply_add(grad, swap(z2, 2), grad_b2)
            grad = multiply_add(a2, grad, swap(multiply(b2, grad), 2))
            grad_a4, grad_b4 = multiply_add(grad, z4, grad_a4), multiply_add(grad, swap(z4, 4), grad_b4)
            grad = multiply_add(a4, grad, swap(multiply(b4, grad), 4))
            grad_a8, grad_b8 = multiply_add(grad, z8, grad_a8), multiply_add(grad, swap(z8, 8), grad_b8)
            grad = multiply_add(a8, grad, swap(multiply(b8, grad), 8))
            store_many(dst, d_base + line * d_line + r * d_row, d_line, grad)
        add_many(grads, i, n_lanes, grad_a8)
        add_many(grads, i + width, n_lanes, grad_b8)
        add_many(grads, i + 2 * width, n_lanes, grad_a4)
        add_many(grads, i + 3 * width, n_lanes, grad_b4)
        add_many(grads, i + 4 * width, n_lanes, grad_a2)
        add_many(grads, i + 5 * width, n_lanes, grad_b2)
        add_many(grads, i + 6 * width, n_lanes, multiply(factor, grad_a1))
        add_many(grads, i + 7 * width, n_lanes, multiply(factor, grad_b1))
        add_many(grads, i + 8 * width, n_lanes, multiply_add(b1, grad_b1, multiply(a1, grad_a1)))
        add_many(grads, i + 9 * width, n_lanes, sum_bias)


# --- Moving lines ----------------------------------------------------------------------------------------------------


@ByAddress
def copy(src: Array, src_at: Place, dst: Array, dst_at: Place, shape: Shape):
    """Copy lines row by row, in runs of ``inner``, asking for those two runs ahead."""
    s_base, s_line, s_inner, s_row = src_at
    d_base, d_line, d_inner, d_row = dst_at
    n_lines, inner, rows = shape
    for r in range(rows):
        for line in range(n_lines):
            s = s_base + line * s_line + r * s_row
            d = d_base + line * d_line + r * d_row
            for j in range(inner):
                prefetch(src, s + 2 * s_line + j * s_inner)
                prefetch_for_writing(dst, d + 2 * d_line + j * d_inner)
                store(dst, d + j * d_inner, load(src, s + j * s_inner))


@ByAddress
def put(src: Array, src_at: Place, dst: Array, dst_at: Place, shape: Shape, fresh: Size):
    """Store sums where they are ``fresh``, else add them to what is there."""
    s_base, s_line, s_inner, s_row = src_at
    d_base, d_line, d_inner, d_row = dst_at
    n_lines, inner, rows = shape
    for r in range(rows):
        for line in range(n_lines):
            for j in range(inner):
                s = s_base + line * s_line + j * s_inner + r * s_row
                d = d_base + line * d_line + j * d_inner + r * d_row
                if fresh:
                    store(dst, d, load(src, s))
                else:
                    _add_to(dst, d, load(src, s))


@helper
def clear(array):
    """Set whole vectors to zero."""
    for i in range(0, len(array), lanes(array)):
        store(array, i, zeros(array))
