"""The LDL kernels against the reference and against the laws they obey."""

import numba
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import hadamard

from ldlrpp import kernels
from ldlrpp.kernels import ldl_cpu, ldl_plain
from ldlrpp.kernels.ldl_passes import backward_passes, forward_passes
from ldlrpp.kernels.ldl_tiles import block_forward

# below a vector, one vector, one to several passes of one and two stages, in one piece and in top and bottom stages
WIDTHS = [1, 2, 4, 8, 16, 32, 64, 128, 1024, 2048, 8192]
BATCHES = [0, 1, 2, 15, 16, 17, 67]


def layer(width, batch, dtype, seed=0):
    """Input, output gradient and parameters, all random, of moderate size."""
    rng = np.random.default_rng(seed)
    n_stages = width.bit_length() - 1
    draw = lambda *shape: rng.uniform(-1, 1, shape).astype(dtype)  # noqa: E731
    return draw(batch, width), draw(batch, width), draw(n_stages, 2, width), draw(width), draw(width)


def to_float64(*arrays):
    return [np.asarray(a, np.float64) for a in arrays]


def check_forward(x, weights, scale, bias, y):
    exact = to_float64(x, weights, scale, bias)
    reference.assert_close(
        y, reference.ldl_forward(*exact), reference.ldl_forward(*map(np.abs, exact)), 3 * len(weights) + 3
    )


def check_backward(grad_y, x, weights, scale, grads):
    exact = to_float64(grad_y, x, weights, scale)
    expected, magnitudes = reference.ldl_backward(*exact), reference.ldl_backward(*map(np.abs, exact))
    n_operations = 6 * len(weights) + len(x) + 6
    for grad, want, magnitude in zip(grads, expected, magnitudes, strict=True):
        reference.assert_close(grad, want, magnitude, n_operations)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("width", WIDTHS)
def test_forward_and_backward_agree_with_the_reference(width, batch, dtype, threads):
    x, grad_y, weights, scale, bias = layer(width, batch, dtype)
    y = kernels.ldl_forward(x, weights, scale, bias)
    grads = kernels.ldl_backward(grad_y, x, weights, scale)
    assert [a.dtype for a in (y, *grads)] == [dtype] * 5
    check_forward(x, weights, scale, bias, y)
    check_backward(grad_y, x, weights, scale, grads)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("width", "batch"), [(1, 3), (4, 3), (16, 1), (64, 17), (1024, 40), (2**13, 3)])
def test_relu_of_the_forward_pass(width, batch, dtype):
    x, _, weights, scale, bias = layer(width, batch, dtype)
    x[0, 0] = np.nan
    plain, positive = np.empty_like(x), np.empty_like(x)
    ldl_cpu.forward(x, weights, scale, bias, False, plain)
    ldl_cpu.forward(x, weights, scale, bias, True, positive)
    np.testing.assert_array_equal(positive, np.maximum(plain, 0))
    assert np.isnan(positive[0]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 2, 8, 64, 1024])
def test_the_plain_loops_agree_with_the_reference(width, dtype, threads):
    # they are the kernels of narrow rows, and another way to the same results for all
    x, grad_y, weights, scale, bias = layer(width, 17, dtype)
    y, grads = np.empty_like(x), [np.empty_like(a) for a in (x, weights, scale, bias)]
    ldl_plain.forward(x, weights, scale, bias, False, y)
    ldl_plain.backward(grad_y, x, weights, scale, *grads)
    check_forward(x, weights, scale, bias, y)
    check_backward(grad_y, x, weights, scale, grads)


@pytest.mark.parametrize(
    ("width", "batch"), [(2**14, 70), (2**16, 20), (2**18, 1), pytest.param(2**20, 2, marks=pytest.mark.slow)]
)
def test_wide_rows(width, batch):
    x, grad_y, weights, scale, bias = layer(width, batch, np.float32)
    check_forward(x, weights, scale, bias, kernels.ldl_forward(x, weights, scale, bias))
    check_backward(grad_y, x, weights, scale, kernels.ldl_backward(grad_y, x, weights, scale))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 12), st.integers(0, 70), st.sampled_from([np.float32, np.float64]), st.integers(0, 2**32))
def test_any_shape(n_stages, batch, dtype, seed):
    x, grad_y, weights, scale, bias = layer(2**n_stages, batch, dtype, seed)
    check_forward(x, weights, scale, bias, kernels.ldl_forward(x, weights, scale, bias))
    check_backward(grad_y, x, weights, scale, kernels.ldl_backward(grad_y, x, weights, scale))


@pytest.mark.parametrize("width", WIDTHS)
def test_stages_are_the_recursion(width):
    x, _, weights, scale, bias = layer(width, 3, np.float64)
    np.testing.assert_allclose(
        reference.ldl_recursion(x, weights, scale, bias),
        reference.ldl_forward(x, weights, scale, bias),
        rtol=1e-13,
        atol=1e-13,
    )


@pytest.mark.parametrize("width", [1, 2, 8, 64])
def test_dense_matrix(width):
    x, _, weights, scale, bias = layer(width, 5, np.float64)
    matrix = kernels.ldl_dense(weights, scale)
    assert matrix.shape == (width, width)
    np.testing.assert_allclose(x @ matrix + bias, kernels.ldl_forward(x, weights, scale, bias), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("width", [1, 2, 64, 1024])
def test_backward_is_the_adjoint(width):
    x, grad_y, weights, scale, _ = layer(width, 17, np.float64)
    y = kernels.ldl_forward(x, weights, scale, np.zeros_like(scale))
    grad_x = kernels.ldl_backward(grad_y, x, weights, scale)[0]
    np.testing.assert_allclose(np.vdot(grad_y, y), np.vdot(grad_x, x), rtol=1e-10)


def test_gradients_are_central_differences():
    x, grad_y, *parameters = layer(8, 5, np.float64)
    grads = kernels.ldl_backward(grad_y, x, *parameters[:2])
    for array, grad in zip((x, *parameters), grads, strict=True):
        for index in np.ndindex(array.shape):
            value, step, outputs = array[index], 1e-6, []
            for sign in (1, -1):
                array[index] = value + sign * step
                outputs.append(np.vdot(grad_y, kernels.ldl_forward(x, *parameters)))
            array[index] = value
            assert (outputs[0] - outputs[1]) / (2 * step) == pytest.approx(grad[index], rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("width", "batch"), [(4, 1500), (128, 1500), (2048, 100), (8192, 70)])
def test_results_do_not_depend_on_threads_or_batch(width, batch, dtype, set_threads):
    x, grad_y, weights, scale, bias = layer(width, batch, dtype)
    results = []
    for n in (1, 2, numba.get_num_threads()):
        set_threads(n)
        results.append([kernels.ldl_forward(x, weights, scale, bias), *kernels.ldl_backward(grad_y, x, weights, scale)])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    # batches small enough for other kernels than the whole
    for rows in (slice(3, 4), slice(5, 20), slice(30, 63)):
        np.testing.assert_array_equal(kernels.ldl_forward(x[rows], weights, scale, bias), results[0][0][rows])
        grad_x = kernels.ldl_backward(grad_y[rows], x[rows], weights, scale)[0]
        np.testing.assert_array_equal(grad_x, results[0][1][rows])


@pytest.mark.parametrize("width", [1, 2, 8, 64])
def test_butterfly_weights(width):
    rng = np.random.default_rng(0)
    n_stages = width.bit_length() - 1
    twiddle, x = rng.normal(size=(n_stages, width // 2, 2, 2)), rng.normal(size=(5, width))
    weights = kernels.ldl_from_butterfly(twiddle)
    y = kernels.ldl_forward(x, weights, np.ones(width), np.zeros(width))
    np.testing.assert_allclose(y, reference.butterfly(x, twiddle), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(kernels.ldl_to_butterfly(weights), twiddle)


def test_backward_overwrites_and_leaves_inputs_alone():
    arguments = layer(64, 20, np.float32)
    copies = [a.copy() for a in arguments]
    x, grad_y, weights, scale, bias = arguments
    kernels.ldl_forward(x, weights, scale, bias)
    first = kernels.ldl_backward(grad_y, x, weights, scale)
    second = kernels.ldl_backward(grad_y, x, weights, scale)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(arguments, copies, strict=True):
        np.testing.assert_array_equal(a, b)


def test_any_memory_layout(tmp_path):
    x, grad_y, weights, scale, bias = layer(32, 20, np.float32)
    expected = kernels.ldl_forward(x, weights, scale, bias)
    expected_grads = kernels.ldl_backward(grad_y, x, weights, scale)

    def strided(a):
        wide = np.zeros([2 * n for n in a.shape], a.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in a.shape)]
        view[...] = a
        return view

    def read_only(a):
        path = tmp_path / f"{id(a)}.npy"
        np.save(path, a)
        return np.load(path, mmap_mode="r")

    for convert in (np.asfortranarray, strided, read_only):
        arrays = [convert(a) for a in (x, weights, scale, bias)]
        np.testing.assert_array_equal(kernels.ldl_forward(*arrays), expected)
        for a, b in zip(kernels.ldl_backward(convert(grad_y), *arrays[:3]), expected_grads, strict=True):
            np.testing.assert_array_equal(a, b)
    out = np.full((20, 32), np.nan, np.float32)
    for target in (out, np.asfortranarray(out), strided(out), x):
        assert kernels.ldl_forward(x.copy() if target is not x else x, weights, scale, bias, out=target) is target
        np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("width", [1, 2, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_orthogonal_init(width, dtype):
    weights, scale, bias = kernels.ldl_init(width, gain=3.0, random_state=1, dtype=dtype)
    assert weights.dtype == scale.dtype == bias.dtype == dtype
    assert weights.shape == (width.bit_length() - 1, 2, width)
    np.testing.assert_array_equal(scale, 3)
    np.testing.assert_array_equal(bias, 0)
    matrix = kernels.ldl_dense(weights, np.ones_like(scale))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(width), atol=100 * np.finfo(dtype).eps)
    again = kernels.ldl_init(width, random_state=np.random.default_rng(1), dtype=dtype)[0]
    np.testing.assert_array_equal(weights, again)


def test_orthogonal_init_has_rotations_and_reflections_by_uniform_angles():
    stage = kernels.ldl_init(4096, random_state=0, dtype=np.float64)[0][0]
    own, other = stage.reshape(2, 2, 2048)
    determinant = own[0] * own[1] - other[0] * other[1]
    np.testing.assert_allclose(np.abs(determinant), 1)
    assert 0.45 < np.mean(determinant > 0) < 0.55
    counts = np.histogram(np.arctan2(other[0], own[0]), bins=8, range=(-np.pi, np.pi))[0]
    assert np.all(np.abs(counts - 256) < 5 * 16)


def test_normal_init_keeps_the_variance_on_average():
    weights, scale, bias = kernels.ldl_init(1024, init="normal", random_state=0)
    assert weights.std() == pytest.approx(np.sqrt(0.5), rel=0.02)
    x = np.random.default_rng(1).standard_normal((200, 1024), dtype=np.float32)
    assert 0.5 < kernels.ldl_forward(x, weights, scale, bias).var() < 2


@pytest.mark.parametrize("width", [1, 2, 4, 64, 1024])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hadamard_init(width, dtype):
    weights, scale, bias = kernels.ldl_init(width, init="hadamard", gain=3.0, dtype=dtype)
    assert weights.dtype == scale.dtype == bias.dtype == dtype
    np.testing.assert_array_equal(scale, 3)
    np.testing.assert_array_equal(bias, 0)
    matrix = kernels.ldl_dense(weights, np.ones_like(scale))
    tolerance = 10 * max(1, len(weights)) * np.finfo(dtype).eps
    np.testing.assert_allclose(matrix, hadamard(width) / np.sqrt(width), rtol=tolerance, atol=0)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(width), atol=tolerance * np.sqrt(width))
    own, other = np.moveaxis(weights.astype(float), 1, 0)
    np.testing.assert_allclose(own**2 + other**2, 1, rtol=tolerance)


def test_n_parameters():
    for width in WIDTHS:
        assert kernels.ldl_n_parameters(width) == sum(a.size for a in kernels.ldl_init(width))
    assert kernels.ldl_n_parameters(65536) == 2_228_224


X = np.zeros((3, 8), np.float32)
W, S, B = kernels.ldl_init(8)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: kernels.ldl_forward(X[:, :6], W, S, B),
            ValueError,
            r"the width x\.shape\[1\] must be a power of two, got 6",
        ),
        (lambda: kernels.ldl_forward(X[0], W, S, B), ValueError, r"x must have shape \(batch, N\), got \(8,\)"),
        (
            lambda: kernels.ldl_forward(X, W[:2], S, B),
            ValueError,
            r"weights must have shape \(log2 N = 3, 2, N = 8\), got \(2, 2, 8\)",
        ),
        (lambda: kernels.ldl_forward(X, W, S[:4], B), ValueError, r"scale must have shape \(N = 8\), got \(4,\)"),
        (lambda: kernels.ldl_forward(X, W, S, B[:, None]), ValueError, r"bias must have shape \(N = 8\), got \(8, 1\)"),
        (
            lambda: kernels.ldl_forward(X.astype(int), W, S, B),
            TypeError,
            "x must have dtype float32 or float64, got int64",
        ),
        (
            lambda: kernels.ldl_forward(X, W.astype(float), S, B),
            TypeError,
            "weights must have dtype float32 .* got float64",
        ),
        (
            lambda: kernels.ldl_forward(X, W, S, B, out=np.zeros((3, 4), np.float32)),
            ValueError,
            r"out must have shape \(3, 8\), got",
        ),
        (lambda: kernels.ldl_forward(X, W, S, B, out=np.zeros((3, 8))), TypeError, "out must have dtype float32"),
        (
            lambda: kernels.ldl_forward(X, W, S, B, out=[[0.0] * 8] * 3),
            TypeError,
            "out must be a NumPy array, got list",
        ),
        (
            lambda: kernels.ldl_forward(X, W, S, B, out=np.broadcast_to(np.float32(0), (3, 8))),
            ValueError,
            "out must be writeable",
        ),
        (lambda: kernels.ldl_backward(X[:2], X, W, S), ValueError, r"grad_y must have shape \(batch = 3, N = 8\), got"),
        (lambda: kernels.ldl_backward(X[:, :6], X, W, S), ValueError, r"grad_y must have shape \(batch = 3, N = 8\)"),
        (
            lambda: kernels.ldl_backward(X.astype(float), X, W, S),
            TypeError,
            "grad_y must have dtype float32 .* float64",
        ),
        (lambda: kernels.ldl_forward([[1.0], [1.0, 2.0]], W, S, B), ValueError, "x must be an array"),
        (lambda: kernels.ldl_dense(W, S[:6]), ValueError, r"the width len\(scale\) must be a power of two, got 6"),
        (lambda: kernels.ldl_init(8, init=np.zeros(2)), ValueError, "init must be one of 'orthogonal', .* got array"),
        (lambda: kernels.ldl_init(8, random_state=-1), ValueError, "random_state must be None, an integer .* got -1"),
        (lambda: kernels.ldl_init(8, random_state=1.5), TypeError, "random_state must be None, an integer .* got 1.5"),
        (lambda: kernels.ldl_init(8, dtype=None), TypeError, "dtype must be float32 or float64, got None"),
        (lambda: kernels.ldl_init(8, dtype="abc"), TypeError, "dtype must be float32 or float64, got 'abc'"),
        (lambda: kernels.ldl_dense(W, S[:, None]), ValueError, r"scale must have shape \(N\)"),
        (lambda: kernels.ldl_init(12), ValueError, "width must be a power of two, got 12"),
        (lambda: kernels.ldl_init(0), ValueError, "width must be at least 1, got 0"),
        (lambda: kernels.ldl_init(float("nan")), TypeError, "width must be an integer, got nan"),
        (
            lambda: kernels.ldl_init(8, init="zeros"),
            ValueError,
            "init must be one of 'orthogonal', 'normal', 'hadamard', got 'zeros'",
        ),
        (lambda: kernels.ldl_init(8, gain=float("nan")), ValueError, "gain must be a finite number above 0, got nan"),
        (lambda: kernels.ldl_init(8, dtype=np.float16), TypeError, "dtype must be float32 or float64, got .*float16"),
        (
            lambda: kernels.ldl_from_butterfly(np.zeros((3, 8, 2, 2))),
            ValueError,
            r"twiddle must have .*got \(3, 8, 2, 2\)",
        ),
        (lambda: kernels.ldl_from_butterfly(W), ValueError, r"twiddle must have shape \(log2 N, N / 2, 2, 2\)"),
        (lambda: kernels.ldl_to_butterfly(W[:2]), ValueError, r"weights must have shape \(log2 N = 3, 2, N = 8\)"),
        (lambda: kernels.ldl_n_parameters(3), ValueError, "width must be a power of two, got 3"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_array_on_a_gpu_is_refused_by_name():
    class OnGpu:
        __cuda_array_interface__ = {}  # noqa: RUF012

    with pytest.raises(TypeError, match="x must be a NumPy array: the kernels run on the CPU, got OnGpu on a GPU"):
        kernels.ldl_forward(OnGpu(), W, S, B)


def test_index_arithmetic_past_2_to_the_31(tmp_path):
    # sparse files: only the pages that are used exist
    width, batch = 1024, 20
    x, grad_y, weights, scale, bias = layer(width, batch, np.float32)
    first = 2**31 // width + 5
    shape = (first + batch, width)
    long = {name: np.memmap(tmp_path / name, np.float32, "w+", shape=shape) for name in ("x", "y", "grad_y", "grad_x")}
    assert long["x"].size > 2**31
    long["x"][first:], long["grad_y"][first:] = x, grad_y
    flat = {name: array.reshape(-1) for name, array in long.items()}
    flat_weights = weights.reshape(-1)
    grads = np.empty_like(flat_weights), np.empty_like(scale), np.empty_like(bias)
    forward, backward = forward_passes(x.dtype), backward_passes(x.dtype)
    for block in (width, width // 4):
        y, grad_x = flat["y"], flat["grad_x"]
        if block < width:
            ldl_cpu._forward_top(forward, flat["x"], flat_weights, y, width, first, batch, 8, block, 2)
            grad_x[-x.size :] = y[-x.size :]
            ldl_cpu._forward_blocks(forward, y, flat_weights, scale, bias, y, first, batch, 8, block, False)
            for array in grads:
                array[:] = 0
            ldl_cpu._backward_blocks(
                backward, flat["grad_y"], grad_x, flat_weights, scale, grad_x, *grads, first, batch, 8, block, 1
            )
            ldl_cpu._backward_top(backward, flat["x"], flat_weights, grad_x, grads[0], width, first, batch, 8, block, 2)
            check_backward(
                grad_y, x, weights, scale, (long["grad_x"][first:], grads[0].reshape(weights.shape), *grads[1:])
            )
        else:
            ldl_cpu._forward_blocks(forward, flat["x"], flat_weights, scale, bias, y, first, batch, 8, block, False)
        check_forward(x, weights, scale, bias, long["y"][first:])
        long["y"][first:] = 0


def test_weights_past_2_to_the_31(tmp_path):
    # the last block of a layer of 2^26 positions, whose weights are a sparse file
    n_stages, size = 26, 2048
    width = 2**n_stages
    x, _, weights, scale, bias = layer(size, 3, np.float32)
    file = np.memmap(tmp_path / "weights", np.float32, "w+", shape=(n_stages, 2, width))
    file[-len(weights) :, :, -size:] = weights
    file = np.memmap(tmp_path / "weights", np.float32, "r", shape=file.shape)
    assert file.size > 2**31
    wide_scale, wide_bias = (np.memmap(tmp_path / name, np.float32, "w+", shape=width) for name in ("scale", "bias"))
    wide_scale[-size:], wide_bias[-size:] = scale, bias
    y = np.zeros_like(x)

    @numba.njit
    def last_block(passes, src, dst, weights, scale, bias, size):
        for r in range(3):
            block_forward(
                passes, src, dst, r * size, weights, scale, bias, len(scale) - size, size, 1, len(scale), False
            )

    last_block(forward_passes(x.dtype), x.reshape(-1), y.reshape(-1), file.reshape(-1), wide_scale, wide_bias, size)
    check_forward(x, weights, scale, bias, y)
