"""What the four estimators share: validation, fit, partial_fit and predict around a `ldlrpp.network.Network`."""

import warnings
from abc import ABC, abstractmethod
from numbers import Integral, Real

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from ldlrpp.network import SGD, Adam, Dense, Logistic, Network, Softmax, SquaredError, epochs


class BaseNetworkEstimator(BaseEstimator, ABC):
    """Fits a network whose hidden layers are made by `_hidden_layers` and whose last layer is dense.

    Subclasses take, besides parameters of their own, those of `_parameter_constraints`, which mean what they mean in
    `sklearn.neural_network.MLPClassifier`.
    """

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's convention
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"identity", "logistic", "tanh", "relu"})],
        "solver": [StrOptions({"adam", "sgd"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    }

    @abstractmethod
    def _hidden_layers(self, n_inputs, widths, rng, dtype):
        """Layers of `ldlrpp.network` of the widths, with initial parameters."""

    @abstractmethod
    def _targets(self, y, reset, classes):
        """Targets (n_samples, n_outputs) of validated ``y``; with ``reset``, set the loss that takes them."""

    def _hidden_widths(self):
        sizes = self.hidden_layer_sizes
        widths = [sizes] if isinstance(sizes, Integral) else list(sizes)
        if not all(isinstance(width, Integral) and width >= 1 for width in widths):
            raise ValueError(f"hidden_layer_sizes must be integers of 1 or more, got {sizes!r}")
        return [int(width) for width in widths]

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Fit the network to data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs. float32 is kept, anything else becomes float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets: class labels (or a binary indicator matrix of several labels) for a classifier, numbers for a
            regressor.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        X, targets = self._start(X, y, reset=True)
        no_improvement = 0
        try:
            for loss in self._epochs(X, targets):
                self._end_epoch(loss, len(X))
                no_improvement = no_improvement + 1 if loss > self.best_loss_ - self.tol else 0
                self.best_loss_ = min(self.best_loss_, loss)
                if no_improvement > self.n_iter_no_change:
                    if self.verbose:
                        print(
                            f"Training loss did not improve more than tol={self.tol:g} for {self.n_iter_no_change} "
                            "consecutive epochs. Stopping."
                        )
                    break
                if self.n_iter_ == self.max_iter:
                    warnings.warn(
                        f"Maximum iterations ({self.max_iter}) reached and the optimization hasn't converged yet.",
                        ConvergenceWarning,
                        stacklevel=3,
                    )
                    break
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=3)
        self._check_finite()
        return self

    def _partial_fit(self, X, y, classes=None):
        X, targets = self._start(X, y, reset=not hasattr(self, "network_"), classes=classes)
        loss = next(self._epochs(X, targets))
        self._end_epoch(loss, len(X))
        self.best_loss_ = min(self.best_loss_, loss)
        self._check_finite()
        return self

    def _start(self, X, y, reset, classes=None):
        """Validated data; with ``reset``, also a new network, optimiser and history."""
        widths = self._hidden_widths()
        X, y = validate_data(
            self,
            X,
            y,
            reset=reset,
            dtype=(np.float64, np.float32) if reset else self._dtype,
            order="C",
            multi_output=True,
            y_numeric=self._y_numeric,
        )
        targets = self._targets(y, reset, classes)
        if reset:
            random_state = check_random_state(self.random_state)
            self._rng = np.random.default_rng(random_state.randint(2**32, size=4, dtype=np.uint32))
            self.n_outputs_ = targets.shape[1]
            self.network_ = Network(
                [
                    *self._hidden_layers(X.shape[1], widths, self._rng, X.dtype),
                    Dense([X.shape[1], *widths][-1], self.n_outputs_, rng=self._rng, dtype=X.dtype),
                ],
                self.activation,
            )
            self._optimizer = self._make_optimizer()
            self.n_layers_ = len(widths) + 2
            self.out_activation_ = self._loss.activation
            self.n_parameters_ = self.network_.n_parameters
            self.n_parameters_dense_ = self.network_.n_parameters_dense
            self.n_iter_ = self.t_ = 0
            self.loss_curve_ = []
            self.loss_ = self.best_loss_ = np.inf
        elif targets.shape[1] != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} outputs as in the first call, got {targets.shape[1]}")
        return X, targets.astype(self._dtype, copy=False)

    @property
    def _dtype(self):
        return self.network_.parameters()[0].dtype

    def _make_optimizer(self):
        if self.solver == "sgd":
            return SGD(learning_rate=self.learning_rate_init, momentum=self.momentum, nesterov=self.nesterovs_momentum)
        return Adam(learning_rate=self.learning_rate_init, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon)

    def _epochs(self, X, targets):
        batch_size = min(200, len(X)) if self.batch_size == "auto" else self.batch_size
        if batch_size > len(X):
            warnings.warn(f"batch_size={batch_size} is larger than the {len(X)} samples; it is cut.", stacklevel=4)
        return epochs(
            self.network_,
            self._loss,
            self._optimizer,
            X,
            targets,
            alpha=self.alpha,
            batch_size=min(batch_size, len(X)),
            shuffle=self.shuffle,
            rng=self._rng,
        )

    def _end_epoch(self, loss, n_samples):
        if not np.isfinite(loss):
            self._raise_diverged()
        self.loss_ = loss
        self.loss_curve_.append(loss)
        self.n_iter_ += 1
        self.t_ += n_samples
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {loss:.8f}", flush=True)

    def _check_finite(self):
        if not all(np.isfinite(array).all() for array in self.network_.parameters()):
            self._raise_diverged()

    def _raise_diverged(self):
        raise ValueError(
            f"Training diverged in epoch {self.n_iter_ + 1}: the loss or the parameters are not finite. "
            "The input may hold large values that want scaling, or learning_rate_init may be too high."
        )

    def _predictions(self, X):
        """What the loss makes of the scores, (n_samples, n_outputs)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=self._dtype, order="C")
        return self._loss.predict(self.network_.scores(X))


class NetworkClassifier(ClassifierMixin, BaseNetworkEstimator):
    """Classifier on top of `BaseNetworkEstimator`.

    Softmax over classes that exclude each other, one logistic output for two classes, one for each of several labels.
    """

    _y_numeric = False

    def _targets(self, y, reset, classes):
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
        return self._label_binarizer.transform(y)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, *, classes=None):
        """Train for one epoch on a part of the data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The labels.
        classes : array-like of shape (n_classes,), default=None
            All classes that any call will see. Needed at the first call; later it may be left out.

        Returns
        -------
        self : object
            The estimator, trained further.
        """
        if classes is not None:
            classes = unique_labels(classes)
        if not hasattr(self, "network_"):
            if classes is None:
                raise ValueError("classes must be given at the first call of partial_fit, got None")
        elif classes is not None and not np.array_equal(classes, self.classes_):
            raise ValueError(f"classes must stay {self.classes_} at every call of partial_fit, got {classes}")
        return self._partial_fit(X, y, classes)

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The most probable class of every sample, or the indicator matrix of its labels.
        """
        probabilities = self._predictions(X)
        if self.n_outputs_ == 1:
            probabilities = probabilities.ravel()
        return self._label_binarizer.inverse_transform(probabilities)

    def predict_proba(self, X):
        """Predict probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probability of every class, in the order of ``classes_``; with several labels, of each label.
        """
        probabilities = self._predictions(X)
        if len(self.classes_) == 1:
            return np.ones_like(probabilities)
        if self.n_outputs_ == 1:
            return np.hstack([1 - probabilities, probabilities])
        return probabilities

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class NetworkRegressor(MultiOutputMixin, RegressorMixin, BaseNetworkEstimator):
    """Regressor on top of `BaseNetworkEstimator`: squared error, one output for every target."""

    _y_numeric = True

    def _targets(self, y, reset, classes):
        if issparse(y):
            raise TypeError(f"y must be a dense array, got {type(y).__name__}")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if reset:
            self._loss = SquaredError()
            self._y_ndim = y.ndim
        return y.reshape(len(y), -1)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y):
        """Train for one epoch on a part of the data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values.

        Returns
        -------
        self : object
            The estimator, trained further.
        """
        return self._partial_fit(X, y)

    def predict(self, X):
        """Predict target values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predictions, of the shape of the targets that were fitted.
        """
        predictions = self._predictions(X)
        return predictions.ravel() if self._y_ndim == 1 else predictions
