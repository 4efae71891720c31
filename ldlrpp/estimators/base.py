"""What the estimators share: validation, fit, partial_fit and predict around a `ldlrpp.network.Network`."""

import copy
import logging
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from ldlrpp.estimators import devices
from ldlrpp.estimators.borrowed import check_optimize_result, fit_context
from ldlrpp.estimators.checkpoint import Checkpoint
from ldlrpp.estimators.display import DocumentationLink
from ldlrpp.estimators.inspection import Inspection
from ldlrpp.estimators.layers import build, same_layers
from ldlrpp.estimators.messages import warn
from ldlrpp.estimators.parameters import LDL, RPP
from ldlrpp.estimators.run import Run
from ldlrpp.estimators.saving import Saved
from ldlrpp.estimators.undo import ClusterLost, DeviceLost, Diverged, all_or_nothing
from ldlrpp.kernels import backend
from ldlrpp.kernels.cpu import heap, threads
from ldlrpp.kernels.cpu.threads import kernel_threads
from ldlrpp.network import SGD, Adam, Average, Data, Dense, Network, Schedule, epochs, fit_lbfgs

_logger = logging.getLogger("ldlrpp")
# What ``average=True`` means: the largest decay of averaged weights, and how many epochs they reach back at most. (With
# three calls of partial_fit examples/stream.py follows a change of the rule as soon as without averages.)
_AVERAGE = 0.998, 3
# Parameters that are built into a network: they must stay where one is trained further.
_STRUCTURE = ("activation", "loss", "huber_delta", *LDL, *RPP)

# What training changes in place.
_TRAINED = "network_", "_schedule", "_rng", "loss_curve_", "validation_scores_", "validation_loss_curve_"


def _takes_steps(self):
    if self.solver == "lbfgs":
        raise AttributeError("partial_fit is for solvers that take a step for every minibatch, not for 'lbfgs'")
    return True


class BaseNetworkEstimator(Saved, Inspection, DocumentationLink, CallbackSupportMixin, BaseEstimator, ABC):
    """Fits a network whose hidden layers are those of `_described_layers` and whose last layer is dense.

    Subclasses get their parameters, which mean what they mean in `sklearn.neural_network.MLPClassifier`, from
    `ldlrpp.estimators.parameters`.
    """

    # of models that were saved before there were averages
    average, _average = False, Average(0.0)

    @abstractmethod
    def _described_layers(self):
        """The hidden layers, as `ldlrpp.estimators.layers.build` takes them, from checked parameters."""

    @abstractmethod
    def _targets(self, y, reset, classes):
        """Targets (n_samples, n_outputs) of validated ``y``; with ``reset``, set the loss that takes them."""

    @abstractmethod
    def _weights(self, y, sample_weight, y_train):
        """The weights of samples in the loss, None for ones; those of classes may follow from ``y_train``."""

    @abstractmethod
    def _score(self, scores, y, sample_weight):
        """The score of predictions from the network's scores."""

    def _softened(self, targets):
        """The targets of training, from those that there are."""
        return targets

    def _stratification(self, y):
        """What the split of validation samples is stratified by."""
        return None

    # --- Training ----------------------------------------------------------------------------------------------------

    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Fit the network to data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs. float32 is kept, anything else becomes float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets: class labels (or a binary indicator matrix of several labels) for a classifier, numbers for a
            regressor.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss.
        X_val, y_val : as ``X`` and ``y``, default=None
            Validation samples: their loss and score are recorded after every epoch, and decide when to stop with
            ``early_stopping``.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Weights of the validation samples in their loss and score.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data or a parameter will not do, or training diverged. After that, as after any other error, the
            estimator is what it was before the call; but training that diverged after some epochs keeps the weights of
            the last one that did not, or the best ones with ``early_stopping``, as the message says.
        RuntimeError
            If ``device`` asks for a GPU and none can be used, as the message says; or if the GPU fails, which after
            some epochs leaves what training that diverges does.
        MemoryError
            If the GPU has too little memory for the network and a batch; the estimator is what it was before the call.
        """
        with self._working(X) as kernels:
            return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, kernels)

    def _fit(self, X, y, sample_weight, X_val, y_val, sample_weight_val, kernels):
        checkpoint, counts = Checkpoint(self, kernels), threads.counted()
        reset = not (self.warm_start and hasattr(self, "network_"))
        X, y, data = self._start(X, y, sample_weight, reset=reset, entropy=checkpoint.entropy)
        validation = None
        if X_val is not None or y_val is not None:
            validation = self._validation_samples(X_val, y_val, sample_weight_val, y)
        elif sample_weight_val is not None:
            raise ValueError("sample_weight_val needs X_val and y_val")
        elif self.early_stopping:
            data, validation = self._split(data, y)
        if validation is not None:
            self.validation_scores_ = self.validation_scores_ or []
            self.validation_loss_curve_ = self.validation_loss_curve_ or []
            self.best_validation_score_ = -np.inf
        context = self._init_callback_context(max_subtasks=self.max_iter - checkpoint.n_epochs)
        task = {"estimator": self, "X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
        context.call_on_fit_task_begin(**task)
        checkpoint.begin(self, data, validation)
        run = Run(self, kernels)
        run.remember(self)
        checkpoint.begin_run(self, run)
        data = replace(data, targets=self._softened(data.targets))
        if validation is not None:
            held_out, y_held_out = validation
            # all of them, if they fit beside the data of training, or none: a loss wants targets where scores are
            room = run.network.data_budget(self._batch_rows(run.network, len(data))) - data.n_bytes(kernels)
            placed = held_out.on(kernels, room)
            if not placed.n_bytes(kernels):
                validation = placed, y_held_out
        try:
            try:
                if self.solver == "lbfgs":
                    self._fit_lbfgs(data, validation, run, context, task)
                elif not checkpoint.finished:
                    ended = self._fit_epochs(data, validation, run, context, task, checkpoint)
                    checkpoint.end_epoch(self, run, finished=ended, always=True)
            except KeyboardInterrupt:
                threads.put_back(counts)
                warn("Training interrupted by user.")
                run.bring_parameters(self)
                # where the line search of 'lbfgs' was is no place to stay at
                if self.solver == "lbfgs" or not self._is_finite():
                    self._go_back(run)
            run.bring_state(self)
        except (Diverged, ClusterLost) as error:
            raise self._kept(run, error) from error.__cause__
        except kernels.memory.errors() as error:
            if kernels.memory.is_full(error):
                raise
            raise self._kept(run, DeviceLost.of(error)) from error
        finally:
            if run.best is not None:
                run.restore_best(self)
        context.call_on_fit_task_end(**task, reconstruction_attributes=lambda: self._trained_copies(run))
        return self

    def _partial_fit(self, X, y, sample_weight, classes=None):
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if hasattr(self, "network_") and any(
            value is not self._parameters.get(name) for name, value in self._given_parameters().items()
        ):
            self._validate_params()  # which scikit-learn does for fit, and for the first partial_fit only
        with self._working(X) as kernels:
            return self._train_further(X, y, sample_weight, classes, kernels)

    def _machine(self, kernels):
        """Where it is trained, for what goes on only there."""
        return "the processor" if kernels is backend.cpu else "a GPU"

    @contextmanager
    def _working(self, X):
        """Context of training on ``X``: gives the kernels that a `Run` trains with."""
        with devices.working(self.device, X, needed=True) as kernels, kernel_threads(self.n_jobs), heap.keeping():
            yield kernels

    def _train_further(self, X, y, sample_weight, classes, kernels):
        _, _, data = self._start(X, y, sample_weight, reset=not hasattr(self, "network_"), classes=classes, new=False)
        if self._schedule.ended:
            warn(
                f"learning_rate={self.learning_rate!r} has come to its end after {self._schedule.n_epochs} epochs: "
                "further training changes next to nothing. max_iter is the number of epochs that it is made for."
            )
        run = Run(self, kernels)
        loss = next(self._epochs(replace(data, targets=self._softened(data.targets)), run))
        run.bring_parameters(self)
        self._end_epoch(loss, len(data))
        self._note_loss()
        run.bring_state(self)
        return self

    def _given_parameters(self):
        return {name: getattr(self, name) for name in self._parameter_constraints}

    def _start(self, X, y, sample_weight, reset, classes=None, new=True, entropy=None):
        """Validated data; with ``reset``, also a new network and history, with ``new`` a new optimiser.

        What is not new goes on from where it was, as today's parameters want it. ``entropy`` is where a random stream
        began that is to be begun again.
        """
        described = self._described_layers()
        if self.solver == "lbfgs" and (self.dropout or self.max_grad_norm is not None):
            raise ValueError(
                "solver='lbfgs' has no steps for dropout and max_grad_norm to act on; they must be 0 and None"
            )
        # what is compared, and what is shown
        structure = {name: (_fixed(getattr(self, name)),) * 2 for name in _STRUCTURE if hasattr(self, name)}
        structure[self._layers_parameter] = described, copy.deepcopy(getattr(self, self._layers_parameter))
        if not reset:
            for name, (value, shown) in self._structure.items():
                asked = structure[name][0]
                is_layers = name == self._layers_parameter
                if not (same_layers(value, asked, self._older) if is_layers else value == asked):
                    raise ValueError(f"{name} must stay {shown!r}, what the network has, got {structure[name][1]!r}")
        X, y, sample_weight = self._samples(X, y, sample_weight, reset)
        targets = self._targets(y, reset, classes)
        weights = self._weights(y, sample_weight, y)
        _check_not_all_zero(weights, "sample_weight, times class_weight, must not be zero for all samples")
        if reset:
            self._structure = structure
            self._begin_random_stream(entropy)
            self._make_network(X, targets.shape[1], described)
        elif targets.shape[1] != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} outputs as in the first call, got {targets.shape[1]}")
        if not reset and not _same(self.random_state, self._parameters["random_state"]):
            self._begin_random_stream()
        optimizer, schedule, average = self._make_optimizer(), self._make_schedule(), self._make_average()
        if not (reset or new):
            if type(optimizer) is type(self._optimizer):
                optimizer.resume(self._optimizer.state)
            schedule.resume(self._schedule.state)
        if not reset and self.solver != "lbfgs":
            (average.restart if new else average.resume)(self._average.state)
        self._optimizer, self._schedule, self._average = optimizer, schedule, average
        self._parameters = self._given_parameters()
        if reset or new:
            self.n_iter_ = 0
            if self.early_stopping:
                self.best_loss_ = None
        return X, y, self._data(X, targets, weights)

    def _samples(self, X, y, sample_weight, reset, weight_name="sample_weight"):
        """Validated inputs, targets and weights."""
        dtype = None if reset else self._dtype
        return devices.samples(
            self, X, y, sample_weight, reset=reset, dtype=dtype, y_numeric=self._y_numeric, weight_name=weight_name
        )

    def _begin_random_stream(self, entropy=None):
        drawn = check_random_state(self.random_state).randint(2**32, size=4, dtype=np.uint32)
        self._entropy = drawn.tolist() if entropy is None else entropy
        self._rng = np.random.default_rng(self._entropy)

    def _make_network(self, X, n_outputs, described):
        self.n_outputs_ = n_outputs
        hidden = list(build(described, X.shape[1], activation=self.activation, rng=self._rng, dtype=X.dtype))
        n_hidden = hidden[-1].n_outputs if hidden else X.shape[1]
        self.network_ = Network(
            [*hidden, Dense(n_hidden, n_outputs, rng=self._rng, dtype=X.dtype)],
            self.activation,
        )
        self.n_layers_ = len(hidden) + 2
        self.out_activation_ = self._loss.activation
        self.n_parameters_ = self.network_.n_parameters
        self.n_parameters_dense_ = self.network_.n_parameters_dense
        self.t_ = 0
        self.loss_curve_ = []
        self.loss_ = np.inf
        self.best_loss_ = None
        self.validation_scores_ = self.validation_loss_curve_ = self.best_validation_score_ = None

    def _data(self, X, targets, weights):
        memory = backend.of(X).memory
        targets = memory.contiguous(memory.put(targets).astype(self._dtype, copy=False))
        return Data(X, targets, None if weights is None else memory.put(weights))

    def _validation_samples(self, X_val, y_val, sample_weight_val, y_train):
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val must be given together")
        devices.check_place(self.device, "X_val", X_val)
        X, y, sample_weight = self._samples(X_val, y_val, sample_weight_val, False, "sample_weight_val")
        targets = self._targets(y, False, None)
        if targets.shape[1] != self.n_outputs_:
            raise ValueError(f"y_val must have {self.n_outputs_} outputs like y, got {targets.shape[1]}")
        weights = self._weights(y, sample_weight, y_train)
        _check_not_all_zero(weights, "sample_weight_val, times class_weight, must not be zero for all of X_val")
        return self._data(X, targets, weights), devices.host(y)

    def _split(self, data, y):
        """Training data, and validation data with their ``y``."""
        split = {"test_size": self.validation_fraction, "random_state": int(self._rng.integers(2**31))}
        classes = self._stratification(y)
        try:
            train, held_out = train_test_split(np.arange(len(data)), stratify=classes, **split)
        except ValueError:
            if classes is None:
                raise
            # a class of one sample, or more classes than validation samples
            self._say("Validation samples are not stratified: some classes have too few samples.")
            train, held_out = train_test_split(np.arange(len(data)), **split)
        if len(held_out) < 2:
            raise ValueError(
                f"validation_fraction must leave two samples or more for validation, got {self.validation_fraction} "
                f"of {len(data)} samples"
            )
        train_data, validation_data = data.part(train), data.part(held_out)
        for part, use in ((train_data, "leaves for training"), (validation_data, "sets aside")):
            _check_not_all_zero(
                part.weights,
                "sample_weight, times class_weight, must not be zero for all samples that early stopping "
                f"(validation_fraction={self.validation_fraction}) {use}",
            )
        return train_data, (validation_data, devices.host(y)[held_out])

    def _make_optimizer(self):
        if self.solver == "sgd":
            return SGD(learning_rate=self.learning_rate_init, momentum=self.momentum, nesterov=self.nesterovs_momentum)
        return Adam(
            learning_rate=self.learning_rate_init,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay if self.solver == "adamw" else 0.0,
        )

    def _make_schedule(self):
        return Schedule(self.learning_rate, self.learning_rate_init, power_t=self.power_t, n_epochs=self.max_iter)

    def _make_average(self):
        return Average(*{True: _AVERAGE, False: (0.0,)}.get(self.average, (self.average,)))

    def _batch_rows(self, network, n_samples):
        """Rows that training takes at a time."""
        # an int8, which counts as an integer, would overflow
        wanted = 200 if self.batch_size == "auto" else int(self.batch_size)
        return min(network.chunk_rows(backward=True) if self.solver == "lbfgs" else wanted, n_samples)

    def _epochs(self, data, run, reduce=None):
        n_samples = len(data) if reduce is None else sum(reduce.n_rows)
        if self.batch_size != "auto" and self.batch_size > n_samples:
            warn(f"batch_size={self.batch_size} is larger than the {n_samples} samples; it is cut.")
        return epochs(
            run.network,
            self._loss,
            run.optimizer,
            data,
            schedule=self._schedule,
            average=run.average,
            alpha=self.alpha,
            dropout=self.dropout,
            max_norm=self.max_grad_norm,
            batch_size=self._batch_rows(run.network, n_samples),
            shuffle=self.shuffle,
            rng=self._rng,
            reduce=reduce,
        )

    def _fit_epochs(self, data, validation, run, context, task, checkpoint):
        """Returns whether training has come to its end, and was not stopped by a callback."""
        training = self._epochs(data, run)
        while self.n_iter_ < self.max_iter:
            epoch = context.subcontext(task_name="epoch")
            epoch.call_on_fit_task_begin(**task)
            loss = next(training)
            run.bring_parameters(self)
            self._end_epoch(loss, len(data))
            run.remember(self)
            message = self._no_improvement(validation, run)
            if epoch.call_on_fit_task_end(**task, reconstruction_attributes=lambda: self._trained_copies(run)):
                self._say("A callback stopped training.")
                return False
            if message:
                if not self._schedule.no_improvement():
                    self._say(f"{message} Stopping.")
                    return True
                self._say(f"{message} Setting learning rate to {self._schedule.rate():g}.")
                run.n_no_improvement = 0
            checkpoint.end_epoch(self, run)
        if not self._schedule.ends:
            warn(
                f"Maximum iterations ({self.max_iter}) reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
            )
        return True

    def _fit_lbfgs(self, data, validation, run, context, task):
        def after(loss):
            epoch = context.subcontext(task_name="iteration")
            epoch.call_on_fit_task_begin(**task)
            run.bring_parameters(self)
            self._end_epoch(loss, len(data))
            run.remember(self)
            message = self._no_improvement(validation, run)
            if epoch.call_on_fit_task_end(**task, reconstruction_attributes=lambda: self._trained_copies(run)):
                self._say("A callback stopped training.")
                raise StopIteration
            if message and self.early_stopping:
                self._say(f"{message} Stopping.")
                raise StopIteration

        result = fit_lbfgs(
            run.network,
            self._loss,
            data,
            alpha=self.alpha,
            max_iter=self.max_iter,
            max_fun=self.max_fun,
            tol=self.tol,
            callback=after,
        )
        run.bring_parameters(self)
        if result.status != 99:  # StopIteration
            self._check_finite(result.fun)
            self.n_iter_ = check_optimize_result("lbfgs", result, self.max_iter)
            self.loss_ = float(result.fun)

    def _end_epoch(self, loss, n_samples):
        self._check_finite(loss)
        self.loss_ = loss
        self.loss_curve_.append(loss)
        self.n_iter_ += 1
        self.t_ += n_samples
        self._say(f"Iteration {self.n_iter_}, loss = {loss:.8f}")

    def _no_improvement(self, validation, run):
        """Take note of the epoch's loss and validation; returns a message if there was no improvement for long."""
        improved = self._validate(validation, run) if validation is not None else True
        if not self.early_stopping:
            improved = self._note_loss()
        run.n_no_improvement = 0 if improved else run.n_no_improvement + 1
        if run.n_no_improvement <= self.n_iter_no_change or (self._schedule.ends and not self.early_stopping):
            return None
        what = "Validation score" if self.early_stopping else "Training loss"
        return f"{what} did not improve more than tol={self.tol:g} for {self.n_iter_no_change} consecutive epochs."

    def _note_loss(self):
        """Returns whether the training loss got better by ``tol``."""
        best = np.inf if self.best_loss_ is None else self.best_loss_
        self.best_loss_ = min(best, self.loss_)
        return self.loss_ <= best - self.tol

    def _validate(self, validation, run):
        """Record loss and score of the validation samples; returns whether the score got better by ``tol``."""
        loss, score = self._loss_and_score(*validation, run)
        self.validation_loss_curve_.append(loss)
        self.validation_scores_.append(score)
        self._say(f"Validation score: {score:f}")
        improved = score >= self.best_validation_score_ + self.tol
        if score > self.best_validation_score_:
            self.best_validation_score_ = score
            if self.early_stopping:
                run.keep_best(self)
        return improved

    def _loss_and_score(self, data, y, run):
        """Loss, without the penalty, and score of validation samples."""
        scores = run.network.scores(data.X)
        kernels = backend.of(scores)
        loss, _ = self._loss.value_and_gradient(scores, data.targets, data.weights, kernels=kernels)
        weights = None if data.weights is None else devices.host(data.weights)
        return float(loss), float(self._score(kernels.memory.get(scores), y, weights))

    # --- What else there is ------------------------------------------------------------------------------------------

    @property
    def _dtype(self):
        return self.network_.dtype

    def _trained_copies(self, run):
        """What a shallow copy of the estimator must have of its own to be one that a callback may keep, and train."""
        copies = copy.deepcopy({name: vars(self)[name] for name in _TRAINED})
        copies["_optimizer"], copies["_average"] = run.optimizer.on(backend.cpu), run.average.on(backend.cpu)
        # partial_fit of the copy is no end of this fit
        return {**copies, "_skl_callbacks_to_teardown": []}

    def _say(self, message):
        _logger.info(message)
        if self.verbose:
            print(message, flush=True)

    def _is_finite(self):
        # of which the one is not where there is infinity, and neither where there is NaN
        flat = self.network_.flat
        return np.isfinite([flat.min(), flat.max()]).all()

    def _check_finite(self, loss):
        if not (np.isfinite(loss) and self._is_finite()):
            raise Diverged(
                f"Training diverged in epoch {self.n_iter_ + 1}: the loss or the parameters are not finite. "
                "The input may hold large values that want scaling, or learning_rate_init may be too high."
            )

    def _go_back(self, run):
        """Go back to the end of the last epoch, with a new optimiser: the old one may be no better than the weights."""
        self.network_.flat[:] = run.last
        self._optimizer, self._average = self._make_optimizer(), self._make_average()
        self._schedule.resume(run.schedule)

    def _kept(self, run, error):
        """The error that ends training; if an epoch was finished, the estimator keeps what that led to."""
        if self.n_iter_ == 0:
            return error
        self._go_back(run)
        kept = f"the weights of epoch {self.n_iter_}" if run.best is None else "the best weights of those before"
        return type(error)(f"{error} The estimator keeps {kept}, and a new optimiser.", kept=True)

    def _predicted(self, X, make):
        """What ``make`` makes of the network's scores (n_samples, n_outputs), in the library that ``X`` is of."""
        return devices.computed(self, X, lambda network, rows: make(network.scores(rows)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _check_not_all_zero(weights, message):
    if weights is not None and not weights.any():
        raise ValueError(f"{message}, got {len(weights)} zeros")


def _fixed(value):
    """A parameter as what nobody changes in place: a sequence, one value for each layer, as a tuple."""
    return tuple(np.asarray(value).tolist()) if np.iterable(value) and not isinstance(value, str) else value


def _same(a, b):
    """Whether two values of ``random_state`` are the same: numbers by value, generators by identity."""
    return a is b or a == b


def partial_fit_available(method):
    """Decorator of `partial_fit`: only where the solver takes steps."""
    return available_if(_takes_steps)(method)
