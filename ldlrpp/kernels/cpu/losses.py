"""Losses on the CPU: the mean over the rows of a batch, its gradient, and what scores predict.

A loss is called as ``(scores, targets, weights, total, gradient)``: scores and targets (batch, n_outputs), weights
(batch,) of the rows, none for ones. It returns the weighted sum of the rows' losses over ``total``, a number or what
`float` makes one of, and overwrites ``gradient`` (batch, n_outputs) with its gradient.
"""

import numpy as np
from scipy.special import expit, xlogy


def _mean(losses, weights, total, gradient):
    """The weighted mean of losses (batch,); ``gradient``, those of all rows, becomes that of the mean."""
    if len(weights):
        losses = losses * weights
        gradient *= weights[:, np.newaxis]
    gradient /= gradient.dtype.type(total)
    return float(losses.sum(dtype=np.float64) / total)


def squared_error(scores, targets, weights, total, gradient):
    """Half the squared error, averaged over outputs."""
    error = np.subtract(scores, targets, out=gradient)
    losses = 0.5 * np.mean(np.square(error, dtype=np.float64), axis=1)
    gradient /= gradient.shape[1]
    return _mean(losses, weights, total, gradient)


def absolute_error(scores, targets, weights, total, gradient):
    """The absolute error, averaged over outputs."""
    error = np.subtract(scores, targets, out=gradient)
    losses = np.mean(np.abs(error), axis=1, dtype=np.float64)
    np.sign(error, out=gradient)
    gradient /= gradient.shape[1]
    return _mean(losses, weights, total, gradient)


def huber(scores, targets, delta, weights, total, gradient):
    """Half the squared error up to ``delta``, and beyond the straight line that goes on; averaged over outputs."""
    error = scores - targets
    inner = np.clip(error, -delta, delta, out=gradient)
    # inner · (error − inner / 2) is error² / 2 inside and delta · (|error| − delta / 2) outside
    losses = np.mean(inner * (error - 0.5 * inner), axis=1, dtype=np.float64)
    gradient /= gradient.shape[1]
    return _mean(losses, weights, total, gradient)


def poisson(scores, targets, weights, total, gradient):
    """Half the Poisson deviance, averaged over outputs; scores are logarithms of the predictions."""
    predictions = np.exp(scores, out=gradient)
    deviances = xlogy(targets, targets) - targets * scores - targets + predictions
    losses = np.mean(deviances, axis=1, dtype=np.float64)
    gradient -= targets
    gradient /= gradient.shape[1]
    return _mean(losses, weights, total, gradient)


def softmax(scores, targets, weights, total, gradient):
    """Cross-entropy of classes that exclude each other; targets are one-hot, or shares of the classes."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    np.exp(shifted, out=gradient)
    sums = gradient.sum(axis=1, keepdims=True)
    losses = np.log(sums[:, 0]) - np.einsum("ij,ij->i", shifted, targets)
    gradient /= sums
    gradient -= targets
    return _mean(losses, weights, total, gradient)


def logistic(scores, targets, weights, total, gradient):
    """Binary cross-entropy, summed over outputs; targets are 0 or 1, or between them."""
    # −t·log p − (1−t)·log(1−p) = log(1 + e^z) − t·z
    losses = np.sum(np.logaddexp(0, scores) - targets * scores, axis=1, dtype=np.float64)
    expit(scores, out=gradient)
    gradient -= targets
    return _mean(losses, weights, total, gradient)


def accumulate(total, value, squares, half_penalty, n):
    """``total + (value + half_penalty · squares) · n``, the loss of an epoch so far; ``total`` is of no use after it.

    ``value`` is what a loss has returned, ``squares`` an `elementwise.square_sum`, not read without a penalty.
    """
    loss = float(value)
    if half_penalty:
        loss += half_penalty * float(squares)
    return total + loss * n


def poisson_predictions(scores, out):
    """``out = exp(scores)``; both (batch, n_outputs), as below."""
    np.exp(scores, out=out)


def softmax_predictions(scores, out):
    """Probabilities of classes that exclude each other."""
    np.exp(scores - scores.max(axis=1, keepdims=True), out=out)
    out /= out.sum(axis=1, keepdims=True)


def logistic_predictions(scores, out):
    """Probabilities of classes that do not."""
    expit(scores, out=out)
