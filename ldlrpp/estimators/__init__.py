"""The scikit-learn estimators."""

from ldlrpp.estimators.ldl import LDLClassifier, LDLRegressor
from ldlrpp.estimators.rpp import RPPClassifier, RPPRegressor

__all__ = ["LDLClassifier", "LDLRegressor", "RPPClassifier", "RPPRegressor"]
