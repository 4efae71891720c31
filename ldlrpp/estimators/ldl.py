"""LDL estimators."""

from itertools import pairwise

from sklearn.utils._param_validation import StrOptions

from ldlrpp.estimators.base import BaseNetworkEstimator, NetworkClassifier, NetworkRegressor
from ldlrpp.network import LDL


class _LDLLayers(BaseNetworkEstimator):
    """Parameters of the LDL estimators, and their hidden layer."""

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's convention
        **BaseNetworkEstimator._parameter_constraints,
        "init": [StrOptions({"orthogonal", "normal"})],
        "input_expansion": [StrOptions({"repeat", "pad"})],
    }

    def __init__(
        self,
        hidden_layer_sizes=(1024,),
        *,
        init="orthogonal",
        input_expansion="repeat",
        activation="relu",
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate_init=0.001,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.init = init
        self.input_expansion = input_expansion
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change

    def _hidden_layers(self, n_inputs, widths, rng, dtype):
        for n, width in pairwise([n_inputs, *widths]):
            yield LDL(
                n,
                width,
                activation=self.activation,
                init=self.init,
                expansion=self.input_expansion,
                rng=rng,
                dtype=dtype,
            )


class LDLClassifier(NetworkClassifier, _LDLLayers):
    """Neural network classifier with less dense layers.

    A hidden layer of width N is a learned butterfly of log2 N stages: 2·N·log2 N weights instead of N², in time O(N
    log N), and every output still depends on every input. The output layer is dense.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(1024,)
        Widths of the hidden layers. Powers of two are used in full; other widths are cut from the next one.
    init : {'orthogonal', 'normal'}, default='orthogonal'
        Initial weights, see `ldlrpp.kernels.ldl_init`.
    input_expansion : {'repeat', 'pad'}, default='repeat'
        How a layer with fewer inputs than its power of two fills the rest: its inputs again and again, or zeros.
    activation : {'relu', 'tanh', 'logistic', 'identity'}, default='relu'
        Activation after every hidden layer.
    solver : {'adam', 'sgd'}, default='adam'
        Optimiser of the weights.
    alpha : float, default=0.0001
        Strength of the L2 penalty, on the weights of the output layer; the butterflies are not decayed.
    batch_size : int or 'auto', default='auto'
        Rows of a minibatch; 'auto' is min(200, n_samples).
    learning_rate_init : float, default=0.001
        Step size of the optimiser.
    max_iter : int, default=200
        Number of epochs at most.
    shuffle : bool, default=True
        Whether every epoch takes the samples in a new order.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights and of the order of samples.
    tol : float, default=1e-4
        By how much the training loss must improve, see ``n_iter_no_change``.
    verbose : bool, default=False
        Whether to print the loss of every epoch.
    momentum : float, default=0.9
        Momentum of 'sgd'.
    nesterovs_momentum : bool, default=True
        Whether 'sgd' uses Nesterov's momentum.
    beta_1 : float, default=0.9
        Decay of Adam's first moment.
    beta_2 : float, default=0.999
        Decay of Adam's second moment.
    epsilon : float, default=1e-8
        Keeps Adam's divisions finite.
    n_iter_no_change : int, default=10
        Training ends when the loss did not improve by ``tol`` for more than this many epochs in a row.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    network_ : ldlrpp.network.Network
        The network: ``network_.layers[i].parameters`` are its arrays by name.
    n_parameters_ : int
        Number of parameters, those of a butterfly whose input is padded or output is cut included.
    n_parameters_dense_ : int
        Number of parameters of the dense network of the same widths.
    loss_ : float
        Training loss of the last epoch, penalty included.
    best_loss_ : float
        Lowest training loss of all epochs.
    loss_curve_ : list of float
        Training loss of every epoch.
    n_iter_ : int
        Number of epochs.
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
        Activation of the output layer.

    See Also
    --------
    LDLRegressor : The same network for regression.
    RPPClassifier : Few weights, seen through many permutations.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from ldlrpp import LDLClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), LDLClassifier(random_state=0))
    >>> model.fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.9
    True
    >>> model[-1].n_parameters_, model[-1].n_parameters_dense_
    (32778, 76810)
    """


class LDLRegressor(NetworkRegressor, _LDLLayers):
    """Neural network regressor with less dense layers.

    A hidden layer of width N is a learned butterfly of log2 N stages: 2·N·log2 N weights instead of N², in time O(N
    log N), and every output still depends on every input. The output layer is dense.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(1024,)
        Widths of the hidden layers. Powers of two are used in full; other widths are cut from the next one.
    init : {'orthogonal', 'normal'}, default='orthogonal'
        Initial weights, see `ldlrpp.kernels.ldl_init`.
    input_expansion : {'repeat', 'pad'}, default='repeat'
        How a layer with fewer inputs than its power of two fills the rest: its inputs again and again, or zeros.
    activation : {'relu', 'tanh', 'logistic', 'identity'}, default='relu'
        Activation after every hidden layer.
    solver : {'adam', 'sgd'}, default='adam'
        Optimiser of the weights.
    alpha : float, default=0.0001
        Strength of the L2 penalty, on the weights of the output layer; the butterflies are not decayed.
    batch_size : int or 'auto', default='auto'
        Rows of a minibatch; 'auto' is min(200, n_samples).
    learning_rate_init : float, default=0.001
        Step size of the optimiser.
    max_iter : int, default=200
        Number of epochs at most.
    shuffle : bool, default=True
        Whether every epoch takes the samples in a new order.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights and of the order of samples.
    tol : float, default=1e-4
        By how much the training loss must improve, see ``n_iter_no_change``.
    verbose : bool, default=False
        Whether to print the loss of every epoch.
    momentum : float, default=0.9
        Momentum of 'sgd'.
    nesterovs_momentum : bool, default=True
        Whether 'sgd' uses Nesterov's momentum.
    beta_1 : float, default=0.9
        Decay of Adam's first moment.
    beta_2 : float, default=0.999
        Decay of Adam's second moment.
    epsilon : float, default=1e-8
        Keeps Adam's divisions finite.
    n_iter_no_change : int, default=10
        Training ends when the loss did not improve by ``tol`` for more than this many epochs in a row.

    Attributes
    ----------
    network_ : ldlrpp.network.Network
        The network: ``network_.layers[i].parameters`` are its arrays by name.
    n_parameters_ : int
        Number of parameters, those of a butterfly whose input is padded or output is cut included.
    n_parameters_dense_ : int
        Number of parameters of the dense network of the same widths.
    loss_ : float
        Training loss of the last epoch, penalty included.
    best_loss_ : float
        Lowest training loss of all epochs.
    loss_curve_ : list of float
        Training loss of every epoch.
    n_iter_ : int
        Number of epochs.
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
        Activation of the output layer.

    See Also
    --------
    LDLClassifier : The same network for classification.
    RPPRegressor : Few weights, seen through many permutations.

    Examples
    --------
    >>> import numpy as np
    >>> from ldlrpp import LDLRegressor
    >>> X = np.random.default_rng(0).normal(size=(500, 8))
    >>> y = np.abs(X[:, 0]) + X[:, 1] * X[:, 2]
    >>> LDLRegressor((256, 256), random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """
