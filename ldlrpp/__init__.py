"""Wide layers without wide matrices: learned butterflies (LDL) and randomly permuted parameters (RPP)."""

from ldlrpp import kernels
from ldlrpp.estimators import (
    LDLClassifier,
    LDLRegressor,
    LDLTransformer,
    LossCurveDisplay,
    MixedClassifier,
    MixedRegressor,
    RPPClassifier,
    RPPRegressor,
    RPPTransformer,
    ScalingDisplay,
)
from ldlrpp.network import warmup

__version__ = "0.1.0.dev0"

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
    "kernels",
    "warmup",
]
