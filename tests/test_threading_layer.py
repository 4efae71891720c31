"""Which threads Numba gets: each case is a process of its own."""

import os
import platform
import subprocess
import sys

import pytest

SHOW = """
import os, subprocess, sys
import numba, numpy, sklearn
before = dict(os.environ)
{before}
import ldlrpp
from ldlrpp.kernels.cpu.elementwise import relu_backward
relu_backward(numpy.zeros((4, 4), "f"), numpy.zeros((4, 4), "f"))
assert dict(os.environ) == before
code = "import os; print(sorted(v for v in os.environ if v.startswith(('GOMP', 'OMP'))))"
print(numba.threading_layer(), numba.get_num_threads(), flush=True)
subprocess.run([sys.executable, "-c", code], check=True)
"""
# what libgomp was told: its environment at the moment when Numba's layer was loaded
SPY = """
import importlib.machinery
told = []
create = importlib.machinery.ExtensionFileLoader.create_module
def spy(self, spec):
    if spec.name.endswith(".omppool"):
        told.append(os.environ.get("GOMP_SPINCOUNT"))
    return create(self, spec)
importlib.machinery.ExtensionFileLoader.create_module = spy
"""


def run(code, **environment):
    """The lines that a process prints, without what is set for this one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "GOMP", "OMP"))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**kept, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# pyproject.toml names the platforms that have a wheel
needs_tbb = pytest.mark.skipif(
    sys.platform == "darwin" or platform.machine() not in ("x86_64", "AMD64"), reason="there is no wheel of TBB"
)


@needs_tbb
def test_tbb_is_found_where_its_wheel_is():
    layer, children = run(SHOW.format(before=""))
    assert layer.startswith("tbb ")
    assert children == "[]"


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_the_users_layer_stays(layer):
    assert run(SHOW.format(before=""), NUMBA_THREADING_LAYER=layer)[0].startswith(layer)


def test_without_tbb_openmp_spins_for_less_time_and_children_know_nothing_of_it():
    # the library is not found, as where no wheel is
    hidden = "from importlib import metadata\nmetadata.files = lambda name: []\n" + SPY
    layer, children, told = run(SHOW.format(before=hidden) + "print(told)")
    assert layer.startswith("omp ")
    assert children == "[]"
    assert told == "['10000']"


@pytest.mark.parametrize("variable", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_what_the_user_says_of_waiting_stays(variable):
    value = {"GOMP_SPINCOUNT": "77", "OMP_WAIT_POLICY": "passive"}[variable]
    spins = "77" if variable == "GOMP_SPINCOUNT" else None
    lines = run(SHOW.format(before=SPY) + "print(told)", **{variable: value, "NUMBA_THREADING_LAYER": "omp"})
    assert lines == [lines[0], f"['{variable}']", f"[{spins!r}]"]


FORK = """
import os, signal
import numpy, ldlrpp
from ldlrpp.kernels.cpu.elementwise import relu_backward
x = numpy.full((500, 500), -1.0)
relu_backward(x.copy(), x)
child = os.fork()
if not child:
    signal.alarm(30)
    relu_backward(x, x.copy())
    os._exit(int((x != 0).any()))
print(os.waitpid(child, 0)[1])
"""


@needs_tbb
def test_with_tbb_a_process_can_be_forked_after_a_kernel():
    assert run(FORK) == ["0"]


# how many threads kernels have on four cores, called and fitted, and what is put back
FOUR_CORES = """
import os
os.cpu_count, os.sched_getaffinity = lambda: 4, lambda pid: range(4)
import joblib
joblib.cpu_count = lambda: {quota}
import numba, numpy, warnings
import ldlrpp
from ldlrpp.kernels import cpu
warnings.simplefilter("ignore")
seen = []
forward = cpu.ldl.forward
cpu.ldl.forward = lambda *args: (seen.append(numba.get_num_threads()), forward(*args))
ldlrpp.kernels.ldl_forward(numpy.zeros((1, 2)), *ldlrpp.kernels.ldl_init(2, dtype="d"))
for n_jobs in (None, -1, 3):
    ldlrpp.LDLRegressor(2, n_jobs=n_jobs, max_iter=1).fit(numpy.zeros((3, 2)), numpy.zeros(3))
print(seen, numba.get_num_threads())
"""


@pytest.mark.parametrize(
    ("quota", "environment", "expected"),
    [(2, {}, "[2, 2, 2, 3] 4"), (99, {}, "[4, 4, 4, 3] 4"), (1, {"NUMBA_NUM_THREADS": "4"}, "[4, 4, 4, 3] 4")],
)
def test_no_more_threads_than_the_quota_of_a_container(quota, environment, expected):
    assert run(FOUR_CORES.format(quota=quota), **environment) == [expected]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' OpenMP is another")
def test_with_openmp_a_process_that_was_forked_says_why_it_cannot():
    code = FORK.replace(
        "    relu_backward(x, x.copy())\n    os._exit(int((x != 0).any()))",
        "    try:\n        ldlrpp.kernels.ldl_forward(numpy.ones((3, 4)), *ldlrpp.kernels.ldl_init(4, dtype='d'))\n"
        "    except RuntimeError as error:\n        print(error, flush=True)\n        os._exit(0)\n    os._exit(1)",
    )
    said, status = run(code, NUMBA_THREADING_LAYER="omp")
    assert "was forked from one in which kernels had run on OpenMP's threads" in said
    assert status == "0"


def test_workqueue_can_be_forked():
    assert run(FORK, NUMBA_THREADING_LAYER="workqueue") == ["0"]


BUSY_FORK = """
import os, signal, threading
import numba, numpy, ldlrpp
x = numpy.ones((2000, 1024))
parameters = ldlrpp.kernels.ldl_init(1024, dtype="d")
def work():
    for _ in range(50):
        ldlrpp.kernels.ldl_forward(x, *parameters)
work()
expected = ldlrpp.kernels.ldl_forward(x[:1], *parameters)
thread = threading.Thread(target=work)
thread.start()
children = []
for _ in range(10):
    child = os.fork()
    if not child:
        signal.alarm(30)
        try:
            found = ldlrpp.kernels.ldl_forward(x[:1], *parameters)
            right = numpy.array_equal(found, expected)
        except RuntimeError:
            right = numba.threading_layer() == "omp"
        os._exit(0 if right else 1)
    children.append(child)
thread.join()
print({os.waitpid(child, 0)[1] for child in children})
"""


@pytest.mark.filterwarnings("ignore:This process")
@pytest.mark.parametrize("layer", ["tbb", "omp", "workqueue"])
@pytest.mark.skipif(sys.platform != "linux", reason="a fork of threads is no way elsewhere")
def test_a_fork_while_a_kernel_runs_hangs_no_child(layer):
    if layer == "tbb" and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("there is no wheel of TBB")
    # TBB says that it is not sure; children work
    assert run(BUSY_FORK, NUMBA_THREADING_LAYER=layer)[-1] == "{0}"
