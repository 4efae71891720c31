"""The public classes: documentation."""

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


@with_parameters(parameters.LDL_WIDTHS, parameters.LDL, parameters.NETWORK, parameters.CLASSIFIER, DASK)
class DaskLDLClassifier(DaskNetwork, LDLClassifier):
    """`ldlrpp.LDLClassifier` on a cluster of Dask's.

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
    ldlrpp.LDLClassifier : The same network on one machine.
    """

    _local = LDLClassifier


@with_parameters(parameters.LDL_WIDTHS, parameters.LDL, parameters.NETWORK, parameters.REGRESSOR, DASK)
class DaskLDLRegressor(DaskNetwork, LDLRegressor):
    """`ldlrpp.LDLRegressor` on a cluster of Dask's.

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
    ldlrpp.LDLRegressor : The same network on one machine.
    """

    _local = LDLRegressor


@with_parameters(parameters.RPP_WIDTHS, parameters.RPP, parameters.NETWORK, parameters.CLASSIFIER, DASK)
class DaskRPPClassifier(DaskNetwork, RPPClassifier):
    """`ldlrpp.RPPClassifier` on a cluster of Dask's.

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
    ldlrpp.RPPClassifier : The same network on one machine.
    """

    _local = RPPClassifier


@with_parameters(parameters.RPP_WIDTHS, parameters.RPP, parameters.NETWORK, parameters.REGRESSOR, DASK)
class DaskRPPRegressor(DaskNetwork, RPPRegressor):
    """`ldlrpp.RPPRegressor` on a cluster of Dask's.

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
    ldlrpp.RPPRegressor : The same network on one machine.
    """

    _local = RPPRegressor


@with_parameters(parameters.MIXED, parameters.NETWORK, parameters.CLASSIFIER, DASK)
class DaskMixedClassifier(DaskNetwork, MixedClassifier):
    """`ldlrpp.MixedClassifier` on a cluster of Dask's.

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
    ldlrpp.MixedClassifier : The same network on one machine.
    """

    _local = MixedClassifier


@with_parameters(parameters.MIXED, parameters.NETWORK, parameters.REGRESSOR, DASK)
class DaskMixedRegressor(DaskNetwork, MixedRegressor):
    """`ldlrpp.MixedRegressor` on a cluster of Dask's.

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
    ldlrpp.MixedRegressor : The same network on one machine.
    """

    _local = MixedRegressor
