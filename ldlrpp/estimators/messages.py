"""Warnings that point at the line of the user's that led to them."""

import sys
import warnings


def warn(message, category=UserWarning):
    """Warn at the line that called scikit-learn or this package."""
    frame, level = sys._getframe(1), 2
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] in ("ldlrpp", "sklearn"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
