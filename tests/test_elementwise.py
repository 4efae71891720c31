"""Passes over whole arrays, on the CPU and on a GPU in Numba's simulator, against plain NumPy."""

import ml_dtypes
import numpy as np
import pytest
import reference
from scipy.sparse import csr_array

from ldlrpp.kernels import cpu, cuda
from ldlrpp.kernels.cuda import sums

EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
SIZES = [(0, np.float32), (1, np.float32), (2, np.float64), (13, np.float32), (257, np.float32), (257, np.float64)]
HALVES = [(15, np.float16), (15, ml_dtypes.bfloat16)]


def on_both(cases, halves=()):
    """All of the cases on both machines, and those of halves on the GPU."""
    machines = [(cpu, cases), (cuda, [*cases, *halves])]
    return [(kernels.elementwise, *case) for kernels, its_cases in machines for case in its_cases]


each_size = pytest.mark.parametrize(("elementwise", "size", "dtype"), on_both(SIZES))
each_kind = pytest.mark.parametrize(("elementwise", "size", "dtype"), on_both(SIZES, HALVES))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks where there would be one, in a fraction of the simulator's time."""
    for module in (cuda.elementwise, sums):
        monkeypatch.setattr(module, "_THREADS", 16)


def drawn(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32).astype(dtype)


def assert_near(actual, expected, magnitude=1.0, n_operations=4):
    """As `reference.assert_close`, halves among the dtypes."""
    actual, eps = actual.astype(np.float64), EPS[actual.dtype.name]
    assert actual.shape == expected.shape
    assert np.isfinite(actual).all()
    assert (np.abs(actual - expected) <= n_operations * eps * (magnitude + np.abs(expected))).all()


@pytest.mark.parametrize("averaged", [True, False])
@each_size
def test_adam(elementwise, size, dtype, averaged):
    parameters, gradients, means, average = (drawn(size, dtype, seed) for seed in range(4))
    squares, n_decayed = drawn(size, dtype, 4) ** 2, size // 2
    options = 0.1, 0.2, 0.01, 0.9, 0.999, 1e-8
    expected = reference.adam_step(
        *(a.astype(np.float64) for a in (parameters, gradients, means, squares)), n_decayed, *options
    )
    # cast to float32, 1 − 0.9 is what it is of float64
    assert dtype == np.float64 or np.float32(1 - 0.9) != 1 - np.float32(0.9)
    average = average if averaged else average[:0]
    share, before = 0.25, average.astype(np.float64)
    elementwise.adam_step(parameters, gradients, means, squares, average, n_decayed, *options, share)
    for actual, value in zip((parameters, means, squares), expected, strict=True):
        assert actual.dtype == dtype
        assert_near(actual, value, 3.0, 8)
    assert_near(average, before + share * (expected[0][: average.size] - before), 3.0, 8)


@pytest.mark.parametrize("nesterov", [True, False])
@each_size
def test_sgd(elementwise, size, dtype, nesterov):
    parameters, gradients, velocities, average = (drawn(size, dtype, seed) for seed in range(4))
    options = size // 2, 0.3, 0.1, 0.9, nesterov
    expected = reference.sgd_step(*(a.astype(np.float64) for a in (parameters, gradients, velocities)), *options)
    before = average.astype(np.float64)
    elementwise.sgd_step(parameters, gradients, velocities, average, *options, 0.25)
    for actual, value in zip((parameters, velocities), expected, strict=True):
        assert_near(actual, value, 3.0, 8)
    assert_near(average, before + 0.25 * (expected[0] - before), 3.0, 8)


@each_kind
def test_activations(elementwise, size, dtype):
    z, shape = 3 * drawn(size, dtype), (1, size)
    wide = z.astype(np.float64)
    for function, expected in ((elementwise.tanh, np.tanh(wide)), (elementwise.logistic, reference.logistic(wide))):
        y = z.reshape(shape).copy()
        function(y)
        assert_near(y, expected.reshape(shape))


@pytest.mark.parametrize("elementwise", [cpu.elementwise, cuda.elementwise])
def test_activations_of_large_numbers(elementwise):
    for dtype in (np.float32, np.float64):
        z = np.array([[-1e30, -100, 0, 100, 1e30]], dtype)
        elementwise.logistic(z)
        np.testing.assert_allclose(z, [[0, reference.logistic(-100.0), 0.5, 1, 1]], rtol=1e-5, atol=1e-40)


@pytest.mark.parametrize("name", ["tanh", "logistic", "relu"])
@each_kind
def test_derivatives_of_activations(elementwise, size, dtype, name):
    grad, y = drawn((1, size), dtype), drawn((1, size), dtype, 1)
    if size > 2:
        y[0, :2] = 0.0, np.nan
    values, output = grad.astype(np.float64), y.astype(np.float64)
    derivative = {"tanh": 1 - output**2, "logistic": output * (1 - output), "relu": output > 0}[name]
    getattr(elementwise, f"{name}_backward")(grad, y)
    known = ~np.isnan(values * derivative)
    assert_near(grad[known], (values * derivative)[known], 10.0)
    assert np.isnan(grad.astype(np.float64)[~known]).all()


@each_kind
def test_what_is_dropped(elementwise, size, dtype):
    seed, rate = np.uint64(2**40 + 3), 0.3
    kept = reference.is_kept(np.arange(size), int(seed), rate).reshape(1, size)
    y, grad = drawn((1, size), dtype), drawn((1, size), dtype, 1)
    before, grad_before = y.astype(np.float64), grad.astype(np.float64)
    elementwise.drop(y, seed, rate)
    assert_near(y, before * kept / 0.7)
    elementwise.drop_backward(grad, y, seed, rate)
    assert_near(grad, grad_before * kept / 0.7)
    assert_near(y, before * kept)


@each_size
def test_what_is_long_is_shortened(elementwise, size, dtype, monkeypatch):
    monkeypatch.setattr(cuda.elementwise, "_PARTS", 2)
    x = drawn(size, dtype)
    exact = x.astype(np.float64)
    norm = np.linalg.norm(exact)
    elementwise.shorten(x, 2 * norm + 1)
    np.testing.assert_array_equal(x, exact)
    elementwise.shorten(x, 0.3 * norm)
    assert_near(x, 0.3 * exact, n_operations=8)


@each_kind
def test_sum_of_squares(elementwise, size, dtype, monkeypatch):
    monkeypatch.setattr(cuda.elementwise, "_PARTS", 2)
    x = drawn(size, dtype)
    expected = np.sum(x.astype(np.float64) ** 2)
    assert float(elementwise.square_sum(x)) == pytest.approx(expected, rel=1e-5 if dtype != np.float64 else 1e-13)


@pytest.mark.parametrize("repeated", [True, False])
@pytest.mark.parametrize(
    ("elementwise", "batch", "n", "width", "dtype"),
    on_both(
        [
            (0, 2, 4, np.float32), (1, 1, 1, np.float32), (2, 1, 5, np.float64), (3, 3, 8, np.float32),
            (2, 8, 8, np.float32), (15, 3, 4, np.float32), (5, 13, 257, np.float32), (1, 257, 300, np.float64),
        ],
        [(2, 3, 7, np.float16), (2, 3, 7, ml_dtypes.bfloat16)],
    ),
)  # fmt: skip
def test_rows_are_taken_widened_and_folded(elementwise, batch, n, width, dtype, repeated, monkeypatch):
    # a block has several rows
    monkeypatch.setattr(cuda.elementwise, "_MOST_ROWS", 2)
    x, rows = drawn((20, n), dtype), np.random.default_rng(1).integers(20, size=batch)
    out = np.full((batch, width), np.nan, dtype)
    elementwise.take_rows(x, rows, repeated, out)
    np.testing.assert_array_equal(out, reference.widen(x[rows], repeated, width))
    dense = x * (np.random.default_rng(2).random(x.shape) < 0.4)
    for csr in (csr_array(dense.astype(np.float64)), csr_array((20, n))):
        arrays = csr.data.astype(dtype), csr.indices, csr.indptr
        out[...] = np.nan
        elementwise.take_sparse_rows(*arrays, rows, n, repeated, out)
        wanted = csr.toarray().astype(dtype)[rows]
        np.testing.assert_array_equal(out, reference.widen(wanted, repeated, width))
    out[...] = np.nan
    elementwise.widen(x[:batch], repeated, out)
    np.testing.assert_array_equal(out, reference.widen(x[:batch], repeated, width))
    wide, narrow = drawn((batch, width), dtype), np.full((batch, n), np.nan, dtype)
    elementwise.fold(wide, repeated, narrow)
    exact = wide.astype(np.float64)
    copies = -(-width // n)
    assert_near(narrow, reference.fold(exact, repeated, n), reference.fold(np.abs(exact), repeated, n), copies)
