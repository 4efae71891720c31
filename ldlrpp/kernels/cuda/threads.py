"""Who works when, on a GPU: launches wait in a stream, in order, and nothing is to be locked or limited.

Twins of the contexts of `ldlrpp.kernels.cpu.threads`.
"""

from contextlib import nullcontext


def single_threaded_blas():
    """A context in which products may be launched."""
    return nullcontext()


def kernel_threads(n_threads=None):
    """A context in which kernels may be launched."""
    return nullcontext()


def one_kernel():
    """A context in which a kernel may be launched."""
    return nullcontext()
