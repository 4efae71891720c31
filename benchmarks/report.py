"""Tables and pictures from measured figures: python benchmarks/report.py [--check]

Scripts write JSON into ``benchmarks/results/<machine>/``. What stands in RESULTS.md and README.md between a line
``<!-- report: NAME -->`` and the next ``<!-- end of report -->`` is written from them, and so are the pictures
of `pictures.py` in ``docs/``. With --check nothing is written, and the script fails if a
document differs from what would be: what people write about the figures stands outside of these lines.
"""

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pictures as drawing
from pictures import FITTED, LABELS, PICTURES, curve, draw, exponent

from ldlrpp.estimators.scaling import scaling_exponent

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTS = ROOT / "README.md", ROOT / "benchmarks" / "RESULTS.md"
# The machine that pictures, and the sentence of the README, are of.
MACHINE = "amd-zen5-2cores"


def results(name):
    """What scripts of this name have written, by machine."""
    return {file.parent.name: json.loads(file.read_text()) for file in sorted(RESULTS.glob(f"*/{name}.json"))}


def shown(name):
    """Those of `MACHINE`."""
    return results(name)[MACHINE]


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def machine(about):
    """A sentence on where figures are from."""
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items() if name != "ldlrpp")
    return (
        f"{about['processor']}, {about['cores']} cores; Python {about['python']}, {packages}, {about['blas']}; "
        f"`{about['command']}`, {about['date']}."
    )


def number(value, digits=3):
    """A number of so many significant digits, without an exponent."""
    if value is None or not np.isfinite(value):
        return ""
    return f"{float(f'{value:.{digits}g}'):,.10g}"


# --- Peers -----------------------------------------------------------------------------------------------------------


def peers():
    parts = []
    for found in results("peers").values():
        parts.append(machine(found["about"]))
        for shape, rows in found["shapes"].items():
            width, batch = map(int, shape.split("x"))
            ours = rows["LDL, radix 4"]
            cells = [
                [
                    f"{name} (failed)" if "failed" in row else name,
                    *(number(row.get(key)) for key in ("forward_ms", "both_ms")),
                    *(number(row[key] / ours[key], 2) if key in row else "" for key in ("forward_ms", "both_ms")),
                    number(row.get("megabytes")),
                ]
                for name, row in rows.items()
            ]
            head = f"N = {width:,}, {batch:,} rows", "forward ms", "and backward ms", "/ LDL", "/ LDL", "MB"
            parts.append(table(head, cells))
        epochs = [[name, number(row.get("epoch_seconds"))] for name, row in found["networks"].items()]
        parts.append(table(("network", "s an epoch of 10,000 rows"), epochs))
    return "\n\n".join(parts)


# --- Scaling ---------------------------------------------------------------------------------------------------------


def scaling():
    parts = []
    for found in results("scaling").values():
        parts.append(machine(found["about"]))
        columns = {
            f"{LABELS[name]}{', and backward' if key == 'both_ms' else ''} µs a row": dict(
                zip(*(values.tolist() for values in curve(found, name, key)), strict=True)
            )
            for name in FITTED
            for key in ("forward_ms", "both_ms")
            if len(curve(found, name, key)[0])
        }
        widths = sorted(set().union(*columns.values()))
        rows = [[f"{width:,}", *(number(column.get(width)) for column in columns.values())] for width in widths]
        parts.append(table(("N", *columns), rows))
        fits = [
            [LABELS[name], f"2^{FITTED[name][0]} to 2^{FITTED[name][1]}"]
            + [number(exponent(found, name, key)) for key in ("forward_ms", "both_ms")]
            for name in FITTED
        ]
        parts.append(table(("p of (N·log2 N)^p", "fitted from", "forward", "forward and backward"), fits))
    return "\n\n".join(parts)


def _range(name):
    return "2^{} to 2^{}".format(*FITTED[name])


def law():
    """The sentence of the README."""
    found = shown("scaling")
    ldl, dense = (exponent(found, name, "forward_ms") for name in ("LDL, radix 4", "NumPy product"))
    times = [dict(zip(*curve(found, name, "forward_ms"), strict=True)) for name in ("LDL, radix 4", "NumPy product")]
    widest, fitted = max(times[1]), 2.0 ** np.arange(FITTED["NumPy product"][0], FITTED["NumPy product"][1] + 1)
    square, factor = scaling_exponent(fitted, fitted**2), times[1][widest] / times[0][widest]
    fits = (
        f"From {_range('LDL, radix 4')} LDL grows as (N·log2 N)^{ldl:.2f}, from {_range('NumPy product')} the dense "
        f"product as (N·log2 N)^{dense:.2f}, where N² itself would have {square:.2f}"
    )
    machine = f"{found['about']['cores']} cores of {found['about']['processor'].split(',')[0]}"
    return (
        f"Microseconds a row against the width N. {fits}; beyond, LDL's weights leave the caches, and batches have few "
        f"rows. At N = {widest:,.0f} LDL is {factor:.0f} times as fast ({machine}; `make scaling` draws yours)."
    )


# --- Losses ----------------------------------------------------------------------------------------------------------


def losses():
    parts = []
    for found in results("loss").values():
        parts.append(machine(found["about"]))
        rows = [
            [name, *(number(row[key][-1]) for key in ("seconds", "loss")), f"{row['accuracy']:.4f}"]
            for name, row in found["networks"].items()
        ]
        n = len(found["networks"]["LDL"]["loss"])
        parts.append(table((f"{found['data']}, {n} epochs", "s", "training loss", "test accuracy"), rows))
    return "\n\n".join(parts)


# --- Pictures --------------------------------------------------------------------------------------------------------


def pictures(write):
    """Draw, or see that what there is was drawn from these figures: its metadata say from which."""
    outdated = []
    for name, (source, function) in PICTURES.items():
        found = shown(source)
        figures = {key: value for key, value in found.items() if key != "about"}
        figures = json.dumps(figures, sort_keys=True).encode()
        for shade in ("light", "dark"):
            # of what draws it, too
            digest = hashlib.sha256(figures + shade.encode() + Path(drawing.__file__).read_bytes()).hexdigest()
            file = ROOT / "docs" / f"{name}-{shade}.png"
            if file.exists() and digest.encode() in file.read_bytes():
                continue
            outdated.append(file)
            if write:
                figure = draw(function, found, shade == "dark")
                figure.savefig(file, dpi=110, metadata={"Source": digest})
                print(f"drew {file.relative_to(ROOT)}")
    return [] if write else outdated


# --- Documents -------------------------------------------------------------------------------------------------------

REPORTS = {"peers": peers, "scaling": scaling, "law": law, "losses": losses}
_MARKED = re.compile(r"(<!-- report: (\w+) -->\n)(?:(?!<!-- report).)*?\n<!-- end of report -->", re.DOTALL)


def written(text):
    """A document with what the figures make of its marked parts."""
    return _MARKED.sub(lambda match: f"{match[1]}{REPORTS[match[2]]()}\n<!-- end of report -->", text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where something is out of date")
    options = parser.parse_args()
    outdated = pictures(write=not options.check)
    found = sorted(name for file in DOCUMENTS for _, name in _MARKED.findall(file.read_text(encoding="utf-8")))
    if found != sorted(REPORTS):
        sys.exit(f"README.md and RESULTS.md must have each of {', '.join(REPORTS)} once, found {', '.join(found)}")
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        if written(text) != text:
            outdated.append(document)
            if not options.check:
                document.write_text(written(text), encoding="utf-8")
                print(f"wrote {document.relative_to(ROOT)}")
    if options.check and outdated:
        names = ", ".join(str(file.relative_to(ROOT)) for file in outdated)
        sys.exit(f"{names}: not what benchmarks/results has; run python benchmarks/report.py")


if __name__ == "__main__":
    main()
