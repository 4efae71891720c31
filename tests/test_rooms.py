"""What the source of kernels looks like."""

import ast
from pathlib import Path

import pytest

from ldlrpp import kernels

# Called by layers, one argument for one of theirs.
PUBLIC = {"adam_step", "backward", "expand", "forward", "sgd_step"}
FILES = [file for room in ("cpu", "cuda") for file in sorted((Path(kernels.__file__).parent / room).glob("*.py"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_function_has_at_most_eleven_parameters(file):
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name not in PUBLIC]
    counts = [(f.name, len([*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs])) for f in functions]
    assert not [(name, count) for name, count in counts if count > 11], "what belongs together is a named tuple"
