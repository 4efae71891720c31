"""Arrays that begin on a boundary of 64 bytes.

NumPy's large arrays begin 16 bytes behind one, so that every vector of 64 bytes lies across two lines of the cache:
LDL's forward pass takes up to a quarter longer on them.
"""

import ctypes
import functools
import math
import os
import sys
import threading
from contextlib import contextmanager

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


# Bytes of memory that was given back at which the C library gives it to the system, and of an array from which on it
# asks that for each: the numbers of glibc's mallopt, what it begins with, and what it comes to by itself otherwise.
_MALLOPT = {-1: (2**17, 2**26), -3: (2**17, 2**25)}
_TRIM = "MALLOC_TRIM_THRESHOLD_"
_keeping, _keeping_lock = 0, threading.Lock()


@functools.cache
def _libc():
    """The C library where it was told to give memory back at once, None elsewhere."""
    library = ctypes.CDLL(None) if sys.platform == "linux" and os.environ.get(_TRIM, "").isdigit() else None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


@contextmanager
def keeping():
    """Context of many batches: what a kernel gives back is there for the next one.

    Dask has its workers give memory back to the system at once, by the environment variable MALLOC_TRIM_THRESHOLD_.
    The tiles of kernels would be new memory for every batch, which the system clears page by page: 18 µs a row of LDL
    (1024, 1024) instead of 5.4. All is given back when the context ends.
    """
    global _keeping
    libc = _libc()
    if libc is None:
        yield
        return
    with _keeping_lock:
        _keeping += 1
        if _keeping == 1:
            for number, (_, many) in _MALLOPT.items():
                libc.mallopt(number, many)
    try:
        yield
    finally:
        with _keeping_lock:
            _keeping -= 1
            if not _keeping:
                for number, (few, _) in _MALLOPT.items():
                    libc.mallopt(number, int(os.environ[_TRIM]) if number == -1 else few)
                libc.malloc_trim(0)


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
