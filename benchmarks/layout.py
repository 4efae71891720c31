"""Time the kernels on (width, batch) and on (batch, width) arrays: python benchmarks/layout.py

The networks keep activations as (width, batch); this is why.
"""

import time

import numpy as np

from ldlrpp import kernels
from ldlrpp.kernels import ldl_cpu, rpp_cpu
from ldlrpp.kernels.threads import single_threaded_blas


def best_ms(function, repeats=30):
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def main():
    rng = np.random.default_rng(0)
    print(f"{'forward':<28}{'batch':>8}{'(width, batch)':>16}{'(batch, width)':>16}{'ratio':>8}   ms, best of 30")
    for width, batch in ((1024, 200), (1024, 2048), (4096, 1024)):
        parameters = kernels.ldl_init(width, random_state=0)
        x = rng.standard_normal((width, batch), dtype=np.float32)
        out = np.empty_like(x)
        x_rows, out_rows = np.ascontiguousarray(x.T), np.ascontiguousarray(out.T)
        columns = best_ms(lambda: ldl_cpu.forward(x, *parameters, out))  # noqa: B023
        rows = best_ms(lambda: ldl_cpu.forward(x_rows.T, *parameters, out_rows.T))  # noqa: B023
        print(f"{f'LDL {width}':<28}{batch:>8}{columns:>16.3f}{rows:>16.3f}{rows / columns:>8.2f}")
    hidden_t = kernels.rpp_init(784, 10, random_state=0).T
    bias = np.zeros(1000, np.float32)
    with single_threaded_blas():
        for batch in (200, 2048):
            x = rng.standard_normal((784, batch), dtype=np.float32)
            out = np.empty((1000, batch), np.float32)
            x_rows, out_rows = np.ascontiguousarray(x.T), np.ascontiguousarray(out.T)
            columns = best_ms(lambda: rpp_cpu.forward(x, hidden_t, 100, np.uint64(0), bias, out))  # noqa: B023
            rows = best_ms(lambda: rpp_cpu.forward(x_rows.T, hidden_t, 100, np.uint64(0), bias, out_rows.T))  # noqa: B023
            print(f"{'RPP 784, 10 columns × 100':<28}{batch:>8}{columns:>16.3f}{rows:>16.3f}{rows / columns:>8.2f}")


if __name__ == "__main__":
    main()
