"""Uses of the package that a type checker accepts, and some, marked so, that it refuses. Nothing here is run."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    import ldlrpp
    from ldlrpp import (
        LDLClassifier,
        LDLTransformer,
        LossCurveDisplay,
        MixedClassifier,
        RPPClassifier,
        RPPRegressor,
        kernels,
    )

    X = np.zeros((4, 8), np.float32)
    y = ["a", "b", "a", "b"]

    model = LDLClassifier((64, 64), solver="adamw", learning_rate="cosine", max_grad_norm=None).fit(X, y)
    LDLClassifier(np.array([64, 64]), class_weight={"a": 1.0}, n_iter_no_change=np.inf)
    LDLClassifier((64, 64), init=["hadamard", "orthogonal"])
    LDLClassifier((64, 64), init="hadamard", radix=4)
    model.set_params(solver="sgd")
    parameters: int = model.n_parameters_
    curve: list[float] = model.partial_fit(X, y, classes=["a", "b"]).loss_curve_
    labels: NDArray[np.str_] = model.predict(X.tolist())
    matrix, bias = RPPRegressor(n_permutations=8, seed=1).fit(X, X[:, 0]).to_dense(0)
    layers = [("ldl", 1024), ("rpp", 1000, {"n_permutations": 100}), ("dense", 64)]
    MixedClassifier(layers, dropout=0.5)
    hidden: NDArray[np.float32] = LDLTransformer(16, task="regression").fit(X).transform(X)
    LossCurveDisplay.from_estimator(model, color="red").ax_.set_title("loss")
    ldlrpp.warmup(np.float32)

    LDLClassifier((64,), (64,))  # refused
    LDLClassifier(hidden_layer_size=64)  # refused
    LDLClassifier(solver="adm")  # refused
    LDLClassifier(bias="shared")  # refused
    LDLClassifier(init="zeros")  # refused
    LDLClassifier(radix=3)  # refused
    LDLClassifier((64, 64), init=["hadamard", "zeros"])  # refused
    RPPClassifier(n_permutations=2.5)  # refused
    RPPRegressor(class_weight="balanced")  # refused
    MixedClassifier(64)  # refused
    name: str = model.n_parameters_  # refused
    shape = RPPClassifier().seeds_.shape  # refused
    model.to_dense()  # refused
    RPPRegressor().fit(X)  # refused
    LossCurveDisplay([1.0], [2.0])  # refused

    weights, scale, shift = kernels.ldl_init(8, init="normal", random_state=0)
    z: NDArray[np.float32] = kernels.ldl_forward(X, weights, scale, shift, out=X)
    gradients = kernels.ldl_backward(z, X, weights, scale)
    merged: NDArray[np.float64] = kernels.ldl_merge(np.ones((3, 2, 8)), radix=8)
    kernels.ldl_dense(np.ones((1, 2, 2), np.float32), np.ones(2, np.float64))  # refused
    kernels.ldl_forward(X, weights, scale)  # refused
    kernels.ldl_init(8, init="zeros")  # refused
    kernels.ldl_init(8, radix="4")  # refused
    count: str = kernels.ldl_n_parameters(8)  # refused
    kernels.ldl_dense(np.zeros((1, 2, 2), np.int64), np.ones(2, np.int64))  # refused
    ldlrpp.warmup(dtype=np.float32)  # refused

    wide = kernels.rpp_init(8, 4, random_state=np.random.default_rng(0))
    permutation = kernels.rpp_permutation(8, 4, 2, seed=7)
    outputs: NDArray[np.float32] = kernels.rpp_forward(X, wide, 2, 7, permutation=permutation)
    _, grad_wide, _ = kernels.rpp_backward(outputs, X, wide, 2, 7, share_columns=False)
    kernels.rpp_forward(X, wide, n_permutation=2, seed=7)  # refused
    kernels.rpp_forward(X, wide, 2, 7, permutation=np.zeros((2, 8, 4)))  # refused
    kernels.rpp_expand(np.ones((8, 4)), 2, "7")  # refused
