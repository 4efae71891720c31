"""RPP estimators."""

from itertools import pairwise
from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from ldlrpp.estimators.base import BaseNetworkEstimator, NetworkClassifier, NetworkRegressor
from ldlrpp.kernels import rpp_permutation
from ldlrpp.network import RPP


class _RPPLayers(BaseNetworkEstimator):
    """Parameters of the RPP estimators, and their hidden layer."""

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's convention
        **BaseNetworkEstimator._parameter_constraints,
        "n_permutations": [Interval(Integral, 1, None, closed="left")],
        "bias": [StrOptions({"full", "shared", "none"})],
        "permutation": [StrOptions({"seeded", "stored"})],
        "share_columns": ["boolean"],
        "grad_scale": [StrOptions({"sum", "sqrt", "mean"})],
    }

    def __init__(
        self,
        hidden_layer_sizes=(1000,),
        *,
        n_permutations=10,
        bias="full",
        permutation="seeded",
        share_columns=False,
        grad_scale="sum",
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
        self.n_permutations = n_permutations
        self.bias = bias
        self.permutation = permutation
        self.share_columns = share_columns
        self.grad_scale = grad_scale
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

    def _hidden_widths(self):
        widths = super()._hidden_widths()
        if any(width % self.n_permutations for width in widths):
            raise ValueError(
                "n_permutations must divide every width of hidden_layer_sizes, "
                f"got n_permutations={self.n_permutations} and hidden_layer_sizes={self.hidden_layer_sizes!r}"
            )
        return widths

    def _hidden_layers(self, n_inputs, widths, rng, dtype):
        # stored permutations, and their seeds, by the shape of the layer
        stored = {}
        k = self.n_permutations
        for m, width in pairwise([n_inputs, *widths]):
            seed, permutation = rng.integers(2**64, dtype=np.uint64), None
            if self.permutation == "stored":
                if (m, width) not in stored:
                    n_columns = 1 if self.share_columns else width // k
                    stored[m, width] = seed, rpp_permutation(m, n_columns, k, seed)
                seed, permutation = stored[m, width]
            yield RPP(
                m,
                width,
                n_permutations=k,
                seed=seed,
                bias=self.bias,
                share_columns=self.share_columns,
                permutation=permutation,
                grad_scale={"sum": 1.0, "sqrt": 1 / np.sqrt(k), "mean": 1 / k}[self.grad_scale],
                activation=self.activation,
                rng=rng,
                dtype=dtype,
            )


class RPPClassifier(NetworkClassifier, _RPPLayers):
    """Neural network classifier with randomly permuted parameters.

    A hidden layer of width w is dense in what it computes, but holds only w / k columns of weights: each is seen k
    times through random permutations of its entries, which come from a seed and are never stored. The output layer is
    dense.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(1000,)
        Widths of the hidden layers, each a multiple of ``n_permutations``.
    n_permutations : int, default=10
        Number of permutations k: a layer of width w keeps w / k columns of weights, and shows each k times in
        different orders.
    bias : {'full', 'shared', 'none'}, default='full'
        A bias for every output, one for every column of the hidden weights, or none in the hidden layers.
    permutation : {'seeded', 'stored'}, default='seeded'
        Whether permutations are computed from seeds whenever they are used, or computed once and kept: two bytes for
        every wide weight, one array for all layers of a shape, which then have the same permutations.
    share_columns : bool, default=False
        Whether all columns that are seen together share one permutation, see `ldlrpp.kernels.rpp_forward`.
    grad_scale : {'sum', 'sqrt', 'mean'}, default='sum'
        The gradient of a weight is the sum over its k copies, that sum divided by √k, or their mean. 'adam' hardly
        notices.
    activation : {'relu', 'tanh', 'logistic', 'identity'}, default='relu'
        Activation after every hidden layer.
    solver : {'adam', 'sgd'}, default='adam'
        Optimiser of the weights.
    alpha : float, default=0.0001
        Strength of the L2 penalty, on the hidden weights and those of the output layer.
    batch_size : int or 'auto', default='auto'
        Rows of a minibatch; 'auto' is min(200, n_samples).
    learning_rate_init : float, default=0.001
        Step size of the optimiser.
    max_iter : int, default=200
        Number of epochs at most.
    shuffle : bool, default=True
        Whether every epoch takes the samples in a new order.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, of the permutations' seeds and of the order of samples.
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
        Number of parameters.
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
    RPPRegressor : The same network for regression.
    LDLClassifier : A butterfly of log2 N stages for every hidden layer.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from ldlrpp import RPPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), RPPClassifier(n_permutations=100, random_state=0))
    >>> model.fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.9
    True
    >>> model[-1].n_parameters_, model[-1].n_parameters_dense_
    (11650, 75010)
    """


class RPPRegressor(NetworkRegressor, _RPPLayers):
    """Neural network regressor with randomly permuted parameters.

    A hidden layer of width w is dense in what it computes, but holds only w / k columns of weights: each is seen k
    times through random permutations of its entries, which come from a seed and are never stored. The output layer is
    dense.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(1000,)
        Widths of the hidden layers, each a multiple of ``n_permutations``.
    n_permutations : int, default=10
        Number of permutations k: a layer of width w keeps w / k columns of weights, and shows each k times in
        different orders.
    bias : {'full', 'shared', 'none'}, default='full'
        A bias for every output, one for every column of the hidden weights, or none in the hidden layers.
    permutation : {'seeded', 'stored'}, default='seeded'
        Whether permutations are computed from seeds whenever they are used, or computed once and kept: two bytes for
        every wide weight, one array for all layers of a shape, which then have the same permutations.
    share_columns : bool, default=False
        Whether all columns that are seen together share one permutation, see `ldlrpp.kernels.rpp_forward`.
    grad_scale : {'sum', 'sqrt', 'mean'}, default='sum'
        The gradient of a weight is the sum over its k copies, that sum divided by √k, or their mean. 'adam' hardly
        notices.
    activation : {'relu', 'tanh', 'logistic', 'identity'}, default='relu'
        Activation after every hidden layer.
    solver : {'adam', 'sgd'}, default='adam'
        Optimiser of the weights.
    alpha : float, default=0.0001
        Strength of the L2 penalty, on the hidden weights and those of the output layer.
    batch_size : int or 'auto', default='auto'
        Rows of a minibatch; 'auto' is min(200, n_samples).
    learning_rate_init : float, default=0.001
        Step size of the optimiser.
    max_iter : int, default=200
        Number of epochs at most.
    shuffle : bool, default=True
        Whether every epoch takes the samples in a new order.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, of the permutations' seeds and of the order of samples.
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
        Number of parameters.
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
    RPPClassifier : The same network for classification.
    LDLRegressor : A butterfly of log2 N stages for every hidden layer.

    Examples
    --------
    >>> import numpy as np
    >>> from ldlrpp import RPPRegressor
    >>> X = np.random.default_rng(0).normal(size=(500, 8))
    >>> y = np.abs(X[:, 0]) + X[:, 1] * X[:, 2]
    >>> RPPRegressor((200, 200), random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """
