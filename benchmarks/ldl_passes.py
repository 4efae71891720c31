"""Time LDL's passes against the arithmetic that they cannot do without: python benchmarks/ldl_passes.py

One thread, float32, on tiles that stay in the L1 cache (16 lines of 8 rows) and in the L2 cache (64 of 16). A line and
stage is one vector of 64 bytes taken through one stage: two multiplications or multiply-adds forward, four
backward and, where a pass of two stages computes what lay between them again, one more. The arithmetic is timed in the
same run, as independent multiply-adds in registers. Arrays begin on a boundary of 64 bytes, or 16 bytes behind one.
"""

import numba
import numpy as np
from common import best, multiply_adds

from ldlrpp.kernels.addresses import call
from ldlrpp.kernels.ldl_passes import (
    FINISH,
    FINISH_BACKWARD,
    PASS2,
    PASS2_BACKWARD,
    PASS4,
    PASS4_BACKWARD,
    backward_passes,
)
from ldlrpp.kernels.vectors import lanes


@numba.njit
def run(passes, name, times, n_lines, rows, z, grad, weights, grads, at):
    width = n_lines * lanes(z)
    n_lanes = lanes(z)
    for _ in range(times):
        if name == 0:
            call(passes[PASS4], z, at, grad, at, weights, 0, n_lanes, n_lines // 4, n_lines, 1, rows, width, 0)
        elif name == 1:
            call(passes[PASS2], z, at, grad, at, weights, 0, n_lanes, n_lines // 2, n_lines, 1, rows, width, 0)
        elif name == 2:
            call(passes[FINISH], z, at, grad, at, weights, 0, weights, weights, 0, n_lines, rows, width, 0)
        elif name == 3:
            call(
                passes[PASS4_BACKWARD], z, at, grad, at, grad, at, weights, grads, 0, n_lanes, n_lines // 4, n_lines, 1,
                rows, width,
            )  # fmt: skip
        elif name == 4:
            call(
                passes[PASS2_BACKWARD], z, at, grad, at, grad, at, weights, grads, 0, n_lanes, n_lines // 2, n_lines, 1,
                rows, width,
            )  # fmt: skip
        else:
            call(passes[FINISH_BACKWARD], z, at, grad, at, grad, at, weights, grads, 0, n_lines, rows, width)


#: Name, stages, vector operations of a line and stage.
PASSES = (
    ("pass4", 2, 2),
    ("pass2", 1, 2),
    ("finish", 4, 2.25),
    ("pass4_backward", 2, 5),
    ("pass2_backward", 1, 4),
    ("finish_backward", 4, 6.75),
)


def aligned(size, offset=0):
    """Zeros that begin ``offset`` bytes behind a 64-byte boundary."""
    memory = np.zeros(4 * size + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    return memory[start : start + 4 * size].view(np.float32)


def main():
    rng = np.random.default_rng(0)
    passes = backward_passes(np.dtype(np.float32))
    operation = best(lambda: multiply_adds(np.full(16, 0.5, np.float32), 100_000), 30) / 1_200_000
    print(f"A multiply-add of a vector: {1e9 * operation:.3f} ns\n")
    print(f"{'':16}{'lines × rows':>14}{'ns / line and stage':>21}{'/ arithmetic':>14}{'/ arithmetic, unaligned':>25}")
    for n_lines, rows in ((16, 8), (64, 16)):
        # [line][row][lane] with a line of padding after every line
        at = 0, (rows + 1) * 16, 0, 16
        for k, (name, n_stages, operations) in enumerate(PASSES):
            units = []
            for offset in (0, 16):
                z, grad = (aligned(n_lines * (rows + 1) * 16, offset) for _ in range(2))
                z[:] = rng.standard_normal(len(z), dtype=np.float32)
                weights, grads = (aligned(10 * n_lines * 16, offset) for _ in range(2))
                weights[: n_lines * 16] = 1
                times = 2**19 // (n_lines * rows * n_stages)
                seconds = best(lambda: run(passes, k, times, n_lines, rows, z, grad, weights, grads, at), 30)  # noqa: B023
                units.append(seconds / (times * n_lines * rows * n_stages))
            print(
                f"{name:16}{n_lines:>8} × {rows:<3}{1e9 * units[0]:>21.3f}{units[0] / operation / operations:>14.2f}"
                f"{units[1] / operation / operations:>25.2f}"
            )


if __name__ == "__main__":
    main()
