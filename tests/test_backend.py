"""Which machine's kernels a call gets, and what is said where they cannot be had."""

import inspect
import os
import re
import subprocess
import sys
import types

import numpy as np
import pytest

from ldlrpp import kernels
from ldlrpp.kernels import backend, cpu

pytest.importorskip("numba_cuda", reason="numba-cuda has no wheel for this machine")
cuda = backend.cuda()
MODULES = [name for name in cuda.__all__ if name in cpu.__all__]


class OnGpu:
    """An array that says that it is on a GPU: in the simulator, that is NumPy's memory."""

    def __init__(self, array):
        self.array = np.asarray(array)
        self.__cuda_array_interface__ = {**self.array.__array_interface__, "version": 3}

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)


@pytest.fixture
def library(monkeypatch):
    """A library of arrays on a GPU."""
    module = types.ModuleType("gpulibrary")
    module.from_dlpack = OnGpu
    monkeypatch.setitem(sys.modules, "gpulibrary", module)
    monkeypatch.setattr(OnGpu, "__module__", "gpulibrary.arrays")
    return module


def functions(module):
    """The public functions that a module defines, and their signatures."""
    members = {name: getattr(f, "py_func", f) for name, f in vars(module).items() if not name.startswith("_")}
    return {
        name: inspect.signature(f)
        for name, f in members.items()
        if inspect.isfunction(f) and f.__module__ == module.__name__
    }


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_twins(name):
    ours, theirs = functions(getattr(cpu, name)), functions(getattr(cuda, name))
    only_there, only_here = set(), {"counted", "put_back"} if name == "threads" else set()
    if name == "memory":
        only_there = {"check_gpu", "stream", "synchronize", "device", "current_device", "n_devices", "to_host"}
        only_there |= {"is_bfloat16", "bits", "accumulator"}
    assert set(theirs) - only_there == set(ours) - only_here
    for function, signature in ours.items():
        if function in only_here:  # pools of threads of this process, whichever machine works
            continue
        assert str(theirs[function]) == str(signature), function


def draw(*shapes):
    rng = np.random.default_rng(0)
    return [rng.uniform(-1, 1, shape).astype(np.float32) for shape in shapes]


def test_ldl_of_arrays_on_a_gpu(library):
    x, grad_y, weights, scale, bias = draw((3, 8), (3, 8), (3, 2, 8), 8, 8)
    there = [OnGpu(a) for a in (x, weights, scale, bias)]
    y = kernels.ldl_forward(*there)
    assert type(y) is OnGpu
    np.testing.assert_allclose(y.array, kernels.ldl_forward(x, weights, scale, bias), rtol=1e-5, atol=1e-6)
    grads = kernels.ldl_backward(OnGpu(grad_y), *there[:3])
    for got, want in zip(grads, kernels.ldl_backward(grad_y, x, weights, scale), strict=True):
        assert type(got) is OnGpu
        np.testing.assert_allclose(got.array, want, rtol=1e-5, atol=1e-6)
    matrix = kernels.ldl_dense(there[1], there[2])
    np.testing.assert_allclose(matrix.array, kernels.ldl_dense(weights, scale), rtol=1e-5, atol=1e-6)
    # any memory layout
    turned = [OnGpu(np.asfortranarray(a)) for a in (x, weights)]
    np.testing.assert_array_equal(kernels.ldl_forward(*turned, *there[2:]).array, y.array)


@pytest.mark.parametrize("options", [{}, {"signs": True, "width": 11}, {"share_columns": True}])
def test_rpp_of_arrays_on_a_gpu(options, library):
    x, hidden, grad_y, bias = draw((3, 7), (7, 3), (3, options.get("width", 12)), 3)
    there = [OnGpu(a) for a in (x, hidden)]
    y = kernels.rpp_forward(*there, 4, 5, OnGpu(bias), **options)
    assert type(y) is OnGpu
    np.testing.assert_allclose(y.array, kernels.rpp_forward(x, hidden, 4, 5, bias, **options), rtol=1e-5, atol=1e-6)
    of_gradients = {name: value for name, value in options.items() if name != "width"}
    grads = kernels.rpp_backward(OnGpu(grad_y), *there, 4, 5, **of_gradients)
    for got, want in zip(grads, kernels.rpp_backward(grad_y, x, hidden, 4, 5, **of_gradients), strict=True):
        np.testing.assert_allclose(got.array, want, rtol=1e-5, atol=1e-6)
    wide = kernels.rpp_expand(there[1], 4, 5, **options)
    np.testing.assert_array_equal(wide.array, kernels.rpp_expand(hidden, 4, 5, **options))
    n_columns, signs = 1 if options.get("share_columns") else 3, options.get("signs", False)
    stored = kernels.rpp_permutation(7, n_columns, 4, 5, signs=signs)
    again = kernels.rpp_forward(*there, 4, 0, OnGpu(bias), permutation=OnGpu(stored), **options)
    np.testing.assert_array_equal(again.array, y.array)
    stored[1, 0, 0] = stored[1, 1, 0]
    with pytest.raises(ValueError, match=r"not so in permutation\[1, :, 0\]"):
        kernels.rpp_forward(*there, 4, 0, permutation=OnGpu(stored), **options)


def test_results_are_written_where_they_are_wanted(library):
    x, weights, scale, bias = draw((3, 8), (3, 2, 8), 8, 8)
    there = [OnGpu(a) for a in (x, weights, scale, bias)]
    wanted = kernels.ldl_forward(*there).array
    for memory in (np.empty((3, 8), np.float32), np.empty((8, 3), np.float32).T, x):
        out = OnGpu(memory)
        assert kernels.ldl_forward(*there, out=out) is out
        np.testing.assert_array_equal(memory, wanted)


def test_arrays_on_two_machines_are_refused_by_name(library):
    x, weights, scale, bias = draw((3, 8), (3, 2, 8), 8, 8)
    with pytest.raises(TypeError, match="scale must be on the GPU like the other arrays, got ndarray"):
        kernels.ldl_forward(OnGpu(x), OnGpu(weights), scale, OnGpu(bias))
    with pytest.raises(TypeError, match="weights must be a NumPy array, got OnGpu on a GPU"):
        kernels.ldl_forward(x, OnGpu(weights), scale, bias)
    with pytest.raises(TypeError, match="x must have dtype float32, float64, float16 or bfloat16, got int64"):
        kernels.ldl_forward(OnGpu(np.ones((2, 2), np.int64)), weights, scale, bias)
    with pytest.raises(TypeError, match="out must be on the GPU"):
        kernels.ldl_forward(*(OnGpu(a) for a in (x, weights, scale, bias)), out=np.empty_like(x))
    with pytest.raises(TypeError, match="weights must be a NumPy array"):
        kernels.ldl_merge(OnGpu(weights))


@pytest.mark.parametrize(
    ("error", "is_full"),
    [
        (MemoryError("Out of memory allocating 5 bytes"), True),
        (RuntimeError("cudaErrorMemoryAllocation: out of memory"), True),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY"), True),
        (RuntimeError("cudaErrorLaunchFailure: unspecified launch failure"), False),
    ],
    ids=str,
)
def test_errors_that_say_that_memory_is_full(error, is_full):
    assert cuda.memory.is_full(error) == is_full


ASK = """
import sys, types
{}
import ldlrpp
from ldlrpp import kernels
print([m for m in ("cupy", "numba_cuda", "numba.cuda", "ldlrpp.kernels.cuda") if m in sys.modules])
class OnGpu:
    __cuda_array_interface__ = {{}}
try:
    kernels.ldl_forward(OnGpu(), 0, 0, 0)
except RuntimeError as error:
    print(error)
"""
NO_NUMBA_CUDA = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "numba_cuda" else find(name, *a)
"""
NO_CUPY = """sys.modules["cupy"] = None"""
CUPY = """
class CUDARuntimeError(RuntimeError):
    pass
def count():
    {}
runtime = types.SimpleNamespace(CUDARuntimeError=CUDARuntimeError, getDeviceCount=count)
sys.modules["cupy"] = types.SimpleNamespace(ndarray=object, cuda=types.SimpleNamespace(runtime=runtime))
"""


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (NO_NUMBA_CUDA, "kernels on a GPU want the package numba-cuda: pip install 'ldlrpp\\[cuda\\]'"),
        (NO_CUPY, "kernels on a GPU want more packages .*cupy.*: pip install 'ldlrpp\\[cuda\\]'"),
        (
            CUPY.format("raise CUDARuntimeError('driver version is insufficient')"),
            "kernels on a GPU want an NVIDIA driver that works: driver version is insufficient",
        ),
        (CUPY.format("return 0"), "kernels on a GPU want an NVIDIA GPU, and the driver sees none"),
    ],
    ids=["numba-cuda", "cupy", "driver", "gpu"],
)
def test_what_is_missing_is_said_when_a_gpu_is_asked_for(machine, said):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASK.format(machine)],
        capture_output=True, text=True, check=True, env={**os.environ, "NUMBA_ENABLE_CUDASIM": "0"},
    )  # fmt: skip
    imported, message = done.stdout.splitlines()
    # nothing of CUDA before, but what the test itself has put there
    assert imported == ("['cupy']" if "sys.modules" in machine else "[]")
    assert re.fullmatch(said, message)
