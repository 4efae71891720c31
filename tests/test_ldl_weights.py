"""Weights of LDL layers: their layout, their start, and what they are turned into."""

import numpy as np
import pytest
import reference
from scipy.linalg import hadamard

from ldlrpp import kernels
from ldlrpp.kernels.ldl_weights import INITS, RADICES, radix_of, stages, weights_shape

WIDTHS = [1, 2, 4, 8, 16, 32, 64, 128, 1024]


# --- The layout ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", range(27))
def test_every_layout_is_one_of_a_single_radix(exponent):
    width = 2**exponent
    radices = [radix for radix in RADICES if radix <= width]
    shapes = {weights_shape(width, radix): radix for radix in radices}
    assert len(shapes) == len(radices)
    assert all(radix_of(shape) == radix for shape, radix in shapes.items())
    for radix in RADICES:
        remaining, *whole = stages(width, radix) or [1]
        assert np.prod([remaining, *whole]) == width
        assert set(whole) <= {radix}
        assert remaining <= radix
        # too narrow for the radix: all in one stage
        assert radix in radices or (remaining, whole) == (width, [])


def test_shapes():
    assert [weights_shape(1, radix) for radix in (2, 32)] == [(0, 2, 1), (0, 32, 1)]
    assert [weights_shape(8, radix) for radix in RADICES] == [(3, 2, 8), (6, 8), (1, 8, 8), (1, 8, 8), (1, 8, 8)]
    assert [weights_shape(1024, radix)[:-1] for radix in RADICES] == [(10, 2), (5, 4), (26,), (36,), (2, 32)]
    assert stages(2**13, 16) == (2, 16, 16, 16)


@pytest.mark.parametrize("radix", RADICES)
def test_n_parameters(radix):
    for width in WIDTHS:
        arrays = kernels.ldl_init(width, radix=radix)
        assert kernels.ldl_n_parameters(width, radix=radix) == sum(array.size for array in arrays)


def test_n_parameters_of_radix_2_and_4():
    assert kernels.ldl_n_parameters(65536) == 2_228_224
    for exponent in range(27):
        assert kernels.ldl_n_parameters(2**exponent) == kernels.ldl_n_parameters(2**exponent, radix=4)


# --- Initial weights -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 2, 64, 128])
@pytest.mark.parametrize("radix", RADICES)
def test_arrays_of_a_start(radix, width, dtype, init):
    weights, scale, bias = kernels.ldl_init(width, radix=radix, init=init, gain=3.0, random_state=1, dtype=dtype)
    assert weights.dtype == scale.dtype == bias.dtype == dtype
    assert weights.shape == weights_shape(width, radix)
    np.testing.assert_array_equal(scale, 3)
    np.testing.assert_array_equal(bias, 0)
    again = kernels.ldl_init(width, radix=radix, init=init, random_state=np.random.default_rng(1), dtype=dtype)[0]
    np.testing.assert_array_equal(weights, again)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("radix", RADICES)
def test_orthogonal_init(radix, width, dtype):
    weights, scale, _ = kernels.ldl_init(width, radix=radix, random_state=1, dtype=dtype)
    matrix = kernels.ldl_dense(weights, scale)
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(width), atol=tolerance)
    # one layer in every radix
    same = kernels.ldl_dense(kernels.ldl_init(width, random_state=1, dtype=dtype)[0], scale)
    np.testing.assert_allclose(matrix, same, atol=tolerance)


def test_orthogonal_init_has_rotations_and_reflections_by_uniform_angles():
    stage = kernels.ldl_init(4096, random_state=0, dtype=np.float64)[0][0]
    own, other = stage.reshape(2, 2, 2048)
    determinant = own[0] * own[1] - other[0] * other[1]
    np.testing.assert_allclose(np.abs(determinant), 1)
    assert 0.45 < np.mean(determinant > 0) < 0.55
    counts = np.histogram(np.arctan2(other[0], own[0]), bins=8, range=(-np.pi, np.pi))[0]
    assert np.all(np.abs(counts - 256) < 5 * 16)


@pytest.mark.parametrize("radix", RADICES)
def test_normal_init_keeps_the_variance_on_average(radix):
    weights, scale, bias = kernels.ldl_init(2048, radix=radix, init="normal", random_state=0)
    for stage in reference.ldl_split(weights):
        assert stage.std() == pytest.approx(np.sqrt(1 / len(stage)), rel=0.03)
    x = np.random.default_rng(1).standard_normal((200, 2048), dtype=np.float32)
    assert 0.5 < kernels.ldl_forward(x, weights, scale, bias).var() < 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("radix", RADICES)
def test_hadamard_init(radix, width, dtype):
    weights, scale, _ = kernels.ldl_init(width, radix=radix, init="hadamard", dtype=dtype)
    matrix = kernels.ldl_dense(weights, scale)
    tolerance = 10 * max(1, width.bit_length() - 1) * np.finfo(dtype).eps
    np.testing.assert_allclose(matrix, hadamard(width) / np.sqrt(width), rtol=tolerance, atol=0)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(width), atol=tolerance * np.sqrt(width))
    for stage in reference.ldl_split(weights):
        np.testing.assert_array_equal(np.abs(stage), dtype(np.sqrt(1 / len(stage))))


def test_mixes_of_four_are_exact_in_the_hadamard_start():
    for dtype in (np.float32, np.float64):
        np.testing.assert_array_equal(np.abs(kernels.ldl_init(256, radix=4, init="hadamard", dtype=dtype)[0]), 0.5)


# --- Other forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("radix", RADICES[1:])
def test_merged_weights_are_the_same_layer(radix, width, dtype):
    rng = np.random.default_rng(0)
    weights, ones = rng.uniform(-1, 1, weights_shape(width, 2)).astype(dtype), np.ones(width, dtype)
    copy = weights.copy()
    merged = kernels.ldl_merge(np.asfortranarray(weights), radix)
    assert merged.dtype == dtype
    assert merged.shape == weights_shape(width, radix)
    np.testing.assert_array_equal(weights, copy)
    dense, magnitude = (
        kernels.ldl_dense(weights.astype(float), ones.astype(float)),
        kernels.ldl_dense(abs(weights), ones),
    )
    n_operations = 3 * width.bit_length() + sum(radix + 1 for radix in stages(width, radix))
    reference.assert_close(kernels.ldl_dense(merged, ones), dense, magnitude, n_operations)


@pytest.mark.parametrize("radix", RADICES[1:])
def test_the_merged_hadamard_start_is_that_of_the_radix(radix):
    for width in WIDTHS:
        merged = kernels.ldl_merge(kernels.ldl_init(width, init="hadamard")[0], radix=radix)
        np.testing.assert_allclose(merged, kernels.ldl_init(width, radix=radix, init="hadamard")[0], rtol=1e-6)


def test_the_radix_of_merged_weights_is_4_by_default():
    weights = kernels.ldl_init(128, random_state=0)[0]
    np.testing.assert_array_equal(kernels.ldl_merge(weights), kernels.ldl_merge(weights, 4))


@pytest.mark.parametrize("width", [1, 2, 8, 64])
def test_butterfly_weights(width):
    rng = np.random.default_rng(0)
    n_stages = width.bit_length() - 1
    twiddle, x = rng.normal(size=(n_stages, width // 2, 2, 2)), rng.normal(size=(5, width))
    weights = kernels.ldl_from_butterfly(twiddle)
    y = kernels.ldl_forward(x, weights, np.ones(width), np.zeros(width))
    np.testing.assert_allclose(y, reference.butterfly(x, twiddle), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(kernels.ldl_to_butterfly(weights), twiddle)


# --- Errors ----------------------------------------------------------------------------------------------------------

W = kernels.ldl_init(8)[0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kernels.ldl_init(8, init=np.zeros(2)), ValueError, "init must be one of 'orthogonal', .* got array"),
        (lambda: kernels.ldl_init(8, random_state=-1), ValueError, "random_state must be None, an integer .* got -1"),
        (lambda: kernels.ldl_init(8, random_state=1.5), TypeError, "random_state must be None, an integer .* got 1.5"),
        (lambda: kernels.ldl_init(8, dtype=None), TypeError, "dtype must be float32 or float64, got None"),
        (lambda: kernels.ldl_init(8, dtype="abc"), TypeError, "dtype must be float32 or float64, got 'abc'"),
        (lambda: kernels.ldl_init(12), ValueError, "width must be a power of two, got 12"),
        (lambda: kernels.ldl_init(0), ValueError, "width must be at least 1, got 0"),
        (lambda: kernels.ldl_init(float("nan")), TypeError, "width must be an integer, got nan"),
        (lambda: kernels.ldl_init(8, gain=float("nan")), ValueError, "gain must be a finite number above 0, got nan"),
        (lambda: kernels.ldl_init(8, dtype=np.float16), TypeError, "dtype must be float32 or float64, got .*float16"),
        (lambda: kernels.ldl_from_butterfly(W), ValueError, r"twiddle must have shape \(log2 N, N / 2, 2, 2\)"),
        (lambda: kernels.ldl_to_butterfly(W[:2]), ValueError, r"weights must have shape \(log2 N = 3, 2, N = 8\)"),
        (lambda: kernels.ldl_n_parameters(3), ValueError, "width must be a power of two, got 3"),
        (
            lambda: kernels.ldl_init(8, init="zeros"),
            ValueError,
            "init must be one of 'orthogonal', 'normal', 'hadamard', got 'zeros'",
        ),
        (
            lambda: kernels.ldl_from_butterfly(np.zeros((3, 8, 2, 2))),
            ValueError,
            r"twiddle must have .*got \(3, 8, 2, 2\)",
        ),
        (lambda: kernels.ldl_init(8, radix=3), ValueError, "radix must be one of 2, 4, 8, 16, 32, got 3"),
        (lambda: kernels.ldl_init(8, radix=4.0), TypeError, r"radix must be an integer, got 4\.0"),
        (lambda: kernels.ldl_n_parameters(8, radix=64), ValueError, "radix must be one of 2, 4, 8, 16, 32, got 64"),
        (lambda: kernels.ldl_merge(W, 2), ValueError, "radix must be one of 4, 8, 16, 32, got 2"),
        (lambda: kernels.ldl_merge(W, radix="4"), TypeError, "radix must be an integer, got '4'"),
        (lambda: kernels.ldl_merge(W[:2]), ValueError, r"weights must have shape \(log2 N = 3, 2, N = 8\), got \(2,"),
        (
            lambda: kernels.ldl_merge(kernels.ldl_init(16, radix=4)[0], 8),
            ValueError,
            r"weights must have shape \(log2 N, 2, N\), got \(2, 4, 16\)",
        ),
        (lambda: kernels.ldl_merge(W.astype(int)), TypeError, "weights must have dtype float32 or float64, got int64"),
        (lambda: kernels.ldl_to_butterfly(kernels.ldl_merge(W)), ValueError, r"weights must .*, got \(6, 8\)"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
