"""Estimators whose hidden layers are of several kinds."""

from ldlrpp.estimators import parameters
from ldlrpp.estimators.layers import MixedLayers
from ldlrpp.estimators.parameters import with_parameters
from ldlrpp.estimators.tasks import NetworkClassifier, NetworkRegressor


@with_parameters(parameters.MIXED, parameters.NETWORK, parameters.CLASSIFIER)
class MixedClassifier(MixedLayers, NetworkClassifier):
    """Neural network classifier with layers of LDL, RPP and dense weights, one after the other.

    Wide layers cost most where they are dense: a butterfly can widen the inputs, and a narrow dense layer gather what
    it found. The output layer is dense.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    seeds_ : list of int or None
        The seed of every hidden layer's permutations, None for a layer that is not RPP.
    {attributes}

    See Also
    --------
    MixedRegressor : The same network for regression.
    LDLClassifier, RPPClassifier : Layers of one kind, whose options are parameters.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from ldlrpp import MixedClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> layers = [("ldl", 1024), ("rpp", 500, {"n_permutations": 50}), ("dense", 32)]
    >>> network = MixedClassifier(layers, learning_rate="cosine", max_iter=20, random_state=0)
    >>> model = make_pipeline(StandardScaler(), network)
    >>> model.fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.9
    True
    >>> model[-1].n_parameters_, model[-1].n_parameters_dense_
    (49630, 595422)
    """


@with_parameters(parameters.MIXED, parameters.NETWORK, parameters.REGRESSOR)
class MixedRegressor(MixedLayers, NetworkRegressor):
    """Neural network regressor with layers of LDL, RPP and dense weights, one after the other.

    Wide layers cost most where they are dense: a butterfly can widen the inputs, and a narrow dense layer gather what
    it found. The output layer is dense.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    seeds_ : list of int or None
        The seed of every hidden layer's permutations, None for a layer that is not RPP.
    {attributes}

    See Also
    --------
    MixedClassifier : The same network for classification.
    LDLRegressor, RPPRegressor : Layers of one kind, whose options are parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from ldlrpp import MixedRegressor
    >>> X = np.random.default_rng(0).normal(size=(500, 8))
    >>> y = np.abs(X[:, 0]) + X[:, 1] * X[:, 2]
    >>> MixedRegressor([("ldl", 256), ("dense", 32)], random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """
