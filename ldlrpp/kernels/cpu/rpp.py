"""RPP on the CPU: a layer whose wide weights are generated, used and thrown away.

Arrays are ``(batch, width)`` in C order, and ``hidden_t`` is the hidden matrix column by column, ``(n, m)``. Output
``c = h·n + j`` reads column ``j`` of the hidden matrix through the permutation of ``(seed, h, j)``; if ``shared``, of
``(seed, h, 0)``. There may be any number of outputs: where n does not divide it, the last head is cut. Where ``stored``
has rows, they are the permutations, one for every output (every head, if shared). With ``signs``, stored or not, the
highest bit of an entry of a permutation is set where the weight is taken with the sign −1; without, it is a bit of the
number. Where ``wide`` has rows, it is the wide matrix, the weights of an output in each row, and stays with the caller.

The permuted columns are generated in blocks that stay in cache, multiplied by BLAS and dropped: the permutations are
paid once a batch, not once a row, and no more than some MiB of them and of the wide matrix exist at a time. BLAS is
called inside ``prange``: the caller must have limited it to one thread (`threads.single_threaded_blas`).
How the work is cut depends on the shapes alone, so results are the same to the last bit for any number of threads, and
whether permutations or weights are computed or kept. A row may depend on its batch in the last bits, as BLAS sums in
another order at the edges of its blocks.

Beyond inputs and outputs, forward has a block for every thread (2 MiB, or 8 columns where those are larger) and its
product; backward has the gradient of a block for every thread, 4 MiB of weights (or 16 columns) for all of them, and as
much again at most for sums of gradients; both have 2 MiB of permutations. ``empty(name, shape, dtype)`` gives that
memory but what is a thread's.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from ldlrpp.kernels.bijection import entry_dtype
from ldlrpp.kernels.compiling import helper, inlined, njit
from ldlrpp.kernels.cpu import memory
from ldlrpp.kernels.cpu.blas import Matrix, gemm, gemm_address
from ldlrpp.kernels.cpu.permutations import number, permutation_columns, signed

# A block of generated columns: BLAS packs all of x for every block, which repays 256 columns better than 128 (m = 1000,
# batches of 64 to 256: 115 to 131 GFLOP/s of one core instead of 109 to 115), and 512 leave the L2 cache.
_BLOCK_BYTES = 2**21
_BLOCK_COLUMNS = 256
# Blocks that there should be, for the threads to share (on two cores four would take a tenth less than eight at width
# 1000, but leave others idle), and the columns that a block has at least.
_BLOCKS = 8
_LEAST_COLUMNS = 8
# Rows of x that one task takes: forward, where there are too few columns for all blocks, and in backward's second pass.
_ROWS = 512
# Weights of the columns that are taken at a time: permutations are computed, and backward keeps weights, for so many.
_GROUP = 2**20
# Inputs that one task of backward's second pass owns, at least, and such tasks. BLAS packs the gradients for each: on
# two cores, with m = 1000, four tasks take 3% longer than two, ten a tenth.
_LEAST_INPUTS = 128
_INPUT_PARTS = 16
# Columns whose permutations one task computes.
_PERMUTATIONS = 8


class Permuted(NamedTuple):
    """What weights are generated from: the hidden matrix, and rows of permutations from ``first_row`` on."""

    hidden_t: np.ndarray
    order: np.ndarray
    first_row: int
    shared: bool
    signs: bool


class Wide(NamedTuple):
    """Weights of outputs, one output after another; where they are not ``filled``, they are yet to be generated."""

    weights: np.ndarray
    filled: bool


class Outputs(NamedTuple):
    """Outputs ``first`` to ``last`` of ``width``, which are taken in blocks of ``columns``."""

    first: int
    last: int
    width: int
    columns: int


# Kernels get tuples plain, and name them: to tell its type costs less (`ldl`).
# Bodies of parallel loops are functions of their own: Numba compiles them in half of the time.


@inlined
def _gather(source, order, out):
    for i in range(len(source)):
        out[i] = source[order[i]]


@inlined
def _gather_signed(source, order, out):
    for i in range(len(source)):
        out[i] = source[number(order[i])]
    _sign(out, order)


@inlined
def _scatter(values, order, total):
    for i in range(len(total)):
        total[order[i]] += values[i]


@inlined
def _scatter_signed(values, order, total):
    _sign(values, order)
    for i in range(len(total)):
        total[number(order[i])] += values[i]


@inlined
def _sign(values, order):
    """Negate values by the signs of order: a pass of its own, which is one of vectors, as scattered loads are not."""
    for i in range(len(values)):
        values[i] = signed(values[i], order[i])


@helper
def _generate(permuted, start, stop, tile):
    """Write the weights of outputs ``start`` to ``stop`` into tile (flat)."""
    hidden_t, order, first_row, shared, signs = permuted
    n, m = hidden_t.shape
    for c in range(start, stop):
        row, out = order[(c // n if shared else c) - first_row], tile[(c - start) * m : (c - start + 1) * m]
        if signs:
            _gather_signed(hidden_t[c % n], row, out)
        else:
            _gather(hidden_t[c % n], row, out)


@njit(parallel=True, cache=True)
def _expand(permuted, first, wide):
    permuted = Permuted(*permuted)
    width, m = wide.shape
    flat = wide.reshape(-1)
    for r in prange(width):
        _generate(permuted, first + r, first + r + 1, flat[r * m : (r + 1) * m])


@helper
def _forward_block(x, permuted, bias, relu, wide, start, stop, row, last_row, address, out):
    m = permuted.hidden_t.shape[1]
    rows, columns = last_row - row, stop - start
    tile = wide.weights[start * m : stop * m] if len(wide.weights) else np.empty(columns * m, x.dtype)
    if not wide.filled:
        _generate(permuted, start, stop, tile)
    # x[row:last_row] @ tile.T
    product = np.empty(rows * columns, x.dtype)
    gemm(address, 0, Matrix(x, row * m, m), 1, Matrix(tile, 0, m), 0, Matrix(product, 0, columns), rows, columns, m)
    shifts = np.empty(columns, x.dtype)
    for c in range(columns):
        shifts[c] = bias[(start + c) % len(bias)] if len(bias) else x.dtype.type(0)
    for r in range(rows):
        for c in range(columns):
            y = product[r * columns + c] + shifts[c]
            out[row + r, start + c] = out.dtype.type(0) if relu and y < 0 else y


@njit(parallel=True, cache=True)
def _forward(x, permuted, bias, relu, wide, outputs, rows, address, out):
    # x and the weights are flat
    permuted, wide, outputs = Permuted(*permuted), Wide(*wide), Outputs(*outputs)
    batch = len(out)
    n_blocks = (outputs.last - outputs.first + outputs.columns - 1) // outputs.columns
    for task in prange(n_blocks * ((batch + rows - 1) // rows)):
        start, row = outputs.first + task % n_blocks * outputs.columns, task // n_blocks * rows
        stop, last_row = min(start + outputs.columns, outputs.last), min(row + rows, batch)
        _forward_block(x, permuted, bias, relu, wide, start, stop, row, last_row, address, out)


@helper
def _backward_block(grad_y, x, permuted, wants_weights, weights, block, batch, address, sums, grad_bias):
    hidden_t, order, first_row, shared, signs = permuted
    n, m = hidden_t.shape
    start, stop, width, _ = block
    # grad_y[:, start:stop].T @ x
    products = np.empty((stop - start) * m, x.dtype)
    gemm(
        address, 1, Matrix(grad_y, start, width), 0, Matrix(x, 0, m), 0, Matrix(products, 0, m), stop - start, m, batch
    )
    if wants_weights:
        _generate(permuted, start, stop, weights)
    for line in range(len(sums)):
        for i in range(m):
            sums[line, i] = 0
    for c in range(start, stop):
        row = order[(c // n if shared else c) - first_row]
        product, total = products[(c - start) * m : (c - start + 1) * m], sums[(c - start) % len(sums)]
        # forward: weights[c, i] = ±hidden_t[c % n, row[i]]
        if signs:
            _scatter_signed(product, row, total)
        else:
            _scatter(product, row, total)
    if len(grad_bias):
        for c in range(start, stop):
            grad_bias[c] = 0
        for r in range(batch):
            for c in range(start, stop):
                grad_bias[c] += grad_y[r * width + c]


@helper
def _add_sums(sums, first, last, columns, lines, low, high, grad_hidden_t):
    """Add the sums of the blocks from ``first`` to ``last`` up, for inputs ``low`` to ``high``."""
    if first == 0:
        for j in range(len(grad_hidden_t)):
            for i in range(low, high):
                grad_hidden_t[j, i] = 0
    for start in range(first, last, columns):
        at = (start - first) // columns * lines
        for line in range(min(lines, last - start)):
            total, part = grad_hidden_t[(start + line) % len(grad_hidden_t)], sums[at + line]
            for i in range(low, high):
                total[i] += part[i]


@njit(parallel=True, cache=True)
def _backward(grad_y, x, permuted, wide, outputs, inputs, batch, address, sums, wants_grad_x, grads):
    # grad_y, x and the weights are flat.
    # Two passes over the outputs. The first is parallel over blocks of them and leaves their weights (if these are not
    # all there), and the sums of their gradients by hidden column, already taken back through the permutations; the
    # second is parallel over inputs, ``inputs`` a task, each adding the blocks' sums up, in order, for those that it
    # owns.
    permuted = Permuted(*permuted)
    # the others not as wholes, of which a loop takes all arrays, wanted or not (0.3 s of compiling)
    (weights, is_wide), (grad_x, grad_hidden_t, grad_bias) = wide, grads
    first, last, width, columns = outputs
    n, m = permuted.hidden_t.shape
    weights_at = first * m if is_wide else 0
    lines = min(n, columns)
    for block in prange((last - first + columns - 1) // columns):
        start = first + block * columns
        _backward_block(
            grad_y, x, permuted, wants_grad_x and not is_wide, weights[weights_at + (start - first) * m :],
            Outputs(start, min(start + columns, last), width, columns), batch, address,
            sums[block * lines : (block + 1) * lines], grad_bias,
        )  # fmt: skip
    n_parts = (m + inputs - 1) // inputs
    for task in prange(n_parts * max(1, (batch + _ROWS - 1) // _ROWS)):
        low, row = task % n_parts * inputs, task // n_parts * _ROWS
        high, rows = min(low + inputs, m), min(_ROWS, batch - row)
        if row == 0:
            _add_sums(sums, first, last, columns, lines, low, high, grad_hidden_t)
        if wants_grad_x:
            # grad_x[row : row + rows, low:high] += grad_y[row : row + rows, first:last] @ weights
            gemm(
                address, 0, Matrix(grad_y, row * width + first, width), 0, Matrix(weights, weights_at + low, m),
                min(first, 1), Matrix(grad_x, row * m + low, m), rows, high - low, last - first,
            )  # fmt: skip


def _cut(dtype, m, width):
    """Columns of a block."""
    least = -(-width // _BLOCKS)
    most = min(_BLOCK_COLUMNS, _BLOCK_BYTES // (dtype.itemsize * m))
    return max(_LEAST_COLUMNS, min(-(-least // 8) * 8, most))


def _group(columns, m, width):
    """Columns that are taken at a time."""
    return min(max(2 * _LEAST_COLUMNS, _GROUP // m // columns * columns), width)


def _order(first, last, hidden_t, seed, stored, shared, signs, empty):
    """Rows with the permutations of outputs ``first`` to ``last``, and which the first of them is."""
    n, m = hidden_t.shape
    if len(stored):
        return stored, 0
    if shared:
        n, first, last = 1, first // n, (last - 1) // n + 1
    order = empty("permutations", (last - first, m), entry_dtype(m, signs))
    _permutations(n, first, seed, signs, order)
    return order, first


def expand(hidden_t, seed, stored, shared, signs, empty, wide):
    """Write the wide matrix into wide (width, m); the others as in `forward`."""
    width, m = wide.shape
    group = width if len(stored) else _group(_LEAST_COLUMNS, m, width)
    for first in range(0, width, group):
        last = min(first + group, width)
        order, first_row = _order(first, last, hidden_t, seed, stored, shared, signs, empty)
        _expand((hidden_t, order, first_row, shared, signs), first, wide[first:last])


def forward(x, hidden_t, seed, stored, shared, signs, bias, relu, wide, is_filled, empty, out):
    """``out[:, c] = Σ_i x[:, i] · ±W[P[h, i, j], j] + bias[c mod len(bias)]`` with c = h·n + j, perhaps its relu.

    x (batch, m), hidden_t (n, m), stored (width, m), (heads, m) or (0, m), bias (width or n or 0), wide (width, m) or
    (0, m), out (batch, width), all in C order. ``wide`` is read where it ``is_filled`` and written otherwise. Parallel
    over blocks of outputs, each written by one task.
    """
    (batch, width), m = out.shape, x.shape[1]
    columns, rows = _cut(x.dtype, m, width), max(1, batch)
    if width < _BLOCKS * _LEAST_COLUMNS:
        # too few columns for all threads: rows are cut too, and every part of them generates the columns anew
        rows = _ROWS
        if len(wide) and not is_filled:
            expand(hidden_t, seed, stored, shared, signs, empty, wide)
            is_filled = True
    address = gemm_address(x.dtype)
    group = width if is_filled or len(stored) else _group(columns, m, width)
    x, wide = x.reshape(-1), wide.reshape(-1)
    for first in range(0, width, group):
        last = min(first + group, width)
        order, first_row = np.empty((0, m), entry_dtype(m, signs)), 0
        if not is_filled:
            order, first_row = _order(first, last, hidden_t, seed, stored, shared, signs, empty)
        permuted, outputs = (hidden_t, order, first_row, shared, signs), (first, last, width, columns)
        _forward(x, permuted, bias, relu, (wide, is_filled), outputs, rows, address, out)


def backward(
    grad_y, x, hidden_t, seed, stored, shared, signs, wide, empty, wants_grad_x, grad_x, grad_hidden_t, grad_bias
):
    """The transpose of `forward`: overwrites grad_x (batch, m), grad_hidden_t (n, m) and grad_bias (width or 0).

    grad_y (batch, width), the others as there, ``wide`` filled. Without ``wants_grad_x``, ``grad_x`` is left alone.
    """
    (n, m), (batch, width) = hidden_t.shape, grad_y.shape
    columns = _cut(x.dtype, m, width)
    group = _group(columns, m, width)
    # a power of two: three parts would leave one of two threads idle
    n_parts = min(_INPUT_PARTS, 1 << max(0, (m // _LEAST_INPUTS).bit_length() - 1))
    inputs = -(-m // (16 * n_parts)) * 16
    weights = wide if len(wide) else empty("weights", (group, m), x.dtype)
    sums = empty("sums", (-(-group // columns) * min(n, columns), m), x.dtype)
    address = gemm_address(x.dtype)
    grad_y, x, weights = grad_y.reshape(-1), x.reshape(-1), weights.reshape(-1)
    grads = grad_x.reshape(-1), grad_hidden_t, grad_bias
    for first in range(0, width, group):
        last = min(first + group, width)
        order, first_row = _order(first, last, hidden_t, seed, stored, shared, signs, empty)
        permuted, outputs = (hidden_t, order, first_row, shared, signs), (first, last, width, columns)
        _backward(
            grad_y, x, permuted, (weights, len(wide) > 0), outputs, inputs, batch, address, sums, wants_grad_x, grads
        )


def permutations(m, n, width, seed, shared, signs):
    """What the kernels take for ``stored``: the permutations of the first ``width`` outputs of ``n`` columns."""
    out = memory.empty((-(-width // n) if shared else width, m), entry_dtype(m, signs))
    _permutations(1 if shared else n, 0, seed, signs, out)
    return out


def n_permutation_bytes(m, n, width, shared, signs):
    """The size of what `permutations` gives."""
    return (-(-width // n) if shared else width) * m * entry_dtype(m, signs).itemsize


@njit(parallel=True, cache=True)
def _permutations(n, first_row, seed, signs, out):
    n_rows, m = out.shape
    flat = out.reshape(-1)
    for task in prange((n_rows + _PERMUTATIONS - 1) // _PERMUTATIONS):
        first = task * _PERMUTATIONS
        permutation_columns(flat, first * m, m, min(_PERMUTATIONS, n_rows - first), first_row + first, n, seed, signs)


@njit(parallel=True, cache=True)
def is_permutation(rows, signs, out):
    """Write into out (n_rows,) whether a row of rows (n_rows, m), numbers below m, has each of them once."""
    n_rows, m = rows.shape
    for r in prange(n_rows):
        seen = np.zeros(m, np.uint8)
        for i in range(m):
            seen[number(rows[r, i]) if signs else np.uintp(rows[r, i])] = 1
        count = 0
        for i in range(m):
            count += seen[i]
        out[r] = count == m
