"""The public classes: documentation, which is one for all of them."""

from ldlrpp.dask.base import DaskNetwork
from ldlrpp.dask.parameters import DASK
from ldlrpp.estimators import (
    LDLClassifier,
    LDLRegressor,
    MixedClassifier,
    MixedRegressor,
    RPPClassifier,
    RPPRegressor,
    parameters,
)
from ldlrpp.estimators.parameters import with_parameters

_DOCUMENT = """`ldlrpp.{local}` on a cluster of Dask's.

`fit`, `partial_fit`, `score` and predictions take Dask's arrays, of dense or sparse chunks, and dataframes, whose
predictions are lazy arrays of Dask's; arrays of this process as well, which `fit` deals out. Validation samples of
Dask's are evaluated on the cluster; ``early_stopping`` sets aside a part of every partition, not stratified.
`to_local` gives the estimator without Dask.

Parameters
----------
{parameters}

Attributes
----------
{attributes}

See Also
--------
ldlrpp.{local} : The same network on one machine.
"""


def _twin_of(local, *tables):
    """Class decorator: the constructor, constraints and docstring of what is ``local`` elsewhere."""

    def decorate(cls):
        cls._local = local
        cls.__doc__ = _DOCUMENT.replace("{local}", local.__name__)
        return with_parameters(*tables, DASK)(cls)

    return decorate


@_twin_of(LDLClassifier, parameters.LDL_WIDTHS, parameters.LDL, parameters.NETWORK, parameters.CLASSIFIER)
class DaskLDLClassifier(DaskNetwork, LDLClassifier):
    pass


@_twin_of(LDLRegressor, parameters.LDL_WIDTHS, parameters.LDL, parameters.NETWORK, parameters.REGRESSOR)
class DaskLDLRegressor(DaskNetwork, LDLRegressor):
    pass


@_twin_of(RPPClassifier, parameters.RPP_WIDTHS, parameters.RPP, parameters.NETWORK, parameters.CLASSIFIER)
class DaskRPPClassifier(DaskNetwork, RPPClassifier):
    pass


@_twin_of(RPPRegressor, parameters.RPP_WIDTHS, parameters.RPP, parameters.NETWORK, parameters.REGRESSOR)
class DaskRPPRegressor(DaskNetwork, RPPRegressor):
    pass


@_twin_of(MixedClassifier, parameters.MIXED, parameters.NETWORK, parameters.CLASSIFIER)
class DaskMixedClassifier(DaskNetwork, MixedClassifier):
    pass


@_twin_of(MixedRegressor, parameters.MIXED, parameters.NETWORK, parameters.REGRESSOR)
class DaskMixedRegressor(DaskNetwork, MixedRegressor):
    pass
