"""Time the LDL kernels against a matrix product, an FFT and memory: python benchmarks/ldl_cpu.py

Ratios are of two times of this run on this machine, float32 unless it says otherwise, LDL of radix 2 unless a radix is
named. Rows are (batch, N) arrays in C order; outputs exist before the clock starts. GF/s counts 3·N·log2 N a row, sgemm
is NumPy's product of two matrices of 2048.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

import numba
import numpy as np
import scipy.fft
from common import best, multiply_adds
from record import Record

from ldlrpp import kernels
from ldlrpp.kernels import cpu
from ldlrpp.kernels.ldl_weights import RADICES, stages, weights_shape


class Layer:
    """An LDL layer with its input, output and gradients."""

    def __init__(self, width, batch, dtype=np.float32, radix=2):
        rng = np.random.default_rng(0)
        self.parameters = kernels.ldl_init(width, radix=radix, random_state=0, dtype=dtype)
        self.x = rng.standard_normal((batch, width), dtype=dtype)
        self.y = np.empty_like(self.x)
        self.grad_x = np.empty_like(self.x)
        self.grads = [np.empty_like(array) for array in self.parameters]
        self.flops = 3 * width * (width.bit_length() - 1) * batch
        # of a number and a weight: once forward; backward the stages again, of larger radices all but the last, and
        # the gradients of inputs and of weights
        self.multiply_adds = self.parameters[0].size * batch
        last = stages(width, radix)[-1] * width * batch if radix > 4 else 0
        self.multiply_adds_backward = 3 * self.multiply_adds - last

    def forward(self):
        cpu.ldl.forward(self.x, *self.parameters, False, self.y)

    def backward(self):
        cpu.ldl.backward(self.y, self.x, *self.parameters[:2], self.grad_x, *self.grads)


@numba.njit(parallel=True, fastmath=True)
def read(array, out):
    """Read an array once, with all threads."""
    parts = len(out)
    for part in numba.prange(parts):
        total = array.dtype.type(0)
        for i in range(part * len(array) // parts, (part + 1) * len(array) // parts):
            total += array[i]
        out[part] = total


@numba.njit(fastmath=True)
def read_alone(array, out):
    """Read an array once, with one thread."""
    total = array.dtype.type(0)
    for i in range(len(array)):
        total += array[i]
    out[0] = total


@numba.njit(parallel=True)
def copy(x, y):
    """Copy rows with all threads, in as many parts as there are."""
    parts = numba.get_num_threads()
    for part in numba.prange(parts):
        for i in range(part * len(x) // parts, (part + 1) * len(x) // parts):
            y[i] = x[i]


@numba.njit(parallel=True)
def multiply_adds_of_all_threads(array, n):
    """``12 n`` multiply-adds of vectors on every thread."""
    for part in numba.prange(numba.get_num_threads()):
        multiply_adds(array[16 * part : 16 * part + 16], n)


def multiply_add_rate():
    """Multiply-adds of vectors of 64 bytes a second, all threads together."""
    threads = numba.get_num_threads()
    array = np.full(16 * threads, 0.5, np.float32)
    return 12 * 10_000 * threads / best(lambda: multiply_adds_of_all_threads(array, 10_000), 30)


def sgemm_rate():
    """Operations a second; BLAS's threads, which wait actively for a while, have gone to sleep at the end."""
    a = np.random.default_rng(0).standard_normal((2048, 2048), dtype=np.float32)
    out = np.empty_like(a)
    seconds = best(lambda: np.matmul(a, a, out=out))
    time.sleep(0.3)
    return 2 * 2048**3 / seconds


def against_limits(record, exponent):
    """The limit is the larger of a copy of x to y and of the arithmetic: 2 operations a number and stage, and one."""
    add = record.table(
        f"2^{exponent} numbers", "N", "forward ms", "copy ms", "arithmetic ms", "/ limit", "GF/s", "/ sgemm", "/ rfft",
        "backward ms", "(f + b) / f",
    )  # fmt: skip
    for log in range(6, 17):
        sgemm = sgemm_rate()
        layer = Layer(2**log, 2**exponent >> log)
        forward, backward = best(layer.forward), best(layer.backward)
        moved = best(lambda: copy(layer.x.reshape(-1), layer.y.reshape(-1)))  # noqa: B023
        arithmetic = layer.x.size / 16 * (2 * log + 1) / multiply_add_rate()
        fft = best(lambda: scipy.fft.rfft(layer.x, workers=os.cpu_count()))  # noqa: B023
        rate = layer.flops / forward
        add(
            2**log, 1e3 * forward, 1e3 * moved, 1e3 * arithmetic, forward / max(moved, arithmetic), rate / 1e9,
            rate / sgemm, forward / fft, 1e3 * backward, (forward + backward) / forward,
        )  # fmt: skip


def radix_4_against_2(record, exponent):
    """The best of alternate runs in the same memory, whose place in the caches makes a difference of its own."""
    add = record.table(
        f"radix 4 against 2, 2^{exponent} numbers", "N", "radix 2: forward ms", "backward ms", "radix 4 / 2: forward",
        "backward", "both",
    )  # fmt: skip
    for log in range(6, 17):
        layer = Layer(2**log, 2**exponent >> log)
        arrays = layer.parameters[0], layer.grads[0]
        best_times = None
        for _ in range(6):
            times = []
            for radix in (2, 4):
                shape = weights_shape(2**log, radix)
                layer.parameters = arrays[0].reshape(shape), *layer.parameters[1:]
                layer.grads = arrays[1].reshape(shape), *layer.grads[1:]
                times += [best(layer.forward, 25, 0.02), best(layer.backward, 25, 0.02)]
            best_times = np.minimum(times, times if best_times is None else best_times)
        forward, backward, forward_4, backward_4 = best_times
        add(
            2**log, 1e3 * forward, 1e3 * backward, forward_4 / forward, backward_4 / backward,
            (forward_4 + backward_4) / (forward + backward),
        )  # fmt: skip


def larger_radices(record):
    """Parts of the multiply-add peak, of 2^20 numbers."""
    add = record.table(
        "radices", "N", "radix", "forward ms", "/ peak", "backward ms", "both / peak", "forward / radix 2",
        "both / radix 2",
    )  # fmt: skip
    for log in (8, 10, 12, 14, 16):
        unit = None
        for radix in RADICES:
            layer = Layer(2**log, 2**20 >> log, radix=radix)
            forward, backward = best(layer.forward), best(layer.backward)
            rate = 16 * multiply_add_rate()
            part = layer.multiply_adds / rate / forward
            part_of_both = (layer.multiply_adds + layer.multiply_adds_backward) / rate / (forward + backward)
            unit = unit or (forward, forward + backward)
            add(
                2**log, radix, 1e3 * forward, part, 1e3 * backward, part_of_both, forward / unit[0],
                (forward + backward) / unit[1],
            )  # fmt: skip


def a_batch_of_training(record):
    add = record.table("a batch of 200", "N", "radix", "forward ms", "backward ms")
    for width in (256, 1024, 2048):
        for radix in RADICES:
            layer = Layer(width, 200, radix=radix)
            add(width, radix, 1e3 * best(layer.forward, 100), 1e3 * best(layer.backward, 100))


def against_dense(record):
    """The dense x @ D of the same width: 2^20 numbers, 2^18 from N = 8192 on."""
    add = record.table("against dense", "N", "LDL ms", "dense ms", "times faster")
    for log in range(6, 15):
        layer = Layer(2**log, 2 ** (20 if log < 13 else 18) >> log)
        dense = np.random.default_rng(0).standard_normal((2**log, 2**log), dtype=np.float32)
        time.sleep(0.3)  # as in sgemm_rate
        forward, product = best(layer.forward), best(lambda: np.matmul(layer.x, dense, out=layer.y), 5)  # noqa: B023
        add(2**log, 1e3 * forward, 1e3 * product, product / forward)


def cliffs(record):
    add = record.table("wide rows, batch 16", "N", "time / (N·log2 N), against N = 2^12")
    layer = Layer(2**12, 16)
    unit = best(layer.forward) / layer.flops
    for log in range(12, 23, 2):
        layer = Layer(2**log, 16)
        add(2**log, best(layer.forward, 8) / layer.flops / unit)


def one_row(record):
    """Weights are read from wherever they are after the run before."""
    add = record.table("one row", "N", "µs", "reading its weights once µs", "ratio")
    for log in (10, 16, 20):
        layer = Layer(2**log, 1)
        flat = layer.parameters[0].reshape(-1)
        out = np.empty(64, np.float32)
        stream = min(best(lambda: read(flat, out)), best(lambda: read_alone(flat, out)))  # noqa: B023
        forward = best(layer.forward)
        add(2**log, 1e6 * forward, 1e6 * stream, forward / stream)


def threads(record):
    n = numba.config.NUMBA_NUM_THREADS
    add = record.table("threads", "N", "threads", "one thread / all: forward", "backward")
    for log in (10, 16):
        layer = Layer(2**log, 2**20 >> log)
        many = best(layer.forward), best(layer.backward)
        numba.set_num_threads(1)
        one = best(layer.forward), best(layer.backward)
        numba.set_num_threads(n)
        add(2**log, n, one[0] / many[0], one[1] / many[1])


def double(record):
    single, double = Layer(2**12, 256), Layer(2**12, 256, np.float64)
    add = record.table("float64", "N", "rate / that of float32")
    add(2**12, best(single.forward) / best(double.forward))


FIRST_CALL = """
import sys, time
import numpy as np
from ldlrpp import kernels
from ldlrpp.kernels import cpu
from ldlrpp.kernels.ldl_weights import weights_shape
dtype, width = sys.argv[1], int(sys.argv[2])
parameters = kernels.ldl_init(width, dtype=dtype)
x = np.ones((200, width), dtype)
grads = [np.empty_like(a) for a in (x, *parameters)]
forward = lambda: cpu.ldl.forward(x, *parameters, False, x.copy())
backward = lambda: cpu.ldl.backward(x, x, *parameters[:2], *grads)
for call in (forward, backward):
    start = time.perf_counter()
    call()
    print(f"{time.perf_counter() - start:.2f}", end=" ")
"""


def compilation(record):
    """Seconds, cold and then with Numba's cache."""
    add = record.table("first call", "dtype", "N", "forward s", "backward s", "with the cache: forward s", "backward s")
    for dtype in ("float32", "float64"):
        for width in (1024, 16384):
            with tempfile.TemporaryDirectory() as cache:
                command = [sys.executable, "-c", FIRST_CALL, dtype, str(width)]
                environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
                cold, warm = (subprocess.check_output(command, env=environment, text=True) for _ in range(2))
            add(dtype, width, *map(float, cold.split()), *map(float, warm.split()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rates", action="store_true", help="measure the first table only, as for another NUMBA_CPU_NAME"
    )
    Record.argument(parser)
    options = parser.parse_args()
    record = Record(options)
    print(f"{numba.get_num_threads()} threads; sgemm 2048³: {sgemm_rate() / 1e9:.0f} GF/s")
    against_limits(record, 20)
    if options.rates:
        return
    for exponent in (18, 22):
        against_limits(record, exponent)
    for exponent in (18, 20, 22):
        radix_4_against_2(record, exponent)
    for part in (
        larger_radices, a_batch_of_training, against_dense, cliffs, one_row, threads, double, compilation,
    ):  # fmt: skip
        part(record)


if __name__ == "__main__":
    main()
