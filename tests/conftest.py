import pytest

# scripts, of which one puts NumPy in CuPy's place, and one ends the JIT
collect_ignore = ["cuda_resources.py", "interpreted.py"]


@pytest.fixture(scope="module")
def client():
    """A client of a cluster of two processes."""
    from clusters import processes

    with processes() as client:
        yield client


@pytest.fixture
def collective():
    pytest.importorskip("xgboost", reason="the collective is that of xgboost-cpu, which is not installed")


@pytest.fixture(scope="session", autouse=True)
def _simulator():
    import simulator

    with simulator.quick():
        yield
