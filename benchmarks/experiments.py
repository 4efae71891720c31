"""Variants of LDL that are not in the package: python benchmarks/experiments.py --data FILE... [--only NAME...]

Prototypes of what others have found to help, each against the defaults, scored as `defaults.py` scores: validation
samples, no one's test samples. Mean ± standard deviation over the seeds of accuracy or, for diabetes, R², then seconds
of a fit.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from accuracy import LDL_WIDTHS, TABLES
from defaults import splits
from members import Members, Rebuilt, TakingTurns
from record import Record
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.exceptions import ConvergenceWarning

from ldlrpp import LDLClassifier, LDLRegressor, warmup
from ldlrpp.network import LDL, Adam

# --- Rates ------------------------------------------------------------------------------------------------------------


class RatedAdam(Adam):
    """Adam whose step is multiplied by ``factors``, one for every parameter."""

    def _step(self, parameters, gradients, n_decayed, penalty, average, share, kernels):
        before = parameters.copy()
        super()._step(parameters, gradients, n_decayed, penalty, average[:0], share, kernels)
        parameters[:] = before + self.factors * (parameters - before)
        average += average.dtype.type(share) * (parameters - average)


class Rated:
    """A learning rate of their own for the butterflies' weights, so many times the others'."""

    butterflies = 10

    def _make_optimizer(self):
        optimizer = RatedAdam(learning_rate=self.learning_rate_init)
        optimizer.factors = np.ones_like(self.network_.flat)
        for layer, parts in zip(self.network_.layers, self.network_._parts(optimizer.factors), strict=True):
            if isinstance(layer, LDL):
                parts["weights"][...] = self.butterflies
        return optimizer


# --- What the butterflies' positions get -----------------------------------------------------------------------------


class PlacedLDL(LDL):
    """LDL whose position p gets input ``places[p]``, times ``signs[p]``; the other parameters are those of ``layer``.

    With ``n_frozen`` the first stages are the identity and stay so: what is left are butterflies side by side.
    """

    def __init__(self, layer, places, signs=None, n_frozen=0):
        vars(self).update(vars(layer))
        self.places, self.signs, self.n_frozen = places, signs, n_frozen
        self.parameters["weights"][:n_frozen] = [[1], [0]]

    @property
    def input_width(self):
        return self.n_inputs

    def forward(self, x, out, workspace, relu=False):
        wide = workspace.empty("placed", (len(x), self.width), x.dtype)
        np.take(x, self.places, axis=1, out=wide)
        if self.signs is not None:
            wide *= self.signs
        super().forward(wide, out, workspace, relu)

    def backward(self, grad_y, x, gradients, grad_x, workspace):
        wide = workspace.empty("placed", (len(x), self.width), x.dtype)  # as forward left it
        wide_grad = None if grad_x is None else np.empty_like(wide)
        super().backward(grad_y, wide, gradients, wide_grad, workspace)
        gradients["weights"][: self.n_frozen] = 0
        if grad_x is not None:  # places are a permutation there
            grad_x[:, self.places] = wide_grad


class Permuted(Rebuilt):
    """Positions in another order between the LDL layers: reversed bits are the other order of strides."""

    bits = True

    def _rebuilt(self, first, second, head):
        n_bits = second.width.bit_length() - 1
        order = np.arange(second.width)
        reversed_bits = sum((order >> i & 1) << (n_bits - 1 - i) for i in range(n_bits))
        return [first, PlacedLDL(second, reversed_bits if self.bits else self._rng.permutation(second.width)), head]


class Stacked(Rebuilt):
    """A first layer of butterflies as wide as the inputs, side by side, instead of one of copies of them."""

    def _rebuilt(self, first, *others):
        narrow = 1 << (first.n_inputs - 1).bit_length()
        places = np.arange(first.width) % narrow % first.n_inputs
        return [PlacedLDL(first, places, n_frozen=(first.width // narrow).bit_length() - 1), *others]


class Padded(Rebuilt):
    """input_expansion='pad', outputs of the first layer brought to the variance of its inputs."""

    def _rebuilt(self, first, *others):
        first.parameters["scale"] *= np.sqrt(first.width / first.n_inputs)
        return [first, *others]


class Signed(Rebuilt):
    """Copies of the inputs with random signs."""

    def _rebuilt(self, first, *others):
        signs = self._rng.choice(np.array([-1, 1], first.parameters["scale"].dtype), first.width)
        return [PlacedLDL(first, np.arange(first.width) % first.n_inputs, signs), *others]


# --- What is compared ------------------------------------------------------------------------------------------------


def ldl(*prototypes, **options):
    """LDL estimators with prototypes; options that no estimator has are the prototypes'."""
    own = {name: value for name, value in options.items() if any(hasattr(p, name) for p in prototypes)}
    # the radix and the start for which these are compared
    parameters = {"hidden_layer_sizes": LDL_WIDTHS, "radix": 2, "init": "orthogonal"}
    parameters.update({name: value for name, value in options.items() if name not in own})

    def make(regression, epochs, seed):
        kind = LDLRegressor if regression else LDLClassifier
        # the constructor, of which scikit-learn reads the parameters' names
        kind = type(kind.__name__, (*prototypes, kind), {**own, "__init__": kind.__init__})
        return kind(max_iter=epochs, n_iter_no_change=epochs, random_state=seed, **parameters)

    return make


def of_classes(variant):
    """No regression."""
    return lambda regression, epochs, seed: None if regression else variant(regression, epochs, seed)


def bagged(n_members, *, bootstrap):
    """Mean of as many networks' predictions, with seeds of their own and, with ``bootstrap``, samples of their own."""

    def make(regression, epochs, seed):
        kind = BaggingRegressor if regression else BaggingClassifier
        return kind(ldl()(regression, epochs, None), n_members, bootstrap=bootstrap, random_state=seed)

    return make


def trees(regression, epochs, seed):
    return (HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier)(random_state=seed)


WIDE = {"hidden_layer_sizes": (4096, 4096)}
HADAMARD = ("hadamard", "orthogonal")
EXPERIMENTS = {
    "smoothing": {
        **{f"label smoothing {part}": of_classes(ldl(label_smoothing=part)) for part in (0.05, 0.1)},
        "beta_2=0.95": ldl(beta_2=0.95),
    },
    "rates": {
        f"head's rate {rate}, butterflies' ×{times}": ldl(Rated, butterflies=times, learning_rate_init=rate)
        for rate in (0.001, 0.004)
        for times in (1, 3, 10)
        if (rate, times) != (0.004, 1)
    },
    "one rate": {f"rate {rate}": ldl(learning_rate_init=rate) for rate in (0.002, 0.008, 0.012)},
    "stacks": {
        "first layer of butterflies as wide as the inputs": ldl(Stacked),
        "input_expansion='pad'": ldl(input_expansion="pad"),
        "input_expansion='pad', times √(N / d)": ldl(Padded, input_expansion="pad"),
    },
    "wide stacks": {
        "(4096, 4096)": ldl(**WIDE),
        "(4096, 4096), first layer of butterflies as wide as the inputs": ldl(Stacked, **WIDE),
        "(4096, 4096), input_expansion='pad', times √(N / d)": ldl(Padded, input_expansion="pad", **WIDE),
    },
    "order": {
        "second layer in increasing strides": ldl(Permuted),
        "a random permutation between the layers": ldl(Permuted, bits=False),
    },
    "signs": {
        "copies of inputs with signs": ldl(Signed),
        "Hadamard first layer": ldl(init=HADAMARD),
        "Hadamard first layer, copies of inputs with signs": ldl(Signed, init=HADAMARD),
    },
    "members": {
        "8 members": ldl(Members, n_members=8),
        "8 members, factors fixed": ldl(Members, n_members=8, trainable=False),
        "8 seeds, averaged": bagged(8, bootstrap=False),
        "8 seeds, bagged": bagged(8, bootstrap=True),
    },
    "trees": {"HistGradientBoosting": trees},
    "turns": {f"{k} members that take turns": ldl(TakingTurns, n_members=k) for k in (4, 8, 16, 32)},
    "dropout": {f"dropout={rate}": ldl(dropout=rate) for rate in (0.1, 0.3)},
    "many members": {f"{k} members": ldl(Members, n_members=k) for k in (16, 32)},
    "together": {
        "label smoothing 0.1, butterflies' rate ×3": of_classes(ldl(Rated, butterflies=3, label_smoothing=0.1)),
        "label smoothing 0.1, 8 members that take turns": of_classes(
            ldl(TakingTurns, n_members=8, label_smoothing=0.1)
        ),
    },
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--only", nargs="*", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--on", nargs="*", default=[""], help="what the data sets' names begin with")
    Record.argument(parser)
    options = parser.parse_args()
    record = Record(options)
    warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are counted, not waited out
    warmup(np.float32)
    data = {name: parts for name, parts in splits(options.data) if name.startswith(tuple(options.on))}
    variants = {"the defaults": ldl()} | {k: v for name in options.only for k, v in EXPERIMENTS[name].items()}
    seconds = {}
    add = record.table("variants", "", *data)
    for label, variant in variants.items():
        cells, seconds[label] = [], []
        for name, (X_train, y_train, X_val, y_val, epochs) in data.items():
            scores, times = [], []
            for seed in range(options.seeds):
                model = variant(np.issubdtype(y_train.dtype, np.floating), epochs, seed)
                if model is None or (variant is trees and name not in TABLES):
                    continue
                start = time.perf_counter()
                model.fit(X_train, y_train)
                times.append(time.perf_counter() - start)
                scores.append(model.score(X_val, y_val))
            cells.append(scores)
            seconds[label].append(np.median(times) if times else None)
        add(label, *cells)
    add = record.table("seconds of a fit", "", *data)
    for label, cells in seconds.items():
        add(label, *cells)


if __name__ == "__main__":
    main()
