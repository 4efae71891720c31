"""What dropout drops, beside its definition, and beside what chance would."""

import numpy as np
import pytest
import reference

from ldlrpp.kernels import cpu, masks


def kept(seed, rate, shape):
    y = np.ones(shape, np.float32)
    cpu.elementwise.drop(y, seed, rate)
    return y > 0


@pytest.mark.parametrize("rate", [0.0, 1e-3, 0.3, 0.5, 1 - 1e-3, np.nextafter(1, 0)])
def test_the_hash_is_the_reference(rate, threads):
    seed, shape = np.uint64(0x9E3779B97F4A7C15), (7, 5001)
    expected = reference.is_kept(np.arange(7 * 5001), int(seed), rate)
    np.testing.assert_array_equal(kept(seed, rate, shape).ravel(), expected)
    numbers = [0, 1, 34_999, 2**32 - 1]
    key = masks.key(seed, rate)
    assert [bool(masks.is_kept(np.uint32(i), *key)) for i in numbers] == list(
        reference.is_kept(np.array(numbers), int(seed), rate)
    )


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_masks_look_random(rate):
    seeds, shape = np.random.default_rng(0).integers(2**64, size=100, dtype=np.uint64), (128, 1024)
    seeds[:3] = 0, 1, 2**32
    z = np.stack([kept(seed, rate, shape) for seed in seeds]).astype(np.float32)
    z = (z - (1 - rate)) / np.sqrt(rate * (1 - rate))
    n = z[0].size

    def assert_random(values, n_terms):
        """Means of so many independent terms of variance 1: of all of them, and the largest."""
        scores = np.ravel(values) * np.sqrt(n_terms)
        assert np.mean(scores**2) == pytest.approx(1, abs=5 * np.sqrt(2 / len(scores)))
        assert np.abs(scores).max() < 5.5

    assert_random(z.mean(axis=(1, 2)), n)
    assert_random(z.mean(axis=2), 1024)
    assert_random(z.mean(axis=(0, 1)), 128 * len(seeds))
    # neighbours along rows and columns, powers of two apart, and rows and seeds beside each other
    for step in (1, 2, 3, 16, 256):
        assert_random((z[:, :, step:] * z[:, :, :-step]).mean(axis=(1, 2)), 128 * (1024 - step))
    for step in (1, 2, 64):
        assert_random((z[:, step:] * z[:, :-step]).mean(axis=(1, 2)), (128 - step) * 1024)
    assert_random((z[1:] * z[:-1]).mean(axis=(1, 2)), n)
    spectrum = np.abs(np.fft.rfft(z.reshape(len(seeds), -1), axis=1)) ** 2 / n
    assert spectrum[:, 1:-1].max() < np.log(len(seeds) * n / 2) + 12
