"""Which pool of threads Numba gets: chosen when the package is imported, before the first parallel region.

Where a core is shared with another process, threads that spin while they wait keep it from the thread that works:
`benchmarks/busy.py` has what a fit then takes. TBB does not wait for a thread that has taken no work, and is safe with
Python threads and with forks. Its wheel (the extra ``tbb``) puts the library where no loader looks; it is loaded from
there, and Numba then prefers it by itself. Without it OpenMP is told to spin for less time.

What the user has set, by ``NUMBA_THREADING_LAYER``, ``GOMP_SPINCOUNT`` or ``OMP_WAIT_POLICY``, stays. Nothing is left
in the environment: child processes are as they would be.
"""

import contextlib
import ctypes
import importlib.util
import os
from importlib import metadata

import numba
from numba import config

#: Turns that a thread of libgomp waits actively for, 300,000 by itself.
SPINS = 10_000
_LIBRARIES = ("libtbb.so.12", "tbb12.dll")


def choose():
    """Make Numba's choice of threads the one described above, unless its threads run already."""
    try:
        numba.threading_layer()
    except ValueError:
        layer, priority = config.THREADING_LAYER.lower(), config.THREADING_LAYER_PRIORITY
        preferred = layer != "default" or priority.index("tbb") < priority.index("omp")
        usable = preferred and importlib.util.find_spec("numba.np.ufunc.tbbpool")
        found = layer in ("default", "safe", "threadsafe", "forksafe", "tbb") and usable and _load_tbb()
        if not found and layer in ("default", "threadsafe", "omp"):
            _load_openmp()


def _load_tbb():
    """Load the library of TBB's wheel; returns whether there is one."""
    try:
        files = metadata.files("tbb") or ()
    except metadata.PackageNotFoundError:
        return False
    for file in files:
        if file.name in _LIBRARIES:
            with contextlib.suppress(OSError):
                ctypes.CDLL(str(file.locate()), mode=ctypes.RTLD_GLOBAL)
                return True
    return False


def _load_openmp():
    """Load Numba's OpenMP layer, and with it libgomp, which reads its environment only then."""
    if {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ) or not importlib.util.find_spec(
        "numba.np.ufunc.omppool"
    ):
        return
    os.environ["GOMP_SPINCOUNT"] = str(SPINS)
    try:
        # no system library, or one that does not load: Numba takes another layer
        with contextlib.suppress(ImportError):
            importlib.import_module("numba.np.ufunc.omppool")
    finally:
        del os.environ["GOMP_SPINCOUNT"]
