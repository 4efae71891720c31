"""Arrays on the GPU: CuPy's, in the simulator NumPy's.

Numbers of two bytes are float16 or bfloat16, a dtype of the package ml_dtypes that CuPy knows. Kernels are given the
bits of the latter (`bits`).
"""

import numpy as np

from ldlrpp.kernels.cuda.compiling import SIMULATED

if SIMULATED:
    import numpy as xp
else:
    import cupy as xp

Array = xp.ndarray
#: Bytes on a boundary of which arrays begin; CuPy's begin on one of 512.
ALIGNMENT = 128


def empty(shape, dtype):
    """Like `numpy.empty`."""
    return xp.empty(shape, dtype)


def zeros(shape, dtype):
    """Like `numpy.zeros`."""
    return xp.zeros(shape, dtype)


def check_gpu():
    """RuntimeError unless there is a GPU with a driver that works."""
    if SIMULATED:
        return
    try:
        n_gpus = xp.cuda.runtime.getDeviceCount()
    except xp.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError(f"kernels on a GPU want an NVIDIA driver that works: {error}") from error
    if not n_gpus:
        raise RuntimeError("kernels on a GPU want an NVIDIA GPU, and the driver sees none")


def put(array):
    """A copy of a NumPy array on the GPU, columns staying columns; an array that is there already is itself."""
    return xp.asarray(array, order="K")


def get(array):
    """A NumPy array of what is in an array on the GPU, columns staying columns."""
    return np.asarray(array) if SIMULATED else array.get(order="A")


def stream():
    """Address of CuPy's current stream."""
    return xp.cuda.get_current_stream().ptr


def is_bfloat16(dtype):
    """Whether a dtype is ml_dtypes' bfloat16, without importing it."""
    return dtype.name == "bfloat16"


def bits(array):
    """The array itself, or that of the bits of numbers that Numba does not know."""
    return array.view(np.uint16) if is_bfloat16(array.dtype) else array


def accumulator(dtype):
    """The dtype that numbers of a dtype are added up in."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)
