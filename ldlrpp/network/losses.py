"""Losses: what the last layer's scores mean, and their gradient.

Every loss has ``activation``, the name of the map from scores to predictions, ``predict(scores)``, which returns the
predictions, and ``value_and_gradient(scores, targets)``, the mean over the batch of the loss and its gradient with
respect to the scores. Scores and targets are (batch, n_outputs).
"""

import numpy as np
from scipy.special import expit, logsumexp, softmax


class SquaredError:
    """Half the squared error, averaged over outputs."""

    activation = "identity"

    def predict(self, scores):
        return scores

    def value_and_gradient(self, scores, targets):
        error = scores - targets
        value = 0.5 * np.mean(np.square(error, dtype=np.float64))
        error /= error.size
        return value, error


class Softmax:
    """Cross-entropy of classes that exclude each other; targets are one-hot."""

    activation = "softmax"

    def predict(self, scores):
        return softmax(scores, axis=1)

    def value_and_gradient(self, scores, targets):
        log_likelihood = np.sum(scores * targets, axis=1) - logsumexp(scores, axis=1)
        value = -np.mean(log_likelihood, dtype=np.float64)
        gradient = softmax(scores, axis=1)
        gradient -= targets
        gradient /= len(scores)
        return value, gradient


class Logistic:
    """Binary cross-entropy, summed over outputs; targets are 0 or 1."""

    activation = "logistic"

    def predict(self, scores):
        return expit(scores)

    def value_and_gradient(self, scores, targets):
        # −t·log p − (1−t)·log(1−p) = log(1 + e^z) − t·z
        losses = np.logaddexp(0, scores) - targets * scores
        value = np.sum(losses, dtype=np.float64) / len(scores)
        gradient = expit(scores)
        gradient -= targets
        gradient /= len(scores)
        return value, gradient
