"""Written by tools/stubs.py: what the estimators look like to editors and type checkers."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import sparray, spmatrix
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    MultiOutputMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.callback import CallbackSupportMixin

from ldlrpp.network import Network

_Matrix: TypeAlias = ArrayLike | sparray | spmatrix
_Weights: TypeAlias = Mapping[Any, float]
# no closer: lists of tuples of two lengths, and the kinds in them, are inferred to be no more than this
_Layers: TypeAlias = Sequence[tuple[Any, ...] | list[Any]]

class _Inspection:
    def layer_weights(self, layer: int) -> dict[str, NDArray[Any]]: ...
    def to_dense(self, layer: int) -> tuple[NDArray[Any], NDArray[Any]]: ...

class _Saved:
    def save_weights(self, file: str | PathLike[str]) -> None: ...
    def load_weights(self, file: str | PathLike[str]) -> Self: ...

class _BaseNetworkEstimator(_Saved, _Inspection, CallbackSupportMixin, BaseEstimator):
    network_: Network
    n_parameters_: int
    n_parameters_dense_: int
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None
    n_iter_: int
    t_: int
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    def fit(
        self,
        X: _Matrix,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: _Matrix | None = None,
        y_val: _Matrix | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self: ...

class __Scored:
    def score(self, X: _Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float: ...

class _NetworkClassifier(__Scored, ClassifierMixin, _BaseNetworkEstimator):
    def partial_fit(
        self, X: _Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self: ...
    def predict(self, X: _Matrix) -> NDArray[Any]: ...
    def predict_proba(self, X: _Matrix) -> NDArray[Any]: ...
    def predict_log_proba(self, X: _Matrix) -> NDArray[Any]: ...

class LDLClassifier(_NetworkClassifier):
    classes_: NDArray[Any]
    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] | NDArray[np.integer] = (1024,),
        *,
        radix: Literal[2, 4, 8, 16, 32] = 4,
        init: Literal["orthogonal", "normal", "hadamard"]
        | Sequence[Literal["orthogonal", "normal", "hadamard"]]
        | NDArray[np.str_] = "hadamard",
        input_expansion: Literal["repeat", "pad"] = "repeat",
        activation: Literal["relu", "tanh", "logistic", "identity"] = "relu",
        solver: Literal["adam", "adamw", "sgd", "lbfgs"] = "adam",
        alpha: float = 0.0001,
        weight_decay: float = 0.01,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive", "cosine", "onecycle"] = "constant",
        learning_rate_init: float = 0.004,
        average: bool | float = True,
        power_t: float = 0.5,
        max_iter: int = 200,
        max_fun: int = 15000,
        shuffle: bool = True,
        dropout: float = 0.0,
        max_grad_norm: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 0.0001,
        verbose: bool = False,
        warm_start: bool = False,
        checkpoint: str | PathLike[str] | None = None,
        checkpoint_interval: int = 1,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-08,
        n_iter_no_change: float = 10,
        n_jobs: int | None = None,
        device: str = "cpu",
        label_smoothing: float = 0.0,
        class_weight: _Weights | Literal["balanced"] | list[_Weights] | None = None,
    ) -> None: ...

class _NetworkRegressor(__Scored, MultiOutputMixin, RegressorMixin, _BaseNetworkEstimator):
    def partial_fit(self, X: _Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...
    def predict(self, X: _Matrix) -> NDArray[Any]: ...

class LDLRegressor(_NetworkRegressor):
    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] | NDArray[np.integer] = (1024,),
        *,
        radix: Literal[2, 4, 8, 16, 32] = 4,
        init: Literal["orthogonal", "normal", "hadamard"]
        | Sequence[Literal["orthogonal", "normal", "hadamard"]]
        | NDArray[np.str_] = "hadamard",
        input_expansion: Literal["repeat", "pad"] = "repeat",
        activation: Literal["relu", "tanh", "logistic", "identity"] = "relu",
        solver: Literal["adam", "adamw", "sgd", "lbfgs"] = "adam",
        alpha: float = 0.0001,
        weight_decay: float = 0.01,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive", "cosine", "onecycle"] = "constant",
        learning_rate_init: float = 0.004,
        average: bool | float = True,
        power_t: float = 0.5,
        max_iter: int = 200,
        max_fun: int = 15000,
        shuffle: bool = True,
        dropout: float = 0.0,
        max_grad_norm: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 0.0001,
        verbose: bool = False,
        warm_start: bool = False,
        checkpoint: str | PathLike[str] | None = None,
        checkpoint_interval: int = 1,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-08,
        n_iter_no_change: float = 10,
        n_jobs: int | None = None,
        device: str = "cpu",
        loss: Literal["squared_error", "absolute_error", "huber", "poisson"] = "squared_error",
        huber_delta: float = 1.0,
    ) -> None: ...

class _NetworkTransformer(
    _Saved, _Inspection, CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    def fit(self, X: _Matrix, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Self: ...
    def transform(self, X: _Matrix) -> NDArray[Any]: ...

class LDLTransformer(_NetworkTransformer):
    estimator_: LDLClassifier | LDLRegressor
    network_: Network
    n_iter_: int
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] | NDArray[np.integer] = (1024,),
        *,
        radix: Literal[2, 4, 8, 16, 32] = 4,
        init: Literal["orthogonal", "normal", "hadamard"]
        | Sequence[Literal["orthogonal", "normal", "hadamard"]]
        | NDArray[np.str_] = "hadamard",
        input_expansion: Literal["repeat", "pad"] = "repeat",
        task: Literal["auto", "classification", "regression", "reconstruction"] = "auto",
        activation: Literal["relu", "tanh", "logistic", "identity"] = "relu",
        solver: Literal["adam", "adamw", "sgd", "lbfgs"] = "adam",
        alpha: float = 0.0001,
        weight_decay: float = 0.01,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive", "cosine", "onecycle"] = "constant",
        learning_rate_init: float = 0.004,
        average: bool | float = True,
        power_t: float = 0.5,
        max_iter: int = 200,
        max_fun: int = 15000,
        shuffle: bool = True,
        dropout: float = 0.0,
        max_grad_norm: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 0.0001,
        verbose: bool = False,
        warm_start: bool = False,
        checkpoint: str | PathLike[str] | None = None,
        checkpoint_interval: int = 1,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-08,
        n_iter_no_change: float = 10,
        n_jobs: int | None = None,
        device: str = "cpu",
    ) -> None: ...

class LossCurveDisplay:
    ax_: Axes
    figure_: Figure
    lines_: list[Line2D]
    def __init__(
        self,
        loss_curve: ArrayLike,
        *,
        validation_loss_curve: ArrayLike | None = None,
        estimator_name: str | None = None,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls, estimator: BaseEstimator, *, ax: Axes | None = None, name: str | None = None, **line_kwargs: Any
    ) -> LossCurveDisplay: ...
    def plot(self, *, ax: Axes | None = None, **line_kwargs: Any) -> LossCurveDisplay: ...

class MixedClassifier(_NetworkClassifier):
    classes_: NDArray[Any]
    seeds_: list[int | None]
    def __init__(
        self,
        hidden_layers: _Layers = (("ldl", 1024), ("dense", 64)),
        *,
        activation: Literal["relu", "tanh", "logistic", "identity"] = "relu",
        solver: Literal["adam", "adamw", "sgd", "lbfgs"] = "adam",
        alpha: float = 0.0001,
        weight_decay: float = 0.01,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive", "cosine", "onecycle"] = "constant",
        learning_rate_init: float = 0.004,
        average: bool | float = True,
        power_t: float = 0.5,
        max_iter: int = 200,
        max_fun: int = 15000,
        shuffle: bool = True,
        dropout: float = 0.0,
        max_grad_norm: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 0.0001,
        verbose: bool = False,
        warm_start: bool = False,
        checkpoint: str | PathLike[str] | None = None,
        checkpoint_interval: int = 1,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-08,
        n_iter_no_change: float = 10,
        n_jobs: int | None = None,
        device: str = "cpu",
        label_smoothing: float = 0.0,
        class_weight: _Weights | Literal["balanced"] | list[_Weights] | None = None,
    ) -> None: ...

class MixedRegressor(_NetworkRegressor):
    seeds_: list[int | None]
    def __init__(
        self,
        hidden_layers: _Layers = (("ldl", 1024), ("dense", 64)),
        *,
        activation: Literal["relu", "tanh", "logistic", "identity"] = "relu",
        solver: Literal["adam", "adamw", "sgd", "lbfgs"] = "adam",
        alpha: float = 0.0001,
        weight_decay: float = 0.01,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive", "cosine", "onecycle"] = "constant",
        learning_rate_init: float = 0.004,
        average: bool | float = True,
        power_t: float = 0.5,
        max_iter: int = 200,
        max_fun: int = 15000,
        shuffle: bool = True,
        dropout: float = 0.0,
        max_grad_norm: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 0.0001,
        verbose: bool = False,
        warm_start: bool = False,
        checkpoint: str | PathLike[str] | None = None,
        checkpoint_interval: int = 1,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-08,
        n_iter_no_change: float = 10,
        n_jobs: int | None = None,
        device: str = "cpu",
        loss: Literal["squared_error", "absolute_error", "huber", "poisson"] = "squared_error",
        huber_delta: float = 1.0,
    ) -> None: ...

class RPPClassifier(_NetworkClassifier):
    classes_: NDArray[Any]
    seeds_: list[int]
    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] | NDArray[np.integer] = (1000,),
        *,
        n_permutations: int = 10,
        seed: int | None = None,
        bias: Literal["full", "shared", "none"] = "full",
        permutation: Literal["auto", "seeded", "stored"] = "auto",
        share_columns: bool = False,
        signs: bool = True,
        grad_scale: Literal["sum", "sqrt", "mean"] = "sum",
        activation: Literal["relu", "tanh", "logistic", "identity"] = "relu",
        solver: Literal["adam", "adamw", "sgd", "lbfgs"] = "adam",
        alpha: float = 0.0001,
        weight_decay: float = 0.01,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive", "cosine", "onecycle"] = "constant",
        learning_rate_init: float = 0.004,
        average: bool | float = True,
        power_t: float = 0.5,
        max_iter: int = 200,
        max_fun: int = 15000,
        shuffle: bool = True,
        dropout: float = 0.0,
        max_grad_norm: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 0.0001,
        verbose: bool = False,
        warm_start: bool = False,
        checkpoint: str | PathLike[str] | None = None,
        checkpoint_interval: int = 1,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-08,
        n_iter_no_change: float = 10,
        n_jobs: int | None = None,
        device: str = "cpu",
        label_smoothing: float = 0.0,
        class_weight: _Weights | Literal["balanced"] | list[_Weights] | None = None,
    ) -> None: ...

class RPPRegressor(_NetworkRegressor):
    seeds_: list[int]
    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] | NDArray[np.integer] = (1000,),
        *,
        n_permutations: int = 10,
        seed: int | None = None,
        bias: Literal["full", "shared", "none"] = "full",
        permutation: Literal["auto", "seeded", "stored"] = "auto",
        share_columns: bool = False,
        signs: bool = True,
        grad_scale: Literal["sum", "sqrt", "mean"] = "sum",
        activation: Literal["relu", "tanh", "logistic", "identity"] = "relu",
        solver: Literal["adam", "adamw", "sgd", "lbfgs"] = "adam",
        alpha: float = 0.0001,
        weight_decay: float = 0.01,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive", "cosine", "onecycle"] = "constant",
        learning_rate_init: float = 0.004,
        average: bool | float = True,
        power_t: float = 0.5,
        max_iter: int = 200,
        max_fun: int = 15000,
        shuffle: bool = True,
        dropout: float = 0.0,
        max_grad_norm: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 0.0001,
        verbose: bool = False,
        warm_start: bool = False,
        checkpoint: str | PathLike[str] | None = None,
        checkpoint_interval: int = 1,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-08,
        n_iter_no_change: float = 10,
        n_jobs: int | None = None,
        device: str = "cpu",
        loss: Literal["squared_error", "absolute_error", "huber", "poisson"] = "squared_error",
        huber_delta: float = 1.0,
    ) -> None: ...

class RPPTransformer(_NetworkTransformer):
    estimator_: RPPClassifier | RPPRegressor
    network_: Network
    seeds_: list[int]
    n_iter_: int
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] | NDArray[np.integer] = (1000,),
        *,
        n_permutations: int = 10,
        seed: int | None = None,
        bias: Literal["full", "shared", "none"] = "full",
        permutation: Literal["auto", "seeded", "stored"] = "auto",
        share_columns: bool = False,
        signs: bool = True,
        grad_scale: Literal["sum", "sqrt", "mean"] = "sum",
        task: Literal["auto", "classification", "regression", "reconstruction"] = "auto",
        activation: Literal["relu", "tanh", "logistic", "identity"] = "relu",
        solver: Literal["adam", "adamw", "sgd", "lbfgs"] = "adam",
        alpha: float = 0.0001,
        weight_decay: float = 0.01,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive", "cosine", "onecycle"] = "constant",
        learning_rate_init: float = 0.004,
        average: bool | float = True,
        power_t: float = 0.5,
        max_iter: int = 200,
        max_fun: int = 15000,
        shuffle: bool = True,
        dropout: float = 0.0,
        max_grad_norm: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 0.0001,
        verbose: bool = False,
        warm_start: bool = False,
        checkpoint: str | PathLike[str] | None = None,
        checkpoint_interval: int = 1,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-08,
        n_iter_no_change: float = 10,
        n_jobs: int | None = None,
        device: str = "cpu",
    ) -> None: ...

class ScalingDisplay:
    exponents_: Any
    ax_: Axes
    figure_: Figure
    lines_: list[Line2D]
    def __init__(
        self,
        widths: ArrayLike,
        fit_seconds: ArrayLike,
        predict_seconds: ArrayLike,
        *,
        dense_fit_seconds: ArrayLike | None = None,
        dense_predict_seconds: ArrayLike | None = None,
        estimator_name: str | None = None,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: _Matrix,
        y: ArrayLike,
        *,
        widths: ArrayLike = (256, 512, 1024, 2048, 4096),
        dense_widths: ArrayLike = (256, 512, 1024, 2048),
        n_repeats: int = 3,
        ax: Axes | None = None,
        name: str | None = None,
        **line_kwargs: Any,
    ) -> ScalingDisplay: ...
    def plot(self, *, ax: Axes | None = None, **line_kwargs: Any) -> ScalingDisplay: ...

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
