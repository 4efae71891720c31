"""Hidden layers as constructor parameters describe them: a kind, a width and a dict of options for each."""

from collections.abc import Mapping
from itertools import pairwise
from numbers import Integral

import numpy as np

from ldlrpp.estimators.borrowed import validate_parameter_constraints
from ldlrpp.estimators.inspection import Seeds
from ldlrpp.estimators.parameters import LAYERS
from ldlrpp.kernels import cpu
from ldlrpp.kernels.cpu.threads import one_kernel
from ldlrpp.kernels.ldl_weights import INITS
from ldlrpp.network import LDL, RPP, Dense

# Bytes of permutations and wide weights that the layers of a network keep, together, during a fit or a prediction.
_BUDGET = 2**28


class _UniformLayers:
    """Hidden layers of one kind; widths and options are parameters of the estimator."""

    _layers_parameter = "hidden_layer_sizes"
    # options of layers saved before there was a choice
    _older = {}  # noqa: RUF012

    def _described_layers(self):
        sizes = self.hidden_layer_sizes
        sizes = sizes.tolist() if isinstance(sizes, np.ndarray) else sizes
        widths = [sizes] if np.isscalar(sizes) else list(sizes)
        if not all(map(_is_width, widths)):
            raise ValueError(f"hidden_layer_sizes must be integers of 1 or more, got {self.hidden_layer_sizes!r}")
        options = {name: getattr(self, name) for name in LAYERS[self._kind]}
        return [(self._kind, int(width), options) for width in widths]


class LDLLayers(_UniformLayers):
    _kind = "ldl"
    # of estimators saved before there were others
    radix = 2
    _older = {"radix": 2}  # noqa: RUF012

    def _described_layers(self):
        layers = super()._described_layers()
        init = self.init.tolist() if isinstance(self.init, np.ndarray) else self.init
        names = [init] * len(layers) if isinstance(init, str) else list(init)
        if len(names) != len(layers) or not all(isinstance(name, str) and name in INITS for name in names):
            raise ValueError(
                f"init must be one of {', '.join(map(repr, INITS))}, or a sequence of one for each of the "
                f"{len(layers)} hidden layers, got {self.init!r}"
            )
        described = zip(layers, names, strict=True)
        return [(kind, width, {**options, "init": name}) for (kind, width, options), name in described]


class RPPLayers(Seeds, _UniformLayers):
    _kind = "rpp"
    # of estimators saved before there were any
    signs = False
    _older = {"signs": False}  # noqa: RUF012


class MixedLayers(Seeds):
    """Hidden layers of several kinds, each described by itself."""

    _layers_parameter = "hidden_layers"
    # of layers saved before there was a choice, whose description says nothing of it, none is compared
    _older = {}  # noqa: RUF012

    def _described_layers(self):
        return [self._described_layer(i, layer) for i, layer in enumerate(self.hidden_layers)]

    def _described_layer(self, i, layer):
        name = f"hidden_layers[{i}]"
        complete = isinstance(layer, list | tuple) and len(layer) in (2, 3)
        kind, width, options = (*layer, {})[:3] if complete else (None, 0, {})
        if kind not in tuple(LAYERS) or not _is_width(width) or not isinstance(options, Mapping):
            raise ValueError(
                f"{name} must be (kind, width) or (kind, width, options), kind one of {', '.join(map(repr, LAYERS))}, "
                f"width an integer of 1 or more and options a dict, got {layer!r}"
            )
        known = LAYERS[kind]
        if unknown := set(options) - set(known):
            raise ValueError(
                f"{name}: the options of {kind!r} are {', '.join(map(repr, known)) or 'none'}, "
                f"got {', '.join(sorted(map(repr, unknown)))}"
            )
        constraints = {option: parameter.constraints for option, parameter in known.items()}
        validate_parameter_constraints(constraints, options, f"{name} of {type(self).__name__}")
        defaults = {option: parameter.default for option, parameter in known.items()}
        return kind, int(width), {**defaults, **options}


def same_layers(kept, described, older):
    """Whether layers are those that a network has; options that neither it nor ``older`` knows are not compared."""
    return len(kept) == len(described) and all(
        one[:2] == other[:2] and {**older, **one[2]}.items() <= other[2].items()
        for one, other in zip(kept, described, strict=True)
    )


def build(described, n_inputs, *, activation, rng, dtype):
    """The layers of `ldlrpp.network` that are described, with initial parameters."""
    common = {"activation": activation, "rng": rng, "dtype": dtype}
    widths = [n_inputs, *(width for _, width, _ in described)]
    stored_by_shape, n_kept = {}, 0
    for (m, width), (kind, _, options) in zip(pairwise(widths), described, strict=True):
        if kind == "ldl":
            yield LDL(
                m, width, radix=options["radix"], init=options["init"], expansion=options["input_expansion"], **common
            )
        elif kind == "rpp":
            layer = _rpp(m, width, stored_by_shape, _BUDGET - n_kept, **options, **common)
            n_kept += layer.n_kept
            yield layer
        else:
            yield Dense(m, width, **common)


def _rpp(
    m, width, stored_by_shape, budget, *, n_permutations, seed, permutation, share_columns, signs, grad_scale, rng,
    **others,
):  # fmt: skip
    """A layer of RPP; ``stored_by_shape`` holds stored permutations and their seeds, by what they are for."""
    n_permutations = int(n_permutations)  # of unsigned integers there are no negative ones
    drawn, rows = rng.integers(2**64, dtype=np.uint64), None
    key = m, width, n_permutations, share_columns, signs, seed
    seed = drawn if seed is None else seed
    n_columns = -(-width // n_permutations)
    # of a column: n_permutations, or fewer where the last head is cut
    copies = width / n_columns
    if permutation == "stored":
        if key not in stored_by_shape:
            with one_kernel():
                stored = cpu.rpp.permutations(m, n_columns, width, np.uint64(seed), share_columns, signs)
            stored_by_shape[key] = seed, stored
        seed, rows = stored_by_shape[key]
    return RPP(
        m,
        width,
        n_permutations=n_permutations,
        seed=seed,
        share_columns=share_columns,
        signs=signs,
        stored=rows,
        grad_scale={"sum": 1.0, "sqrt": 1 / np.sqrt(copies), "mean": 1 / copies}[grad_scale],
        budget=0 if permutation == "seeded" else budget,
        rng=rng,
        **others,
    )


def _is_width(width):
    return isinstance(width, Integral) and width >= 1
