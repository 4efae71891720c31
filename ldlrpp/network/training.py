"""Training: epochs of minibatches, and L-BFGS on all rows at once."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import issparse

from ldlrpp.network.network import dense_rows
from ldlrpp.network.optimizers import Average


@dataclass
class Data:
    """What a network is trained on: arrays of NumPy, or of the kernels that the network has.

    Attributes
    ----------
    X : array or sparse CSR array of shape (n_samples, n_inputs)
        Inputs, of the dtype of the network.
    targets : array of shape (n_samples, n_outputs)
        Targets, as the loss takes them.
    weights : array of shape (n_samples,) or None
        Weights of the samples in the loss; None for ones.
    """

    X: object
    targets: object
    weights: object = None

    def __len__(self):
        return self.X.shape[0]

    def on(self, kernels):
        """The same where these kernels work; sparse inputs stay where they are until they are made dense."""
        put = kernels.memory.put
        weights = None if self.weights is None else put(self.weights)
        return Data(self.X if issparse(self.X) else put(self.X), put(self.targets), weights)

    def rows(self, rows, kernels, x=None, repeated=False):
        """Inputs, as an array, targets and weights of some rows: a slice, or an array of these kernels.

        Inputs that are copied are written to ``x``, which may be wider: they are repeated, or zeros stand behind them.
        """
        if issparse(self.X):
            x = dense_rows(self.X[rows if isinstance(rows, slice) else kernels.memory.get(rows)], kernels)
        elif x is None:
            x = self.X[rows]
        else:
            kernels.elementwise.take_rows(self.X, rows, repeated, x)
        return x, self.targets[rows], None if self.weights is None else self.weights[rows]


def epochs(
    network, loss, optimizer, data, *, schedule=None, average=None, alpha=0.0, dropout=0.0, max_norm=None,
    batch_size=200, shuffle=True, rng,
):  # fmt: skip
    """Train a network, an epoch for every value that is asked of the generator.

    The caller decides when to stop and what to do between epochs, when the parameters are their average.

    Parameters
    ----------
    network : Network
        Its parameters are changed in place.
    loss : loss
        See `ldlrpp.network.losses`.
    optimizer : optimizer
        See `ldlrpp.network.optimizers`.
    data : Data
        What it is trained on.
    schedule : Schedule, default=None
        Sets the optimiser's learning rate before every step.
    average : Average, default=None
        The average of the parameters that the steps lead to; None for those that the last one led to.
    alpha : float, default=0.0
        Strength of the L2 penalty ``alpha / 2 · Σ w²`` per batch, divided by its size (or the sum of its weights), on
        the parameters that decay.
    dropout : float, default=0.0
        Probability that an output of a hidden layer is dropped, the others being divided by 1 − dropout.
    max_norm : float, default=None
        Gradients of a larger Euclidean norm are shortened to it.
    batch_size : int, default=200
        Rows of a minibatch.
    shuffle : bool, default=True
        Whether every epoch takes the rows in a new order.
    rng : numpy.random.Generator
        Source of the order, and of what is dropped.

    Yields
    ------
    loss : float
        Mean over the epoch of the loss, penalty included, each batch before its step.
    """
    n_samples, alpha, kernels = len(data), float(alpha), network.kernels
    data = data.on(kernels)
    # the sum of a batch's weights is a number that nothing must wait for
    host_weights = None if data.weights is None else kernels.memory.get(data.weights)
    average = Average(0.0) if average is None else average
    flat, gradients = network.zero_gradients()
    workspaces = network.workspaces(fixed=False)
    batch_size = min(batch_size, n_samples)
    first = network.layers[0]
    # sparse rows are made dense in memory of their own
    wide = 0 if issparse(data.X) else first.input_width
    inputs = kernels.memory.empty((batch_size, wide), network.dtype)
    all_outputs, all_grad_outputs = network.empty_outputs(batch_size), network.empty_outputs(batch_size)

    def step(rows, total, progress):
        batch = len(rows)
        # the last batch may be a smaller one
        outputs, grad_outputs = ([array[:batch] for array in arrays] for arrays in (all_outputs, all_grad_outputs))
        masks = _masks(outputs[:-1], dropout, rng, kernels) if dropout else None
        penalty, squares = alpha / total if total else 0.0, 0.0
        with network.threads():
            x, targets, weights = data.rows(rows, kernels, inputs[:batch], first.repeats)
            scores = network.forward(x, outputs, workspaces, masks)
            value, grad_scores = loss.value_and_gradient(scores, targets, weights, total, kernels)
            network.backward(grad_scores, x, outputs, grad_outputs, gradients, workspaces, masks)
            if penalty:
                squares = kernels.elementwise.square_sum(network.flat[: network.n_decayed])
            if max_norm is not None:
                norm = float(np.sqrt(flat.dtype.type(float(kernels.elementwise.square_sum(flat)))))
                if norm > max_norm:
                    flat[:] *= flat.dtype.type(max_norm / norm)
            if schedule is not None:
                optimizer.learning_rate = schedule.rate(progress)
            optimizer.step(network.flat, flat, network.n_decayed, penalty, average, kernels)
        # before this nothing waits for the kernels
        return (float(value) + 0.5 * penalty * float(squares)) * batch

    while True:
        order = rng.permutation(n_samples) if shuffle else np.arange(n_samples)
        rows = kernels.memory.put(order)
        starts = range(0, n_samples, batch_size)
        with average.steps(network.flat, len(starts), kernels):
            total = 0.0
            for start in starts:
                part = slice(start, min(start + batch_size, n_samples))
                size = part.stop - start if host_weights is None else float(host_weights[order[part]].sum(dtype=float))
                total += step(rows[part], size, start / n_samples)
        if schedule is not None:
            schedule.end_epoch(n_samples)
        yield total / n_samples


def _masks(outputs, dropout, rng, kernels):
    keep = 1 - dropout
    masks = [(rng.random(out.shape, np.float32) < keep) * out.dtype.type(1 / keep) for out in outputs]
    return [kernels.memory.put(mask) for mask in masks]


def fit_lbfgs(network, loss, data, *, alpha=0.0, max_iter=200, max_fun=15000, tol=1e-4, callback=None):
    """Minimise the loss of all rows by L-BFGS; parameters are changed in place.

    Parameters
    ----------
    network, loss, data, alpha
        As in `epochs`, the penalty being that of one batch of all rows.
    max_iter, max_fun : int
        Iterations, and evaluations of the loss, at most.
    tol : float, default=1e-4
        Largest entry of the gradient at which it ends.
    callback : callable, default=None
        Called with the loss after every iteration; it may raise StopIteration.

    Returns
    -------
    result : scipy.optimize.OptimizeResult
        What SciPy's 'L-BFGS-B' returns.
    """
    kernels, data = network.kernels, data.on(network.kernels)
    flat, gradients = network.zero_gradients()
    size = len(data) if data.weights is None else float(data.weights.sum())
    chunk = min(network.chunk_rows(backward=True), len(data))
    workspaces = network.workspaces(fixed=False)
    all_outputs, all_grad_outputs = network.empty_outputs(chunk), network.empty_outputs(chunk)

    def set_parameters(parameters):
        network.flat[:] = kernels.memory.put(parameters.astype(network.dtype))

    def value_and_gradient(parameters):
        set_parameters(parameters)
        value, gradient = 0.0, np.zeros(len(flat))
        for start in range(0, len(data), chunk):
            x, targets, weights = data.rows(slice(start, start + chunk), kernels)
            outputs, grad_outputs = (
                [array[: len(x)] for array in arrays] for arrays in (all_outputs, all_grad_outputs)
            )
            with network.threads():
                scores = network.forward(x, outputs, workspaces)
                part, grad_scores = loss.value_and_gradient(scores, targets, weights, size, kernels)
                network.backward(grad_scores, x, outputs, grad_outputs, gradients, workspaces)
            value += float(part)
            gradient += kernels.memory.get(flat)
        decayed = parameters[: network.n_decayed]
        if alpha and size:
            value += 0.5 * alpha / size * float(decayed @ decayed)
            gradient[: network.n_decayed] += alpha / size * decayed
        return value, gradient

    def after(intermediate_result):
        set_parameters(intermediate_result.x)
        callback(float(intermediate_result.fun))

    result = minimize(
        value_and_gradient, kernels.memory.get(network.flat).astype(np.float64), method="L-BFGS-B", jac=True,
        callback=None if callback is None else after,
        options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
    )  # fmt: skip
    set_parameters(result.x)
    return result
