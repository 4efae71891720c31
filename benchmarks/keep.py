"""Run a script that prints tables, and keep them: python benchmarks/keep.py FILE SCRIPT [ARGUMENTS...]

For the examples, whose tables are for those who run them: SCRIPT runs as it is, what it prints is shown, and its
tables, of Markdown or of columns that stand two blanks and more apart, go into FILE as JSON, for report.py. A table is
named by the first line after the one before it.
"""

import argparse
import re
import runpy
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from record import Record, cell


class Tee:
    """A stream that is shown, and kept."""

    def __init__(self):
        self.text, self.shown = "", sys.stdout

    def write(self, text):
        self.text += text
        self.shown.write(text)

    def flush(self):
        self.shown.flush()

    def isatty(self):
        return False


def value(text):
    """A number where it would be shown as it was printed, else the text."""
    for kind in (int, float):
        try:
            number = kind(text.replace(",", ""))
        except ValueError:
            continue
        if cell(number) == text:
            return number
    return text or None


def tables(text):
    """Name, columns and rows of each; blank lines end one, and the first line after one before names the next."""
    found, rows, ends, name = [], None, None, ""
    for line in (line.split("\r")[-1].rstrip() for line in text.splitlines()):
        words = [(match.start(), match.end(), match[0]) for match in re.finditer(r"\S+(?: \S+)*", line)]
        if line.startswith("|"):
            row = [part.strip() for part in line[1:-1].split("|")]
            if rows is None:
                rows, ends = [], None
                found.append((name or "table", row, rows))
            elif "".join(row).strip("-"):
                rows.append(row)
        elif rows is not None and ends and len(words) > 1:
            # numbers end where the words above them do
            row = [""] * len(ends)
            for start, end, word in words:
                row[int(np.argmin(np.abs(np.subtract(ends, end)))) if start else 0] = word
            rows.append(row)
        elif rows is None and words and len(words) + (blank := words[0][0] > 0) > 2:
            rows, ends = [], [0] * blank + [end for _, end, _ in words]
            found.append((name or "table", [""] * blank + [word for _, _, word in words], rows))
        elif line and rows is None:
            name = name or line
        elif not line and rows is not None:
            rows, name = None, ""
    return [table for table in found if table[2]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("json", type=Path, metavar="FILE")
    parser.add_argument("script", metavar="SCRIPT")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    sys.argv = [options.script, *options.arguments]
    sys.path.insert(0, str(Path(options.script).resolve().parent))
    record, tee = Record(options), Tee()
    with redirect_stdout(tee):
        runpy.run_path(options.script, run_name="__main__")
    print()
    for name, columns, rows in tables(tee.text):
        add = record.table(name, *columns)
        for row in rows:
            add(*map(value, row))


if __name__ == "__main__":
    main()
