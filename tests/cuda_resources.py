"""What CUDA kernels take of a GPU's registers and memory, found without one: python tests/cuda_resources.py

The package's functions are called, on arrays of NumPy in place of CuPy's, and launches are written down in place of
being done. Every kernel is then compiled for the types of arguments that it was launched with, to PTX for several
compute capabilities, and `ptxas` says what its machine code takes. Prints a JSON object for each, a line each.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy

sys.modules["cupy"] = numpy  # before the package asks for it

import ml_dtypes  # noqa: E402
import nvidia  # noqa: E402
from numba import cuda, typeof, types  # noqa: E402
from numba.cuda import dispatcher  # noqa: E402
from numba.np import numpy_support  # noqa: E402

from ldlrpp.kernels.cuda import compiling, dense, elementwise, ldl, losses, memory, rpp  # noqa: E402
from ldlrpp.kernels.ldl_weights import weights_shape  # noqa: E402

CAPABILITIES = (8, 0), (9, 0), (12, 0)
DTYPES = numpy.float32, numpy.float64, numpy.float16, ml_dtypes.bfloat16


def use_ldl(dtype):
    for radix in (2, 4):
        x, vector = numpy.zeros((2, 4096), dtype), numpy.zeros(4096, dtype)
        weights = numpy.zeros(weights_shape(4096, radix), dtype)
        ldl.forward(x, weights, vector, vector, False, x)
        ldl.backward(x, x, weights, vector, x, weights, vector, vector)


def use_elementwise(dtype):
    x, rows, flat = numpy.zeros((2, 4), dtype), numpy.zeros(2, numpy.int64), numpy.zeros(8, dtype)
    elementwise.adam_step(*[flat] * 5, 4, *[0.5] * 7)
    elementwise.sgd_step(*[flat] * 4, 4, 0.5, 0.5, 0.5, True, 0.5)
    elementwise.square_sum(flat)
    for name in ("tanh", "logistic"):
        getattr(elementwise, name)(x)
    for name in ("relu_backward", "tanh_backward", "logistic_backward"):
        getattr(elementwise, name)(x, x)
    elementwise.drop(x, 5, 0.5)
    elementwise.drop_backward(x, x, 5, 0.5)
    elementwise.shorten(flat, 0.5)
    csr = flat, numpy.zeros(8, numpy.int32), numpy.zeros(3, numpy.int32)
    elementwise.take_sparse_rows(*csr, rows, 4, True, x)
    elementwise.take_rows(x, rows, True, x)
    elementwise.widen(x, True, x)
    elementwise.fold(x, True, x)


def use_losses(dtype):
    scores, weights = numpy.zeros((2, 4), dtype), numpy.zeros(2, dtype)
    losses.squared_error(scores, scores, weights, 1.0, scores)
    losses.softmax(scores, scores, weights, 1.0, scores)
    losses.softmax_predictions(scores, scores)
    number = numpy.zeros((), numpy.float64)
    losses.accumulate(number, number, number, 0.5, 2)
    losses.logistic_predictions(scores, scores)


def use_rpp(dtype):
    rpp._TILE = 0  # several tiles
    seed = numpy.uint64(0)
    for m in (5, 100, 40_000):  # kinds of permutations
        x, hidden_t, out, bias = (numpy.zeros(shape, dtype) for shape in ((2, m), (3, m), (2, 50), 50))
        stored, wide = numpy.empty((0, m), numpy.uint16), numpy.empty((0, m), dtype)
        how = seed, stored, False, True
        rpp.forward(x, hidden_t, *how, bias, False, wide, False, empty, out)
        rpp.backward(out, x, hidden_t, *how, wide, empty, True, x, hidden_t, bias)
        rows = numpy.zeros((3, m), rpp.entry_dtype(m, True))
        rpp.is_permutation(rows, True, numpy.zeros(3, bool))


def empty(name, shape, dtype):
    return numpy.zeros(shape, dtype)


def use_dense(dtype):
    x, weights, bias, out = (numpy.zeros(shape, dtype) for shape in ((2, 4), (3, 4), 3, (2, 3)))
    dense.forward(x, weights, bias, True, out)
    dense.backward(out, x, weights, True, x, weights, bias)


USES = {ldl: use_ldl, rpp: use_rpp, dense: use_dense, elementwise: use_elementwise, losses: use_losses}


def launches(module, dtype):
    """Pairs of a kernel that a module's functions launch and the types of its arguments."""
    found = {}

    def launch(kernel, blocks, threads, *arguments, shared=0):
        found[kernel, tuple(type_of(argument) for argument in arguments)] = None

    for name, other in list(sys.modules.items()):
        if name.startswith("ldlrpp.kernels.cuda.") and hasattr(other, "launch"):
            other.launch = launch
    USES[module](dtype)
    return list(found)


def type_of(argument):
    """The type of an argument of a kernel, as `ldlrpp.kernels.cuda.launching.launch` gives it."""
    if isinstance(argument, numpy.ndarray):
        return types.Array(numpy_support.from_dtype(memory.bits(argument).dtype), 1, "C")
    return typeof(argument)


def resources(kernel, signature, capability):
    """Registers, and bytes of the stack, of spilled registers and of static shared memory."""
    # what a kernel calls is compiled for the GPU at hand
    dispatcher.get_current_device = lambda: type("Device", (), {"compute_capability": capability})
    bounds = kernel.targetoptions["launch_bounds"]
    ptx, _ = cuda.compile(kernel.py_func, signature, cc=capability, device=False, abi="numba", launch_bounds=bounds)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "kernel.ptx")
        source.write_text(ptx)
        (ptxas,) = (path for parent in nvidia.__path__ for path in Path(parent).glob("cu*/bin/ptxas"))
        arch = "-arch=sm_{}{}".format(*capability)
        command = [ptxas, arch, "-v", source, "-o", source.with_suffix(".cubin")]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    patterns = {
        "registers": r"Used (\d+) registers",
        "stack": r"(\d+) bytes stack frame",
        "spilled": r"(\d+) bytes spill stores",
        "shared": r"(\d+) bytes smem",
    }
    return {name: int(found[1]) if (found := re.search(p, said)) else 0 for name, p in patterns.items()}


def of_module(name, dtype_name):
    """What every kernel takes that a module's functions launch for a dtype; the kernels' names beside it."""
    (module,) = (module for module in USES if module.__name__.endswith(f".{name}"))
    (dtype,) = (dtype for dtype in DTYPES if numpy.dtype(dtype).name == dtype_name)
    memory.device, memory.synchronize, module.n_multiprocessors = (lambda array: 0), (lambda: None), (lambda: 1)
    found = []
    for kernel, signature in launches(module, dtype):
        for capability in CAPABILITIES if dtype == numpy.float32 else ((9, 0),):
            takes = {"module": name, "kernel": kernel.py_func.__name__, "dtype": dtype_name, "capability": capability}
            found.append(takes | {"budget": kernel.budget} | resources(kernel, signature, capability))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="*", help="such as ldl; all by default")
    wanted = parser.parse_args().modules or [module.__name__.rpartition(".")[2] for module in USES]
    tasks = [(name, numpy.dtype(dtype).name) for name in wanted for dtype in DTYPES]
    used = set()
    with ProcessPoolExecutor() as pool:
        for found in pool.map(of_module, *zip(*tasks, strict=True)):
            for kernel in found:
                used.add(kernel["kernel"])
                print(json.dumps(kernel), flush=True)
    print(json.dumps({"unused": sorted({kernel.py_func.__name__ for kernel in compiling.KERNELS} - used)}))


if __name__ == "__main__":
    main()
