"""One pool of threads at a time: BLAS held to one thread while Numba's threads work."""

import functools
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController


@functools.cache
def _controller():
    # numba's np.dot calls SciPy's BLAS, which must be loaded to be found.
    import scipy.linalg.cython_blas  # noqa: F401

    return ThreadpoolController()


@contextmanager
def single_threaded_blas():
    """Limit BLAS to one thread inside the ``with`` block and restore it after, whatever happens.

    Numba's and BLAS's worker threads spin for a while after each parallel region; on two cores, taking turns between
    the pools costs about 8 ms a turn. The limit itself costs 15 µs.
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield
