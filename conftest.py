import importlib.util
import os

import pytest

# Before Numba is imported: results must not depend on the number of threads, so that there must be several everywhere.
os.environ.setdefault("NUMBA_NUM_THREADS", str(max(2, os.cpu_count() or 1)))

# Modules of an extra that is not there have no examples to run.
collect_ignore = [] if importlib.util.find_spec("distributed") else ["ldlrpp/dask"]


def pytest_configure(config):
    # CUDA kernels run in Numba's simulator, unless a real GPU is to be tested: pytest -m gpu
    if config.option.markexpr != "gpu":
        os.environ["NUMBA_ENABLE_CUDASIM"] = "1"


def pytest_collection_modifyitems(config, items):
    if config.option.markexpr != "gpu":
        wanting = [item for item in items if item.get_closest_marker("gpu")]
        config.hook.pytest_deselected(items=wanting)
        items[:] = [item for item in items if item not in wanting]


@pytest.fixture
def set_threads():
    """Set the number of Numba's threads until the test ends."""
    import numba

    before = numba.get_num_threads()
    yield numba.set_num_threads
    numba.set_num_threads(before)


@pytest.fixture(params=[1, 2], ids=["one-thread", "two-threads"])
def threads(request, set_threads):
    """Run with one and with two threads."""
    set_threads(request.param)
