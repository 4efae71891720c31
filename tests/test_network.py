"""Networks against central differences, losses against their definitions, optimisers against their formulas."""

import itertools
import os
import pickle
import subprocess
import sys
from copy import copy as copy_of

import numpy as np
import pytest
import reference
from scipy.linalg import hadamard
from sklearn.metrics import mean_poisson_deviance
from threadpoolctl import threadpool_info

from ldlrpp import kernels
from ldlrpp.kernels import cpu
from ldlrpp.kernels.cpu.elementwise import take_rows
from ldlrpp.kernels.cpu.threads import single_threaded_blas
from ldlrpp.network import (
    LDL,
    RPP,
    SGD,
    AbsoluteError,
    Adam,
    Data,
    Dense,
    Huber,
    Logistic,
    Network,
    Poisson,
    Schedule,
    Softmax,
    SquaredError,
    epochs,
    fit_lbfgs,
)
from ldlrpp.network.activations import ACTIVATIONS
from ldlrpp.network.workspace import Workspace


def layer_of(kind, n_inputs, n_outputs, rng, activation="tanh"):
    common = {"rng": rng, "dtype": np.float64}
    if kind == "dense":
        return Dense(n_inputs, n_outputs, **common)
    common["activation"] = activation
    if kind.startswith("ldl"):
        _, expansion, radix = kind.split("-")
        return LDL(n_inputs, n_outputs, expansion=expansion, radix=int(radix), **common)
    bias = kind.split("-")[1]
    return RPP(n_inputs, n_outputs, n_permutations=3, seed=5, bias=bias, signs=bias == "shared", **common)


KINDS = ["dense", "ldl-repeat-2", "ldl-pad-2", "ldl-repeat-4", "rpp-full", "rpp-shared", "rpp-none"]


# Inputs and outputs of a layer: both cut from the butterfly's width, one of them, none; three permutations of whole
# columns, a head cut, fewer outputs than permutations
SIZES = [(6, 9), (8, 6), (6, 15), (3, 9), (1, 3), (5, 10), (4, 2), (3, 1)]
WHOLE = [(8, 8), (16, 16), (5, 8), (8, 5), (16, 8), (1, 1)]


def layer_sizes(kind):
    return SIZES + WHOLE if kind.startswith("ldl") else SIZES


def targets_of(loss, n_outputs, batch, rng):
    if isinstance(loss, SquaredError):
        return rng.normal(size=(batch, n_outputs))
    if isinstance(loss, Softmax):
        return np.eye(n_outputs)[rng.integers(n_outputs, size=batch)]
    return rng.integers(2, size=(batch, n_outputs)).astype(float)


@pytest.mark.parametrize("loss", [SquaredError(), Softmax(), Logistic()], ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_a_whole_network_is_the_central_difference(kind, activation, loss):
    rng = np.random.default_rng(1)
    # layers that are cut, and whole butterflies where a butterfly is meant
    widths = [5, 6, 8, 8] if kind.startswith("ldl") else [5, 6, 10]
    hidden = [layer_of(kind, n, w, rng, activation) for n, w in itertools.pairwise(widths)]
    network = Network([*hidden, Dense(widths[-1], 3, rng=rng, dtype=np.float64)], activation)
    for parameter in network.parameters():
        parameter += 0.1 * rng.normal(size=parameter.shape)  # biases off zero, so that no relu sits on its corner
    x = rng.normal(size=(7, 5))
    targets = targets_of(loss, 3, 7, rng)
    outputs, grad_outputs = network.empty_outputs(7), network.empty_outputs(7)
    workspaces = network.workspaces(fixed=False)
    flat, gradients = network.zero_gradients()

    def value():
        return loss.value_and_gradient(network.forward(x, outputs, workspaces), targets)[0]

    with network.threads():
        for _ in range(2):  # gradients are overwritten, not added to
            _, grad_scores = loss.value_and_gradient(network.forward(x, outputs, workspaces), targets)
            network.backward(grad_scores, x, outputs, grad_outputs, gradients, workspaces)
        arrays = [array for layer in gradients for array in layer.values()]
        # every gradient is in the flat array, and nothing else
        assert np.count_nonzero(flat) == sum(np.count_nonzero(array) for array in arrays)
        for parameter, gradient in zip(network.parameters(), arrays, strict=True):
            for index in np.ndindex(parameter.shape):
                before, step = parameter[index], 1e-6
                parameter[index] = before + step
                above = value()
                parameter[index] = before - step
                below = value()
                parameter[index] = before
                assert (above - below) / (2 * step) == pytest.approx(gradient[index], rel=1e-5, abs=1e-8)


@pytest.mark.parametrize(("kind", "sizes"), [(kind, sizes) for kind in KINDS for sizes in layer_sizes(kind)], ids=str)
def test_input_gradient_of_a_layer(kind, sizes):
    rng = np.random.default_rng(2)
    layer = layer_of(kind, *sizes, rng)
    x, grad_y = rng.normal(size=(4, sizes[0])), rng.normal(size=(4, sizes[1]))
    gradients = {name: np.empty_like(array) for name, array in layer.parameters.items()}
    grad_x, out = np.full_like(x, np.nan), np.full_like(grad_y, np.nan)
    copies, workspace = (x.copy(), grad_y.copy()), Workspace(cpu, fixed=False)
    with single_threaded_blas():
        layer.forward(np.zeros_like(x), out, workspace)
        constant = out.copy()
        layer.forward(x, out, workspace)
        layer.backward(grad_y, x, gradients, grad_x, workspace)
    # out − constant is linear in x
    assert np.vdot(grad_y, out - constant) == pytest.approx(np.vdot(grad_x, x), rel=1e-10)
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(grad_y, copies[1])


@pytest.mark.parametrize("radix", [2, 4, 32])
def test_ldl_layer_repeats_or_pads_its_input_and_cuts_its_output(radix):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 3))
    for expansion, wide in (("repeat", np.hstack([x, x, x[:, :2]])), ("pad", np.hstack([x, np.zeros((2, 5))]))):
        layer = LDL(3, 6, radix=radix, expansion=expansion, rng=rng, dtype=np.float64)
        out = np.empty((2, 6))
        layer.forward(x, out, Workspace(cpu, fixed=True))
        np.testing.assert_allclose(out, reference.ldl_forward(wide, *layer.parameters.values())[:, :6], rtol=1e-12)
    assert LDL(1, 1, radix=radix, rng=rng, dtype=np.float64).width == 1
    assert LDL(1024, 100, radix=radix, rng=rng, dtype=np.float64).width == 1024


@pytest.mark.parametrize("radix", [2, 4, 8, 32])
@pytest.mark.parametrize("n_inputs", [1, 16, 64])
def test_a_hadamard_start_leaves_no_output_of_repeated_inputs_at_zero(n_inputs, radix):
    common = {"init": "hadamard", "dtype": np.float64}
    layer = LDL(n_inputs, 128, radix=radix, rng=np.random.default_rng(1), **common)
    matrix, _ = layer.to_dense()
    # a Walsh-Hadamard transform of the inputs, and others of the inputs with random signs
    first, *others = np.split(matrix, 128 // n_inputs, axis=1)
    transform = hadamard(n_inputs) / np.sqrt(n_inputs)
    np.testing.assert_allclose(first, transform, atol=1e-12)
    signs = [block / transform for block in others]
    for block in signs:
        np.testing.assert_allclose(np.abs(block), 1, atol=1e-12)
        np.testing.assert_allclose(block, np.repeat(block[:, :1], n_inputs, axis=1), atol=1e-12)
    assert {-1, 1} == {round(sign) for block in signs for sign in block[:, 0]}
    same = LDL(n_inputs, 128, rng=np.random.default_rng(1), **common).to_dense()[0]
    np.testing.assert_allclose(matrix, same, atol=1e-12)
    wide = kernels.ldl_dense(layer.parameters["weights"], layer.parameters["scale"])
    np.testing.assert_allclose(wide @ wide.T, np.eye(128), atol=1e-12)
    # inputs that are no power of two never meet themselves
    other = LDL(20, 64, radix=radix, rng=np.random.default_rng(1), **common).parameters["weights"]
    np.testing.assert_array_equal(other, kernels.ldl_init(64, radix=radix, init="hadamard", dtype=np.float64)[0])


@pytest.mark.parametrize("kind", ["ldl-repeat-2", "ldl-repeat-4", "rpp-full"])
@pytest.mark.parametrize("activation", ["relu", "identity", "tanh"])
def test_initial_layers_keep_the_scale_of_activations(kind, activation):
    rng = np.random.default_rng(4)
    # 8 layers: a factor of 0.7 each would leave a sixteenth
    width = 768 if kind.startswith("rpp") else 1024
    network = Network([layer_of(kind, width, width, rng, activation) for _ in range(8)], activation)
    outputs = network.empty_outputs(50)
    with network.threads():
        scores = network.forward(rng.normal(size=(50, width)), outputs, network.workspaces(fixed=True))
    # scores have a gain with no activation after it
    assert 0.5 < scores.std() / {"relu": np.sqrt(2), "identity": 1, "tanh": 5 / 3}[activation] < 2


def test_which_parameters_decay():
    rng = np.random.default_rng(0)
    network = Network([layer_of("ldl-pad-2", 4, 6, rng), layer_of("rpp-full", 6, 9, rng)], "relu")
    decayed = network.flat[: network.n_decayed]
    for layer in network.layers:
        for name, array in layer.parameters.items():
            assert np.shares_memory(decayed, array) == (name == "hidden")
    dense = Network([layer_of("dense", 4, 6, rng)], "relu")
    assert np.shares_memory(dense.flat[: dense.n_decayed], dense.layers[0].parameters["weights"])
    assert not np.shares_memory(dense.flat[: dense.n_decayed], dense.layers[0].parameters["bias"])


@pytest.mark.parametrize("kind", KINDS)
def test_all_parameters_are_parts_of_one_array(kind):
    rng = np.random.default_rng(0)
    network = Network([layer_of(kind, 5, 6, rng), Dense(6, 2, rng=rng, dtype=np.float64)], "relu")
    copy = pickle.loads(pickle.dumps(network))
    for net in (network, copy, copy_of(network)):
        assert sum(array.size for array in net.parameters()) == net.n_parameters
        assert all(np.shares_memory(net.flat, array) for array in net.parameters() if array.size)
        assert all(array.ctypes.data % 64 == 0 for array in net.parameters() if array.size)
    np.testing.assert_array_equal(network.flat, copy.flat)
    x = rng.normal(size=(3, 5))
    before = copy.scores(x)
    network.flat[:] = 0
    np.testing.assert_array_equal(network.scores(x), 0)
    np.testing.assert_array_equal(copy.scores(x), before)


def test_layers_must_fit_each_other():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="a layer of 5 inputs follows one of 4 outputs"):
        Network([Dense(3, 4, rng=rng, dtype=float), Dense(5, 2, rng=rng, dtype=float)], "relu")


def test_losses_match_their_definitions_and_survive_large_scores():
    scores = np.array([[1.0, 0.5], [-2.0, 3.0]])
    targets = np.array([[1.0, 0.0], [0.0, 1.0]])
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert Softmax().value_and_gradient(scores, targets)[0] == pytest.approx(
        -np.log(probabilities[[0, 1], [0, 1]]).mean()
    )
    np.testing.assert_allclose(Softmax().predict(scores), probabilities)
    p = 1 / (1 + np.exp(-scores))
    expected = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).sum(axis=1).mean()
    assert Logistic().value_and_gradient(scores, targets)[0] == pytest.approx(expected)
    assert SquaredError().value_and_gradient(scores, targets)[0] == pytest.approx(np.mean((scores - targets) ** 2) / 2)
    for loss in (Softmax(), Logistic()):
        value, gradient = loss.value_and_gradient(1e4 * scores, targets)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "loss", [SquaredError(), AbsoluteError(), Huber(0.7), Poisson(), Softmax(), Logistic()],
    ids=lambda loss: type(loss).__name__,
)  # fmt: skip
def test_gradients_of_losses_are_central_differences(loss, weighted):
    rng = np.random.default_rng(7)
    scores = rng.normal(size=(5, 3))
    targets = rng.poisson(2.0, size=(5, 3)).astype(float) if isinstance(loss, Poisson) else targets_of(loss, 3, 5, rng)
    weights = np.array([0.5, 0.0, 2.0, 1.0, 3.0]) if weighted else None
    _, gradient = loss.value_and_gradient(scores, targets, weights)
    for index in np.ndindex(scores.shape):
        shift = np.zeros_like(scores)
        shift[index] = 1e-6
        above, below = (loss.value_and_gradient(scores + sign * shift, targets, weights)[0] for sign in (1, -1))
        assert (above - below) / 2e-6 == pytest.approx(gradient[index], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("loss", [SquaredError(), AbsoluteError(), Huber(), Poisson(), Softmax(), Logistic()])
def test_weights_are_repetitions_and_totals_make_parts_add_up(loss):
    rng = np.random.default_rng(8)
    scores, targets = rng.normal(size=(4, 2)), np.eye(2)[[0, 1, 1, 0]]
    weights = np.array([1.0, 3.0, 0.0, 2.0])
    rows = np.repeat(np.arange(4), weights.astype(int))
    value, gradient = loss.value_and_gradient(scores, targets, weights)
    assert value == pytest.approx(loss.value_and_gradient(scores[rows], targets[rows])[0])
    np.testing.assert_allclose(gradient[2], 0)
    parts = [loss.value_and_gradient(scores[r], targets[r], weights[r], 6.0) for r in (slice(0, 1), slice(1, 4))]
    assert sum(part for part, _ in parts) == pytest.approx(value)
    np.testing.assert_allclose(np.vstack([part for _, part in parts]), gradient)
    nothing = loss.value_and_gradient(scores, targets, np.zeros(4))
    assert nothing[0] == 0
    np.testing.assert_array_equal(nothing[1], 0)


def test_robust_losses_match_their_definitions():
    scores, targets = np.array([[0.0], [0.5], [4.0]]), np.zeros((3, 1))
    assert AbsoluteError().value_and_gradient(scores, targets)[0] == pytest.approx(1.5)
    assert Huber(1.0).value_and_gradient(scores, targets)[0] == pytest.approx((0.125 + 3.5) / 3)
    deviance = Poisson().value_and_gradient(np.log(np.array([[1.0], [2.0], [3.0]])), np.array([[1.0], [0.0], [6.0]]))[0]
    assert deviance == pytest.approx(mean_poisson_deviance([1, 0, 6], [1, 2, 3]) / 2)


def test_schedules():
    constant, cosine, cycle = (Schedule(kind, 0.2, n_epochs=10) for kind in ("constant", "cosine", "onecycle"))
    assert [cosine.rate(), constant.rate(), cycle.rate()] == pytest.approx([0.2, 0.2, 0.2 / 25])
    rates = []
    for _ in range(10):
        rates.append(cycle.rate())
        for schedule in (constant, cosine, cycle):
            schedule.end_epoch(100)
    assert np.argmax(rates) == 3
    assert max(rates) == pytest.approx(0.2)
    assert [constant.rate(), cosine.rate(), cycle.rate()] == pytest.approx([0.2, 0.0, 0.2e-4], abs=1e-12)
    half = Schedule("cosine", 0.2, n_epochs=2)
    half.end_epoch(1)
    assert half.rate() == pytest.approx(0.1)
    assert half.rate(0.5) == pytest.approx(0.1 * (1 - np.sqrt(0.5)))
    scaling = Schedule("invscaling", 0.2, power_t=0.5)
    scaling.end_epoch(99)
    assert scaling.rate() == pytest.approx(0.02)
    adaptive = Schedule("adaptive", 1e-5)
    assert [adaptive.no_improvement(), adaptive.rate()] == [True, pytest.approx(2e-6)]
    assert [adaptive.no_improvement(), adaptive.no_improvement()] == [True, False]
    assert not constant.no_improvement()


def test_lbfgs_finds_the_minimum():
    rng = np.random.default_rng(9)
    X, targets = rng.normal(size=(1500, 4)), rng.normal(size=(1500, 2))
    weights = rng.uniform(0, 2, 1500)
    network = Network([Dense(4, 2, rng=rng, dtype=np.float64)], "identity")
    losses = []
    alpha = 3.0
    fit_lbfgs(network, SquaredError(), Data(X, targets, weights), alpha=alpha, tol=1e-9, callback=losses.append)
    assert losses == sorted(losses, reverse=True)
    ones = np.hstack([X, np.ones((1500, 1))])
    # the loss is averaged over two outputs
    gram = ones.T @ (ones * weights[:, np.newaxis]) / 2 + alpha * np.diag([1, 1, 1, 1, 0])
    expected = np.linalg.solve(gram, ones.T @ (targets * weights[:, np.newaxis]) / 2)
    np.testing.assert_allclose(network.layers[0].parameters["weights"], expected[:4].T, atol=1e-5)
    np.testing.assert_allclose(network.layers[0].parameters["bias"], expected[4], atol=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_with_dropout_are_central_differences(activation):
    rng = np.random.default_rng(10)
    network = Network([layer_of("rpp-full", 4, 9, rng), Dense(9, 2, rng=rng, dtype=np.float64)], activation)
    network.flat += 0.1
    x, targets = rng.normal(size=(6, 4)), rng.normal(size=(6, 2))
    drops = [np.uint64(5)], 0.5
    outputs, scratch = network.empty_outputs(6), network.empty_outputs(6)
    workspaces = network.workspaces(fixed=False)
    _, gradients = network.zero_gradients()
    loss = SquaredError()
    with network.threads():
        _, grad = loss.value_and_gradient(network.forward(x, outputs, workspaces, drops), targets)
        network.backward(grad, x, outputs, scratch, gradients, workspaces, drops)
        for array, part in zip(network.parameters(), [a for g in gradients for a in g.values()], strict=True):
            for index in np.ndindex(array.shape):
                before, values = array[index], []
                for sign in (1, -1):
                    array[index] = before + sign * 1e-6
                    values.append(loss.value_and_gradient(network.forward(x, outputs, workspaces, drops), targets)[0])
                array[index] = before
                assert (values[0] - values[1]) / 2e-6 == pytest.approx(part[index], rel=1e-5, abs=1e-8)


def test_dropout_keeps_the_mean_and_long_gradients_are_shortened():
    rng = np.random.default_rng(11)
    steps = []

    class Spy:
        def step(self, parameters, gradients, n_decayed, penalty, average, kernels):
            steps.append(gradients.copy())

    network = Network([Dense(3, 50, rng=rng, dtype=np.float64), Dense(50, 1, rng=rng, dtype=np.float64)], "identity")
    X, targets = rng.normal(size=(400, 3)), 100 + rng.normal(size=(400, 1))
    for options in ({}, {"max_norm": 0.5}, {"dropout": 0.5}):
        training = epochs(network, SquaredError(), Spy(), Data(X, targets), shuffle=False, rng=rng, **options)
        next(training)
    plain, short, dropped = steps[::2]
    assert np.linalg.norm(plain) > 0.5
    np.testing.assert_allclose(short, plain * 0.5 / np.linalg.norm(plain))
    # of the output bias the gradient is the mean error, and 100 dwarfs what dropout changes
    assert np.abs(dropped).max() == pytest.approx(np.abs(plain).max(), rel=0.3)
    assert not np.allclose(dropped, plain)


@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_sgd_follows_its_formula(penalty):
    for nesterov in (False, True):
        parameters, velocity = np.array([1.0, 2.0]), np.zeros(2)
        expected = parameters.copy()
        sgd = SGD(learning_rate=0.1, momentum=0.9, nesterov=nesterov)
        for gradient in (np.array([1.0, -1.0]), np.array([0.5, 2.0])):
            sgd.step(parameters, gradient, 1, penalty)
            gradient = gradient + penalty * np.array([expected[0], 0.0])  # the second does not decay
            velocity = 0.9 * velocity - 0.1 * gradient
            expected += 0.9 * velocity - 0.1 * gradient if nesterov else velocity
        np.testing.assert_allclose(parameters, expected)


@pytest.mark.parametrize(("penalty", "weight_decay"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.2)])
@pytest.mark.parametrize("size", [2, 40_000])
def test_adam_follows_its_formula(size, penalty, weight_decay):
    rng = np.random.default_rng(0)
    parameters, mean, square = rng.normal(size=size), np.zeros(size), np.zeros(size)
    expected, decays = parameters.copy(), np.arange(size) < size // 2
    adam = Adam(learning_rate=0.1, beta_1=0.9, beta_2=0.99, epsilon=0.0, weight_decay=weight_decay)
    for t in (1, 2):
        gradient = rng.normal(size=size)
        adam.step(parameters, gradient, size // 2, penalty)
        gradient += penalty * decays * expected
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        expected -= 0.1 * weight_decay * decays * expected
        expected -= 0.1 * (mean / (1 - 0.9**t)) / np.sqrt(square / (1 - 0.99**t))
    np.testing.assert_allclose(parameters, expected)


@pytest.mark.parametrize("optimizer", [SGD(learning_rate=np.float64(0.1)), Adam(learning_rate=np.float64(0.1))])
def test_optimizers_work_in_float32(optimizer):
    parameters = np.ones(3, np.float32)
    for _ in range(2):
        optimizer.step(parameters, np.ones(3, np.float32))
    assert parameters.dtype == np.float32
    assert np.all(parameters < 1)


def test_an_epoch_is_its_minibatches():
    rng = np.random.default_rng(5)
    X, targets = rng.normal(size=(10, 3)), rng.normal(size=(10, 2))
    make = lambda: Network([Dense(3, 2, rng=np.random.default_rng(0), dtype=np.float64)], "relu")  # noqa: E731
    trained, alpha, rate = make(), 0.3, 0.1
    sgd = SGD(learning_rate=rate, momentum=0.0, nesterov=False)
    data = Data(X, targets)
    loss = next(epochs(trained, SquaredError(), sgd, data, alpha=alpha, batch_size=4, shuffle=False, rng=rng))
    weights, bias = make().parameters()
    total = 0.0
    for rows in (slice(0, 4), slice(4, 8), slice(8, 10)):
        n = len(X[rows])
        error = X[rows] @ weights.T + bias - targets[rows]
        total += n * (0.5 * np.mean(error**2) + 0.5 * alpha / n * np.sum(weights**2))
        weights = weights - rate * (error.T @ X[rows] / error.size + alpha / n * weights)
        bias = bias - rate * error.sum(axis=0) / error.size
    assert loss == pytest.approx(total / 10)
    np.testing.assert_allclose(trained.parameters()[0], weights)
    np.testing.assert_allclose(trained.parameters()[1], bias)


def test_scores_do_not_depend_on_how_rows_are_cut():
    rng = np.random.default_rng(6)
    network = Network([layer_of("ldl-repeat-2", 20, 32, rng), Dense(32, 3, rng=rng, dtype=np.float64)], "tanh")
    X = rng.normal(size=(2500, 20))
    np.testing.assert_allclose(network.scores(X)[2040:2060], network.scores(X[2040:2060]), rtol=1e-12)
    assert network.scores(X[:0]).shape == (0, 3)


def test_blas_threads_are_limited_and_restored():
    def blas_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = blas_threads()
    with single_threaded_blas():
        assert set(blas_threads()) == {1}
    assert blas_threads() == before
    with pytest.raises(ZeroDivisionError), single_threaded_blas():
        1 / 0  # noqa: B018
    assert blas_threads() == before


THREADS = """
import threading
import numpy as np
from ldlrpp import LDLClassifier, RPPClassifier, kernels
from threadpoolctl import threadpool_info

X = np.random.default_rng(0).standard_normal((300, 20), dtype=np.float32)
y = X[:, 0] > 0
models = [model.partial_fit(X, y, classes=[False, True]) for model in (LDLClassifier((32,)), RPPClassifier((30,)))]
parameters = kernels.ldl_init(32)
before = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

def work(model):
    for _ in range(20):
        model.predict(X)
        model.partial_fit(X, y)
        kernels.ldl_forward(np.ones((100, 32), np.float32), *parameters)

threads = [threading.Thread(target=work, args=(models[i % 2],)) for i in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"] == before
print("done")
"""


@pytest.mark.parametrize("layer", ["workqueue", "default"])
def test_python_threads_take_turns(layer):
    # without the lock workqueue aborts the process, and the limits of BLAS are restored out of order
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer}
    done = subprocess.run(
        [sys.executable, "-c", THREADS], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.strip() == "done", done.stderr


@pytest.mark.parametrize("grad_scale", [1.0, 0.25])
def test_rpp_scales_the_gradient_of_its_hidden_matrix_alone(grad_scale):
    rng = np.random.default_rng(0)
    x, grad_y, grad_x = rng.normal(size=(7, 5)), rng.normal(size=(7, 6)), np.empty((7, 5))
    layer = RPP(5, 6, n_permutations=3, seed=5, grad_scale=grad_scale, rng=rng, dtype=np.float64)
    gradients = {name: np.empty_like(array) for name, array in layer.parameters.items()}
    layer.backward(grad_y, x, gradients, grad_x, Workspace(cpu, fixed=False))
    expected = kernels.rpp_backward(grad_y, x, layer.parameters["hidden"], 3, 5)
    np.testing.assert_array_equal(grad_x, expected[0])
    np.testing.assert_array_equal(gradients["hidden"], grad_scale * expected[1])
    np.testing.assert_allclose(gradients["bias"], expected[2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [0, 1, 15, 17])
@pytest.mark.parametrize("n", [1, 2, 7, 64, 65])
def test_rows_are_taken_and_widened(n, batch, dtype, threads):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, n)).astype(dtype)
    x.flags.writeable = False
    rows = rng.integers(40, size=batch)
    for width in (n, n + 1, 2 * n, 3 * n + 1):
        wide = np.full((batch, width), np.nan, dtype)
        take_rows(x, rows, True, wide)
        np.testing.assert_array_equal(wide, np.tile(x[rows], 4)[:, :width])
        take_rows(x, rows, False, wide)
        np.testing.assert_array_equal(wide, np.pad(x[rows], [(0, 0), (0, width - n)]))
