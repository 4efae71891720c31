"""LDL on the CPU: a butterfly applied to tiles of sixteen rows.

Arrays are feature-major, ``(width, batch)``. Sixteen rows of the batch are copied to a tile ``(N, 16)``, zero-padded
where the batch ends, and all stages run on the tile: a weight is then one broadcast over sixteen neighbours in
memory, whatever the stage's distance, and no arithmetic depends on where in the batch a row stands. Stage s mixes
positions ``p`` and ``q = p + h``, h = N / 2^(s+1)::

    z[p], z[q] = a·z[p] + b·z[q],  c·z[p] + d·z[q]      a, b = weights[s, :, p];  d, c = weights[s, :, q]

Tiles are dealt to a number of parts that depends on the shapes alone; each part is one task with one buffer, and one
partial sum of the weight gradients, added up in order: results are the same to the last bit for any number of
threads.
"""

import numpy as np
from numba import njit, prange

TILE = 16
# Parts of a batch: enough to feed 64 threads, each part allocating its buffers once.
_PARTS = 64
# Bound on the entries of all partial weight gradients together (64 MiB of float32); one part at least.
_PARTIAL_ENTRIES = 2**24

_FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}


@njit(cache=True, fastmath=_FASTMATH)
def _pack(x, first, out):
    """Copy rows ``first … first+15`` of the batch into the tile out (N, 16), with zeros beyond the batch."""
    rows = min(TILE, x.shape[1] - first)
    for p in range(out.shape[0]):
        for r in range(rows):
            out[p, r] = x[p, first + r]
        for r in range(rows, TILE):
            out[p, r] = 0


@njit(cache=True, fastmath=_FASTMATH)
def _stage(z, weights, half, out):
    """One stage of a tile; ``out`` may be ``z``."""
    for start in range(0, z.shape[0], 2 * half):
        for p in range(start, start + half):
            q = p + half
            a, b, c, d = weights[0, p], weights[1, p], weights[1, q], weights[0, q]
            for r in range(TILE):
                u, v = z[p, r], z[q, r]
                out[p, r] = a * u + b * v
                out[q, r] = c * u + d * v


@njit(cache=True, fastmath=_FASTMATH)
def _stage_backward(grad, z, weights, half, grad_weights):
    """Transpose of `_stage` at input ``z``: ``grad`` is replaced by the gradient of ``z``, grad_weights is added to."""
    for start in range(0, z.shape[0], 2 * half):
        for p in range(start, start + half):
            q = p + half
            a, b, c, d = weights[0, p], weights[1, p], weights[1, q], weights[0, q]
            sum_a = sum_b = sum_c = sum_d = grad.dtype.type(0)
            for r in range(TILE):
                u, v, grad_p, grad_q = z[p, r], z[q, r], grad[p, r], grad[q, r]
                # forward: out[p] = a·u + b·v, out[q] = c·u + d·v
                sum_a += grad_p * u
                sum_b += grad_p * v
                sum_c += grad_q * u
                sum_d += grad_q * v
                grad[p, r] = a * grad_p + c * grad_q
                grad[q, r] = b * grad_p + d * grad_q
            grad_weights[0, p] += sum_a
            grad_weights[1, p] += sum_b
            grad_weights[1, q] += sum_c
            grad_weights[0, q] += sum_d


@njit(parallel=True, cache=True, fastmath=_FASTMATH)
def forward(x, weights, scale, bias, out):
    """``out = scale · z + bias`` with z the last stage.

    x, out (N, batch), weights (L, 2, N), scale, bias (N,). Parallel over parts of the batch; each row is written by
    one task.
    """
    width, batch = x.shape
    n_tiles = (batch + TILE - 1) // TILE
    n_parts = min(n_tiles, _PARTS)
    for part in prange(n_parts):
        z = np.empty((width, TILE), x.dtype)
        for tile in range(part * n_tiles // n_parts, (part + 1) * n_tiles // n_parts):
            first = tile * TILE
            _pack(x, first, z)
            for s in range(weights.shape[0]):
                _stage(z, weights[s], width >> (s + 1), z)
            for p in range(width):
                for r in range(min(TILE, batch - first)):
                    out[p, first + r] = scale[p] * z[p, r] + bias[p]


@njit(parallel=True, cache=True, fastmath=_FASTMATH)
def backward(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias):
    """The transpose of `forward`: overwrites all four gradients.

    grad_y, x, grad_x (N, batch), weights, grad_weights (L, 2, N), the others (N,). Each part runs its tiles forward
    again, keeping the input of every stage, and adds up weight gradients of its own; the parts are added in order,
    parallel over positions.
    """
    width, batch = x.shape
    n_stages = weights.shape[0]
    n_tiles = (batch + TILE - 1) // TILE
    n_parts = max(1, min(n_tiles, _PARTS, _PARTIAL_ENTRIES // (2 * width * (n_stages + 1))))
    partial_weights = np.zeros((n_parts, n_stages, 2, width), x.dtype)
    partial_scale = np.zeros((n_parts, width), x.dtype)
    partial_bias = np.zeros((n_parts, width), x.dtype)
    for part in prange(n_parts):
        z = np.empty((n_stages + 1, width, TILE), x.dtype)
        grad = np.empty((width, TILE), x.dtype)
        for tile in range(part * n_tiles // n_parts, (part + 1) * n_tiles // n_parts):
            first = tile * TILE
            _pack(x, first, z[0])
            for s in range(n_stages):
                _stage(z[s], weights[s], width >> (s + 1), z[s + 1])
            _pack(grad_y, first, grad)
            for p in range(width):
                sum_scale = sum_bias = x.dtype.type(0)
                for r in range(TILE):
                    # forward: out = scale · z + bias
                    sum_scale += grad[p, r] * z[n_stages, p, r]
                    sum_bias += grad[p, r]
                    grad[p, r] *= scale[p]
                partial_scale[part, p] += sum_scale
                partial_bias[part, p] += sum_bias
            for s in range(n_stages - 1, -1, -1):
                _stage_backward(grad, z[s], weights[s], width >> (s + 1), partial_weights[part, s])
            for p in range(width):
                for r in range(min(TILE, batch - first)):
                    grad_x[p, first + r] = grad[p, r]
    for p in prange(width):
        grad_scale[p] = 0
        grad_bias[p] = 0
        for s in range(n_stages):
            grad_weights[s, 0, p] = 0
            grad_weights[s, 1, p] = 0
        for part in range(n_parts):
            grad_scale[p] += partial_scale[part, p]
            grad_bias[p] += partial_bias[part, p]
            for s in range(n_stages):
                grad_weights[s, 0, p] += partial_weights[part, s, 0, p]
                grad_weights[s, 1, p] += partial_weights[part, s, 1, p]
