"""Figures that were measured, from ``benchmarks/results/<machine>/<script>.json``."""

import json
from pathlib import Path

import numpy as np
from record import cell

ROOT = Path(__file__).resolve().parents[1]
#: What machines are called where their figures stand side by side, in that order.
MACHINES = {
    "amd-zen5-2cores": "AMD Zen 5",
    "amd-zen4-2cores": "AMD Zen 4",
    "intel-sapphire-rapids-2cores": "Intel Sapphire Rapids",
    "simulator": "no machine",
}
#: The one that README.md and the pictures are about.
MACHINE = "amd-zen5-2cores"


def machines(script):
    """What a script has written, by machine."""
    files = {machine: ROOT / "benchmarks" / "results" / machine / f"{script}.json" for machine in MACHINES}
    found = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()}
    if not found:
        raise SystemExit(f"benchmarks/results has no {script}.json")
    return found


def by_machine(script, table):
    """A table of every machine that has it."""
    found = {name: file["tables"][table] for name, file in machines(script).items() if table in file["tables"]}
    if not found:
        raise SystemExit(f"{script}.json has no table {table!r}, on no machine")
    return found


def column(table, name):
    """The values of a column."""
    if name not in table["columns"]:
        raise SystemExit(f"no column {name!r}, there are {table['columns']}")
    place = table["columns"].index(name)
    return [row[place] for row in table["rows"]]


def figure(script, table, row, name, shape=None):
    """A figure as text: of the row that begins with ``row`` (several columns as "1000, 10, 100 | 64"), on `MACHINE`."""
    found = by_machine(script, table)[MACHINE]
    key = [part.strip() for part in row.split("|")]
    places = [i for i, each in enumerate(found["rows"]) if [cell(value) for value in each[: len(key)]] == key]
    if len(places) != 1:
        raise SystemExit(f"{script}, {table}: {len(places)} rows begin with {row!r}")
    value = column(found, name)[places[0]]
    if shape is None:
        return cell(value)
    spread = np.std(value) if isinstance(value, list) else None
    value = np.mean(value) if isinstance(value, list) else value
    return f"{value:{shape.removeprefix('±')}}" + (f" ± {spread:{shape[1:]}}" if shape.startswith("±") else "")
