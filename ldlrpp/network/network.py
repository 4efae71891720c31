"""A chain of layers with one activation between them."""

import copy
import itertools

from ldlrpp.kernels import backend
from ldlrpp.network import rows as rows_of_data
from ldlrpp.network.activations import activate, differentiate
from ldlrpp.network.workspace import Workspace

# Of the memory that is free, what training leaves for what is not counted.
_RESERVE = 0.1


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
        for before, after in itertools.pairwise(layers):
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
        # kernels check nothing: arrays of other shapes would have them read what is not theirs
        try:
            for layer in state["layers"]:
                layer.check()
        except (AttributeError, KeyError, TypeError, ZeroDivisionError) as error:
            raise ValueError(f"a layer that was loaded is none: {error}") from error
        self.__init__(state["layers"], state["activation"])

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

    def forward(self, x, outputs, workspaces, drops=None):
        """Scores (batch, n_outputs) of ``x`` (batch, n_inputs); every layer's output is left in ``outputs``.

        ``drops`` are dropout's: a seed for every hidden layer, and the probability. With fewer ``outputs`` than layers
        the last of them is what is returned.
        """
        for i, (layer, out) in enumerate(zip(self.layers, outputs, strict=False)):
            is_hidden = layer is not self.layers[-1]
            layer.forward(x, out, workspaces[i], relu=is_hidden and self.activation == "relu")
            if is_hidden:
                activate(self.activation, out, self.kernels)
            if is_hidden and drops is not None:
                seeds, rate = drops
                self.kernels.elementwise.drop(out, seeds[i], rate)
            x = out
        return x

    def backward(self, grad_scores, x, outputs, grad_outputs, gradients, workspaces, drops=None):
        """Overwrite ``gradients`` with those of all parameters, from the gradient of the scores.

        ``x``, ``outputs``, ``workspaces`` and ``drops`` are those of the `forward` before; ``grad_outputs`` is scratch
        of the shapes of ``outputs``, which are of no more use after it.
        """
        grad = grad_scores
        for i in range(len(self.layers) - 1, 0, -1):
            self.layers[i].backward(grad, outputs[i - 1], gradients[i], grad_outputs[i - 1], workspaces[i])
            grad = grad_outputs[i - 1]
            # forward: activate(outputs[i − 1]), then drop some of it
            if drops is not None:
                seeds, rate = drops
                self.kernels.elementwise.drop_backward(grad, outputs[i - 1], seeds[i - 1], rate)
            differentiate(self.activation, grad, outputs[i - 1], self.kernels)
        self.layers[0].backward(grad, x, gradients[0], None, workspaces[0])

    def scores(self, X):
        """Scores (n_samples, n_outputs) of the rows of ``X`` (n_samples, n_inputs), an array or a sparse CSR array.

        They are where ``X`` is: arrays of NumPy of one, or of a sparse array, of the network's kernels otherwise.
        """
        return self._outputs(X, len(self.layers))

    def hidden(self, X):
        """Outputs (n_samples, width) of the last hidden layer, after its activation; ``X`` as for `scores`."""
        return self._outputs(X, len(self.layers) - 1)

    def chunk_rows(self, *, backward):
        """Rows that are taken at a time where there may be many: what they need, with ``backward`` too, is bounded."""
        memory = self.kernels.memory
        n_bytes = self._n_numbers(backward=backward) * self.dtype.itemsize
        return max(1, min(memory.CHUNK_ROWS, memory.CHUNK_BYTES // n_bytes))

    def _n_numbers(self, *, backward):
        """Numbers that a row needs."""
        widths = [layer.n_outputs for layer in self.layers]
        kept = 2 * sum(widths) if backward else 2 * max(widths)
        scratch = sum(layer.n_scratch + backward * layer.input_width for layer in self.layers)
        return self.layers[0].n_inputs + kept + scratch

    def training_bytes(self, batch_size):
        """What training takes of memory beside data: gradients, an optimiser's state, averages, batches."""
        numbers = 6 * self.flat.size + batch_size * self._n_numbers(backward=True)
        kept = sum(layer.n_kept + layer.scratch_bytes(batch_size, self.kernels) for layer in self.layers)
        return numbers * self.dtype.itemsize + kept

    def data_budget(self, batch_size):
        """Bytes of memory that training in batches of this size leaves for data; MemoryError if there are none.

        They are nine tenths of what is free beside it.
        """
        free, needed = self.kernels.memory.free_bytes(), self.training_bytes(batch_size)
        left = (1 - _RESERVE) * free - needed
        if left < 0:
            raise MemoryError(
                f"training in batches of {batch_size} rows takes some {needed / 1e9:.2g} GB of memory, and "
                f"{free / 1e9:.2g} GB are free: a smaller batch_size or narrower layers take less"
            )
        return left

    def _outputs(self, X, n_layers):
        """What the first layers make of the rows of ``X``."""
        widths = [layer.n_outputs for layer in self.layers[:n_layers]]
        memory, first = self.kernels.memory, self.layers[0]
        if not widths:
            return X.toarray() if hasattr(X, "toarray") else X.copy()
        there = rows_of_data.is_there(X, self.kernels)
        rows = self.chunk_rows(backward=False)
        feed = rows_of_data.feed(X, self.kernels, first.input_width, first.repeats)
        workspaces = self.workspaces(fixed=True)
        at_most = min(rows, X.shape[0])
        result = (memory if there else backend.cpu.memory).empty((X.shape[0], widths[-1]), self.dtype)
        # outputs of layers take turns in two arrays; the last layer writes where the result is wanted
        turns = [memory.empty(at_most * max(widths), self.dtype) for _ in range(2)]
        last = None if there else memory.empty((at_most, widths[-1]), self.dtype)
        parts = [slice(start, min(start + rows, X.shape[0])) for start in range(0, X.shape[0], rows)]
        for part, following in itertools.pairwise([None, *parts, None]):
            if part is not None:
                batch = part.stop - part.start
                outputs = [turns[i % 2][: batch * width].reshape(batch, width) for i, width in enumerate(widths[:-1])]
                outputs.append(result[part] if there else last[:batch])
                with self.threads():
                    self.forward(feed.take(part), outputs, workspaces)
            if following is not None:
                feed.send(following)
            if part is not None and not there:
                result[part] = memory.get(outputs[-1])
        return result
