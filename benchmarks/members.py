"""Members: networks that share all of their weights but factors of the inputs and the last layer.

A prototype of what Gorishniy et al. (2024) call TabM-mini, on layers of `ldlrpp.network`; `experiments.py` measures it.
"""

import numpy as np

from ldlrpp.network import Dense, Network
from ldlrpp.network.layers import _Layer


class Rebuilt:
    """A network whose layers are changed before its first step."""

    def _make_network(self, X, n_outputs, described):
        super()._make_network(X, n_outputs, described)
        self.network_ = Network(self._rebuilt(*self.network_.layers), self.activation)
        self.n_parameters_ = self.network_.n_parameters


class Shared(_Layer):
    """``layer`` for every member: rows of the batch are (member 0, member 1, ...)."""

    def __init__(self, layer, n_members):
        self.layer, self.parameters, self.decayed = layer, layer.parameters, layer.decayed
        self.n_inputs, self.n_outputs = n_members * layer.n_inputs, n_members * layer.n_outputs
        self.n_scratch = n_members * layer.n_scratch

    def _rows(self, x, width):
        return None if x is None else x.reshape(-1, width)

    def forward(self, x, out, workspace, relu=False):
        rows = self._rows(x, self.layer.n_inputs)
        self.layer.forward(rows, self._rows(out, self.layer.n_outputs), workspace, relu)

    def backward(self, grad_y, x, gradients, grad_x, workspace):
        n, m = self.layer.n_inputs, self.layer.n_outputs
        self.layer.backward(self._rows(grad_y, m), self._rows(x, n), gradients, self._rows(grad_x, n), workspace)


class SharedFirst(Shared):
    """`Shared`, every member's inputs times factors of its own, at first ±1."""

    def __init__(self, layer, n_members, trainable, rng):
        super().__init__(layer, n_members)
        self.n_inputs, self.trainable = layer.n_inputs, trainable
        self.names = tuple(layer.parameters)
        factors = rng.choice(np.array([-1, 1], layer.parameters["scale"].dtype), (n_members, layer.n_inputs))
        self.parameters = {**layer.parameters, "factors": factors}

    def forward(self, x, out, workspace, relu=False):
        self.layer.parameters = {name: self.parameters[name] for name in self.names}
        factors = self.parameters["factors"]
        wide = workspace.empty("members", (len(x), *factors.shape), x.dtype)
        np.multiply(x[:, np.newaxis], factors, out=wide)
        super().forward(wide, out, workspace, relu)

    def backward(self, grad_y, x, gradients, grad_x, workspace):
        shape = len(x), *self.parameters["factors"].shape
        grad = workspace.empty("of members", shape, x.dtype) if self.trainable else None
        own = {name: gradients[name] for name in self.names}
        super().backward(grad_y, workspace.empty("members", shape, x.dtype), own, grad, workspace)
        if self.trainable:
            np.einsum("bmi,bi->mi", grad, x, out=gradients["factors"])


class Heads(_Layer):
    """A dense layer for every member."""

    decayed = ("weights",)

    def __init__(self, layers):
        self.n_inputs, self.n_outputs = (len(layers) * n for n in (layers[0].n_inputs, layers[0].n_outputs))
        self.parameters = {
            name: np.stack([layer.parameters[name] for layer in layers]) for name in layers[0].parameters
        }

    def _by_member(self, x):
        return x.reshape(len(x), len(self.parameters["bias"]), -1).transpose(1, 0, 2)

    def forward(self, x, out, workspace, relu=False):
        weights, bias = self.parameters.values()
        self._by_member(out)[...] = self._by_member(x) @ weights.transpose(0, 2, 1) + bias[:, np.newaxis]

    def backward(self, grad_y, x, gradients, grad_x, workspace):
        grad = self._by_member(grad_y)
        np.matmul(grad.transpose(0, 2, 1), self._by_member(x), out=gradients["weights"])
        np.sum(grad, axis=1, out=gradients["bias"])
        self._by_member(grad_x)[...] = grad @ self.parameters["weights"]


class MeanLoss:
    """Mean of the members' losses, mean of their predictions.

    Only ``n_learning`` members, others for every row and batch, learn from a row.
    """

    def __init__(self, loss, n_members, n_learning, rng):
        self.loss, self.n_members, self.activation = loss, n_members, loss.activation
        self.n_learning, self.rng = n_learning, rng

    def predict(self, scores):
        rows = scores.reshape(len(scores) * self.n_members, -1)
        return self.loss.predict(rows).reshape(len(scores), self.n_members, -1).mean(axis=1)

    def value_and_gradient(self, scores, targets, weights=None):
        rows = scores.reshape(len(scores) * self.n_members, -1)
        learning = np.arange(self.n_members) < self.n_learning
        weights = self.rng.permuted(np.tile(learning, (len(scores), 1)), axis=1).ravel().astype(scores.dtype)
        value, gradient = self.loss.value_and_gradient(rows, targets.repeat(self.n_members, axis=0), weights)
        return value, gradient.reshape(scores.shape)


class Members(Rebuilt):
    """Networks that share all but factors of the inputs and the last layer (Gorishniy et al., 2024: TabM)."""

    n_members, n_learning, trainable = 8, None, True

    def _rebuilt(self, first, *others):
        n_learning = self.n_learning or self.n_members
        self._loss = MeanLoss(self._loss, self.n_members, n_learning, np.random.default_rng(self.random_state))
        *hidden, head = others
        heads = [Dense(head.n_inputs, head.n_outputs, rng=self._rng, dtype=head.parameters["bias"].dtype)
                 for _ in range(self.n_members)]  # fmt: skip
        shared = [Shared(layer, self.n_members) for layer in hidden]
        return [SharedFirst(first, self.n_members, self.trainable, self._rng), *shared, Heads(heads)]
