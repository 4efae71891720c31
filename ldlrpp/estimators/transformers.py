"""The hidden representation of a network, as a scikit-learn transformer."""

from contextlib import contextmanager

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin

from ldlrpp.estimators import devices, parameters
from ldlrpp.estimators.borrowed import fit_context
from ldlrpp.estimators.display import DocumentationLink
from ldlrpp.estimators.inspection import Inspection, Seeds
from ldlrpp.estimators.ldl import LDLClassifier, LDLRegressor
from ldlrpp.estimators.parameters import with_parameters
from ldlrpp.estimators.rpp import RPPClassifier, RPPRegressor
from ldlrpp.estimators.saving import Saved
from ldlrpp.estimators.undo import all_or_nothing


class NetworkTransformer(
    Saved,
    Inspection,
    DocumentationLink,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Transformer that fits a network and gives what its last hidden layer makes of the inputs.

    Callbacks see the fit of ``estimator_``.
    """

    # of transformers saved before there were averages
    average = False

    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the network to data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs. float32 is kept, anything else becomes float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            What the network learns, see ``task``; not used by 'reconstruction'.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            As by the `fit` of ``estimator_``; a call that fails leaves the transformer as it was, as it does there.
        """
        with devices.working(self.device, X, needed=True):
            return self._fit(X, y, sample_weight)

    def _fit(self, X, y, sample_weight):
        task = self.task
        if task == "auto":
            numbers = y is not None and np.issubdtype(devices.dtype_of(y), np.floating)
            task = "reconstruction" if y is None else "regression" if numbers else "classification"
        warm = self.warm_start and hasattr(self, "estimator_")
        if warm and task != self._task:
            raise ValueError(f"task must stay {self._task!r}, what the network has learned, got {task!r}")
        if task == "reconstruction":
            y = None
        elif y is None:
            raise ValueError(f"y must be given with task={task!r}, got None")
        X, y, _ = devices.samples(self, X, y, None, reset=not warm, dtype=None, y_numeric=False)
        if task == "reconstruction":
            y = X.toarray() if issparse(X) else X
            y = y.reshape(-1) if y.shape[1] == 1 else y
        options = {name: value for name, value in self.get_params(deep=False).items() if name != "task"}
        kind = self._classifier if task == "classification" else self._regressor
        estimator = self.estimator_.set_params(**options) if warm else kind(**options)
        self.estimator_, self._task = estimator, task
        with self._callbacks_of(estimator):
            estimator.fit(X, y, sample_weight)
        return self

    @contextmanager
    def _callbacks_of(self, estimator):
        """Let the estimator have the transformer's callbacks, and its place in scikit-learn's tree of tasks."""
        estimator.set_callbacks(*getattr(self, "_skl_callbacks", ()))
        place = {name: value for name, value in vars(self).items() if name == "_parent_callback_ctx"}
        vars(estimator).update(place)
        try:
            yield
        finally:
            estimator.set_callbacks()
            for name in place:
                delattr(estimator, name)

    def transform(self, X):
        """Outputs of the last hidden layer, after its activation.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        hidden : ndarray of shape (n_samples, width)
            A column for every position of the layer.
        """
        return devices.computed(self, X, lambda network, rows: network.hidden(rows))

    @property
    def network_(self):
        return self.estimator_.network_

    @property
    def n_iter_(self):
        return self.estimator_.n_iter_

    @property
    def _n_features_out(self):
        return self.estimator_.network_.layers[-1].n_inputs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


@with_parameters(parameters.LDL_WIDTHS, parameters.LDL, parameters.TRANSFORMER, parameters.NETWORK)
class LDLTransformer(NetworkTransformer):
    """Features that a network with less dense layers has learned: the outputs of its last hidden layer.

    The network is that of `LDLClassifier` or `LDLRegressor`; which, and what it learns, ``task`` says.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    estimator_ : LDLClassifier or LDLRegressor
        The network that was fitted, with attributes of its own.
    network_ : ldlrpp.network.Network
        Its network, the output layer included.
    n_iter_ : int
        Number of epochs of the last fit.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where ``X`` has string names for all.

    See Also
    --------
    RPPTransformer : Few weights, seen through many permutations.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from ldlrpp import LDLTransformer
    >>> X, y = load_digits(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), LDLTransformer((256,), random_state=0), KNeighborsClassifier())
    >>> model.fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.9
    True
    >>> model[-2].get_feature_names_out()[:2]
    array(['ldltransformer0', 'ldltransformer1'], dtype=object)
    """

    _classifier, _regressor = LDLClassifier, LDLRegressor
    # of transformers saved before there were others
    radix = 2


@with_parameters(parameters.RPP_WIDTHS, parameters.RPP, parameters.TRANSFORMER, parameters.NETWORK)
class RPPTransformer(Seeds, NetworkTransformer):
    """Features that a network with randomly permuted parameters has learned: the outputs of its last hidden layer.

    The network is that of `RPPClassifier` or `RPPRegressor`; which, and what it learns, ``task`` says.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    estimator_ : RPPClassifier or RPPRegressor
        The network that was fitted, with attributes of its own.
    network_ : ldlrpp.network.Network
        Its network, the output layer included.
    seeds_ : list of int
        The seed of every hidden layer's permutations, what `ldlrpp.kernels.rpp_permutation` takes.
    n_iter_ : int
        Number of epochs of the last fit.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where ``X`` has string names for all.

    See Also
    --------
    LDLTransformer : A butterfly of log2 N stages for every hidden layer.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from ldlrpp import RPPTransformer
    >>> X, y = load_digits(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), RPPTransformer((200,), random_state=0), KNeighborsClassifier())
    >>> model.fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.9
    True
    >>> model[-2].transform(model[:1].transform(X)).shape
    (1797, 200)
    """

    _classifier, _regressor = RPPClassifier, RPPRegressor
    # of transformers saved before there were any
    signs = False
