"""What `report.py` makes of the figures: a function a kind of table or sentence, each returning Markdown."""

import numpy as np
from figures import MACHINE, MACHINES, by_machine, column, machines
from pictures import FITTED, KEYS, LABELS, curve, exponent
from record import cell, number
from targets import TARGETS

from ldlrpp.estimators.scaling import scaling_exponent

# --- Any table -------------------------------------------------------------------------------------------------------


def markdown(head, rows):
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def _columns(table, names):
    """Those of these names, or all, as text."""
    names = names or table["columns"]
    # of columns of the same name the first would be taken twice
    values = table["rows"] if names == table["columns"] else zip(*(column(table, name) for name in names), strict=True)
    return names, [[cell(value) for value in row] for row in values]


def _names(text):
    return [name.strip() for name in text.split(" & ")] if text else []


def table(script, name, names=""):
    """A table, of one machine after the other; names of columns are joined by " & "."""
    found = by_machine(script, name)
    return "\n\n".join(
        f"{name}, {MACHINES[machine]}:\n\n{markdown(*_columns(each, _names(names)))}" for machine, each in found.items()
    )


def shown(script, name, names=""):
    """The table of the machine that README.md is about."""
    return markdown(*_columns(by_machine(script, name)[MACHINE], _names(names)))


def beside(scripts, name, keys, names):
    """Columns of several machines, or scripts, side by side, by the columns that are their key."""
    keys, names, head, cells = _names(keys), _names(names), [], {}
    for script in scripts.split():
        title = script.partition("_cpu_")[2]
        for machine, each in by_machine(script, name).items():
            there = [column_ for column_ in names if column_ in each["columns"]]
            _, rows = _columns(each, keys + there)
            for row in rows:
                cells.setdefault(tuple(row[: len(keys)]), {}).update(
                    {len(head) + i: value for i, value in enumerate(row[len(keys) :])}
                )
            label = ", ".join(part for part in (MACHINES[machine], title) if part)
            head += [f"{label}: {column_}" if i == 0 else column_ for i, column_ in enumerate(there)]
    rows = [[*key, *(values.get(i, "") for i in range(len(head)))] for key, values in cells.items()]
    return markdown([*keys, *head], rows)


def pivot(script, name):
    """A column of all tables of the machine that README.md is about, a table to a row."""
    tables = machines(script)[MACHINE]["tables"]
    rows = {
        title: dict(zip(map(cell, column(each, each["columns"][0])), column(each, name), strict=True))
        for title, each in tables.items()
    }
    head = list(dict.fromkeys(key for row in rows.values() for key in row))
    return markdown(["", *head], [[title, *(cell(row.get(key)) for key in head)] for title, row in rows.items()])


def runs(scripts):
    """Where and when figures were measured, and by which command."""
    lines = []
    for script in scripts.split():
        for machine, found in machines(script).items():
            about = found["about"]
            wanted = ("python", "numba", "numpy", "scipy", "scikit-learn", "torch")
            versions = {"python": about["python"], **about["packages"]}
            packages = ", ".join(f"{name} {versions[name]}" for name in wanted if name in versions)
            of = f"commit {about['commit'][:10]}"
            command = f"`{about['command']}`" if about["command"] else "prototypes that are not kept"
            parts = (command, about["date"], of, packages, about.get("blas"), about.get("kept"))
            lines.append(f"- {MACHINES[machine]}: {'; '.join(part for part in parts if part)}")
    return "\n".join(lines)


# --- What was wanted -------------------------------------------------------------------------------------------------


def targets(name):
    """What was wanted beside what was measured, least and largest; in bold where it is missed."""
    wanted = TARGETS[name]
    used = [machine for machine in MACHINES if any(machine in machines(each.script) for each in wanted)]
    rows = []
    for each in wanted:
        row = [each.what, f"{each.relation} {number(each.bound)}"]
        for machine in used:
            found = machines(each.script).get(machine, {"tables": {}})["tables"]
            values = sorted(value for name in each.tables if name in found for value in each.values(found[name]))
            ends = list(dict.fromkeys(number(end, 2) for end in values[:: max(1, len(values) - 1)]))
            row.append(f"**{' to '.join(ends)}**" if any(map(each.missed, values)) else " to ".join(ends))
        rows.append(row)
    return markdown(["what", "wanted", *(MACHINES[machine] for machine in used)], rows)


# --- Scaling ---------------------------------------------------------------------------------------------------------


def scaling():
    """Microseconds a row of every machine, and the exponents that are fitted."""
    parts = []
    for machine, file in machines("scaling").items():
        found = file["tables"]
        columns = {
            f"{LABELS[name]}{what} µs a row": dict(zip(*(v.tolist() for v in curve(found, name, key)), strict=True))
            for name in FITTED
            for key, what in (("forward ms", ""), ("and backward ms", ", and backward"))
            if len(curve(found, name, key)[0])
        }
        widths = sorted(set().union(*columns.values()))
        rows = [[f"{width:,}", *(number(values.get(width)) for values in columns.values())] for width in widths]
        fits = [[LABELS[name], _range(name), *(number(exponent(found, name, key)) for key in KEYS)] for name in FITTED]
        parts += [f"{MACHINES[machine]}:", markdown(("N", *columns), rows)]
        parts.append(markdown(("p of (N·log2 N)^p", "fitted from", "forward", "forward and backward"), fits))
    return "\n\n".join(parts)


def _range(name):
    return "2^{} to 2^{}".format(*FITTED[name])


def law():
    """The sentence below the first picture."""
    file = machines("scaling")[MACHINE]
    names = "LDL, radix 4", "NumPy product"
    ldl, dense = (exponent(file["tables"], name, "forward ms") for name in names)
    times = [dict(zip(*curve(file["tables"], name, "forward ms"), strict=True)) for name in names]
    widest, fitted = max(times[1]), 2.0 ** np.arange(FITTED["NumPy product"][0], FITTED["NumPy product"][1] + 1)
    square, factor = scaling_exponent(fitted, fitted**2), times[1][widest] / times[0][widest]
    fits = (
        f"From {_range('LDL, radix 4')} LDL grows as (N·log2 N)^{ldl:.2f}, from {_range('NumPy product')} the dense "
        f"product as (N·log2 N)^{dense:.2f}, where N² itself would have {square:.2f}"
    )
    where = f"{file['about']['cores']} cores of {MACHINES[MACHINE]}"
    return (
        f"Microseconds a row against the width N. {fits}; beyond, LDL's weights leave the caches, and batches have few "
        f"rows. At N = {widest:,.0f} LDL is {factor:.0f} times as fast ({where}; `make scaling` draws yours)."
    )


# --- Accuracy --------------------------------------------------------------------------------------------------------

_DATA = {
    "digits": "digits", "breast cancer": "breast cancer", "wine": "wine", "diabetes": "diabetes (R²)",
    "fashion_mnist_3615": "Fashion-MNIST", "mnist": "MNIST",
}  # fmt: skip


def accuracy(name):
    """A column of `accuracy.py` of all data sets, of one machine after the other."""
    parts = []
    for machine, file in machines("accuracy").items():
        sets = [data for data in _DATA if data in file["tables"]]
        cells = [{_model(row[0]): row for row in file["tables"][data]["rows"]} for data in sets]
        place = file["tables"][sets[0]]["columns"].index(name)
        models = dict.fromkeys(model for each in cells for model in each)
        rows = [[model, *(_cell(each[model][place]) for each in cells)] for model in models]
        parts.append(f"{MACHINES[machine]}:\n\n{markdown(['', *(_DATA[data] for data in sets)], rows)}")
    return "\n\n".join(parts)


def _model(name):
    """Linear models are two, of classes and of numbers."""
    return "logistic or ridge regression" if name in ("logistic regression", "ridge regression") else name


def _cell(value):
    return f"{value:.1f}" if isinstance(value, float) else cell(value)


def accuracy_short():
    """The table of README.md."""
    found = machines("accuracy")[MACHINE]["tables"]
    models = {
        "LDL (1024, 1024)": "", "LDL (1024, 1024), radix 32": "LDL (1024, 1024), `radix=32`", "LDL (4096, 4096)": "",
        "RPP (1000, 1000), k = 100": "", "dense (1024, 1024)": "dense (1024, 1024), of this package",
        "dense (256, 256)": "",
        "dense, as many parameters as LDL (1024, 1024)": "dense of as many parameters as LDL (1024, 1024)",
        "MLPClassifier (1024, 1024)": "`MLPClassifier` (1024, 1024)", "logistic regression": "",
        "HistGradientBoosting": "gradient-boosted trees",
    }  # fmt: skip
    rows = []
    for model, label in models.items():
        cells = []
        for data in ("digits", "fashion_mnist_3615", "mnist"):
            _, scores, size, seconds = next(row for row in found[data]["rows"] if row[0] == model)
            spread = f" ± {np.std(scores):.3f}" if len(scores) > 1 else ""
            time = f"{seconds:.0f}" if seconds > 20 else f"{seconds:.1f}"
            cells.append(f"{np.mean(scores):.3f}{spread}, {time} s")
        rows.append([label or model, cell(size), *cells])
    head = "", "parameters, MNIST", "digits, 100 epochs", "Fashion-MNIST, 3,000 images, 30 epochs", "MNIST, 10 epochs"
    return markdown(head, rows)
