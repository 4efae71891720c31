"""What editors and type checkers see of the package."""

import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import ldlrpp

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ldlrpp.estimators.__all__)
def test_constructors_are_functions_with_the_parameters_as_their_arguments(name):
    cls = getattr(ldlrpp, name)
    code = cls.__init__.__code__
    assert code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] == ("self", *inspect.signature(cls).parameters)
    assert code.co_qualname == cls.__init__.__qualname__ == f"{name}.__init__"
    assert re.match(r"\s*def __init__\(\s*self,", inspect.getsource(cls.__init__))
    with pytest.raises(TypeError, match=rf"^{name}\.__init__\(\) got an unexpected keyword argument 'sover'"):
        cls(sover="adam")


def test_the_stub_is_what_the_estimators_are():
    stub = runpy.run_path(str(ROOT / "tools" / "stubs.py"))
    assert stub["STUB"].read_text(encoding="utf-8") == stub["text"](), "after a change: python tools/stubs.py"


def test_mypy_refuses_what_is_wrong_and_nothing_else(request):
    uses = ROOT / "tests" / "typing_uses.py"
    # kept between runs: 0.3 s instead of 8
    cache = request.config.cache.mkdir("mypy")
    options = ["--strict", "--follow-imports=silent", "--no-error-summary", "--config-file=", f"--cache-dir={cache}"]
    done = subprocess.run([sys.executable, "-m", "mypy", *options, str(uses)], cwd=ROOT, capture_output=True, text=True)
    # of the stub it says that scikit-learn has no types
    found = (line.split(":") for line in done.stdout.splitlines() if ": error: " in line)
    refused = {int(number) for file, number, *_ in found if file.endswith(uses.name)}
    lines = uses.read_text(encoding="utf-8").splitlines()
    assert refused == {number for number, line in enumerate(lines, 1) if line.endswith("# refused")}, done.stdout
    assert done.stderr == ""
