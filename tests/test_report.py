"""Documents and pictures hold what was measured."""

import importlib
import json
import shutil
import sys
from pathlib import Path

import matplotlib.image
import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("report", "sections", "targets", "pictures", "pareto", "figures", "record", "machine", "keep")


@pytest.fixture
def load(monkeypatch):
    """A module of benchmarks/, as scripts there find it."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    yield importlib.import_module
    plt.close("all")
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def report(load, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["report.py", "--check"])
    return load("report")


@pytest.fixture
def copied(report, load, tmp_path, monkeypatch):
    """The report, of documents and figures that a test may change."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for folder in ("notes", "results"):
        shutil.copytree(ROOT / "benchmarks" / folder, tmp_path / "benchmarks" / folder)
    for name in ("README.md", "benchmarks/RESULTS.md", "docs/scaling.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    for module in (report, load("figures")):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    return report


def test_documents_and_pictures_are_those_of_the_figures(report):
    report.main()


@pytest.mark.parametrize(
    ("script", "table", "column", "seen"),
    [
        ("scaling", "LDL, radix 4", "forward ms", ["README.md", "benchmarks/RESULTS.md", "docs/scaling-light.png"]),
        ("peers", "N = 16,384, 128 rows", "forward / LDL", ["README.md", "benchmarks/RESULTS.md"]),
        ("loss", "LDL", "training loss", ["docs/loss-dark.png"]),
        ("accuracy", "mnist", "score", ["README.md", "benchmarks/RESULTS.md", "docs/pareto-light.png"]),
        ("ldl_cpu", "2^20 numbers", "/ sgemm", ["benchmarks/RESULTS.md"]),
        ("dask_scaling", "accuracy on MNIST, 10 epochs", "accuracy", ["docs/scaling.md", "benchmarks/RESULTS.md"]),
    ],
)
def test_other_figures_are_seen(script, table, column, seen, copied, load, tmp_path, monkeypatch, capsys):
    copied.main()
    file = tmp_path / "benchmarks" / "results" / load("figures").MACHINE / f"{script}.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    place = found["tables"][table]["columns"].index(column)
    for row in found["tables"][table]["rows"]:
        if row[place] is not None:
            row[place] = [0.5 * score for score in row[place]] if column == "score" else 3 * row[place]
    file.write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(SystemExit) as error:
        copied.main()
    assert all(name in str(error.value) for name in seen)
    monkeypatch.setattr(sys, "argv", ["report.py"])
    copied.main()
    printed = capsys.readouterr().out
    assert all(name in printed for name in seen)
    monkeypatch.setattr(sys, "argv", ["report.py", "--check"])
    copied.main()


def test_a_figure_that_is_not_there_is_named(copied, tmp_path):
    file = tmp_path / "benchmarks" / "notes" / "README.md"
    text = file.read_text(encoding="utf-8")
    for figure, message in (
        ("loss; networks; nobody; s", "0 rows begin with 'nobody'"),
        ("loss; networks; LDL; minutes", "no column 'minutes'"),
        ("loss; nothing; LDL; s", "no table 'nothing'"),
        ("nothing; networks; LDL; s", "no nothing.json"),
    ):
        file.write_text(text + f"{{{{{figure}}}}}\n", encoding="utf-8")
        with pytest.raises(SystemExit, match=message):
            copied.main()


def test_no_document_has_a_place_left_open():
    for name in ("README.md", "benchmarks/RESULTS.md", "docs/scaling.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "{{" not in text
        assert "<!-- report" not in text


def test_pictures_are_small_enough_and_open():
    for file in (ROOT / "docs").glob("*.png"):
        assert file.stat().st_size < 200_000, file
        assert matplotlib.image.imread(file).shape[2] == 4


def test_cells(load):
    record = load("record")
    assert [record.number(value) for value in (0.012345, 1234.5, 9.996, 1.5e6, None, float("nan"))] == [
        "0.0123", "1,230", "10", "1,500,000", "", "",
    ]  # fmt: skip
    cells = {record.cell(value): value for value in ("a", 1024, 0.5, None, [0.9, 0.8], [0.9], [])}
    assert list(cells) == ["a", "1,024", "0.5", "", "0.8500 ± 0.0500", "0.9000"]


def test_a_record_is_in_its_file_after_every_row(load, tmp_path, monkeypatch, capsys):
    record = load("record")
    monkeypatch.setattr(sys, "argv", [str(ROOT / "benchmarks" / "some.py"), "--data", str(tmp_path / "images.npz")])
    options = type("Options", (), {"json": tmp_path / "machine" / "some.json"})
    tables = record.Record(options)
    add = tables.table("times", "N", "ms", "scores")
    add(64, 1 / 3, [0.5, 1.0])
    found = json.loads(options.json.read_text(encoding="utf-8"))
    assert found["tables"] == {"times": {"columns": ["N", "ms", "scores"], "rows": [[64, 0.333333, [0.5, 1.0]]]}}
    assert found["about"]["command"].endswith("python benchmarks/some.py --data images")
    add(128, None, [])
    assert len(json.loads(options.json.read_text(encoding="utf-8"))["tables"]["times"]["rows"]) == 2
    assert "| 64 | 0.333 | 0.7500 ± 0.2500 |" in capsys.readouterr().out


def test_tables_that_an_example_prints_are_kept(load, tmp_path, monkeypatch):
    keep = load("keep")
    script = tmp_path / "example.py"
    script.write_text(
        "print('digits, 2 fits\\n')\n"
        "print('| model | score |\\n|---|---|\\n| LDL | 0.98 |\\n| dense | 0.970 |')\n"
        "print('\\nsignals')\n"
        "print(f\"{'':<20}{'parameters':>12}{'seconds':>10}\")\n"
        "print(f\"{'LDL, Hadamard':<20}{'1,234':>12}{'0.5':>10}\")\n"
        "print('The picture is in x.png')\n"
    )
    file = tmp_path / "kept.json"
    monkeypatch.setattr(sys, "argv", ["keep.py", str(file), str(script), "--epochs", "2"])
    keep.main()
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["tables"] == {
        "digits, 2 fits": {"columns": ["model", "score"], "rows": [["LDL", 0.98], ["dense", "0.970"]]},
        "signals": {"columns": ["", "parameters", "seconds"], "rows": [["LDL, Hadamard", 1234, 0.5]]},
    }
    assert found["about"]["command"].endswith("example.py --epochs 2")


def test_targets_are_bold_where_they_are_missed(load):
    targets = load("targets")
    table = {"columns": ["N", "radix", "ratio"], "rows": [[64, 2, 0.5], [64, 4, 0.9], [128, 4, 1.2]]}
    target = targets.Target("a ratio", targets.MOST, 1.0, "script", ("times",), "ratio", {"radix": (4, 4)})
    assert target.values(table) == [0.9, 1.2]
    assert [target.missed(value) for value in (0.9, 1.0, 1.2)] == [False, False, True]
    assert targets.Target("a rate", targets.LEAST, 1.0, "script", ("times",), "ratio").missed(0.9)
    assert targets.Target("another", targets.LEAST, 1.0, "script", ("times",), "rate").values(table) == []
