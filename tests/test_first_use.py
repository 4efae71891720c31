"""The first use on a machine: imports, compilation and where compiled kernels are kept."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ldlrpp

ROOT = Path(__file__).resolve().parents[1]
COUNT = """
from numba.core import event

class Count(event.Listener):
    n = 0
    def on_start(self, event):
        self.n += 1
    def on_end(self, event):
        pass

count = Count()
event.register("numba:compile", count)

# functions that are called by address are compiled without such an event
from numba.core.ccallback import CFunc
compile_uncached = CFunc._compile_uncached
def counted(self):
    count.n += 1
    return compile_uncached(self)
CFunc._compile_uncached = counted
"""
USE = """
import numpy, warnings, ldlrpp
warnings.simplefilter("ignore")
X = numpy.random.default_rng(0).normal(size=(300, 20)).astype("f")
y = X[:, 0] > 0
models = [
    ldlrpp.LDLClassifier((64, 3000), early_stopping=True),
    ldlrpp.LDLRegressor((2,), solver="lbfgs"),
    ldlrpp.RPPClassifier((100,), solver="sgd"),
    ldlrpp.RPPRegressor((100,), permutation="stored", max_grad_norm=1.0),
    ldlrpp.MixedClassifier(dropout=0.5),
]
for model in models:
    model.set_params(max_iter=2).fit(X, y).predict(X)
x = X[:, :16].copy()
weights, scale, bias = ldlrpp.kernels.ldl_init(16)
z = ldlrpp.kernels.ldl_forward(x, weights, scale, bias)
ldlrpp.kernels.ldl_backward(z, x, weights, scale)
"""
SMALL = """
import numpy
from ldlrpp.kernels.cpu.elementwise import relu_backward
x = numpy.array([[-1.0, 2.0]])
relu_backward(x, x)
"""
# Numba asks these in turn for a folder that it may write to.
NO_FOLDER = "import numba.core.caching as c; c.CacheImpl._locator_classes = []\n"


def run(code, **environment):
    """Standard output and standard error of a Python process."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, env={**os.environ, **environment},
    )  # fmt: skip
    return done.stdout.strip(), done.stderr.strip()


def test_importing_the_package_loads_no_optional_library():
    loaded = "import sys, ldlrpp; print([m for m in ('matplotlib', 'cupy', 'numba_cuda', 'torch') if m in sys.modules])"
    assert run(loaded) == ("[]", "")


def test_warmup_compiles_all_that_is_used_later(tmp_path):
    # compiled without optimisation, in half of the time, and not kept
    code = (
        COUNT
        + NO_FOLDER
        + "import ldlrpp; ldlrpp.warmup('float32'); n = count.n\n"
        + USE
        + "print(n > 10, count.n - n)"
    )
    printed, _ = run(code, NUMBA_OPT="0", NUMBA_CACHE_DIR=str(tmp_path))
    assert printed == "True 0"


def test_compilation_is_announced_once_and_its_result_kept(tmp_path):
    printed, said = run(COUNT + SMALL + "print(count.n > 0)", NUMBA_CACHE_DIR=str(tmp_path))
    assert printed == "True"
    assert said.startswith("Compiling kernels, once for this machine: ")
    assert "\n" not in said
    assert run(COUNT + SMALL + "print(count.n)", NUMBA_CACHE_DIR=str(tmp_path)) == ("0", "")


def test_a_change_of_any_kernel_makes_all_of_them_new(tmp_path):
    shutil.copytree(ROOT / "ldlrpp", tmp_path / "ldlrpp", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})" + COUNT + SMALL + "print(count.n > 0)"
    assert run(code, **environment)[0] == "True"
    assert run(code, **environment)[0] == "False"
    # not the file of the kernel
    with open(tmp_path / "ldlrpp" / "kernels" / "ldl_passes.py", "a") as file:
        file.write("# changed")
    assert run(code, **environment)[0] == "True"


def test_what_is_said_can_be_silenced(tmp_path):
    quiet = "import logging; logging.getLogger('ldlrpp').setLevel('ERROR')\n"
    assert run(quiet + SMALL, NUMBA_CACHE_DIR=str(tmp_path)) == ("", "")


def test_without_a_folder_for_compiled_kernels_they_work_all_the_same(tmp_path):
    printed, said = run(NO_FOLDER + SMALL + "print(x)", NUMBA_CACHE_DIR=str(tmp_path))
    assert printed == "[[0. 2.]]"
    assert said.startswith("Compiled kernels cannot be kept, as no folder for them can be written")
    assert "\n" not in said
    assert not list(tmp_path.iterdir())


def test_other_peoples_functions_compile_as_ever(tmp_path):
    # without a module, as the constructors of Numba's own jitclass
    code = "import ldlrpp, numba; names = {}; exec('def f(x): return x + 1', names); print(numba.njit(names['f'])(1))"
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)) == ("2", "")


@pytest.mark.parametrize("dtypes", [np.int32, "float16", [np.float32, "int8"]])
def test_warmup_wants_dtypes_that_kernels_have(dtypes):
    with pytest.raises(ValueError, match=r"dtypes must be float32 or float64, got .*(int|float16)"):
        ldlrpp.warmup(dtypes)
