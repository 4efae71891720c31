"""What is taken of scikit-learn that is not public stands in one module, and is there."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import ldlrpp
from ldlrpp.estimators import borrowed

PACKAGE = Path(ldlrpp.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def imports_of_sklearn(file):
    """Module and name of everything that a file imports of scikit-learn."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sklearn":
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.partition(".")[0] == "sklearn")


def is_private(module, name):
    return any(part.startswith("_") for part in (*module.split("."), name))


BORROWED = sorted(imports_of_sklearn(PACKAGE / "estimators" / "borrowed.py"))


@pytest.mark.parametrize(("module", "name"), BORROWED, ids=lambda part: part)
def test_what_is_borrowed_is_there(module, name):
    assert hasattr(importlib.import_module(module), name), f"scikit-learn has no {module}.{name} any more"


@pytest.mark.parametrize(
    "name", ["_validate_params", "_init_callback_context", "_get_doc_link", "_sklearn_auto_wrap_output_keys"]
)
def test_what_base_classes_have_is_there(name):
    assert hasattr(ldlrpp.LDLTransformer, name)


def test_where_callbacks_are_kept():
    names = "setup", "teardown", "on_fit_task_begin", "on_fit_task_end"
    callback = type("Callback", (), dict.fromkeys(names, lambda self, *args, **kwargs: None))()
    assert "_skl_callbacks" in vars(ldlrpp.LDLClassifier().set_callbacks(callback))


def test_nothing_else_is_private():
    found = {
        f"{file.relative_to(PACKAGE)}: {module}.{name}"
        for file in FILES
        for module, name in imports_of_sklearn(file)
        if is_private(module, name) and file.name != "borrowed.py"
    }
    assert not found
    # and what is public is imported where it is used
    public = [f"{module}.{name}" for module, name in BORROWED if not is_private(module, name)]
    assert public in (["sklearn.utils._param_validation"], [])
    assert set(borrowed.__all__) == {name for name in vars(borrowed) if not name.startswith("__")}


def test_nothing_is_evaluated_unpickled_or_fetched():
    allowed = {("parameters.py", "exec")}
    found = set()
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                loads = called in ("load", "loads") and "pickle" in ast.unparse(node.func)
                if called in ("eval", "exec", "urlopen", "fetch_openml") or loads:
                    found.add((file.name, called))
    assert found <= allowed
    pickles = [
        file.name for file in FILES if re.search(r"^import pickle|allow_pickle=True", file.read_text("utf-8"), re.M)
    ]
    assert not pickles
