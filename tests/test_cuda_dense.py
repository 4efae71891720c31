"""The dense layer's kernels for GPUs, and what it is made of: cuBLAS's products, columns' sums, biases."""

import inspect

import ml_dtypes
import numpy as np
import pytest
import reference

from ldlrpp.kernels import cpu
from ldlrpp.kernels.cuda import blas, columns, dense, memory

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
# Twice the unit of rounding.
EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


@pytest.fixture(params=["simulator", pytest.param("gpu", marks=pytest.mark.gpu)], autouse=True)
def machine(request):
    pass


def draw(dtype, *shape):
    """Numbers on the GPU, and in float64."""
    array = np.random.default_rng(shape).uniform(-1, 1, shape).astype(dtype)
    return memory.put(array), array.astype(np.float64)


def rubbish(shape, dtype):
    return memory.put(np.full(shape, np.nan, dtype))


def assert_close(actual, expected, magnitude, n_operations):
    """As `reference.assert_close`; of halves, which are added up in float32 and rounded twice at most."""
    actual = memory.get(actual)
    epsilon = EPSILON.get(actual.dtype.name)
    if epsilon is not None:
        bound = 2 * epsilon + n_operations * np.finfo(np.float32).eps
        actual, n_operations = actual.astype(np.float64), bound / np.finfo(np.float64).eps
    reference.assert_close(actual, expected, magnitude, n_operations)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [0, 1, 17])
@pytest.mark.parametrize(("n_inputs", "n_outputs"), [(1, 1), (1, 10), (2, 1), (31, 33), (64, 7)])
def test_dense_is_the_product(n_inputs, n_outputs, batch, dtype):
    (x, weights, bias, grad_y), exact = zip(
        *[draw(dtype, *s) for s in ((batch, n_inputs), (n_outputs, n_inputs), (n_outputs,), (batch, n_outputs))],
        strict=True,
    )
    sizes = [np.abs(a) for a in exact]
    out, positive = rubbish(grad_y.shape, dtype), rubbish(grad_y.shape, dtype)
    dense.forward(x, weights, bias, False, out)
    dense.forward(x, weights, bias, True, positive)
    assert_close(out, reference.dense_forward(*exact[:3]), reference.dense_forward(*sizes[:3]), n_inputs + 1)
    np.testing.assert_array_equal(memory.get(positive), np.maximum(memory.get(out), np.dtype(dtype).type(0)))
    gradients = [rubbish(array.shape, dtype) for array in (x, weights, bias)]
    dense.backward(grad_y, x, weights, True, *gradients)
    expected = reference.dense_backward(exact[3], *exact[:2])
    magnitudes = reference.dense_backward(sizes[3], *sizes[:2])
    for result, value, size, n in zip(gradients, expected, magnitudes, [n_outputs, batch, batch], strict=True):
        assert_close(result, value, size, n + 1)


def test_the_gradient_of_the_input_may_be_left_out():
    (x, _), (weights, _), (grad_y, _) = draw(np.float32, 5, 4), draw(np.float32, 3, 4), draw(np.float32, 5, 3)
    gradients = [rubbish(shape, np.float32) for shape in ((5, 4), (3, 4), (3,))]
    dense.backward(grad_y, x, weights, False, *gradients)
    assert [np.isnan(memory.get(grad)).all() for grad in gradients] == [True, False, False]


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_signatures_are_the_cpus(name):
    assert inspect.signature(getattr(dense, name)) == inspect.signature(getattr(cpu.dense, name))


# --- Products --------------------------------------------------------------------------------------------------------


def views(array):
    """Views of (rows, columns) in an array with a column on either side: by rows and by columns."""
    return array[1:-1, 1:-1], array.T[1:-1, 1:-1]


@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_of_views(dtype, adds):
    n_results = 0
    for a, exact_a in zip(*map(views, draw(dtype, 7, 7)), strict=True):
        for b, exact_b in zip(*map(views, draw(dtype, 7, 9)), strict=True):
            if a.shape[1] != b.shape[0]:
                a, exact_a = a[:, :4], exact_a[:, :4]
                b, exact_b = b[:4], exact_b[:4]
            for out_dtype in {np.dtype(dtype), memory.accumulator(np.dtype(dtype))}:
                whole, exact = draw(out_dtype, a.shape[0] + 2, b.shape[1] + 2)
                out, exact_out = views(whole)[0], views(exact)[0] * adds
                blas.gemm(a, b, out, adds)
                sizes = np.abs(exact_a) @ np.abs(exact_b) + np.abs(exact_out)
                assert_close(out, exact_a @ exact_b + exact_out, sizes, a.shape[1] + 1)
                # what is around it stays
                untouched = np.ones(whole.shape, bool)
                views(untouched)[0][...] = False
                np.testing.assert_array_equal(memory.get(whole).astype(np.float64)[untouched], exact[untouched])
                n_results += 1
    assert n_results >= 4


def test_products_of_nothing():
    for adds in (False, True):
        out = memory.put(np.full((2, 3), 5, np.float32))
        blas.gemm(memory.empty((2, 0), np.float32), memory.empty((0, 3), np.float32), out, adds)
        np.testing.assert_array_equal(memory.get(out), np.full((2, 3), 5 * adds))
    blas.gemm(memory.empty((0, 2), np.float32), memory.empty((2, 3), np.float32), memory.empty((0, 3), np.float32))


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (3, 5)], ids=str)
def test_what_cublas_is_told_of_a_view(shape):
    array = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    wide = np.pad(array, ((1, 1), (2, 3)))
    for view in (array, array.T.copy().T, wide[1:-1, 2:-3], wide.T.copy()[2:-3, 1:-1].T):
        np.testing.assert_array_equal(view, array)
        for matrix in (view, view.T):
            is_transposed, stride = blas._layout(matrix)
            rows, columns = matrix.shape if is_transposed else matrix.shape[::-1]
            assert stride >= rows
            # by columns, as cuBLAS reads memory, is a matrix whose transpose is the view, or the view itself
            read = np.lib.stride_tricks.as_strided(matrix, (rows, columns), (4, 4 * stride))
            np.testing.assert_array_equal(read if is_transposed else read.T, matrix)


# --- Whole arrays ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (8, 33), (256, 2), (257, 2), (600, 3)], ids=str)
def test_column_sums(shape, dtype):
    x, exact = draw(dtype, *shape)
    for out_dtype in {np.dtype(dtype), memory.accumulator(np.dtype(dtype))}:
        out = rubbish(shape[1:], out_dtype)
        columns.column_sums(x, out)
        assert_close(out, exact.sum(axis=0), np.abs(exact).sum(axis=0), shape[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("batch", "width", "n_bias"), [(0, 3, 3), (1, 1, 1), (17, 33, 33), (9, 7, 3), (3, 5, 0)])
def test_add_bias(batch, width, n_bias, dtype):
    (_, exact_out), (bias, exact_bias) = draw(dtype, batch, width), draw(dtype, n_bias)
    for relu in (False, True):
        out, _ = draw(dtype, batch, width)
        columns.add_bias(out, bias, relu)
        expected = exact_out + (np.resize(exact_bias, width) if n_bias else 0)
        assert_close(out, np.maximum(expected, 0) if relu else expected, np.abs(expected) + 1, 1)


def test_a_relu_keeps_what_is_no_number():
    values = np.array([[np.nan, -np.inf, np.inf, -1]], np.float32)
    out = memory.put(values)
    columns.add_bias(out, memory.empty((0,), np.float32), True)
    np.testing.assert_array_equal(memory.get(out), [[np.nan, 0, np.inf, 0]])
