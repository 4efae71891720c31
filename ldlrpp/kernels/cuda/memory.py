"""Arrays on the GPU: CuPy's, in the simulator NumPy's. Those of other libraries come and go without a copy.

Numbers of two bytes are float16 or bfloat16, a dtype of the package ml_dtypes that CuPy knows. Kernels are given the
bits of the latter (`bits`).
"""

import contextlib
import functools
import math
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
#: Rows of a chunk of more than a batch, at most, and its bytes: what the GPU needs for some 100 µs, the host for 30.
CHUNK_ROWS, CHUNK_BYTES = 2**14, 2**28
# Bytes that are put on the GPU at a time.
_PUT_BYTES = 2**24
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
    errors()  # imported here, for no import to fail where one of them is caught


def free_bytes():
    """Bytes that arrays may take: what is free on the current GPU, and what CuPy keeps for new arrays, to its limit."""
    if SIMULATED:
        return math.inf
    pool = xp.get_default_memory_pool()
    free = xp.cuda.runtime.memGetInfo()[0] + pool.free_bytes()
    return min(free, pool.get_limit() - pool.used_bytes()) if pool.get_limit() else free


def errors():
    """The exceptions of a machine that works no more, or has no memory left, as CuPy and Numba raise them."""
    return () if SIMULATED else _errors()


@functools.cache
def _errors():
    # libraries of wheels are found by way of the package
    from cupy_backends.cuda.libs import cublas
    from numba.cuda.cudadrv.driver import CudaAPIError

    kinds = [xp.cuda.memory.OutOfMemoryError, xp.cuda.runtime.CUDARuntimeError, xp.cuda.driver.CUDADriverError]
    kinds += [cublas.CUBLASError, CudaAPIError]
    with contextlib.suppress(ImportError):
        # of the launches of numba-cuda 0.30; a private place
        from cuda.core._utils.cuda_utils import CUDAError

        kinds.append(CUDAError)
    return tuple(kinds)


def is_full(error):
    """Whether one of these exceptions, or another, says that memory is not enough."""
    words = "cudaErrorMemoryAllocation", "CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED"
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def put(array):
    """A copy of a NumPy array on the GPU, columns staying columns; an array that is there already is itself."""
    if not isinstance(array, np.ndarray) or array.nbytes <= _PUT_BYTES or SIMULATED:
        return xp.asarray(array, order="K")
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        return put(array.T).T
    # CuPy would page-lock as much memory as the whole array takes, up to twice that, and keep it
    there, n_rows = xp.empty(array.shape, array.dtype), max(1, _PUT_BYTES * len(array) // array.nbytes)
    for first in range(0, len(array), n_rows):
        there[first : first + n_rows].set(np.ascontiguousarray(array[first : first + n_rows]))
    return there


def get(array, out=None):
    """A NumPy array of what is in an array on the GPU, columns staying columns; ``out``, in C order, if it is given."""
    if not SIMULATED:
        return array.get(order="A") if out is None else array.get(out=out)
    if out is not None:
        out[...] = array
    return np.asarray(array) if out is None else out


def to_host(value):
    """A NumPy array of an array of any library on any GPU."""
    return get(_array_of(value))


def takes(dtype):
    """Whether kernels take a dtype."""
    return dtype in _DTYPES or is_bfloat16(dtype)


def asarray(name, value):
    """The argument ``name`` as a CuPy array of the same memory, which is on CuPy's current GPU."""
    if not on_gpu(value):
        raise TypeError(f"{name} must be on the GPU like the other arrays, got {type(value).__name__}")
    array, current = _array_of(value), current_device()
    if device(array) != current:
        raise ValueError(
            f"{name} must be on the current GPU, number {current}, got one on number {device(array)}: call inside "
            f"`with cupy.cuda.Device({device(array)}):`, or with device='cuda:{device(array)}'"
        )
    return array


def _array_of(value):
    """A CuPy array of the memory of an array of any library."""
    if SIMULATED:
        interface = type("Interface", (), {"__array_interface__": value.__cuda_array_interface__, "owner": value})
        return np.asarray(interface())
    if isinstance(value, Array):
        return value
    # DLPack first: it knows bfloat16
    return xp.from_dlpack(value) if hasattr(value, "__dlpack__") else xp.asarray(value)


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
