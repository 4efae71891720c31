"""Weights of LDL layers: how they lie in memory, what they start as, and other forms of them.

`ldlrpp.kernels.ldl_forward` documents the layout.
"""

import functools
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ldlrpp.kernels import arguments
from ldlrpp.kernels.arguments import Float

Radix = Literal[2, 4, 8, 16, 32]
RADICES = get_args(Radix)
INITS = "orthogonal", "normal", "hadamard"


# --- The layout ------------------------------------------------------------------------------------------------------


@functools.cache
def stages(width, radix):
    """The radices of all stages, first to last: what remains, if anything does, and ``radix`` again and again."""
    n_bits, bits = width.bit_length() - 1, radix.bit_length() - 1
    bits = min(n_bits, bits)
    n_whole, remaining = divmod(n_bits, bits) if bits else (0, 0)
    return (2**remaining,) * (remaining > 0) + (2**bits,) * n_whole


def weights_shape(width, radix):
    """The shape of the weights of a layer."""
    radices = stages(width, radix)
    if len(set(radices)) == 2:
        return sum(radices), width
    return len(radices), radices[0] if radices else radix, width


@functools.cache
def radix_by_shape(width):
    """The radix of every shape that weights of a width may have; of a layer of one stage, that of the stage."""
    return {weights_shape(width, radix): radix for radix in reversed(RADICES)}


def radix_of(shape):
    """The radix of a layer whose weights have the shape."""
    return radix_by_shape(shape[-1])[shape]


def _each_stage(weights):
    """Every stage's weights (r, N), a part of ``weights`` (which are in C order), and its distance h."""
    width = weights.shape[-1]
    rows, start, distance = weights.reshape(-1, width), 0, width
    for radix in stages(width, radix_of(weights.shape)):
        distance //= radix
        yield rows[start : start + radix], distance
        start += radix


def _radix(value, choices=RADICES):
    radix = arguments.positive_int("radix", value)
    if radix not in choices:
        raise ValueError(f"radix must be one of {', '.join(map(str, choices))}, got {radix}")
    return radix


# --- Initial weights -------------------------------------------------------------------------------------------------


def ldl_init(
    width: int,
    *,
    radix: Radix = 2,
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
    radix : {2, 4, 8, 16, 32}, default=2
        Number r of positions that a stage mixes with each other. A stage of radix r stands for log2 r stages of radix
        2: layers of radix 4 have as many weights as those of radix 2, of 8 some 4/3 times, of 16 twice, of 32 three
        times as many.
    init : {'orthogonal', 'normal', 'hadamard'}, default='orthogonal'
        'orthogonal' makes every 2×2 mix a rotation or a reflection by a uniform random angle, and every r×r mix log2 r
        stages of these: the layer, ``gain`` aside, keeps the length of its input exactly, and one ``random_state``
        gives the same layer, up to rounding, in every radix. 'normal' draws every weight with standard deviation 1/√r,
        which keeps the variance on average. 'hadamard' makes every r×r mix the Walsh-Hadamard matrix over √r, in radix
        2 [[1, 1], [1, −1]]/√2: the layer is the normalised Walsh-Hadamard transform in its natural order
        (`scipy.linalg.hadamard`), orthogonal as well, and nothing is drawn.
    gain : float, default=1.0
        Value of every entry of ``scale``; √2 makes up for a relu that follows.
    random_state : None, int or numpy.random.Generator, default=None
        Source of the random numbers, as taken by `numpy.random.default_rng`.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Type of the parameters.

    Returns
    -------
    weights : ndarray of shape (n_stages, radix, N) or (n_rows, N)
        Weights of the stages, (log2 N, 2, N) in radix 2, see `ldl_forward`.
    scale : ndarray of shape (N,)
        Factor of every output.
    bias : ndarray of shape (N,)
        Zeros.

    Raises
    ------
    ValueError
        If ``width`` is not a power of two, ``radix`` or ``init`` is none of those, or ``gain`` is not above zero.
    TypeError
        If ``width`` or ``radix`` is not an integer or ``dtype`` is neither of the two.

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
    >>> kernels.ldl_init(4096, radix=8)[0].shape
    (4, 8, 4096)
    """
    width = arguments.power_of_two("width", width)
    radix = _radix(radix)
    gain = arguments.positive_number("gain", gain)
    dtype = arguments.float_dtype("dtype", dtype)
    rng = arguments.random_generator("random_state", random_state)
    if not isinstance(init, str) or init not in INITS:
        raise ValueError(f"init must be one of {', '.join(map(repr, INITS))}, got {init!r}")
    if init == "orthogonal":
        weights = _rotations(width, rng, dtype)
        weights = weights if radix == 2 else _merged(weights, radix)
    elif init == "normal":
        weights = rng.standard_normal(weights_shape(width, radix), dtype=dtype)
        for stage, _ in _each_stage(weights):
            stage *= dtype.type(np.sqrt(1 / len(stage)))
    else:
        weights = _hadamard(width, radix, dtype)
    return weights, np.full(width, gain, dtype), np.zeros(width, dtype)


def _hadamard(width, radix, dtype):
    """Weights whose every mix is a Walsh-Hadamard matrix over √r."""
    weights = np.empty(weights_shape(width, radix), dtype)
    for stage, distance in _each_stage(weights):
        own, q = np.arange(len(stage)), np.arange(len(stage))[:, None]
        signs = 1.0 - 2.0 * (np.bitwise_count(own & (own ^ q)) % 2)
        # (q, group, place in the group, position between groups)
        mixes = stage.reshape(len(stage), -1, len(stage), distance)
        mixes[:] = (np.sqrt(1 / len(stage)) * signs)[:, None, :, None]
    return weights


def hadamard_of_copies(width, n_inputs, radix, rng, dtype):
    """The start 'hadamard' of a layer that gets a power of two of inputs again and again: weights of its stages.

    Stages that would mix an input with copies of itself, and give its multiple and zeros, do not mix at first: a
    position at zero has no gradient behind a relu. They give all copies but the first random signs.
    """
    weights = _hadamard(width, 2, np.float64)
    n_copies = width // n_inputs
    for s in range(n_copies.bit_length() - 1):
        weights[s, 0], weights[s, 1] = 1, 0
        # (block, first or second half, position in the half)
        second = weights[s, 0].reshape(2**s, 2, -1)[:, 1]
        second[:] = rng.choice([-1.0, 1.0], second.shape)
    return (weights if radix == 2 else _merged(weights, radix)).astype(dtype)


def _rotations(width, rng, dtype):
    """Weights of radix 2 whose every mix is a rotation or a reflection."""
    weights = np.empty(weights_shape(width, 2), dtype)
    for s in range(len(weights)):
        # (own or other, block, first or second half, position in the half)
        stage = weights[s].reshape(2, 2**s, 2, width >> (s + 1))
        angle = rng.uniform(0, 2 * np.pi, stage.shape[1::2])
        sign = rng.choice([-1.0, 1.0], angle.shape)
        stage[0, :, 0] = np.cos(angle)
        stage[1, :, 0] = np.sin(angle)
        stage[0, :, 1] = sign * np.cos(angle)
        stage[1, :, 1] = -sign * np.sin(angle)
    return weights


# --- Other forms -----------------------------------------------------------------------------------------------------


def ldl_merge(weights: NDArray[Float], radix: Radix = 4) -> NDArray[Float]:
    """The weights of a larger radix of the layer that weights of radix 2 are.

    Parameters
    ----------
    weights : ndarray of shape (log2 N, 2, N)
        Weights of radix 2, float32 or float64.
    radix : {4, 8, 16, 32}, default=4
        The radix wanted.

    Returns
    -------
    merged : ndarray of shape (n_stages, radix, N) or (n_rows, N)
        Weights of that radix, see `ldl_forward`: products of those of radix 2. With the same ``scale`` and ``bias``
        they are the same layer, up to rounding. There is no way back: most layers of a larger radix are none of radix
        2.

    Raises
    ------
    ValueError
        If the weights are not of radix 2 or ``radix`` is none of the four.
    TypeError
        If the array is not float32 or float64 or ``radix`` is not an integer.

    Examples
    --------
    >>> import numpy as np
    >>> from ldlrpp import kernels
    >>> weights, scale, _ = kernels.ldl_init(64, random_state=0)
    >>> merged = kernels.ldl_merge(weights)
    >>> weights.shape, merged.shape
    ((6, 2, 64), (3, 4, 64))
    >>> bool(np.allclose(kernels.ldl_dense(merged, scale), kernels.ldl_dense(weights, scale), atol=1e-6))
    True
    """
    weights = _of_radix_2(weights)
    return _merged(weights, _radix(radix, RADICES[1:]))


def _merged(weights, radix):
    width = weights.shape[2]
    merged = np.empty(weights_shape(width, radix), weights.dtype)
    pairs = _each_stage(weights)
    for stage, distance in _each_stage(merged):
        rows, h = next(pairs)
        while h > distance:
            mixes, h = next(pairs)
            # stage (V, 2·h) and then (W, h) are one of twice the radix: W[q, p] · V[:, p XOR q·h] for row 2·[:] + q
            others = rows.reshape(len(rows), -1, 2, h)[:, :, ::-1].reshape(rows.shape)
            rows = np.stack([mixes[0] * rows, mixes[1] * others], axis=1).reshape(-1, width)
        stage[:] = rows
    return merged


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
        Weights of radix 2 for `ldl_forward`; with a ``scale`` of ones and a ``bias`` of zeros it computes the
        butterfly.

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
        Weights of radix 2, float32 or float64.

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
    weights = _of_radix_2(weights)
    twiddle = np.empty((len(weights), weights.shape[2] // 2, 2, 2), weights.dtype)
    for factors, stage in _butterfly_views(twiddle, weights):
        for half in range(2):
            factors[:, :, half, half] = stage[0, :, half]
            factors[:, :, half, 1 - half] = stage[1, :, half]
    return twiddle


def _of_radix_2(weights):
    weights = arguments.float_array("weights", weights)
    arguments.check_shape("weights", weights, (None, 2, None), ("log2 N", "2", "N"))
    width = arguments.power_of_two("the width weights.shape[2]", weights.shape[2])
    arguments.check_shape("weights", weights, weights_shape(width, 2), ("log2 N", "2", "N"))
    return np.ascontiguousarray(weights)


def _butterfly_views(twiddle, weights):
    """Every stage's twiddle (block, position, output, input) and weights (own or other, block, half, position)."""
    for s, (factors, stage) in enumerate(zip(twiddle, weights, strict=True)):
        half = weights.shape[2] >> (s + 1)
        yield factors.reshape(2**s, half, 2, 2), stage.reshape(2, 2**s, 2, half)


def ldl_n_parameters(width: int, *, radix: Radix = 2) -> int:
    """Number of parameters of an LDL layer: weights, N scales and N biases.

    A stage of radix r has r·N weights: a layer of radix 2 or 4 has 2·N·log2 N weights, one of radix N has N².

    Parameters
    ----------
    width : int
        Width N of the layer, a power of two.
    radix : {2, 4, 8, 16, 32}, default=2
        Radix of its stages.

    Returns
    -------
    n_parameters : int
        The count.

    Raises
    ------
    ValueError
        If ``width`` is not a power of two or ``radix`` is none of the five.
    TypeError
        If ``width`` or ``radix`` is not an integer.

    Examples
    --------
    >>> from ldlrpp import kernels
    >>> kernels.ldl_n_parameters(1024), kernels.ldl_n_parameters(1024, radix=32)
    (22528, 67584)
    """
    width = arguments.power_of_two("width", width)
    return width * (sum(stages(width, _radix(radix))) + 2)
