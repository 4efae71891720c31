"""What training and prediction take of memory, and give back."""

import os
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import random_array

from ldlrpp import LDLClassifier, MixedClassifier
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


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("model", "n_rows", "batch_size"),
    [
        (LDLClassifier((2**16, 2**16)), 60, 10),
        (LDLClassifier((1024, 1024)), 3000, 1000),
        (MixedClassifier([("dense", 2000), ("dense", 2000)]), 60, 10),
    ],
    ids=["wide", "large batches", "dense"],
)
def test_a_fit_takes_six_times_the_parameters_and_two_batches(model, n_rows, batch_size):
    X, y = dense_input(n_rows, 100), np.arange(n_rows) % 3
    model.set_params(batch_size=batch_size, max_iter=2, random_state=0).fit(X, y)  # compiles
    with memory_taken() as taken:
        model.fit(X, y)
    layers = model.network_.layers
    activations = 4 * batch_size * (layers[0].input_width + sum(layer.n_outputs for layer in layers))
    # beside them the tiles of kernels
    assert taken.peak < 6 * model.network_.flat.nbytes + 2 * activations + X.nbytes + 8 * MIB


@pytest.mark.parametrize("kind", ["ldl", "rpp"])
def test_a_smaller_last_batch_works_in_the_memory_of_the_others(kind):
    peaks = []
    for n_samples in (256, 256 + 129):
        common = {"rng": np.random.default_rng(0), "dtype": np.float32}
        hidden = LDL(16, 4096, **common) if kind == "ldl" else RPP(16, 4096, n_permutations=64, seed=0, **common)
        network = Network([hidden, Dense(4096, 1, **common)], "relu")
        rows = Data(dense_input(n_samples, 16), np.ones((n_samples, 1), np.float32))

        def epoch():
            next(epochs(network, SquaredError(), Adam(), rows, batch_size=256, rng=np.random.default_rng(0)))  # noqa: B023

        epoch()  # loads what is compiled for batches of these sizes
        taken = []
        for _ in range(3):
            # what runs the tests may take some in its own threads
            with memory_taken() as once:
                epoch()
            taken.append(once.peak)
        peaks.append(min(taken))
    assert peaks[1] < 1.05 * peaks[0]


FAULTS = """
import resource, warnings
import numpy as np
from ldlrpp import LDLClassifier
warnings.simplefilter("ignore")
X, y = np.random.default_rng(0).standard_normal((4000, 100), dtype=np.float32), np.arange(4000) % 3
model = LDLClassifier((1024, 1024), batch_size=100, max_iter=2, n_jobs=1, random_state=0).fit(X, y)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
model.fit(X, y)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux has that variable")
def test_where_memory_is_given_back_at_once_kernels_keep_theirs():
    # pages that the system has cleared: some hundred a batch, where tiles are new memory for each
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}
    faults = int(subprocess.check_output([sys.executable, "-c", FAULTS], env=environment, text=True))
    assert faults < 80 * 100
