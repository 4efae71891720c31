import pytest

# a script, which puts NumPy in CuPy's place
collect_ignore = ["cuda_resources.py"]


@pytest.fixture(scope="session", autouse=True)
def _simulator():
    import simulator

    with simulator.quick():
        yield
