"""A dense layer on the CPU: BLAS's product in parts, one for every task, so that Numba's threads do all of the work.

Arrays are in C order; ``weights`` is ``(n_outputs, n_inputs)``. BLAS is called inside ``prange``: the caller must have
limited it to one thread (`ldlrpp.kernels.threads.single_threaded_blas`). How the work is cut depends on the shapes
alone, so results are the same to the last bit for any number of threads.
"""

from numba import prange

from ldlrpp.kernels.blas import gemm, gemm_address
from ldlrpp.kernels.compiling import njit

# Parts of a product at most, for the threads to share, and what each has at least: BLAS packs a factor for every part
# ((200, 1024) by (1024, 64) takes 0.19 ms on two cores in parts of 100 rows, in parts of 50 as long as on one, 0.30).
_PARTS = 16
_LEAST_ROWS = 100
_LEAST_COLUMNS = 128


@njit(cache=True)
def _cut(n_rows, n_columns):
    """Rows and columns of a part of a product of that shape: columns are cut first, whose packing costs less."""
    n_blocks = max(1, min(_PARTS, n_columns // _LEAST_COLUMNS))
    n_chunks = max(1, min(_PARTS // n_blocks, n_rows // _LEAST_ROWS))
    return max(1, (n_rows + n_chunks - 1) // n_chunks), max(1, (n_columns + n_blocks - 1) // n_blocks)


@njit(cache=True)
def _n_parts(n_rows, n_columns):
    rows, columns = _cut(n_rows, n_columns)
    return ((n_rows + rows - 1) // rows) * ((n_columns + columns - 1) // columns)


@njit(cache=True)
def _part(task, n_rows, n_columns):
    """First and last row and column of a part."""
    rows, columns = _cut(n_rows, n_columns)
    n_blocks = (n_columns + columns - 1) // columns
    row, column = task // n_blocks * rows, task % n_blocks * columns
    return row, min(row + rows, n_rows), column, min(column + columns, n_columns)


@njit(parallel=True, cache=True)
def _forward(x, weights, bias, address, out):
    batch, n_inputs = x.shape
    n_outputs = len(weights)
    flat_x, flat_weights, flat_out = x.reshape(-1), weights.reshape(-1), out.reshape(-1)
    for task in prange(_n_parts(batch, n_outputs)):
        first, last, start, stop = _part(task, batch, n_outputs)
        for r in range(first, last):
            for c in range(start, stop):
                out[r, c] = bias[c]
        gemm(
            address, 0, flat_x, first * n_inputs, n_inputs, 1, flat_weights, start * n_inputs, n_inputs, 1,
            flat_out, first * n_outputs + start, n_outputs, last - first, stop - start, n_inputs,
        )  # fmt: skip


@njit(parallel=True, cache=True)
def _backward(grad_y, x, weights, address, wants_grad_x, grad_x, grad_weights, grad_bias):
    batch, n_inputs = x.shape
    n_outputs = len(weights)
    flat_grad_y, flat_x, flat_weights = grad_y.reshape(-1), x.reshape(-1), weights.reshape(-1)
    flat_grad_weights, flat_grad_x = grad_weights.reshape(-1), grad_x.reshape(-1)
    n_weight_parts = _n_parts(n_outputs, n_inputs)
    n_input_parts = _n_parts(batch, n_inputs) if wants_grad_x else 0
    for task in prange(n_weight_parts + n_input_parts):
        if task < n_weight_parts:
            # forward: out += x @ weights.T + bias
            first, last, start, stop = _part(task, n_outputs, n_inputs)
            gemm(
                address, 1, flat_grad_y, first, n_outputs, 0, flat_x, start, n_inputs, 0,
                flat_grad_weights, first * n_inputs + start, n_inputs, last - first, stop - start, batch,
            )  # fmt: skip
            if start == 0:
                grad_bias[first:last] = 0
                for r in range(batch):
                    for c in range(first, last):
                        grad_bias[c] += grad_y[r, c]
        else:
            first, last, start, stop = _part(task - n_weight_parts, batch, n_inputs)
            gemm(
                address, 0, flat_grad_y, first * n_outputs, n_outputs, 0, flat_weights, start, n_inputs, 0,
                flat_grad_x, first * n_inputs + start, n_inputs, last - first, stop - start, n_outputs,
            )  # fmt: skip


def forward(x, weights, bias, out):
    """``out = x @ weights.T + bias``: x (batch, n_inputs), bias (n_outputs,), out (batch, n_outputs)."""
    _forward(x, weights, bias, gemm_address(x.dtype), out)


def backward(grad_y, x, weights, wants_grad_x, grad_x, grad_weights, grad_bias):
    """Overwrite the gradients, that of ``x`` only where it is wanted; shapes are those of `forward`."""
    _backward(grad_y, x, weights, gemm_address(x.dtype), wants_grad_x, grad_x, grad_weights, grad_bias)
