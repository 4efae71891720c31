"""LDL estimators."""

from ldlrpp.estimators import parameters
from ldlrpp.estimators.layers import LDLLayers
from ldlrpp.estimators.parameters import with_parameters
from ldlrpp.estimators.tasks import NetworkClassifier, NetworkRegressor


@with_parameters(parameters.LDL_WIDTHS, parameters.LDL, parameters.NETWORK, parameters.CLASSIFIER)
class LDLClassifier(LDLLayers, NetworkClassifier):
    """Neural network classifier with less dense layers.

    A hidden layer of width N is a learned butterfly: 2·N·log2 N weights instead of N², in time O(N log N), and every
    output still depends on every input. The output layer is dense.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    {attributes}

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


@with_parameters(parameters.LDL_WIDTHS, parameters.LDL, parameters.NETWORK, parameters.REGRESSOR)
class LDLRegressor(LDLLayers, NetworkRegressor):
    """Neural network regressor with less dense layers.

    A hidden layer of width N is a learned butterfly: 2·N·log2 N weights instead of N², in time O(N log N), and every
    output still depends on every input. The output layer is dense.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

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
