"""What the C library does with memory that kernels give back."""

import ctypes
import functools
import os
import sys
import threading
from contextlib import contextmanager

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
