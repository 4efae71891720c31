"""RPP on the GPU: a layer whose wide weights are gathered a tile at a time, and multiplied by cuBLAS.

The twin of `ldlrpp.kernels.cpu.rpp`, which says what arguments are. A tile is the weights of outputs that follow each
other, as rows, and stays in the GPU's second cache between the kernel that writes it and the product that reads it.
Backward has cuBLAS multiply a tile's gradients, and takes them back through the permutations to the hidden columns:
a block of threads adds up some heads of a column, in order, as the targets of a head are all different, and where there
are few columns several blocks have a share of the heads each, which another kernel adds up, in order too. How the work
is cut depends on the shapes alone, so results are the same to the last bit whether permutations or weights are
computed or kept, as far as cuBLAS's are. What has two bytes is added up in float32 and rounded once.

Beyond inputs and outputs, forward has a tile (27 MB in float32, or 16 outputs where those are larger) and its
permutations (half of that); backward a tile, in whose memory the gradients of its weights are before it, its
permutations, and sums of gradients that are no larger than a tile; and, where numbers have two bytes, sums of
``grad_x`` and ``grad_hidden_t`` in float32.
"""

import numpy as np
from numba import cuda

from ldlrpp.kernels.bijection import entry_dtype
from ldlrpp.kernels.cuda import memory
from ldlrpp.kernels.cuda.blas import gemm
from ldlrpp.kernels.cuda.columns import add_bias, cast, column_sums
from ldlrpp.kernels.cuda.compiling import device, kernel
from ldlrpp.kernels.cuda.launching import launch
from ldlrpp.kernels.cuda.numbers import load, store
from ldlrpp.kernels.cuda.permutations import permutation_rows

# Weights of a tile: with 784 inputs 8448 outputs, for which a batch of 256 is 132 parts of a product, 128 by 128 each,
# as many as an H200 has multiprocessors. Tile and permutations together are 40 MB, of the 50 that its second cache has.
_TILE = 8448 * 784
# Outputs of a tile: a multiple of what cuBLAS takes at a time, and at least so many.
_STEP, _LEAST = 128, 16
_THREADS = 256
# Blocks that heads are shared out to, if there are fewer columns: some eight for every multiprocessor.
_BLOCKS = 1024
# Bytes of shared memory that hold a column, or its gradient; larger ones are left to the caches.
_SHARED = 48 * 1024
# Threads of `_is_permutation`, and bytes of marks.
_CHECKING, _MARKS = 256, 2**26
# What the second axis of a grid can be.
_MOST_BLOCKS = 65_535


# A zero that leaves float32 as it is, and float64.
_ZERO = np.float32(0)


def _columns(m, width):
    """Outputs of a tile."""
    return min(max(_LEAST, _TILE // m // _STEP * _STEP), width)


def _cut(first, last, n):
    """How blocks share outputs ``first`` to ``last``: hidden columns, heads of a block, blocks of a column."""
    lines, most = min(n, last - first), -(-(last - first) // n)
    heads = -(-most // max(1, min(most, _BLOCKS // lines)))
    return lines, heads, -(-most // heads)


def _threads(m):
    return min(_THREADS, -(-m // 32) * 32)


def _sign_bit(order, signs):
    """The bit of an entry that is its sign, 0 where there is none."""
    return np.uint32(1 << (8 * order.itemsize - 1) if signs else 0)


def _order(first, last, n, m, seed, stored, shared, signs, empty):
    """Rows with the permutations of outputs ``first`` to ``last``, and which the first of them is."""
    if len(stored):
        return stored, 0
    if shared:
        n, first, last = 1, first // n, (last - 1) // n + 1
    order = empty("permutations", (last - first, m), entry_dtype(m, signs))
    permutation_rows(n, first, seed, signs, order)
    return order, first


def _gather(hidden_t, order, first, first_row, shared, signs, tile):
    """Write the weights of outputs ``first`` and following into tile (n_outputs, m)."""
    (n, m), last = hidden_t.shape, first + len(tile)
    lines, heads, parts = _cut(first, last, n)
    size = m * hidden_t.itemsize
    staged = size <= _SHARED
    launch(
        _gather_heads, (lines, parts), _threads(m),
        hidden_t, order, n, m, first, last, heads, first_row, shared, _sign_bit(order, signs), staged, tile,
        shared=size if staged else 0,
    )  # fmt: skip


def _scatter(products, order, n, first, first_row, shared, signs, empty, totals):
    """Add the gradients of weights, products (n_outputs, m), to those of the hidden columns, totals (n, m)."""
    m, last = products.shape[1], first + len(products)
    lines, heads, parts = _cut(first, last, n)
    sums = totals if parts == 1 else empty("sums", (lines * parts, m), totals.dtype)
    size = m * totals.itemsize
    staged = size <= _SHARED
    launch(
        _scatter_heads, (lines, parts), _threads(m),
        products, order, n, m, first, last, lines, heads, first_row, shared, _sign_bit(order, signs), staged,
        parts == 1, sums, shared=size if staged else 0,
    )  # fmt: skip
    if parts > 1:
        blocks = lines, min(-(-m // _THREADS), _MOST_BLOCKS)
        launch(_add_parts, blocks, _threads(m), sums, n, m, first, lines, parts, totals)


@device
def _hidden_column(first, line, n):
    return np.uint64(np.uint32(first + line) % np.uint32(n))


@device
def _entry(order, at, i, m):
    return np.uint32(order[at + np.uint64(i)]) if i < m else np.uint32(0)


@device
def _put(hidden_t, base, column, staged, entry, sign_bit, i, m, tile, at):
    if i < m:
        bit = np.uint32(entry & sign_bit)
        place = np.uint32(entry ^ bit)
        weight = load(column, place) if staged else load(hidden_t, base + np.uint64(place))
        store(tile, at + np.uint64(i), -weight if bit else weight)


# Threads take four entries at a time, for as many loads to be under way.


@kernel(threads=_THREADS, registers=40)
def _gather_heads(
    hidden_t, order, n, m, first, last, heads, first_row, shared, sign_bit, staged, tile
):  # fmt: skip
    column = cuda.shared.array(0, hidden_t.dtype)
    line, part = cuda.blockIdx.x, cuda.blockIdx.y
    base = _hidden_column(first, line, n) * np.uint64(m)
    m, step = np.uint32(m), np.uint32(cuda.blockDim.x)
    i = np.uint32(cuda.threadIdx.x)
    while staged and i < m:
        column[i] = hidden_t[base + np.uint64(i)]
        i = np.uint32(i + step)
    cuda.syncthreads()
    c = first + line + part * heads * n
    stop = min(c + heads * n, last)
    r = (c // n if shared else c) - first_row
    while c < stop:
        row, at = np.uint64(r) * np.uint64(m), np.uint64(c - first) * np.uint64(m)
        i = np.uint32(cuda.threadIdx.x)
        while i < m:
            i1 = np.uint32(i + step)
            i2 = np.uint32(i1 + step)
            i3 = np.uint32(i2 + step)
            e0 = _entry(order, row, i, m)
            e1 = _entry(order, row, i1, m)
            e2 = _entry(order, row, i2, m)
            e3 = _entry(order, row, i3, m)
            _put(hidden_t, base, column, staged, e0, sign_bit, i, m, tile, at)
            _put(hidden_t, base, column, staged, e1, sign_bit, i1, m, tile, at)
            _put(hidden_t, base, column, staged, e2, sign_bit, i2, m, tile, at)
            _put(hidden_t, base, column, staged, e3, sign_bit, i3, m, tile, at)
            i = np.uint32(i3 + step)
        c += n
        r += 1 if shared else n


@device
def _product(products, at, i, m):
    return products[at + np.uint64(i)] if i < m else products.dtype.type(0)


@device
def _add(sums, to, total, staged, entry, sign_bit, i, m, value):
    if i < m:
        bit = np.uint32(entry & sign_bit)
        place = np.uint32(entry ^ bit)
        value = -value if bit else value
        if staged:
            total[place] += value
        else:
            sums[to + np.uint64(place)] += value


@kernel(threads=_THREADS, registers=40)
def _scatter_heads(
    products, order, n, m, first, last, lines, heads, first_row, shared, sign_bit, staged, adds, sums
):  # fmt: skip
    total = cuda.shared.array(0, sums.dtype)
    line, part = cuda.blockIdx.x, cuda.blockIdx.y
    to = (_hidden_column(first, line, n) if adds else np.uint64(part * lines + line)) * np.uint64(m)
    m, step = np.uint32(m), np.uint32(cuda.blockDim.x)
    i = np.uint32(cuda.threadIdx.x)
    while i < m:
        if staged:
            total[i] = _ZERO
        elif not adds:
            sums[to + np.uint64(i)] = _ZERO
        i = np.uint32(i + step)
    cuda.syncthreads()
    c = first + line + part * heads * n
    stop = min(c + heads * n, last)
    r = (c // n if shared else c) - first_row
    while c < stop:
        row, at = np.uint64(r) * np.uint64(m), np.uint64(c - first) * np.uint64(m)
        i = np.uint32(cuda.threadIdx.x)
        while i < m:
            i1 = np.uint32(i + step)
            i2 = np.uint32(i1 + step)
            i3 = np.uint32(i2 + step)
            e0, p0 = _entry(order, row, i, m), _product(products, at, i, m)
            e1, p1 = _entry(order, row, i1, m), _product(products, at, i1, m)
            e2, p2 = _entry(order, row, i2, m), _product(products, at, i2, m)
            e3, p3 = _entry(order, row, i3, m), _product(products, at, i3, m)
            _add(sums, to, total, staged, e0, sign_bit, i, m, p0)
            _add(sums, to, total, staged, e1, sign_bit, i1, m, p1)
            _add(sums, to, total, staged, e2, sign_bit, i2, m, p2)
            _add(sums, to, total, staged, e3, sign_bit, i3, m, p3)
            i = np.uint32(i3 + step)
        # the next head has the same targets
        cuda.syncthreads()
        c += n
        r += 1 if shared else n
    i = np.uint32(cuda.threadIdx.x)
    while staged and i < m:
        sums[to + np.uint64(i)] = total[i] + (sums[to + np.uint64(i)] if adds else _ZERO)
        i = np.uint32(i + step)


@kernel(threads=_THREADS, registers=40)
def _add_parts(sums, n, m, first, lines, parts, totals):
    line = cuda.blockIdx.x
    to, size = _hidden_column(first, line, n) * np.uint64(m), np.uint64(lines) * np.uint64(m)
    i = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    while i < m:
        at = np.uint64(line) * np.uint64(m) + np.uint64(i)
        total = sums[at]
        for _ in range(1, parts):
            at += size
            total += sums[at]
        totals[to + np.uint64(i)] += total
        i += cuda.gridDim.y * cuda.blockDim.x


def expand(hidden_t, seed, stored, shared, signs, empty, wide):
    """Write the wide matrix into wide (width, m); the others as in `forward`."""
    (n, m), width = hidden_t.shape, len(wide)
    columns = _columns(m, width)
    for first in range(0, width, columns):
        last = min(first + columns, width)
        order, first_row = _order(first, last, n, m, seed, stored, shared, signs, empty)
        _gather(hidden_t, order, first, first_row, shared, signs, wide[first:last])


def forward(x, hidden_t, seed, stored, shared, signs, bias, relu, wide, is_filled, empty, out):
    """``out[:, c] = Σ_i x[:, i] · ±W[P[h, i, j], j] + bias[c mod len(bias)]`` with c = h·n + j, perhaps its relu.

    x (batch, m), hidden_t (n, m), stored (width, m), (heads, m) or (0, m), bias (width or n or 0), wide (width, m) or
    (0, m), out (batch, width), all in C order. ``wide`` is read where it ``is_filled`` and written otherwise.
    """
    (n, m), width = hidden_t.shape, out.shape[1]
    columns = _columns(m, width)
    tile = wide if len(wide) else empty("tile", (columns, m), x.dtype)
    for first in range(0, width, columns):
        last = min(first + columns, width)
        weights = wide[first:last] if len(wide) else tile[: last - first]
        if not is_filled:
            order, first_row = _order(first, last, n, m, seed, stored, shared, signs, empty)
            _gather(hidden_t, order, first, first_row, shared, signs, weights)
        gemm(x, weights.T, out[:, first:last])
    add_bias(out, bias, relu)


def backward(
    grad_y, x, hidden_t, seed, stored, shared, signs, wide, empty, wants_grad_x, grad_x, grad_hidden_t, grad_bias
):
    """The transpose of `forward`: overwrites grad_x (batch, m), grad_hidden_t (n, m) and grad_bias (width or 0).

    grad_y (batch, width), the others as there, ``wide`` filled. Without ``wants_grad_x``, ``grad_x`` is left alone.
    """
    (n, m), width = hidden_t.shape, grad_y.shape[1]
    columns, dtype = _columns(m, width), memory.accumulator(x.dtype)
    tile = empty("tile", (columns * m,), dtype)
    totals = _totals("grad_hidden_t", grad_hidden_t, dtype, empty)
    totals.fill(0)
    # rounded once too if there is one product
    totals_x = _totals("grad_x", grad_x, dtype, empty) if columns < width else grad_x
    for first in range(0, width, columns):
        last = min(first + columns, width)
        order, first_row = _order(first, last, n, m, seed, stored, shared, signs, empty)
        products = tile[: (last - first) * m].reshape(-1, m)
        gemm(grad_y[:, first:last].T, x, products)
        _scatter(products, order, n, first, first_row, shared, signs, empty, totals)
        if wants_grad_x:
            weights = wide[first:last] if len(wide) else tile.view(x.dtype)[: (last - first) * m].reshape(-1, m)
            if not len(wide):
                _gather(hidden_t, order, first, first_row, shared, signs, weights)
            gemm(grad_y[:, first:last], weights, totals_x, adds=first > 0)
    if totals is not grad_hidden_t:
        cast(totals, grad_hidden_t)
    if wants_grad_x and totals_x is not grad_x:
        cast(totals_x, grad_x)
    if len(grad_bias):
        column_sums(grad_y, grad_bias)


def _totals(name, grad, dtype, empty):
    """Where a gradient is added up: in itself if it has the dtype for it."""
    return grad if grad.dtype == dtype else empty(name, grad.shape, dtype)


def permutations(m, n, width, seed, shared, signs):
    """What the kernels take for ``stored``: the permutations of the first ``width`` outputs of ``n`` columns."""
    out = memory.empty((-(-width // n) if shared else width, m), entry_dtype(m, signs))
    permutation_rows(1 if shared else n, 0, seed, signs, out)
    return out


def n_permutation_bytes(m, n, width, shared, signs):
    """The size of what `permutations` gives."""
    return (-(-width // n) if shared else width) * m * entry_dtype(m, signs).itemsize


def is_permutation(rows, signs, out):
    """Write into out (n_rows,) whether a row of rows (n_rows, m), numbers below m, has each of them once."""
    n_rows, m = rows.shape
    blocks = max(1, min(n_rows, _MARKS // m))
    marks = memory.empty((blocks, m), np.uint8)
    launch(_is_permutation, blocks, _CHECKING, rows, n_rows, m, _sign_bit(rows, signs), marks, out)


@kernel(threads=_CHECKING, registers=40)
def _is_permutation(rows, n_rows, m, sign_bit, marks, out):
    counts = cuda.shared.array(_CHECKING, np.int32)
    mine = np.uint64(cuda.blockIdx.x) * np.uint64(m)
    m, step = np.uint32(m), np.uint32(_CHECKING)
    r = cuda.blockIdx.x
    while r < n_rows:
        start = np.uint64(r) * np.uint64(m)
        i = np.uint32(cuda.threadIdx.x)
        while i < m:
            marks[mine + np.uint64(i)] = 0
            i = np.uint32(i + step)
        cuda.syncthreads()
        i = np.uint32(cuda.threadIdx.x)
        while i < m:
            entry = np.uint32(rows[start + np.uint64(i)])
            marks[mine + np.uint64(entry ^ np.uint32(entry & sign_bit))] = 1
            i = np.uint32(i + step)
        cuda.syncthreads()
        count = np.int32(0)
        i = np.uint32(cuda.threadIdx.x)
        while i < m:
            count = np.int32(count + np.int32(marks[mine + np.uint64(i)]))
            i = np.uint32(i + step)
        counts[cuda.threadIdx.x] = count
        cuda.syncthreads()
        if cuda.threadIdx.x == 0:
            for other in range(1, _CHECKING):
                count = np.int32(count + counts[other])
            out[r] = count == m
        cuda.syncthreads()
        r += cuda.gridDim.x
