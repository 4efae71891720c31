"""What the scripts measure, as tables: printed row by row, and kept as JSON, which report.py makes documents from."""

import argparse
import json
from pathlib import Path

import numpy as np
from machine import about


class Record:
    """The tables of a script. After every row they are in its file, too, if it was asked for one."""

    def __init__(self, options):
        self.file, self.about, self.tables = options.json, about(), {}

    @staticmethod
    def argument(parser):
        parser.add_argument("--json", type=Path, help="file for all figures")

    def table(self, name, *columns):
        """Begin a table, and return what takes its rows, value by value."""
        rows = []
        self.tables[name] = {"columns": columns, "rows": rows}
        print(f"\n{name}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)

        def add(*row):
            rows.append([plain(value) for value in row])
            print(f"| {' | '.join(cell(value) for value in rows[-1])} |", flush=True)
            if self.file:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self.file.write_text(self.text() + "\n", encoding="utf-8")

        return add

    def text(self):
        """JSON, a row to a line."""
        tables = [
            f'  {_json(name)}: {{\n   "columns": {_json(table["columns"])},\n   "rows": [\n    '
            + ",\n    ".join(map(_json, table["rows"]))
            + "\n   ]\n  }"
            for name, table in self.tables.items()
        ]
        return f'{{\n "about": {_json(self.about)},\n "tables": {{\n' + ",\n".join(tables) + "\n }\n}"


def run_parts(parts, document):
    """Run those parts of a script that its arguments name: a dict of functions and of how often each does its thing."""
    parser = argparse.ArgumentParser(description=document.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=list(parts), default=list(parts))
    parser.add_argument("--part", type=float, default=1.0, help="of the counts, a part")
    Record.argument(parser)
    options = parser.parse_args()
    record = Record(options)
    for name in options.only:
        function, n = parts[name]
        function(record, max(1, round(options.part * n)))


def _json(value):
    return json.dumps(value, ensure_ascii=False)


def plain(value):
    """A value as JSON takes it: times of six digits, scores of several seeds as a list of them."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(part) for part in value]
    if isinstance(value, (bool, str, type(None))):
        return value
    return int(value) if isinstance(value, (int, np.integer)) else float(f"{value:.6g}")


def number(value, digits=3):
    """A number of so many significant digits, without an exponent."""
    if value is None or not np.isfinite(value):
        return ""
    return f"{float(f'{value:.{digits}g}'):,.10g}"


def cell(value):
    """A value as tables show it: lists, of scores, as their mean ± standard deviation."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return f"{value['mean']:.4f} ± {value['std']:.4f}"
    if isinstance(value, list):
        if not value:
            return ""
        return f"{np.mean(value):.4f}" + (f" ± {np.std(value):.4f}" if len(value) > 1 else "")
    return f"{value:,}" if isinstance(value, int) else number(value)
