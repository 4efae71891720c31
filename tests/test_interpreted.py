"""Every line of the kernels as plain Python, which sees each index and each vector that is out of bounds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("interpreted.py")


def test_calls_without_the_jit():
    done = subprocess.run([sys.executable, SCRIPT, "--cases", "100"], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    assert done.stdout.splitlines() == ["kernel_call: 100 cases", "estimator_call: 10 cases"]


BEYOND = """
import interpreted, numpy as np
interpreted.replace()
from ldlrpp.kernels.cpu import vectors
array = np.zeros(40, np.float32)
vectors.store(array, 24, vectors.load(array, 8))
vectors.{call}
"""


@pytest.mark.parametrize("call", ["load(array, 25)", "load(array, -1)", "store(array, 32, array[:16])"])
def test_vectors_beyond_an_array_are_seen(call):
    environment = {**os.environ, "PYTHONPATH": os.fspath(SCRIPT.parent)}
    code = BEYOND.format(call=call)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode
    assert "AssertionError: " in done.stderr
    assert " of 40" in done.stderr
