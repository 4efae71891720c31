"""The CUDA kernels of LDL, in Numba's simulator, against the reference: passes of few threads, as it takes long."""

import tracemalloc

import ml_dtypes
import numba
import numpy as np
import pytest
from test_ldl import check_backward, check_forward, layer

from ldlrpp.kernels.cuda import ldl, ldl_passes, memory, numbers
from ldlrpp.kernels.ldl_weights import stages

HALVES = [np.float16, ml_dtypes.bfloat16]


@pytest.fixture
def small(monkeypatch):
    """Tiles of a few threads: layers of 64 and more take several passes."""
    monkeypatch.setattr(ldl, "_TILE", 5)
    monkeypatch.setattr(ldl, "_COLUMNS", 1)
    monkeypatch.setattr(ldl, "_LAST", 6)
    for name in ("THREADS", "BACKWARD_THREADS", "DOUBLE_THREADS"):
        monkeypatch.setattr(ldl_passes, name, 16)
    ldl._passes.cache_clear()
    yield
    ldl._passes.cache_clear()


def forward(x, weights, scale, bias, relu=False):
    out = np.full_like(x, np.nan)
    ldl.forward(x, weights, scale, bias, relu, out)
    return out


def backward(grad_y, x, weights, scale):
    grads = [np.full_like(a, np.nan) for a in (x, weights, scale, scale)]
    ldl.backward(grad_y, x, weights, scale, *grads)
    return grads


def check(radix, width, batch, dtype=np.float32):
    x, grad_y, weights, scale, bias = layer(width, batch, dtype, radix=radix)
    check_forward(x, weights, scale, bias, forward(x, weights, scale, bias))
    check_backward(grad_y, x, weights, scale, backward(grad_y, x, weights, scale))


@pytest.mark.parametrize(
    ("radix", "width", "batch"),
    [(2, 1, 3), (2, 2, 17), (2, 8, 1), (4, 4, 17), (4, 64, 5), (2, 128, 1)],
)
def test_tiles_as_they_are(radix, width, batch):
    check(radix, width, batch)


@pytest.mark.parametrize("width", [2, 4, 8, 16, 32, 64, 128, 256])
@pytest.mark.parametrize("radix", [2, 4])
def test_small_tiles(radix, width, small):
    check(radix, width, 17 if width < 32 else 3 if width < 256 else 1)


@pytest.mark.parametrize("batch", [1, 15])
@pytest.mark.parametrize(("radix", "width"), [(r, r * k) for r in (8, 16, 32) for k in (1, 2, 32)])
def test_larger_radices(radix, width, batch):
    check(radix, width, batch)


@pytest.mark.parametrize("radix", [2, 4, 8, 16, 32])
@pytest.mark.parametrize("width", [1, 2, 64])
def test_an_empty_batch(radix, width):
    check(radix, width, 0)


@pytest.mark.parametrize(("radix", "width"), [(2, 16), (4, 32), (2, 64), (4, 128), (8, 64)])
def test_float64(radix, width, small):
    check(radix, width, 3, np.float64)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(("radix", "width"), [(2, 16), (4, 64), (8, 64)])
def test_halves_are_worked_on_in_float32(radix, width, dtype, small):
    x, grad_y, weights, scale, bias = layer(width, 5, dtype, radix=radix)
    y, grads = forward(x, weights, scale, bias), backward(grad_y, x, weights, scale)
    assert {a.dtype for a in (y, *grads)} == {np.dtype(dtype)}
    # what float32 gives, rounded once, and once between passes: not once a stage
    wide = [a.astype(np.float32) for a in (grad_y, x, weights, scale, bias)]
    wanted = [forward(*wide[1:]), *backward(*wide[:4])]
    error = 2 * ml_dtypes.finfo(dtype).eps
    for got, want in zip((y, *grads), wanted, strict=True):
        assert np.abs(got.astype(np.float32) - want).max() <= error * np.abs(want).max()
        assert np.abs(got.astype(np.float32) - want).max() > 0


@pytest.mark.parametrize(("radix", "width"), [(2, 8), (4, 64), (8, 64)])
def test_relu(radix, width, small):
    x, _, weights, scale, bias = layer(width, 3, np.float32, radix=radix)
    x[0, 0] = np.nan
    plain, positive = forward(x, weights, scale, bias), forward(x, weights, scale, bias, relu=True)
    np.testing.assert_array_equal(positive, np.maximum(plain, 0))
    assert np.isnan(positive[0]).all()
    assert np.isfinite(positive[1:]).all()


def test_rows_may_be_written_where_they_were_read(small):
    x, _, weights, scale, bias = layer(128, 3, np.float32)
    wanted = forward(x, weights, scale, bias)
    ldl.forward(x, weights, scale, bias, False, x)
    np.testing.assert_array_equal(x, wanted)


@pytest.mark.parametrize(("radix", "width", "batch"), [(2, 16, 40), (4, 64, 11)])
def test_parts_of_the_batch(radix, width, batch, small, monkeypatch):
    # rows in several blocks, each with sums of its own, which several segments add up; passes over parts of the batch
    monkeypatch.setattr(ldl, "_SUMMED_ROWS", 1)
    monkeypatch.setattr(ldl, "_LEAST_ROWS", 4)
    monkeypatch.setattr(ldl, "_PART", 512)
    monkeypatch.setattr(ldl, "_BACKWARD_PART", 512)
    check(radix, width, batch)


@pytest.mark.parametrize("radix", [2, 4])
def test_bits_do_not_depend_on_the_number_of_multiprocessors(radix, small, monkeypatch):
    x, grad_y, weights, scale, bias = layer(32, 9, np.float32, radix=radix)
    results = []
    for n in (1, 3):
        monkeypatch.setattr(ldl, "n_multiprocessors", lambda n=n: n)
        results.append([forward(x, weights, scale, bias), *backward(grad_y, x, weights, scale)])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("radix", [2, 4])
def test_how_layers_are_cut_into_passes(radix, itemsize, backward):
    for log in range(1, 31):
        if radix > 2**log:
            continue
        found = ldl._passes(2**log, radix, itemsize, backward)
        # all rows of weights, once and in order
        assert [p.first for p in found] == [0, *(p.stop for p in found[:-1])]
        assert found[-1].stop == sum(stages(2**log, radix))
        for p in found:
            units, at_end = np.reshape(p.units, (-1, ldl_passes.COLUMNS)), p is found[-1]
            threads = len(units) << (p.tile.size - 3)
            assert threads <= (256 if itemsize == 8 else 384 if backward else 512)
            assert ldl._shared_bytes(len(units), p.tile.size, itemsize, backward) <= 48 * 1024
            # every stage of the pass, each on its own bits of a position
            found_stages = []
            for low, kind, *row in units:
                found_stages += [(row[2 - bit], 2, low + bit) for bit in range(3) if kind & 1 << bit]
                found_stages += [(row[2], 4, low + bit) for bit in range(2) if kind & ldl_passes.FOUR_0 << bit]
            row, bit = 0, p.tile.columns + (p.stop - p.first) // 2
            for first, radix_of_stage, lowest in sorted(found_stages):
                bit -= radix_of_stage // 2
                assert (first, lowest) == (row, bit)
                row += radix_of_stage
            assert (row, bit) == (p.stop - p.first, p.tile.columns)
            assert (p.tile.columns, p.tile.stride) == (0, 0) or not at_end
            # 64 bytes of neighbours
            assert at_end or 4 <= p.tile.columns <= p.tile.stride
    n_passes = [len(ldl._passes(2**log, radix, itemsize, backward)) for log in (9, 10, 16)]
    if itemsize == 4 and radix == 2:
        assert n_passes == ([1, 2, 3] if backward else [1, 1, 2])


def test_warps_meet_no_two_places_in_a_bank():
    place = ldl_passes._place.fn
    np.testing.assert_array_equal(np.sort(place(np.arange(1024, dtype=np.uint32))), np.arange(1024))
    for radix in (2, 4):
        for log in range(1, 28):
            for p in ldl._passes(2 ** max(log, radix // 2), radix, 4, backward=log % 2 == 1):
                for low, kind, *_ in np.reshape(p.units, (-1, ldl_passes.COLUMNS)):
                    i = np.arange(1 << (p.tile.size - 3), dtype=np.uint32)
                    t = ldl_passes._first.fn(i, np.uint32(low))
                    assert (
                        np.sort(place(np.arange(1 << p.tile.size, dtype=np.uint32))) == np.arange(1 << p.tile.size)
                    ).all()
                    banks = np.sort((place(t) % 32).reshape(-1, 32))
                    assert (banks == np.arange(32)).all(), (radix, log, low, kind)


def test_arithmetic_of_places_means_the_same_compiled():
    # Python's integers have no types; on a GPU an unsigned and a signed one of 64 bits would make a float
    first, place, at = (numba.njit(f.fn) for f in (ldl_passes._first, ldl_passes._place, ldl_passes._at))
    for width in (2**9, 2**16, 2**27):
        for p in ldl._passes(width, 2, 4, False):
            for low in np.reshape(p.units, (-1, ldl_passes.COLUMNS))[:, ldl_passes.LOW]:
                i = np.uint32(p.tile.size * 7 % (1 << (p.tile.size - 3)))
                t = ldl_passes._first.fn(i, np.uint32(low))
                assert first(i, np.uint32(low)) == t
                assert place(t) == ldl_passes._place.fn(t)
                block = np.int64((1 << (p.tile.row - p.tile.size)) - 1)
                assert at(t, block, p.tile) == ldl_passes._at.fn(t, block, p.tile)
    bits, compiled = np.random.default_rng(0).integers(0, 2**32, 500, dtype=np.uint32), numba.njit(numbers._bits)
    assert [compiled(b) for b in bits] == [numbers._bits(b) for b in bits]


def test_bfloat16_is_rounded_to_the_nearest_ties_to_even():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.standard_normal(1000), [0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4e38, 1 + 2**-8]])
    values = np.concatenate([values.astype(np.float32), np.arange(2**14, 2**15, 7, dtype=np.uint32).view(np.float32)])
    values[-1] = np.uint32(0x3F818000).view(np.float32)  # half way between two, the upper of which is even
    out = np.empty(len(values), ml_dtypes.bfloat16)
    for i, value in enumerate(values):
        numbers.store(memory.bits(out), i, value)
    np.testing.assert_array_equal(out.astype(np.float32), values.astype(ml_dtypes.bfloat16).astype(np.float32))
    assert all(numbers.load(memory.bits(out), i) == np.float32(out[i]) for i in range(1000))


@pytest.mark.parametrize(
    ("radix", "width", "batch"), [(2, 1024, 200), (4, 4096, 1024), (4, 2**16, 50), (32, 1024, 100)]
)
def test_the_memory_that_backward_takes_is_what_was_said(radix, width, batch, monkeypatch):
    x, _, weights, scale, _ = layer(width, batch, np.float32, radix=radix)
    monkeypatch.setattr(ldl, "launch", lambda *args, **options: None)
    grads = [np.empty_like(a) for a in (x, weights, scale, scale)]
    tracemalloc.start()
    ldl.backward(x, x, weights, scale, *grads)
    _, taken = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    said = ldl.scratch_bytes(batch, width, radix, 4)
    assert taken / 2 < said < 2 * taken
