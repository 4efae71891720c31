"""Time LDL's passes against the arithmetic that they cannot do without: python benchmarks/ldl_passes.py

One thread, float32, on tiles that stay in the L1 cache (16 lines of 8 rows) and in the L2 cache (64 of 16). The
arithmetic is multiply-adds, or multiplications or additions, of vectors of 64 bytes, and is timed in the same run,
independent and in registers. A line and stage of radix r takes r of them forward and 2·r backward, and more where
passes compute again what lay between two stages, and for scale and bias. Arrays begin on a boundary of 64 bytes, or 16
bytes behind one.
"""

import argparse

import numba
import numpy as np
from common import best, multiply_adds
from record import Record

from ldlrpp.kernels.cpu import ldl_passes as two
from ldlrpp.kernels.cpu import ldl_passes4 as four
from ldlrpp.kernels.cpu import ldl_passes_mix as more
from ldlrpp.kernels.cpu.addresses import call
from ldlrpp.kernels.cpu.vectors import lanes


@numba.njit
def run(address, kind, times, n_lines, rows, z, grad, out, weights, grads, at, members):
    n_lanes = lanes(z)
    # a line of padding, as in copied parameters
    weights_at = two.Place(0, n_lanes, 0, (n_lines + 1) * n_lanes)
    shape, groups = two.Shape(n_lines, 1, rows), two.Groups(max(1, n_lines // members), members)
    for _ in range(times):
        if kind == 0:
            call(address, z, at, out, at, weights, weights_at, groups, shape, 0)
        elif kind == 1:
            call(address, z, at, grad, at, out, at, weights, grads, weights_at, groups, shape)
        elif kind == 2:
            call(address, z, at, out, at, weights, weights_at, weights, weights, 0, shape, 0)
        else:
            call(address, z, at, grad, at, out, at, weights, grads, weights_at, shape)


#: Pass, which of the calls above it takes, the lines that it mixes, its multiply-adds a line.
PASSES = (
    (two.pass2, 0, 2, 2),
    (two.pass4, 0, 4, 4),
    (four.mix4, 0, 4, 4),
    (two.finish, 2, 1, 9),
    (four.finish4, 2, 1, 9),
    (two.pass2_backward, 1, 2, 4),
    (two.pass4_backward, 1, 4, 10),
    (four.mix4_backward, 1, 4, 8),
    (two.finish_backward, 3, 1, 23),
    (four.finish4_backward, 3, 1, 21),
    *((more.mix_lines, 0, radix, radix) for radix in (8, 16)),
    (more.mix_8, 0, 1, 8),
    *((more.mix_16, 0, radix // 16, radix) for radix in (16, 32)),
    *((more.mix_lines_backward, 1, radix, 2 * radix) for radix in (8, 16)),
    (more.mix_8_backward, 1, 1, 16),
    *((more.mix_turned_backward, 1, radix // 16, 2 * radix) for radix in (16, 32)),
)


def aligned(size, offset=0):
    """Zeros that begin ``offset`` bytes behind a 64-byte boundary."""
    memory = np.zeros(4 * size + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    return memory[start : start + 4 * size].view(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    Record.argument(parser)
    record = Record(parser.parse_args())
    rng = np.random.default_rng(0)
    operation = best(lambda: multiply_adds(np.full(16, 0.5, np.float32), 100_000), 30) / 1_200_000
    record.table("a multiply-add of a vector", "ns")(1e9 * operation)
    for n_lines, rows in ((16, 8), (64, 16)):
        add = record.table(
            f"{n_lines} lines of {rows} rows", "pass", "operations a line", "ns a line", "/ arithmetic",
            "/ arithmetic, arrays 16 bytes off",
        )  # fmt: skip
        # [line][row][lane] with a line of padding after every line
        at = two.Place(0, (rows + 1) * 16, 0, 16)
        for function, kind, members, operations in PASSES:
            units = []
            for offset in (0, 16):
                z, grad, out = (aligned(n_lines * (rows + 1) * 16, offset) for _ in range(3))
                z[:], grad[:] = rng.standard_normal((2, len(z)), dtype=np.float32)
                weights, grads = (aligned(33 * (n_lines + 1) * 16, offset) for _ in range(2))
                weights[:] = 0.5
                times = 2**19 // (n_lines * rows * operations)
                address = function.address(z.dtype)
                seconds = best(
                    lambda: run(address, kind, times, n_lines, rows, z, grad, out, weights, grads, at, members),  # noqa: B023
                    30,
                )
                units.append(seconds / (times * n_lines * rows))
            parts = (unit / operation / operations for unit in units)
            add(f"`{function.function.__name__}`", operations, 1e9 * units[0], *parts)


if __name__ == "__main__":
    main()
