"""Who works when: one kernel of a process at a time, on so many threads, and one pool of threads."""

import contextlib
import functools
import os
import sys
import threading
from contextlib import contextmanager, nullcontext

import joblib
import numba
from threadpoolctl import ThreadpoolController

#: Held while a kernel runs. A kernel keeps all cores busy, so Python threads gain nothing by running two at once; and
#: Numba's workqueue layer, which serves where neither TBB nor OpenMP is found, aborts the process when they try.
kernel_lock = threading.RLock()
_forked = False


def _has_forked():
    """A child has none of its parent's threads, and GNU's OpenMP, where it had some, ends it: rather an error."""
    global _forked, kernel_lock
    # a fork whose wait for the lock was interrupted goes on without it
    kernel_lock = threading.RLock()
    with contextlib.suppress(ValueError):  # no kernel has run
        _forked = sys.platform == "linux" and numba.threading_layer() == "omp"


def _release():
    with contextlib.suppress(RuntimeError):
        kernel_lock.release()


# A fork waits for the kernel that runs, whose threads the child will not have.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lambda: kernel_lock.acquire(), after_in_parent=_release, after_in_child=_has_forked)


def _check_threads():
    if _forked:
        raise RuntimeError(
            "this process was forked from one in which kernels had run on OpenMP's threads, which it does not have. "
            "Start processes by 'spawn' or 'forkserver' (joblib's default does), or install TBB: pip install "
            "'ldlrpp[tbb]'"
        )


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
    _check_threads()
    with kernel_lock, _controller().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _available_threads():
    """Threads that kernels have if nobody says how many: a container's quota of CPU time keeps no more of them busy."""
    most = numba.config.NUMBA_NUM_THREADS
    return most if "NUMBA_NUM_THREADS" in os.environ else max(1, min(most, joblib.cpu_count()))


@contextmanager
def kernel_threads(n_threads=None):
    """Let kernels have ``n_threads`` inside the ``with`` block; put back whatever happens.

    None and -1 are all that there are, and -k all but k - 1, one at least.
    """
    before = numba.get_num_threads()
    wanted = min(before, _available_threads()) if n_threads is None or n_threads < 0 else n_threads
    if n_threads is not None and n_threads < 0:
        wanted = max(1, wanted + 1 + n_threads)
    if wanted == before:
        yield
        return
    numba.set_num_threads(min(wanted, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)


def counted():
    """How many threads Numba and every BLAS have while no kernel runs, for `put_back`."""
    libraries = [library for library in _controller().lib_controllers if library.user_api == "blas"]
    with kernel_lock:
        return numba.get_num_threads(), [(library, library.num_threads) for library in libraries]


def put_back(counts):
    """Let there be as many threads as there were.

    The contexts above put back what they change, but for an interruption that comes while they do: what was
    interrupted does it once more, outside of them.
    """
    n_threads, libraries = counts
    with kernel_lock:
        numba.set_num_threads(n_threads)
        for library, before in libraries:
            if library.num_threads != before:
                library.set_num_threads(before)
                # who has set it is who alone may set it until it says that it is done
                getattr(library, "clear_controlling_thread", lambda: None)()


@contextmanager
def one_kernel():
    """Hold `kernel_lock` inside the ``with`` block, and have the threads that there are."""
    _check_threads()
    with kernel_lock, kernel_threads():
        yield


def on_device(number=None):
    """A context in which kernels work on the machine of that number; there is one."""
    return nullcontext()
