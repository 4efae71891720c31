"""Classification and regression on top of `BaseNetworkEstimator`: labels, losses, scores and predictions."""

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin, _fit_context
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import type_of_target, unique_labels

from ldlrpp.estimators.base import BaseNetworkEstimator, partial_fit_available
from ldlrpp.estimators.undo import all_or_nothing
from ldlrpp.network import AbsoluteError, Huber, Logistic, Poisson, Softmax, SquaredError


class NetworkClassifier(ClassifierMixin, BaseNetworkEstimator):
    """Classifier on top of `BaseNetworkEstimator`.

    Softmax over classes that exclude each other, one logistic output for two classes, one for each of several labels.
    """

    _y_numeric = False
    # of models that were saved before there was any
    label_smoothing = 0.0

    def _targets(self, y, reset, classes):
        if issparse(y):
            raise TypeError(f"y must be a dense array, got {type(y).__name__}")
        if y.ndim == 1 or y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        multilabel = y.ndim == 2
        if multilabel and (type_of_target(y) != "multilabel-indicator" or not np.isin(y, (0, 1)).all()):
            raise ValueError("y must be a column of labels or an indicator matrix of 0 and 1 for several labels")
        if reset:
            self._label_binarizer = LabelBinarizer().fit(y if multilabel or classes is None else classes)
            self.classes_ = self._label_binarizer.classes_
            self._multilabel = multilabel
            self._loss = Softmax() if self._label_binarizer.y_type_ == "multiclass" else Logistic()
        if multilabel != self._multilabel or (multilabel and y.shape[1] != len(self.classes_)):
            wanted = f"(n_samples, {len(self.classes_)})" if self._multilabel else "(n_samples,)"
            raise ValueError(f"y must have shape {wanted} as in the first call, got {y.shape}")
        if multilabel and classes is not None and not np.array_equal(classes, self.classes_):
            raise ValueError(f"classes of a y of several labels must be {self.classes_}, its columns, got {classes}")
        if not multilabel and len(unknown := np.setdiff1d(y, self.classes_)):
            raise ValueError(f"y must hold only the classes {self.classes_}, got {unknown}")
        if multilabel:
            return y
        # what the binarizer gives without its checks: 0.7 of 3 ms of partial_fit for 200 rows of LDL (1024, 1024)
        places = np.searchsorted(self.classes_, y)[:, np.newaxis]
        return places == (np.arange(len(self.classes_)) if len(self.classes_) > 2 else 1)

    def _weights(self, y, sample_weight, y_train):
        if self.class_weight is None:
            return sample_weight
        if isinstance(self.class_weight, str):
            weights = _balanced(y.reshape(len(y), -1), y_train.reshape(len(y_train), -1))
        elif self._multilabel:
            weights = compute_sample_weight(self.class_weight, y)
        else:
            # of all classes, for those of a dict need not all be in this y
            by_class = compute_class_weight(self.class_weight, classes=self.classes_, y=np.ravel(y))
            weights = by_class[np.searchsorted(self.classes_, np.ravel(y))]
        return weights if sample_weight is None else weights * sample_weight

    def _softened(self, targets):
        if not self.label_smoothing:
            return targets
        n_answers = 2 if self._multilabel else max(2, targets.shape[1])
        smoothing = targets.dtype.type(self.label_smoothing)
        return (1 - smoothing) * targets + smoothing / n_answers

    def _score(self, scores, y, sample_weight):
        y = y if self._multilabel else np.ravel(y)
        return accuracy_score(y, self._labels(scores), sample_weight=sample_weight)

    def _stratification(self, y):
        return None if self._multilabel else np.ravel(y)

    def _labels(self, scores):
        probabilities = self._loss.predict(scores)
        return self._label_binarizer.inverse_transform(probabilities.ravel() if self.n_outputs_ == 1 else probabilities)

    @partial_fit_available
    @all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)
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
        return self._labels(self._scores(X))

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
        scores = self._scores(X)
        probabilities = self._loss.predict(scores)
        if len(self.classes_) == 1:
            return np.ones_like(probabilities)
        if self.n_outputs_ == 1:
            return np.hstack([1 - probabilities, probabilities])
        return probabilities

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
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class NetworkRegressor(MultiOutputMixin, RegressorMixin, BaseNetworkEstimator):
    """Regressor on top of `BaseNetworkEstimator`: one output for every target."""

    _y_numeric = True

    def _targets(self, y, reset, classes):
        if issparse(y):
            raise TypeError(f"y must be a dense array, got {type(y).__name__}")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and np.min(y) < 0:
            raise ValueError(f"y must be 0 or more with loss='poisson', got {np.min(y)}")
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
    @_fit_context(prefer_skip_nested_validation=True)
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
        scores = self._scores(X)
        predictions = self._loss.predict(scores)
        return predictions.ravel() if self._y_ndim == 1 else predictions


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
