"""Which machine a call works on, by ``device`` and by where its inputs are; and inputs that are on a GPU, checked.

A fitted model is one of NumPy arrays, wherever it was trained. Arrays on a GPU, of CuPy, PyTorch or any library with
DLPack or ``__cuda_array_interface__``, stay there as inputs, targets and predictions. What comes to the host are copies
of labels, for weights of classes, stratified splits and scores, and of sample weights.
"""

import functools
import logging
import re
from contextlib import contextmanager

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    check_non_negative,
    validate_data,
)

from ldlrpp.estimators.borrowed import check_sample_weight, check_y
from ldlrpp.estimators.undo import DeviceLost
from ldlrpp.kernels import backend
from ldlrpp.kernels.cpu.threads import kernel_threads

_logger = logging.getLogger("ldlrpp")
# Inputs of another dtype become the first.
_DTYPES = np.float64, np.float32
# What `validate_data` takes for targets that it is not to look at.
_GIVEN = "no_validation"
_DEVICE = re.compile(r"cpu|auto|cuda(?::(\d+))?")


@contextmanager
def working(device, X, *, needed):
    """Context in which the backend that it gives works: what ``device`` says, for inputs ``X``.

    Where no such GPU can be used, and it is not ``needed``, as by predictions of a model that was trained on one, the
    CPU serves for "cuda" as well.
    """
    match = isinstance(device, str) and _DEVICE.fullmatch(device)
    if not match:
        raise ValueError(
            f"device must be 'cpu', 'cuda', 'cuda:N', N being the number of a GPU, or 'auto', got {device!r}"
        )
    check_place(device, "X", X)
    number = None if match[1] is None else int(match[1])
    kernels = backend.cpu if device == "cpu" else _gpu(device, number, needed or backend.on_gpu(X))
    if kernels is backend.cpu:
        yield kernels
        return
    try:
        with kernels.threads.on_device(number):
            yield kernels
    except kernels.memory.errors() as error:
        if not kernels.memory.is_full(error):
            raise DeviceLost.of(error) from error
        less = "narrower layers, and in training a smaller batch_size, take less"
        raise MemoryError(f"the memory of device={device!r} is full ({error}): {less}") from error


def check_place(device, name, value):
    """ValueError if an argument is on a GPU where the CPU is to work."""
    if device == "cpu" and backend.on_gpu(value):
        raise ValueError(f"device must be 'cuda' or 'auto' for {name} on a GPU, got 'cpu'")


def _gpu(device, number, needed):
    """The backend for a GPU, or for the CPU where there is none, said once."""
    if needed and device != "auto":
        try:
            return _numbered(number)
        except RuntimeError as error:
            raise RuntimeError(f"device={device!r}: {error}") from error
    reason = _why_none(number)
    if reason is not None:
        _say_once(f"device={device!r} takes the CPU: {reason}")
        return backend.cpu
    if device == "auto":
        _say_once("device='auto' takes a GPU.")
    return backend.cuda()


def _numbered(number):
    """The backend, if it has a GPU of that number, or any."""
    kernels = backend.cuda()
    n = kernels.memory.n_devices()
    if number is not None and number >= n:
        raise RuntimeError(f"there is no GPU of number {number} among {n}, counted from 0")
    return kernels


@functools.cache
def _why_none(number):
    """Why there is no such GPU, None if there is one: to look costs a millisecond, five predictions of a row."""
    try:
        _numbered(number)
    except RuntimeError as error:
        return str(error)


@functools.cache
def _say_once(message):
    _logger.info(message)


def host(array):
    """A NumPy array of an array on a GPU; anything else is itself."""
    return backend.cuda().memory.to_host(array) if backend.on_gpu(array) else array


def dtype_of(array):
    """The dtype of an array, or of what NumPy makes of something else."""
    memory = backend.of(array).memory
    return memory.asarray("an array", array).dtype


def samples(estimator, X, y, sample_weight, *, reset, dtype, y_numeric, weight_name="sample_weight"):
    """Validated inputs, targets (where there are any) and weights of `fit`, all where the inputs are.

    ``dtype`` is that of the network, None for one that ``X`` may choose. Targets that are no numbers stay on the host.
    """
    on_gpu = backend.on_gpu(X)
    if on_gpu or y is None:
        X = inputs(estimator, X, None if y is None else _GIVEN, reset=reset, dtype=dtype)
    else:
        checks = _checks(dtype) | {"multi_output": True, "y_numeric": y_numeric}
        X, y = validate_data(estimator, X, host(y), reset=reset, **checks)
        X = X.tocsr() if issparse(X) else X
    if on_gpu and backend.on_gpu(y):
        y = _array("y", y, (1, 2))
    elif on_gpu and y is not None:
        y = check_y(y, multi_output=True, y_numeric=y_numeric, estimator=estimator)
    if on_gpu:
        check_consistent_length(X, y)
    if sample_weight is not None:
        rows = np.empty((X.shape[0], 0))
        sample_weight = check_sample_weight(host(sample_weight), rows, dtype=X.dtype, allow_all_zero_weights=True)
        check_non_negative(sample_weight, f"`{weight_name}`")
    return X, y, sample_weight


def inputs(estimator, X, y=_GIVEN, *, reset=False, dtype=None):
    """Validated inputs: an array or a CSR matrix of SciPy, of NumPy or of the GPU that they are on.

    Without targets, with ``y=None``, scikit-learn refuses them where the estimator wants some.
    """
    if not backend.on_gpu(X):
        X = validate_data(estimator, X, y, reset=reset, **_checks(dtype))
        return X.tocsr() if issparse(X) else X
    X = _array("X", X, (2,))
    validate_data(estimator, X, y, reset=reset, skip_check_array=True)
    if dtype is None:
        dtype = X.dtype if X.dtype in (np.float32, np.float64) else np.dtype(np.float64)
    memory = backend.cuda().memory
    return memory.contiguous(X.astype(dtype, copy=False))


def _checks(dtype):
    """What scikit-learn is to see to."""
    return {"accept_sparse": ("csr", "csc"), "dtype": dtype or _DTYPES, "order": "C"}


def _array(name, value, n_axes):
    """An array on a GPU as one of the kernels: of finite numbers, one or more along each axis."""
    memory = backend.cuda().memory
    array = memory.asarray(name, value)
    if len(array.shape) not in n_axes or 0 in array.shape:
        wanted = " or ".join(("(n_samples,)", "(n_samples, n_columns)")[n - 1] for n in n_axes)
        raise ValueError(f"{name} must have shape {wanted}, 1 or more along every axis, got {array.shape}")
    if array.dtype.kind not in "biuf" and not memory.takes(array.dtype):
        raise ValueError(f"{name} must hold real numbers, got {array.dtype}")
    if array.dtype.kind not in "biuf":
        array = array.astype(np.float32)  # of bfloat16, which it holds
    if array.dtype.kind == "f" and not memory.xp.isfinite(array).all():
        raise ValueError(f"Input {name} contains NaN or infinity")
    return array


def computed(estimator, X, make):
    """What ``make`` makes of the network and of validated inputs, as an array of the library that ``X`` is of."""
    check_is_fitted(estimator)
    network = estimator.network_
    with working(estimator.device, X, needed=False) as kernels, kernel_threads(estimator.n_jobs):
        rows = inputs(estimator, X, dtype=network.dtype)
        result = make(network if kernels is network.kernels else network.on(kernels), rows)
        # labels that are no numbers are NumPy's everywhere
        return backend.of(X).memory.like(result, X) if result.dtype.kind in "biuf" else result
