"""RPP on the CPU: a layer whose wide weights are generated, used and thrown away.

Arrays are feature-major, ``(width, batch)``, and ``hidden_t`` is the hidden matrix column by column, ``(n, m)``. Output
``c = h·n + j`` reads column ``j`` of the hidden matrix through the permutation of ``(seed, h, j)``.

The permuted columns are generated in blocks that stay in cache, multiplied by BLAS and dropped: the permutations are
paid once a batch, not once a row, and no more than a few MiB of the wide matrix exists at a time. BLAS is called inside
``prange``: the caller must have limited it to one thread (`ldlrpp.kernels.threads.single_threaded_blas`). How the work
is cut depends on the shapes alone, so results are the same to the last bit for any number of threads.
"""

import numpy as np
from numba import njit, prange

from ldlrpp.kernels import bijection

# A block of generated columns takes 2^17 entries (512 KiB of float32), so that it is still in cache when BLAS packs
# it; eight columns at least, below which the product degrades to matrix-vector speed.
_BLOCK_ENTRIES = 2**17
_BLOCK_COLUMNS = 64
# Backward keeps this many generated entries, and as many of their gradients, between its two passes: 16 MiB each in
# float32.
_PASS_ENTRIES = 2**22
# Rows of the input gradient that one task of backward's second pass owns.
_ROW_CHUNK = 64


@njit(cache=True)
def n_positions(m):
    """Length of the scratch arrays that `permutation_column` wants for ``m`` inputs."""
    if m <= bijection.FISHER_YATES_INPUTS:
        return m
    a, b = bijection.feistel_sides(m)
    return a * b


@njit(cache=True)
def permutation_column(m, seed, head, column, left, right, out):
    """Write ``P[head, :, column]`` into ``out[:m]`` (scratch and out: `n_positions` long, uint16, uint16, uint32)."""
    if m <= bijection.FISHER_YATES_INPUTS:
        bijection.fisher_yates(m, seed, np.uint64(head), np.uint64(column), out)
        return
    a, b = bijection.feistel_sides(m)
    multipliers = np.empty(bijection.MAX_ROUNDS, np.uint16)
    increments = np.empty(bijection.MAX_ROUNDS, np.uint16)
    bijection.round_keys(m, seed, np.uint64(head), np.uint64(column), multipliers, increments)
    for i in range(a):
        for k in range(b):
            left[i * b + k] = i
            right[i * b + k] = k
    # A round at a time over all positions: 16-bit lanes, 0.7 to 1.1 ns an entry. All rounds of a position at a time
    # were not vectorised: 15 ns.
    for t in range(0, bijection.n_rounds(m), 2):
        for i in range(a * b):
            left[i] = bijection.feistel_round(left[i], right[i], multipliers[t], increments[t], np.uint16(a))
        for i in range(a * b):
            right[i] = bijection.feistel_round(right[i], left[i], multipliers[t + 1], increments[t + 1], np.uint16(b))
    for i in range(a * b):
        out[i] = np.uint32(left[i]) * np.uint32(b) + np.uint32(right[i])
    # The walk: where a value of m or more goes next stands in its own place, beyond m.
    for i in range(m):
        while out[i] >= m:
            out[i] = out[out[i]]


@njit(cache=True)
def _block_columns(m):
    return max(8, min(_BLOCK_COLUMNS, _BLOCK_ENTRIES // m))


@njit(parallel=True, cache=True)
def forward(x, hidden_t, n_permutations, seed, bias, out):
    """``out[c] = Σ_i x[i] · W[P[h, i, j], j] + bias[c mod len(bias)]`` with c = h·n + j.

    x (m, batch), hidden_t (n, m), bias (k·n or n or 0), out (k·n, batch). Parallel over blocks of
    outputs, each written by one task.
    """
    n, m = hidden_t.shape
    batch = x.shape[1]
    width = n * n_permutations
    columns = _block_columns(m)
    for block in prange((width + columns - 1) // columns):
        start = block * columns
        stop = min(start + columns, width)
        tile = np.empty((stop - start, m), x.dtype)
        left = np.empty(n_positions(m), np.uint16)
        right = np.empty(n_positions(m), np.uint16)
        order = np.empty(n_positions(m), np.uint32)
        for c in range(start, stop):
            permutation_column(m, seed, c // n, c % n, left, right, order)
            source = hidden_t[c % n]
            for i in range(m):
                tile[c - start, i] = source[order[i]]
        product = np.dot(tile, x)
        for c in range(start, stop):
            shift = bias[c % bias.size] if bias.size else x.dtype.type(0)
            for r in range(batch):
                out[c, r] = product[c - start, r] + shift


@njit(parallel=True, cache=True)
def backward(grad_y, x, hidden_t, n_permutations, seed, wants_grad_x, grad_x, grad_hidden_t):
    """The transpose of `forward`: overwrites grad_x (m, batch) and grad_hidden_t (n, m).

    grad_y (k·n, batch), x (m, batch), hidden_t (n, m). Without ``wants_grad_x``, ``grad_x`` is left
    alone. Two passes
    over each group of columns: the first is parallel over outputs and leaves their weights and their gradients,
    already taken back through the permutation; the second is parallel over inputs, each task adding the outputs up,
    in order, for the rows it owns.
    """
    n, m = hidden_t.shape
    width = n * n_permutations
    columns = _block_columns(m)
    group = max(columns, _PASS_ENTRIES // m // columns * columns)
    group = min(group, width)
    weights = np.empty((group, m), x.dtype)
    updates = np.empty((group, m), x.dtype)
    n_chunks = (m + _ROW_CHUNK - 1) // _ROW_CHUNK
    if wants_grad_x:
        grad_x[:] = 0
    grad_hidden_t[:] = 0
    for first in range(0, width, group):
        size = min(group, width - first)
        grads = np.ascontiguousarray(grad_y[first : first + size])
        for block in prange((size + columns - 1) // columns):
            start = block * columns
            stop = min(start + columns, size)
            left = np.empty(n_positions(m), np.uint16)
            right = np.empty(n_positions(m), np.uint16)
            order = np.empty(n_positions(m), np.uint32)
            products = np.dot(grads[start:stop], x.T)
            for c in range(start, stop):
                head, j = divmod(first + c, n)
                permutation_column(m, seed, head, j, left, right, order)
                for i in range(m):
                    # forward: tile[c, i] = hidden_t[j, order[i]]
                    weights[c, i] = hidden_t[j, order[i]]
                    updates[c, order[i]] = products[c - start, i]
        for chunk in prange(n_chunks):
            low = chunk * _ROW_CHUNK
            high = min(low + _ROW_CHUNK, m)
            for c in range(size):
                j = (first + c) % n
                for i in range(low, high):
                    grad_hidden_t[j, i] += updates[c, i]
            if wants_grad_x:
                # forward: product = tile @ x
                product = np.dot(np.ascontiguousarray(weights[:size, low:high]).T, grads)
                for i in range(low, high):
                    for r in range(product.shape[1]):
                        grad_x[i, r] += product[i - low, r]


@njit(parallel=True, cache=True)
def permutation(m, n, n_permutations, seed, out):
    """Write every ``P[h, i, j]`` into out (k, n, m)."""
    for c in prange(n * n_permutations):
        left = np.empty(n_positions(m), np.uint16)
        right = np.empty(n_positions(m), np.uint16)
        order = np.empty(n_positions(m), np.uint32)
        permutation_column(m, seed, c // n, c % n, left, right, order)
        for i in range(m):
            out[c // n, c % n, i] = order[i]
