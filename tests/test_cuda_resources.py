"""Every CUDA kernel, compiled for several GPUs, keeps to the budget of registers that is written next to it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("cuda_resources.py")


@pytest.fixture(scope="module")
def found():
    done = subprocess.run(
        [sys.executable, SCRIPT], capture_output=True, text=True, env={**os.environ, "NUMBA_ENABLE_CUDASIM": "0"}
    )
    assert not done.returncode, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA has no compiler for it")
@pytest.mark.slow
def test_kernels_keep_to_their_budgets(found):
    *kernels, last = found
    assert last == {"unused": []}
    assert {tuple(kernel["capability"]) for kernel in kernels} == {(8, 0), (9, 0), (12, 0)}
    over = [
        kernel
        for kernel in kernels
        if kernel["registers"] > kernel["budget"]["registers"] or kernel["spilled"] > kernel["budget"]["spilled"]
    ]
    assert not over
    # a stack is for spilled registers, or for arrays that found none
    assert not [kernel for kernel in kernels if kernel["stack"] and not kernel["spilled"]]
    assert not [kernel for kernel in kernels if kernel["shared"] > 48 * 1024]
