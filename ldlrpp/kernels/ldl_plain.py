"""LDL as plain Numba loops, a row at a time: the formula, for widths below a vector and for comparison.

`ldlrpp.kernels.ldl_cpu` has the same functions in explicit vector code and calls these where a row is narrower than
one vector.
"""

import numpy as np
from numba import prange

from ldlrpp.kernels.compiling import helper, njit

# Parts of a batch: one task each, with a partial sum of its own of the parameters' gradients.
_PARTS = 32


@helper
def _stage(z, weights, s, half, out):
    """Stage ``s`` of a row; ``out`` may be ``z``."""
    for start in range(0, len(z), 2 * half):
        for p in range(start, start + half):
            q = p + half
            u, v = z[p], z[q]
            out[p] = weights[s, 0, p] * u + weights[s, 1, p] * v
            out[q] = weights[s, 0, q] * v + weights[s, 1, q] * u


@helper
def _stage_backward(grad, z, weights, s, half, grad_weights):
    """Transpose of `_stage` at input ``z``: ``grad`` is replaced by the gradient of ``z``, grad_weights is added to."""
    for start in range(0, len(z), 2 * half):
        for p in range(start, start + half):
            q = p + half
            u, v, grad_p, grad_q = z[p], z[q], grad[p], grad[q]
            # forward: out[p] = weights[0, p] · u + weights[1, p] · v; out[q] = weights[0, q] · v + weights[1, q] · u
            grad_weights[s, 0, p] += grad_p * u
            grad_weights[s, 1, p] += grad_p * v
            grad_weights[s, 0, q] += grad_q * v
            grad_weights[s, 1, q] += grad_q * u
            grad[p] = weights[s, 0, p] * grad_p + weights[s, 1, q] * grad_q
            grad[q] = weights[s, 0, q] * grad_q + weights[s, 1, p] * grad_p


@helper
def _forward_part(x, weights, scale, bias, relu, out, first, stop):
    width = x.shape[1]
    z = np.empty(width, x.dtype)
    for r in range(first, stop):
        for p in range(width):
            z[p] = x[r, p]
        for s in range(len(weights)):
            _stage(z, weights, s, width >> (s + 1), z)
        for p in range(width):
            y = scale[p] * z[p] + bias[p]
            out[r, p] = x.dtype.type(0) if relu and y < 0 else y


@njit(parallel=True, cache=True)
def forward(x, weights, scale, bias, relu, out):
    """``out = scale · z + bias`` with z the last stage, perhaps its relu; x, out (batch, N), weights (L, 2, N)."""
    batch = len(x)
    for part in prange(_PARTS):
        _forward_part(x, weights, scale, bias, relu, out, part * batch // _PARTS, (part + 1) * batch // _PARTS)


@helper
def _backward_part(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias, first, stop):
    n_stages, width = len(weights), x.shape[1]
    z = np.empty((n_stages + 1, width), x.dtype)
    for r in range(first, stop):
        for p in range(width):
            z[0, p] = x[r, p]
        for s in range(n_stages):
            _stage(z[s], weights, s, width >> (s + 1), z[s + 1])
        for p in range(width):
            # forward: out = scale · z + bias
            grad_scale[p] += grad_y[r, p] * z[n_stages, p]
            grad_bias[p] += grad_y[r, p]
            grad_x[r, p] = grad_y[r, p] * scale[p]
        for s in range(n_stages - 1, -1, -1):
            _stage_backward(grad_x[r], z[s], weights, s, width >> (s + 1), grad_weights)


@njit(parallel=True, cache=True)
def _backward(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias):
    batch = len(x)
    for part in prange(_PARTS):
        _backward_part(
            grad_y, x, weights, scale, grad_x, grad_weights[part], grad_scale[part], grad_bias[part],
            part * batch // _PARTS, (part + 1) * batch // _PARTS,
        )  # fmt: skip


def backward(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias):
    """The transpose of `forward`: overwrites all four gradients, adding the parts of the batch up in order."""
    grads = grad_weights, grad_scale, grad_bias
    partial = [np.zeros((_PARTS, *grad.shape), x.dtype) for grad in grads]
    _backward(grad_y, x, weights, scale, grad_x, *partial)
    for grad, parts in zip(grads, partial, strict=True):
        np.add.reduce(parts, axis=0, out=grad)
