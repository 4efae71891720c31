"""LDL of radix 4 on the CPU, the arithmetic: the twins of the passes over radix-2 stages in `ldl_passes`.

A stage mixes four lines by sixteen lines of weights: as much forward as two stages of radix 2, and less backward, for
nothing lies between that would have to be computed again.
"""

from ldlrpp.kernels.compiling import helper
from ldlrpp.kernels.cpu.addresses import Array, ByAddress, Size
from ldlrpp.kernels.cpu.ldl_passes import AHEAD, Groups, Place, Shape
from ldlrpp.kernels.cpu.vectors import (
    UNIT,
    add,
    add_many,
    blocks,
    exchange,
    lanes,
    load_block,
    load_many,
    load_unit,
    maximum,
    minus_infinity_unit,
    multiply,
    multiply_add,
    prefetch,
    prefetch_for_writing,
    store_many,
    swap,
    zeros_many,
    zeros_unit,
)


@ByAddress
def mix4(
    src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, weights_at: Place, groups: Groups,
    shape: Shape, ahead: Size,
):  # fmt: skip
    """A stage that mixes lines ``quarter`` lines apart, from ``src`` to ``dst``."""
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
                i = w + line * w_line + j * n_lanes
                # of a line itself, and of the lines that are 1, 2 and 3 quarters from it by XOR
                w0, w1 = load_many(weights, i, w_step, 4), load_many(weights, i + width, w_step, 4)
                w2, w3 = load_many(weights, i + 2 * width, w_step, 4), load_many(weights, i + 3 * width, w_step, 4)
                for r in range(rows):
                    s = s_base + line * s_line + j * s_inner + r * s_row
                    if ahead:
                        prefetch(src, s + ahead)
                        prefetch(src, s + s_step + ahead)
                        prefetch(src, s + 2 * s_step + ahead)
                        prefetch(src, s + 3 * s_step + ahead)
                    z = load_many(src, s, s_step, 4)
                    y = multiply_add(w1, exchange(z, 1), multiply(w0, z))
                    y = multiply_add(w3, exchange(z, 3), multiply_add(w2, exchange(z, 2), y))
                    store_many(dst, d_base + line * d_line + j * d_inner + r * d_row, d_step, y)


@ByAddress
def mix4_backward(
    z: Array, z_at: Place, src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, grads: Array,
    weights_at: Place, groups: Groups, shape: Shape,
):  # fmt: skip
    """The transpose of `mix4` at input ``z``: gradients from ``src`` to ``dst``, the weights' added to ``grads``."""
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
                i = w + line * w_line + j * n_lanes
                z_group = z_base + line * z_line + j * z_inner
                s_group = s_base + line * s_line + j * s_inner
                # rows are gone through twice: sixteen sums and sixteen weights together would not fit the registers
                grad_w0 = grad_w1 = grad_w2 = grad_w3 = zeros_many(z, 4)
                for r in range(rows):
                    inputs = load_many(z, z_group + r * z_row, z_step, 4)
                    grad = load_many(src, s_group + r * s_row, s_step, 4)
                    # forward: out = w0·z + w1·exchange(z, 1) + w2·exchange(z, 2) + w3·exchange(z, 3)
                    grad_w0 = multiply_add(grad, inputs, grad_w0)
                    grad_w1 = multiply_add(grad, exchange(inputs, 1), grad_w1)
                    grad_w2 = multiply_add(grad, exchange(inputs, 2), grad_w2)
                    grad_w3 = multiply_add(grad, exchange(inputs, 3), grad_w3)
                add_many(grads, i, w_step, grad_w0)
                add_many(grads, i + width, w_step, grad_w1)
                add_many(grads, i + 2 * width, w_step, grad_w2)
                add_many(grads, i + 3 * width, w_step, grad_w3)
                w0, w1 = load_many(weights, i, w_step, 4), exchange(load_many(weights, i + width, w_step, 4), 1)
                w2 = exchange(load_many(weights, i + 2 * width, w_step, 4), 2)
                w3 = exchange(load_many(weights, i + 3 * width, w_step, 4), 3)
                for r in range(rows):
                    grad = load_many(src, s_group + r * s_row, s_step, 4)
                    back = multiply_add(w1, exchange(grad, 1), multiply(w0, grad))
                    back = multiply_add(w3, exchange(grad, 3), multiply_add(w2, exchange(grad, 2), back))
                    store_many(dst, d_base + line * d_line + j * d_inner + r * d_row, d_step, back)


# --- The last two stages, scale and bias -----------------------------------------------------------------------------
# Swapping lanes takes one of the two units that multiply, so the fewer swaps the better. The stage of distance 4 mixes
# the four blocks of a unit: it is done by loading each block into all four places, and by weights in another order,
#     out = Σ_j blocks(w0, w1, w2, w3, j) · block j of z
# and so are the sums for its weights' gradients.


@helper
def _sum(a, x, b, y):
    return multiply_add(b, y, multiply(a, x))


@helper
def _mix_blocks(w0, w1, w2, w3, src, s, s_line):
    """The stage of distance 4 of the unit at ``s``, by weights in the order of blocks."""
    z = _sum(w0, load_block(src, s, s_line, 0), w1, load_block(src, s, s_line, 1))
    return multiply_add(w3, load_block(src, s, s_line, 3), multiply_add(w2, load_block(src, s, s_line, 2), z))


@ByAddress
def finish4(
    src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, weights_at: Place, scale: Array,
    bias: Array, position: Size, shape: Shape, relu: Size,
):  # fmt: skip
    """The stages of distances 4 and 1, scale and bias, perhaps a relu."""
    n_lanes = lanes(src)
    s_base, s_line, _, s_row = src_at
    d_base, d_line, _, d_row = dst_at
    w, _, _, width = weights_at
    n_lines, _, rows = shape
    floor = zeros_unit(src) if relu else minus_infinity_unit(src)
    for line in range(0, n_lines, UNIT // n_lanes):
        i, p = w + line * n_lanes, position + line * n_lanes
        a0, a1 = load_unit(weights, i, n_lanes), load_unit(weights, i + width, n_lanes)
        a2, a3 = load_unit(weights, i + 2 * width, n_lanes), load_unit(weights, i + 3 * width, n_lanes)
        w0, w1 = blocks(a0, a1, a2, a3, 0), blocks(a0, a1, a2, a3, 1)
        w2, w3 = blocks(a0, a1, a2, a3, 2), blocks(a0, a1, a2, a3, 3)
        b0, b1 = load_unit(weights, i + 4 * width, n_lanes), load_unit(weights, i + 5 * width, n_lanes)
        b2, b3 = load_unit(weights, i + 6 * width, n_lanes), load_unit(weights, i + 7 * width, n_lanes)
        factor, shift = load_unit(scale, p, n_lanes), load_unit(bias, p, n_lanes)
        for r in range(rows):
            y = _mix_blocks(w0, w1, w2, w3, src, s_base + line * s_line + r * s_row, s_line)
            y = multiply_add(b3, swap(y, 3), multiply_add(b2, swap(y, 2), _sum(b0, y, b1, swap(y, 1))))
            d = d_base + line * d_line + r * d_row
            prefetch_for_writing(dst, d + AHEAD * n_lanes)
            store_many(dst, d, d_line, maximum(multiply_add(factor, y, shift), floor))


@ByAddress
def finish4_backward(
    z: Array, z_at: Place, src: Array, src_at: Place, dst: Array, dst_at: Place, weights: Array, grads: Array,
    weights_at: Place, shape: Shape,
):  # fmt: skip
    """The transpose of `finish4` at input ``z``, from ``src`` to ``dst``; gradients of the parameters are added to.

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
        a0, a1 = load_unit(weights, i, n_lanes), load_unit(weights, i + width, n_lanes)
        a2, a3 = load_unit(weights, i + 2 * width, n_lanes), load_unit(weights, i + 3 * width, n_lanes)
        w0, w1 = blocks(a0, a1, a2, a3, 0), blocks(a0, a1, a2, a3, 1)
        w2, w3 = blocks(a0, a1, a2, a3, 2), blocks(a0, a1, a2, a3, 3)
        b0, b1 = load_unit(weights, i + 4 * width, n_lanes), load_unit(weights, i + 5 * width, n_lanes)
        b2, b3 = load_unit(weights, i + 6 * width, n_lanes), load_unit(weights, i + 7 * width, n_lanes)
        factor = load_unit(weights, i + 8 * width, n_lanes)
        # Backward, two swaps do for three, as swap 3 is swap 1 of swap 2:
        #     b0·g + swap(b1·g, 1) + swap(b2·g, 2) + swap(b3·g, 3)
        #       = b0·g + swap(b2, 2)·swap(g, 2) + swap(b1·g + swap(b3, 2)·swap(g, 2), 1)
        # and swap(g, 2) serves the weights' gradients as well.
        a2, a3 = swap(a2, 8), swap(a3, 8)
        b0, b1 = multiply(factor, b0), multiply(factor, b1)
        b2, b3 = swap(multiply(factor, b2), 2), swap(multiply(factor, b3), 2)
        grad_w0 = grad_w1 = grad_w2 = grad_w3 = zeros_unit(z)
        grad_b0 = grad_b1 = grad_b2 = grad_b3 = sum_bias = zeros_unit(z)
        for r in range(rows):
            at = z_base + line * z_line + r * z_row
            y0 = _mix_blocks(w0, w1, w2, w3, z, at, z_line)
            y1 = swap(y0, 1)
            s = s_base + line * s_line + r * s_row
            prefetch(src, s + AHEAD * n_lanes)
            grad = load_unit(src, s, s_line)
            other = swap(grad, 2)
            sum_bias = add(sum_bias, grad)
            # the factor of these four is taken care of outside the loop
            grad_b0, grad_b1 = multiply_add(grad, y0, grad_b0), multiply_add(grad, y1, grad_b1)
            grad_b2, grad_b3 = multiply_add(other, y0, grad_b2), multiply_add(other, y1, grad_b3)
            grad = add(_sum(b0, grad, b2, other), swap(_sum(b1, grad, b3, other), 1))
            grad_w0 = multiply_add(grad, load_block(z, at, z_line, 0), grad_w0)
            grad_w1 = multiply_add(grad, load_block(z, at, z_line, 1), grad_w1)
            grad_w2 = multiply_add(grad, load_block(z, at, z_line, 2), grad_w2)
            grad_w3 = multiply_add(grad, load_block(z, at, z_line, 3), grad_w3)
            other = swap(grad, 8)
            grad = add(_sum(a0, grad, a2, other), swap(_sum(a1, grad, a3, other), 4))
            store_many(dst, d_base + line * d_line + r * d_row, d_line, grad)
        grad_b2, grad_b3 = swap(grad_b2, 2), swap(grad_b3, 2)
        b0, b1 = load_unit(weights, i + 4 * width, n_lanes), load_unit(weights, i + 5 * width, n_lanes)
        b2, b3 = load_unit(weights, i + 6 * width, n_lanes), load_unit(weights, i + 7 * width, n_lanes)
        of_scale = _sum(b0, grad_b0, b1, grad_b1)
        of_scale = multiply_add(b3, grad_b3, multiply_add(b2, grad_b2, of_scale))
        add_many(grads, i, n_lanes, blocks(grad_w0, grad_w1, grad_w2, grad_w3, 0))
        add_many(grads, i + width, n_lanes, blocks(grad_w0, grad_w1, grad_w2, grad_w3, 1))
        add_many(grads, i + 2 * width, n_lanes, blocks(grad_w0, grad_w1, grad_w2, grad_w3, 2))
        add_many(grads, i + 3 * width, n_lanes, blocks(grad_w0, grad_w1, grad_w2, grad_w3, 3))
        add_many(grads, i + 4 * width, n_lanes, multiply(factor, grad_b0))
        add_many(grads, i + 5 * width, n_lanes, multiply(factor, grad_b1))
        add_many(grads, i + 6 * width, n_lanes, multiply(factor, grad_b2))
        add_many(grads, i + 7 * width, n_lanes, multiply(factor, grad_b3))
        add_many(grads, i + 8 * width, n_lanes, of_scale)
        add_many(grads, i + 9 * width, n_lanes, sum_bias)
