"""RPP estimators."""

from itertools import pairwise

import numpy as np

from ldlrpp.estimators import parameters
from ldlrpp.estimators.base import BaseNetworkEstimator
from ldlrpp.estimators.parameters import with_parameters
from ldlrpp.estimators.tasks import NetworkClassifier, NetworkRegressor
from ldlrpp.kernels import rpp_permutation
from ldlrpp.network import RPP


class _RPPLayers(BaseNetworkEstimator):
    """Hidden layers of the RPP estimators."""

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
            seed, rows = rng.integers(2**64, dtype=np.uint64), None
            if self.permutation == "stored":
                if (m, width) not in stored:
                    n_columns = 1 if self.share_columns else width // k
                    permutation = rpp_permutation(m, n_columns, k, seed)
                    stored[m, width] = seed, permutation.transpose(0, 2, 1).reshape(-1, m)
                seed, rows = stored[m, width]
            yield RPP(
                m,
                width,
                n_permutations=k,
                seed=seed,
                bias=self.bias,
                share_columns=self.share_columns,
                stored=rows,
                grad_scale={"sum": 1.0, "sqrt": 1 / np.sqrt(k), "mean": 1 / k}[self.grad_scale],
                activation=self.activation,
                rng=rng,
                dtype=dtype,
            )


@with_parameters(parameters.RPP, parameters.NETWORK, parameters.CLASSIFIER)
class RPPClassifier(NetworkClassifier, _RPPLayers):
    """Neural network classifier with randomly permuted parameters.

    A hidden layer of width w is dense in what it computes, but holds only w / k columns of weights: each is seen k
    times through random permutations of its entries, which come from a seed and are never stored. The output layer is
    dense.

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


@with_parameters(parameters.RPP, parameters.NETWORK, parameters.REGRESSOR)
class RPPRegressor(NetworkRegressor, _RPPLayers):
    """Neural network regressor with randomly permuted parameters.

    A hidden layer of width w is dense in what it computes, but holds only w / k columns of weights: each is seen k
    times through random permutations of its entries, which come from a seed and are never stored. The output layer is
    dense.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
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
