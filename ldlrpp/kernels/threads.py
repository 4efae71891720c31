"""Who works when: one kernel of a process at a time, on so many threads, and one pool of threads."""

import functools
import threading
from contextlib import contextmanager

import numba
from threadpoolctl import ThreadpoolController

#: Held while a kernel runs. A kernel keeps all cores busy, so Python threads gain nothing by running two at once; and
#: Numba's workqueue layer, which serves where neither TBB nor OpenMP is found, aborts the process when they try.
kernel_lock = threading.RLock()


@functools.cache
def _controller():
    # numba's np.dot calls SciPy's BLAS, which must be loaded to be found.
    import scipy.linalg.cython_blas  # noqa: F401

    return ThreadpoolController()


@contextmanager
def single_threaded_blas():
    """Hold `kernel_lock` and limit BLAS to one thread inside the ``with`` block; both end with it, whatever happens.

    Numba's and BLAS's worker threads spin for a while after each parallel region; on two cores, taking turns between
    the pools costs about 8 ms a turn. The limit itself costs 15 µs.
    """
    with kernel_lock, _controller().limit(limits=1, user_api="blas"):
        yield


@contextmanager
def kernel_threads(n_threads):
    """Let kernels have ``n_threads`` inside the ``with`` block; put back whatever happens.

    None and -1 are all that there are, and -k all but k - 1, one at least.
    """
    if n_threads in (None, -1):
        yield
        return
    before = numba.get_num_threads()
    wanted = n_threads if n_threads > 0 else max(1, before + 1 + n_threads)
    numba.set_num_threads(min(wanted, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)
