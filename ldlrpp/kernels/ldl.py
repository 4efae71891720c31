"""Public functions of the LDL layer: arguments are checked here, once."""

import numpy as np
from numpy.typing import NDArray

from ldlrpp.kernels import arguments, backend
from ldlrpp.kernels.arguments import Float
from ldlrpp.kernels.ldl_weights import RADICES, radix_by_shape, weights_shape


def ldl_forward(
    x: NDArray[Float],
    weights: NDArray[Float],
    scale: NDArray[Float],
    bias: NDArray[Float],
    *,
    out: NDArray[Float] | None = None,
) -> NDArray[Float]:
    """Apply an LDL layer to a batch.

    From z = x, stage after stage, groups of r positions that are h apart are mixed::

        z[p] = Σ_q w[q, p] · z[p XOR q·h],      q = 0 … r − 1      for every position p

    with h = N / r, N / r², …, 1 in turn, and y = scale · z + bias. r, a power of two up to 32, is the layer's radix;
    where N is no power of it, the first stage is of a smaller one.

    Radix 2 is the recursion of the less dense layer as it was first written down, "split into halves, mix them
    elementwise, recurse on both, concatenate", or a butterfly factorisation with decreasing stride followed by a
    diagonal and a bias. Radix r splits into r parts and mixes them elementwise, each with weights of its own for all
    r: log2 r stages of radix 2 are one of radix r (`ldl_merge`), whose r×r mixes are free and need not be products.

    Parameters
    ----------
    x : ndarray of shape (batch, N)
        Input, float32 or float64, of any memory layout; N is a power of two. It and the others may be on a GPU, see
        `ldlrpp.kernels`.
    weights : ndarray of shape (n_stages, radix, N) or (n_rows, N)
        Weights of the stages, (log2 N, 2, N) in radix 2, see below; of the dtype of ``x``, like all that follow.
    scale : ndarray of shape (N,)
        Factor of every output.
    bias : ndarray of shape (N,)
        Added to every output.
    out : ndarray of shape (batch, N), default=None
        Where to write the result; may be ``x``.

    Returns
    -------
    y : ndarray of shape (batch, N)
        The result, ``out`` itself where it was given. A row does not depend on its batch nor on the number of
        threads, to the last bit.

    Raises
    ------
    ValueError
        If a shape does not fit or N is not a power of two.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    Notes
    -----
    The rows w[q, :] of ``weights`` stand one after another, stage after stage and in a stage q = 0 … r − 1. The radix
    is seen from the shape:

    - (n_stages, r, N) where N = r^n_stages: ``weights[s, q, p]``. A layer narrower than its radix is one stage that
      mixes everything, (1, N, N); a layer of width 1 has no stage.
    - (n_rows, N) where N is no power of r: the first stage is of the radix f < r that remains, N = f · r^m, and n_rows
      = f + m·r. ``weights[:f]`` is the first stage, ``weights[f:].reshape(m, r, N)`` are the others.

    Examples
    --------
    >>> import numpy as np
    >>> from ldlrpp import kernels
    >>> weights = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> kernels.ldl_forward(np.array([[10.0, 100.0]]), weights, np.ones(2), np.zeros(2))
    array([[310., 240.]])

    In radix 4 a layer of width 8 is a stage of radix 2 and one of radix 4:

    >>> weights, scale, bias = kernels.ldl_init(8, radix=4, init="hadamard", dtype=np.float64)
    >>> weights.shape
    (6, 8)
    >>> kernels.ldl_forward(np.ones((1, 8)), weights, scale, bias).round(4) + 0.0
    array([[2.8284, 0.    , 0.    , 0.    , 0.    , 0.    , 0.    , 0.    ]])
    """
    given, kernels = x, backend.of(x)
    x = _batch("x", x, kernels)
    weights, scale = _parameters(weights, scale, x.dtype, x.shape[1], kernels)
    bias = _vector("bias", bias, x, kernels)
    y = arguments.output(out, x.shape, x.dtype, (x, weights, scale, bias), kernels)
    with kernels.threads.one_kernel():
        kernels.ldl.forward(x, weights, scale, bias, False, y)
    return arguments.written(y, out, given, kernels)


def ldl_backward(
    grad_y: NDArray[Float], x: NDArray[Float], weights: NDArray[Float], scale: NDArray[Float]
) -> tuple[NDArray[Float], NDArray[Float], NDArray[Float], NDArray[Float]]:
    """Gradients of a loss with respect to the input and the parameters of `ldl_forward`.

    Parameters
    ----------
    grad_y : ndarray of shape (batch, N)
        Gradient of the loss with respect to the layer's output.
    x : ndarray of shape (batch, N)
        The input that the layer was applied to.
    weights : ndarray of shape (n_stages, radix, N) or (n_rows, N)
        Weights of the stages, see `ldl_forward`.
    scale : ndarray of shape (N,)
        Factor of every output.

    Returns
    -------
    grad_x : ndarray of shape (batch, N)
        Gradient with respect to ``x``.
    grad_weights : ndarray of the shape of ``weights``
        Gradient with respect to ``weights``, summed over the batch, like those that follow.
    grad_scale : ndarray of shape (N,)
        Gradient with respect to ``scale``.
    grad_bias : ndarray of shape (N,)
        Gradient with respect to ``bias``.

    Raises
    ------
    ValueError
        If a shape does not fit or N is not a power of two.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    Notes
    -----
    Nothing of the forward pass is kept: the stages are computed again, tile by tile. Gradients do not
    depend on the number of threads, to the last bit.

    Examples
    --------
    >>> import numpy as np
    >>> from ldlrpp import kernels
    >>> weights = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> grads = kernels.ldl_backward(np.array([[1.0, 0.0]]), np.array([[10.0, 100.0]]), weights, np.ones(2))
    >>> grads[0]
    array([[1., 3.]])
    >>> grads[1]
    array([[[ 10.,   0.],
            [100.,   0.]]])
    """
    given, kernels = x, backend.of(x)
    x = _batch("x", x, kernels)
    grad_y = _batch("grad_y", grad_y, kernels, x)
    weights, scale = _parameters(weights, scale, x.dtype, x.shape[1], kernels)
    empty = kernels.memory.xp.empty
    grad_x, grad_weights = empty(x.shape, x.dtype), empty(weights.shape, x.dtype)
    grad_scale, grad_bias = empty(scale.shape, x.dtype), empty(scale.shape, x.dtype)
    with kernels.threads.one_kernel():
        kernels.ldl.backward(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias)
    grads = grad_x, grad_weights, grad_scale, grad_bias
    return tuple(kernels.memory.like(grad, given) for grad in grads)


def ldl_dense(weights: NDArray[Float], scale: NDArray[Float]) -> NDArray[Float]:
    """The dense matrix that an LDL layer applies.

    Parameters
    ----------
    weights : ndarray of shape (n_stages, radix, N) or (n_rows, N)
        Weights of the stages, see `ldl_forward`, float32 or float64.
    scale : ndarray of shape (N,)
        Factor of every output.

    Returns
    -------
    matrix : ndarray of shape (N, N)
        M with ``ldl_forward(x, weights, scale, bias) == x @ M + bias`` up to rounding.

    Raises
    ------
    ValueError
        If a shape does not fit or N is not a power of two.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from ldlrpp import kernels
    >>> kernels.ldl_dense(np.array([[[1.0, 2.0], [3.0, 4.0]]]), np.ones(2))
    array([[1., 4.],
           [3., 2.]])
    """
    given, kernels = weights, backend.of(weights)
    vector = arguments.float_array("scale", scale, kernels=kernels)
    arguments.check_shape("scale", vector, (None,), ("N",))
    width = arguments.power_of_two("the width len(scale)", len(vector))
    weights, scale = _parameters(weights, scale, vector.dtype, width, kernels)
    identity = kernels.memory.put(np.eye(width, dtype=scale.dtype))
    matrix = kernels.memory.empty((width, width), scale.dtype)
    with kernels.threads.one_kernel():
        kernels.ldl.forward(identity, weights, scale, kernels.memory.zeros((width,), scale.dtype), False, matrix)
    return kernels.memory.like(matrix, given)


def _batch(name, value, kernels, like=None):
    """A (batch, N) array in C order; of the shape and dtype of ``like``."""
    array = arguments.float_array(name, value, None if like is None else like.dtype, kernels)
    arguments.check_shape(name, array, (None, None) if like is None else like.shape, ("batch", "N"))
    arguments.power_of_two(f"the width {name}.shape[1]", array.shape[1])
    return kernels.memory.contiguous(array)


def _vector(name, value, x, kernels):
    array = arguments.float_array(name, value, x.dtype, kernels)
    arguments.check_shape(name, array, (x.shape[1],), ("N",))
    return kernels.memory.contiguous(array)


def _parameters(weights, scale, dtype, width, kernels):
    weights = arguments.float_array("weights", weights, dtype, kernels)
    if weights.shape not in radix_by_shape(width):
        raise ValueError(
            f"weights must have the shape of a radix of {', '.join(map(str, RADICES[:-1]))} or {RADICES[-1]} for "
            f"N = {width}, as {weights_shape(width, 2)}, got {weights.shape}"
        )
    scale = arguments.float_array("scale", scale, dtype, kernels)
    arguments.check_shape("scale", scale, (width,), ("N",))
    return kernels.memory.contiguous(weights), kernels.memory.contiguous(scale)
