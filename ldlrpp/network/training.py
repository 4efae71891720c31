"""Training: epochs of minibatches, and L-BFGS on all rows at once."""

import contextlib
import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from ldlrpp.kernels import backend
from ldlrpp.network import rows
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

    def n_bytes(self, kernels):
        """The memory that it wants to be where these kernels work, besides what is there."""
        arrays = (self.X, self.targets, self.weights)
        return sum(rows.n_bytes(array, kernels) for array in arrays if array is not None)

    def on(self, kernels, n_bytes=math.inf):
        """The same where these kernels work, as far as so many bytes of memory hold it, inputs last."""
        placed = {}
        for name in ("weights", "targets", "X"):
            array = placed[name] = getattr(self, name)
            needed = 0 if array is None else rows.n_bytes(array, kernels)
            # what is free may be in pieces
            with contextlib.suppress(MemoryError):
                if 0 < needed <= n_bytes:
                    placed[name], n_bytes = rows.put(array, kernels), n_bytes - needed
        return Data(**placed)

    def part(self, numbers):
        """The samples of these numbers, an array of NumPy."""

        def taken(array):
            return None if array is None else array[backend.of(array).memory.put(numbers)]

        return Data(taken(self.X), taken(self.targets), taken(self.weights))


class Batches:
    """Inputs, targets and weights of some rows of `Data` at a time, as arrays of the kernels that a network has.

    What is not where these work is sent there, each batch while kernels work on the one before.
    """

    def __init__(self, data, network):
        first, kernels = network.layers[0], network.kernels
        self._put = kernels.memory.put
        self._feeds = [rows.feed(data.X, kernels, first.input_width, first.repeats), rows.feed(data.targets, kernels)]
        if data.weights is not None:
            self._feeds.append(rows.feed(data.weights, kernels))

    def of(self, parts, order=None):
        """For every slice in a list inputs, targets and weights, None without: of ``order``, or of all rows."""
        there = None if order is None else self._put(order)
        for part, following in itertools.pairwise([None, *parts, None]):
            if part is not None:
                x, targets, *weights = [feed.take(part if order is None else there[part]) for feed in self._feeds]
                yield x, targets, weights[0] if weights else None
            if following is not None:
                for feed in self._feeds:
                    feed.send(following if order is None else order[following])


def epochs(
    network, loss, optimizer, data, *, schedule=None, average=None, alpha=0.0, dropout=0.0, max_norm=None,
    batch_size=200, shuffle=True, rng, reduce=None,
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
        What it is trained on; with ``reduce`` a list, of the parts that are here.
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
        Source of the order, and of what is dropped; with ``reduce`` a list, of one for every part.
    reduce : reduction, default=None
        Makes the steps of several processes one, each of which trains the same network: a step takes rows of all parts,
        here or there, in proportion. ``reduce.n_rows`` is a list of the rows of all parts; ``reduce.totals(weights)``
        makes of an array (parts here, steps) that of all parts, summed up; ``reduce.add(flat, value)`` is called
        with the gradient of every part here, and its share of the loss; ``reduce.sum(flat)`` then makes ``flat`` the
        gradient of all parts, everywhere, and returns the loss.

    Yields
    ------
    loss : float
        Mean over the epoch of the loss, penalty included, each batch before its step.
    """
    parts, rngs, n_rows = ([data], [rng], [len(data)]) if reduce is None else (data, rng, reduce.n_rows)
    n_samples, alpha, kernels = sum(n_rows), float(alpha), network.kernels
    batch_size = min(batch_size, n_samples)
    starts = [*range(0, n_samples, batch_size), n_samples]
    budget = network.data_budget(batch_size)
    sources = [_Source(part.on(kernels, budget / len(parts)), network, starts, n_samples) for part in parts]
    average = Average(0.0) if average is None else average
    flat, gradients = network.zero_gradients()
    workspaces, at_most = network.workspaces(fixed=False), max(source.at_most for source in sources)
    all_outputs, all_grad_outputs = network.empty_outputs(at_most), network.empty_outputs(at_most)

    def gradient(rng, x, targets, weights, total):
        """Write the gradient of some rows of a step; returns their share of its loss."""
        # the last batch may be a smaller one
        outputs, grad_outputs = ([array[: len(x)] for array in arrays] for arrays in (all_outputs, all_grad_outputs))
        drops = (rng.integers(2**64, size=len(outputs) - 1, dtype=np.uint64), dropout) if dropout else None
        scores = network.forward(x, outputs, workspaces, drops)
        value, grad_scores = loss.value_and_gradient(scores, targets, weights, total, kernels)
        network.backward(grad_scores, x, outputs, grad_outputs, gradients, workspaces, drops)
        return value

    def step(value, batch, total, progress, sum_of_losses):
        """A step along the gradient; returns the sum of losses with that of the batch."""
        penalty = alpha / total if total else 0.0
        squares = kernels.elementwise.square_sum(network.flat[: network.n_decayed]) if penalty else value
        sum_of_losses = kernels.losses.accumulate(sum_of_losses, value, squares, 0.5 * penalty, batch)
        if max_norm is not None:
            kernels.elementwise.shorten(flat, float(max_norm))
        if schedule is not None:
            optimizer.learning_rate = schedule.rate(progress)
        optimizer.step(network.flat, flat, network.n_decayed, penalty, average, kernels)
        return sum_of_losses

    while True:
        for source, rng in zip(sources, rngs, strict=True):
            source.begin(rng if shuffle else None)
        totals = None if reduce is None else reduce.totals(np.array([source.totals() for source in sources]))
        sum_of_losses = kernels.memory.zeros((), "float64")
        with average.steps(network.flat, len(starts) - 1, kernels):
            for number, (start, end) in enumerate(itertools.pairwise(starts)):
                if reduce is None:
                    total = sources[0].total(number)
                    with network.threads():
                        value = gradient(rngs[0], *sources[0].next(), total)
                        sum_of_losses = step(value, end - start, total, start / n_samples, sum_of_losses)
                    continue
                total = float(totals[number])
                for source, rng in zip(sources, rngs, strict=True):
                    if source.size(number):
                        with network.threads():
                            reduce.add(flat, gradient(rng, *source.next(), total))
                value = reduce.sum(flat)
                with network.threads():
                    sum_of_losses = step(value, end - start, total, start / n_samples, sum_of_losses)
        if schedule is not None:
            schedule.end_epoch(n_samples)
        # nothing else in an epoch waits for the kernels
        yield float(sum_of_losses) / n_samples


class _Source:
    """The rows of a part of the data, step by step: of its rows every step takes the share that it takes of all.

    ``starts`` are the rows, of ``n_samples`` in all parts, at which steps begin, and the end.
    """

    def __init__(self, data, network, starts, n_samples):
        ends = [len(data) * start // n_samples for start in starts]
        self._slices = [slice(start, end) for start, end in itertools.pairwise(ends)]
        self._n, self._data, self._batches = len(data), data, Batches(data, network)
        # the sum of a batch's weights is a number that nothing must wait for
        self._weights = None if data.weights is None else backend.of(data.weights).memory.get(data.weights)
        self.at_most = max(self.size(number) for number in range(len(self._slices)))

    def begin(self, rng):
        """Begin an epoch, in a new order if there is a source of one."""
        self._order = np.arange(self._n) if rng is None else rng.permutation(self._n)
        self._rows = self._batches.of([part for part in self._slices if part.start < part.stop], self._order)

    def size(self, number):
        """Rows in the step of that number."""
        return self._slices[number].stop - self._slices[number].start

    def total(self, number):
        """What weights they have together."""
        if self._weights is None:
            return self.size(number)
        return float(self._weights[self._order[self._slices[number]]].sum(dtype=float))

    def totals(self):
        return [self.total(number) for number in range(len(self._slices))]

    def next(self):
        """Inputs, targets and weights of the next step that has some."""
        return next(self._rows)


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
    kernels = network.kernels
    chunk = min(network.chunk_rows(backward=True), len(data))
    data = data.on(kernels, network.data_budget(chunk))
    flat, gradients = network.zero_gradients()
    size = len(data) if data.weights is None else float(data.weights.sum())
    parts = [slice(start, min(start + chunk, len(data))) for start in range(0, len(data), chunk)]
    workspaces, batches = network.workspaces(fixed=False), Batches(data, network)
    all_outputs, all_grad_outputs = network.empty_outputs(chunk), network.empty_outputs(chunk)

    def set_parameters(parameters):
        network.flat[:] = kernels.memory.put(parameters.astype(network.dtype))

    def value_and_gradient(parameters):
        set_parameters(parameters)
        value, gradient = 0.0, np.zeros(len(flat))
        batches_of_all = batches.of(parts)
        for _ in parts:
            with network.threads():
                x, targets, weights = next(batches_of_all)
                outputs, grad_outputs = (
                    [array[: len(x)] for array in arrays] for arrays in (all_outputs, all_grad_outputs)
                )
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
