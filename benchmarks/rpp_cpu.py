"""Time the RPP kernels against a dense layer of the same width: python benchmarks/rpp_cpu.py

Every figure is a ratio of two times of this run on this machine, float32. Dense means NumPy's products with a matrix D
of the same width: x @ D, and for backward g @ D.T and x.T @ g. Rows are (batch, width) arrays in C order; outputs exist
before the clock starts. Memory is measured in a process of its own.
"""

import argparse
import functools
import subprocess
import sys
import time
from pathlib import Path

import numba
import numpy as np
from common import best
from record import Record

from ldlrpp.kernels import bijection, cpu
from ldlrpp.kernels.cpu.threads import single_threaded_blas

SHAPES = ((784, 10, 100), (1000, 10, 100), (1024, 64, 64), (4096, 64, 64))
BATCHES = (1, 16, 64, 256, 1024)


class Layers:
    """An RPP layer with inputs, outputs and gradients; permutations are kept, or the wide weights besides."""

    def __init__(self, m, n, k, batch, *, share_columns=False, signs=False, kept=False, wide=False):
        rng = np.random.default_rng(0)
        draw = lambda *shape: rng.standard_normal(shape, dtype=np.float32)  # noqa: E731
        self.x, self.grad_y, self.hidden_t, self.bias = draw(batch, m), draw(batch, n * k), draw(n, m), draw(n * k)
        self.y, self.grad_x, self.grad_hidden_t, self.grad_bias = (
            np.empty_like(a) for a in (self.grad_y, self.x, self.hidden_t, self.bias)
        )
        seed, rows = np.uint64(7), np.empty((0, m), np.uint16)
        if kept:
            rows = cpu.rpp.permutations(m, n, n * k, seed, share_columns, signs)
        self.layer = self.hidden_t, seed, rows, share_columns, signs
        self.wide = np.empty((n * k if wide else 0, m), np.float32)
        self.empty = functools.cache(lambda name, shape, dtype: cpu.memory.empty(shape, dtype))

    def forward(self):
        cpu.rpp.forward(self.x, *self.layer, self.bias, False, self.wide, False, self.empty, self.y)

    def backward(self):
        cpu.rpp.backward(
            self.grad_y, self.x, *self.layer, self.wide, self.empty, True, self.grad_x, self.grad_hidden_t,
            self.grad_bias,
        )  # fmt: skip

    def times(self):
        # BLAS's threads keep a core busy for a while after the dense products
        time.sleep(0.3)
        with single_threaded_blas():
            forward = best(self.forward)
            return forward, forward + best(self.backward)


def dense_times(m, width, batch):
    rng = np.random.default_rng(0)
    x, d, g = (rng.standard_normal(shape, dtype=np.float32) for shape in ((batch, m), (m, width), (batch, width)))
    y, grad_x, grad_d = np.empty_like(g), np.empty_like(x), np.empty_like(d)
    forward = best(lambda: np.matmul(x, d, out=y))
    backward = best(lambda: (np.matmul(g, d.T, out=grad_x), np.matmul(x.T, g, out=grad_d)))
    return forward, forward + backward


def against_dense(record):
    """The last column is the time of one core for a wide weight, forward."""
    add = record.table(
        "against dense",
        "m, n, k",
        "batch",
        "dense forward ms",
        "RPP forward ms",
        "forward / dense",
        "both / dense",
        "ns",
    )
    for m, n, k in SHAPES:
        for batch in BATCHES:
            dense = dense_times(m, n * k, batch)
            rpp = Layers(m, n, k, batch).times()
            ns = 1e9 * rpp[0] * numba.get_num_threads() / (m * n * k)
            add(f"{m}, {n}, {k}", batch, 1e3 * dense[0], 1e3 * rpp[0], rpp[0] / dense[0], rpp[1] / dense[1], ns)


#: Permutations computed and kept, kept with the wide weights between forward and backward, as in training, the first
#: and the third with signs, and shared by the columns of a head.
VARIANTS = {
    "computed": {}, "kept": {"kept": True}, "weights too": {"kept": True, "wide": True}, "signs": {"signs": True},
    "signs, weights too": {"signs": True, "kept": True, "wide": True}, "shared": {"share_columns": True},
}  # fmt: skip


def variants(record):
    """Forward (forward and backward) / dense."""
    heads = (f"{name}{what}" for name in VARIANTS for what in ("", ", both"))
    add = record.table("variants", "m, n, k", "batch", *heads, "kept MiB")
    for m, n, k in SHAPES:
        for batch in (1, 64, 256):
            dense = dense_times(m, n * k, batch)
            ratios = []
            for options in VARIANTS.values():
                rpp = Layers(m, n, k, batch, **options).times()
                ratios += [rpp[0] / dense[0], rpp[1] / dense[1]]
            add(f"{m}, {n}, {k}", batch, *ratios, 2 * m * n * k / 2**20)


@numba.njit
def generate(m, n_columns, signs, source, rows, tile):
    for first in range(0, n_columns, len(rows)):
        cpu.permutations.permutation_columns(rows.reshape(-1), 0, m, len(rows), first, n_columns, np.uint64(5), signs)
        for r in range(len(rows) if len(tile) else 0):
            if signs:
                cpu.rpp._gather_signed(source, rows[r], tile)
            else:
                cpu.rpp._gather(source, rows[r], tile)


def entries(record):
    """Of one core."""
    add = record.table(
        "an entry", "m", "hash ns", "hash and gather ns", "with signs: hash ns", "hash and gather, signs ns"
    )
    for m in (64, 100, 784, 1000, 1024, 4096, 65536):
        source, n_columns = np.ones(m, np.float32), max(8, 2**20 // m // 8 * 8)
        seconds = [
            best(lambda: generate(m, n_columns, signs, source, np.empty((8, m), dtype), tile))  # noqa: B023
            for signs, dtype in ((s, bijection.entry_dtype(m, s)) for s in (False, True))
            for tile in (source[:0], np.empty_like(source))
        ]
        add(m, *(1e9 * s / (m * n_columns) for s in seconds))


def peak():
    """The peak of a pass above what a process with inputs, outputs and compiled code has, in MiB (Linux)."""
    m, n, k = 8192, 64, 512
    layers, small = Layers(m, n, k, 64), Layers(65, 2, 9, 64)

    def status(name):
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
        return int(line.split()[1]) / 1024

    with single_threaded_blas():
        small.forward(), small.backward()
        for array in (layers.y, layers.grad_x, layers.grad_hidden_t):
            array[:] = 0
        for function in (layers.forward, layers.backward):
            # sets the peak to what there is
            Path("/proc/self/clear_refs").write_text("5")
            before = status("VmRSS")
            function()
            print(f"{status('VmHWM') - before:.1f}")


def memory(record):
    """Beyond inputs and outputs, batch 64; the wide matrix has 1 GiB."""
    printed = subprocess.check_output([sys.executable, __file__, "--memory"], text=True)
    record.table("memory", "m, n, k", "forward MiB", "backward MiB")("8192, 64, 512", *map(float, printed.split()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", action="store_true", help="measure memory in this process, and nothing else")
    Record.argument(parser)
    options = parser.parse_args()
    if options.memory:
        peak()
        return
    record = Record(options)
    print(f"{numba.get_num_threads()} threads")
    for part in (entries, against_dense, variants, memory):
        part(record)


if __name__ == "__main__":
    main()
