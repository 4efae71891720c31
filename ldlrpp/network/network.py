"""A chain of layers with one activation between them."""

import copy
from itertools import pairwise

import numpy as np

from ldlrpp.kernels import cpu
from ldlrpp.kernels.cpu.threads import single_threaded_blas
from ldlrpp.network.activations import ACTIVATIONS
from ldlrpp.network.workspace import Workspace

# Rows of a chunk of more than a batch: enough to fill every thread, and as few as this many bytes hold.
_CHUNK_ROWS = 1024
_CHUNK_BYTES = 2**26


class Network:
    """Layers applied one after the other, ``activation`` after each but the last.

    All parameters are parts of one array, ``flat``: an optimiser takes a step, and a caller a copy of the whole
    network, in one pass. The first ``n_decayed`` entries are those that weight decay applies to. (Every array in it
    begins on a boundary of 64 bytes; entries between them are zeros and stay so.)

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
        self._join_parameters()

    def _join_parameters(self):
        dtype = next(iter(self.layers[0].parameters.values())).dtype
        step = cpu.memory.ALIGNMENT // dtype.itemsize
        self._starts = [{} for _ in self.layers]
        end = 0
        for decayed in (True, False):
            for layer, starts in zip(self.layers, self._starts, strict=True):
                for name, array in layer.parameters.items():
                    if (name in layer.decayed) == decayed:
                        starts[name] = end
                        end += -(-array.size // step) * step
            if decayed:
                self.n_decayed = end
        self.flat = cpu.memory.zeros(end, dtype)
        for layer, parts in zip(self.layers, self._parts(self.flat), strict=True):
            for name, part in parts.items():
                part[...] = layer.parameters[name]
                layer.parameters[name] = part

    def _parts(self, flat):
        """For every layer a dict of the parts of ``flat`` that belong to its parameters, laid out as they are."""
        for layer, starts in zip(self.layers, self._starts, strict=True):
            parts = {}
            for name, array in layer.parameters.items():
                part = flat[starts[name] : starts[name] + array.size]
                by_columns = array.flags.f_contiguous and not array.flags.c_contiguous
                parts[name] = part.reshape(array.shape[::-1]).T if by_columns else part.reshape(array.shape)
            yield parts

    def __copy__(self):
        # two networks cannot share layers whose parameters are parts of the array of one
        return copy.deepcopy(self)

    def __getstate__(self):
        # the layers' arrays would lose their place in the flat one
        return {"layers": self.layers, "activation": self.activation}

    def __setstate__(self, state):
        self.layers, self.activation = state["layers"], state["activation"]
        self._join_parameters()

    @property
    def dtype(self):
        return self.flat.dtype

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

    def threads(self):
        """Context for `forward`, `backward` and an optimiser's step: kernels and BLAS take turns with one pool."""
        return single_threaded_blas()

    def workspaces(self, *, fixed):
        """A `Workspace` for every layer; ``fixed`` says that parameters stay as they are."""
        return [Workspace(fixed=fixed) for _ in self.layers]

    def empty_outputs(self, batch):
        """Arrays for the outputs of all layers, (batch, n_outputs) each."""
        return [cpu.memory.empty((batch, layer.n_outputs), self.dtype) for layer in self.layers]

    def zero_gradients(self):
        """A flat array for the gradients of all parameters, and its parts: for every layer a dict by name."""
        flat = cpu.memory.zeros(self.flat.shape, self.dtype)
        return flat, list(self._parts(flat))

    def forward(self, x, outputs, workspaces, masks=None):
        """Scores (batch, n_outputs) of ``x`` (batch, n_inputs); every layer's output is left in ``outputs``.

        ``masks``, factors of the hidden outputs, are dropout's. With fewer ``outputs`` than layers the last of them is
        what is returned.
        """
        activate, _ = ACTIVATIONS[self.activation]
        for i, (layer, out) in enumerate(zip(self.layers, outputs, strict=False)):
            is_hidden = layer is not self.layers[-1]
            layer.forward(x, out, workspaces[i], relu=is_hidden and self.activation == "relu")
            if is_hidden:
                activate(out)
            if is_hidden and masks is not None:
                out *= masks[i]
            x = out
        return x

    def backward(self, grad_scores, x, outputs, grad_outputs, gradients, workspaces, masks=None):
        """Overwrite ``gradients`` with those of all parameters, from the gradient of the scores.

        ``x``, ``outputs``, ``workspaces`` and ``masks`` are those of the `forward` before; ``grad_outputs`` is scratch
        of the shapes of ``outputs``.
        """
        _, differentiate = ACTIVATIONS[self.activation]
        grad = grad_scores
        for i in range(len(self.layers) - 1, 0, -1):
            self.layers[i].backward(grad, outputs[i - 1], gradients[i], grad_outputs[i - 1], workspaces[i])
            grad = grad_outputs[i - 1]
            # forward: activate(outputs[i − 1]), then times the mask
            if masks is None:
                differentiate(grad, outputs[i - 1])
            else:
                mask = masks[i - 1]
                grad *= mask
                differentiate(grad, np.divide(outputs[i - 1], mask, out=np.zeros_like(grad), where=mask > 0))
        self.layers[0].backward(grad, x, gradients[0], None, workspaces[0])

    def scores(self, X):
        """Scores (n_samples, n_outputs) of the rows of ``X`` (n_samples, n_inputs), an array or a sparse CSR array."""
        return self._outputs(X, len(self.layers))

    def hidden(self, X):
        """Outputs (n_samples, width) of the last hidden layer, after its activation; ``X`` as for `scores`."""
        return self._outputs(X, len(self.layers) - 1)

    def chunk_rows(self, *, backward):
        """Rows that are taken at a time where there may be many: what they need, with ``backward`` too, is bounded."""
        widths = [layer.n_outputs for layer in self.layers]
        kept = 2 * sum(widths) if backward else 2 * max(widths)
        scratch = sum(layer.n_scratch + backward * layer.input_width for layer in self.layers)
        numbers = self.layers[0].n_inputs + kept + scratch
        return max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // (numbers * self.dtype.itemsize)))

    def _outputs(self, X, n_layers):
        """What the first layers make of the rows of ``X``."""
        widths = [layer.n_outputs for layer in self.layers[:n_layers]]
        if not widths:
            return np.array(dense_rows(X))
        result = np.empty((X.shape[0], widths[-1]), self.dtype)
        rows = self.chunk_rows(backward=False)
        workspaces = self.workspaces(fixed=True)
        # outputs of layers take turns in two arrays; the last layer writes where the result is wanted
        turns = [cpu.memory.empty(min(rows, X.shape[0]) * max(widths), self.dtype) for _ in range(2)]
        for start in range(0, X.shape[0], rows):
            x = dense_rows(X[start : start + rows])
            outputs = [turns[i % 2][: len(x) * width].reshape(len(x), width) for i, width in enumerate(widths[:-1])]
            outputs.append(result[start : start + rows])
            with self.threads():
                self.forward(x, outputs, workspaces)
            del x  # before the next chunk of a sparse matrix is made dense
        return result


def dense_rows(x):
    """Some rows of data as an array."""
    return x if isinstance(x, np.ndarray) else x.toarray()
