"""LDL on the GPU as batched matrix products, for radices above 4, and for a layer of one position.

A stage of radix r and distance h takes the positions of every group of r that are h apart to themselves by a matrix of
its own, r by r: N / r products of (batch, r) by (r, r), by cuBLAS. Between stages rows are laid out anew, group by
group; that and the products are two passes over memory each.
"""

import functools

import numpy as np

from ldlrpp.kernels.cuda import memory
from ldlrpp.kernels.ldl_weights import radix_of, stages

# Numbers of a part of the batch, of which every stage's input is kept for backward.
_PART = 2**25


def forward(x, weights, scale, bias, relu, out):
    """As `ldlrpp.kernels.cuda.ldl.forward`."""
    accumulator = memory.accumulator(x.dtype)
    matrices = _matrices(weights.astype(accumulator, copy=False))
    part = max(1, _PART // x.shape[1])
    for first in range(0, len(x), part):
        z = x[first : first + part].astype(accumulator, copy=False)
        for matrix, radix, distance in matrices:
            z = _rows(memory.xp.matmul(_groups(z, radix, distance), matrix), distance)
        y = z * scale.astype(accumulator, copy=False)
        y += bias.astype(accumulator, copy=False)
        if relu:
            # NaN stays
            y[y < 0] = 0
        out[first : first + part] = y.astype(x.dtype, copy=False)


def backward(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias):
    """As `ldlrpp.kernels.cuda.ldl.backward`."""
    xp, accumulator = memory.xp, memory.accumulator(x.dtype)
    matrices = _matrices(weights.astype(accumulator, copy=False))
    sums = [xp.zeros(matrix.shape, accumulator) for matrix, _, _ in matrices]
    sum_scale, sum_bias = (xp.zeros(scale.shape, accumulator) for _ in range(2))
    part = max(1, _PART // x.shape[1])
    for first in range(0, len(x), part):
        rows = slice(first, first + part)
        z, kept = x[rows].astype(accumulator, copy=False), []
        for matrix, radix, distance in matrices:
            kept.append(_groups(z, radix, distance))
            z = _rows(xp.matmul(kept[-1], matrix), distance)
        grad = grad_y[rows].astype(accumulator, copy=False)
        # forward: out = scale · z + bias
        sum_scale += _column_sums(grad * z)
        sum_bias += _column_sums(grad)
        grad = grad * scale.astype(accumulator, copy=False)
        for s, (matrix, radix, distance) in reversed(list(enumerate(matrices))):
            of_groups = _groups(grad, radix, distance)
            sums[s] += xp.matmul(kept[s].transpose(0, 2, 1), of_groups)
            grad = _rows(xp.matmul(of_groups, matrix.transpose(0, 2, 1)), distance)
        grad_x[rows] = grad.astype(x.dtype, copy=False)
    grad_scale[...] = sum_scale.astype(x.dtype, copy=False)
    grad_bias[...] = sum_bias.astype(x.dtype, copy=False)
    width, first = x.shape[1], 0
    grad_rows = grad_weights.reshape(-1, width)
    for (_, radix, distance), total in zip(matrices, sums, strict=True):
        grad_rows[first : first + radix] = _weights(total, distance).astype(x.dtype, copy=False)
        first += radix


def scratch_bytes(batch, width, radix, itemsize):
    """Memory that `backward` takes beside its arguments: inputs of all stages, and what is made of a row."""
    n_stages = len(stages(width, radix))
    return min(batch * width, max(width, _PART)) * (n_stages + 4) * itemsize


def _column_sums(x):
    """Sums over the batch, as a product, which takes the same order everywhere that cuBLAS is the same."""
    return memory.xp.ones((1, len(x)), x.dtype).dot(x)[0]


def _groups(z, radix, distance):
    """Rows (batch, N) as the inputs of all matrices, (N / r, batch, r), group after group of a distance."""
    groups = z.reshape(len(z), -1, radix, distance).transpose(1, 3, 0, 2)
    return memory.xp.ascontiguousarray(groups).reshape(-1, len(z), radix)


def _rows(groups, distance):
    """The inverse of `_groups`."""
    n_matrices, batch, radix = groups.shape
    rows = groups.reshape(n_matrices // distance, distance, batch, radix).transpose(2, 0, 3, 1)
    return memory.xp.ascontiguousarray(rows).reshape(batch, n_matrices * radix)


def _matrices(weights):
    """For every stage its matrices (N / r, r, r), input by output, its radix and its distance."""
    width = weights.shape[-1]
    rows, first, distance, found = weights.reshape(-1, width), 0, width, []
    for radix in stages(width, radix_of(weights.shape)):
        distance //= radix
        # (q, block, own, position of the block)
        stage = rows[first : first + radix].reshape(radix, -1, radix, distance)
        inputs, outputs = _others(radix, memory.device(weights))
        matrices = stage[inputs, :, outputs].transpose(2, 3, 0, 1)
        found.append((memory.xp.ascontiguousarray(matrices).reshape(-1, radix, radix), radix, distance))
        first += radix
    return found


def _weights(matrices, distance):
    """Rows (r, N) of what has the shape of a stage's matrices: the inverse of `_matrices`."""
    radix = matrices.shape[1]
    blocks = matrices.reshape(-1, distance, radix, radix)
    # row q at `own` has the input q XOR own
    inputs, outputs = _others(radix, memory.device(matrices))
    rows = blocks[:, :, inputs, outputs]
    return rows.transpose(2, 0, 3, 1).reshape(radix, -1)


@functools.cache
def _others(radix, device):
    """(input, own) -> input XOR own, its own inverse, and own, on a GPU: there before any stream may ask for them."""
    own = np.arange(radix)
    arrays = memory.put(own[:, None] ^ own), memory.put(own)
    memory.synchronize()
    return arrays
