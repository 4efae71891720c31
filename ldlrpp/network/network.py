"""A chain of layers with one activation between them."""

import copy
from itertools import pairwise

from scipy.sparse import issparse

from ldlrpp.kernels import backend
from ldlrpp.network.activations import activate, differentiate
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
    kernels : module, default=ldlrpp.kernels.cpu
        The backend, see `ldlrpp.kernels.backend`: it works on the arrays, and owns the memory that they are in. Pickles
        hold NumPy arrays, and come back on the CPU.
    """

    def __init__(self, layers, activation, kernels=backend.cpu):
        for before, after in pairwise(layers):
            if before.n_outputs != after.n_inputs:
                raise ValueError(f"a layer of {after.n_inputs} inputs follows one of {before.n_outputs} outputs")
        self._fill(layers, activation, kernels)

    def _fill(self, layers, activation, kernels):
        self.layers, self.activation, self.kernels = layers, activation, kernels
        for layer in layers:
            layer.change_arrays(kernels.memory.put)
        self._join_parameters()

    def _join_parameters(self):
        dtype = next(iter(self.layers[0].parameters.values())).dtype
        # of every backend the same: what an optimiser keeps is laid out like the parameters, and may go on elsewhere
        step = backend.cpu.memory.ALIGNMENT // dtype.itemsize
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
        self.flat = self.kernels.memory.zeros(end, dtype)
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

    def __deepcopy__(self, memo):
        other = object.__new__(type(self))
        other._fill(copy.deepcopy(self.layers, memo), self.activation, self.kernels)
        return other

    def __getstate__(self):
        # the layers' arrays would lose their place in the flat one
        return {"layers": self._layers_of_numpy(), "activation": self.activation}

    def __setstate__(self, state):
        self._fill(state["layers"], state["activation"], backend.cpu)

    def on(self, kernels):
        """A copy whose arrays are where other kernels work."""
        other = object.__new__(type(self))
        other._fill(self._layers_of_numpy(), self.activation, kernels)
        return other

    def _layers_of_numpy(self):
        """The layers, with NumPy arrays."""
        layers = [copy.copy(layer) for layer in self.layers]
        for layer in layers:
            layer.parameters = dict(layer.parameters)
            layer.change_arrays(self.kernels.memory.get)
        return layers

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
        return self.kernels.threads.single_threaded_blas()

    def workspaces(self, *, fixed):
        """A `Workspace` for every layer; ``fixed`` says that parameters stay as they are."""
        return [Workspace(self.kernels, fixed=fixed) for _ in self.layers]

    def empty_outputs(self, batch):
        """Arrays for the outputs of all layers, (batch, n_outputs) each."""
        return [self.kernels.memory.empty((batch, layer.n_outputs), self.dtype) for layer in self.layers]

    def zero_gradients(self):
        """A flat array for the gradients of all parameters, and its parts: for every layer a dict by name."""
        flat = self.kernels.memory.zeros(self.flat.shape, self.dtype)
        return flat, list(self._parts(flat))

    def forward(self, x, outputs, workspaces, masks=None):
        """Scores (batch, n_outputs) of ``x`` (batch, n_inputs); every layer's output is left in ``outputs``.

        ``masks``, factors of the hidden outputs, are dropout's. With fewer ``outputs`` than layers the last of them is
        what is returned.
        """
        for i, (layer, out) in enumerate(zip(self.layers, outputs, strict=False)):
            is_hidden = layer is not self.layers[-1]
            layer.forward(x, out, workspaces[i], relu=is_hidden and self.activation == "relu")
            if is_hidden:
                activate(self.activation, out, self.kernels)
            if is_hidden and masks is not None:
                self.kernels.elementwise.drop(out, masks[i])
            x = out
        return x

    def backward(self, grad_scores, x, outputs, grad_outputs, gradients, workspaces, masks=None):
        """Overwrite ``gradients`` with those of all parameters, from the gradient of the scores.

        ``x``, ``outputs``, ``workspaces`` and ``masks`` are those of the `forward` before; ``grad_outputs`` is scratch
        of the shapes of ``outputs``, which are of no more use after it.
        """
        grad = grad_scores
        for i in range(len(self.layers) - 1, 0, -1):
            self.layers[i].backward(grad, outputs[i - 1], gradients[i], grad_outputs[i - 1], workspaces[i])
            grad = grad_outputs[i - 1]
            # forward: activate(outputs[i − 1]), then times the mask
            if masks is not None:
                self.kernels.elementwise.drop_backward(grad, outputs[i - 1], masks[i - 1])
            differentiate(self.activation, grad, outputs[i - 1], self.kernels)
        self.layers[0].backward(grad, x, gradients[0], None, workspaces[0])

    def scores(self, X):
        """Scores (n_samples, n_outputs) of the rows of ``X`` (n_samples, n_inputs), an array or a sparse CSR array.

        What comes is an array of the network's kernels, what it is of may be an array of theirs or of NumPy.
        """
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
            return dense_rows(X, self.kernels).copy()
        memory = self.kernels.memory
        result = memory.empty((X.shape[0], widths[-1]), self.dtype)
        rows = self.chunk_rows(backward=False)
        workspaces = self.workspaces(fixed=True)
        # outputs of layers take turns in two arrays; the last layer writes where the result is wanted
        turns = [memory.empty(min(rows, X.shape[0]) * max(widths), self.dtype) for _ in range(2)]
        for start in range(0, X.shape[0], rows):
            x = dense_rows(X[start : start + rows], self.kernels)
            outputs = [turns[i % 2][: len(x) * width].reshape(len(x), width) for i, width in enumerate(widths[:-1])]
            outputs.append(result[start : start + rows])
            with self.threads():
                self.forward(x, outputs, workspaces)
            del x  # before the next chunk of a sparse matrix is made dense
        return result


def dense_rows(x, kernels):
    """Some rows of data as an array of these kernels."""
    return kernels.memory.put(x.toarray() if issparse(x) else x)
