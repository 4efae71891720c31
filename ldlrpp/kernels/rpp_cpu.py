"""RPP on the CPU: a layer whose wide weights are generated, used and thrown away.

Arrays are ``(batch, width)`` in C order, and ``hidden_t`` is the hidden matrix column by column, ``(n, m)``. Output
``c = h·n + j`` reads column ``j`` of the hidden matrix through the permutation of ``(seed, h, j)``; if ``shared``, of
``(seed, h, 0)``. There may be any number of outputs: where n does not divide it, the last head is cut. Where ``stored``
has rows, they are the permutations, one for every output (every head, if shared).

The permuted columns are generated in blocks that stay in cache, multiplied by BLAS and dropped: the permutations are
paid once a batch, not once a row, and no more than a few MiB of the wide matrix exists at a time. BLAS is called inside
``prange``: the caller must have limited it to one thread (`ldlrpp.kernels.threads.single_threaded_blas`). How the work
is cut depends on the shapes alone, so results are the same to the last bit for any number of threads. A row may depend
on its batch in the last bits, as BLAS sums in another order at the edges of its blocks.

Beyond inputs and outputs, forward has a block for every thread (2 MiB, or 8 columns where those are larger) and its
product, backward the gradient of a block besides and 8 MiB (twice 16 columns, where those are larger) for all threads.
"""

import numpy as np
from numba import prange

from ldlrpp.kernels.blas import gemm, gemm_address
from ldlrpp.kernels.compiling import njit
from ldlrpp.kernels.permutations_cpu import order_size, permutation_column, scratch

# A block of generated columns: BLAS packs all of x for every block, which 32 columns do not repay (70 to 90 GFLOP/s on
# one core of 103), 128 do (94 to 104).
_BLOCK_BYTES = 2**21
_BLOCK_COLUMNS = 128
# Blocks that there should be, for the threads to share, and the columns that a block has at least.
_BLOCKS = 8
_LEAST_COLUMNS = 8
# Rows of x that one task takes: forward, where there are too few columns for all blocks, and in backward's second pass.
_ROWS = 512
# Backward keeps generated columns, and their gradients, between its two passes, in memory that stays between calls:
# fresh memory would be cleared by the system page by page (4 of 13 ms a call at m = 784). A tenth slower with half or
# twice as much.
_PASS_BYTES = 2**22
_workspaces = {}
# Inputs that one task of backward's second pass owns, at least, and such tasks.
_LEAST_INPUTS = 96
_INPUT_PARTS = 16


@njit(cache=True)
def _order(c, is_first, n, m, seed, stored, shared, work, order):
    """Write the permutation of output ``c`` to ``order``, which holds that of c − 1 unless ``is_first``."""
    head, column, row = c // n, c % n, c
    if shared:
        if column and not is_first:
            return
        column, row = 0, head
    if len(stored):
        for i in range(m):
            order[i] = stored[row, i]
    else:
        permutation_column(m, seed, head, column, work, order)


@njit(parallel=True, cache=True)
def _forward(x, hidden_t, seed, stored, shared, bias, address, columns, rows, out):
    n, m = hidden_t.shape
    batch, width = out.shape
    n_blocks = (width + columns - 1) // columns
    flat_x = x.reshape(-1)
    for task in prange(n_blocks * ((batch + rows - 1) // rows)):
        start = task % n_blocks * columns
        stop = min(start + columns, width)
        first = task // n_blocks * rows
        last = min(first + rows, batch)
        tile = np.empty((stop - start) * m, x.dtype)
        work, order = scratch(m), np.empty(order_size(m), np.uint32)
        for c in range(start, stop):
            _order(c, c == start, n, m, seed, stored, shared, work, order)
            source, at = hidden_t[c % n], (c - start) * m
            for i in range(m):
                tile[at + i] = source[order[i]]
        # x[first:last] @ tile.T
        product = np.empty((last - first) * (stop - start), x.dtype)
        gemm(
            address, 0, flat_x, first * m, m, 1, tile, 0, m, 0,
            product, 0, stop - start, last - first, stop - start, m,
        )  # fmt: skip
        shifts = np.zeros(stop - start, x.dtype)
        if len(bias):
            for c in range(start, stop):
                shifts[c - start] = bias[c % len(bias)]
        for r in range(first, last):
            for c in range(start, stop):
                out[r, c] = product[(r - first) * (stop - start) + c - start] + shifts[c - start]


@njit(parallel=True, cache=True)
def _backward(
    grad_y, x, hidden_t, seed, stored, shared, address, columns, weights, updates, wants_grad_x, grad_x, grad_hidden_t,
):  # fmt: skip
    # Two passes over each group of columns: the first is parallel over outputs and leaves their weights and their
    # gradients, already taken back through the permutation; the second is parallel over inputs, each task adding the
    # outputs up, in order, for the inputs it owns.
    n, m = hidden_t.shape
    batch, width = grad_y.shape
    group = len(updates)
    flat_x, flat_grad_y = x.reshape(-1), grad_y.reshape(-1)
    n_parts = max(1, min(_INPUT_PARTS, m // _LEAST_INPUTS))
    n_chunks = max(1, (batch + _ROWS - 1) // _ROWS)
    for first in range(0, width, group):
        size = min(group, width - first)
        for block in prange((size + columns - 1) // columns):
            start = block * columns
            stop = min(start + columns, size)
            work, order = scratch(m), np.empty(order_size(m), np.uint32)
            products = np.empty((stop - start) * m, x.dtype)
            # grad_y[:, first + start : first + stop].T @ x
            gemm(
                address, 1, flat_grad_y, first + start, width, 0, flat_x, 0, m, 0,
                products, 0, m, stop - start, m, batch,
            )  # fmt: skip
            for c in range(start, stop):
                _order(first + c, c == start, n, m, seed, stored, shared, work, order)
                source, target, at = hidden_t[(first + c) % n], updates[c], (c - start) * m
                if wants_grad_x:
                    for i in range(m):
                        weights[c * m + i] = source[order[i]]
                for i in range(m):
                    # forward: tile[c, i] = hidden_t[j, order[i]]
                    target[order[i]] = products[at + i]
        for task in prange(n_parts * n_chunks):
            part, chunk = task % n_parts, task // n_parts
            low, high = part * m // n_parts, (part + 1) * m // n_parts
            if chunk == 0:
                for c in range(size):
                    j = (first + c) % n
                    if first + c < n:
                        grad_hidden_t[j, low:high] = 0
                    for i in range(low, high):
                        grad_hidden_t[j, i] += updates[c, i]
            if wants_grad_x:
                # grad_y[row : row + rows, first : first + size] @ weights[:, low:high]
                row = chunk * _ROWS
                rows = min(_ROWS, batch - row)
                product = np.empty(rows * (high - low), x.dtype)
                gemm(
                    address, 0, flat_grad_y, row * width + first, width, 0, weights, low, m, 0,
                    product, 0, high - low, rows, high - low, size,
                )  # fmt: skip
                for r in range(rows):
                    for i in range(high - low):
                        at = r * (high - low) + i
                        if first:
                            grad_x[row + r, low + i] += product[at]
                        else:
                            grad_x[row + r, low + i] = product[at]


def _cut(x, width):
    """Columns of a block."""
    least = -(-width // _BLOCKS)
    most = min(_BLOCK_COLUMNS, _BLOCK_BYTES // (x.itemsize * x.shape[1]))
    return max(_LEAST_COLUMNS, min(-(-least // 8) * 8, most))


def _workspace(size, dtype):
    """An array that later calls get again: kernels run one at a time (`ldlrpp.kernels.threads.kernel_lock`)."""
    if len(_workspaces.get(dtype, ())) < size:
        _workspaces[dtype] = np.empty(size, dtype)
    return _workspaces[dtype][:size]


def forward(x, hidden_t, seed, stored, shared, bias, out):
    """``out[:, c] = Σ_i x[:, i] · W[P[h, i, j], j] + bias[c mod len(bias)]`` with c = h·n + j.

    x (batch, m), hidden_t (n, m), stored (width, m), (heads, m) or (0, m), bias (width or n or 0), out (batch, width),
    all in C order. Parallel over blocks of outputs, each written by one task.
    """
    batch = len(x)
    columns = _cut(x, out.shape[1])
    # where rows are cut, every part of them generates the columns anew
    few = out.shape[1] < _BLOCKS * _LEAST_COLUMNS
    rows = _ROWS if few else max(1, batch)
    address = gemm_address(x.dtype)
    _forward(x, hidden_t, seed, stored, shared, bias, address, columns, rows, out)


def backward(grad_y, x, hidden_t, seed, stored, shared, wants_grad_x, grad_x, grad_hidden_t):
    """The transpose of `forward`: overwrites grad_x (batch, m) and grad_hidden_t (n, m).

    grad_y (batch, width), the others as there. Without ``wants_grad_x``, ``grad_x`` is left alone.
    """
    m = x.shape[1]
    columns = _cut(x, grad_y.shape[1])
    group = max(2 * _LEAST_COLUMNS, _PASS_BYTES // (x.itemsize * m) // columns * columns)
    group = min(group, grad_y.shape[1])
    weights, updates = _workspace(2 * group * m, x.dtype).reshape(2, -1)
    _backward(
        grad_y, x, hidden_t, seed, stored, shared, gemm_address(x.dtype), columns, weights,
        updates.reshape(group, m), wants_grad_x, grad_x, grad_hidden_t,
    )  # fmt: skip


def permutations(m, n, width, seed, shared):
    """What the kernels take for ``stored``: the permutations of the first ``width`` outputs of ``n`` columns."""
    if shared:
        n, width = 1, -(-width // n)
    out = np.empty((width, m), np.uint16 if m <= 2**16 else np.uint32)
    _permutations(n, seed, out)
    return out


@njit(parallel=True, cache=True)
def _permutations(n, seed, out):
    width, m = out.shape
    for c in prange(width):
        order = np.empty(order_size(m), np.uint32)
        permutation_column(m, seed, c // n, c % n, scratch(m), order)
        for i in range(m):
            out[c, i] = order[i]
