"""Documents and pictures hold what was measured."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import matplotlib.image
import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    spec = importlib.util.spec_from_file_location("report", ROOT / "benchmarks" / "report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", ["report.py", "--check"])
    yield module
    plt.close("all")


def test_documents_and_pictures_are_those_of_the_figures(report):
    report.main()


@pytest.mark.parametrize("name", ["scaling", "peers", "loss"])
def test_other_figures_are_seen(name, report, tmp_path, monkeypatch, capsys):
    pictures = [f"docs/{name}-{shade}.png" for name in report.PICTURES for shade in ("light", "dark")]
    for path in ("README.md", "benchmarks/RESULTS.md", *pictures):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    shutil.copytree(ROOT / "benchmarks" / "results", tmp_path / "benchmarks" / "results")
    monkeypatch.setattr(report, "ROOT", tmp_path)
    monkeypatch.setattr(report, "RESULTS", tmp_path / "benchmarks" / "results")
    monkeypatch.setattr(report, "DOCUMENTS", (tmp_path / "README.md", tmp_path / "benchmarks" / "RESULTS.md"))
    report.main()
    file = next(report.RESULTS.glob(f"*/{name}.json"))
    found = json.loads(file.read_text())
    if name == "scaling":
        found["curves"]["LDL, radix 4"][5]["forward_ms"] *= 3
    elif name == "peers":
        found["networks"]["LDLClassifier"]["epoch_seconds"] *= 3
    else:
        found["networks"]["LDL"]["loss"][-1] *= 3
    file.write_text(json.dumps(found))
    with pytest.raises(SystemExit, match=r"RESULTS.md: not what benchmarks/results has"):
        report.main()
    monkeypatch.setattr(sys, "argv", ["report.py"])
    report.main()
    assert "wrote benchmarks/RESULTS.md" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["report.py", "--check"])
    report.main()
    assert matplotlib.image.imread(tmp_path / "docs" / "scaling-light.png").shape[2] == 4


def test_numbers_are_short(report):
    assert [report.number(value) for value in (0.012345, 1234.5, 9.996, 1.5e6, None, float("nan"))] == [
        "0.0123", "1,230", "10", "1,500,000", "", "",
    ]  # fmt: skip
