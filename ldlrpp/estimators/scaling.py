"""How seconds grow with width, as a picture."""

import time
from numbers import Integral

import numpy as np
from sklearn.base import clone, is_classifier

from ldlrpp.estimators import parameters
from ldlrpp.estimators.base import BaseNetworkEstimator
from ldlrpp.estimators.borrowed import check_matplotlib_support, num_samples
from ldlrpp.estimators.devices import host
from ldlrpp.estimators.mixed import MixedClassifier, MixedRegressor

# Parameters that a dense network has besides the layers.
_COMMON = {**parameters.NETWORK, **parameters.CLASSIFIER, **parameters.REGRESSOR}


class ScalingDisplay:
    """Seconds of training and of predictions for a row, against the width of the hidden layers.

    Beside each curve stands its exponent, the slope p of log(seconds) against log(N·log2 N): of a butterfly it is
    about 1 where the width is what takes the time, and of a dense layer, whose time is N², 1.7 to 1.8. Narrow layers
    have smaller ones, for a batch takes some time whatever its width is. Make one with `from_estimator`.

    Parameters
    ----------
    widths : array-like of int of shape (n_widths,)
        Widths N of the hidden layers.
    fit_seconds : array-like of float of shape (n_widths,)
        Seconds of an epoch for a row.
    predict_seconds : array-like of float of shape (n_widths,)
        Seconds of a prediction for a row.
    dense_fit_seconds, dense_predict_seconds : array-like of float of shape (n_widths,), default=None
        Those of the network whose hidden layers are dense; NaN where it was not run.
    estimator_name : str or None, default=None
        Name for the legend.

    Attributes
    ----------
    exponents_ : dict
        The exponent of every curve, by its label in the legend.
    ax_ : matplotlib.axes.Axes
        What the curves are drawn on.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.
    lines_ : list of matplotlib.lines.Line2D
        The curves.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from ldlrpp import LDLClassifier, ScalingDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> display = ScalingDisplay.from_estimator(LDLClassifier(), X / 16, y, widths=(64, 128), n_repeats=1)
    >>> display.ax_.get_xlabel()
    'width of the hidden layers'
    """

    def __init__(
        self,
        widths,
        fit_seconds,
        predict_seconds,
        *,
        dense_fit_seconds=None,
        dense_predict_seconds=None,
        estimator_name=None,
    ):
        self.widths = widths
        self.fit_seconds = fit_seconds
        self.predict_seconds = predict_seconds
        self.dense_fit_seconds = dense_fit_seconds
        self.dense_predict_seconds = dense_predict_seconds
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        widths=(256, 512, 1024, 2048, 4096),
        dense_widths=(256, 512, 1024, 2048),
        n_repeats=3,
        ax=None,
        name=None,
        **line_kwargs,
    ):
        """Train and predict with layers of every width, on one's own data and machine, and draw the seconds.

        An epoch is one of `partial_fit`: what a fit computes once for all of its epochs is in it.

        Parameters
        ----------
        estimator : estimator
            A classifier or regressor of this package; every hidden layer of a copy gets every width.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs; some thousand rows are enough.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The labels or the target values.
        widths : array-like of int, default=(256, 512, 1024, 2048, 4096)
            The widths.
        dense_widths : array-like of int, default=(256, 512, 1024, 2048)
            The widths for which the network of dense layers is run as well, if they are among ``widths``.
        n_repeats : int, default=3
            Epochs and predictions of which the fastest counts, after one that compiles.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None for new axes.
        name : str, default=None
            Name for the legend; None for that of the estimator's class.
        **line_kwargs : dict
            Passed to `matplotlib.axes.Axes.plot` for every curve.

        Returns
        -------
        display : ScalingDisplay
            The display that was drawn.

        Raises
        ------
        ImportError
            If there is no matplotlib.
        ValueError
            If the estimator is none of this package's, has no hidden layer or takes no steps, or if a width or the
            number of repeats is less than 1.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if not isinstance(estimator, BaseNetworkEstimator) or estimator.solver == "lbfgs":
            raise ValueError(
                "estimator must be a classifier or regressor of ldlrpp whose solver is not 'lbfgs', got "
                f"{estimator!r:.200}"
            )
        if not estimator._described_layers():
            raise ValueError("estimator must have a hidden layer, got one without")
        widths = np.unique(widths)
        if widths.dtype.kind not in "iu" or not len(widths) or widths[0] < 1:
            raise ValueError(f"widths must be integers of 1 or more, got {widths.tolist()}")
        if not isinstance(n_repeats, Integral) or n_repeats < 1:
            raise ValueError(f"n_repeats must be an integer of 1 or more, got {n_repeats!r}")
        seconds = np.full((4, len(widths)), np.nan)
        for i, width in enumerate(widths.tolist()):
            seconds[:2, i] = _seconds(_of_width(estimator, width), X, y, n_repeats)
            if width in np.asarray(dense_widths):
                seconds[2:, i] = _seconds(_dense(estimator, width), X, y, n_repeats)
        fit, predict, dense_fit, dense_predict = seconds
        display = cls(
            widths,
            fit,
            predict,
            dense_fit_seconds=dense_fit,
            dense_predict_seconds=dense_predict,
            estimator_name=type(estimator).__name__ if name is None else name,
        )
        return display.plot(ax=ax, **line_kwargs)

    def plot(self, *, ax=None, **line_kwargs):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None for new axes.
        **line_kwargs : dict
            Passed to `matplotlib.axes.Axes.plot` for every curve.

        Returns
        -------
        display : ScalingDisplay
            The display itself.

        Raises
        ------
        ImportError
            If there is no matplotlib.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        self.ax_, self.figure_, self.lines_, self.exponents_ = ax, ax.figure, [], {}
        name = self.estimator_name or "network"
        other = "dense" if name != "dense" else "dense layers"
        curves = [
            (f"{name}, epoch", self.fit_seconds, {"color": "C0", "marker": "o"}),
            (f"{name}, prediction", self.predict_seconds, {"color": "C0", "marker": "o", "linestyle": "--"}),
            (f"{other}, epoch", self.dense_fit_seconds, {"color": "C1", "marker": "s"}),
            (f"{other}, prediction", self.dense_predict_seconds, {"color": "C1", "marker": "s", "linestyle": "--"}),
        ]
        widths = np.asarray(self.widths)
        for label, seconds, style in curves:
            known = np.zeros(0, bool) if seconds is None else np.isfinite(seconds)
            if not known.any():
                continue
            seconds = np.asarray(seconds)[known]
            exponent = self.exponents_[label] = scaling_exponent(widths[known], seconds)
            shown = label if np.isnan(exponent) else f"{label}: p = {exponent:.2f}"
            self.lines_ += ax.loglog(widths[known], seconds, **{**style, "label": shown, **line_kwargs})
        ax.set_xscale("log", base=2)
        ax.set(xlabel="width of the hidden layers", ylabel="seconds a row", title="seconds ~ (N·log2 N)^p")
        ax.legend()
        return self


def scaling_exponent(widths, seconds):
    """The slope of log(seconds) against log(N·log2 N), NaN for fewer than two widths above 1."""
    widths, seconds = np.asarray(widths, float), np.asarray(seconds, float)
    wide = widths > 1
    if len(set(widths[wide])) < 2:
        return np.nan
    return float(np.polyfit(np.log(widths[wide] * np.log2(widths[wide])), np.log(seconds[wide]), 1)[0])


def _of_width(estimator, width):
    name = estimator._layers_parameter
    layers = estimator._described_layers()
    if name == "hidden_layer_sizes":
        return clone(estimator).set_params(hidden_layer_sizes=(width,) * len(layers))
    return clone(estimator).set_params(hidden_layers=[(kind, width, options) for kind, _, options in layers])


def _dense(estimator, width):
    # of a copy: a random state of the user's is not to be drawn from
    common = {name: value for name, value in clone(estimator).get_params(deep=False).items() if name in _COMMON}
    kind = MixedClassifier if is_classifier(estimator) else MixedRegressor
    return kind([("dense", width)] * len(estimator._described_layers()), **common)


def _seconds(model, X, y, n_repeats):
    """Seconds of an epoch and of a prediction, for a row."""
    model.set_params(early_stopping=False, verbose=False, learning_rate="constant")
    y = host(y)
    y = np.ravel(y) if np.ndim(y) == 2 and np.shape(y)[1] == 1 else y
    options = {}
    if is_classifier(model):
        # what partial_fit refuses takes no time
        model.set_params(class_weight=None)
        options["classes"] = np.unique(y) if np.ndim(y) == 1 else np.arange(np.shape(y)[1])
    calls = (lambda: model.partial_fit(X, y, **options)), (lambda: model.predict(X))
    found = []
    for call in calls:
        call()
        times = []
        for _ in range(n_repeats):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        found.append(min(times) / num_samples(X))
    return found
