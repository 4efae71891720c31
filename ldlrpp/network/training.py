"""Training: epochs of minibatches, and L-BFGS on all rows at once."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from ldlrpp.kernels import cpu
from ldlrpp.kernels.cpu.elementwise import take_rows
from ldlrpp.network.network import dense_rows
from ldlrpp.network.optimizers import Average


@dataclass
class Data:
    """What a network is trained on.

    Attributes
    ----------
    X : ndarray or sparse CSR array of shape (n_samples, n_inputs)
        Inputs, of the dtype of the network.
    targets : ndarray of shape (n_samples, n_outputs)
        Targets, as the loss takes them.
    weights : ndarray of shape (n_samples,) or None
        Weights of the samples in the loss; None for ones.
    """

    X: object
    targets: np.ndarray
    weights: np.ndarray | None = None

    def __len__(self):
        return self.X.shape[0]

    def rows(self, rows, x=None, repeated=False):
        """Inputs, as an array, targets and weights of some rows.

        Inputs that are copied are written to ``x``, which may be wider: they are repeated, or zeros stand behind them.
        """
        if x is None or not isinstance(self.X, np.ndarray):
            x = dense_rows(self.X[rows])
        else:
            take_rows(self.X, rows, repeated, x)
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
    n_samples, alpha = len(data), float(alpha)
    average = Average(0.0) if average is None else average
    flat, gradients = network.zero_gradients()
    workspaces = network.workspaces(fixed=False)
    batch_size = min(batch_size, n_samples)
    first = network.layers[0]
    # sparse rows are made dense in memory of their own
    wide = first.input_width if isinstance(data.X, np.ndarray) else 0
    inputs = cpu.memory.empty((batch_size, wide), network.dtype)
    all_outputs, all_grad_outputs = network.empty_outputs(batch_size), network.empty_outputs(batch_size)

    def step(rows, progress):
        batch = len(rows)
        # the last batch may be a smaller one
        outputs, grad_outputs = ([array[:batch] for array in arrays] for arrays in (all_outputs, all_grad_outputs))
        masks = _masks(outputs[:-1], dropout, rng) if dropout else None
        with network.threads():
            x, targets, weights = data.rows(rows, inputs[:batch], first.repeats)
            scores = network.forward(x, outputs, workspaces, masks)
            value, grad_scores = loss.value_and_gradient(scores, targets, weights)
            network.backward(grad_scores, x, outputs, grad_outputs, gradients, workspaces, masks)
            size = batch if weights is None else float(weights.sum())
            penalty = alpha / size if size else 0.0
            if penalty:
                decayed = network.flat[: network.n_decayed]
                value += 0.5 * penalty * float(np.dot(decayed, decayed))
            if max_norm is not None:
                norm = float(np.linalg.norm(flat))
                if norm > max_norm:
                    flat[:] *= flat.dtype.type(max_norm / norm)
            if schedule is not None:
                optimizer.learning_rate = schedule.rate(progress)
            optimizer.step(network.flat, flat, network.n_decayed, penalty, average)
        return value * batch

    while True:
        order = rng.permutation(n_samples) if shuffle else np.arange(n_samples)
        starts = range(0, n_samples, batch_size)
        with average.steps(network.flat, len(starts)):
            total = 0.0
            for start in starts:
                total += step(order[start : start + batch_size], start / n_samples)
        if schedule is not None:
            schedule.end_epoch(n_samples)
        yield total / n_samples


def _masks(outputs, dropout, rng):
    keep = 1 - dropout
    return [(rng.random(out.shape, np.float32) < keep) * out.dtype.type(1 / keep) for out in outputs]


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
    flat, gradients = network.zero_gradients()
    size = len(data) if data.weights is None else float(data.weights.sum())
    chunk = min(network.chunk_rows(backward=True), len(data))
    workspaces = network.workspaces(fixed=False)
    all_outputs, all_grad_outputs = network.empty_outputs(chunk), network.empty_outputs(chunk)

    def value_and_gradient(parameters):
        network.flat[:] = parameters
        value, gradient = 0.0, np.zeros(len(flat))
        for start in range(0, len(data), chunk):
            x, targets, weights = data.rows(slice(start, start + chunk))
            outputs, grad_outputs = (
                [array[: len(x)] for array in arrays] for arrays in (all_outputs, all_grad_outputs)
            )
            with network.threads():
                scores = network.forward(x, outputs, workspaces)
                part, grad_scores = loss.value_and_gradient(scores, targets, weights, size)
                network.backward(grad_scores, x, outputs, grad_outputs, gradients, workspaces)
            value += part
            gradient += flat
        decayed = parameters[: network.n_decayed]
        if alpha and size:
            value += 0.5 * alpha / size * float(decayed @ decayed)
            gradient[: network.n_decayed] += alpha / size * decayed
        return value, gradient

    def after(intermediate_result):
        network.flat[:] = intermediate_result.x
        callback(float(intermediate_result.fun))

    result = minimize(
        value_and_gradient, network.flat.astype(np.float64), method="L-BFGS-B", jac=True,
        callback=None if callback is None else after,
        options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
    )  # fmt: skip
    network.flat[:] = result.x
    return result
