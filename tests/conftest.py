import pytest


@pytest.fixture(scope="session", autouse=True)
def _simulator():
    import simulator

    with simulator.quick():
        yield
