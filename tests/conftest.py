import pytest

# scripts, of which one puts NumPy in CuPy's place, and one ends the JIT
collect_ignore = ["cuda_resources.py", "interpreted.py"]


@pytest.fixture(scope="session", autouse=True)
def _simulator():
    import simulator

    with simulator.quick():
        yield
