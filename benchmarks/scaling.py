"""Time a row of LDL, of a dense product and of an FFT against the width: python benchmarks/scaling.py [--json FILE]

Forward, and forward and backward, of batches of 2^20 numbers (one row at N = 2^20), float32, all threads; every point
is measured, and first checked, in a process of its own by `peers.py`. ``make scaling`` draws the picture, too.
"""

import argparse
from pathlib import Path

import peers
from record import Record

NUMBERS = 2**20
# Logarithms of widths: a dense matrix of 2^13 takes 256 MiB, its gradient as much.
CURVES = {"LDL, radix 4": range(6, 21), "NumPy product": range(6, 14), "SciPy rfft": range(6, 21)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    Record.argument(parser)
    parser.add_argument("--picture", type=Path, help="file for the picture")
    parser.add_argument("--widest", type=int, default=20, help="logarithm of the largest width")
    parser.add_argument("--passes", type=int, default=3, help="times that all is measured; the least counts")
    options = parser.parse_args()
    record = Record(options)
    points = [(name, log) for name, logs in CURVES.items() for log in logs if log <= options.widest]
    rows = {point: {"width": 2 ** point[1], "rows": NUMBERS >> point[1]} for point in points}
    # pass by pass, for a neighbour that is busy for a while not to change one curve alone
    for i in range(options.passes):
        for (name, log), row in rows.items():
            measured = peers.in_its_own_process(name, row["width"], row["rows"])
            if "failed" in measured:
                raise SystemExit(f"{name}, N = 2^{log}: {measured['failed']}")
            times = {key: min(row.get(key, value), value) for key, value in measured.items() if key.endswith("ms")}
            row |= times
            shown = ", ".join(f"{key} {value:.4g}" for key, value in times.items())
            print(f"pass {i + 1} of {options.passes}: {name}, N = {row['width']}: {shown}", flush=True)
    for curve in CURVES:
        add = record.table(curve, "N", "rows", "forward ms", "and backward ms")
        for (name, _), row in rows.items():
            if name == curve:
                add(row["width"], row["rows"], row["forward_ms"], row.get("both_ms"))
    if options.picture:
        import pictures

        pictures.draw("scaling", record.tables, dark=False).savefig(options.picture, dpi=110)
        print(f"The picture is {options.picture}.")


if __name__ == "__main__":
    main()
