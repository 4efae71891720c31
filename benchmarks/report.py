"""Documents and pictures from measured figures: python benchmarks/report.py [--check]

Scripts write JSON into ``benchmarks/results/<machine>/``, tables of named columns. What people write stands in
``benchmarks/notes/``: README.md is written from ``README.md`` there, docs/scaling.md from ``scaling.md``, RESULTS.md
from the other files in the order of their names, and the pictures of `pictures.py` are drawn into ``docs/``. In the
notes a line ``<!-- report: NAME ARGUMENTS -->`` becomes what the function of `sections.py` makes of the figures, and
``{{SCRIPT; TABLE; ROW; COLUMN; FORMAT}}`` a figure of the machine that README.md is about. With --check nothing is
written, and the script fails if a document or a picture differs from what it would be.
"""

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path

import pictures as drawing
import sections
from figures import MACHINE, ROOT, figure, machines
from pictures import PICTURES, draw

_SECTION = re.compile(r"^<!-- report: (\w+) ?(.*?) -->$", re.MULTILINE)
_FIGURE = re.compile(r"\{\{(.+?)\}\}")


def written(text):
    """Notes with the figures in place."""

    def section(match):
        return getattr(sections, match[1])(*(part.strip() for part in match[2].split(";") if part.strip()))

    text = _SECTION.sub(section, text)
    return _FIGURE.sub(lambda match: figure(*(part.strip() for part in match[1].split(";"))), text)


def documents():
    """The text of every document that is written, by its file."""
    notes = {file.name: file.read_text(encoding="utf-8") for file in sorted((ROOT / "benchmarks/notes").glob("*.md"))}
    texts = {"README.md": notes.pop("README.md"), "docs/scaling.md": notes.pop("scaling.md")}
    texts["benchmarks/RESULTS.md"] = "\n\n".join(map(str.strip, notes.values())) + "\n"
    return {ROOT / name: written(text) for name, text in texts.items()}


def pictures(write):
    """Draw, or see that what there is was drawn from these figures: its metadata say from which."""
    outdated = []
    for name, script in PICTURES.items():
        found = machines(script)[MACHINE]["tables"]
        figures = json.dumps(found, sort_keys=True).encode()
        for shade in ("light", "dark"):
            # of what draws it, too
            digest = hashlib.sha256(figures + shade.encode() + Path(drawing.__file__).read_bytes()).hexdigest()
            file = ROOT / "docs" / f"{name}-{shade}.png"
            if file.exists() and digest.encode() in file.read_bytes():
                continue
            outdated.append(file)
            if write:
                draw(name, found, shade == "dark").savefig(file, dpi=110, metadata={"Source": digest})
                print(f"drew {file.relative_to(ROOT)}")
    return [] if write else outdated


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where something is out of date")
    options = parser.parse_args()
    outdated = pictures(write=not options.check)
    for document, text in documents().items():
        if not document.exists() or document.read_text(encoding="utf-8") != text:
            outdated.append(document)
            if not options.check:
                document.write_text(text, encoding="utf-8")
                print(f"wrote {document.relative_to(ROOT)}")
    if options.check and outdated:
        names = ", ".join(str(file.relative_to(ROOT)) for file in outdated)
        sys.exit(
            f"{names}: not what benchmarks/notes and benchmarks/results make; write there, and run "
            "python benchmarks/report.py"
        )


if __name__ == "__main__":
    main()
