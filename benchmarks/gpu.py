"""Check and time the kernels on an NVIDIA GPU: python benchmarks/gpu.py --json FILE

Results are compared with the CPU's kernels in float64 first. Every figure is a ratio of two times of this run on this
GPU: medians of CUDA events over data of several times the L2 cache. A copy is one of the same array from the GPU's
memory to its memory; moving five arrays is the time of two and a half. Without a GPU, NUMBA_ENABLE_CUDASIM=1 runs the
script in Numba's simulator on next to nothing, to see that it works; its figures mean nothing then.
"""

import argparse
import datetime
import importlib.metadata
import json
import statistics
import subprocess
import time

import gpu_training
import numpy as np

from ldlrpp import kernels
from ldlrpp.kernels import backend, cpu
from ldlrpp.kernels.ldl_weights import weights_shape

cuda = backend.cuda()
xp, SIMULATED = cuda.memory.xp, cuda.compiling.SIMULATED
WIDTHS = [2**k for k in range(8, 17)]
RPP = ((784, 256, 64), (4096, 64, 64))  # inputs, columns, permutations
# Numbers of an array: 512 MB of float32.
NUMBERS = 2**27
REPEATS = 20
_rng = np.random.default_rng(0)


def median(function, repeats=REPEATS):
    """Seconds of a call on the GPU."""
    for _ in range(3):
        function()
    if SIMULATED:
        return 1.0
    times = []
    for _ in range(repeats):
        start, stop = xp.cuda.Event(), xp.cuda.Event()
        start.record()
        function()
        stop.record()
        stop.synchronize()
        times.append(xp.cuda.get_elapsed_time(start, stop) / 1000)
    return statistics.median(times)


def host(function, repeats=200):
    """Seconds that a call keeps the host."""
    for _ in range(3):
        function()
    cuda.memory.synchronize()
    times = []
    for _ in range(3 if SIMULATED else repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    cuda.memory.synchronize()
    return statistics.median(times)


def draw(*shape, dtype=np.float32):
    """Random numbers on the GPU: part of them drawn, and repeated."""
    size = int(np.prod(shape))
    part = _rng.standard_normal(min(size, 2**20), dtype=np.float32)
    return xp.resize(cuda.memory.put(part), shape).astype(dtype, copy=False)


def bfloat16():
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)


class LDL:
    def __init__(self, width, batch, radix=2, dtype=np.float32):
        self.x, self.grad_y = draw(batch, width, dtype=dtype), draw(batch, width, dtype=dtype)
        weights, scale, bias = kernels.ldl_init(width, radix=radix, random_state=0)
        self.parameters = [cuda.memory.put(a).astype(dtype, copy=False) for a in (weights, scale, bias)]
        self.y, self.grad_x = xp.empty_like(self.x), xp.empty_like(self.x)
        self.grads = [xp.empty_like(a) for a in self.parameters]

    def forward(self):
        cuda.ldl.forward(self.x, *self.parameters, False, self.y)

    def backward(self):
        cuda.ldl.backward(self.grad_y, self.x, *self.parameters[:2], self.grad_x, *self.grads)

    def both(self):
        self.forward()
        self.backward()


class RPPLayer:
    def __init__(self, m, n, k, batch, kept):
        self.x, self.grad_y, self.hidden_t, self.bias = draw(batch, m), draw(batch, n * k), draw(n, m), draw(n * k)
        seed, self.stored = np.uint64(7), xp.empty((0, m), np.uint16)
        if kept:
            self.stored = cuda.rpp.permutations(m, n, n * k, seed, False, True)
        self.options = seed, self.stored, False, True
        self.wide = xp.empty((0, m), np.float32)
        self.memory = {}
        self.y, self.grad_x, self.grad_hidden_t, self.grad_bias = (
            xp.empty_like(a) for a in (self.grad_y, self.x, self.hidden_t, self.bias)
        )

    def empty(self, name, shape, dtype):
        key = name, shape, np.dtype(dtype)
        if key not in self.memory:
            self.memory[key] = cuda.memory.empty(shape, dtype)
        return self.memory[key]

    def forward(self):
        cuda.rpp.forward(
            self.x, self.hidden_t, *self.options, self.bias, False, self.wide, False, self.empty, self.y
        )  # fmt: skip

    def backward(self):
        cuda.rpp.backward(
            self.grad_y, self.x, self.hidden_t, *self.options, self.wide, self.empty, True, self.grad_x,
            self.grad_hidden_t, self.grad_bias,
        )  # fmt: skip

    def both(self):
        self.forward()
        self.backward()


# --- What is checked -------------------------------------------------------------------------------------------------


def check():
    """Largest errors against the CPU's kernels in float64, relative to the largest number of a result."""
    cases, errors = ((2, 64), (4, 512)) if SIMULATED else ((2, 256), (2, 1024), (4, 4096), (2, 2**16), (16, 1024)), {}
    for radix, width in cases:
        layer = LDL(width, 3 if SIMULATED else 67, radix)
        layer.both()
        exact = [cuda.memory.get(a).astype(np.float64) for a in (layer.x, layer.grad_y, *layer.parameters)]
        x, grad_y, weights, scale, bias = exact
        wanted = kernels.ldl_forward(x, weights, scale, bias), *kernels.ldl_backward(grad_y, x, weights, scale)
        errors[f"LDL {width}, radix {radix}"] = _error((layer.y, layer.grad_x, *layer.grads), wanted)
    for m, n, k in ((70, 3, 4),) if SIMULATED else RPP:
        layer = RPPLayer(m, n, k, 33, kept=False)
        layer.both()
        x, grad_y, hidden_t, bias = (
            cuda.memory.get(a).astype(np.float64) for a in (layer.x, layer.grad_y, layer.hidden_t, layer.bias)
        )
        options = {"n_permutations": k, "seed": 7, "signs": True}
        wanted = [kernels.rpp_forward(x, hidden_t.T, bias=bias, **options)]
        grad_x, grad_hidden, grad_bias = kernels.rpp_backward(grad_y, x, hidden_t.T, **options)
        wanted += [grad_x, grad_hidden.T, grad_bias]
        errors[f"RPP {m} -> {n * k}"] = _error((layer.y, layer.grad_x, layer.grad_hidden_t, layer.grad_bias), wanted)
        there = cuda.memory.get(cuda.rpp.permutations(m, n, n * k, np.uint64(7), False, True))
        if not np.array_equal(there, cpu.rpp.permutations(m, n, n * k, np.uint64(7), False, True)):
            raise SystemExit(f"the permutations of {m} inputs differ from the CPU's")
    for name, error in errors.items():
        print(f"  {name:24} {error:.1e}")
        if not error < 1e-4:
            raise SystemExit(f"{name} is wrong")
    return errors


def _error(got, wanted):
    pairs = [(cuda.memory.get(a).astype(np.float64), b) for a, b in zip(got, wanted, strict=True)]
    return float(max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs))


# --- What is timed ---------------------------------------------------------------------------------------------------


def time_ldl(numbers, radix):
    """Forward, and forward and backward, against copies; halves against float32; the FFT."""
    rows = []
    for width in WIDTHS if not SIMULATED else [64]:
        layer = LDL(width, numbers // width, radix)
        copy = median(lambda layer=layer: xp.copyto(layer.y, layer.x))
        forward, both = median(layer.forward), median(layer.both)
        fft = median(lambda layer=layer: xp.fft.rfft(layer.x))
        row = {
            "width": width, "radix": radix, "copy_seconds": copy, "forward / copy": forward / copy,
            "forward + backward / five arrays": both / (2.5 * copy), "forward / rfft": forward / fft,
        }  # fmt: skip
        del layer
        for name, dtype in (("float16", np.dtype(np.float16)), ("bfloat16", bfloat16())):
            half = LDL(width, numbers // width, radix, dtype)
            row[f"forward {name} / float32"] = median(half.forward) / forward
            row[f"forward + backward {name} / float32"] = median(half.both) / both
            del half
        rows.append(row)
        print_row(row)
    return rows


def time_products(numbers):
    """LDL against matrix products of its width."""
    rows = []
    for width in (4096, 16384) if not SIMULATED else (64,):
        batch = max(1, min(numbers // width, 2**14))
        layer, row = LDL(width, batch), {"width": width, "batch": batch}
        forward = median(layer.forward)
        matrix, y = draw(width, width), xp.empty_like(layer.x)
        row["float32 product / forward"] = median(lambda x=layer.x, m=matrix, y=y: cuda.blas.gemm(x, m, y), 5) / forward
        x, matrix, y = (a.astype(bfloat16()) for a in (layer.x, matrix, y))
        row["bfloat16 product / forward"] = median(lambda x=x, m=matrix, y=y: cuda.blas.gemm(x, m, y), 5) / forward
        rows.append(row)
        print_row(row)
    return rows


def time_rpp():
    """RPP against cuBLAS's products of the same width, permutations kept and computed."""
    rows = []
    for m, n, k in RPP if not SIMULATED else ((70, 3, 4),):
        for batch in (256, 1024) if not SIMULATED else (5,):
            x, grad_y, wide = draw(batch, m), draw(batch, n * k), draw(m, n * k)
            y, grad_x, grad_wide = xp.empty_like(grad_y), xp.empty_like(x), xp.empty_like(wide)
            product = median(lambda x=x, wide=wide, y=y: cuda.blas.gemm(x, wide, y))
            back = median(lambda g=grad_y, wide=wide, out=grad_x: cuda.blas.gemm(g, wide.T, out))
            back += median(lambda x=x, g=grad_y, out=grad_wide: cuda.blas.gemm(x.T, g, out))
            for kept in (True, False):
                layer = RPPLayer(m, n, k, batch, kept)
                row = {
                    "inputs": m, "width": n * k, "batch": batch, "permutations": "kept" if kept else "computed",
                    "forward / product": median(layer.forward) / product,
                    "forward + backward / products": median(layer.both) / (product + back),
                }  # fmt: skip
                rows.append(row)
                print_row(row)
    return rows


def time_host():
    """Microseconds of the host for a call on arrays that stay the same."""
    layer, found = LDL(64 if SIMULATED else 1024, 8), {}
    x, grad_y, (weights, scale, bias) = layer.x, layer.grad_y, layer.parameters
    found["ldl.forward"] = host(layer.forward)
    found["ldl.backward"] = host(layer.backward)
    if not SIMULATED:
        found["ldl_forward"] = host(lambda: kernels.ldl_forward(x, weights, scale, bias))
        found["ldl_backward"] = host(lambda: kernels.ldl_backward(grad_y, x, weights, scale))
    found["rpp.forward"] = host(RPPLayer(70, 3, 4, 8, kept=True).forward)
    found = {name: 1e6 * seconds for name, seconds in found.items()}
    print_row(found)
    return found


def time_widest(log_width):
    """Seconds of a row of the widest layer: forward, backward, a step of gradient descent on all its weights."""
    width = 2**log_width
    shape = weights_shape(width, 2)
    needed = 4 * (4 * int(np.prod(shape)) + 15 * width)
    if not SIMULATED:
        xp.fft.config.get_plan_cache().clear()
        xp.get_default_memory_pool().free_all_blocks()
    if not SIMULATED and xp.cuda.runtime.memGetInfo()[0] < needed:
        print(f"  N = 2^{log_width} wants {needed / 1e9:.0f} GB of memory")
        return None
    weights, velocities, grads = xp.full(shape, np.sqrt(0.5), np.float32), xp.zeros(shape, np.float32), None
    x, y, scale, bias = draw(1, width), xp.empty((1, width), np.float32), xp.ones(width, np.float32), draw(width)
    grads = [xp.empty(shape, np.float32), *(xp.empty(width, np.float32) for _ in range(2))]
    grad_x = xp.empty_like(x)

    def backward():
        cuda.ldl.backward(y, x, weights, scale, grad_x, *grads)

    def step():
        flat = [a.reshape(-1) for a in (weights, grads[0], velocities)]
        cuda.elementwise.sgd_step(*flat, flat[0][:0], 0, 0.0, 1e-6, 0.9, True, 0.0)

    found = {
        "width": width,
        "forward_seconds": median(lambda: cuda.ldl.forward(x, weights, scale, bias, False, y), 3),
        "backward_seconds": median(backward, 3),
        "step_seconds": median(step, 3),
    }
    print_row(found)
    return found


# --- What is estimated -----------------------------------------------------------------------------------------------

# Of an H200, picoseconds: a byte from its memory, from L2 and from shared memory, and an instruction of a thread. The
# first is of copies measured elsewhere, the second a published measurement, the others are data sheets.
_PICOSECONDS = {"memory": 1 / 4.3, "L2": 1 / 5.5, "shared memory": 1 / 29.6, "instructions": 1 / 29.6}
# Instructions for eight numbers beside those of stages, counted in the machine code of compute capability 9.0: of the
# first unit, of others, and backward of one that is alone, the first, one between and the last.
_FORWARD = 140, 69
_BACKWARD = {"alone": 324, "first": 337, "between": 222, "last": 171}


def n_instructions(a_pass, backward):
    """Instructions of a pass for a number, radix 2."""
    kinds = a_pass.units[cuda.ldl.passes.KIND :: cuda.ldl.passes.COLUMNS]
    total = 0
    for u, kind in enumerate(kinds):
        n_stages = kind.bit_count()
        if backward:
            place = "alone" if len(kinds) == 1 else "first" if u == 0 else "last" if u == len(kinds) - 1 else "between"
            total += _BACKWARD[place] + 32 * n_stages + 16 * max(0, n_stages - 1)
            total += 16 * n_stages * (place in ("first", "between"))
        else:
            total += _FORWARD[min(u, 1)] + 16 * n_stages
    return total / 8


def estimate(width, backward):
    """Picoseconds that a number takes at least in each part of a GPU, float32, radix 2."""
    passes = cuda.ldl._passes(width, 2, 4, backward)
    costs = dict.fromkeys(_PICOSECONDS, 0.0) | {"memory": 12 if backward else 8}
    for a_pass in passes:
        n_units = len(a_pass.units) // cuda.ldl.passes.COLUMNS
        if backward:
            costs["instructions"] += n_instructions(a_pass, True)
            costs["shared memory"] += 20 * n_units - 4
            costs["L2"] += 12
        if not backward or a_pass is not passes[-1]:
            costs["instructions"] += n_instructions(a_pass, False)
            costs["shared memory"] += 8 * n_units
            costs["L2"] += 8
    return {name: _PICOSECONDS[name] * cost for name, cost in costs.items()}


def estimates():
    """Times of a roofline over those of copies: what nothing runs below, and no measurement."""
    print("| N | passes | forward / copy | limit | passes back | forward and backward / five arrays | limit back |")
    print("|---|---|---|---|---|---|---|")
    copy = 8 * _PICOSECONDS["memory"]
    for width in WIDTHS:
        forward, back = estimate(width, False), estimate(width, True)
        numbers = [len(cuda.ldl._passes(width, 2, 4, backward)) for backward in (False, True)]
        limits = [max(costs, key=costs.get) for costs in (forward, back)]
        times = max(forward.values()), max(back.values())
        print(
            f"| {width:,} | {numbers[0]} | {times[0] / copy:.1f} | {limits[0]} | {numbers[1]} "
            f"| {sum(times) / (2.5 * copy):.1f} | {limits[1]} |"
        )


def printed(rows):
    found = []
    for row in rows:
        found.append(row)
        print_row(row)
    return found


def print_row(row):
    print("  " + ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)


def machine():
    found = {"date": datetime.date.today().isoformat(), "simulated": SIMULATED}
    for package in ("ldlrpp", "numba", "numba-cuda", "cupy-cuda12x", "cupy-cuda13x", "numpy"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    if not SIMULATED:
        properties = xp.cuda.runtime.getDeviceProperties(0)
        found |= {
            "gpu": properties["name"].decode(),
            "capability": f"{properties['major']}.{properties['minor']}",
            "multiprocessors": properties["multiProcessorCount"],
            "l2_bytes": properties["l2CacheSize"],
            "memory_bytes": properties["totalGlobalMem"],
            "driver": xp.cuda.runtime.driverGetVersion(),
            "runtime": xp.cuda.runtime.runtimeGetVersion(),
        }
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        found["nvidia_smi"] = subprocess.run(query, capture_output=True, text=True).stdout.strip()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", help="file for all figures")
    parser.add_argument("--widest", type=int, default=27, help="logarithm of the width of the widest layer")
    parser.add_argument("--estimate", action="store_true", help="print the roofline of an H200, and nothing else")
    parser.add_argument("--launches", action="store_true", help="count the launches of a step, and nothing else")
    options = parser.parse_args()
    if options.estimate:
        estimates()
        return
    if options.launches:
        printed(gpu_training.count_launches())
        return
    start = time.perf_counter()
    numbers, found = 192 if SIMULATED else NUMBERS, {"machine": machine()}
    print_row(found["machine"])
    sections = {
        "errors": check,
        "ldl": lambda: time_ldl(numbers, 2) + time_ldl(numbers, 4),
        "products": lambda: time_products(numbers),
        "rpp": time_rpp,
        "host_microseconds": time_host,
        "fits": lambda: printed(gpu_training.time_fits()),
        "predictions": lambda: printed(gpu_training.time_predictions()),
        "host_of_a_step": lambda: printed(gpu_training.time_host()),
        "widest": lambda: time_widest(8 if SIMULATED else options.widest),
    }
    for name, section in sections.items():
        print(f"{name} ({time.perf_counter() - start:.0f} s)", flush=True)
        found[name] = section()
        if options.json:
            # after every section: who is cut off has what there is
            with open(options.json, "w") as file:
                json.dump({**found, "seconds": time.perf_counter() - start}, file, indent=1)
                file.write("\n")


if __name__ == "__main__":
    main()
