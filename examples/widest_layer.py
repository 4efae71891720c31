"""The widest LDL layer that fits: one row through 2^26 positions, with the weights in memory or in a file.

A dense layer of that width would have 4,503,599,694,479,360 parameters. Prints the time and the memory of a forward
pass, and compares one output with a calculation in NumPy.

Usage: python examples/widest_layer.py [--exponent 26] [--file weights.npy]

Weights take 8 · exponent · 2^exponent bytes: 14 GB at 26. With --file they are written there, if the file is not there
already, and mapped into memory from it: 29 GB at 27.
"""

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np

from ldlrpp import kernels


def write_weights(path, exponent):
    """A file of random weights, a stage at a time."""
    shape = (exponent, 2, 2**exponent)
    weights = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    rng = np.random.default_rng(0)
    for stage in weights:
        for half in stage:
            half[:] = rng.standard_normal(len(half), dtype=np.float32)
            half *= np.float32(np.sqrt(0.5))
        weights.flush()


def one_output(x, weights, position):
    """Entry ``position`` of a layer of scale 1 and bias 0: of every stage, the half that it depends on."""
    z, first = x.astype(np.float64), 0
    for own, other in weights:
        half = len(z) // 2
        low, high = z[:half], z[half:]
        if position >= first + half:
            first, low, high = first + half, high, low
        z = own[first : first + half] * low + other[first : first + half] * high
    return z[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exponent", type=int, default=26, help="log2 of the width (default: %(default)s)")
    parser.add_argument("--file", type=Path, help="npy file of the weights, made if it is not there")
    options = parser.parse_args()
    width = 2**options.exponent
    x = np.random.default_rng(1).standard_normal((1, width), dtype=np.float32)
    y, scale, bias = np.empty_like(x), np.ones(width, np.float32), np.zeros(width, np.float32)
    start = time.perf_counter()
    if options.file is None:
        weights = kernels.ldl_init(width, init="normal", random_state=0)[0]
    else:
        if not options.file.exists():
            write_weights(options.file, options.exponent)
        weights = np.load(options.file, mmap_mode="r")
    made = time.perf_counter() - start
    small = kernels.ldl_init(2**13)
    small[0].flags.writeable = weights.flags.writeable
    kernels.ldl_forward(np.ones((1, 2**13), np.float32), *small)  # compiles
    start = time.perf_counter()
    kernels.ldl_forward(x, weights, scale, bias, out=y)
    first = time.perf_counter() - start
    start = time.perf_counter()
    kernels.ldl_forward(x, weights, scale, bias, out=y)
    second = time.perf_counter() - start
    # ru_maxrss is in KiB on Linux, in bytes on macOS
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    position = width // 3
    exact = one_output(x[0], weights, position)
    if not abs(y[0, position] - exact) <= 1e-3 * np.abs(y).mean():
        sys.exit(f"output {position} is {y[0, position]}, and should be {exact}")
    print(
        "| width | parameters | weights in | made s | first forward pass s | second forward pass s | peak memory GB |"
    )
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {width:,} | {kernels.ldl_n_parameters(width):,} | {'memory' if options.file is None else 'a file'} "
        f"| {made:.1f} | {first:.2f} | {second:.2f} | {peak / 1e9:.2f} |"
    )


if __name__ == "__main__":
    main()
