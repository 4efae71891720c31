"""The estimators' constructor parameters: default, constraint and documentation of each stand once, here."""

import inspect
import linecache
import textwrap
from dataclasses import dataclass, replace
from numbers import Integral, Real
from os import PathLike

import numpy as np

from ldlrpp.estimators.borrowed import Interval, Options, StrOptions
from ldlrpp.kernels.ldl_weights import INITS, RADICES
from ldlrpp.network import SCHEDULES


@dataclass(frozen=True)
class Parameter:
    """A constructor parameter: its default, scikit-learn's constraints, and its type and meaning for people."""

    default: object
    constraints: list
    type: str
    meaning: str


def _real(low, high=None, closed="left"):
    return Interval(Real, low, high, closed=closed)


def _count(low=1):
    return Interval(Integral, low, None, closed="left")


def _choice(*options):
    return StrOptions(set(options)), "{" + ", ".join(repr(option) for option in options) + "}"


def _of(default, constraint, type_, meaning):
    return Parameter(default, constraint, f"{type_}, default={default!r}", meaning)


def _one_of(default, options, meaning):
    constraint, type_ = _choice(*options)
    return _of(default, [constraint], type_, meaning)


NETWORK = {
    "activation": _one_of(
        "relu", ("relu", "tanh", "logistic", "identity"), "Activation after every hidden layer."
    ),
    "solver": _one_of(
        "adam",
        ("adam", "adamw", "sgd", "lbfgs"),
        "'adam' and 'sgd' take a step for every minibatch, 'adamw' is Adam with ``weight_decay``, 'lbfgs' uses all "
        "rows at once: for small data.",
    ),
    "alpha": _of(
        0.0001, [_real(0)], "float",
        "Strength of the L2 penalty, on the weights of dense layers, the output layer among them, and the hidden "
        "weights of RPP; butterflies are not decayed.",
    ),
    "weight_decay": _of(0.01, [_real(0)], "float", "Decoupled weight decay of 'adamw', on the same weights."),
    "batch_size": _of(
        "auto", [StrOptions({"auto"}), _count()], "int or 'auto'", "Rows of a minibatch; 'auto' is min(200, n_samples)."
    ),
    "learning_rate": _one_of(
        "constant",
        SCHEDULES,
        "How the learning rate of 'adam', 'adamw' and 'sgd' changes, see `ldlrpp.network.Schedule`: 'invscaling' with "
        "the samples seen, 'adaptive' divides it by 5 when training does not get better instead of ending, 'cosine' "
        "and 'onecycle' end after ``max_iter`` epochs, and training with them not before, but for ``early_stopping``.",
    ),
    "learning_rate_init": _of(0.004, [_real(0, closed="neither")], "float", "Learning rate, at first or at most."),
    "average": _of(
        True, ["boolean", _real(0, 1, "neither")], "bool or float",
        "Whether predictions, and all else but training itself, use the average of the weights over the steps of "
        "training, see `ldlrpp.network.Average`. With True it reaches back some 500 steps (its largest decay is 0.998) "
        "or three epochs, calls of `partial_fit` counted as such, whichever is less; a float is the largest decay "
        "itself, for any number of epochs. Training, `partial_fit` and ``warm_start`` go on from the weights "
        "themselves. 'lbfgs' has none.",
    ),
    "power_t": _of(0.5, [_real(0)], "float", "Exponent of 'invscaling'."),
    "max_iter": _of(200, [_count()], "int", "Number of epochs, or of iterations of 'lbfgs', at most."),
    "max_fun": _of(15000, [_count()], "int", "Evaluations of the loss by 'lbfgs' at most."),
    "shuffle": _of(True, ["boolean"], "bool", "Whether every epoch takes the samples in a new order."),
    "dropout": _of(
        0.0, [_real(0, 1)], "float",
        "Probability that an output of a hidden layer is dropped in a step; not for 'lbfgs'.",
    ),
    "max_grad_norm": _of(
        None, [_real(0, closed="neither"), None], "float or None",
        "Gradients longer than this are shortened to it; not for 'lbfgs'.",
    ),
    "random_state": Parameter(
        None, ["random_state"], "int, RandomState instance or None, default=None",
        "Source of the initial weights, of the permutations' seeds, of validation samples and of the order of samples.",
    ),
    "tol": _of(
        0.0001, [_real(0)], "float",
        "By how much the training loss, or the validation score, must improve, see ``n_iter_no_change``; the largest "
        "gradient at which 'lbfgs' ends.",
    ),
    "verbose": _of(
        False, ["verbose"], "bool",
        "Whether to print what training does. The logger 'ldlrpp' has it, at level INFO, in any case.",
    ),
    "warm_start": _of(False, ["boolean"], "bool", "Whether `fit` goes on from the network that there is."),
    "checkpoint": Parameter(
        None, [str, PathLike, None], "str, path or None, default=None",
        "File in which `fit` keeps all that training goes on from. Where it is there already, a fit of the same data "
        "with the same parameters goes on from it and ends with the same weights, to the last bit, as one that was "
        "never interrupted; one that had ended gives its weights at once; other data or parameters are refused. Each "
        "fit wants a file of its own. Not for 'lbfgs', ``warm_start`` and `partial_fit`.",
    ),
    "checkpoint_interval": _of(1, [_count()], "int", "How many epochs there are between two writings of it."),
    "momentum": _of(0.9, [_real(0, 1, "both")], "float", "Momentum of 'sgd'."),
    "nesterovs_momentum": _of(True, ["boolean"], "bool", "Whether 'sgd' uses Nesterov's momentum."),
    "early_stopping": _of(
        False, ["boolean"], "bool",
        "Whether training ends when the score of validation samples does not improve, the best weights being restored. "
        "They are those given to `fit`, where it takes any, or a part of the training samples, stratified by class if "
        "no class is too rare for that.",
    ),
    "validation_fraction": _of(
        0.1, [_real(0, 1, "neither")], "float", "Part of the training samples that early stopping sets aside."
    ),
    "beta_1": _of(0.9, [_real(0, 1)], "float", "Decay of Adam's first moment."),
    "beta_2": _of(0.999, [_real(0, 1)], "float", "Decay of Adam's second moment."),
    "epsilon": _of(1e-08, [_real(0, closed="neither")], "float", "Keeps Adam's divisions finite."),
    "n_iter_no_change": _of(
        10, [_count(), Options(Real, {np.inf})], "int or inf",
        "Training ends when there was no improvement by ``tol`` for more than this many epochs in a row; with 'cosine' "
        "and 'onecycle' only where ``early_stopping`` asks for it.",
    ),
    "n_jobs": _of(
        None, [_count(), Interval(Integral, None, -1, closed="right"), None], "int or None",
        "Threads of the kernels, at most as many as Numba has; None and -1 are all of them, -2 all but one, and so on.",
    ),
    "device": _of(
        "cpu", [str], "'cpu', 'cuda', 'cuda:N' or 'auto'",
        "Where training and predictions run: the processor, the current GPU of NVIDIA's, the one of number N, or a GPU "
        "if one can be used. A fitted model holds NumPy arrays and predicts without a GPU, too. Inputs on a GPU want "
        "'cuda' or 'auto', and predictions of them are there, in their library. Data are copied to the GPU once if "
        "they fit in nine tenths of what is free beside the network, or else batch by batch.",
    ),
}  # fmt: skip

CLASSIFIER = {
    "label_smoothing": _of(
        0.0, [_real(0, 1)], "float",
        "Training takes the labels for wrong with this probability s: of K classes the right one is 1 − s + s / K, "
        "each other s / K; of two classes, and of each of several labels, the right answer is 1 − s / 2. On images of "
        "digits 0.1 gains 0.003 to 0.009 of accuracy; probabilities are then less certain. Validation takes the labels "
        "as they are.",
    ),
    "class_weight": Parameter(
        None, [dict, list, StrOptions({"balanced"}), None], "dict, 'balanced', list of dict or None, default=None",
        "Factors of the samples' weights by class, as in `sklearn.utils.class_weight.compute_sample_weight`, of "
        "validation samples as well. 'balanced' takes them from all labels that `fit` gets for training, those that "
        "early stopping sets aside included; classes that are not among these, as after a warm start, weigh 1.",
    ),
}  # fmt: skip

REGRESSOR = {
    "loss": _one_of(
        "squared_error",
        ("squared_error", "absolute_error", "huber", "poisson"),
        "What is minimised, see `ldlrpp.network.losses`; 'poisson' is for targets of 0 or more.",
    ),
    "huber_delta": _of(1.0, [_real(0, closed="neither")], "float", "Where 'huber' turns into a straight line."),
}

TRANSFORMER = {
    "task": _one_of(
        "auto",
        ("auto", "classification", "regression", "reconstruction"),
        "What the network learns: the classes or the numbers in ``y``, or, without it, to give its inputs back. 'auto' "
        "is 'reconstruction' where `fit` gets no ``y``, 'regression' where that holds floating-point numbers, and "
        "'classification' otherwise: counts, if they are integers, want 'regression'.",
    ),
}  # fmt: skip

_INIT, _INIT_TYPE = _choice(*INITS)

LDL = {
    "radix": _of(
        4, [Options(Integral, set(RADICES))], f"{{{', '.join(map(str, RADICES))}}}",
        "Number of positions that a stage of a butterfly mixes with each other, see `ldlrpp.kernels.ldl_forward`. 4 "
        "has the parameters of 2, the layer as it was first written down, and takes no longer; 8, 16 and 32 have 1.3, "
        "1.8 and 3.2 times its weights at a width of 1024, take longer, and learn more of images.",
    ),
    "init": _of(
        "hadamard", [_INIT, "array-like"], f"{_INIT_TYPE} or array-like of these",
        "Initial weights, see `ldlrpp.kernels.ldl_init`: a name for all hidden layers, or one for each. 'hadamard' is "
        "better on images, and long noisy signals are hardly learned from another start; 'orthogonal' is to be tried "
        "where a few clean signals carry their class in their shape. Where a power of two of inputs is "
        "repeated, the first copy starts so with 'hadamard', the others with random signs of the inputs.",
    ),
    "input_expansion": _one_of(
        "repeat",
        ("repeat", "pad"),
        "How a layer with fewer inputs than its power of two fills the rest: its inputs again and again, or zeros.",
    ),
}  # fmt: skip

RPP = {
    "n_permutations": _of(
        10, [_count()], "int",
        "Number of permutations k: a layer of width w keeps ⌈w / k⌉ columns of weights, and shows each up to k times "
        "in different orders.",
    ),
    "seed": _of(
        None, [Interval(Integral, 0, 2**64, closed="left"), None], "int or None",
        "Seed of the permutations; None draws one for every layer from ``random_state``. A number is that of all "
        "layers: those of as many inputs then have the same permutations.",
    ),
    "bias": _one_of(
        "full",
        ("full", "shared", "none"),
        "A bias for every output, one for every column of the hidden weights, or none in the hidden layers.",
    ),
    "permutation": _one_of(
        "auto",
        ("auto", "seeded", "stored"),
        "What becomes of permutations between batches. 'auto' keeps them for the time of a fit (two bytes for every "
        "wide weight, four above 32,768 inputs, or 65,536 without ``signs``), and the wide weights for that of a "
        "prediction, up to 256 MiB for "
        "all layers of a fit or prediction together, and computes beyond that; 'seeded' computes whenever they are "
        "used. Results are the same, to the last bit, and a saved model has seeds alone. 'stored' makes "
        "permutations a part of the model: one array for all layers of a shape, which then have the same "
        "permutations.",
    ),
    "share_columns": _of(
        False, ["boolean"], "bool",
        "Whether all columns that are seen together share one permutation, see `ldlrpp.kernels.rpp_forward`.",
    ),
    "signs": _of(
        True, ["boolean"], "bool",
        "Whether every copy of a weight has a sign, ±1 from the seed as the permutations are, see "
        "`ldlrpp.kernels.rpp_forward`. False is the layer as it was first written down.",
    ),
    "grad_scale": _one_of(
        "sum",
        ("sum", "sqrt", "mean"),
        "The gradient of a weight is the sum over its k copies, that sum divided by √k, or their mean; where k does "
        "not divide the width, the mean number of copies stands for it. Adam hardly notices.",
    ),
}  # fmt: skip

#: What can be said of a hidden layer, by its kind.
LAYERS = {"ldl": {**LDL, "init": replace(LDL["init"], constraints=[_INIT])}, "rpp": RPP, "dense": {}}

LDL_WIDTHS = {
    "hidden_layer_sizes": _of(
        (1024,), ["array-like", _count()], "int or array-like of int",
        "Widths of the hidden layers. Powers of two are used in full; other widths are cut from the next one.",
    ),
}  # fmt: skip

RPP_WIDTHS = {
    "hidden_layer_sizes": _of(
        (1000,), ["array-like", _count()], "int or array-like of int",
        "Widths of the hidden layers.",
    ),
}  # fmt: skip

MIXED = {
    "hidden_layers": _of(
        (("ldl", 1024), ("dense", 64)), ["array-like"], "sequence of (kind, width) or (kind, width, options)",
        "The hidden layers: 'ldl', 'rpp' or 'dense', their widths, and perhaps a dict of what `LDLClassifier` and "
        "`RPPClassifier` let one choose of their layers (``init``, ``n_permutations``, ...), with the same defaults.",
    ),
}  # fmt: skip


#: Documentation of the fitted attributes that all estimators have.
ATTRIBUTES = """
    network_ : ldlrpp.network.Network
        The network: ``network_.layers[i].parameters`` are its arrays by name.
    n_parameters_ : int
        Number of parameters, those of a butterfly whose input is padded or output is cut included.
    n_parameters_dense_ : int
        Number of parameters of the dense network of the same widths.
    loss_ : float
        Training loss of the last epoch, penalty included.
    loss_curve_ : list of float
        Training loss of every epoch (every iteration of 'lbfgs').
    best_loss_ : float or None
        Lowest training loss of all epochs; None with ``early_stopping``.
    validation_scores_ : list of float or None
        Score of the validation samples after every epoch, where there are any.
    validation_loss_curve_ : list of float or None
        Their loss, without the penalty.
    best_validation_score_ : float or None
        Best of the scores.
    n_iter_ : int
        Number of epochs of the last fit.
    t_ : int
        Number of training samples seen, repetitions counted.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where ``X`` has string names for all.
    n_layers_ : int
        Number of layers, input and output counted.
    n_outputs_ : int
        Number of outputs.
    out_activation_ : str
        Activation of the output layer."""


def with_parameters(*tables):
    """Class decorator: a constructor, constraints and the docstring's section of the parameters in ``tables``.

    All but the first, the hidden layers, are keyword-only. ``{parameters}`` in the docstring is replaced,
    and ``{attributes}``.
    """
    parameters = {name: parameter for table in tables for name, parameter in table.items()}

    def decorate(cls):
        cls.__init__ = _constructor(cls, parameters)
        cls._parameter_constraints = {name: parameter.constraints for name, parameter in parameters.items()}
        if cls.__doc__:  # there is none under python -OO
            # dedented as Python 3.13 does by itself
            document = inspect.cleandoc(cls.__doc__).replace("{parameters}", _document(parameters))
            cls.__doc__ = document.replace("{attributes}", inspect.cleandoc(ATTRIBUTES))
        return cls

    return decorate


def _constructor(cls, parameters):
    """A function as if it stood in the class, whose source debuggers show: its errors are Python's own."""
    first, *others = [f"{name}={parameter.default!r}" for name, parameter in parameters.items()]
    source = "".join(
        [
            f"class {cls.__name__}:\n",  # for the qualified names of function and code
            f"    def __init__(self, {first}, *, {', '.join(others)}):\n",
            *(f"        self.{name} = {name}\n" for name in parameters),
        ]
    )
    file = f"<constructor of {cls.__module__}.{cls.__qualname__}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    names = {"__name__": cls.__module__}
    exec(compile(source, file, "exec"), names)
    return names[cls.__name__].__init__


def _document(parameters):
    lines = []
    for name, parameter in parameters.items():
        lines += [f"{name} : {parameter.type}", textwrap.indent(textwrap.fill(parameter.meaning, 110), " " * 4)]
    return "\n".join(lines)
