"""Arrays on the GPU: CuPy's, in the simulator NumPy's. Those of other libraries come and go without a copy.

Numbers of two bytes are float16 or bfloat16, a dtype of the package ml_dtypes that CuPy knows. Kernels are given the
bits of the latter (`bits`).
"""

import sys

import numpy as np
from numba import cuda

from ldlrpp.kernels.backend import on_gpu
from ldlrpp.kernels.cuda.compiling import SIMULATED

if SIMULATED:
    import numpy as xp
else:
    import cupy as xp

Array = xp.ndarray
#: Names of the dtypes that kernels take.
DTYPES = ("float32", "float64", "float16", "bfloat16")
_DTYPES = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16)


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
        n_gpus = n_devices()
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


def takes(dtype):
    """Whether kernels take a dtype."""
    return dtype in _DTYPES or is_bfloat16(dtype)


def asarray(name, value):
    """The argument ``name`` as a CuPy array of the same memory, which is on CuPy's current GPU."""
    if not on_gpu(value):
        raise TypeError(f"{name} must be on the GPU like the other arrays, got {type(value).__name__}")
    if SIMULATED:
        interface = type("Interface", (), {"__array_interface__": value.__cuda_array_interface__, "owner": value})
        return np.asarray(interface())
    if isinstance(value, Array):
        array = value
    else:
        # DLPack first: it knows bfloat16
        array = xp.from_dlpack(value) if hasattr(value, "__dlpack__") else xp.asarray(value)
    current = current_device()
    if array.device.id != current:
        raise ValueError(
            f"{name} must be on the current GPU, number {current}, got one on number {array.device.id}: "
            f"call inside `with cupy.cuda.Device({array.device.id}):`"
        )
    return array


def asoutput(name, value):
    """The argument ``name``, which is to be written, as a CuPy array of the same memory."""
    return asarray(name, value)


def contiguous(array):
    """The array, or a copy of it in C order."""
    return xp.ascontiguousarray(array)


def overlap(a, b):
    """Whether two arrays may have memory in common."""
    return xp.may_share_memory(a, b)


def like(array, given):
    """A CuPy array as one of the library that ``given`` is of, if that is Numba or takes arrays by DLPack."""
    libraries = [kind.__module__.partition(".")[0] for kind in type(given).__mro__]
    if "cupy" in libraries:
        return array
    if "numba" in libraries:
        return cuda.as_cuda_array(array)
    for library in libraries:
        # arrays of JAX are of a class of its compiled part
        module = sys.modules.get("jax.dlpack" if library in ("jax", "jaxlib") else library)
        if hasattr(module, "from_dlpack"):
            return module.from_dlpack(array)
    return array


def synchronize():
    """Wait until the kernels that were launched are done: what another library's streams do not wait for."""
    if not SIMULATED:
        xp.cuda.get_current_stream().synchronize()


def current_device():
    """The number of CuPy's current GPU."""
    return 0 if SIMULATED else xp.cuda.runtime.getDevice()


def n_devices():
    """How many GPUs there are."""
    return 1 if SIMULATED else xp.cuda.runtime.getDeviceCount()


def stream():
    """Address of CuPy's current stream."""
    return xp.cuda.get_current_stream().ptr


def device(array):
    """The number of the GPU that an array is on."""
    return 0 if SIMULATED else array.device.id


def is_bfloat16(dtype):
    """Whether a dtype is ml_dtypes' bfloat16, without importing it."""
    return dtype.name == "bfloat16"


def bits(array):
    """The array itself, or that of the bits of numbers that Numba does not know."""
    return array.view(np.uint16) if is_bfloat16(array.dtype) else array


def accumulator(dtype):
    """The dtype that numbers of a dtype are added up in."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)
