"""Public functions of the LDL layer: arguments are checked here, once."""

from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ldlrpp.kernels import arguments, ldl_cpu
from ldlrpp.kernels.arguments import Float
from ldlrpp.kernels.threads import one_kernel

INITS = "orthogonal", "normal", "hadamard"


def ldl_init(
    width: int,
    *,
    init: Literal["orthogonal", "normal", "hadamard"] = "orthogonal",
    gain: float = 1.0,
    random_state: int | np.random.Generator | None = None,
    dtype: DTypeLike = np.float32,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Initial parameters of an LDL layer.

    Parameters
    ----------
    width : int
        Width N of the layer, a power of two.
    init : {'orthogonal', 'normal', 'hadamard'}, default='orthogonal'
        'orthogonal' makes every 2×2 mix a rotation or a reflection by a uniform random angle: the layer, ``gain``
        aside, keeps the length of its input exactly. 'normal' draws every weight with standard deviation 1/√2, which
        keeps the variance on average. 'hadamard' makes every mix [[1, 1], [1, −1]]/√2: the layer is the normalised
        Walsh-Hadamard transform in its natural order (`scipy.linalg.hadamard`), orthogonal as well, and nothing is
        drawn.
    gain : float, default=1.0
        Value of every entry of ``scale``; √2 makes up for a relu that follows.
    random_state : None, int or numpy.random.Generator, default=None
        Source of the random numbers, as taken by `numpy.random.default_rng`.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Type of the parameters.

    Returns
    -------
    weights : ndarray of shape (log2 N, 2, N)
        Stage s mixes position p with position p XOR N / 2^(s+1): ``weights[s, 0, p]`` is its own weight, ``weights[s,
        1, p]`` the other's.
    scale : ndarray of shape (N,)
        Factor of every output.
    bias : ndarray of shape (N,)
        Zeros.

    Raises
    ------
    ValueError
        If ``width`` is not a power of two, ``init`` is none of the three or ``gain`` is not above zero.
    TypeError
        If ``width`` is not an integer or ``dtype`` is neither of the two.

    Examples
    --------
    >>> import numpy as np
    >>> from ldlrpp import kernels
    >>> weights, scale, bias = kernels.ldl_init(8, random_state=0, dtype=np.float64)
    >>> weights.shape
    (3, 2, 8)
    >>> matrix = kernels.ldl_dense(weights, scale)
    >>> bool(np.allclose(matrix @ matrix.T, np.eye(8)))
    True
    """
    width = arguments.power_of_two("width", width)
    gain = arguments.positive_number("gain", gain)
    dtype = arguments.float_dtype("dtype", dtype)
    rng = arguments.random_generator("random_state", random_state)
    n_stages = width.bit_length() - 1
    if not isinstance(init, str) or init not in INITS:
        raise ValueError(f"init must be one of {', '.join(map(repr, INITS))}, got {init!r}")
    if init == "normal":
        weights = rng.standard_normal((n_stages, 2, width), dtype=dtype)
        weights *= dtype.type(np.sqrt(0.5))
    elif init == "hadamard":
        weights = np.full((n_stages, 2, width), np.sqrt(0.5), dtype)
        for s in range(n_stages):
            # of the second position of a pair
            weights[s, 0].reshape(2**s, 2, -1)[:, 1] *= -1
    else:
        weights = np.empty((n_stages, 2, width), dtype)
        for s in range(n_stages):
            # (own or other, block, first or second half, position in the half)
            stage = weights[s].reshape(2, 2**s, 2, width >> (s + 1))
            angle = rng.uniform(0, 2 * np.pi, stage.shape[1::2])
            sign = rng.choice([-1.0, 1.0], angle.shape)
            stage[0, :, 0] = np.cos(angle)
            stage[1, :, 0] = np.sin(angle)
            stage[0, :, 1] = sign * np.cos(angle)
            stage[1, :, 1] = -sign * np.sin(angle)
    return weights, np.full(width, gain, dtype), np.zeros(width, dtype)


def ldl_forward(
    x: NDArray[Float],
    weights: NDArray[Float],
    scale: NDArray[Float],
    bias: NDArray[Float],
    *,
    out: NDArray[Float] | None = None,
) -> NDArray[Float]:
    """Apply an LDL layer to a batch.

    From z = x, stage after stage, s = 0 … log2 N − 1, with h = N / 2^(s+1)::

        z[p] = weights[s, 0, p] · z[p] + weights[s, 1, p] · z[p XOR h]      for every position p

    and y = scale · z + bias. This is the recursion "split into halves, mix them elementwise, recurse on both,
    concatenate" of the less dense layer, or a butterfly factorisation with decreasing stride followed by a diagonal
    and a bias.

    Parameters
    ----------
    x : ndarray of shape (batch, N)
        Input, float32 or float64, of any memory layout; N is a power of two.
    weights : ndarray of shape (log2 N, 2, N)
        Weights of the stages, of the dtype of ``x``, like all that follow.
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

    Examples
    --------
    >>> import numpy as np
    >>> from ldlrpp import kernels
    >>> weights = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> kernels.ldl_forward(np.array([[10.0, 100.0]]), weights, np.ones(2), np.zeros(2))
    array([[310., 240.]])
    """
    x = _batch("x", x)
    weights, scale = _parameters(weights, scale, x.dtype, x.shape[1])
    bias = _vector("bias", bias, x)
    y = arguments.output(out, x.shape, x.dtype, (x, weights, scale, bias))
    with one_kernel():
        ldl_cpu.forward(x, weights, scale, bias, False, y)
    if out is None or y is out:
        return y
    out[...] = y
    return out


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
    weights : ndarray of shape (log2 N, 2, N)
        Weights of the stages.
    scale : ndarray of shape (N,)
        Factor of every output.

    Returns
    -------
    grad_x : ndarray of shape (batch, N)
        Gradient with respect to ``x``.
    grad_weights : ndarray of shape (log2 N, 2, N)
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
    x = _batch("x", x)
    grad_y = _batch("grad_y", grad_y, x)
    weights, scale = _parameters(weights, scale, x.dtype, x.shape[1])
    grad_x = np.empty(x.shape, x.dtype)
    grad_weights = np.empty(weights.shape, x.dtype)
    grad_scale = np.empty_like(grad_weights, shape=scale.shape)
    grad_bias = np.empty_like(grad_scale)
    with one_kernel():
        ldl_cpu.backward(grad_y, x, weights, scale, grad_x, grad_weights, grad_scale, grad_bias)
    return grad_x, grad_weights, grad_scale, grad_bias


def ldl_dense(weights: NDArray[Float], scale: NDArray[Float]) -> NDArray[Float]:
    """The dense matrix that an LDL layer applies.

    Parameters
    ----------
    weights : ndarray of shape (log2 N, 2, N)
        Weights of the stages, float32 or float64.
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
    scale = arguments.float_array("scale", scale)
    arguments.check_shape("scale", scale, (None,), ("N",))
    arguments.power_of_two("the width len(scale)", len(scale))
    identity = np.eye(len(scale), dtype=scale.dtype)
    return ldl_forward(identity, weights, scale, np.zeros_like(scale))


def ldl_from_butterfly(twiddle: NDArray[Float]) -> NDArray[Float]:
    """The weights of an LDL layer that computes a butterfly of decreasing stride.

    Parameters
    ----------
    twiddle : ndarray of shape (log2 N, N / 2, 2, 2)
        The factors in the layout of existing butterfly packages [1]_: factor s has stride h = N / 2^(s+1), and
        ``twiddle[s, b·h + k]`` is the matrix that takes positions ``2·b·h + k`` and ``2·b·h + h + k`` to themselves.
        float32 or float64.

    Returns
    -------
    weights : ndarray of shape (log2 N, 2, N)
        Weights for `ldl_forward`; with a ``scale`` of ones and a ``bias`` of zeros it computes the butterfly.

    Raises
    ------
    ValueError
        If the shape is not that of a twiddle.
    TypeError
        If the array is not float32 or float64.

    References
    ----------
    .. [1] T. Dao et al., "Kaleidoscope: An Efficient, Learnable Representation For All Structured Linear Maps",
       ICLR 2020; the twiddle of its package, without the axes of stacks and blocks.

    Examples
    --------
    >>> import numpy as np
    >>> from ldlrpp import kernels
    >>> kernels.ldl_from_butterfly(np.array([[[[1.0, 2.0], [4.0, 3.0]]]]))
    array([[[1., 3.],
            [2., 4.]]])
    """
    twiddle = arguments.float_array("twiddle", twiddle)
    arguments.check_shape("twiddle", twiddle, (None, None, 2, 2), ("log2 N", "N / 2", "2", "2"))
    n_stages = len(twiddle)
    if n_stages and twiddle.shape[1] != 2 ** (n_stages - 1):
        raise ValueError(f"twiddle must have shape (log2 N, N / 2, 2, 2), got {twiddle.shape}")
    width = 2**n_stages
    weights = np.empty((n_stages, 2, width), twiddle.dtype)
    for factors, stage in _butterfly_views(twiddle, weights):
        for half in range(2):
            stage[0, :, half] = factors[:, :, half, half]
            stage[1, :, half] = factors[:, :, half, 1 - half]
    return weights


def ldl_to_butterfly(weights: NDArray[Float]) -> NDArray[Float]:
    """The twiddle of a butterfly from the weights of an LDL layer: the inverse of `ldl_from_butterfly`.

    Parameters
    ----------
    weights : ndarray of shape (log2 N, 2, N)
        Weights of the stages, float32 or float64.

    Returns
    -------
    twiddle : ndarray of shape (log2 N, N / 2, 2, 2)
        The factors, see `ldl_from_butterfly`. A layer's ``scale`` and ``bias`` have no place in them.

    Raises
    ------
    ValueError
        If the shape does not fit or N is not a power of two.
    TypeError
        If the array is not float32 or float64.

    Examples
    --------
    >>> from ldlrpp import kernels
    >>> weights = kernels.ldl_init(8, random_state=0)[0]
    >>> bool((kernels.ldl_from_butterfly(kernels.ldl_to_butterfly(weights)) == weights).all())
    True
    """
    weights = arguments.float_array("weights", weights)
    arguments.check_shape("weights", weights, (None, 2, None), ("log2 N", "2", "N"))
    width = arguments.power_of_two("the width weights.shape[2]", weights.shape[2])
    arguments.check_shape("weights", weights, (width.bit_length() - 1, 2, width), ("log2 N", "2", "N"))
    twiddle = np.empty((len(weights), width // 2, 2, 2), weights.dtype)
    for factors, stage in _butterfly_views(twiddle, weights):
        for half in range(2):
            factors[:, :, half, half] = stage[0, :, half]
            factors[:, :, half, 1 - half] = stage[1, :, half]
    return twiddle


def _butterfly_views(twiddle, weights):
    """Every stage's twiddle (block, position, output, input) and weights (own or other, block, half, position)."""
    for s, (factors, stage) in enumerate(zip(twiddle, weights, strict=True)):
        half = weights.shape[2] >> (s + 1)
        yield factors.reshape(2**s, half, 2, 2), stage.reshape(2, 2**s, 2, half)


def ldl_n_parameters(width: int) -> int:
    """Number of parameters of an LDL layer: 2·N·log2 N weights, N scales and N biases.

    Parameters
    ----------
    width : int
        Width N of the layer, a power of two.

    Returns
    -------
    n_parameters : int
        The count.

    Raises
    ------
    ValueError
        If ``width`` is not a power of two.
    TypeError
        If ``width`` is not an integer.

    Examples
    --------
    >>> from ldlrpp import kernels
    >>> kernels.ldl_n_parameters(1024)
    22528
    """
    width = arguments.power_of_two("width", width)
    return 2 * width * (width.bit_length() - 1) + 2 * width


def _batch(name, value, like=None):
    """A (batch, N) array in C order; of the shape and dtype of ``like``."""
    array = arguments.float_array(name, value, None if like is None else like.dtype)
    arguments.check_shape(name, array, (None, None) if like is None else like.shape, ("batch", "N"))
    arguments.power_of_two(f"the width {name}.shape[1]", array.shape[1])
    return np.ascontiguousarray(array)


def _vector(name, value, x):
    array = arguments.float_array(name, value, x.dtype)
    arguments.check_shape(name, array, (x.shape[1],), ("N",))
    return np.ascontiguousarray(array)


def _parameters(weights, scale, dtype, width):
    weights = arguments.float_array("weights", weights, dtype)
    arguments.check_shape("weights", weights, (width.bit_length() - 1, 2, width), ("log2 N", "2", "N"))
    scale = arguments.float_array("scale", scale, dtype)
    arguments.check_shape("scale", scale, (width,), ("N",))
    return np.ascontiguousarray(weights), np.ascontiguousarray(scale)
