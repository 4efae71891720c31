"""What training and prediction take of memory, and give back."""

import tracemalloc
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import random_array

from ldlrpp.kernels.cpu.memory import CHUNK_BYTES
from ldlrpp.network import LDL, RPP, Adam, Data, Dense, Network, SquaredError, epochs, fit_lbfgs

MIB = 2**20


@contextmanager
def memory_taken():
    """Bytes that arrays made inside took at most, and that are still there at the end."""
    tracemalloc.start()
    taken = SimpleNamespace()
    try:
        yield taken
        taken.left, taken.peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


def network_of(*widths):
    common = {"rng": np.random.default_rng(0), "dtype": np.float32}
    hidden = [LDL(n, width, **common) for n, width in pairwise(widths)]
    return Network([*hidden, Dense(widths[-1], 1, **common)], "relu")


def dense_input(n_rows, n_inputs):
    return np.ones((n_rows, n_inputs), np.float32)


def sparse_input(n_rows, n_inputs):
    return random_array((n_rows, n_inputs), density=1e-4, format="csr", dtype=np.float32, random_state=0)


@pytest.mark.parametrize(
    ("widths", "make"), [((100, 2**15, 2**15), dense_input), ((100_000, 2**17), sparse_input)], ids=["wide", "sparse"]
)
def test_prediction_takes_a_bounded_chunk_at_a_time_and_gives_all_of_it_back(widths, make):
    network, X = network_of(*widths), make(700, widths[0])
    network.scores(X)  # compiles
    with memory_taken() as taken:
        scores = network.scores(X)
    # the chunk, the result and a kernel's tiles; all outputs of all rows would be 200 MiB and more
    assert taken.peak < CHUNK_BYTES + scores.nbytes + 8 * MIB
    assert taken.left < scores.nbytes + MIB


def test_hidden_outputs_are_written_where_they_are_wanted():
    network, X = network_of(16, 1024), dense_input(5000, 16)
    network.hidden(X)
    with memory_taken() as taken:
        hidden = network.hidden(X)
    assert taken.peak < hidden.nbytes + 16 * MIB
    np.testing.assert_array_equal(hidden[4000:], network.hidden(X[4000:]))


def test_lbfgs_takes_a_bounded_chunk_at_a_time():
    network = network_of(4, 2**14, 2**14)
    rows = Data(dense_input(1500, 4), np.ones((1500, 1), np.float32))
    fit_lbfgs(network, SquaredError(), Data(rows.X[:2], rows.targets[:2]), max_iter=1)
    with memory_taken() as taken:
        fit_lbfgs(network, SquaredError(), rows, max_iter=1, max_fun=1)
    # beside what L-BFGS keeps of the parameters, ten steps and their gradients in float64
    assert taken.peak < CHUNK_BYTES + 40 * 8 * network.flat.size
    assert taken.left < MIB


@pytest.mark.parametrize("kind", ["ldl", "rpp"])
def test_a_smaller_last_batch_works_in_the_memory_of_the_others(kind):
    peaks = []
    for n_samples in (256, 256 + 129):
        common = {"rng": np.random.default_rng(0), "dtype": np.float32}
        hidden = LDL(16, 4096, **common) if kind == "ldl" else RPP(16, 4096, n_permutations=64, seed=0, **common)
        network = Network([hidden, Dense(4096, 1, **common)], "relu")
        rows = Data(dense_input(n_samples, 16), np.ones((n_samples, 1), np.float32))
        next(epochs(network, SquaredError(), Adam(), rows, rng=np.random.default_rng(0)))
        with memory_taken() as taken:
            next(epochs(network, SquaredError(), Adam(), rows, batch_size=256, rng=np.random.default_rng(0)))
        peaks.append(taken.peak)
    assert peaks[1] < 1.05 * peaks[0]
