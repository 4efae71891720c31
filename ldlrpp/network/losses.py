"""Losses: what the last layer's scores mean, and their gradient.

Every loss has

``activation``
    The name of the map from scores to predictions.
``predict(scores)``
    The predictions.
``value_and_gradient(scores, targets, weights=None, total=None)``
    The weighted mean of the loss over the rows and its gradient with respect to the scores. ``weights`` (batch,) are
    ones where None; sums are divided by ``total``, the sum of the weights where None, which may be that of a larger
    batch.

Scores and targets are (batch, n_outputs).
"""

import numpy as np
from scipy.special import expit, xlogy


def _mean(losses, gradient, weights, total):
    """Weighted mean of losses (batch,), and the gradients of all rows (batch, n_outputs), changed in place."""
    if weights is not None:
        losses = losses * weights
        gradient *= weights[:, np.newaxis]
        total = weights.sum(dtype=np.float64) if total is None else total
    elif total is None:
        total = len(losses)
    if total == 0:
        return 0.0, np.zeros_like(gradient)
    gradient /= gradient.dtype.type(total)
    return float(losses.sum(dtype=np.float64) / total), gradient


class SquaredError:
    """Half the squared error, averaged over outputs."""

    activation = "identity"

    def predict(self, scores):
        return scores

    def value_and_gradient(self, scores, targets, weights=None, total=None):
        error = scores - targets
        losses = 0.5 * np.mean(np.square(error, dtype=np.float64), axis=1)
        error /= error.shape[1]
        return _mean(losses, error, weights, total)


class AbsoluteError(SquaredError):
    """The absolute error, averaged over outputs: predictions are medians."""

    def value_and_gradient(self, scores, targets, weights=None, total=None):
        error = scores - targets
        losses = np.mean(np.abs(error), axis=1, dtype=np.float64)
        return _mean(losses, np.sign(error) / error.dtype.type(error.shape[1]), weights, total)


class Huber(SquaredError):
    """Half the squared error up to ``delta``, and beyond the straight line that goes on; averaged over outputs."""

    def __init__(self, delta=1.0):
        self.delta = float(delta)

    def value_and_gradient(self, scores, targets, weights=None, total=None):
        error = scores - targets
        inner = np.clip(error, -self.delta, self.delta)
        # inner · (error − inner / 2) is error² / 2 inside and delta · (|error| − delta / 2) outside
        losses = np.mean(inner * (error - 0.5 * inner), axis=1, dtype=np.float64)
        inner /= inner.shape[1]
        return _mean(losses, inner, weights, total)


class Poisson:
    """Half the Poisson deviance, averaged over outputs; scores are logarithms of the predictions."""

    activation = "exp"

    def predict(self, scores):
        return np.exp(scores)

    def value_and_gradient(self, scores, targets, weights=None, total=None):
        predictions = np.exp(scores)
        deviances = xlogy(targets, targets) - targets * scores - targets + predictions
        losses = np.mean(deviances, axis=1, dtype=np.float64)
        predictions -= targets
        predictions /= predictions.shape[1]
        return _mean(losses, predictions, weights, total)


class Softmax:
    """Cross-entropy of classes that exclude each other; targets are one-hot."""

    activation = "softmax"

    def predict(self, scores):
        predictions = np.exp(scores - scores.max(axis=1, keepdims=True))
        predictions /= predictions.sum(axis=1, keepdims=True)
        return predictions

    def value_and_gradient(self, scores, targets, weights=None, total=None):
        shifted = scores - scores.max(axis=1, keepdims=True)
        gradient = np.exp(shifted)
        sums = gradient.sum(axis=1, keepdims=True)
        losses = np.log(sums[:, 0]) - np.einsum("ij,ij->i", shifted, targets)
        gradient /= sums
        gradient -= targets
        return _mean(losses, gradient, weights, total)


class Logistic:
    """Binary cross-entropy, summed over outputs; targets are 0 or 1."""

    activation = "logistic"

    def predict(self, scores):
        return expit(scores)

    def value_and_gradient(self, scores, targets, weights=None, total=None):
        # −t·log p − (1−t)·log(1−p) = log(1 + e^z) − t·z
        losses = np.sum(np.logaddexp(0, scores) - targets * scores, axis=1, dtype=np.float64)
        gradient = expit(scores)
        gradient -= targets
        return _mean(losses, gradient, weights, total)
