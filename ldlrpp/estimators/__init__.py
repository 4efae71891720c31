"""The scikit-learn estimators."""

from ldlrpp.estimators.display import LossCurveDisplay
from ldlrpp.estimators.ldl import LDLClassifier, LDLRegressor
from ldlrpp.estimators.rpp import RPPClassifier, RPPRegressor

__all__ = ["LDLClassifier", "LDLRegressor", "LossCurveDisplay", "RPPClassifier", "RPPRegressor"]
