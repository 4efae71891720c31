"""Members: networks that share all of their weights but factors of the inputs and the last layer.

A prototype of what Gorishniy et al. (2024) call TabM-mini, on layers of `ldlrpp.network`; `experiments.py` measures it.
"""

import numpy as np

from ldlrpp.network import LDL, Dense, Network
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
    """Mean of the members' losses, mean of their predictions."""

    def __init__(self, loss, n_members):
        self.loss, self.n_members, self.activation = loss, n_members, loss.activation

    def predict(self, scores, kernels=None):
        return self.loss.predict(self._rows(scores)).reshape(len(scores), self.n_members, -1).mean(axis=1)

    def value_and_gradient(self, scores, targets, weights=None, total=None, kernels=None):
        targets = targets.repeat(self.n_members, axis=0)
        value, gradient = self.loss.value_and_gradient(self._rows(scores), targets)
        return value, gradient.reshape(scores.shape)

    def _rows(self, scores):
        return scores.reshape(len(scores) * self.n_members, -1)


class Members(Rebuilt):
    """Networks that share all but factors of the inputs and the last layer."""

    n_members, trainable = 8, True

    def _rebuilt(self, first, *others):
        *hidden, head = others
        self._loss = MeanLoss(self._loss, self.n_members)
        shared = [Shared(layer, self.n_members) for layer in hidden]
        return [SharedFirst(first, self.n_members, self.trainable, self._rng), *shared, Heads(self._heads(head))]

    def _heads(self, head):
        sizes = head.n_inputs, head.n_outputs
        return [Dense(*sizes, rng=self._rng, dtype=self.network_.dtype) for _ in range(self.n_members)]


# --- Members that take turns: one learns from a row, all predict -----------------------------------------------------


class Turns:
    """Which member a row is for: in training one at random, as often as any other; in a prediction ``member``."""

    def __init__(self, n_members, rng):
        self.n_members, self.rng, self.member = n_members, rng, 0

    def draw(self, n_rows, training):
        self.members = np.full(n_rows, self.member)
        if training:
            self.members = self.rng.permutation(np.arange(n_rows) % self.n_members)

    def rows(self):
        """The rows of every member."""
        return [np.flatnonzero(self.members == member) for member in range(self.n_members)]


class TurnsFirst(LDL):
    """``layer``, inputs times ±1, others for every member."""

    def __init__(self, layer, turns):
        vars(self).update(vars(layer))
        self.turns = turns
        self.factors = turns.rng.choice(
            np.array([-1, 1], self.parameters["scale"].dtype), (turns.n_members, self.n_inputs)
        )

    @property
    def input_width(self):
        return self.n_inputs

    def forward(self, x, out, workspace, relu=False):
        self.turns.draw(len(x), not workspace.fixed)
        factored = workspace.empty("factored", x.shape, x.dtype)
        np.multiply(x, self.factors[self.turns.members], out=factored)
        super().forward(factored, out, workspace, relu)

    def backward(self, grad_y, x, gradients, grad_x, workspace):
        super().backward(grad_y, workspace.empty("factored", x.shape, x.dtype), gradients, grad_x, workspace)


class TurnsHeads(Heads):
    """A dense layer for every member, each for its own rows."""

    def __init__(self, layers, turns):
        super().__init__(layers)
        self.n_inputs, self.n_outputs, self.turns = layers[0].n_inputs, layers[0].n_outputs, turns

    def forward(self, x, out, workspace, relu=False):
        for rows, weights, bias in zip(self.turns.rows(), *self.parameters.values(), strict=True):
            out[rows] = x[rows] @ weights.T + bias

    def backward(self, grad_y, x, gradients, grad_x, workspace):
        weights = self.parameters["weights"]
        for rows, w, grad_w, grad_b in zip(self.turns.rows(), weights, *gradients.values(), strict=True):
            grad = grad_y[rows]
            grad_w[...] = grad.T @ x[rows]
            grad_b[...] = grad.sum(axis=0)
            grad_x[rows] = grad @ w


class TurnsNetwork(Network):
    """Scores of all members, side by side."""

    def scores(self, X):
        turns, scores = self.layers[0].turns, []
        for member in range(turns.n_members):
            turns.member = member
            scores.append(super().scores(X))
        return np.hstack(scores)


class TurnsLoss(MeanLoss):
    """The loss of the members whose turn it is, mean of all members' predictions."""

    def value_and_gradient(self, scores, targets, weights=None, total=None, kernels=None):
        return self.loss.value_and_gradient(scores, targets, weights)


class TakingTurns(Members):
    """`Members`, one of which learns from a row of a batch: training costs what it costs for one network."""

    def _make_network(self, X, n_outputs, described):
        super()._make_network(X, n_outputs, described)
        self.network_ = TurnsNetwork(self.network_.layers, self.activation)

    def _rebuilt(self, first, *others):
        *hidden, head = others
        turns = Turns(self.n_members, self._rng)
        self._loss = TurnsLoss(self._loss, self.n_members)
        return [TurnsFirst(first, turns), *hidden, TurnsHeads(self._heads(head), turns)]
