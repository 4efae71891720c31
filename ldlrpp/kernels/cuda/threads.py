"""Who works when, on a GPU: launches wait in a stream, in order, and nothing is to be locked or limited.

Twins of the contexts of `ldlrpp.kernels.cpu.threads`; in them CuPy's current GPU is Numba's, too.
"""

import functools
from contextlib import nullcontext

from numba import cuda

from ldlrpp.kernels.cuda import memory
from ldlrpp.kernels.cuda.compiling import SIMULATED
from ldlrpp.kernels.cuda.memory import xp

_n_devices = functools.cache(memory.n_devices)


def single_threaded_blas():
    """A context in which products may be launched."""
    return nullcontext() if _n_devices() == 1 else cuda.gpus[memory.current_device()]


def kernel_threads(n_threads=None):
    """A context in which kernels may be launched."""
    return nullcontext()


def one_kernel():
    """A context in which a kernel may be launched."""
    return single_threaded_blas()


def on_device(number=None):
    """A context in which kernels work on the GPU of that number, CuPy's current one where it is None."""
    return nullcontext() if number is None or SIMULATED else xp.cuda.Device(number)
