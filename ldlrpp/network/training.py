"""The training loop."""

import numpy as np


def epochs(network, loss, optimizer, X, targets, *, alpha=0.0, batch_size=200, shuffle=True, rng):
    """Train a network, an epoch for every value that is asked of the generator.

    The caller decides when to stop and what to do between epochs.

    Parameters
    ----------
    network : Network
        Its parameters are changed in place.
    loss : loss
        See `ldlrpp.network.losses`.
    optimizer : optimizer
        See `ldlrpp.network.optimizers`.
    X : ndarray of shape (n_samples, n_inputs)
        Inputs, of the dtype of the network.
    targets : ndarray of shape (n_samples, n_outputs)
        Targets, as the loss takes them.
    alpha : float, default=0.0
        Strength of the L2 penalty ``alpha / 2 · Σ w²`` per batch, divided by its size, on the parameters that decay.
    batch_size : int, default=200
        Rows of a minibatch.
    shuffle : bool, default=True
        Whether every epoch takes the rows in a new order.
    rng : numpy.random.Generator
        Source of the order.

    Yields
    ------
    loss : float
        Mean over the epoch of the loss, penalty included, each batch before its step.
    """
    n_samples, alpha = len(X), float(alpha)
    parameters, decays = network.parameters(), network.decays()
    gradients = network.empty_gradients()
    flat_gradients = [array for layer in gradients for array in layer.values()]
    buffers = {}
    while True:
        order = rng.permutation(n_samples) if shuffle else np.arange(n_samples)
        total = 0.0
        for start in range(0, n_samples, batch_size):
            rows = order[start : start + batch_size]
            batch = len(rows)
            if batch not in buffers:
                buffers[batch] = network.empty_outputs(batch), network.empty_outputs(batch)
            outputs, grad_outputs = buffers[batch]
            x = X[rows]
            with network.threads():
                value, grad_scores = loss.value_and_gradient(network.forward(x, outputs), targets[rows])
                network.backward(grad_scores, x, outputs, grad_outputs, gradients)
            if alpha:
                for parameter, gradient, decay in zip(parameters, flat_gradients, decays, strict=True):
                    if decay:
                        value += 0.5 * alpha / batch * float(np.vdot(parameter, parameter))
                        gradient += alpha / batch * parameter
            optimizer.step(parameters, flat_gradients)
            total += value * batch
        yield total / n_samples
