"""The first use on a machine: imports, compilation and where compiled kernels are kept."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ldlrpp import warmup

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
    model.set_params(max_iter=2).fit(X, y).predict(X[:1])
x = X[:, :16].copy()
weights, scale, bias = ldlrpp.kernels.ldl_init(16)
z = ldlrpp.kernels.ldl_forward(x, weights, scale, bias)
ldlrpp.kernels.ldl_backward(z, x, weights, scale)
"""


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
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    warmup = "import numpy, ldlrpp; ldlrpp.warmup(numpy.float32); print(count.n > 10)"
    printed, said = run(COUNT + warmup, **cache)
    assert printed == "True"
    # one line, that says what is happening
    assert said.startswith("Compiling kernels, once for this machine: ")
    assert "\n" not in said
    assert run(COUNT + USE + "print(count.n)", **cache) == ("0", "")


def test_without_a_folder_for_compiled_kernels_they_work_all_the_same(tmp_path):
    # Numba asks these in turn for a folder that it may write to
    no_folder = "import numba.core.caching as c; c.CacheImpl._locator_classes = []\n"
    use = (
        "import ldlrpp, numpy; x = numpy.ones((1, 2), 'f'); "
        "print(ldlrpp.kernels.ldl_forward(x, *ldlrpp.kernels.ldl_init(2, random_state=0)).shape)"
    )
    printed, said = run(no_folder + use, NUMBA_CACHE_DIR=str(tmp_path))
    assert printed == "(1, 2)"
    assert said.startswith("Compiled kernels cannot be kept, as no folder for them can be written")
    assert said.count("cannot be kept") == 1
    assert "once for this machine" not in said
    assert not list(tmp_path.iterdir())


def test_other_peoples_functions_compile_as_ever(tmp_path):
    # without a module, as the constructors of Numba's own jitclass
    code = "import ldlrpp, numba; names = {}; exec('def f(x): return x + 1', names); print(numba.njit(names['f'])(1))"
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)) == ("2", "")


def test_what_is_said_can_be_silenced(tmp_path):
    quiet = "import logging; logging.getLogger('ldlrpp').setLevel('ERROR')\n"
    forward = "from ldlrpp.kernels.elementwise_cpu import relu; import numpy; relu(numpy.ones((1, 1), 'f'))"
    assert run(quiet + forward, NUMBA_CACHE_DIR=str(tmp_path)) == ("", "")


@pytest.mark.parametrize("dtypes", [np.int32, "float16", [np.float32, "int8"]])
def test_warmup_wants_dtypes_that_kernels_have(dtypes):
    with pytest.raises(ValueError, match=r"dtypes must be float32 or float64, got .*(int|float16)"):
        warmup(dtypes)
