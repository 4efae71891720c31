"""Wide layers without wide matrices: learned butterflies (LDL) and randomly permuted parameters (RPP)."""

from ldlrpp import kernels
from ldlrpp.estimators import LDLClassifier, LDLRegressor, LossCurveDisplay, RPPClassifier, RPPRegressor

__version__ = "0.1.0.dev0"

__all__ = ["LDLClassifier", "LDLRegressor", "LossCurveDisplay", "RPPClassifier", "RPPRegressor", "kernels"]
