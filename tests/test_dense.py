"""The dense layer's kernels against NumPy's product."""

import numpy as np
import pytest
import reference

from ldlrpp.kernels import cpu
from ldlrpp.kernels.cpu.threads import single_threaded_blas

# Parts of a product are 100 rows and 128 columns at least: one part, parts that are whole, and parts that are cut.
SHAPES = [(1, 1), (1, 10), (2, 1), (3, 7), (64, 33), (127, 129), (128, 128), (300, 257), (4100, 40), (40, 2100)]
BATCHES = [0, 1, 15, 17, 200, 515]


def arrays(batch, n_inputs, n_outputs, dtype):
    rng = np.random.default_rng([batch, n_inputs, n_outputs])
    shapes = [(batch, n_inputs), (n_outputs, n_inputs), (n_outputs,), (batch, n_outputs)]
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(("n_inputs", "n_outputs"), SHAPES)
def test_dense_is_the_product(n_inputs, n_outputs, batch, dtype, threads):
    x, weights, bias, grad_y = arrays(batch, n_inputs, n_outputs, dtype)
    out, grad_x, grad_weights, grad_bias = (np.full_like(a, np.nan) for a in (grad_y, x, weights, bias))
    with single_threaded_blas():
        cpu.dense.forward(x, weights, bias, False, out)
        positive = np.full_like(out, np.nan)
        cpu.dense.forward(x, weights, bias, True, positive)
        cpu.dense.backward(grad_y, x, weights, True, grad_x, grad_weights, grad_bias)
    np.testing.assert_array_equal(positive, np.maximum(out, 0))
    exact = [a.astype(np.float64) for a in (x, weights, bias, grad_y)]
    x, weights, bias, grad_y = exact
    sizes = [np.abs(a) for a in exact]
    reference.assert_close(
        out,
        reference.dense_forward(x, weights, bias),
        reference.dense_forward(sizes[0], sizes[1], sizes[2]),
        n_inputs + 1,
    )
    actual = grad_x, grad_weights, grad_bias
    expected = reference.dense_backward(grad_y, x, weights)
    magnitudes = reference.dense_backward(sizes[3], sizes[0], sizes[1])
    for result, value, magnitude, n in zip(actual, expected, magnitudes, [n_outputs, batch, batch], strict=True):
        reference.assert_close(result, value, magnitude, n + 1)


@pytest.mark.parametrize(("n_inputs", "n_outputs"), [(784, 10), (257, 300), (2100, 1000)])
def test_bits_do_not_depend_on_the_number_of_threads(n_inputs, n_outputs, set_threads):
    x, weights, bias, grad_y = arrays(515, n_inputs, n_outputs, np.float32)
    results = []
    for n_threads in (1, 2):
        set_threads(n_threads)
        results.append([np.empty_like(a) for a in (grad_y, x, weights, bias)])
        out, *gradients = results[-1]
        with single_threaded_blas():
            cpu.dense.forward(x, weights, bias, False, out)
            cpu.dense.backward(grad_y, x, weights, True, *gradients)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_gradient_of_the_input_may_be_left_out():
    x, weights, bias, grad_y = arrays(33, 40, 5, np.float32)
    results = []
    for wanted in (True, False):
        grad_x, grad_weights, grad_bias = np.zeros_like(x), np.empty_like(weights), np.empty_like(bias)
        with single_threaded_blas():
            cpu.dense.backward(grad_y, x, weights, wanted, grad_x, grad_weights, grad_bias)
        assert grad_x.any() == wanted
        results.append((grad_weights, grad_bias))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)
