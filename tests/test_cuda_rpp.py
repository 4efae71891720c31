"""RPP's kernels for GPUs against the reference, in Numba's simulator and, asked for, on a GPU."""

import inspect

import ml_dtypes
import numpy as np
import pytest
import reference
from test_bijection import GOLDEN, GOLDEN_SIGNS

from ldlrpp.kernels import bijection, cpu
from ldlrpp.kernels.cuda import columns, memory, permutations, rpp

SEED = 2**64 - 5
# Of a rounded result, once as a product and once with its bias: 2 to the power of what is left of a mantissa.
EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


@pytest.fixture(params=["simulator", pytest.param("gpu", marks=pytest.mark.gpu)], autouse=True)
def machine(request, monkeypatch):
    """Where tests run; the simulator's threads are Python's, so that blocks have few of them."""
    if request.param == "simulator":
        for module, sizes in {
            rpp: {"_THREADS": 8, "_CHECKING": 8},
            permutations: {"_COLUMNS": 8, "_LEAST_THREADS": 8},
            columns: {"_THREADS": 8, "_COLUMNS": 4, "_LANES": 2, "_SUMS": 8},
        }.items():
            for name, value in sizes.items():
                monkeypatch.setattr(module, name, value)


@pytest.fixture
def simulated(machine):
    """Of tests that change what a compiled kernel has in it."""
    if not memory.SIMULATED:
        pytest.skip("compiled kernels keep their constants")


def rubbish(name, shape, dtype):
    """Memory that may hold anything."""
    return memory.put(np.full(shape, 77 if dtype.kind == "u" else np.nan, dtype))


def entries(m, seed, head, column, signs):
    """A permutation's entries as the kernels keep them."""
    order, exact_signs = reference.permutation_and_signs(m, seed, head, column)
    dtype = bijection.entry_dtype(m, signs)
    negative = (exact_signs < 0).astype(dtype) if signs else dtype.type(0)
    return order.astype(dtype) | negative << dtype.type(8 * dtype.itemsize - 1)


# --- Permutations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("m", "signs"),
    [(m, True) for m in (1, 2, 5, 63, 64, 65, 100, 127, 257, 512, 513, 784, 1000, 1024, 1025)]
    + [(m, False) for m in (2, 64, 65, 784)],
)  # fmt: skip
@pytest.mark.parametrize("shared", [False, True])
def test_permutations_follow_the_definition(m, signs, shared):
    n, width = 2, 5 if m < 100 else 3
    rows = memory.get(rpp.permutations(m, n, width, np.uint64(SEED), shared, signs))
    outputs = [(h, 0) for h in range(-(-width // n))] if shared else [divmod(c, n) for c in range(width)]
    assert len(rows) == len(outputs)
    assert rows.dtype == bijection.entry_dtype(m, signs)
    assert rows.nbytes == rpp.n_permutation_bytes(m, n, width, shared, signs)
    for row, (head, column) in zip(rows, outputs, strict=True):
        np.testing.assert_array_equal(row, entries(m, SEED, head, column, signs))


def test_more_small_permutations_than_a_block_has_threads():
    rows = memory.get(rpp.permutations(7, 3, 70, np.uint64(SEED), False, True))
    np.testing.assert_array_equal(rows, [entries(7, SEED, *divmod(c, 3), True) for c in range(70)])


@pytest.mark.parametrize("case", GOLDEN, ids=str)
def test_golden_values(case):
    m, seed, head, column = case
    n = column + 1
    for signs in (False, True):
        out = memory.empty((1, m), bijection.entry_dtype(m, signs))
        permutations.permutation_rows(n, head * n + column, np.uint64(seed), signs, out)
        (row,) = memory.get(out)
        sign_bit = out.dtype.type(1 << (8 * out.itemsize - 1) if signs else 0)
        assert (row & ~sign_bit)[:8].tolist() == GOLDEN[case]
        if signs:
            assert "".join("-" if entry & sign_bit else "+" for entry in row[:16]) == GOLDEN_SIGNS[case]


@pytest.mark.parametrize(("dtype", "signs"), [(np.uint16, True), (np.uint16, False), (np.uint32, True)])
def test_values_that_no_table_holds_are_computed(dtype, signs, monkeypatch, simulated):
    monkeypatch.setattr(permutations, "_MOST_VALUES", 0)
    monkeypatch.setattr(permutations, "_CHUNK", 40)
    for m in (65, 100):
        out = np.empty((2, m), dtype)
        permutations.permutation_rows(3, 4, SEED, signs, out)
        sign_bit = 8 * out.itemsize - 1
        for row, column in zip(out, (1, 2), strict=True):
            order, exact_signs = reference.permutation_and_signs(m, SEED, 1, column)
            np.testing.assert_array_equal(row & dtype((1 << sign_bit) - 1), order)
            np.testing.assert_array_equal(row >> sign_bit, exact_signs < 0 if signs else 0)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
@pytest.mark.parametrize(("m", "signs"), [(1, False), (5, True), (300, True), (300, False)])
def test_what_is_a_permutation(m, signs, dtype):
    rows = np.array([entries(m, SEED, h, 0, signs) for h in range(4)], dtype)
    if signs and dtype == np.uint32:
        rows |= (rows >> 15) << 31
        rows &= 0x80007FFF
    expected = np.ones(4, bool)
    if m > 1:
        rows[1, 0], rows[3, m - 1] = rows[1, 1], rows[3, 0] ^ dtype(signs << (8 * rows.itemsize - 1))
        expected[[1, 3]] = False
    out = memory.put(~expected)
    rpp.is_permutation(memory.put(rows), signs, out)
    np.testing.assert_array_equal(memory.get(out), expected)


def test_blocks_check_several_rows(monkeypatch):
    monkeypatch.setattr(rpp, "_MARKS", 20)
    rows = np.array([entries(10, SEED, h, 0, False) for h in range(5)])
    rows[2, 3] = rows[2, 4]
    out = memory.put(np.zeros(5, bool))
    rpp.is_permutation(memory.put(rows), False, out)
    np.testing.assert_array_equal(memory.get(out), [True, True, False, True, True])


# --- Layers ----------------------------------------------------------------------------------------------------------


class Layer:
    """Arguments of the kernels, on the GPU, and in float64 for the reference."""

    def __init__(self, m, width, k, batch, dtype, shared=False, signs=True, bias="full", hidden_dtype=None):
        n, rng = -(-width // k), np.random.default_rng(0)
        n_bias = {"full": width, "shared": n, "none": 0}[bias]
        self.shape, self.shared, self.signs = (m, n, width, k, batch), shared, signs
        dtypes = (dtype, dtype, hidden_dtype or dtype, dtype)
        shapes = (batch, m), (batch, width), (n, m), (n_bias,)
        arrays = [rng.uniform(-1, 1, shape).astype(d) for shape, d in zip(shapes, dtypes, strict=True)]
        self.exact = [a.astype(np.float64) for a in arrays]
        self.x, self.grad_y, self.hidden_t, self.bias = map(memory.put, arrays)
        self.stored = memory.empty((0, m), np.uint16)
        self.wide = memory.empty((0, m), dtype)
        columns = [
            [reference.permutation_and_signs(m, SEED, h, 0 if shared else j) for j in range(n)] for h in range(k)
        ]
        self.permutation, exact_signs = np.transpose(columns, (2, 0, 3, 1))
        self.exact_signs = exact_signs if signs else np.ones_like(exact_signs)

    def keep(self, permutations, weights):
        m, n, width, _, _ = self.shape
        if permutations:
            self.stored = rpp.permutations(m, n, width, np.uint64(SEED), self.shared, self.signs)
        if weights:
            self.wide = rubbish("wide", (width, m), self.x.dtype)

    def forward(self, relu=False, is_filled=False):
        out = rubbish("out", self.grad_y.shape, self.x.dtype)
        rpp.forward(
            self.x, self.hidden_t, np.uint64(SEED), self.stored, self.shared, self.signs, self.bias, relu, self.wide,
            is_filled, rubbish, out,
        )  # fmt: skip
        return memory.get(out)

    def backward(self, wants_grad_x=True, wants_grad_bias=True):
        width = self.shape[2]
        grads = [rubbish("grad", array.shape, array.dtype) for array in (self.x, self.hidden_t)]
        grads.append(rubbish("grad", (width if wants_grad_bias else 0,), self.x.dtype))
        rpp.backward(
            self.grad_y, self.x, self.hidden_t, np.uint64(SEED), self.stored, self.shared, self.signs, self.wide,
            rubbish, wants_grad_x, *grads,
        )  # fmt: skip
        return [memory.get(grad) for grad in grads]

    def check(self, is_filled=False):
        m, _, width, k, batch = self.shape
        x, grad_y, hidden_t, bias = self.exact
        sizes, ones = [np.abs(a) for a in self.exact], np.ones_like(self.exact_signs)
        y = self.forward(is_filled=is_filled)
        if not len(bias):
            bias = sizes[3] = np.zeros(1)
        assert_close(
            y,
            reference.rpp_forward(x, hidden_t.T, self.permutation, self.exact_signs, bias, width),
            reference.rpp_forward(sizes[0], sizes[2].T, self.permutation, ones, sizes[3], width),
            m + 2,
        )
        expected = reference.rpp_backward(grad_y, x, hidden_t.T, self.permutation, self.exact_signs)
        magnitudes = reference.rpp_backward(sizes[1], sizes[0], sizes[2].T, self.permutation, ones)
        grad_x, grad_hidden_t, grad_bias = self.backward()
        for grad, value, size in zip((grad_x, grad_hidden_t.T, grad_bias), expected, magnitudes, strict=True):
            assert_close(grad, value, size, width + batch + k + 2)
        return y, grad_x, grad_hidden_t, grad_bias


def assert_close(actual, expected, magnitude, n_operations):
    """As `reference.assert_close`; of halves, which are added up in float32 and rounded twice at most."""
    epsilon = EPSILON.get(actual.dtype.name)
    if epsilon is not None:
        bound = 2 * epsilon + n_operations * np.finfo(np.float32).eps
        actual, n_operations = actual.astype(np.float64), bound / np.finfo(np.float64).eps
    reference.assert_close(actual, expected, magnitude, n_operations)


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of so many outputs, and so many blocks that share their heads."""

    def set_sizes(m, columns, blocks):
        for name, value in {"_TILE": m * columns, "_STEP": 1, "_LEAST": 1, "_BLOCKS": blocks}.items():
            monkeypatch.setattr(rpp, name, value)

    return set_sizes


# (m, width, k, batch): single inputs and outputs, odd and prime ones, cut heads, both kinds of permutation
SHAPES = [(1, 1, 1, 1), (2, 3, 3, 17), (5, 7, 3, 1), (5, 6, 3, 0), (64, 5, 2, 15), (67, 9, 5, 17)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_and_backward_agree_with_the_reference(shape, dtype):
    layer = Layer(*shape, dtype, signs=dtype == np.float32)
    y, *_ = layer.check()
    np.testing.assert_array_equal(layer.forward(relu=True), np.maximum(y, 0))


@pytest.mark.parametrize("bias", ["full", "shared", "none"])
@pytest.mark.parametrize(("shared", "signs"), [(False, False), (True, True), (True, False)])
def test_options_agree_with_the_reference(shared, signs, bias):
    Layer(9, 11, 4, 3, np.float32, shared, signs, bias).check()


# Tiles that end within a head, that have a part of the columns, and that have several heads for a block; and blocks
# that share the heads of a column, of one size and of several
@pytest.mark.parametrize(("columns", "blocks"), [(5, 1024), (2, 1), (10, 1), (10, 6), (7, 9)])
@pytest.mark.parametrize("shared", [False, True])
def test_tiles_and_blocks_agree_with_the_reference(columns, blocks, shared, small_tiles):
    small_tiles(6, columns, blocks)
    Layer(6, 19, 7, 3, np.float32, shared).check()


@pytest.mark.parametrize("columns", [5, 100])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_halves_are_added_up_in_float32(dtype, columns, small_tiles):
    small_tiles(66, columns, 4)
    Layer(66, 9, 4, 5, dtype).check()
    # weights that are kept in float32, as is their gradient
    layer = Layer(66, 9, 4, 5, dtype, hidden_dtype=np.float32)
    layer.hidden_t = memory.put(layer.exact[2].astype(dtype).astype(np.float32))
    layer.exact[2] = memory.get(layer.hidden_t).astype(np.float64)
    assert layer.check()[2].dtype == np.float32


@pytest.mark.parametrize("blocks", [1, 6])
def test_columns_that_shared_memory_does_not_hold(blocks, small_tiles, monkeypatch):
    small_tiles(9, 8, blocks)
    monkeypatch.setattr(rpp, "_SHARED", 0)
    Layer(9, 11, 4, 3, np.float32).check()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("m", [7, 70])
def test_permutations_and_weights_that_are_kept_change_no_bit(m, shared, small_tiles):
    small_tiles(m, 5, 3)
    layer = Layer(m, 8, 3, 3, np.float32, shared)
    computed = layer.check()
    for permutations_too in (False, True):
        layer.keep(permutations_too, weights=True)
        for is_filled in (False, True):
            for a, b in zip(layer.check(is_filled), computed, strict=True):
                np.testing.assert_array_equal(a, b)
    layer.wide = layer.wide[:0]
    for a, b in zip(layer.check(), computed, strict=True):
        np.testing.assert_array_equal(a, b)


def test_permutations_of_four_bytes_may_be_stored(small_tiles):
    layer = Layer(9, 8, 3, 3, np.float32)
    expected = layer.check()
    rows = np.array([entries(9, SEED, *divmod(c, 3), True) for c in range(8)]).astype(np.uint32)
    layer.stored = memory.put(rows & 0x7FFF | (rows >> 15) << 31)
    for a, b in zip(layer.check(), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_may_be_left_out():
    layer = Layer(9, 8, 3, 3, np.float32)
    grad_x, grad_hidden_t, _ = layer.backward()
    untouched, same, none = layer.backward(wants_grad_x=False, wants_grad_bias=False)
    assert np.isnan(untouched).all()
    assert not np.isnan(grad_x).any()
    np.testing.assert_array_equal(same, grad_hidden_t)
    assert none.size == 0


@pytest.mark.parametrize("shared", [False, True])
def test_expand(shared, small_tiles):
    small_tiles(66, 4, 3)
    layer = Layer(66, 9, 4, 1, np.float32, shared)
    wide = rubbish("wide", (9, 66), np.dtype(np.float32))
    rpp.expand(layer.hidden_t, np.uint64(SEED), layer.stored, shared, True, rubbish, wide)
    expected = reference.rpp_matrix(layer.exact[2].T, layer.permutation, layer.exact_signs, 9)
    np.testing.assert_array_equal(memory.get(wide).T, expected)


def test_tiles_have_at_least_some_outputs():
    assert rpp._columns(784, 10**6) == 8448
    assert rpp._columns(784, 100) == 100
    assert rpp._columns(2**20, 1000) == 16


@pytest.mark.parametrize(
    "name", ["forward", "backward", "expand", "permutations", "n_permutation_bytes", "is_permutation"]
)
def test_signatures_are_the_cpus(name):
    twin = getattr(cpu.rpp, name)
    assert inspect.signature(getattr(rpp, name)) == inspect.signature(getattr(twin, "py_func", twin))
