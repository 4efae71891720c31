"""The estimators on a cluster of Dask's: rows past one machine, and machines past one.

They want the package ``distributed``: ``pip install 'ldlrpp[dask]'``. What is trained, and how well, and what a lost
worker costs is in docs/scaling.md.
"""

try:
    import distributed  # noqa: F401
except ImportError as error:
    raise ImportError(f"ldlrpp.dask wants the package distributed ({error}): pip install 'ldlrpp[dask]'") from error

from ldlrpp.dask.estimators import (
    DaskLDLClassifier,
    DaskLDLRegressor,
    DaskMixedClassifier,
    DaskMixedRegressor,
    DaskRPPClassifier,
    DaskRPPRegressor,
)

__all__ = [
    "DaskLDLClassifier",
    "DaskLDLRegressor",
    "DaskMixedClassifier",
    "DaskMixedRegressor",
    "DaskRPPClassifier",
    "DaskRPPRegressor",
]
