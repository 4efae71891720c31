"""Public functions of the RPP layer: arguments are checked here, once."""

import functools
import weakref
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ldlrpp.kernels import arguments, backend, bijection, cpu
from ldlrpp.kernels.arguments import Float

# Weak references to arrays that were found to be permutations, by their ids.
_checked = {}


def rpp_init(
    n_inputs: int,
    n_columns: int,
    *,
    gain: float = 1.0,
    random_state: int | np.random.Generator | None = None,
    dtype: DTypeLike = np.float32,
) -> NDArray[Any]:
    """Draw the initial hidden matrix of an RPP layer.

    Parameters
    ----------
    n_inputs : int
        Number of inputs m.
    n_columns : int
        Number of columns n of the hidden matrix.
    gain : float, default=1.0
        The weights are normal with standard deviation gain / √m: every output of the wide layer sums m of them. √2
        suits a relu that follows.
    random_state : None, int or numpy.random.Generator, default=None
        Source of the random numbers, as taken by `numpy.random.default_rng`.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Type of the matrix.

    Returns
    -------
    hidden : ndarray of shape (m, n)
        The matrix, in Fortran order: the kernels read it by columns.

    Raises
    ------
    ValueError
        If a size is below 1 (or ``n_inputs`` above 2^30), or ``gain`` is not above zero.
    TypeError
        If a size is not an integer or ``dtype`` is neither of the two.

    Examples
    --------
    >>> from ldlrpp import kernels
    >>> kernels.rpp_init(784, 10, random_state=0).shape
    (784, 10)
    """
    n_inputs = arguments.positive_int("n_inputs", n_inputs, bijection.MAX_INPUTS)
    n_columns = arguments.positive_int("n_columns", n_columns)
    gain = arguments.positive_number("gain", gain)
    dtype = arguments.float_dtype("dtype", dtype)
    hidden_t = arguments.random_generator("random_state", random_state).standard_normal(
        (n_columns, n_inputs), dtype=dtype
    )
    hidden_t *= dtype.type(gain / np.sqrt(n_inputs))
    return hidden_t.T


def rpp_forward(
    x: NDArray[Float],
    hidden: NDArray[Float],
    n_permutations: int,
    seed: int,
    bias: NDArray[Float] | None = None,
    *,
    width: int | None = None,
    share_columns: bool = False,
    signs: bool = False,
    permutation: NDArray[np.uint16 | np.uint32] | None = None,
    out: NDArray[Float] | None = None,
) -> NDArray[Float]:
    """Apply an RPP layer to a batch.

    The layer is dense, k·n wide or a little less, and its weights are those of the hidden matrix, each used k times::

        y[h·n + j] = Σ_i x[i] · σ[h, i, j] · hidden[P[h, i, j], j] + bias        h = 0 … k−1,  j = 0 … n−1

    where ``P[h, :, j]`` is the permutation that `rpp_permutation` gives for ``seed``, and ``σ``, with ``signs``, the
    ±1 that it gives beside; all σ are 1 without.

    Parameters
    ----------
    x : ndarray of shape (batch, m)
        Input, float32 or float64, of any memory layout. It and the others may be on a GPU, see `ldlrpp.kernels`; they
        have the permutations of the CPU there, and cuBLAS's products.
    hidden : ndarray of shape (m, n)
        Hidden matrix, of the dtype of ``x``. Fortran order saves a copy.
    n_permutations : int
        Number of permutations k of every column.
    seed : int
        Seed of the permutations, from 0 to 2^64 − 1.
    bias : ndarray of shape (width,) or (n,), default=None
        Added to the outputs; n values are shared by all permutations of a column.
    width : int, default=None
        Number of outputs, the first of the k·n above: more than k·(n − 1), k·n at most and by default. A layer of any
        width w has n = ⌈w / k⌉ columns.
    share_columns : bool, default=False
        Whether all columns of a head h share the permutation ``P[h, :, 0]``, and its signs: a variant that departs from
        the definition and has only 1/n as many permutations to compute, see Notes of `rpp_forward`.
    signs : bool, default=False
        Whether weights are taken with signs, see Notes.
    permutation : ndarray of shape (k, m, n) or, with ``share_columns``, (k, m, 1), default=None
        What `rpp_permutation` gives for ``seed`` and ``signs`` (and one column, with ``share_columns``), computed once:
        the same result for two bytes of memory a wide weight. ``seed`` is not looked at then. With ``signs`` the
        highest bit of an entry is set where σ is −1. That every column is a permutation is checked when an array is
        first seen, see Notes.
    out : ndarray of shape (batch, width), default=None
        Where to write the result.

    Returns
    -------
    y : ndarray of shape (batch, width)
        The result, ``out`` itself where it was given. It does not depend on the number of threads, to the last bit;
        a row depends on its batch no more than in BLAS, whose sums may take another order at the edges of a matrix.

    Raises
    ------
    ValueError
        If a shape does not fit, ``n_permutations`` is below 1, ``width`` or ``seed`` out of range, or ``permutation``
        is none.
    TypeError
        If an array is not float32 or float64, the dtypes differ, a number is not an integer, or ``permutation`` is
        neither uint16 nor uint32, or too narrow for m and a sign.

    Notes
    -----
    What to know of the layer, all of it from the formula:

    - The k outputs of a column use the same weights in different orders. Without ``signs`` they share the sum of the
      column, so what an input has in common in all its entries, x = c + …, adds the same c · Σ_i hidden[i, j] to all k
      of them, and a constant input has n distinct outputs at most: centre the inputs, and give every output a bias of
      its own. With ``signs``, for the same parameters and products, every output has a sum of its own, and networks
      fit more (``benchmarks/RESULTS.md``). Such signs are those of HashedNets [1]_.
    - An output sums m products. Weights of variance 1/m (2/m before a relu) keep the variance, whatever k is; the layer
      that follows has k·n inputs, and is to be initialised for so many.
    - The gradient of a hidden weight sums over its k copies. Copies of independent gradients make it √k times as large
      as that of a weight of the dense layer, copies that agree k times. Adam and its kin, which divide by the
      gradient's size, do not see it.
    - With ``share_columns`` a head is the product of a permuted input with ``hidden``: ``y[h·n : (h+1)·n] =
      x[P⁻¹[h]] @ hidden``. Columns then are no longer shuffled against each other. Where the permutations are what
      takes the time, in small batches, it is faster; ``benchmarks/RESULTS.md`` has times and accuracies.
    - Checking ``permutation`` takes 0.4 ns an entry (of one core), once as long as the array lives: the same array,
      again, is looked at for its largest number only (0.04 ns, 0.2 with ``signs``). A new view of it, or a view of a
      memory map, is another array. Who changes an array in place after it was checked gets what it then says, forward
      (`hidden` is read there) and backward (gradients are added there), but no error if it is no permutation any
      longer.

    References
    ----------
    .. [1] W. Chen, J. T. Wilson, S. Tyree, K. Q. Weinberger, Y. Chen, "Compressing neural networks with the hashing
       trick", ICML 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from ldlrpp import kernels
    >>> hidden = np.array([[1.0], [10.0], [100.0]])
    >>> x = np.array([[1.0, 2.0, 3.0]])
    >>> kernels.rpp_forward(x, hidden, 4, seed=0)
    array([[231., 231., 123., 312.]])
    >>> kernels.rpp_forward(x, hidden, 4, seed=0, signs=True)
    array([[169., 229., 123., 292.]])
    """
    given, kernels = x, backend.of(x)
    x = _batch("x", x, kernels)
    hidden_t = _hidden_t(hidden, x, kernels)
    n_permutations = arguments.positive_int("n_permutations", n_permutations)
    seed, signs = arguments.seed_uint64("seed", seed), arguments.flag("signs", signs)
    share_columns = arguments.flag("share_columns", share_columns)
    n_columns = len(hidden_t)
    width = _width("width", width, n_permutations, n_columns)
    if bias is None:
        bias = kernels.memory.empty((0,), x.dtype)
    else:
        bias = kernels.memory.contiguous(arguments.float_array("bias", bias, x.dtype, kernels))
        if bias.shape not in ((width,), (n_columns,)):
            raise ValueError(
                f"bias must have shape ({width},), one for every output, or ({n_columns},), one for every column, "
                f"got {bias.shape}"
            )
    stored = _stored(permutation, hidden_t, n_permutations, share_columns, signs, kernels)
    y = arguments.output(out, (x.shape[0], width), x.dtype, (x, hidden_t, bias), kernels)
    with kernels.threads.kernel_threads(), kernels.threads.single_threaded_blas():
        kernels.rpp.forward(
            x, hidden_t, seed, stored, share_columns, signs, bias, False, _none(hidden_t, kernels), False,
            _scratch(kernels), y,
        )  # fmt: skip
    return arguments.written(y, out, given, kernels)


def rpp_backward(
    grad_y: NDArray[Float],
    x: NDArray[Float],
    hidden: NDArray[Float],
    n_permutations: int,
    seed: int,
    *,
    share_columns: bool = False,
    signs: bool = False,
    permutation: NDArray[np.uint16 | np.uint32] | None = None,
) -> tuple[NDArray[Float], NDArray[Float], NDArray[Float]]:
    """Gradients of a loss with respect to the input and the parameters of `rpp_forward`.

    ``grad_hidden[P[h, i, j], j]`` sums ``x[i] · σ[h, i, j] · grad_y[h·n + j]`` over the batch and all k permutations.

    Parameters
    ----------
    grad_y : ndarray of shape (batch, width)
        Gradient of the loss with respect to the layer's output, of any width that `rpp_forward` takes.
    x : ndarray of shape (batch, m)
        The input that the layer was applied to.
    hidden : ndarray of shape (m, n)
        Hidden matrix.
    n_permutations : int
        Number of permutations k of every column.
    seed : int
        Seed of the permutations, from 0 to 2^64 − 1.
    share_columns, signs, permutation
        As in `rpp_forward`.

    Returns
    -------
    grad_x : ndarray of shape (batch, m)
        Gradient with respect to ``x``.
    grad_hidden : ndarray of shape (m, n)
        Gradient with respect to ``hidden``, in Fortran order.
    grad_bias : ndarray of shape (width,)
        Gradient with respect to a bias of every output. Entry j of a shared one has the sum of ``grad_bias[j::n]``.

    Raises
    ------
    ValueError
        If a shape does not fit, ``n_permutations`` is below 1, ``width`` or ``seed`` out of range, or ``permutation``
        is none.
    TypeError
        If an array is not float32 or float64, the dtypes differ, or a number is not an integer.

    Examples
    --------
    >>> import numpy as np
    >>> from ldlrpp import kernels
    >>> hidden = np.array([[1.0], [10.0], [100.0]])
    >>> x = np.array([[1.0, 2.0, 3.0]])
    >>> grad_x, grad_hidden, grad_bias = kernels.rpp_backward(np.array([[1.0, 0, 0, 0]]), x, hidden, 4, seed=0)
    >>> grad_x
    array([[  1., 100.,  10.]])
    >>> grad_hidden.ravel()
    array([1., 3., 2.])
    """
    given, kernels = x, backend.of(x)
    x = _batch("x", x, kernels)
    hidden_t = _hidden_t(hidden, x, kernels)
    n_permutations = arguments.positive_int("n_permutations", n_permutations)
    seed, signs = arguments.seed_uint64("seed", seed), arguments.flag("signs", signs)
    share_columns = arguments.flag("share_columns", share_columns)
    grad_y = arguments.float_array("grad_y", grad_y, x.dtype, kernels)
    arguments.check_shape("grad_y", grad_y, (x.shape[0], None), ("batch", "width"))
    width = _width("the width grad_y.shape[1]", grad_y.shape[1], n_permutations, len(hidden_t))
    grad_y = kernels.memory.contiguous(grad_y)
    stored = _stored(permutation, hidden_t, n_permutations, share_columns, signs, kernels)
    empty = kernels.memory.xp.empty
    grad_x, grad_hidden_t, grad_bias = (empty(shape, x.dtype) for shape in (x.shape, hidden_t.shape, (width,)))
    with kernels.threads.kernel_threads(), kernels.threads.single_threaded_blas():
        kernels.rpp.backward(
            grad_y, x, hidden_t, seed, stored, share_columns, signs, _none(hidden_t, kernels),
            _scratch(kernels), True, grad_x, grad_hidden_t, grad_bias,
        )  # fmt: skip
    return tuple(kernels.memory.like(grad, given) for grad in (grad_x, grad_hidden_t.T, grad_bias))


def rpp_expand(
    hidden: NDArray[Float],
    n_permutations: int,
    seed: int,
    *,
    width: int | None = None,
    share_columns: bool = False,
    signs: bool = False,
) -> NDArray[Float]:
    """The wide matrix that an RPP layer applies, all columns of it.

    Parameters
    ----------
    hidden : ndarray of shape (m, n)
        Hidden matrix, float32 or float64.
    n_permutations : int
        Number of permutations k of every column.
    seed : int
        Seed of the permutations, from 0 to 2^64 − 1.
    width, share_columns, signs
        As in `rpp_forward`.

    Returns
    -------
    matrix : ndarray of shape (m, width)
        D with ``rpp_forward(x, hidden, k, seed) == x @ D`` up to rounding, for the same options, in Fortran order.

    Raises
    ------
    ValueError
        If a shape does not fit, ``n_permutations`` is below 1, or ``width`` or ``seed`` out of range.
    TypeError
        If ``hidden`` is not float32 or float64, or a number is not an integer.

    Examples
    --------
    >>> import numpy as np
    >>> from ldlrpp import kernels
    >>> kernels.rpp_expand(np.array([[1.0], [10.0], [100.0]]), 4, seed=0)
    array([[  1.,   1., 100.,  10.],
           [100., 100.,  10.,   1.],
           [ 10.,  10.,   1., 100.]])
    """
    given, kernels = hidden, backend.of(hidden)
    hidden = arguments.float_array("hidden", hidden, kernels=kernels)
    arguments.check_shape("hidden", hidden, (None, None), ("m", "n"))
    _check_sizes(hidden)
    n_permutations = arguments.positive_int("n_permutations", n_permutations)
    width = _width("width", width, n_permutations, hidden.shape[1])
    seed, signs = arguments.seed_uint64("seed", seed), arguments.flag("signs", signs)
    share_columns = arguments.flag("share_columns", share_columns)
    hidden_t = kernels.memory.contiguous(hidden.T)
    wide = kernels.memory.empty((width, len(hidden)), hidden.dtype)
    with kernels.threads.one_kernel():
        kernels.rpp.expand(
            hidden_t, seed, _none(hidden_t, kernels, np.uint16), share_columns, signs, _scratch(kernels),
            wide,
        )  # fmt: skip
    return kernels.memory.like(wide.T, given)


def rpp_permutation(
    n_inputs: int, n_columns: int, n_permutations: int, seed: int, *, signs: bool = False
) -> NDArray[np.uint16 | np.uint32]:
    """The permutations of an RPP layer, and its signs.

    They are a function of ``(seed, h, j)`` and m alone: the same on every machine and in every release, and unchanged
    when k or n grows. `ldlrpp.kernels.bijection` has the definition.

    Parameters
    ----------
    n_inputs : int
        Number of inputs m, at most 2^30.
    n_columns : int
        Number of columns n.
    n_permutations : int
        Number of permutations k of every column.
    seed : int
        Seed of the permutations, from 0 to 2^64 − 1.
    signs : bool, default=False
        Whether the highest bit of an entry is set where its sign is −1.

    Returns
    -------
    permutation : ndarray of shape (k, m, n), of dtype uint16 or uint32
        ``permutation[h, :, j]`` holds every number from 0 to m − 1 once, the sign's bit left aside. Columns are
        contiguous. The dtype is uint16 for m up to 65,536, with ``signs`` up to 32,768, and uint32 above.

    Raises
    ------
    ValueError
        If a size is below 1 or ``seed`` out of range.
    TypeError
        If an argument is not an integer.

    Examples
    --------
    >>> from ldlrpp import kernels
    >>> kernels.rpp_permutation(5, 1, 2, seed=0)[:, :, 0]
    array([[0, 4, 2, 3, 1],
           [4, 1, 0, 3, 2]], dtype=uint16)
    >>> signed = kernels.rpp_permutation(5, 1, 2, seed=0, signs=True)[:, :, 0]
    >>> signed & 0x7FFF
    array([[0, 4, 2, 3, 1],
           [4, 1, 0, 3, 2]], dtype=uint16)
    >>> 1 - 2 * (signed >> 15).astype(int)
    array([[-1,  1, -1,  1,  1],
           [-1,  1,  1,  1,  1]])
    """
    n_inputs = arguments.positive_int("n_inputs", n_inputs, bijection.MAX_INPUTS)
    n_columns = arguments.positive_int("n_columns", n_columns)
    n_permutations = arguments.positive_int("n_permutations", n_permutations)
    seed, signs = arguments.seed_uint64("seed", seed), arguments.flag("signs", signs)
    with cpu.threads.one_kernel():
        rows = cpu.rpp.permutations(n_inputs, n_columns, n_permutations * n_columns, seed, False, signs)
    return rows.reshape(n_permutations, n_columns, n_inputs).transpose(0, 2, 1)


def _batch(name, value, kernels):
    array = arguments.float_array(name, value, kernels=kernels)
    arguments.check_shape(name, array, (None, None), ("batch", "m"))
    return kernels.memory.contiguous(array)


def _hidden_t(hidden, x, kernels):
    """The hidden matrix as the kernels take it, (n, m) in C order."""
    hidden = arguments.float_array("hidden", hidden, x.dtype, kernels)
    arguments.check_shape("hidden", hidden, (x.shape[1], None), ("m", "n"))
    _check_sizes(hidden)
    return kernels.memory.contiguous(hidden.T)


def _width(name, value, n_permutations, n_columns):
    """The number of outputs: those of all permutations where ``value`` is None."""
    most = n_permutations * n_columns
    if value is None:
        return most
    width = arguments.positive_int(name, value, most)
    if width <= most - n_permutations:
        raise ValueError(
            f"{name} must be more than k·(n − 1) = {most - n_permutations}, as n = {n_columns} columns serve "
            f"k·n = {most} outputs at most, got {width}"
        )
    return width


def _stored(permutation, hidden_t, n_permutations, share_columns, signs, kernels):
    """The rows of a stored permutation, as the kernels take them; no rows if there is none."""
    n, m = hidden_t.shape
    if permutation is None:
        return _none(hidden_t, kernels, np.uint16)
    given, permutation = permutation, kernels.memory.asarray("permutation", permutation)
    if permutation.dtype not in (np.uint16, np.uint32):
        raise TypeError(f"permutation must have dtype uint16 or uint32, got {permutation.dtype}")
    arguments.check_shape(
        "permutation", permutation, (n_permutations, m, 1 if share_columns else n), ("k", "m", "columns")
    )
    if signs and permutation.itemsize < bijection.entry_dtype(m, signs).itemsize:
        raise TypeError(f"permutation must have dtype uint32 for a sign and numbers below m = {m}, got uint16")
    largest = int((permutation & np.iinfo(permutation.dtype).max // 2 if signs else permutation).max())
    if largest >= m:
        beside = ", the sign's bit left aside" if signs else ""
        raise ValueError(f"permutation must hold numbers below m = {m}{beside}, got {largest}")
    rows = kernels.memory.contiguous(permutation.transpose(0, 2, 1)).reshape(-1, m)
    _check_permutation(given, rows, signs, permutation.shape[2], kernels)
    return rows


def _check_permutation(given, rows, signs, n_columns, kernels):
    """Raise unless every row, numbers below m, is a permutation; what was ``given`` is remembered while it lives."""
    key = id(given)
    if key in _checked:
        return
    is_permutation = kernels.memory.empty((len(rows),), bool)
    with kernels.threads.one_kernel():
        kernels.rpp.is_permutation(rows, signs, is_permutation)
    is_permutation = kernels.memory.get(is_permutation)
    if not is_permutation.all():
        h, j = np.divmod(np.argmin(is_permutation), n_columns)
        raise ValueError(
            f"permutation must hold every number below m = {rows.shape[1]} once in every column, "
            f"not so in permutation[{h}, :, {j}]"
        )
    if isinstance(given, kernels.memory.Array):
        _checked[key] = weakref.ref(given, lambda _, pop=_checked.pop: pop(key, None))


def _none(hidden_t, kernels, dtype=None):
    """No rows: no permutations, or no wide weights."""
    return kernels.memory.empty((0, hidden_t.shape[1]), dtype or hidden_t.dtype)


def _scratch(kernels):
    """What the kernels ask for memory to work in, which lasts for one call."""
    return functools.cache(lambda name, shape, dtype: kernels.memory.empty(shape, dtype))


def _check_sizes(hidden):
    arguments.positive_int("the number of inputs hidden.shape[0]", hidden.shape[0], bijection.MAX_INPUTS)
    arguments.positive_int("the number of columns hidden.shape[1]", hidden.shape[1])
