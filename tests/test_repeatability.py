"""The same random_state gives the same model, whatever the threads and the process, and nearly so on other machines."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# What training leads to, by the instructions that kernels are compiled for.
FIT = """
import hashlib, json, sys, warnings
import numpy as np
from ldlrpp import LDLClassifier, MixedClassifier, RPPClassifier
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, y = rng.standard_normal((400, 40)), np.arange(400) % 3
found = {}
for dtype in ("float32", "float64"):
    for name, model in {
        "LDL": LDLClassifier((64, 64)),
        "radix 2": LDLClassifier((128,), radix=2, init="orthogonal", dropout=0.2),
        "radix 16": LDLClassifier((64,), radix=16, solver="sgd"),
        "RPP": RPPClassifier((60,), n_permutations=6),
        "mixed": MixedClassifier([("ldl", 64), ("rpp", 30), ("dense", 10)], learning_rate="cosine"),
    }.items():
        model.set_params(max_iter=5, random_state=0, n_jobs=json.loads(sys.argv[1])).fit(X.astype(dtype), y)
        bits = hashlib.sha256(model.network_.flat.tobytes()).hexdigest()
        found[f"{name}, {dtype}"] = [bits, model.loss_curve_]
print(json.dumps(found))
"""
GOLDEN = Path(__file__).parent / "golden_losses.json"


def fits(n_jobs=None, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_CPU")}
    command = [sys.executable, "-c", FIT, json.dumps(n_jobs)]
    return json.loads(subprocess.check_output(command, env={**kept, **environment}, text=True))


@pytest.fixture(scope="module")
def here():
    return fits()


def test_threads_and_processes_change_no_bit(here):
    assert fits(1) == here
    assert fits(2, NUMBA_THREADING_LAYER="workqueue") == here


def test_losses_are_those_that_are_pinned(here):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert golden.keys() == here.keys()
    for name, losses in golden.items():
        # what ten steps of Adam make of rounding in another order
        tolerance = 1e-5 if "float32" in name else 1e-11
        np.testing.assert_allclose(here[name][1], losses, rtol=tolerance, err_msg=name)


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="instructions of x86-64")
def test_other_instructions_lead_to_the_same_losses(here):
    other = fits(NUMBA_CPU_NAME="haswell", NUMBA_CPU_FEATURES="")
    for name, (_, losses) in here.items():
        tolerance = 1e-5 if "float32" in name else 1e-11
        np.testing.assert_allclose(other[name][1], losses, rtol=tolerance, err_msg=name)
