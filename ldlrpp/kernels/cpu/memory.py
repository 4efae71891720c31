"""Arrays that begin on a boundary of 64 bytes.

NumPy's large arrays begin 16 bytes behind one, so that every vector of 64 bytes lies across two lines of the cache:
LDL's forward pass takes up to a quarter longer on them.
"""

import math

import numpy as np

ALIGNMENT = 64
#: The library of arrays, their class, and the names of the dtypes that kernels take.
xp, Array, DTYPES = np, np.ndarray, ("float32", "float64")
#: Rows of a chunk of more than a batch, at most: enough to fill every thread; and its bytes.
CHUNK_ROWS, CHUNK_BYTES = 1024, 2**26
_DTYPES = np.dtype(np.float32), np.dtype(np.float64)


def empty(shape, dtype):
    """Like `numpy.empty`."""
    dtype = np.dtype(dtype)
    n_bytes = (math.prod(shape) if isinstance(shape, tuple) else shape) * dtype.itemsize
    if not n_bytes:
        return np.empty(shape, dtype)
    memory = np.empty(n_bytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


def zeros(shape, dtype):
    """Like `numpy.zeros`."""
    array = empty(shape, dtype)
    array[...] = 0
    return array


def free_bytes():
    """Bytes that arrays may take."""
    return math.inf


def errors():
    """The exceptions of a machine that works no more."""
    return ()


def is_full(error):
    """Whether one of these exceptions, or another, says that memory is not enough."""
    return isinstance(error, MemoryError)


def put(array):
    """A NumPy array where kernels take it: the array itself."""
    return array


def get(array, out=None):
    """A NumPy array of what kernels have written: the array itself, or ``out``, which gets what is in it."""
    if out is None:
        return array
    out[...] = array
    return out


def takes(dtype):
    """Whether kernels take a dtype."""
    return dtype in _DTYPES


def asarray(name, value):
    """The argument ``name`` as an array of this machine, without a copy where that can be."""
    if hasattr(value, "__cuda_array_interface__"):
        raise TypeError(f"{name} must be a NumPy array, got {type(value).__name__} on a GPU")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array: {error}") from None


def asoutput(name, value):
    """The argument ``name``, which is to be written, as an array of this machine."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, got {type(value).__name__}")
    if not value.flags.writeable:
        raise ValueError(f"{name} must be writeable, got a read-only array")
    return value


def contiguous(array):
    """The array, or a copy of it in C order."""
    return np.ascontiguousarray(array)


def overlap(a, b):
    """Whether two arrays may have memory in common."""
    return np.may_share_memory(a, b)


def like(array, given):
    """A result, in the library that an argument is of."""
    return array
