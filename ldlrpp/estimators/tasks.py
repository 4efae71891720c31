"""Classification and regression on top of `BaseNetworkEstimator`: labels, losses, scores and predictions."""

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import type_of_target, unique_labels

from ldlrpp.estimators import devices
from ldlrpp.estimators.base import BaseNetworkEstimator, partial_fit_available
from ldlrpp.estimators.borrowed import fit_context
from ldlrpp.estimators.messages import warn
from ldlrpp.estimators.undo import all_or_nothing
from ldlrpp.kernels import backend
from ldlrpp.network import AbsoluteError, Huber, Logistic, Poisson, Softmax, SquaredError


class _Scored:
    def score(self, X, y, sample_weight=None):
        """The score of predictions: a classifier's accuracy, a regressor's coefficient of determination R².

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The labels or the target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            Part of the samples whose labels, all of them, are predicted, or R², the mean of those of several outputs.
        """
        predictions, y, sample_weight = map(devices.host, (self.predict(X), y, sample_weight))
        return self._metric(y, predictions, sample_weight=sample_weight)


class NetworkClassifier(_Scored, ClassifierMixin, BaseNetworkEstimator):
    """Classifier on top of `BaseNetworkEstimator`.

    Softmax over classes that exclude each other, one logistic output for two classes, one for each of several labels.
    """

    _y_numeric, _metric = False, staticmethod(accuracy_score)
    # of models that were saved before there was any
    label_smoothing = 0.0

    def _targets(self, y, reset, classes):
        if issparse(y):
            raise TypeError(f"y must be a dense array, got {type(y).__name__}")
        y = _column(y) if y.ndim == 1 or y.shape[1] == 1 else y
        multilabel = y.ndim == 2
        if reset:
            if multilabel:
                self.classes_ = np.arange(y.shape[1])
            elif classes is not None:
                self.classes_ = classes
            else:
                labels = _distinct(y) if backend.on_gpu(y) else y
                if (kind := type_of_target(labels, input_name="y")) not in ("binary", "multiclass"):
                    raise ValueError(f"Unknown label type: {kind}; y must hold classes, not numbers of any value")
                self.classes_ = unique_labels(labels)
            self._multilabel = multilabel
            self._loss = Logistic() if multilabel or len(self.classes_) < 3 else Softmax()
        labels = _distinct(y) if not multilabel or y.dtype.kind in "biuf" else None
        if multilabel and (labels is None or not np.isin(labels, (0, 1)).all()):
            raise ValueError("y must be a column of labels or an indicator matrix of 0 and 1 for several labels")
        if multilabel != self._multilabel or (multilabel and y.shape[1] != len(self.classes_)):
            wanted = f"(n_samples, {len(self.classes_)})" if self._multilabel else "(n_samples,)"
            raise ValueError(f"y must have shape {wanted} as in the first call, got {y.shape}")
        if multilabel and classes is not None and not np.array_equal(classes, self.classes_):
            raise ValueError(f"classes of a y of several labels must be {self.classes_}, its columns, got {classes}")
        if not multilabel and len(unknown := np.setdiff1d(labels, self.classes_)):
            raise ValueError(f"y must hold only the classes {self.classes_}, got {unknown}")
        if multilabel:
            return y
        # what the binarizer gives without its checks: 0.7 of 3 ms of partial_fit for 200 rows of LDL (1024, 1024)
        columns = np.arange(len(self.classes_)) if len(self.classes_) > 2 else np.ones(1, int)
        return self._places(y).reshape(-1, 1) == backend.of(y).memory.put(columns)

    def _places(self, y):
        """The number of the class of every label in ``y``, where that is."""
        memory, classes = backend.of(y).memory, self.classes_
        # CuPy does not search booleans
        classes = classes.astype(np.int8) if classes.dtype == bool else classes
        return memory.xp.searchsorted(memory.put(classes), y.astype(classes.dtype, copy=False))

    def _weights(self, y, sample_weight, y_train):
        if self.class_weight is None:
            return sample_weight
        y, y_train = devices.host(y), devices.host(y_train)
        if isinstance(self.class_weight, str):
            weights = _balanced(y.reshape(len(y), -1), y_train.reshape(len(y_train), -1))
        elif self._multilabel:
            weights = compute_sample_weight(self.class_weight, y)
        else:
            # of all classes, for those of a dict need not all be in this y
            by_class = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_)
            weights = by_class[np.searchsorted(self.classes_, np.ravel(y))]
        return weights if sample_weight is None else weights * sample_weight

    def _softened(self, targets):
        if not self.label_smoothing:
            return targets
        n_answers = 2 if self._multilabel else max(2, targets.shape[1])
        smoothing = targets.dtype.type(self.label_smoothing)
        return targets * (1 - smoothing) + smoothing / n_answers

    def _score(self, scores, y, sample_weight):
        y = y if self._multilabel else np.ravel(y)
        return accuracy_score(y, self._labels(scores), sample_weight=sample_weight)

    def _stratification(self, y):
        return None if self._multilabel else np.ravel(devices.host(y))

    def _labels(self, scores):
        kernels = backend.of(scores)
        memory, probabilities = kernels.memory, self._loss.predict(scores, kernels)
        if self._multilabel:
            return (probabilities > 0.5).astype(int)
        if self.n_outputs_ > 1:
            places = probabilities.argmax(axis=1)
        else:
            places = (probabilities.reshape(-1) > 0.5) * (len(self.classes_) - 1)
        if self.classes_.dtype.kind in "biuf":
            return memory.put(self.classes_)[places]
        return self.classes_[memory.get(places)]

    def _probabilities(self, scores):
        kernels = backend.of(scores)
        probabilities = self._loss.predict(scores, kernels)
        if len(self.classes_) == 1:
            return kernels.memory.xp.ones_like(probabilities)
        if self.n_outputs_ == 1:
            return kernels.memory.xp.hstack([1 - probabilities, probabilities])
        return probabilities

    def _log_probabilities(self, scores):
        with np.errstate(divide="ignore"):
            return backend.of(scores).memory.xp.log(self._probabilities(scores))

    @partial_fit_available
    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train for one epoch on a part of the data.

        Parameters of training that were changed since the last call (``solver``, ``learning_rate`` and
        ``learning_rate_init``, ``max_iter``, moments, penalties, ...) apply from here on. An optimiser of the same kind
        keeps its moments, another one begins without; a learning rate keeps the count of epochs; another
        ``random_state`` begins a new random stream. What is built into the network must stay. A call that fails changes
        nothing.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss.
        classes : array-like of shape (n_classes,), default=None
            All classes that any call will see. Needed at the first call; later it may be left out.

        Returns
        -------
        self : object
            The estimator, trained further.
        """
        if self.class_weight == "balanced":
            raise ValueError("class_weight='balanced' is not for partial_fit: pass a dict of weights, or sample_weight")
        if classes is not None:
            classes = unique_labels(classes)
        if not hasattr(self, "network_"):
            if classes is None:
                raise ValueError("classes must be given at the first call of partial_fit, got None")
        elif classes is not None and not np.array_equal(classes, self.classes_):
            raise ValueError(f"classes must stay {self.classes_} at every call of partial_fit, got {classes}")
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The most probable class of every sample, or the indicator matrix of its labels.
        """
        return self._predicted(X, self._labels)

    def predict_proba(self, X):
        """Predict probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probability of every class, in the order of ``classes_``; with several labels, of each label.
        """
        return self._predicted(X, self._probabilities)

    def predict_log_proba(self, X):
        """Predict the logarithms of probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            The logarithm of what `predict_proba` gives.
        """
        return self._predicted(X, self._log_probabilities)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class NetworkRegressor(_Scored, MultiOutputMixin, RegressorMixin, BaseNetworkEstimator):
    """Regressor on top of `BaseNetworkEstimator`: one output for every target."""

    _y_numeric, _metric = True, staticmethod(r2_score)

    def _targets(self, y, reset, classes):
        if issparse(y):
            raise TypeError(f"y must be a dense array, got {type(y).__name__}")
        if y.ndim == 2 and y.shape[1] == 1:
            y = _column(y)
        if self.loss == "poisson" and (least := y.min()) < 0:
            raise ValueError(f"y must be 0 or more with loss='poisson', got {least}")
        if reset:
            self._loss = {
                "squared_error": SquaredError,
                "absolute_error": AbsoluteError,
                "huber": lambda: Huber(self.huber_delta),
                "poisson": Poisson,
            }[self.loss]()
            self._y_ndim = y.ndim
        return y.reshape(len(y), -1)

    def _weights(self, y, sample_weight, y_train):
        return sample_weight

    def _score(self, scores, y, sample_weight):
        predictions = self._loss.predict(scores).reshape(y.shape)
        return r2_score(y, predictions, sample_weight=sample_weight) if np.isfinite(predictions).all() else np.nan

    @partial_fit_available
    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Train for one epoch on a part of the data.

        Parameters of training that were changed since the last call (``solver``, ``learning_rate`` and
        ``learning_rate_init``, ``max_iter``, moments, penalties, ...) apply from here on. An optimiser of the same kind
        keeps its moments, another one begins without; a learning rate keeps the count of epochs; another
        ``random_state`` begins a new random stream. What is built into the network must stay. A call that fails changes
        nothing.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss.

        Returns
        -------
        self : object
            The estimator, trained further.
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X):
        """Predict target values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predictions, of the shape of the targets that were fitted.
        """
        return self._predicted(X, self._values)

    def _values(self, scores):
        predictions = self._loss.predict(scores, backend.of(scores))
        return predictions.reshape(-1) if self._y_ndim == 1 else predictions


def _column(y):
    """A column of numbers or labels as an array of one axis, with scikit-learn's warning if it was one of two."""
    if not backend.on_gpu(y):
        return column_or_1d(y, warn=True)
    if y.ndim == 2:
        warn("A column-vector y was passed when a 1d array was expected.", DataConversionWarning)
    return y.reshape(-1)


def _distinct(y):
    """The labels that are in ``y``, as a NumPy array."""
    memory = backend.of(y).memory
    return memory.get(memory.xp.unique(y))


def _balanced(y, y_train):
    """Weights that make all classes of a column of ``y_train`` count the same; of several columns the product.

    A label that ``y_train`` does not have, in validation samples after a warm start on other classes, weighs 1.
    """
    weights = np.ones(len(y))
    for labels, labels_train in zip(y.T, y_train.T, strict=True):
        classes = np.unique(labels_train)
        by_class = compute_class_weight("balanced", classes=classes, y=labels_train)
        places = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
        weights *= np.where(classes[places] == labels, by_class[places], 1.0)
    return weights
