"""LDL on the GPU: which passes over memory a layer takes, and what a batch is cut into for them.

Up to 2^10 positions (float32, radix 2; 2^9 of radix 4 or backward, and less in float64) a row goes through all stages
in one pass (`ldl_passes`): every number is read once and written once. Wider rows take passes from the first stages to
the last, each with as many of them as threads have registers for; between passes, a part of the batch stays in L2.
Radices above 4 are batched products (`ldl_products`).

Arrays are those of `ldlrpp.kernels.cpu.ldl`, also of float16 and bfloat16, which is what is kept between passes then;
arithmetic is in float32. Beyond inputs and outputs, backward takes the inputs of all passes but the first, for a part
of the batch of 2^22 numbers (or 32 rows), and 512 partial sums of a tile's gradients, at most.
"""

import functools
from typing import NamedTuple

import numpy as np

from ldlrpp.kernels.cuda import ldl_passes as passes
from ldlrpp.kernels.cuda import ldl_products, memory
from ldlrpp.kernels.cuda.launching import launch, n_multiprocessors
from ldlrpp.kernels.ldl_weights import radix_of

# Logarithms: positions of a tile at least, neighbours of a tile that is none of whole rows (64 bytes of float32), and
# stages that a layer's last pass is left with if that takes no pass more: fewer threads, of which more blocks fit.
_TILE = 8
_COLUMNS = 4
_LAST = 9
# Bytes of shared memory that a block has without asking for more.
_SHARED = 48 * 1024
# Numbers of a batch that go through all passes before the next: 32 MB of float32, and backward three arrays of 16 MB
# that are read again, of the 50 MB and more of L2. A launch takes the host some 5 µs, in which an H200 moves 20 MB.
_PART = 2**23
_BACKWARD_PART = 2**22
_LEAST_ROWS = 32
# Blocks that sums are shared out to, at most, and the rows that each should have.
_BLOCKS = 512
_SUMMED_ROWS = 4


class _Pass(NamedTuple):
    """Some stages of a layer, whose weights are rows ``first`` to ``stop`` − 1; ``units`` is their table."""

    first: int
    stop: int
    units: tuple
    tile: passes.Tile


def _n_units(radix, n_bits, at_end):
    # The last pass has two or more: positions of its last unit are neighbours, which a warp would load one by one.
    return max(2 if at_end else 1, -(-n_bits // 3) if radix == 2 else n_bits // 2)


def _columns(n_bits, at_end):
    return 0 if at_end else _COLUMNS if n_bits > 3 else _COLUMNS + 1


def _size(n_bits, at_end):
    return max(_TILE, n_bits + _columns(n_bits, at_end))


def _fits(radix, n_bits, at_end, itemsize, backward):
    """Whether a pass of so many stages (of radix 2, that is) finds threads and shared memory."""
    size, n_units = _size(n_bits, at_end), _n_units(radix, n_bits, at_end)
    most = passes.DOUBLE_THREADS if itemsize == 8 else passes.BACKWARD_THREADS if backward else passes.THREADS
    return n_units << (size - 3) <= most and _shared_bytes(n_units, size, itemsize, backward) <= _SHARED


def _shared_bytes(n_units, size, itemsize, backward):
    return (n_units * (n_units + 4) if backward else 2 * n_units) * itemsize << size


def _split(radix, n_bits, itemsize, backward):
    """How many stages, of radix 2 that is, every pass takes: as few passes as there can be, whole stages."""

    def most(at_end, parity):
        return max(
            n for n in range(1 + parity, 12) if n % step == parity and _fits(radix, n, at_end, itemsize, backward)
        )

    taken, step = [], 1 if radix == 2 else 2
    while not _fits(radix, n_bits, True, itemsize, backward):
        # what radix 4 leaves over is a stage of the first pass
        parity = n_bits % step
        beyond = n_bits - min(_LAST, most(True, 0))
        wanted = -(-beyond // 3) * 3 if radix == 2 else beyond
        taken.append(min(wanted, most(False, parity)))
        n_bits -= taken[-1]
    return [*taken, n_bits]


@functools.lru_cache(1024)
def _passes(width, radix, itemsize, backward):
    """The passes of a layer of two positions and more."""
    found, first, high = [], 0, width.bit_length() - 1
    for n_bits in _split(radix, high, itemsize, backward):
        low = high - n_bits
        # whole stages: of radix 2 two rows a bit, of radix 4 four rows for two
        n_rows = 2 * n_bits
        columns, size = _columns(n_bits, low == 0), _size(n_bits, low == 0)
        tile = passes.Tile(
            size, columns, low, width.bit_length() - 1, max(width.bit_length() - 1, low + size - columns)
        )
        found.append(_Pass(first, first + n_rows, _units(radix, n_bits, low == 0), tile))
        first, high = first + n_rows, low
    return found


def _units(radix, n_bits, at_end):
    """The table of a pass's units: see `ldl_passes`. Rows are counted from the pass's first."""
    columns, size, n_units = _columns(n_bits, at_end), _size(n_bits, at_end), _n_units(radix, n_bits, at_end)
    table = []
    for k in reversed(range(n_units)):
        lowest = columns + (3 if radix == 2 else 2) * k
        low = min(lowest, size - 3)
        kind, rows = 0, [0, 0, 0]
        if radix == 2:
            for bit in range(lowest, min(lowest + 3, columns + n_bits)):
                kind |= 1 << (bit - low)
                rows[2 - (bit - low)] = 2 * (columns + n_bits - 1 - bit)
        else:
            if k < n_bits // 2:
                kind |= passes.FOUR_0 if low == lowest else passes.FOUR_1
                rows[2] = 2 * (n_bits - 2 * (k + 1))
            if n_bits % 2 and k == max(0, n_bits // 2 - 1):
                bit = columns + n_bits - 1 - low
                kind |= 1 << bit
                rows[2 - bit] = 0
        table += [low, kind, *rows]
    return tuple(table)


@functools.cache
def _table(units, device):
    """A table on a GPU, there before any stream may ask for it."""
    table = memory.put(np.array(units, np.int64))
    memory.synchronize()
    return table


def _parameters(dtype, *arrays):
    """Weights and what goes with them, as numbers that are added up."""
    accumulator = memory.accumulator(dtype)
    return [array if array.dtype == accumulator else array.astype(accumulator) for array in arrays]


def forward(x, weights, scale, bias, relu, out):
    """``out = scale · z + bias`` with z the last stage or, with ``relu``, zero where that is negative; in C order.

    x, out (batch, N), weights of any radix, scale, bias (N,).
    """
    batch, width = x.shape
    radix = radix_of(weights.shape)
    if width == 1 or radix > 4:
        ldl_products.forward(x, weights, scale, bias, relu, out)
        return
    weights, scale, bias = _parameters(x.dtype, weights, scale, bias)
    weights = weights.reshape(-1, width)
    found = _passes(width, radix, weights.itemsize, False)
    part = max(1, batch if len(found) == 1 else _PART // width)
    for first in range(0, batch, part):
        source, target = x[first : first + part], out[first : first + part]
        for a_pass in found:
            _forward_pass(a_pass, source, weights, scale, bias, relu, target)
            source = target


def _forward_pass(a_pass, x, weights, scale, bias, relu, out):
    tile, n_units = a_pass.tile, len(a_pass.units) // passes.COLUMNS
    n_rows, n_tiles = -(-x.size >> tile.row), 1 << (tile.row - tile.size)
    threads = (1 << (tile.size - 3), n_units)
    # a wave of blocks: as many as there are threads for
    n_blocks = max(1, passes.THREADS // (threads[0] * n_units)) * n_multiprocessors()
    rows_a_block = max(1, -(-n_rows * n_tiles // n_blocks))
    launch(
        passes.double_forward_pass if weights.itemsize == 8 else passes.forward_pass,
        (n_tiles, -(-n_rows // rows_a_block)), threads,
        x, weights[a_pass.first :], scale, bias, _table(a_pass.units, memory.device(x)), tile,
        passes.Batch(n_rows, rows_a_block, x.size, a_pass.stop - a_pass.first), a_pass.stop == len(weights), relu, out,
        shared=_shared_bytes(n_units, tile.size, weights.itemsize, False),
    )  # fmt: skip


def backward(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias):
    """The transpose of `forward`: overwrites all four gradients.

    grad_y, x, grad_x (batch, N), weights, grad_weights of any radix, the others (N,), in C order. Stages are computed
    again, pass by pass.
    """
    batch, width = x.shape
    radix = radix_of(weights.shape)
    grads = grad_weights, grad_scale, grad_bias
    if width == 1 or radix > 4:
        ldl_products.backward(grad_y, x, weights, scale, grad_x, *grads)
        return
    weights, scale = _parameters(x.dtype, weights, scale)
    weights, grads = weights.reshape(-1, width), (grad_weights.reshape(-1, width), grad_scale, grad_bias)
    found = _passes(width, radix, weights.itemsize, True)
    part = max(1, batch) if len(found) == 1 else max(_LEAST_ROWS, _BACKWARD_PART // width)
    sums = [_Sums(a_pass, min(part, batch), weights, radix) for a_pass in found]
    between = [memory.empty((min(part, batch), width), x.dtype) for _ in found[1:]]
    for first in range(0, batch, part):
        rows = slice(first, min(first + part, batch))
        inputs = [x[rows], *(array[: rows.stop - rows.start] for array in between)]
        for a_pass, source, target in zip(found, inputs, inputs[1:], strict=False):
            # none of these is the last, which alone looks at the scale and the bias
            _forward_pass(a_pass, source, weights, scale, scale, False, target)
        gradient = grad_y[rows]
        for own, source in zip(reversed(sums), reversed(inputs), strict=True):
            own.backward_pass(gradient, source, weights, scale, grad_x[rows])
            gradient = grad_x[rows]
    for own in sums:
        own.gather(weights, scale, *grads)


def scratch_bytes(batch, width, radix, itemsize):
    """Memory that `backward` takes beside its arguments, in bytes, about."""
    if width == 1 or radix > 4:
        return ldl_products.scratch_bytes(batch, width, radix, itemsize)
    found = _passes(width, radix, itemsize, True)
    between = (len(found) - 1) * min(batch * width, max(_LEAST_ROWS * width, _BACKWARD_PART))
    sums = 0
    for a_pass in found:
        n_parts, _ = _shares(a_pass.tile, batch, width)
        sums += n_parts * (a_pass.stop - a_pass.first + 1) * width
    return (between + sums) * itemsize


def _shares(tile, batch, width):
    """How rows are shared out to partial sums, by the shapes alone: the number of these, and the rows of each."""
    n_rows, n_tiles = -(-batch * width >> tile.row), 1 << (tile.row - tile.size)
    rows_a_part = max(_SUMMED_ROWS, -(-n_rows * n_tiles // _BLOCKS))
    return max(1, -(-n_rows // rows_a_part)) << (tile.row - tile.width), rows_a_part


class _Sums:
    """Partial sums of the gradients of a pass's weights."""

    def __init__(self, a_pass, batch, weights, radix):
        self.a_pass, self.n_last = a_pass, min(radix, weights.shape[1])
        tile, self.width = a_pass.tile, weights.shape[1]
        self.n_tiles = 1 << (tile.row - tile.size)
        self.n_parts, self.rows_a_part = _shares(tile, batch, self.width)
        self.finishes = a_pass.stop == len(weights)
        self.partial = memory.zeros((self.n_parts, a_pass.stop - a_pass.first, self.width), weights.dtype)
        self.bias = memory.zeros((self.n_parts, self.width if self.finishes else 0), weights.dtype)

    def backward_pass(self, grad_y, x, weights, scale, grad_x):
        tile, units = self.a_pass.tile, self.a_pass.units
        n_units, n_rows = len(units) // passes.COLUMNS, -(-x.size >> tile.row)
        launch(
            passes.double_backward_pass if weights.itemsize == 8 else passes.backward_pass,
            (self.n_tiles, -(-n_rows // self.rows_a_part)), (1 << (tile.size - 3), n_units),
            grad_y, x, weights[self.a_pass.first :], scale, _table(units, memory.device(x)), tile,
            passes.Batch(n_rows, self.rows_a_part, x.size, self.partial.shape[1]), self.finishes, self.partial,
            self.bias, grad_x,
            shared=_shared_bytes(n_units, tile.size, weights.itemsize, True),
        )  # fmt: skip

    def gather(self, weights, scale, grad_weights, grad_scale, grad_bias):
        first, n_rows = self.a_pass.first, self.partial.shape[1]
        last = n_rows - self.n_last if self.finishes else n_rows
        launch(
            passes.gather_sums, (-(-self.width // 32), last + 2 * self.finishes), (32, min(8, self.n_parts)),
            self.partial, self.bias, weights[first:], scale, passes.Parts(self.n_parts, n_rows, last, self.width),
            self.finishes, grad_weights[first:], grad_scale, grad_bias,
        )  # fmt: skip
