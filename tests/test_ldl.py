"""The LDL kernels against the reference and against the laws they obey."""

import numba
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from ldlrpp import kernels
from ldlrpp.kernels import cpu
from ldlrpp.kernels.cpu import ldl_plain
from ldlrpp.kernels.cpu.ldl_programs import programs
from ldlrpp.kernels.cpu.ldl_tiles import block_forward
from ldlrpp.kernels.ldl_weights import RADICES, weights_shape

# below a vector, one vector, one to several passes of one and two stages, in one piece and in top and bottom stages
WIDTHS = [1, 2, 4, 8, 16, 32, 64, 128, 1024, 2048, 8192]
BATCHES = [0, 1, 2, 15, 16, 17, 67]
# radix, width and batch: one stage, several, and a first one of a smaller radix, in few batches where rows are wide
CASES = [(2, width, batch) for width in WIDTHS for batch in BATCHES]
CASES += [
    (radix, width, batch)
    for radix in RADICES[1:]
    for width in WIDTHS
    for batch in ([0, 1, 17, 67] if radix == 4 or width < 1024 else [17])
    if width >= radix
]
# gradients in several partial sums
CASES += [(radix, 64, 200) for radix in RADICES]


def layer(width, batch, dtype, seed=0, radix=2):
    """Input, output gradient and parameters, all random, of moderate size."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.uniform(-1, 1, shape).astype(dtype)  # noqa: E731
    return draw(batch, width), draw(batch, width), draw(*weights_shape(width, radix)), draw(width), draw(width)


def to_float64(*arrays):
    return [np.asarray(a, np.float64) for a in arrays]


def n_operations(weights):
    """Roundings on the way through the stages."""
    return sum(len(stage) + 1 for stage in reference.ldl_split(weights))


def check_forward(x, weights, scale, bias, y):
    exact = to_float64(x, weights, scale, bias)
    expected, magnitude = reference.ldl_forward(*exact), reference.ldl_forward(*map(np.abs, exact))
    reference.assert_close(y, expected, magnitude, n_operations(weights) + 3)


def check_backward(grad_y, x, weights, scale, grads):
    exact = to_float64(grad_y, x, weights, scale)
    expected, magnitudes = reference.ldl_backward(*exact), reference.ldl_backward(*map(np.abs, exact))
    n = 2 * n_operations(weights) + len(x) + 6
    for grad, want, magnitude in zip(grads, expected, magnitudes, strict=True):
        reference.assert_close(grad, want, magnitude, n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("radix", "width", "batch"), CASES)
def test_forward_and_backward_agree_with_the_reference(radix, width, batch, dtype, threads):
    x, grad_y, weights, scale, bias = layer(width, batch, dtype, radix=radix)
    y = kernels.ldl_forward(x, weights, scale, bias)
    grads = kernels.ldl_backward(grad_y, x, weights, scale)
    assert [a.dtype for a in (y, *grads)] == [dtype] * 5
    check_forward(x, weights, scale, bias, y)
    check_backward(grad_y, x, weights, scale, grads)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("width", "batch"), [(1, 3), (4, 3), (16, 1), (64, 17), (1024, 40), (2**13, 3)])
@pytest.mark.parametrize("radix", RADICES)
def test_relu_of_the_forward_pass(radix, width, batch, dtype):
    x, _, weights, scale, bias = layer(width, batch, dtype, radix=radix)
    x[0, 0] = np.nan
    plain, positive = np.empty_like(x), np.empty_like(x)
    cpu.ldl.forward(x, weights, scale, bias, False, plain)
    cpu.ldl.forward(x, weights, scale, bias, True, positive)
    np.testing.assert_array_equal(positive, np.maximum(plain, 0))
    assert np.isnan(positive[0]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 2, 8, 64, 1024])
@pytest.mark.parametrize("radix", RADICES)
def test_the_plain_loops_agree_with_the_reference(radix, width, dtype, threads):
    # they are the kernels of narrow rows, and another way to the same results for all
    x, grad_y, weights, scale, bias = layer(width, 17, dtype, radix=radix)
    y, grads = np.empty_like(x), [np.empty_like(a) for a in (x, weights, scale, bias)]
    ldl_plain.forward(x, weights, scale, bias, False, y)
    ldl_plain.backward(grad_y, x, weights, scale, *grads)
    check_forward(x, weights, scale, bias, y)
    check_backward(grad_y, x, weights, scale, grads)


@pytest.mark.parametrize(
    ("radix", "width", "batch"),
    [
        *[(2, 2**14, 70), (2, 2**16, 20), (2, 2**18, 1), pytest.param(2, 2**20, 2, marks=pytest.mark.slow)],
        *[(4, 2**14, 70), (4, 2**15, 3), (4, 2**16, 5), (4, 2**17, 2), (4, 2**18, 1)],
        *[(8, 2**14, 70), (8, 2**16, 2), (16, 2**14, 5), (16, 2**16, 2), (32, 2**13, 140), (32, 2**16, 1)],
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_wide_rows(radix, width, batch, dtype):
    if dtype == np.float64:
        width, batch = min(width, 2**14), min(batch, 5)
    x, grad_y, weights, scale, bias = layer(width, batch, dtype, radix=radix)
    check_forward(x, weights, scale, bias, kernels.ldl_forward(x, weights, scale, bias))
    check_backward(grad_y, x, weights, scale, kernels.ldl_backward(grad_y, x, weights, scale))


@pytest.mark.parametrize("radix", RADICES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "rows",
    [
        (cpu.ldl._WIDE_ROWS, cpu.ldl._BLOCK, cpu.ldl._TILE_POSITIONS),
        (cpu.ldl._BACKWARD_ROWS, cpu.ldl._BACKWARD_BLOCK // 2, cpu.ldl._BACKWARD_TILE_POSITIONS),
    ],
    ids=["forward", "backward"],
)
def test_how_wide_rows_are_cut(rows, dtype, radix):
    bits, itemsize = radix.bit_length() - 1, np.dtype(dtype).itemsize
    n_lanes = 64 // itemsize
    for log in range(12, 27):
        chunk, block, lines = cpu.ldl._plan(2**log, itemsize, radix, *rows)
        # whole lines and stages, and fewer than all
        assert block % n_lanes == 0
        assert block <= 2 ** (log - 1)
        assert (block.bit_length() - 1) % bits == 0
        assert block // n_lanes % lines == 0
        assert chunk % (8 if radix > 4 else 1) == 0
        # numbers in a tile of a block, and of the top stages
        assert chunk * block <= 2**20
        assert chunk * lines * n_lanes * 2**log // block <= 2**20


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(RADICES),
    st.integers(0, 12),
    st.integers(0, 70),
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 2**32),
)
def test_any_shape(radix, exponent, batch, dtype, seed):
    x, grad_y, weights, scale, bias = layer(2**exponent, batch, dtype, seed, radix)
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
@pytest.mark.parametrize("radix", RADICES)
def test_dense_matrix(radix, width):
    x, _, weights, scale, bias = layer(width, 5, np.float64, radix=radix)
    matrix = kernels.ldl_dense(weights, scale)
    assert matrix.shape == (width, width)
    np.testing.assert_allclose(x @ matrix + bias, kernels.ldl_forward(x, weights, scale, bias), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("width", [1, 2, 64, 1024])
@pytest.mark.parametrize("radix", RADICES)
def test_backward_is_the_adjoint(radix, width):
    x, grad_y, weights, scale, _ = layer(width, 17, np.float64, radix=radix)
    y = kernels.ldl_forward(x, weights, scale, np.zeros_like(scale))
    grad_x = kernels.ldl_backward(grad_y, x, weights, scale)[0]
    np.testing.assert_allclose(np.vdot(grad_y, y), np.vdot(grad_x, x), rtol=1e-10)


@pytest.mark.parametrize(("radix", "width"), [(2, 8), (4, 8), (8, 32), (16, 16), (32, 64)])
def test_gradients_are_central_differences(radix, width):
    x, grad_y, *parameters = layer(width, 5, np.float64, radix=radix)
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
@pytest.mark.parametrize(
    ("radix", "width", "batch"),
    [
        *[(2, 4, 1500), (2, 128, 1500), (2, 2048, 100), (2, 8192, 70)],
        *[(4, 4, 1500), (4, 128, 1500), (4, 2048, 100), (4, 8192, 70)],
        *[(8, 512, 200), (16, 256, 200), (32, 64, 200), (8, 8192, 64), (16, 8192, 64), (32, 8192, 64)],
    ],
)
def test_results_do_not_depend_on_threads_or_batch(radix, width, batch, dtype, set_threads):
    x, grad_y, weights, scale, bias = layer(width, batch, dtype, radix=radix)
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


@pytest.mark.parametrize("radix", RADICES)
def test_backward_overwrites_and_leaves_inputs_alone(radix):
    arguments = layer(64, 20, np.float32, radix=radix)
    copies = [a.copy() for a in arguments]
    x, grad_y, weights, scale, bias = arguments
    kernels.ldl_forward(x, weights, scale, bias)
    first = kernels.ldl_backward(grad_y, x, weights, scale)
    second = kernels.ldl_backward(grad_y, x, weights, scale)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(arguments, copies, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("radix", [2, 4, 32])
def test_any_memory_layout(radix, tmp_path):
    x, grad_y, weights, scale, bias = layer(32, 20, np.float32, radix=radix)
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
            r"weights must have the shape of a radix of 2, 4, .* for N = 8, as \(3, 2, 8\), got \(2, 2, 8\)",
        ),
        (lambda: kernels.ldl_forward(X, W.reshape(6, 8)[:4], S, B), ValueError, r"weights must .*, got \(4, 8\)"),
        (lambda: kernels.ldl_backward(X, X, W.reshape(3, 16), S), ValueError, r"weights must .*, got \(3, 16\)"),
        (
            lambda: kernels.ldl_dense(W, S[:4]),
            ValueError,
            r"weights must .* for N = 4, as \(2, 2, 4\), got \(3, 2, 8\)",
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
        (lambda: kernels.ldl_dense(W, S[:, None]), ValueError, r"scale must have shape \(N\)"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(("radix", "small"), [(2, 256), (4, 256), (16, 256), (32, 32)])
def test_index_arithmetic_past_2_to_the_31(radix, small, tmp_path):
    # sparse files: only the pages that are used exist
    width, batch = 1024, 20
    x, grad_y, weights, scale, bias = layer(width, batch, np.float32, radix=radix)
    first = 2**31 // width + 5
    shape = (first + batch, width)
    long = {name: np.memmap(tmp_path / name, np.float32, "w+", shape=shape) for name in ("x", "y", "grad_y", "grad_x")}
    assert long["x"].size > 2**31
    long["x"][first:], long["grad_y"][first:] = x, grad_y
    flat = {name: array.reshape(-1) for name, array in long.items()}
    flat_weights = weights.reshape(-1)
    grads = np.empty_like(flat_weights), np.empty_like(scale), np.empty_like(bias)
    parameters, rows = (flat_weights, scale, bias), (first, batch, 8)
    for block in (width, small):
        program, top = programs(x.dtype, radix, width, block, backward=True)
        y, grad_x = flat["y"], flat["grad_x"]
        if block < width:
            cpu.ldl._forward_top(top, flat["x"], flat_weights, y, width, rows, block, 2)
            grad_x[-x.size :] = y[-x.size :]
            cpu.ldl._forward_blocks(program, y, *parameters, y, rows, block, False)
            for array in grads:
                array[:] = 0
            cpu.ldl._backward_blocks(
                program, flat["grad_y"], grad_x, flat_weights, scale, grad_x, grads, rows, block, 1
            )
            cpu.ldl._backward_top(top, flat["x"], flat_weights, grad_x, grads[0], width, rows, block, 2)
            check_backward(
                grad_y, x, weights, scale, (long["grad_x"][first:], grads[0].reshape(weights.shape), *grads[1:])
            )
        else:
            cpu.ldl._forward_blocks(program, flat["x"], *parameters, y, rows, block, False)
        check_forward(x, weights, scale, bias, long["y"][first:])
        long["y"][first:] = 0


@pytest.mark.parametrize(("radix", "size"), [(2, 2048), (4, 4096)])
def test_weights_past_2_to_the_31(radix, size, tmp_path):
    # the last block of a layer of 2^26 positions, whose weights are a sparse file
    width = 2**26
    x, _, weights, scale, bias = layer(size, 3, np.float32, radix=radix)
    file = np.memmap(tmp_path / "weights", np.float32, "w+", shape=weights_shape(width, radix))
    file[-len(weights) :, :, -size:] = weights
    file = np.memmap(tmp_path / "weights", np.float32, "r", shape=file.shape)
    assert file.size > 2**31
    wide_scale, wide_bias = (np.memmap(tmp_path / name, np.float32, "w+", shape=width) for name in ("scale", "bias"))
    wide_scale[-size:], wide_bias[-size:] = scale, bias
    y = np.zeros_like(x)

    @numba.njit
    def last_block(program, src, dst, weights, scale, bias, size):
        for r in range(3):
            block_forward(program, src, dst, r * size, weights, scale, bias, len(scale) - size, size, 1, False)

    program, _ = programs(x.dtype, radix, width, size)
    last_block(program, x.reshape(-1), y.reshape(-1), file.reshape(-1), wide_scale, wide_bias, size)
    check_forward(x, weights, scale, bias, y)
