"""Training and prediction with the kernels for GPUs, in Numba's simulator, beside those for the CPU."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from test_backend import OnGpu

from ldlrpp import LDLClassifier, MixedClassifier, RPPRegressor
from ldlrpp.kernels import cpu, cuda
from ldlrpp.kernels.cuda import elementwise, losses, sums
from ldlrpp.network import LDL, RPP, SGD, Adam, Average, Data, Dense, Logistic, Network, Softmax, SquaredError, epochs


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks where there would be one, in a fraction of the simulator's time."""
    for module in (elementwise, losses, sums):
        monkeypatch.setattr(module, "_THREADS", 16)


def network_of(kind, activation):
    common = {"rng": np.random.default_rng(0), "dtype": np.float32}
    if kind == "ldl":
        hidden = [LDL(5, 9, activation=activation, **common), LDL(9, 6, radix=4, **common)]
    elif kind == "rpp":
        stored = cpu.rpp.permutations(7, 3, 6, np.uint64(2), False, True)
        hidden = [
            RPP(5, 7, n_permutations=2, seed=1, bias="shared", budget=2**20, **common),
            RPP(7, 6, n_permutations=2, seed=2, signs=True, stored=stored, grad_scale=0.5, **common),
        ]
    else:
        hidden = [Dense(5, 6, **common)]
    return Network([*hidden, Dense(6, 3, **common)], activation)


@pytest.mark.parametrize(
    ("kind", "activation", "optimizer", "loss", "options"),
    [
        ("ldl", "relu", Adam, Softmax(), {"alpha": 0.1}),
        ("rpp", "logistic", SGD, Logistic(), {"max_norm": 0.01}),
        ("dense", "tanh", Adam, SquaredError(), {"dropout": 0.5}),
    ],
    ids=["ldl", "rpp", "dense"],
)
def test_a_network_learns_what_it_learns_on_the_cpu(kind, activation, optimizer, loss, options):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(7, 5)).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[rng.integers(3, size=7)]
    results = []
    for network in (network_of(kind, activation), network_of(kind, activation).on(cuda)):
        rows = Data(X, targets, np.arange(7, dtype=np.float32))
        training = epochs(
            network, loss, optimizer(learning_rate=0.01), rows, average=Average(0.9), batch_size=4,
            rng=np.random.default_rng(2), **options,
        )  # fmt: skip
        value = next(training)
        predictions = loss.predict(network.scores(X), network.kernels)
        results.append((value, network.flat, network.hidden(X), predictions))
    assert isinstance(results[1][0], float)
    loaded = pickle.loads(pickle.dumps(network))
    assert loaded.kernels is cpu
    np.testing.assert_allclose(loaded.scores(X), network.scores(X), rtol=1e-4, atol=1e-5)
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "sparse"),
    [
        (LDLClassifier((4,), dropout=0.3, max_grad_norm=0.5, max_iter=5), False),
        (MixedClassifier([("rpp", 4, {"n_permutations": 2}), ("dense", 3)], early_stopping=True, max_iter=5), True),
        (RPPRegressor((4,), activation="tanh", n_permutations=2, average=False, max_iter=5), False),
    ],
    ids=["ldl", "mixed", "rpp"],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-4), (np.float64, 1e-9)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_whole_fit(model, sparse, dtype, tolerance):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(7, 3)).astype(dtype), np.arange(7) % 2
    y = y.astype(dtype) if isinstance(model, RPPRegressor) else y
    X = csr_array(X * (X > 0)) if sparse else X
    here = clone(model).set_params(batch_size=4, random_state=0, validation_fraction=0.3)
    there = clone(here).set_params(device="cuda")
    curves = [one.fit(X, y).loss_curve_ for one in (here, there)]
    assert len(curves[0]) == 5
    np.testing.assert_allclose(curves[1], curves[0], rtol=tolerance)
    np.testing.assert_allclose(there.network_.flat, here.network_.flat, rtol=100 * tolerance, atol=tolerance)
    np.testing.assert_allclose(there.predict(X), here.predict(X), rtol=100 * tolerance, atol=tolerance)
    # the same bits in another run, of arrays that are there
    if isinstance(model, RPPRegressor):
        again = clone(there).fit(OnGpu(X), OnGpu(y))
        assert again.loss_curve_ == there.loss_curve_
        np.testing.assert_array_equal(again.network_.flat, there.network_.flat)
