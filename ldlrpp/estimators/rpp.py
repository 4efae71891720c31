"""RPP estimators."""

from ldlrpp.estimators import parameters
from ldlrpp.estimators.layers import RPPLayers
from ldlrpp.estimators.parameters import with_parameters
from ldlrpp.estimators.tasks import NetworkClassifier, NetworkRegressor


@with_parameters(parameters.RPP_WIDTHS, parameters.RPP, parameters.NETWORK, parameters.CLASSIFIER)
class RPPClassifier(RPPLayers, NetworkClassifier):
    """Neural network classifier with randomly permuted parameters.

    A hidden layer of width w is dense in what it computes, but holds only ⌈w / k⌉ columns of weights: each is seen k
    times through random permutations of its entries, which come from a seed and are not saved. The output layer is
    dense.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    seeds_ : list of int
        The seed of every hidden layer's permutations, what `ldlrpp.kernels.rpp_permutation` takes.
    {attributes}

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


@with_parameters(parameters.RPP_WIDTHS, parameters.RPP, parameters.NETWORK, parameters.REGRESSOR)
class RPPRegressor(RPPLayers, NetworkRegressor):
    """Neural network regressor with randomly permuted parameters.

    A hidden layer of width w is dense in what it computes, but holds only ⌈w / k⌉ columns of weights: each is seen k
    times through random permutations of its entries, which come from a seed and are not saved. The output layer is
    dense.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    seeds_ : list of int
        The seed of every hidden layer's permutations, what `ldlrpp.kernels.rpp_permutation` takes.
    {attributes}

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
