"""Passes over whole arrays, one each, on the GPU: twins of `ldlrpp.kernels.cpu.elementwise`."""

from numba import cuda

from ldlrpp.kernels.cuda.compiling import kernel
from ldlrpp.kernels.cuda.launching import launch

# Threads of a block.
_THREADS = 256


def _blocks(size):
    return -(-size // _THREADS)


@kernel(registers=32)
def _relu_backward(grad, y):
    i = cuda.grid(1)
    if i < grad.size and not y[i] > 0:
        grad[i] = 0


def relu_backward(grad, y):
    """``grad`` is zeroed where the output ``y`` of a relu is not positive; both (batch, width)."""
    launch(_relu_backward, _blocks(grad.size), _THREADS, grad, y)
