"""LDL as plain Numba loops, a row at a time: the formula, for rows narrower than a unit and for comparison.

`ldlrpp.kernels.cpu.ldl` has the same functions in explicit vector code, whose units are 16 positions, and calls these
where a row is narrower.
"""

import numpy as np
from numba import prange

from ldlrpp.kernels.compiling import helper, njit
from ldlrpp.kernels.ldl_weights import radix_of, stages

# Parts of a batch: one task each, with a partial sum of its own of the parameters' gradients.
_PARTS = 32
# Numbers in the partial sums of the weights' gradients, over all parts, at most.
_PARTIAL = 2**24


@helper
def _stage(z, weights, distance, out):
    """A stage of a row, by its weights (r, N)."""
    for p in range(len(z)):
        total = weights[0, p] * z[p]
        for q in range(1, len(weights)):
            total += weights[q, p] * z[p ^ (q * distance)]
        out[p] = total


@helper
def _stage_backward(grad, z, weights, distance, grad_weights, out):
    """Transpose of `_stage` at input ``z``: ``out`` is the gradient of ``z``, grad_weights is added to."""
    for p in range(len(z)):
        total = weights[0, p] * grad[p]
        grad_weights[0, p] += grad[p] * z[p]
        for q in range(1, len(weights)):
            other = p ^ (q * distance)
            # forward: out[other] = … + weights[q, other] · z[p]
            total += weights[q, other] * grad[other]
            grad_weights[q, p] += grad[p] * z[other]
        out[p] = total


@helper
def _forward_part(x, weights, radices, scale, bias, relu, out, first, stop):
    width = x.shape[1]
    z, mixed = np.empty(width, x.dtype), np.empty(width, x.dtype)
    for r in range(first, stop):
        for p in range(width):
            z[p] = x[r, p]
        start, distance = 0, width
        for radix in radices:
            distance //= radix
            _stage(z, weights[start : start + radix], distance, mixed)
            z, mixed = mixed, z
            start += radix
        for p in range(width):
            y = scale[p] * z[p] + bias[p]
            out[r, p] = x.dtype.type(0) if relu and y < 0 else y


@njit(parallel=True, cache=True)
def _forward(x, weights, radices, scale, bias, relu, out):
    batch = len(x)
    for part in prange(_PARTS):
        first, stop = part * batch // _PARTS, (part + 1) * batch // _PARTS
        _forward_part(x, weights, radices, scale, bias, relu, out, first, stop)


def _rows(weights):
    """Weights, or gradients of them, as rows, stage after stage, and the stages' radices."""
    width = weights.shape[-1]
    return weights.reshape(-1, width), np.array(stages(width, radix_of(weights.shape)), np.int64)


def forward(x, weights, scale, bias, relu, out):
    """``out = scale · z + bias`` with z the last stage, perhaps its relu; x, out (batch, N), weights of any radix."""
    _forward(x, *_rows(weights), scale, bias, relu, out)


@helper
def _backward_part(grad_y, x, weights, radices, scale, grad_x, grad_weights, grad_scale, grad_bias, first, stop):
    n_stages, width = len(radices), x.shape[1]
    z = np.empty((n_stages + 1, width), x.dtype)
    grad, grad_z = np.empty(width, x.dtype), np.empty(width, x.dtype)
    for r in range(first, stop):
        for p in range(width):
            z[0, p] = x[r, p]
        start, distance = 0, width
        for s in range(n_stages):
            distance //= radices[s]
            _stage(z[s], weights[start : start + radices[s]], distance, z[s + 1])
            start += radices[s]
        for p in range(width):
            # forward: out = scale · z + bias
            grad_scale[p] += grad_y[r, p] * z[n_stages, p]
            grad_bias[p] += grad_y[r, p]
            grad[p] = grad_y[r, p] * scale[p]
        for s in range(n_stages - 1, -1, -1):
            stop_row, start = start, start - radices[s]
            rows = slice(start, stop_row)
            _stage_backward(grad, z[s], weights[rows], distance, grad_weights[rows], grad_z)
            grad, grad_z = grad_z, grad
            distance *= radices[s]
        for p in range(width):
            grad_x[r, p] = grad[p]


@njit(parallel=True, cache=True)
def _backward(grad_y, x, weights, radices, scale, grad_x, grad_weights, grad_scale, grad_bias):
    batch, n_parts = len(x), len(grad_weights)
    for part in prange(n_parts):
        _backward_part(
            grad_y, x, weights, radices, scale, grad_x, grad_weights[part], grad_scale[part], grad_bias[part],
            part * batch // n_parts, (part + 1) * batch // n_parts,
        )  # fmt: skip


def backward(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias):
    """The transpose of `forward`: overwrites all four gradients, adding the parts of the batch up in order."""
    rows, radices = _rows(weights)
    grads = grad_weights.reshape(rows.shape), grad_scale, grad_bias
    n_parts = max(1, min(_PARTS, _PARTIAL // max(1, rows.size)))
    partial = [np.zeros((n_parts, *grad.shape), x.dtype) for grad in grads]
    _backward(grad_y, x, rows, radices, scale, grad_x, *partial)
    for grad, parts in zip(grads, partial, strict=True):
        np.add.reduce(parts, axis=0, out=grad)
