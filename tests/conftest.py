import os

# Before Numba is imported: results must not depend on the number of threads, so that there must be several everywhere.
os.environ.setdefault("NUMBA_NUM_THREADS", str(max(2, os.cpu_count() or 1)))

import numba
import pytest


@pytest.fixture
def set_threads():
    """Set the number of Numba's threads until the test ends."""
    before = numba.get_num_threads()
    yield numba.set_num_threads
    numba.set_num_threads(before)


@pytest.fixture(params=[1, 2], ids=["one-thread", "two-threads"])
def threads(request, set_threads):
    """Run with one and with two threads."""
    set_threads(request.param)
