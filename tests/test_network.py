"""Networks against central differences, losses against their definitions, optimisers against their formulas."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
import reference
from threadpoolctl import threadpool_info

from ldlrpp import kernels
from ldlrpp.kernels.threads import single_threaded_blas
from ldlrpp.network import LDL, RPP, SGD, Adam, Dense, Logistic, Network, Softmax, SquaredError, epochs
from ldlrpp.network.activations import ACTIVATIONS


def layer_of(kind, n_inputs, n_outputs, rng, activation="tanh"):
    common = {"rng": rng, "dtype": np.float64}
    if kind == "dense":
        return Dense(n_inputs, n_outputs, **common)
    common["activation"] = activation
    if kind.startswith("ldl"):
        return LDL(n_inputs, n_outputs, expansion=kind.split("-")[1], **common)
    return RPP(n_inputs, n_outputs, n_permutations=3, seed=5, bias=kind.split("-")[1], **common)


KINDS = ["dense", "ldl-repeat", "ldl-pad", "rpp-full", "rpp-shared", "rpp-none"]


# Inputs and outputs of a layer: both cut from the butterfly's width, one of them, none
SIZES = [(6, 9), (8, 6), (6, 15), (3, 9), (1, 3)]
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
    widths = [5, 6, 8, 8] if kind.startswith("ldl") else [5, 6, 9]
    hidden = [layer_of(kind, n, w, rng, activation) for n, w in itertools.pairwise(widths)]
    network = Network([*hidden, Dense(widths[-1], 3, rng=rng, dtype=np.float64)], activation)
    for parameter in network.parameters():
        parameter += 0.1 * rng.normal(size=parameter.shape)  # biases off zero, so that no relu sits on its corner
    x = rng.normal(size=(7, 5))
    targets = targets_of(loss, 3, 7, rng)
    outputs, grad_outputs = network.empty_outputs(7), network.empty_outputs(7)
    gradients = network.empty_gradients()

    def value():
        return loss.value_and_gradient(network.forward(x, outputs), targets)[0]

    with network.threads():
        for _ in range(2):  # gradients are overwritten, not added to
            _, grad_scores = loss.value_and_gradient(network.forward(x, outputs), targets)
            network.backward(grad_scores, x, outputs, grad_outputs, gradients)
        flat = [array for layer in gradients for array in layer.values()]
        for parameter, gradient in zip(network.parameters(), flat, strict=True):
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
    copies = x.copy(), grad_y.copy()
    with single_threaded_blas():
        layer.backward(grad_y, x, gradients, grad_x)
        layer.forward(np.zeros_like(x), out)
        constant = out.copy()
        layer.forward(x, out)
    # out − constant is linear in x
    assert np.vdot(grad_y, out - constant) == pytest.approx(np.vdot(grad_x, x), rel=1e-10)
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(grad_y, copies[1])


def test_ldl_layer_repeats_or_pads_its_input_and_cuts_its_output():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 3))
    for expansion, wide in (("repeat", np.hstack([x, x, x[:, :2]])), ("pad", np.hstack([x, np.zeros((2, 5))]))):
        layer = LDL(3, 6, expansion=expansion, rng=rng, dtype=np.float64)
        out = np.empty((2, 6))
        layer.forward(x, out)
        np.testing.assert_allclose(out, reference.ldl_forward(wide, *layer.parameters.values())[:, :6], rtol=1e-12)
    assert LDL(1, 1, rng=rng, dtype=np.float64).width == 1
    assert LDL(1024, 100, rng=rng, dtype=np.float64).width == 1024


@pytest.mark.parametrize("kind", ["ldl-repeat", "rpp-full"])
@pytest.mark.parametrize("activation", ["relu", "identity", "tanh"])
def test_initial_layers_keep_the_scale_of_activations(kind, activation):
    rng = np.random.default_rng(4)
    # 8 layers: a factor of 0.7 each would leave a sixteenth
    width = 768 if kind.startswith("rpp") else 1024
    network = Network([layer_of(kind, width, width, rng, activation) for _ in range(8)], activation)
    outputs = network.empty_outputs(50)
    with network.threads():
        scores = network.forward(rng.normal(size=(50, width)), outputs)
    # scores have a gain with no activation after it
    assert 0.5 < scores.std() / {"relu": np.sqrt(2), "identity": 1, "tanh": 5 / 3}[activation] < 2


def test_which_parameters_decay():
    rng = np.random.default_rng(0)
    assert Network([layer_of("ldl-pad", 4, 6, rng), layer_of("rpp-full", 6, 9, rng)], "relu").decays() == [
        False, False, False, True, False,
    ]  # fmt: skip
    assert Network([layer_of("dense", 4, 6, rng)], "relu").decays() == [True, False]


def test_rpp_width_must_be_a_multiple_of_the_permutations():
    with pytest.raises(ValueError, match="n_permutations must divide the width 10, got 3"):
        RPP(4, 10, n_permutations=3, seed=0, rng=np.random.default_rng(0), dtype=np.float64)


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


def test_sgd_follows_its_formula():
    for nesterov in (False, True):
        parameter, velocity = np.array([1.0, 2.0]), np.zeros(2)
        expected = parameter.copy()
        sgd = SGD(learning_rate=0.1, momentum=0.9, nesterov=nesterov)
        for gradient in (np.array([1.0, -1.0]), np.array([0.5, 2.0])):
            sgd.step([parameter], [gradient])
            velocity = 0.9 * velocity - 0.1 * gradient
            expected += 0.9 * velocity - 0.1 * gradient if nesterov else velocity
        np.testing.assert_allclose(parameter, expected)


@pytest.mark.parametrize("optimizer", [SGD(learning_rate=np.float64(0.1)), Adam(learning_rate=np.float64(0.1))])
def test_optimizers_compute_in_the_dtype_of_the_parameters(optimizer):
    class Float32Only(np.ndarray):
        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            arrays = [np.asarray(a) if isinstance(a, np.ndarray) else a for a in inputs]
            out = tuple(np.asarray(a) for a in kwargs.pop("out", ()))
            result = getattr(ufunc, method)(*arrays, **kwargs, **({"out": out} if out else {}))
            assert result.dtype == np.float32
            return result.view(Float32Only)

    parameter, gradient = np.ones(3, np.float32).view(Float32Only), np.ones(3, np.float32).view(Float32Only)
    for _ in range(2):
        optimizer.step([parameter], [gradient])
    assert np.all(np.asarray(parameter) < 1)


def test_adam_follows_its_formula():
    parameter, mean, square = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2)
    expected = parameter.copy()
    adam = Adam(learning_rate=0.1, beta_1=0.9, beta_2=0.99, epsilon=0.0)
    for t, gradient in enumerate((np.array([1.0, -1.0]), np.array([0.5, 2.0])), start=1):
        adam.step([parameter], [gradient])
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        expected -= 0.1 * (mean / (1 - 0.9**t)) / np.sqrt(square / (1 - 0.99**t))
    np.testing.assert_allclose(parameter, expected)


def test_an_epoch_is_its_minibatches():
    rng = np.random.default_rng(5)
    X, targets = rng.normal(size=(10, 3)), rng.normal(size=(10, 2))
    make = lambda: Network([Dense(3, 2, rng=np.random.default_rng(0), dtype=np.float64)], "relu")  # noqa: E731
    trained, alpha, rate = make(), 0.3, 0.1
    sgd = SGD(learning_rate=rate, momentum=0.0, nesterov=False)
    loss = next(epochs(trained, SquaredError(), sgd, X, targets, alpha=alpha, batch_size=4, shuffle=False, rng=rng))
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
    network = Network([layer_of("ldl-repeat", 20, 32, rng), Dense(32, 3, rng=rng, dtype=np.float64)], "tanh")
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
    layer.backward(grad_y, x, gradients, grad_x)
    expected = kernels.rpp_backward(grad_y, x, layer.parameters["hidden"], 3, 5)
    np.testing.assert_array_equal(grad_x, expected[0])
    np.testing.assert_array_equal(gradients["hidden"], grad_scale * expected[1])
    np.testing.assert_allclose(gradients["bias"], expected[2])
