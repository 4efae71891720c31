"""The kernels that arrays want: the only place that chooses between machines.

A *backend* is a package of kernels, `ldlrpp.kernels.cpu` or `ldlrpp.kernels.cuda`, with the same modules, functions and
signatures. Nothing of CUDA is imported, and no driver is touched, before a GPU is asked for.
"""

import functools
import importlib
import importlib.util

from ldlrpp.kernels import cpu

# What DLPack says of arrays on NVIDIA's GPUs: their own memory, or memory that is managed.
_DLPACK_CUDA = 2, 13


def on_gpu(array):
    """Whether an array, of any library, is in the memory of an NVIDIA GPU."""
    if hasattr(array, "__cuda_array_interface__"):
        return True
    try:
        return array.__dlpack_device__()[0] in _DLPACK_CUDA
    except (AttributeError, TypeError, ValueError, RuntimeError, BufferError):
        return False


def of(*arrays):
    """The backend for arguments of a public function, which is that of the first of them."""
    return cuda() if on_gpu(arrays[0]) else cpu


@functools.cache
def cuda():
    """The kernels for GPUs; RuntimeError where a package, a driver or a GPU is missing."""
    if importlib.util.find_spec("numba_cuda") is None:
        raise RuntimeError("kernels on a GPU want the package numba-cuda: pip install 'ldlrpp[cuda]'")
    try:
        kernels = importlib.import_module("ldlrpp.kernels.cuda")
    except ImportError as error:
        raise RuntimeError(f"kernels on a GPU want more packages ({error}): pip install 'ldlrpp[cuda]'") from error
    kernels.memory.check_gpu()
    return kernels
