"""A chain of layers with one activation between them."""

from contextlib import nullcontext
from itertools import pairwise

import numpy as np

from ldlrpp.kernels.threads import single_threaded_blas
from ldlrpp.network.activations import ACTIVATIONS
from ldlrpp.network.layers import Dense

# Rows that are scored at a time: enough to fill every thread, few enough for the activations to stay small.
_SCORE_ROWS = 1024


class Network:
    """Layers applied one after the other, ``activation`` after each but the last.

    Parameters
    ----------
    layers : list of layers
        See `ldlrpp.network.layers`; the outputs of each are the inputs of the next.
    activation : {'identity', 'relu', 'tanh', 'logistic'}
        Activation of the hidden layers.
    """

    def __init__(self, layers, activation):
        for before, after in pairwise(layers):
            if before.n_outputs != after.n_inputs:
                raise ValueError(f"a layer of {after.n_inputs} inputs follows one of {before.n_outputs} outputs")
        self.layers = layers
        self.activation = activation

    @property
    def n_parameters(self):
        return sum(layer.n_parameters for layer in self.layers)

    @property
    def n_parameters_dense(self):
        """Number of parameters of the network of the same widths with dense layers only."""
        return sum((layer.n_inputs + 1) * layer.n_outputs for layer in self.layers)

    def parameters(self):
        """All parameter arrays, layer by layer."""
        return [array for layer in self.layers for array in layer.parameters.values()]

    def decays(self):
        """Whether weight decay applies, for every array of `parameters`."""
        return [name in layer.decayed for layer in self.layers for name in layer.parameters]

    def threads(self):
        """Context for `forward` and `backward` of a batch: `single_threaded_blas` if any layer has kernels of ours."""
        return nullcontext() if all(isinstance(layer, Dense) for layer in self.layers) else single_threaded_blas()

    def empty_outputs(self, batch):
        """Arrays for the outputs of all layers, (batch, n_outputs) each."""
        dtype = self.parameters()[0].dtype
        return [np.empty((batch, layer.n_outputs), dtype) for layer in self.layers]

    def empty_gradients(self):
        """Arrays for the gradients of all parameters: for every layer a dict like its ``parameters``."""
        return [{name: np.empty_like(array) for name, array in layer.parameters.items()} for layer in self.layers]

    def forward(self, x, outputs):
        """Scores (batch, n_outputs) of ``x`` (batch, n_inputs); every layer's output is left in ``outputs``."""
        activate, _ = ACTIVATIONS[self.activation]
        for layer, out in zip(self.layers, outputs, strict=True):
            layer.forward(x, out)
            if layer is not self.layers[-1]:
                activate(out)
            x = out
        return x

    def backward(self, grad_scores, x, outputs, grad_outputs, gradients):
        """Overwrite ``gradients`` with those of all parameters, from the gradient of the scores.

        ``x`` and ``outputs`` are those of the `forward` before; ``grad_outputs`` is scratch of the same shapes.
        """
        _, differentiate = ACTIVATIONS[self.activation]
        grad = grad_scores
        for i in range(len(self.layers) - 1, 0, -1):
            self.layers[i].backward(grad, outputs[i - 1], gradients[i], grad_outputs[i - 1])
            grad = grad_outputs[i - 1]
            # forward: activate(outputs[i − 1])
            differentiate(grad, outputs[i - 1])
        self.layers[0].backward(grad, x, gradients[0], None)

    def scores(self, X):
        """Scores (n_samples, n_outputs) of the rows of ``X`` (n_samples, n_inputs)."""
        scores = np.empty((len(X), self.layers[-1].n_outputs), self.parameters()[0].dtype)
        outputs = []
        for start in range(0, len(X), _SCORE_ROWS):
            x = X[start : start + _SCORE_ROWS]
            if not outputs or len(outputs[0]) != len(x):
                outputs = self.empty_outputs(len(x))
            with self.threads():
                scores[start : start + _SCORE_ROWS] = self.forward(x, outputs)
        return scores
