"""The RPP kernels against the reference and against the laws they obey."""

import numba
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from ldlrpp import kernels
from ldlrpp.kernels import cpu
from ldlrpp.kernels.cpu.threads import single_threaded_blas

# (m, n, k): the two kinds of permutation, odd, prime, 2^k and 2^k ± 1, several blocks of columns, single columns and
# permutations
SHAPES = [
    (1, 1, 1), (2, 1, 3), (3, 2, 1), (7, 3, 5), (16, 1, 1), (31, 10, 2), (64, 2, 3), (65, 1, 9), (127, 3, 4), (128, 5,
    1), (129, 2, 2), (784, 10, 20), (1023, 1, 70), (1025, 3, 3),
]  # fmt: skip
# (batch, signs)
BATCHES = [(0, True), (1, False), (15, True), (17, False)]


def layer(m, n, k, batch, dtype, seed=0):
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.uniform(-1, 1, shape).astype(dtype)  # noqa: E731
    return draw(batch, m), draw(batch, k * n), draw(m, n), draw(k * n)


def exact_permutation(m, n, k, seed, signs):
    """Permutations and signs, all of them 1 without ``signs``."""
    columns = [[reference.permutation_and_signs(m, seed, h, j) for j in range(n)] for h in range(k)]
    permutation, exact_signs = np.transpose(columns, (2, 0, 3, 1))
    return permutation, exact_signs if signs else np.ones_like(exact_signs)


def check(m, n, k, batch, dtype, seed, signs, share_columns=False, width=None):
    x, grad_y, hidden, bias = layer(m, n, k, batch, dtype, seed % 1000)
    grad_y, bias = grad_y[:, :width], bias[:width]
    permutation = exact_permutation(m, n, k, seed, signs)
    if share_columns:
        permutation = [np.broadcast_to(part[:, :, :1], part.shape) for part in permutation]
    options = {"share_columns": share_columns, "signs": signs}
    exact = [a.astype(np.float64) for a in (grad_y, x, hidden)]
    absolute, ones = [np.abs(a) for a in exact], np.ones_like(permutation[1])
    for b in (bias, bias[:n], None):
        y = kernels.rpp_forward(x, hidden, k, seed, b, width=width, **options)
        b64 = np.zeros(1) if b is None else b.astype(np.float64)
        reference.assert_close(
            y,
            reference.rpp_forward(*exact[1:], *permutation, b64, width),
            reference.rpp_forward(*absolute[1:], permutation[0], ones, np.abs(b64), width),
            m + 2,
        )
    grads = kernels.rpp_backward(grad_y, x, hidden, k, seed, **options)
    assert [a.dtype for a in (y, *grads)] == [dtype] * 4
    expected = reference.rpp_backward(*exact, *permutation)
    magnitudes = reference.rpp_backward(*absolute, permutation[0], ones)
    for grad, want, magnitude in zip(grads, expected, magnitudes, strict=True):
        reference.assert_close(grad, want, magnitude, k * n + batch + k + 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("batch", "signs"), BATCHES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_and_backward_agree_with_the_reference(shape, batch, signs, dtype, threads):
    check(*shape, batch, dtype, 2**64 - 5, signs)


@pytest.mark.parametrize(("dtype", "signs"), [(np.float32, True), (np.float64, False)])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 3, 5), (65, 4, 9), (784, 10, 20), (1023, 1, 70)], ids=str)
def test_columns_that_share_permutations_agree_with_the_reference(shape, dtype, signs, threads):
    check(*shape, 15, dtype, 5, signs, share_columns=True)


# (m, width, k), with k·(n − 1) < width < k·n for n = ⌈width / k⌉: one and two outputs, primes, the least and the most
# that are cut, more permutations than outputs, several blocks of columns and groups of them
CUT = [
    (5, 1, 3), (5, 2, 3), (7, 11, 10), (66, 64, 10), (100, 47, 7), (65, 3 * 8 + 1, 3), (129, 3 * 9 - 1, 3), (784, 211,
    20), (9, 5, 1000), (17_000, 70, 30),
]  # fmt: skip


@pytest.mark.parametrize(("share_columns", "signs"), [(False, False), (True, True)])
@pytest.mark.parametrize("shape", CUT, ids=str)
def test_any_width_agrees_with_the_reference(shape, share_columns, signs, threads):
    m, width, k = shape
    n = -(-width // k)
    check(m, n, k, 3, np.float32, 7, signs, share_columns, width)
    x, grad_y, hidden, bias = layer(m, n, k, 3, np.float32)
    stored = kernels.rpp_permutation(m, 1 if share_columns else n, k, 7, signs=signs)
    options = {"share_columns": share_columns, "signs": signs}
    whole = kernels.rpp_forward(x, hidden, k, 7, bias, **options)
    kept = kernels.rpp_forward(x, hidden, k, 0, bias[:width], width=width, permutation=stored, **options)
    np.testing.assert_allclose(kept, whole[:, :width], rtol=1e-4, atol=1e-4 * np.sqrt(m))
    for a, b in zip(
        kernels.rpp_backward(grad_y[:, :width], x, hidden, k, 7, **options),
        kernels.rpp_backward(grad_y[:, :width], x, hidden, k, 0, permutation=stored, **options),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        kernels.rpp_expand(hidden, k, 7, width=width, **options), kernels.rpp_expand(hidden, k, 7, **options)[:, :width]
    )


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("share_columns", [False, True])
@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1), (3, 2, 4), (100, 3, 5), (784, 10, 20), (2**15, 1, 2), (2**15 + 1, 1, 2), (70_000, 2, 3)],
    ids=str,
)
def test_stored_permutations_give_the_same_numbers(shape, share_columns, signs):
    m, n, k = shape
    x, grad_y, hidden, bias = layer(m, n, k, 5, np.float32)
    shared = {"share_columns": share_columns, "signs": signs}
    stored = kernels.rpp_permutation(m, 1 if share_columns else n, k, 9, signs=signs)
    assert stored.dtype == (np.uint16 if m <= (2**15 if signs else 2**16) else np.uint32)
    # another layout, and the seed is not looked at
    for permutation in (stored, np.ascontiguousarray(stored)):
        np.testing.assert_array_equal(
            kernels.rpp_forward(x, hidden, k, 0, bias, permutation=permutation, **shared),
            kernels.rpp_forward(x, hidden, k, 9, bias, **shared),
        )
        for a, b in zip(
            kernels.rpp_backward(grad_y, x, hidden, k, 0, permutation=permutation, **shared),
            kernels.rpp_backward(grad_y, x, hidden, k, 9, **shared),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


def columns_with_duplicates(m, n, k, columns, signs):
    """Permutations but for the second head of the last column, whose first entry is that of its second."""
    permutation = kernels.rpp_permutation(m, columns, k, 3, signs=signs)
    permutation[1, 0, -1] = permutation[1, 1, -1]
    if signs:
        permutation[1, 0, -1] ^= 1 << (8 * permutation.itemsize - 1)
    return permutation


@pytest.mark.parametrize(("share_columns", "signs"), [(False, True), (True, False)])
@pytest.mark.parametrize("shape", [(4, 3, 2), (100, 3, 5), (70_000, 2, 3)], ids=str)
def test_what_is_no_permutation_is_refused(shape, share_columns, signs, tmp_path):
    m, n, k = shape
    x, grad_y, hidden, _ = layer(m, n, k, 5, np.float32)
    permutation = columns_with_duplicates(m, n, k, 1 if share_columns else n, signs)
    options = {"share_columns": share_columns, "signs": signs}
    np.save(tmp_path / "p.npy", permutation)
    copy, mapped = np.ascontiguousarray(permutation), np.load(tmp_path / "p.npy", mmap_mode="r")
    for wrong in (permutation, copy, mapped, list(permutation)):
        where = rf"permutation must hold every number below m = {m} once in every column, not so in permutation\[1, :, "
        for _ in range(2):  # the error is not what is remembered
            with pytest.raises(ValueError, match=where):
                kernels.rpp_forward(x, hidden, k, 0, permutation=wrong, **options)
            with pytest.raises(ValueError, match=where):
                kernels.rpp_backward(grad_y, x, hidden, k, 0, permutation=wrong, **options)


def test_any_signs_can_be_given():
    m, n, k = 100, 3, 5
    x, grad_y, hidden, _ = layer(m, n, k, 5, np.float64)
    permutation, signs = kernels.rpp_permutation(m, n, k, 3), np.random.default_rng(0).choice([-1, 1], (k, m, n))
    for dtype in (np.uint16, np.uint32):
        entries = permutation | (signs < 0).astype(dtype) << (8 * np.dtype(dtype).itemsize - 1)
        assert entries.dtype == dtype
        options = {"permutation": entries, "signs": True}
        y = kernels.rpp_forward(x, hidden, k, 0, **options)
        np.testing.assert_allclose(y, reference.rpp_forward(x, hidden, permutation, signs), rtol=1e-10, atol=1e-12)
        grads = kernels.rpp_backward(grad_y, x, hidden, k, 0, **options)
        for a, b in zip(grads, reference.rpp_backward(grad_y, x, hidden, permutation, signs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
        with pytest.raises(ValueError, match="permutation must hold numbers below m = 100, got "):
            kernels.rpp_forward(x, hidden, k, 0, permutation=entries)
    # without a sign's bit all of them are 1
    np.testing.assert_array_equal(
        kernels.rpp_forward(x, hidden, k, 0, permutation=permutation, signs=True),
        kernels.rpp_forward(x, hidden, k, 0, permutation=permutation),
    )


def test_permutations_are_checked_once_for_an_array(monkeypatch, tmp_path):
    m, n, k = 100, 3, 5
    x, grad_y, hidden, _ = layer(m, n, k, 5, np.float32)
    checks, check_rows = [], cpu.rpp.is_permutation
    monkeypatch.setattr(cpu.rpp, "is_permutation", lambda *a: (checks.append(0), check_rows(*a)))
    permutation = kernels.rpp_permutation(m, n, k, 3)
    np.save(tmp_path / "p.npy", permutation)
    for array in (permutation, np.load(tmp_path / "p.npy", mmap_mode="r"), permutation[:]):
        checks.clear()
        for _ in range(3):
            kernels.rpp_forward(x, hidden, k, 0, permutation=array)
            kernels.rpp_backward(grad_y, x, hidden, k, 0, permutation=array)
        assert len(checks) == 1
    n_known = len(kernels.rpp._checked)
    del permutation, array
    assert len(kernels.rpp._checked) == n_known - 2


@pytest.mark.filterwarnings("error")
def test_an_array_that_is_changed_after_its_check_gives_no_memory_of_earlier_calls():
    m, n, k = 100, 3, 5
    x, grad_y, hidden, _ = layer(m, n, k, 5, np.float64)
    permutation = np.ascontiguousarray(kernels.rpp_permutation(m, n, k, 3))
    kernels.rpp_backward(1e30 * grad_y, x, hidden, k, 0, permutation=permutation)
    permutation[...] = 7
    # what it now says: every output reads and trains the weights of input 7
    y = kernels.rpp_forward(x, hidden, k, 0, permutation=permutation)
    ones = np.ones_like(permutation)
    np.testing.assert_allclose(y, reference.rpp_forward(x, hidden, permutation, ones), rtol=1e-10)
    grads = kernels.rpp_backward(grad_y, x, hidden, k, 0, permutation=permutation)
    matrix = reference.rpp_matrix(hidden, permutation, ones)
    summed = (x.T @ grad_y).sum(axis=0).reshape(k, n).sum(axis=0)
    np.testing.assert_allclose(grads[0], grad_y @ matrix.T, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(grads[1], np.where(np.arange(m)[:, np.newaxis] == 7, summed, 0), rtol=1e-9)
    # numbers out of range would be other memory: they are looked for in every call
    permutation[0, 0, 0] = m
    for call in (
        lambda: kernels.rpp_forward(x, hidden, k, 0, permutation=permutation),
        lambda: kernels.rpp_backward(grad_y, x, hidden, k, 0, permutation=permutation),
    ):
        with pytest.raises(ValueError, match="permutation must hold numbers below m = 100, got 100"):
            call()


@pytest.mark.parametrize("shape", [(5, 2, 3), (2000, 1, 10)], ids=str)
def test_more_rows_than_a_task_takes(shape):
    # forward cuts rows where there are few columns, backward in its second pass
    check(*shape, 1100, np.float32, 1, signs=True)


@pytest.mark.slow
def test_the_largest_layers():
    # 2^20 inputs; and 2^31 + 2^24 wide weights, of which a few outputs are compared
    check(2**20, 1, 17, 2, np.float32, 3, signs=True)
    m, n, k = 2**13, 2, 2**17 + 2**10
    assert m * n * k > 2**31
    rng = np.random.default_rng(0)
    x, hidden = rng.standard_normal((1, m), dtype=np.float32), rng.standard_normal((m, n), dtype=np.float32)
    y = kernels.rpp_forward(x, hidden, k, 2**64 - 1)
    for h in (0, k // 2, k - 1):
        for j in range(n):
            order = reference.permutation(m, 2**64 - 1, h, j)
            assert y[0, h * n + j] == pytest.approx(np.dot(x[0].astype(float), hidden[order, j]), abs=1e-2)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 200),
    st.integers(1, 5),
    st.integers(1, 7),
    st.integers(0, 20),
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 2**64 - 1),
    st.booleans(),
)
def test_any_shape_and_seed(m, n, k, batch, dtype, seed, signs):
    check(m, n, k, batch, dtype, seed, signs)


def test_backward_in_several_groups_of_columns():
    # of 16 columns, as 2^20 floats hold 14 of 70,000 inputs
    check(70_000, 2, 45, 2, np.float32, 3, signs=True)


def rubbish(name, shape, dtype):
    """Memory that may hold anything."""
    return np.full(shape, np.nan if dtype.kind == "f" else 0, dtype)


def wide_kernels(m, width, k, batch, stored, signs, wide):
    """Forward and backward of the bare kernels, the wide matrix kept in ``wide`` or not."""
    n = -(-width // k)
    x, grad_y, hidden, bias = layer(m, n, k, batch, np.float32)
    grad_y, bias = np.ascontiguousarray(grad_y[:, :width]), bias[:width]
    options = np.ascontiguousarray(hidden.T), np.uint64(5), stored, False, signs
    y, grad_x = np.empty_like(grad_y), np.empty_like(x)
    grad_hidden_t, grad_bias = np.empty_like(options[0]), np.empty_like(bias)
    with single_threaded_blas():
        cpu.rpp.forward(x, *options, bias, False, wide, False, rubbish, y)
        again = np.empty_like(y)
        cpu.rpp.forward(x, *options, bias, False, wide, len(wide) > 0, rubbish, again)
        positive = np.empty_like(y)
        cpu.rpp.forward(x, *options, bias, True, wide, len(wide) > 0, rubbish, positive)
        cpu.rpp.backward(grad_y, x, *options, wide, rubbish, True, grad_x, grad_hidden_t, grad_bias)
    np.testing.assert_array_equal(positive, np.maximum(y, 0))
    return y, again, grad_x, grad_hidden_t, grad_bias


# (m, width, k, batch): one block, few columns and many rows, cut heads, several groups of columns
KEPT = [(7, 3, 2, 5), (50, 20, 10, 1100), (1000, 999, 100, 64), (17_000, 70, 30, 3)]


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("shape", KEPT, ids=str)
def test_permutations_and_weights_that_are_kept_change_no_bit(shape, signs):
    m, width, k, _ = shape
    n = -(-width // k)
    none, kept = np.empty((0, m), np.uint16), cpu.rpp.permutations(m, n, width, np.uint64(5), False, signs)
    computed = wide_kernels(*shape, none, signs, np.empty((0, m), np.float32))
    np.testing.assert_array_equal(computed[0], computed[1])
    for stored in (none, kept):
        for rows in (0, width):
            results = wide_kernels(*shape, stored, signs, np.full((rows, m), np.nan, np.float32))
            for a, b in zip(results, computed, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("shape", [(3, 2, 4), (100, 3, 5), (784, 10, 3)], ids=str)
def test_expand(shape, signs):
    m, n, k = shape
    x, _, hidden, _ = layer(m, n, k, 9, np.float64)
    matrix = kernels.rpp_expand(hidden, k, 7, signs=signs)
    np.testing.assert_array_equal(matrix, reference.rpp_matrix(hidden, *exact_permutation(m, n, k, 7, signs)))
    np.testing.assert_allclose(kernels.rpp_forward(x, hidden, k, 7, signs=signs), x @ matrix, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("shape", [(3, 2, 4), (784, 10, 30)], ids=str)
def test_backward_is_the_adjoint(shape, signs):
    m, n, k = shape
    x, grad_y, hidden, _ = layer(m, n, k, 17, np.float64)
    y = kernels.rpp_forward(x, hidden, k, 1, signs=signs)
    grad_x, grad_hidden, _ = kernels.rpp_backward(grad_y, x, hidden, k, 1, signs=signs)
    # y is linear in x and in hidden
    np.testing.assert_allclose(np.vdot(grad_y, y), np.vdot(grad_x, x), rtol=1e-9)
    np.testing.assert_allclose(np.vdot(grad_y, y), np.vdot(grad_hidden, hidden), rtol=1e-9)


@pytest.mark.parametrize("signs", [False, True])
def test_gradients_are_central_differences(signs):
    x, grad_y, hidden, bias = layer(5, 2, 3, 4, np.float64)
    grads = kernels.rpp_backward(grad_y, x, hidden, 3, 11, signs=signs)
    for array, grad in zip((x, hidden, bias), grads, strict=True):
        for index in np.ndindex(array.shape):
            value, step, outputs = array[index], 1e-6, []
            for sign in (1, -1):
                array[index] = value + sign * step
                outputs.append(np.vdot(grad_y, kernels.rpp_forward(x, hidden, 3, 11, bias, signs=signs)))
            array[index] = value
            assert (outputs[0] - outputs[1]) / (2 * step) == pytest.approx(grad[index], rel=1e-7, abs=1e-8)


@pytest.mark.parametrize(("dtype", "signs"), [(np.float32, True), (np.float64, False)])
def test_results_do_not_depend_on_threads(dtype, signs, set_threads):
    x, grad_y, hidden, bias = layer(784, 10, 40, 50, dtype)
    results = []
    for n in (1, 2, numba.get_num_threads()):
        set_threads(n)
        y = kernels.rpp_forward(x, hidden, 40, 5, bias, signs=signs)
        results.append([y, *kernels.rpp_backward(grad_y, x, hidden, 40, 5, signs=signs)])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_constant_input_gives_every_permutation_of_a_column_the_same_output():
    hidden = kernels.rpp_init(100, 4, random_state=0, dtype=np.float64)
    y = kernels.rpp_forward(np.ones((1, 100)), hidden, 6, 3).reshape(6, 4)
    np.testing.assert_allclose(y, np.tile(hidden.sum(axis=0), (6, 1)), rtol=1e-12, atol=1e-12)


def test_with_signs_no_two_outputs_share_the_sum_of_their_weights():
    hidden = kernels.rpp_init(100, 4, random_state=0, dtype=np.float64) + 1
    y = kernels.rpp_forward(np.ones((1, 100)), hidden, 500, 3, signs=True).ravel()
    # sums of 100 weights of mean square 1.01 with random signs, all different
    assert len(np.unique(y)) == 2000
    assert abs(y.mean()) < 1
    assert y.std() == pytest.approx(np.sqrt(101), rel=0.06)


def test_any_memory_layout(tmp_path):
    x, grad_y, hidden, bias = layer(100, 3, 4, 20, np.float32)
    copies = [a.copy() for a in (x, grad_y, hidden, bias)]
    expected = kernels.rpp_forward(x, hidden, 4, 5, bias)
    expected_grads = kernels.rpp_backward(grad_y, x, hidden, 4, 5)

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
        y = kernels.rpp_forward(convert(x), convert(hidden), 4, 5, convert(bias))
        np.testing.assert_array_equal(y, expected)
        grads = kernels.rpp_backward(convert(grad_y), convert(x), convert(hidden), 4, 5)
        for a, b in zip(grads[:2], expected_grads[:2], strict=True):
            np.testing.assert_array_equal(a, b)
        # NumPy's sum over the batch follows the memory order
        np.testing.assert_allclose(grads[2], expected_grads[2], rtol=1e-5, atol=1e-5)
    out = np.full((20, 12), np.nan, np.float32)
    for target in (out, np.asfortranarray(out), strided(out)):
        assert kernels.rpp_forward(x, hidden, 4, 5, bias, out=target) is target
        np.testing.assert_array_equal(target, expected)
    for a, b in zip((x, grad_y, hidden, bias), copies, strict=True):
        np.testing.assert_array_equal(a, b)
    for shared in (hidden, bias):
        memory = np.zeros(20 * 12 + shared.size, np.float32)
        overlapping = memory[7 : 7 + shared.size].reshape(shared.shape[::-1]).T
        overlapping[...] = shared
        arguments = (overlapping, bias) if shared is hidden else (hidden, overlapping)
        result = kernels.rpp_forward(x, arguments[0], 4, 5, arguments[1], out=memory[:240].reshape(20, 12))
        np.testing.assert_array_equal(result, expected)
    square = np.ascontiguousarray(x[:, :12])
    small = np.ascontiguousarray(hidden[:12])
    wanted = kernels.rpp_forward(square, small, 4, 5)
    np.testing.assert_array_equal(kernels.rpp_forward(square, small, 4, 5, out=square), wanted)


def test_init():
    hidden = kernels.rpp_init(400, 50, gain=2.0, random_state=0)
    assert hidden.shape == (400, 50)
    assert hidden.dtype == np.float32
    assert hidden.flags.f_contiguous
    assert hidden.std() == pytest.approx(0.1, rel=0.03)


X = np.zeros((3, 8), np.float32)
W = np.zeros((8, 2), np.float32)
LONG = np.zeros((1, 2**15 + 1), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kernels.rpp_forward(X[0], W, 2, 0), ValueError, r"x must have shape \(batch, m\), got \(8,\)"),
        (lambda: kernels.rpp_forward(X, W[:4], 2, 0), ValueError, r"hidden must have shape \(m = 8, n\), got \(4, 2\)"),
        (lambda: kernels.rpp_forward(X, W[:, :0], 2, 0), ValueError, r"columns hidden\.shape\[1\] must be at least 1"),
        (
            lambda: kernels.rpp_forward(X[:, :0], W[:0], 2, 0),
            ValueError,
            r"inputs hidden\.shape\[0\] must be at least 1",
        ),
        (
            lambda: kernels.rpp_forward(X, W.astype(float), 2, 0),
            TypeError,
            "hidden must have dtype float32 .* got float64",
        ),
        (lambda: kernels.rpp_forward(X.astype(complex), W, 2, 0), TypeError, "x must have dtype .* got complex128"),
        (lambda: kernels.rpp_forward(X, W, 0, 0), ValueError, "n_permutations must be at least 1, got 0"),
        (lambda: kernels.rpp_forward(X, W, 2.0, 0), TypeError, "n_permutations must be an integer, got 2.0"),
        (lambda: kernels.rpp_forward(X, W, 2, -1), ValueError, r"seed must be from 0 to 2\*\*64 - 1, got -1"),
        (lambda: kernels.rpp_forward(X, W, 2, 2**64), ValueError, "seed must be from 0"),
        (lambda: kernels.rpp_forward(X, W, 2, float("nan")), TypeError, "seed must be an integer, got nan"),
        (
            lambda: kernels.rpp_forward(X, W, 2, 0, np.zeros(3, np.float32)),
            ValueError,
            r"bias must have shape \(4,\).*\(2,\).*got \(3,\)",
        ),
        (lambda: kernels.rpp_forward(X, W, 2, 0, out=X), ValueError, r"out must have shape \(3, 4\), got \(3, 8\)"),
        (
            lambda: kernels.rpp_backward(X, X, W, 2, 0),
            ValueError,
            r"the width grad_y\.shape\[1\] must be at least 1 and at most 4, got 8",
        ),
        (
            lambda: kernels.rpp_backward(X[:2, :4], X, W, 2, 0),
            ValueError,
            r"grad_y must have shape \(batch = 3, width\), got \(2, 4\)",
        ),
        (
            lambda: kernels.rpp_backward(X[:, :2], X, W, 2, 0),
            ValueError,
            r"the width grad_y\.shape\[1\] must be more than k·\(n − 1\) = 2, .* got 2",
        ),
        (
            lambda: kernels.rpp_forward(X, W, 4, 0, width=4),
            ValueError,
            r"width must be more than k·\(n − 1\) = 4, as n = 2 columns serve k·n = 8 outputs at most, got 4",
        ),
        (lambda: kernels.rpp_forward(X, W, 4, 0, width=9), ValueError, "width must be at least 1 and at most 8, got 9"),
        (lambda: kernels.rpp_expand(W, 4, 0, width=7.0), TypeError, "width must be an integer, got 7.0"),
        (
            lambda: kernels.rpp_forward(X, W, 2, 0, np.zeros(4, np.float32), width=3),
            ValueError,
            r"bias must have shape \(3,\).*\(2,\).*got \(4,\)",
        ),
        (lambda: kernels.rpp_expand(W[0], 2, 0), ValueError, r"hidden must have shape \(m, n\), got \(2,\)"),
        (lambda: kernels.rpp_expand(W[:0], 2, 0), ValueError, r"inputs hidden\.shape\[0\] must be at least 1"),
        (lambda: kernels.rpp_init(0, 2), ValueError, "n_inputs must be at least 1 and at most 1073741824, got 0"),
        (lambda: kernels.rpp_init(3, 2, gain=0), ValueError, "gain must be a finite number above 0, got 0"),
        (
            lambda: kernels.rpp_permutation(2**31, 1, 1, 0),
            ValueError,
            "n_inputs must be .* at most 1073741824, got 2147483648",
        ),
        (lambda: kernels.rpp_permutation(3, None, 1, 0), TypeError, "n_columns must be an integer, got None"),
        (
            lambda: kernels.rpp_forward(X, W, 2, 0, permutation=np.zeros((2, 8, 2), np.int32)),
            TypeError,
            "permutation must have dtype uint16 or uint32, got int32",
        ),
        (
            lambda: kernels.rpp_backward(X[:, :4], X, W, 2, 0, permutation=np.zeros((2, 8, 1), np.uint16)),
            ValueError,
            r"permutation must have shape \(k = 2, m = 8, columns = 2\), got \(2, 8, 1\)",
        ),
        (
            lambda: kernels.rpp_forward(X, W, 2, 0, permutation=np.full((2, 8, 2), 8, np.uint16)),
            ValueError,
            "permutation must hold numbers below m = 8, got 8",
        ),
        (
            lambda: kernels.rpp_forward(X, W, 2, 0, permutation=np.full((2, 8, 2), 2**15 + 8, np.uint16), signs=True),
            ValueError,
            "permutation must hold numbers below m = 8, the sign's bit left aside, got 8",
        ),
        (
            lambda: kernels.rpp_forward(LONG, LONG.T, 1, 0, permutation=LONG.T[None].astype(np.uint16), signs=True),
            TypeError,
            "permutation must have dtype uint32 for a sign and numbers below m = 32769, got uint16",
        ),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
