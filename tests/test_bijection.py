"""The permutation and its signs are a file format: their definition, their golden values, their statistics."""

import hashlib
import itertools
import math
import os
import subprocess
import sys

import numpy as np
import permutation_statistics as statistics
import pytest
import reference

from ldlrpp import kernels
from ldlrpp.kernels import bijection

SIZES = [65, 100, 784, 1000, 1024, 4096]
N_COLUMNS = 2000


# --- The definition --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_known_answers_of_random123(counter, key, words):
    assert tuple(map(int, bijection.philox4x32(*map(np.uint64, counter + key)))) == words
    assert tuple(reference.philox4x32(counter, key)) == words


GOLDEN = {
    # (m, seed, head, column): first values of the permutation
    (5, 0, 0, 0): [0, 4, 2, 3, 1],
    (64, 2**64 - 1, 3, 2): [57, 47, 11, 42, 63, 19, 50, 37],
    (65, 0, 0, 0): [22, 36, 63, 0, 9, 41, 34, 38],
    (784, 1, 99, 9): [571, 537, 628, 498, 573, 306, 216, 333],
    (1000, 2**64 - 1, 0, 1): [662, 891, 528, 375, 563, 530, 660, 921],
    (70_000, 12345678901234567890, 2, 0): [64445, 67986, 54435, 13980, 63435, 5222, 15396, 21021],
}


@pytest.mark.parametrize("case", GOLDEN, ids=str)
def test_golden_values(case):
    m, seed, head, column = case
    order = kernels.rpp_permutation(m, column + 1, head + 1, seed)[head, :, column]
    assert order[:8].tolist() == GOLDEN[case]


def with_signs(m, n, k, seed):
    """Permutations and signs ±1, (k, m, n)."""
    entries = kernels.rpp_permutation(m, n, k, seed, signs=True)
    assert entries.dtype == (np.uint16 if m <= 2**15 else np.uint32)
    sign_bit = 8 * entries.itemsize - 1
    return entries & (2**sign_bit - 1), 1 - 2 * (entries >> sign_bit).astype(int)


GOLDEN_SIGNS = {
    # as above: signs of the first entries
    (5, 0, 0, 0): "-+-++",
    (64, 2**64 - 1, 3, 2): "+---++--+---+++-",
    (65, 0, 0, 0): "-+---+--+-----+-",
    (784, 1, 99, 9): "+++-++-+-+-+++-+",
    (1000, 2**64 - 1, 0, 1): "+++--+----++----",
    (70_000, 12345678901234567890, 2, 0): "+--+----++-+-++-",
}


@pytest.mark.parametrize("case", GOLDEN_SIGNS, ids=str)
def test_golden_signs(case):
    m, seed, head, column = case
    _, signs = with_signs(m, column + 1, head + 1, seed)
    assert "".join("-+"[(sign + 1) // 2] for sign in signs[head, :16, column]) == GOLDEN_SIGNS[case]


def test_golden_checksum_of_signs():
    digest = hashlib.sha256()
    for m in (1, 2, 3, 17, 64, 65, 100, 500, 512, 513, 784, 1000, 1024, 4096, 32_768, 32_769, 65_536, 65_537):
        digest.update(with_signs(m, 3, 2, 2**63 + m)[1].astype("i1").tobytes())
    assert digest.hexdigest() == "16ae38a8fa1c619d843c54ecfc6d22f5bd1d8d701f6807e12b04f6b87dcf3d2a"


def test_golden_checksum():
    digest = hashlib.sha256()
    for m in (1, 2, 3, 17, 64, 65, 100, 500, 512, 513, 784, 1000, 1024, 4096, 65_536, 65_537):
        digest.update(kernels.rpp_permutation(m, 3, 2, 2**63 + m).astype("<i4").tobytes())
    assert digest.hexdigest() == "56545ab83a4fd93468d74e92d8a41b940e010cde8bbc226b13ff6d131318fe51"


@pytest.mark.parametrize(
    "m",
    [1, 2, 33, 63, 64, 65, 66, 127, 256, 257, 512, 513, 784, 1000, 1024, 1025, 5000, 32_768, 32_769, 65_536, 100_003],
)  # fmt: skip
def test_kernels_follow_the_definition(m):
    order = kernels.rpp_permutation(m, 3, 2, 2**64 - 3)
    assert order.shape == (2, m, 3)
    assert order.dtype == (np.uint16 if m <= 2**16 else np.uint32)
    beside, signs = with_signs(m, 3, 2, 2**64 - 3)
    np.testing.assert_array_equal(beside, order)
    for h, j in itertools.product(range(2), range(3)):
        expected, expected_signs = reference.permutation_and_signs(m, 2**64 - 3, h, j)
        np.testing.assert_array_equal(order[h, :, j], expected)
        np.testing.assert_array_equal(signs[h, :, j], expected_signs)


def test_growing_a_layer_keeps_its_permutations():
    np.testing.assert_array_equal(
        kernels.rpp_permutation(100, 5, 7, 1, signs=True)[:3, :, :2], kernels.rpp_permutation(100, 2, 3, 1, signs=True)
    )


def test_bijection_for_every_size_to_2048():
    for m in range(1, 2049):
        order = kernels.rpp_permutation(m, 2, 2, m)
        np.testing.assert_array_equal(np.sort(order, axis=1), np.broadcast_to(np.arange(m)[:, None], order.shape))


@pytest.mark.parametrize("m", [2**20, 2**20 - 3, 3_000_001])
def test_bijection_for_large_sizes(m):
    order = kernels.rpp_permutation(m, 1, 1, 9)[0, :, 0]
    assert np.bincount(order, minlength=m).max() == 1


@pytest.mark.parametrize("m", [65, 100, 800, 5000])
def test_a_position_alone_and_a_whole_column_agree(m):
    multipliers, increments = np.zeros(bijection.MAX_ROUNDS, np.uint16), np.zeros(bijection.MAX_ROUNDS, np.uint16)
    bijection.round_keys(m, np.uint64(3), np.uint64(1), np.uint64(2), multipliers, increments)
    alone = np.array([bijection.feistel(i, m, multipliers, increments) for i in range(m)])
    order, signs = with_signs(m, 3, 2, 3)
    np.testing.assert_array_equal(order[1, :, 2], alone[:, 0])
    np.testing.assert_array_equal(signs[1, :, 2], 1 - 2 * alone[:, 1])


SIMULATED = """
import numpy as np
from numba import cuda
from ldlrpp.kernels import bijection

@cuda.jit
def permute(m, seed, head, column, out, signs):
    multipliers = cuda.local.array(12, np.uint16)
    increments = cuda.local.array(12, np.uint16)
    if m <= bijection.FISHER_YATES_INPUTS:
        bijection.fisher_yates(m, seed, head, column, out)
        bits = bijection.few_signs(seed, head, column)
        for i in range(m):
            signs[i] = 1 - 2 * np.int64((bits >> np.uint64(i)) & np.uint64(1))
    else:
        bijection.round_keys(m, seed, head, column, multipliers, increments)
        for i in range(m):
            out[i], is_negative = bijection.feistel(i, m, multipliers, increments)
            signs[i] = -1 if is_negative else 1

for m in (5, 64, 65, 100, 800):
    out = np.zeros((2, m), np.int32)
    permute[1, 1](m, np.uint64(2**64 - 2), np.uint64(3), np.uint64(1), *out)
    print(*out.ravel())
"""


def test_the_same_source_runs_in_the_cuda_simulator():
    # Compiled code switched off: every step runs as Python, in the simulator, where an overflow would warn.
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SIMULATED], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for m, line in zip((5, 64, 65, 100, 800), done.stdout.splitlines(), strict=True):
        expected = np.concatenate(reference.permutation_and_signs(m, 2**64 - 2, 3, 1))
        np.testing.assert_array_equal(np.array(line.split(), int), expected)


# --- Statistics ------------------------------------------------------------------------------------------------------
# All runs are seeded, so a test either always passes or always fails.


def columns_of(m, n_columns=N_COLUMNS, seed=0):
    return np.ascontiguousarray(kernels.rpp_permutation(m, n_columns, 1, seed)[0].T.astype(np.int64))


@pytest.mark.parametrize("m", [3, 4, 5, 6])
def test_all_orders_are_equally_likely(m):
    columns = columns_of(m, 100 * math.factorial(m))
    _, counts = np.unique(columns @ m ** np.arange(m), return_counts=True)
    assert len(counts) == math.factorial(m)
    assert abs(statistics.chi2_deviation(counts, 100, len(counts) - 1)) < 4


@pytest.mark.parametrize("m", SIZES)
def test_columns_look_random(m):
    columns = columns_of(m)
    assert abs(statistics.position_value_deviation(columns)) < 5
    for distance in (1, 2, 16, bijection.feistel_sides(m)[1]):
        assert abs(statistics.steps_deviation(columns, distance)) < 5
    assert abs(statistics.serial_deviation(columns)) < 5
    assert np.all(np.abs(statistics.poisson_deviations((columns == np.arange(m)).sum(axis=1))) < 5)
    rng = np.random.default_rng(0)
    random = np.array([rng.permutation(m) for _ in range(N_COLUMNS)])
    assert statistics.most_frequent_step(columns) == pytest.approx(statistics.most_frequent_step(random), rel=0.03)


@pytest.mark.parametrize("m", SIZES)
def test_neighbouring_seeds_heads_and_columns_are_unrelated(m):
    columns = columns_of(m, seed=10)
    heads = kernels.rpp_permutation(m, N_COLUMNS // 2, 2, 10).astype(np.int64)
    pairs = {
        "column": (columns[:-1], columns[1:]),
        "head": (heads[0].T, heads[1].T),
        "seed": (columns, columns_of(m, seed=11)),
        "high half of the seed": (columns, columns_of(m, seed=10 + 2**32)),
    }
    for one, other in pairs.values():
        assert abs(statistics.correlation_deviation(one, other)) < 5
        assert np.all(np.abs(statistics.poisson_deviations((one == other).sum(axis=1))) < 5)


def signed_columns(m, n_columns, seed=0):
    """Columns and their signs, of a million entries at most."""
    columns, signs = with_signs(m, min(n_columns, 10**6 // m), 1, seed)
    return columns[0].T.astype(np.int64), signs[0].T.astype(float)


@pytest.mark.parametrize("m", [16, 32, 64, *SIZES, 40_000])
def test_signs_look_random_and_know_nothing_of_the_permutation(m):
    b = bijection.feistel_sides(m)[1] if m > 64 else m // 3
    deviations = statistics.sign_deviations(*signed_columns(m, 5000), b)
    assert max(map(abs, deviations.values())) < 5, deviations


@pytest.mark.parametrize("m", [7, 64, *SIZES])
def test_signs_of_neighbouring_seeds_heads_and_columns_are_unrelated(m):
    n_columns = min(N_COLUMNS, 10**6 // m)
    _, heads = with_signs(m, n_columns, 2, 10)
    signs = heads[0]
    others = {
        "head": (signs, heads[1]),
        "column": (signs[:, 1:], signs[:, :-1]),
        "seed": (signs, with_signs(m, n_columns, 1, 11)[1][0]),
        "high half of the seed": (signs, with_signs(m, n_columns, 1, 10 + 2**32)[1][0]),
    }
    for one, other in others.values():
        products = (one * other).T.astype(float)
        assert abs(statistics.mean_deviation(products)) < 5
        assert abs(statistics.sum_deviation(products)) < 5


@pytest.mark.parametrize(("m", "n_rounds", "mix"), [(1000, 8, False), (65, 6, True), (257, 6, True)])
def test_the_statistics_catch_a_weaker_network(m, n_rounds, mix):
    # An affine round function, and too few rounds for a small m
    columns, _ = zip(*networks(m, n_rounds, mix, N_COLUMNS), strict=True)
    assert statistics.steps_deviation(np.array(columns), 1) > 5


@pytest.mark.parametrize(
    ("n_last", "caught"),
    # one round's f is the same for all values of a row; two are the product of a sign of the row and one of the column
    [(1, {"sums", "next, 1", "value, 1", "rows", "value rows", "spectrum", "~ value"}), (2, {"value rows"})],
)
def test_the_statistics_catch_signs_of_few_rounds(n_last, caught):
    m = 1000
    columns, signs = [], []
    for column, fs in networks(m, 8, True, N_COLUMNS):
        columns.append(column)
        signs.append(1.0 - 2 * (np.bitwise_xor.reduce(fs[-n_last:]) * 40501 % 2**16 // 2**15))
    deviations = statistics.sign_deviations(np.array(columns), np.array(signs), bijection.feistel_sides(m)[1])
    assert caught <= {name for name, deviation in deviations.items() if abs(deviation) > 10}


def networks(m, n_rounds, mix, n_columns):
    """Columns of the reference's network with keys from NumPy, and every round's f (n_rounds, m) of the last pass."""
    a, b = bijection.feistel_sides(m)
    for words in np.random.default_rng(0).integers(2**32, size=(n_columns, n_rounds)):
        values, fs = reference.feistel(np.arange(a * b), a, b, words.tolist(), mix)
        column, last = reference.walk(m, values, np.arange(a * b))
        yield column, np.array(fs)[:, last]
