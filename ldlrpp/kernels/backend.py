"""The kernels that arrays want: the only place that chooses between machines.

A *backend* is a package of kernels, `ldlrpp.kernels.cpu` or `ldlrpp.kernels.cuda`, with the same modules, functions and
signatures. Nothing of CUDA is imported, and no driver is touched, before a GPU is asked for.
"""

import functools
import importlib
import importlib.util

from ldlrpp.kernels import cpu

#: What DLPack says of arrays on NVIDIA's GPUs: their own memory, or memory that is managed.
DLPACK_CUDA = 2, 13


def on_gpu(array):
    """Whether an array, of any library, is in the memory of an NVIDIA GPU."""
    try:
        return array.__dlpack_device__()[0] in DLPACK_CUDA or hasattr(array, "__cuda_array_interface__")
    except (AttributeError, TypeError, ValueError, RuntimeError, BufferError):
        return hasattr(array, "__cuda_array_interface__")


def of(array):
    """The backend for the first argument of a public function, where the others are to be too."""
    return cuda() if on_gpu(array) else cpu


@functools.cache
def cuda():
    """The kernels for GPUs; RuntimeError where a package, a driver or a GPU is missing."""
    if importlib.util.find_spec("numba_cuda") is None:
        raise RuntimeError("kernels on a GPU want the package numba-cuda: pip install 'ldlrpp[cuda]'")
    try:
        kernels = importlib.import_module("ldlrpp.kernels.cuda")
        kernels.memory.check_gpu()
    except ImportError as error:
        raise RuntimeError(f"kernels on a GPU want more packages ({error}): pip install 'ldlrpp[cuda]'") from error
    return kernels
