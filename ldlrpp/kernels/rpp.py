"""Public functions of the RPP layer: arguments are checked here, once."""

import numpy as np

from ldlrpp.kernels import arguments, bijection, rpp_cpu
from ldlrpp.kernels.threads import kernel_lock, single_threaded_blas


def rpp_init(n_inputs, n_columns, *, gain=1.0, random_state=None, dtype=np.float32):
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


def rpp_forward(x, hidden, n_permutations, seed, bias=None, *, out=None):
    """Apply an RPP layer to a batch.

    The layer is dense, k·n wide, and all its weights are those of the hidden matrix, each used k times::

        y[h·n + j] = Σ_i x[i] · hidden[P[h, i, j], j] + bias        h = 0 … k−1,  j = 0 … n−1

    where ``P[h, :, j]`` is the permutation that `rpp_permutation` gives for ``seed``.

    Parameters
    ----------
    x : ndarray of shape (batch, m)
        Input, float32 or float64, of any memory layout.
    hidden : ndarray of shape (m, n)
        Hidden matrix, of the dtype of ``x``. Fortran order saves a copy.
    n_permutations : int
        Number of permutations k of every column.
    seed : int
        Seed of the permutations, from 0 to 2^64 − 1.
    bias : ndarray of shape (k·n,) or (n,), default=None
        Added to the outputs; n values are shared by all k permutations of a column.
    out : ndarray of shape (batch, k·n), default=None
        Where to write the result.

    Returns
    -------
    y : ndarray of shape (batch, k·n)
        The result, ``out`` itself where it was given. It does not depend on the number of threads, to the last bit.

    Raises
    ------
    ValueError
        If a shape does not fit, ``n_permutations`` is below 1 or ``seed`` out of range.
    TypeError
        If an array is not float32 or float64, the dtypes differ, or a number is not an integer.

    Notes
    -----
    All k outputs of a column use the same weights in different orders, so on a constant input they are all equal:
    centre the inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from ldlrpp import kernels
    >>> hidden = np.array([[1.0], [10.0], [100.0]])
    >>> x = np.array([[1.0, 2.0, 3.0]])
    >>> kernels.rpp_forward(x, hidden, 4, seed=0)
    array([[231., 231., 123., 312.]])
    """
    x = _batch("x", x)
    hidden_t = _hidden_t(hidden, x)
    n_permutations = arguments.positive_int("n_permutations", n_permutations)
    seed = arguments.seed_uint64("seed", seed)
    n_columns = len(hidden_t)
    width = n_permutations * n_columns
    if bias is None:
        bias = np.empty(0, x.dtype)
    else:
        bias = arguments.float_array("bias", bias, x.dtype)
        if bias.shape not in ((width,), (n_columns,)):
            raise ValueError(
                f"bias must have shape ({width},), one for every output, or ({n_columns},), one for every column, "
                f"got {bias.shape}"
            )
    y = arguments.output(out, (x.shape[0], width), x.dtype, (x, hidden_t, bias))
    with single_threaded_blas():
        rpp_cpu.forward(np.ascontiguousarray(x.T), hidden_t, n_permutations, seed, np.ascontiguousarray(bias), y.T)
    if out is None or y is out:
        return y
    out[...] = y
    return out


def rpp_backward(grad_y, x, hidden, n_permutations, seed):
    """Gradients of a loss with respect to the input and the parameters of `rpp_forward`.

    ``grad_hidden[P[h, i, j], j]`` sums ``x[i] · grad_y[h·n + j]`` over the batch and all k permutations.

    Parameters
    ----------
    grad_y : ndarray of shape (batch, k·n)
        Gradient of the loss with respect to the layer's output.
    x : ndarray of shape (batch, m)
        The input that the layer was applied to.
    hidden : ndarray of shape (m, n)
        Hidden matrix.
    n_permutations : int
        Number of permutations k of every column.
    seed : int
        Seed of the permutations, from 0 to 2^64 − 1.

    Returns
    -------
    grad_x : ndarray of shape (batch, m)
        Gradient with respect to ``x``.
    grad_hidden : ndarray of shape (m, n)
        Gradient with respect to ``hidden``, in Fortran order.
    grad_bias : ndarray of shape (k·n,)
        Gradient with respect to a bias of every output; ``grad_bias.reshape(k, n).sum(axis=0)`` is that of a shared
        one.

    Raises
    ------
    ValueError
        If a shape does not fit, ``n_permutations`` is below 1 or ``seed`` out of range.
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
    x = _batch("x", x)
    hidden_t = _hidden_t(hidden, x)
    n_permutations = arguments.positive_int("n_permutations", n_permutations)
    seed = arguments.seed_uint64("seed", seed)
    grad_y = arguments.float_array("grad_y", grad_y, x.dtype)
    arguments.check_shape("grad_y", grad_y, (x.shape[0], n_permutations * len(hidden_t)), ("batch", "k·n"))
    grad_x_t = np.empty(x.shape[::-1], x.dtype)
    grad_hidden_t = np.empty(hidden_t.shape, x.dtype)
    with single_threaded_blas():
        rpp_cpu.backward(
            np.ascontiguousarray(grad_y.T),
            np.ascontiguousarray(x.T),
            hidden_t,
            n_permutations,
            seed,
            True,
            grad_x_t,
            grad_hidden_t,
        )
    return np.ascontiguousarray(grad_x_t.T), grad_hidden_t.T, grad_y.sum(axis=0)


def rpp_expand(hidden, n_permutations, seed):
    """The wide matrix that an RPP layer applies, all k·n columns of it.

    Parameters
    ----------
    hidden : ndarray of shape (m, n)
        Hidden matrix, float32 or float64.
    n_permutations : int
        Number of permutations k of every column.
    seed : int
        Seed of the permutations, from 0 to 2^64 − 1.

    Returns
    -------
    matrix : ndarray of shape (m, k·n)
        D with ``rpp_forward(x, hidden, k, seed) == x @ D`` up to rounding.

    Raises
    ------
    ValueError
        If a shape does not fit, ``n_permutations`` is below 1 or ``seed`` out of range.
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
    hidden = arguments.float_array("hidden", hidden)
    arguments.check_shape("hidden", hidden, (None, None), ("m", "n"))
    _check_sizes(hidden)
    order = rpp_permutation(*hidden.shape, n_permutations, seed)
    wide = np.take_along_axis(hidden[np.newaxis], order, axis=1)
    return wide.transpose(1, 0, 2).reshape(len(hidden), -1)


def rpp_permutation(n_inputs, n_columns, n_permutations, seed):
    """The permutations of an RPP layer.

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

    Returns
    -------
    permutation : ndarray of shape (k, m, n) and dtype int32
        ``permutation[h, :, j]`` holds every number from 0 to m − 1 once.

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
           [4, 1, 0, 3, 2]], dtype=int32)
    """
    n_inputs = arguments.positive_int("n_inputs", n_inputs, bijection.MAX_INPUTS)
    n_columns = arguments.positive_int("n_columns", n_columns)
    n_permutations = arguments.positive_int("n_permutations", n_permutations)
    seed = arguments.seed_uint64("seed", seed)
    out = np.empty((n_permutations, n_columns, n_inputs), np.int32)
    with kernel_lock:
        rpp_cpu.permutation(n_inputs, n_columns, n_permutations, seed, out)
    return out.transpose(0, 2, 1)


def _batch(name, value):
    array = arguments.float_array(name, value)
    arguments.check_shape(name, array, (None, None), ("batch", "m"))
    return array


def _hidden_t(hidden, x):
    """The hidden matrix as the kernels take it, (n, m) in C order."""
    hidden = arguments.float_array("hidden", hidden, x.dtype)
    arguments.check_shape("hidden", hidden, (x.shape[1], None), ("m", "n"))
    _check_sizes(hidden)
    return np.ascontiguousarray(hidden.T)


def _check_sizes(hidden):
    arguments.positive_int("the number of inputs hidden.shape[0]", hidden.shape[0], bijection.MAX_INPUTS)
    arguments.positive_int("the number of columns hidden.shape[1]", hidden.shape[1])
