"""What people look at: pictures of training, and where notebooks link to."""

from importlib import metadata

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ldlrpp.estimators.borrowed import check_matplotlib_support


class LossCurveDisplay:
    """The training loss after every epoch, and that of validation samples where there are any.

    Make one with `from_estimator`.

    Parameters
    ----------
    loss_curve : array-like of float of shape (n_epochs,)
        Training loss of every epoch.
    validation_loss_curve : array-like of float of shape (n_epochs,) or None, default=None
        Loss of the validation samples after every epoch.
    estimator_name : str or None, default=None
        Name for the title.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What the curves are drawn on.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.
    lines_ : list of matplotlib.lines.Line2D
        The curves.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from ldlrpp import LDLClassifier, LossCurveDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> model = LDLClassifier(early_stopping=True, random_state=0).fit(X / 16, y)
    >>> LossCurveDisplay.from_estimator(model).ax_.get_ylabel()
    'loss'
    """

    def __init__(self, loss_curve, *, validation_loss_curve=None, estimator_name=None):
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None, **line_kwargs):
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator or transformer of this package, or another one that has a ``loss_curve_``.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None for new axes.
        name : str, default=None
            Name for the title; None for that of the estimator's class.
        **line_kwargs : dict
            Passed to `matplotlib.axes.Axes.plot` for every curve.

        Returns
        -------
        display : LossCurveDisplay
            The display that was drawn.

        Raises
        ------
        ImportError
            If there is no matplotlib.
        ValueError
            If the estimator has no ``loss_curve_``.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        fitted = getattr(estimator, "estimator_", estimator)  # that of a transformer
        if not hasattr(fitted, "loss_curve_"):
            raise ValueError(f"estimator must have a loss_curve_, got {type(estimator).__name__} without one")
        display = cls(
            fitted.loss_curve_,
            validation_loss_curve=getattr(fitted, "validation_loss_curve_", None),
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
        display : LossCurveDisplay
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
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, []
        curves = {"training": self.loss_curve, "validation": self.validation_loss_curve}
        # with warm starts there may have been epochs without validation: its curve ends with the other
        n_epochs = max(len(curve) for curve in curves.values() if curve is not None)
        for label, curve in curves.items():
            if curve is not None and len(curve):
                epochs = np.arange(n_epochs - len(curve), n_epochs) + 1
                self.lines_ += ax.plot(epochs, curve, **{"label": label, **line_kwargs})
        ax.set(xlabel="epoch", ylabel="loss", title=self.estimator_name)
        ax.legend()
        return self


class DocumentationLink:
    """Mixin: the HTML representation links to the documentation that the package's metadata name, if they do."""

    _doc_link_module = "ldlrpp"

    @property
    def _doc_link_template(self):
        try:
            lines = metadata.metadata("ldlrpp").get_all("Project-URL", [])
        except metadata.PackageNotFoundError:  # run from a folder that was not installed
            lines = []
        addresses = dict(line.split(", ", 1) for line in lines)
        return addresses.get("Documentation", "")
