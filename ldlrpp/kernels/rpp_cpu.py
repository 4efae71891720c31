"""RPP on the CPU: a layer whose wide weights are generated, used and thrown away.

Arrays are ``(batch, width)`` in C order, and ``hidden_t`` is the hidden matrix column by column, ``(n, m)``. Output
``c = h·n + j`` reads column ``j`` of the hidden matrix through the permutation of ``(seed, h, j)``; if ``shared``, of
``(seed, h, 0)``. There may be any number of outputs: where n does not divide it, the last head is cut. Where ``stored``
has rows, they are the permutations, one for every output (every head, if shared). Where ``wide`` has rows, it is the
wide matrix, the weights of an output in each row, and stays with the caller.

The permuted columns are generated in blocks that stay in cache, multiplied by BLAS and dropped: the permutations are
paid once a batch, not once a row, and no more than a few MiB of the wide matrix exists at a time. BLAS is called inside
``prange``: the caller must have limited it to one thread (`ldlrpp.kernels.threads.single_threaded_blas`). How the work
is cut depends on the shapes alone, so results are the same to the last bit for any number of threads, and whether
permutations or weights are computed or kept. A row may depend on its batch in the last bits, as BLAS sums in another
order at the edges of its blocks.

Beyond inputs and outputs, forward has a block for every thread (2 MiB, or 8 columns where those are larger) and its
product; backward has the gradient of a block for every thread, 4 MiB of weights (or 16 columns) for all of them, and as
much again at most for sums of gradients.
"""

import numpy as np
from numba import prange

from ldlrpp.kernels import memory
from ldlrpp.kernels.blas import gemm, gemm_address
from ldlrpp.kernels.compiling import njit
from ldlrpp.kernels.permutations_cpu import order_size, permutation_column, scratch

# A block of generated columns: BLAS packs all of x for every block, which repays 256 columns better than 128 (m = 1000,
# batches of 64 to 256: 115 to 131 GFLOP/s of one core instead of 109 to 115), and 512 leave the L2 cache.
_BLOCK_BYTES = 2**21
_BLOCK_COLUMNS = 256
# Blocks that there should be, for the threads to share, and the columns that a block has at least.
_BLOCKS = 4
_LEAST_COLUMNS = 8
# Rows of x that one task takes: forward, where there are too few columns for all blocks, and in backward's second pass.
_ROWS = 512
# Backward keeps the generated columns between its two passes.
_PASS_BYTES = 2**22
# Inputs that one task of backward's second pass owns, at least, and such tasks. BLAS packs the gradients for each: with
# 96 inputs instead of 250 the whole pass took a tenth longer (m = 1000).
_LEAST_INPUTS = 250
_INPUT_PARTS = 16


@njit(cache=True)
def _work(m, stored):
    """What `_order` works in: little where permutations are looked up."""
    size = 1 if len(stored) else m
    return scratch(size), np.empty(order_size(size), np.uint32)


@njit(cache=True)
def _order(c, is_first, n, m, seed, shared, work, order):
    """Write the permutation of output ``c`` to ``order``, which holds that of c − 1 unless ``is_first``."""
    if not shared:
        permutation_column(m, seed, c // n, c % n, work, order)
    elif c % n == 0 or is_first:
        permutation_column(m, seed, c // n, 0, work, order)


@njit(cache=True)
def _gather(source, order, out):
    for i in range(len(source)):
        out[i] = source[order[i]]


@njit(cache=True)
def _scatter_add(values, order, target):
    for i in range(len(values)):
        target[order[i]] += values[i]


@njit(cache=True)
def _generate(start, stop, hidden_t, seed, stored, shared, tile):
    """Write the weights of outputs ``start`` to ``stop`` into tile (flat)."""
    n, m = hidden_t.shape
    work, order = _work(m, stored)
    for c in range(start, stop):
        out = tile[(c - start) * m : (c - start + 1) * m]
        if len(stored):
            _gather(hidden_t[c % n], stored[c // n if shared else c], out)
        else:
            _order(c, c == start, n, m, seed, shared, work, order)
            _gather(hidden_t[c % n], order, out)


@njit(parallel=True, cache=True)
def _expand(hidden_t, seed, stored, shared, columns, wide):
    width, m = wide.shape
    flat = wide.reshape(-1)
    for block in prange((width + columns - 1) // columns):
        start = block * columns
        stop = min(start + columns, width)
        _generate(start, stop, hidden_t, seed, stored, shared, flat[start * m : stop * m])


@njit(parallel=True, cache=True)
def _forward(x, hidden_t, seed, stored, shared, bias, wide, is_filled, address, columns, rows, out):
    m = x.shape[1]
    batch, width = out.shape
    n_blocks = (width + columns - 1) // columns
    flat_x, flat_wide = x.reshape(-1), wide.reshape(-1)
    for task in prange(n_blocks * ((batch + rows - 1) // rows)):
        start = task % n_blocks * columns
        stop = min(start + columns, width)
        first = task // n_blocks * rows
        last = min(first + rows, batch)
        tile = flat_wide[start * m : stop * m] if len(wide) else np.empty((stop - start) * m, x.dtype)
        if not is_filled:
            _generate(start, stop, hidden_t, seed, stored, shared, tile)
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
    grad_y, x, hidden_t, seed, stored, shared, weights, is_wide, address, columns, group, inputs, sums, wants_grad_x,
    grad_x, grad_hidden_t, grad_bias,
):  # fmt: skip
    # Two passes over each group of columns. The first is parallel over blocks of outputs and leaves their weights (if
    # these are not all there), and the sums of their gradients by hidden column, already taken back through the
    # permutations; the second is parallel over inputs, each task adding the blocks' sums up, in order, for the inputs
    # that it owns.
    n, m = hidden_t.shape
    batch, width = grad_y.shape
    flat_x, flat_grad_y, flat_grad_x = x.reshape(-1), grad_y.reshape(-1), grad_x.reshape(-1)
    lines = min(n, columns)
    flat_weights = weights.reshape(-1)
    wants_weights = wants_grad_x and not is_wide
    n_parts = (m + inputs - 1) // inputs
    n_chunks = max(1, (batch + _ROWS - 1) // _ROWS)
    for first in range(0, width, group):
        size = min(group, width - first)
        n_blocks = (size + columns - 1) // columns
        weights_at = first * m if is_wide else 0
        for block in prange(n_blocks):
            start = first + block * columns
            stop = min(start + columns, first + size)
            # grad_y[:, start:stop].T @ x
            products = np.empty((stop - start) * m, x.dtype)
            gemm(
                address, 1, flat_grad_y, start, width, 0, flat_x, 0, m, 0,
                products, 0, m, stop - start, m, batch,
            )  # fmt: skip
            targets = sums[block * lines : (block + 1) * lines]
            targets[:] = 0
            work, order = _work(m, stored)
            for c in range(start, stop):
                product, target = products[(c - start) * m : (c - start + 1) * m], targets[(c - start) % lines]
                at = weights_at + (c - first) * m
                # forward: weights[c, i] = hidden_t[c % n, order[i]]
                if len(stored):
                    row = stored[c // n if shared else c]
                    if wants_weights:
                        _gather(hidden_t[c % n], row, flat_weights[at : at + m])
                    _scatter_add(product, row, target)
                else:
                    _order(c, c == start, n, m, seed, shared, work, order)
                    if wants_weights:
                        _gather(hidden_t[c % n], order, flat_weights[at : at + m])
                    _scatter_add(product, order, target)
            if len(grad_bias):
                grad_bias[start:stop] = 0
                for r in range(batch):
                    for c in range(start, stop):
                        grad_bias[c] += grad_y[r, c]
        for task in prange(n_parts * n_chunks):
            part, chunk = task % n_parts, task // n_parts
            low, high = part * inputs, min((part + 1) * inputs, m)
            if chunk == 0:
                if first == 0:
                    grad_hidden_t[:, low:high] = 0
                for block in range(n_blocks):
                    start = first + block * columns
                    for line in range(min(lines, first + size - start)):
                        total, part_sum = grad_hidden_t[(start + line) % n], sums[block * lines + line]
                        for i in range(low, high):
                            total[i] += part_sum[i]
            if wants_grad_x:
                # grad_x[row : row + rows, low:high] += grad_y[row : row + rows, first : first + size] @ weights
                row = chunk * _ROWS
                rows = min(_ROWS, batch - row)
                gemm(
                    address, 0, flat_grad_y, row * width + first, width, 0, flat_weights, weights_at + low, m,
                    min(first, 1), flat_grad_x, row * m + low, m, rows, high - low, size,
                )  # fmt: skip


def _cut(dtype, m, width):
    """Columns of a block."""
    least = -(-width // _BLOCKS)
    most = min(_BLOCK_COLUMNS, _BLOCK_BYTES // (dtype.itemsize * m))
    return max(_LEAST_COLUMNS, min(-(-least // 8) * 8, most))


def expand(hidden_t, seed, stored, shared, wide):
    """Write the wide matrix into wide (width, m); the others as in `forward`."""
    width, m = wide.shape
    _expand(hidden_t, seed, stored, shared, _cut(wide.dtype, m, width), wide)


def forward(x, hidden_t, seed, stored, shared, bias, wide, is_filled, out):
    """``out[:, c] = Σ_i x[:, i] · W[P[h, i, j], j] + bias[c mod len(bias)]`` with c = h·n + j.

    x (batch, m), hidden_t (n, m), stored (width, m), (heads, m) or (0, m), bias (width or n or 0), wide (width, m) or
    (0, m), out (batch, width), all in C order. ``wide`` is read where it ``is_filled`` and written otherwise. Parallel
    over blocks of outputs, each written by one task.
    """
    batch, width = out.shape
    columns, rows = _cut(x.dtype, x.shape[1], width), max(1, batch)
    if width < _BLOCKS * _LEAST_COLUMNS:
        # too few columns for all threads: rows are cut too, and every part of them generates the columns anew
        rows = _ROWS
        if len(wide) and not is_filled:
            expand(hidden_t, seed, stored, shared, wide)
            is_filled = True
    _forward(x, hidden_t, seed, stored, shared, bias, wide, is_filled, gemm_address(x.dtype), columns, rows, out)


def backward(grad_y, x, hidden_t, seed, stored, shared, wide, empty, wants_grad_x, grad_x, grad_hidden_t, grad_bias):
    """The transpose of `forward`: overwrites grad_x (batch, m), grad_hidden_t (n, m) and grad_bias (width or 0).

    grad_y (batch, width), the others as there, ``wide`` filled. Without ``wants_grad_x``, ``grad_x`` is left alone.
    ``empty(name, shape, dtype)`` gives scratch memory.
    """
    (n, m), width = hidden_t.shape, grad_y.shape[1]
    columns = _cut(x.dtype, m, width)
    group = max(2 * _LEAST_COLUMNS, _PASS_BYTES // (x.itemsize * m) // columns * columns)
    group = min(group, width)
    n_parts = max(1, min(_INPUT_PARTS, m // _LEAST_INPUTS))
    inputs = -(-m // (16 * n_parts)) * 16
    weights = wide if len(wide) else empty("weights", (group, m), x.dtype)
    sums = empty("sums", (-(-group // columns) * min(n, columns), m), x.dtype)
    _backward(
        grad_y, x, hidden_t, seed, stored, shared, weights, len(wide) > 0, gemm_address(x.dtype), columns, group,
        inputs, sums, wants_grad_x, grad_x, grad_hidden_t, grad_bias,
    )  # fmt: skip


def permutations(m, n, width, seed, shared):
    """What the kernels take for ``stored``: the permutations of the first ``width`` outputs of ``n`` columns."""
    out = memory.empty(*_permutations_array(m, n, width, shared))
    _permutations(1 if shared else n, seed, out)
    return out


def n_permutation_bytes(m, n, width, shared):
    """The size of what `permutations` gives."""
    (rows, m), dtype = _permutations_array(m, n, width, shared)
    return rows * m * np.dtype(dtype).itemsize


def _permutations_array(m, n, width, shared):
    """Shape and dtype of what `permutations` gives."""
    return (-(-width // n) if shared else width, m), np.uint16 if m <= 2**16 else np.uint32


@njit(parallel=True, cache=True)
def _permutations(n, seed, out):
    width, m = out.shape
    for c in prange(width):
        order = np.empty(order_size(m), np.uint32)
        permutation_column(m, seed, c // n, c % n, scratch(m), order)
        for i in range(m):
            out[c, i] = order[i]


@njit(parallel=True, cache=True)
def is_permutation(rows, out):
    """Write into out (n_rows,) whether a row of rows (n_rows, m), numbers below m, has each of them once."""
    n_rows, m = rows.shape
    for r in prange(n_rows):
        seen = np.zeros(m, np.uint8)
        for i in range(m):
            seen[rows[r, i]] = 1
        count = 0
        for i in range(m):
            count += seen[i]
        out[r] = count == m
