"""How kernels are launched: on CuPy's current stream, arrays wrapped once, no copies, no synchronisation.

A launch with CuPy arrays as they are takes the host 88 µs, with wrapped ones 4 to 6 (`numba.cuda` asks every array for
its interface). Kernels take flat arrays: what they need of shapes are numbers.
"""

import functools

import numpy as np
from numba import config, cuda

from ldlrpp.kernels.cuda import memory
from ldlrpp.kernels.cuda.compiling import SIMULATED


def launch(kernel, blocks, threads, *arguments, shared=0):
    """Run a kernel on ``blocks`` blocks of ``threads`` threads; arrays among the arguments are in C order.

    Blocks are a number or a tuple (x, y) of which y is at most 65,535; with none of them nothing is launched. A block
    has ``shared`` bytes of dynamic shared memory, 48 KiB at most.
    """
    if not np.prod(blocks):
        return
    if SIMULATED:
        kernel[blocks, threads, 0, shared](*[_flat(argument) for argument in arguments])
    else:
        configured = _configured(kernel, blocks, threads, memory.stream(), shared)
        configured(*[_wrapped(argument) for argument in arguments])


def _flat(argument):
    return memory.bits(argument).reshape(-1) if isinstance(argument, np.ndarray) else argument


def _wrapped(argument):
    if not isinstance(argument, memory.Array):
        return argument
    array = memory.bits(argument)
    return _view(array.data.ptr, array.size, array.dtype.str, array.device.id)


@functools.lru_cache(4096)
def _view(pointer, size, dtype, device):
    """What Numba's launches take for memory; it owns nothing, so that it may be kept."""
    interface = {"shape": (size,), "typestr": dtype, "data": (pointer, False), "version": 3}
    return cuda.from_cuda_array_interface(interface, sync=False)


@functools.lru_cache(4096)
def _configured(kernel, blocks, threads, stream, shared):
    """A kernel with its grid and its stream, an address, without Numba's warning of grids of fewer than 128 blocks."""
    before = config.CUDA_LOW_OCCUPANCY_WARNINGS
    config.CUDA_LOW_OCCUPANCY_WARNINGS = 0
    try:
        return kernel[blocks, threads, cuda.external_stream(stream) if stream else 0, shared]
    finally:
        config.CUDA_LOW_OCCUPANCY_WARNINGS = before


def n_multiprocessors():
    """Multiprocessors of the GPU: what shares out rows, never what shares out sums."""
    return 4 if SIMULATED else cuda.get_current_device().MULTIPROCESSOR_COUNT
