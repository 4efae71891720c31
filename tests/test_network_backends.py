"""Networks on arrays that are none of NumPy's: all that touches these is a kernel of the network's backend."""

import ast
import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
from remote import KERNELS, MEMORY, Remote
from scipy.sparse import csr_array, issparse

import ldlrpp.network
from ldlrpp.kernels import backend, cpu
from ldlrpp.network import (
    LDL,
    RPP,
    SGD,
    AbsoluteError,
    Adam,
    Average,
    Data,
    Dense,
    Huber,
    Logistic,
    Network,
    Poisson,
    Softmax,
    SquaredError,
    epochs,
    fit_lbfgs,
)
from ldlrpp.network.workspace import Workspace


@pytest.fixture(autouse=True)
def another_machine(monkeypatch):
    """It is where there would be a GPU, and predictions take several chunks."""
    monkeypatch.setattr(backend, "cuda", lambda: KERNELS)
    monkeypatch.setattr(cpu.memory, "CHUNK_ROWS", 50)


# --- Both backends, side by side -------------------------------------------------------------------------------------


def networks(activation, dtype=np.float32):
    """The same network twice; its layers are cut, repeated and padded, whole, shared, stored."""
    rng = np.random.default_rng(0)
    common = {"rng": rng, "dtype": dtype, "activation": activation}
    stored = cpu.rpp.permutations(24, 10, 30, np.uint64(5), False, True)
    layers = [
        LDL(7, 50, **common),
        LDL(50, 32, radix=4, expansion="pad", **common),
        LDL(32, 24, **common),
        RPP(24, 30, n_permutations=3, seed=5, signs=True, stored=stored, grad_scale=0.5, **common),
        RPP(30, 20, n_permutations=3, seed=6, bias="shared", budget=2**20, **common),
        Dense(20, 3, rng=rng, dtype=dtype),
    ]
    network = Network(layers, activation)
    return network, network.on(KERNELS)


def data(loss, dtype=np.float32, weighted=False, sparse=False):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(90, 7)).astype(dtype)
    targets = np.eye(3)[rng.integers(3, size=90)] if isinstance(loss, Softmax) else rng.integers(2, size=(90, 3))
    return Data(
        csr_array(X * (X > 0)) if sparse else X,
        targets.astype(dtype),
        rng.uniform(0, 2, 90).astype(dtype) if weighted else None,
    )


def assert_same(one, other):
    """Bit for bit: what works is the same."""
    np.testing.assert_array_equal(one, MEMORY.get(other) if isinstance(other, Remote) else other)


@pytest.mark.parametrize(
    ("activation", "optimizer", "loss", "options"),
    [
        ("relu", Adam(weight_decay=0.1), Softmax(), {"alpha": 0.1}),
        ("tanh", SGD(), SquaredError(), {"max_norm": 0.01, "average": Average(0.9)}),
        ("logistic", Adam(), Logistic(), {"weighted": True, "alpha": 0.1, "average": Average(0.5, 2)}),
        ("identity", SGD(nesterov=False), AbsoluteError(), {"sparse": True, "average": Average(0.5, 2)}),
        ("tanh", Adam(), Huber(0.5), {"dropout": 0.5, "shuffle": False}),
        ("relu", SGD(), Poisson(), {"dropout": 0.2, "weighted": True, "sparse": True}),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_training_and_prediction(activation, optimizer, loss, options):
    average = options.get("average")
    others = {name: value for name, value in options.items() if name not in ("average", "weighted", "sparse")}
    rows = data(loss, weighted="weighted" in options, sparse="sparse" in options)
    results = []
    for network in networks(activation):
        training = epochs(
            network, loss, copy.deepcopy(optimizer), rows, average=copy.deepcopy(average), batch_size=40,
            rng=np.random.default_rng(2), **others,
        )  # fmt: skip
        losses = [next(training) for _ in range(2)]
        assert all(isinstance(value, float) for value in losses)
        X = network.kernels.memory.put(rows.X) if not issparse(rows.X) else rows.X
        scores, hidden = network.scores(X), network.hidden(X)
        predictions = loss.predict(scores, backend.of(scores))
        results.append((losses, network.flat, scores, hidden, predictions))
    for one, other in zip(*results, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("weighted", [False, True])
def test_lbfgs(weighted):
    results = []
    for network in networks("tanh", np.float64):
        rows = data(SquaredError(), np.float64, weighted)
        result = fit_lbfgs(network, SquaredError(), rows, alpha=0.1, max_iter=3, callback=lambda loss: None)
        results.append((result.fun, network.flat))
    for one, other in zip(*results, strict=True):
        assert_same(one, other)


def test_data_may_be_where_the_network_is():
    local_network, network = networks("relu")
    results = []
    for one in (local_network, network):
        rows = data(Softmax(), weighted=True).on(one.kernels)
        results.append(next(epochs(one, Softmax(), Adam(), rows, rng=np.random.default_rng(2))))
    assert results[0] == results[1]
    assert_same(local_network.scores(data(Softmax()).X), network.scores(MEMORY.put(data(Softmax()).X)))


def test_copies_stay_and_pickles_come_back_on_the_cpu():
    original, network = networks("relu")
    X = data(Softmax()).X
    expected = original.scores(X)
    for other in (copy.copy(network), copy.deepcopy(network), network.on(KERNELS)):
        assert other.kernels is KERNELS
        assert all(isinstance(array, Remote) for array in other.parameters())
        assert_same(expected, other.scores(X))
        other.flat[:] = 0
    for other in (pickle.loads(pickle.dumps(network)), network.on(cpu)):
        assert other.kernels is cpu
        assert_same(expected, other.scores(X))
        # layers of columns stay such
        assert other.layers[3].parameters["hidden"].T.flags.c_contiguous
        assert isinstance(other.layers[3].stored, np.ndarray)
        other.flat[:] = 0
    assert_same(expected, network.scores(X))
    assert_same(original.layers[0].to_dense()[0], network.layers[0].to_dense(KERNELS)[0])


@pytest.mark.parametrize("kind", [Adam, SGD])
def test_optimizers_and_averages_go_on(kind):
    original, network = networks("relu")
    rows, rng = data(Softmax()), np.random.default_rng

    def train(network, optimizer, average, seed):
        return next(epochs(network, Softmax(), optimizer, rows, average=average, rng=rng(seed)))

    whole = kind(learning_rate=0.01), Average(0.9)
    first = [train(original, *whole, 0), train(original, *whole, 1)]
    parts = kind(learning_rate=0.01), Average(0.9)
    second = [train(network, *parts, 0)]
    # kept on disk, and put back
    kept, kept_network = pickle.loads(pickle.dumps(parts)), pickle.loads(pickle.dumps(network)).on(KERNELS)
    resumed = kind(learning_rate=0.01), Average(0.9)
    for old, new in zip(kept, resumed, strict=True):
        new.resume(old.state, KERNELS)
    for net, pair in ((kept_network, resumed), (network, copy.deepcopy(parts))):
        assert [*second, train(net, *pair, 1)] == first
        assert_same(original.flat, net.flat)
    assert_same(whole[1].state["iterate"], resumed[1].state["iterate"])


def test_the_backend_refuses_what_is_not_its_own():
    x = np.ones((2, 20), np.float32)
    layer = Dense(20, 3, rng=np.random.default_rng(0), dtype=np.float32)
    for change in (MEMORY.put, MEMORY.get):
        layer.change_arrays(change)
        with pytest.raises(TypeError, match="an array of NumPy"):
            layer.forward(x, MEMORY.empty((2, 3), np.float32), Workspace(KERNELS, fixed=True))
    for function in (np.tanh, np.sum, np.array, np.empty_like):
        with pytest.raises(TypeError, match=r"another machine|not support ufuncs"):
            function(MEMORY.put(x))


def test_nothing_of_the_network_imports_a_machine():
    for file in Path(ldlrpp.network.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            assert not any(set(name.split(".")) & {"cpu", "cuda", "cupy"} for name in names), file.name
