import pytest
import simulator


@pytest.fixture(scope="session", autouse=True)
def _simulator():
    with simulator.quick():
        yield
