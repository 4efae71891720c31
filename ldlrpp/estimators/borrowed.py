"""What the package imports of scikit-learn that is not public, in one place: a release may rename it.

`tests/test_versions.py` names what is gone, finds imports of such names elsewhere, and names what the estimators use of
their base classes.
"""

from sklearn.base import _clone_parametrized as clone_parametrized
from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions, validate_parameter_constraints
from sklearn.utils.optimize import _check_optimize_result as check_optimize_result
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _check_y as check_y
from sklearn.utils.validation import _num_samples as num_samples

__all__ = [
    "HasMethods",
    "Interval",
    "Options",
    "StrOptions",
    "check_matplotlib_support",
    "check_optimize_result",
    "check_sample_weight",
    "check_y",
    "clone_parametrized",
    "fit_context",
    "num_samples",
    "safe_indexing",
    "validate_parameter_constraints",
]
