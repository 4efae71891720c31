"""Losses on the CPU, and on a GPU in Numba's simulator, against their definitions in plain NumPy."""

import ml_dtypes
import numpy as np
import pytest
import reference

from ldlrpp.kernels import cpu, cuda
from ldlrpp.kernels.cuda import sums

NAMES = ["squared_error", "absolute_error", "huber", "poisson", "softmax", "logistic"]
# rows that share a block, that have one, and that have more outputs than threads
SHAPES = [
    (1, 1, np.float32), (2, 2, np.float64), (17, 3, np.float32), (33, 1, np.float32), (2, 16, np.float32),
    (2, 37, np.float64),
]  # fmt: skip
HALVES = [(3, 5, np.float16), (3, 5, ml_dtypes.bfloat16)]
ON_BOTH = [(cpu.losses, *shape) for shape in SHAPES] + [(cuda.losses, *shape) for shape in SHAPES + HALVES]
TOLERANCES = {"float64": 1e-12, "float32": 2e-5, "float16": 1e-2, "bfloat16": 5e-2}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks where there would be one, in a fraction of the simulator's time."""
    for module in (cuda.losses, sums):
        monkeypatch.setattr(module, "_THREADS", 16)


def arrays(name, batch, n, dtype):
    rng = np.random.default_rng([batch, n])
    scores = rng.normal(size=(batch, n)).astype(np.float32).astype(dtype)
    if name == "softmax":
        targets = np.eye(n)[rng.integers(n, size=batch)]
    elif name == "logistic":
        targets = rng.integers(2, size=(batch, n))
    else:
        targets = rng.poisson(1.0, size=(batch, n))
    return scores, targets.astype(dtype)


def called(losses, name, scores, targets, weights, total):
    gradient = np.full(scores.shape, np.nan, scores.dtype)
    options = (0.7,) if name == "huber" else ()
    value = getattr(losses, name)(scores, targets, *options, weights, total, gradient)
    return float(value), gradient


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("losses", "batch", "n", "dtype"), ON_BOTH)
@pytest.mark.parametrize("name", NAMES)
def test_losses_and_their_gradients(name, losses, batch, n, dtype, weighted):
    scores, targets = arrays(name, batch, n, dtype)
    weights = np.arange(batch, dtype=np.float32) if weighted else np.empty(0, np.float32)
    factors, total = weights.astype(np.float64) if weighted else np.ones(batch), 3.5
    value, gradient = called(losses, name, scores, targets, weights, total)
    rows, slopes = reference.loss(name, scores.astype(np.float64), targets.astype(np.float64), 0.7)
    tolerance = TOLERANCES[np.dtype(dtype).name]
    assert value == pytest.approx(factors @ rows / total, rel=tolerance)
    expected = factors[:, np.newaxis] * slopes / total
    np.testing.assert_allclose(gradient.astype(np.float64), expected, rtol=tolerance, atol=tolerance / total)


def test_a_block_as_it_is_on_a_gpu(monkeypatch):
    for module in (cuda.losses, sums):
        monkeypatch.setattr(module, "_THREADS", 256)
    test_losses_and_their_gradients("softmax", cuda.losses, 1, 257, np.float32, False)


@pytest.mark.parametrize("losses", [cpu.losses, cuda.losses])
@pytest.mark.parametrize("name", NAMES)
def test_no_rows_have_no_loss(name, losses):
    scores = np.empty((0, 3), np.float32)
    assert called(losses, name, scores, scores, np.empty(0, np.float32), 2.0)[0] == 0


@pytest.mark.parametrize("name", ["softmax", "logistic"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("losses", [cpu.losses, cuda.losses])
def test_large_scores(losses, name, dtype):
    scores = np.array([[1e4, 0.0, -1e4], [-1e4, 1e4, 1e4]], dtype)
    targets = np.array([[0, 1, 0], [0, 0, 1]], dtype)
    value, gradient = called(losses, name, scores, targets, np.empty(0, dtype), 2.0)
    # what is wrong costs what it is wrong by: 10,000 of one output, or none
    assert value == pytest.approx({"softmax": 5000 + np.log(2) / 2, "logistic": (1e4 + np.log(2) + 1e4) / 2}[name])
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(("losses", "batch", "n", "dtype"), [(cuda.losses, 0, 2, np.float32), *ON_BOTH])
def test_predictions(losses, batch, n, dtype):
    scores = arrays("softmax", batch, n, dtype)[0]
    exact, tolerance = scores.astype(np.float64), TOLERANCES[np.dtype(dtype).name]
    expected = {"poisson": np.exp, "softmax": reference.softmax, "logistic": reference.logistic}
    for name, function in expected.items():
        out = np.full_like(scores, np.nan)
        getattr(losses, f"{name}_predictions")(scores, out)
        np.testing.assert_allclose(out.astype(np.float64), function(exact), rtol=tolerance)


@pytest.mark.parametrize("losses", [cpu.losses, cuda.losses])
def test_losses_of_batches_are_added_up(losses):
    total = np.zeros(())
    for value, squares, half_penalty, n in ((1.5, np.nan, 0.0, 200), (0.25, 3.0, 0.125, 7), (0.5, 1.0, 0.5, 1)):
        total = losses.accumulate(total, np.array(value), np.array(squares), half_penalty, n)
    assert float(total) == 1.5 * 200 + (0.25 + 0.125 * 3.0) * 7 + 1.0
