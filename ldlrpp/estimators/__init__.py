"""The scikit-learn estimators."""

from ldlrpp.estimators.display import LossCurveDisplay
from ldlrpp.estimators.ldl import LDLClassifier, LDLRegressor
from ldlrpp.estimators.mixed import MixedClassifier, MixedRegressor
from ldlrpp.estimators.rpp import RPPClassifier, RPPRegressor
from ldlrpp.estimators.scaling import ScalingDisplay
from ldlrpp.estimators.transformers import LDLTransformer, RPPTransformer

__all__ = [
    "LDLClassifier",
    "LDLRegressor",
    "LDLTransformer",
    "LossCurveDisplay",
    "MixedClassifier",
    "MixedRegressor",
    "RPPClassifier",
    "RPPRegressor",
    "RPPTransformer",
    "ScalingDisplay",
]
