"""How CUDA kernels are compiled, and how they run without a GPU: the only module that numba's decorators are used in.

With ``NUMBA_ENABLE_CUDASIM=1`` in the environment, before Numba is imported, kernels run in Numba's simulator, a Python
thread for every thread of a block, on NumPy arrays (`SIMULATED`).
"""

from numba import config, cuda

from ldlrpp.kernels.compiling import kept

SIMULATED = bool(config.ENABLE_CUDASIM)

#: Every kernel of the package: what tests run over.
KERNELS = []


def kernel(*, threads=None, registers, spilled=0):
    """Decorator of kernels, kept on disk once they are compiled.

    Parameters
    ----------
    threads : int, default=None
        Threads of a block at most, for which registers are shared out.
    registers, spilled : int
        The budget, which a test holds `ptxas` to: registers of a thread, and bytes of them that go to memory, at most.
    """

    def decorate(function):
        options = {} if SIMULATED or threads is None else {"launch_bounds": threads}
        dispatcher = cuda.jit(**options)(function)
        if not SIMULATED and (on_disk := _kept(function)) is not None:
            dispatcher._cache = on_disk
        dispatcher.budget = {"registers": registers, "spilled": spilled}
        KERNELS.append(dispatcher)
        return dispatcher

    return decorate


def device(function):
    """Decorator of functions that are compiled into the kernels that call them."""
    return cuda.jit(device=True)(function) if SIMULATED else cuda.jit(device=True, forceinline=True)(function)


def _kept(function):
    from numba.cuda.dispatcher import CUDACache

    return kept(function, CUDACache, "cuda")
