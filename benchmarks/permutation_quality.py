"""Print how RPP's permutations and signs compare with random ones: python benchmarks/permutation_quality.py

For every size, statistics of many columns in standard deviations from what random permutations give, and the most
frequent step of a column beside that of NumPy's permutations; then statistics of their signs. The tests check the same
with fewer columns.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from record import Record

from ldlrpp import kernels
from ldlrpp.kernels import bijection

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import permutation_statistics as statistics

SIZES = (65, 81, 100, 129, 200, 257, 300, 400, 512, 513, 600, 784, 1000, 1024, 4096, 65536, 2**20)
ENTRIES = 10_000_000
MAX_COLUMNS = 20_000


def permutations(record):
    add = record.table(
        "permutations", "m", "columns", "pos × value", "step, 1", "step, 2", "step, b", "serial", "fixed", "(var)",
        "agree", "(var)", "top step", "random's",
    )  # fmt: skip
    for m in SIZES:
        n_columns = max(4, min(MAX_COLUMNS, ENTRIES // m))
        columns = np.ascontiguousarray(kernels.rpp_permutation(m, n_columns, 1, 2026)[0].T.astype(np.int64))
        rng = np.random.default_rng(0)
        n_random = min(n_columns, 2000)
        random = np.array([rng.permutation(m) for _ in range(n_random)])
        values = (
            statistics.position_value_deviation(columns),
            *(statistics.steps_deviation(columns, d) for d in (1, 2, bijection.feistel_sides(m)[1])),
            statistics.serial_deviation(columns),
            *statistics.poisson_deviations((columns == np.arange(m)).sum(axis=1)),
            *statistics.poisson_deviations((columns[1:] == columns[:-1]).sum(axis=1)),
            statistics.most_frequent_step(columns[:n_random]),
            statistics.most_frequent_step(random),
        )
        add(m, n_columns, *(f"{value:.2f}" for value in values))


def signs(record):
    add = None
    for m in (16, 64, *SIZES):
        n_columns = max(4, min(MAX_COLUMNS, ENTRIES // m))
        entries = kernels.rpp_permutation(m, n_columns, 1, 2026, signs=True)[0].T
        sign_bit = 8 * entries.itemsize - 1
        columns, negative = (entries & (2**sign_bit - 1)).astype(np.int64), entries >> sign_bit
        b = bijection.feistel_sides(m)[1] if m > bijection.FISHER_YATES_INPUTS else 8
        values = statistics.sign_deviations(columns, 1.0 - 2.0 * negative, b)
        add = add or record.table("signs", "m", "columns", *values)
        add(m, n_columns, *(f"{value:.2f}" for value in values.values()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    Record.argument(parser)
    record = Record(parser.parse_args())
    permutations(record)
    signs(record)


if __name__ == "__main__":
    main()
