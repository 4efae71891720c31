"""LDL as plain Numba loops, a row at a time: the formula, for widths below a vector and for comparison.

`ldlrpp.kernels.ldl_cpu` has the same functions in explicit vector code and calls these where a row is narrower than
one vector.
"""

import numpy as np
from numba import prange

from ldlrpp.kernels.compiling import njit

# Parts of a batch: one task each, with a partial sum of its own of the parameters' gradients.
_PARTS = 32


@njit(cache=True)
def _stage(z, weights, half, out):
    """One stage of a row; ``out`` may be ``z``."""
    for start in range(0, len(z), 2 * half):
        for p in range(start, start + half):
            q = p + half
            u, v = z[p], z[q]
            out[p] = weights[0, p] * u + weights[1, p] * v
            out[q] = weights[0, q] * v + weights[1, q] * u


@njit(cache=True)
def _stage_backward(grad, z, weights, half, grad_weights):
    """Transpose of `_stage` at input ``z``: ``grad`` is replaced by the gradient of ``z``, grad_weights is added to."""
    for start in range(0, len(z), 2 * half):
        for p in range(start, start + half):
            q = p + half
            u, v, grad_p, grad_q = z[p], z[q], grad[p], grad[q]
            # forward: out[p] = weights[0, p] · u + weights[1, p] · v; out[q] = weights[0, q] · v + weights[1, q] · u
            grad_weights[0, p] += grad_p * u
            grad_weights[1, p] += grad_p * v
            grad_weights[0, q] += grad_q * v
            grad_weights[1, q] += grad_q * u
            grad[p] = weights[0, p] * grad_p + weights[1, q] * grad_q
            grad[q] = weights[0, q] * grad_q + weights[1, p] * grad_p


@njit(parallel=True, cache=True)
def forward(x, weights, scale, bias, relu, out):
    """``out = scale · z + bias`` with z the last stage, perhaps its relu; x, out (batch, N), weights (L, 2, N)."""
    batch, width = x.shape
    for part in prange(_PARTS):
        z = np.empty(width, x.dtype)
        for r in range(part * batch // _PARTS, (part + 1) * batch // _PARTS):
            z[:] = x[r]
            for s in range(len(weights)):
                _stage(z, weights[s], width >> (s + 1), z)
            for p in range(width):
                y = scale[p] * z[p] + bias[p]
                out[r, p] = x.dtype.type(0) if relu and y < 0 else y


@njit(parallel=True, cache=True)
def backward(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias):
    """The transpose of `forward`: overwrites all four gradients, adding the parts of the batch up in order."""
    batch, width = x.shape
    n_stages = len(weights)
    partial_weights = np.zeros((_PARTS, n_stages, 2, width), x.dtype)
    partial_scale = np.zeros((_PARTS, width), x.dtype)
    partial_bias = np.zeros((_PARTS, width), x.dtype)
    for part in prange(_PARTS):
        z = np.empty((n_stages + 1, width), x.dtype)
        for r in range(part * batch // _PARTS, (part + 1) * batch // _PARTS):
            z[0] = x[r]
            for s in range(n_stages):
                _stage(z[s], weights[s], width >> (s + 1), z[s + 1])
            for p in range(width):
                # forward: out = scale · z + bias
                partial_scale[part, p] += grad_y[r, p] * z[n_stages, p]
                partial_bias[part, p] += grad_y[r, p]
                grad_x[r, p] = grad_y[r, p] * scale[p]
            for s in range(n_stages - 1, -1, -1):
                _stage_backward(grad_x[r], z[s], weights[s], width >> (s + 1), partial_weights[part, s])
    grad_weights[:] = 0
    grad_scale[:] = 0
    grad_bias[:] = 0
    for part in range(_PARTS):
        grad_weights += partial_weights[part]
        grad_scale += partial_scale[part]
        grad_bias += partial_bias[part]
