"""Losses: what the last layer's scores mean, and their gradient.

Every loss has

``activation``
    The name of the map from scores to predictions.
``predict(scores, kernels)``
    The predictions.
``value_and_gradient(scores, targets, weights=None, total=None, kernels)``
    The weighted mean of the loss over the rows and its gradient with respect to the scores. ``weights`` (batch,) are
    ones where None; sums are divided by ``total``, the sum of the weights where None, which may be that of a larger
    batch. The first is a number, or what `float` makes one of, waiting for the kernels.

Scores and targets are (batch, n_outputs), arrays of the backend ``kernels`` (`ldlrpp.kernels.backend`), by default of
that for the CPU.
"""

from ldlrpp.kernels import backend


class _Loss:
    # what it is called among a backend's losses, and what it is called with beside scores and targets
    _kernel, _options = None, ()

    def predict(self, scores, kernels=backend.cpu):
        out = kernels.memory.empty(scores.shape, scores.dtype)
        getattr(kernels.losses, f"{self._kernel}_predictions")(scores, out)
        return out

    def value_and_gradient(self, scores, targets, weights=None, total=None, kernels=backend.cpu):
        if weights is None:
            weights = scores[:0, 0]
            total = len(scores) if total is None else total
        elif total is None:
            total = float(weights.sum(dtype="float64"))
        if total == 0:
            return tuple(kernels.memory.zeros(*like) for like in (((), "float64"), (scores.shape, scores.dtype)))
        gradient = kernels.memory.empty(scores.shape, scores.dtype)
        value = getattr(kernels.losses, self._kernel)(scores, targets, *self._options, weights, total, gradient)
        return value, gradient


class SquaredError(_Loss):
    """Half the squared error, averaged over outputs."""

    activation, _kernel = "identity", "squared_error"

    def predict(self, scores, kernels=backend.cpu):
        return scores


class AbsoluteError(SquaredError):
    """The absolute error, averaged over outputs: predictions are medians."""

    _kernel = "absolute_error"


class Huber(SquaredError):
    """Half the squared error up to ``delta``, and beyond the straight line that goes on; averaged over outputs."""

    _kernel = "huber"

    def __init__(self, delta=1.0):
        self.delta = float(delta)

    @property
    def _options(self):
        return (self.delta,)


class Poisson(_Loss):
    """Half the Poisson deviance, averaged over outputs; scores are logarithms of the predictions."""

    activation, _kernel = "exp", "poisson"


class Softmax(_Loss):
    """Cross-entropy of classes that exclude each other; targets are one-hot."""

    activation, _kernel = "softmax", "softmax"


class Logistic(_Loss):
    """Binary cross-entropy, summed over outputs; targets are 0 or 1."""

    activation, _kernel = "logistic", "logistic"
