"""Writes ldlrpp/estimators/__init__.pyi, which editors and type checkers read: constructors are made at run time.

Signatures are the functions' own, types those that the docstrings name: ``python tools/stubs.py`` after a change.
"""

import inspect
import re
import subprocess
import sys
import types
from abc import ABC
from pathlib import Path

import ldlrpp
from ldlrpp.estimators.base import BaseNetworkEstimator
from ldlrpp.estimators.parameters import ATTRIBUTES

STUB = Path(ldlrpp.__file__).parent / "estimators" / "__init__.pyi"

#: What docstrings call a type, without shapes; choices, as {'a', 'b'} or {1, 2}, speak for themselves.
TYPES = {
    "'cpu', 'cuda', 'cuda:N' or 'auto'": "str",
    "bool": "bool",
    "bool or float": "bool | float",
    "dict": "Any",
    "dict of str to ndarray": "dict[str, NDArray[Any]]",
    "dict, 'balanced', list of dict or None": "_Weights | Literal['balanced'] | list[_Weights] | None",
    "estimator": "BaseEstimator",
    "float": "float",
    "float or None": "float | None",
    "int": "int",
    "str or path": "str | PathLike[str]",
    "str, path or None": "str | PathLike[str] | None",
    "int or 'auto'": "int | Literal['auto']",
    "int or None": "int | None",
    "int or array-like of int": "int | Sequence[int] | NDArray[np.integer]",
    "int or inf": "float",
    "int, RandomState instance or None": "int | np.random.RandomState | None",
    "LDLClassifier or LDLRegressor": "LDLClassifier | LDLRegressor",
    "ldlrpp.network.Network": "Network",
    "list of float": "list[float]",
    "list of float or None": "list[float] | None",
    "list of int": "list[int]",
    "list of int or None": "list[int | None]",
    "list of matplotlib.lines.Line2D": "list[Line2D]",
    "LossCurveDisplay": "LossCurveDisplay",
    "ScalingDisplay": "ScalingDisplay",
    "array-like of int": "ArrayLike",
    "matplotlib.axes.Axes": "Axes",
    "matplotlib.figure.Figure": "Figure",
    "ndarray": "NDArray[Any]",
    "object": "Self",
    "RPPClassifier or RPPRegressor": "RPPClassifier | RPPRegressor",
    "sequence of (kind, width) or (kind, width, options)": "_Layers",
    "str": "str",
    "str or None": "str | None",
    "array-like": "ArrayLike",
    "array-like of float": "ArrayLike",
    "array-like of float or None": "ArrayLike | None",
    "{array-like, sparse matrix}": "_Matrix",
    "as ``X`` and ``y``": "_Matrix",
}

HEAD = '''\
"""Written by tools/stubs.py: what the estimators look like to editors and type checkers."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import sparray, spmatrix
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    MultiOutputMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.callback import CallbackSupportMixin

from ldlrpp.network import Network

_Matrix: TypeAlias = ArrayLike | sparray | spmatrix
_Weights: TypeAlias = Mapping[Any, float]
# no closer: lists of tuples of two lengths, and the kinds in them, are inferred to be no more than this
_Layers: TypeAlias = Sequence[tuple[Any, ...] | list[Any]]
'''


def text():
    """The stub."""
    public = [getattr(ldlrpp.estimators, name) for name in sorted(ldlrpp.estimators.__all__)]
    # bases before what derives from them
    classes = dict.fromkeys(cls for one in public for cls in reversed(one.__mro__) if _is_shown(cls))
    names = {cls: cls.__name__ if cls in public else f"_{cls.__name__}" for cls in classes}
    parts = [
        HEAD,
        *(_class(cls, names) for cls in classes),
        f"__all__ = {[names[cls] for cls in public]}".replace("'", '"'),
    ]
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(STUB), "-"]
    return subprocess.run(command, input="\n".join(parts), capture_output=True, text=True, check=True).stdout


def _is_ours(thing):
    return thing.__module__.startswith("ldlrpp.")


def _methods(cls):
    """The public methods that a class defines itself; scikit-learn adds those that route metadata."""
    own = {name: getattr(cls, name) for name in vars(cls) if not name.startswith("_")}
    return {name: method for name, method in own.items() if inspect.isroutine(method) and _is_ours(method)}


def _is_shown(cls):
    return _is_ours(cls) and (_methods(cls) or cls.__name__ in ldlrpp.estimators.__all__)


def _bases(cls):
    """What a class derives from; a base that shows nothing gives way to those of its own."""
    for base in cls.__bases__:
        if _is_shown(base) or not (_is_ours(base) or base in (ABC, object)):
            yield base
        elif _is_ours(base):
            yield from _bases(base)


def _class(cls, names):
    shared = _entries(inspect.cleandoc(ATTRIBUTES))
    attributes = shared if cls is BaseNetworkEstimator else _section(cls, "Attributes")
    if issubclass(cls, BaseNetworkEstimator) and cls is not BaseNetworkEstimator:
        attributes = {name: type_ for name, type_ in attributes.items() if name not in shared}
    lines = [f"class {names[cls]}({', '.join(names.get(base, base.__name__) for base in _bases(cls))}):"]
    lines += [f"    {name}: {type_}" for name, type_ in attributes.items()]
    if "__init__" in vars(cls):
        lines.append(_method("__init__", cls.__init__, _section(cls, "Parameters"), "None"))
    for name, method in _methods(cls).items():
        if isinstance(method, types.MethodType):
            lines.append("    @classmethod")
            method = method.__func__
        returned = list(_section(method, "Returns").values())
        result = returned[0] if len(returned) == 1 else f"tuple[{', '.join(returned)}]" if returned else "None"
        lines.append(_method(name, method, _section(method, "Parameters"), result))
    return "\n".join(lines)


def _method(name, function, annotations, result):
    arguments = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not any(argument.startswith("*") for argument in arguments):
            arguments.append("*")
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments.append(f"{parameter}: Any")
        elif parameter.name in ("self", "cls"):
            arguments.append(parameter.name)
        else:
            type_ = annotations[parameter.name]
            if parameter.default is parameter.empty:
                arguments.append(f"{parameter.name}: {type_}")
            else:
                optional = " | None" if parameter.default is None and not type_.endswith("None") else ""
                arguments.append(f"{parameter.name}: {type_}{optional} = {parameter.default!r}")
    return f"    def {name}({', '.join(arguments)}) -> {result}: ..."


def _section(documented, title):
    """The types of what a section of a docstring lists, by name."""
    document = (inspect.getdoc(documented) or "") + "\n\n"
    found = re.search(rf"^{title}\n-+\n(.*?)(?=\n\n|\Z)", document, re.MULTILINE | re.DOTALL)
    return _entries(found[1]) if found else {}


def _entries(section):
    entries = re.findall(r"^(\S.*?) : (.*)$", section, re.MULTILINE)
    return {name.lstrip("*"): _type(type_) for names, type_ in entries for name in names.split(", ")}


def _type(documented):
    plain = re.sub(r",? default=.*| of shape \(.*?\)( or \(.*?\))?", "", documented)
    if plain in TYPES or not plain.startswith("{"):
        return TYPES[plain]
    choices, _, others = plain[1:].partition("}")
    literal = f"Literal[{choices}]"
    return f"{literal} | Sequence[{literal}] | NDArray[np.str_]" if others == " or array-like of these" else literal


if __name__ == "__main__":
    STUB.write_text(text(), encoding="utf-8")
