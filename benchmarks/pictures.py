"""What `report.py` draws of measured figures, for light and for dark backgrounds, readable without colour."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from figures import column
from pareto import pareto

from ldlrpp.estimators.scaling import scaling_exponent

# Logarithms of the widths between which exponents are fitted: narrower rows take the time of a call or of a copy.
FITTED = {"LDL, radix 4": (10, 16), "NumPy product": (9, 13), "SciPy rfft": (10, 16)}
LABELS = {"LDL, radix 4": "LDL", "NumPy product": "dense", "SciPy rfft": "FFT (SciPy rfft)"}
STYLES = {"LDL, radix 4": ("#0072b2", "o"), "NumPy product": ("#d55e00", "s"), "SciPy rfft": ("#7f7f7f", "^")}
KEYS = {"forward ms": ("forward", "-"), "and backward ms": ("forward and backward", "--")}


def curve(found, name, key):
    """Widths and microseconds a row."""
    widths, batches, times = (column(found[name], part) for part in ("N", "rows", key))
    there = [i for i, time in enumerate(times) if time is not None]
    return np.array([widths[i] for i in there]), np.array([1e3 * times[i] / batches[i] for i in there])


def exponent(found, name, key):
    widths, times = curve(found, name, key)
    low, high = FITTED[name]
    fitted = (widths >= 2**low) & (widths <= 2**high)
    return scaling_exponent(widths[fitted], times[fitted])


def scaling(found, ax, paper):
    """Time a row against the width."""
    for name, (color, marker) in STYLES.items():
        for key, (what, line) in KEYS.items():
            widths, times = curve(found, name, key)
            if len(widths):
                low, high = FITTED[name]
                fit = f"p = {exponent(found, name, key):.2f} ($2^{{{low}}}$ to $2^{{{high}}}$)"
                label = f"{LABELS[name]}, {what}: {fit}"
                face = color if line == "-" else paper
                ax.loglog(widths, times, line, color=color, marker=marker, markerfacecolor=face, ms=5, label=label)
    ax.set_xscale("log", base=2)
    ax.set(xlabel="width N", ylabel="microseconds a row", title="time a row ~ (N·log2 N)^p")


def speedup(found, ax, paper):
    """How many times as fast as the dense product, against the width."""
    color, marker = STYLES["LDL, radix 4"]
    for key, (what, line) in KEYS.items():
        widths, dense = curve(found, "NumPy product", key)
        ours = dict(zip(*curve(found, "LDL, radix 4", key), strict=True))
        factors = dense / np.array([ours[width] for width in widths])
        ax.loglog(widths, factors, line, color=color, marker=marker, markerfacecolor=color if line == "-" else paper,
                  label=f"LDL, {what}")  # fmt: skip
    ax.axhline(1, color="#7f7f7f", linewidth=1, linestyle=":", label="the dense product")
    ax.set_xscale("log", base=2)
    ax.set(xlabel="width N", ylabel="times as fast", title="LDL beside the dense product of its width")


def memory(found, ax, paper):
    """What a process grows by at its peak, forward and backward, against the width."""
    styles = {
        "LDL, radix 4": ("#0072b2", "o", "-"), "RPP, k = 64": ("#009e73", "D", "-"),
        "NumPy product": ("#d55e00", "s", "-"), "PyTorch nn.Linear": ("#d55e00", "s", "--"),
        "PyTorch RPP, k = 64": ("#009e73", "D", "--"), "PyTorch HashedNets, 1/64": ("#cc79a7", "v", "--"),
    }  # fmt: skip
    tables = {int(name.split()[2].replace(",", "")): each for name, each in found.items() if name.startswith("N = ")}
    for name, (color, marker, line) in styles.items():
        points = [(width, row[-1]) for width, each in tables.items() for row in each["rows"] if row[0] == name]
        if points:
            face = color if line == "-" else paper
            ax.loglog(*zip(*points, strict=True), line, color=color, marker=marker, markerfacecolor=face, label=name)
    ax.set_xscale("log", base=2)
    ax.set(
        xlabel="width N",
        ylabel="MB",
        title="memory of forward and backward beside weights and batch",
    )


def loss(found, ax, paper):
    """The training loss against the seconds of training, a marker an epoch."""
    styles = ("#0072b2", "o", "-"), ("#009e73", "D", "-"), ("#d55e00", "s", "-"), ("#7f7f7f", "^", "--")
    accuracy = dict(zip(column(found["networks"], ""), column(found["networks"], "test accuracy"), strict=True))
    for (name, each), (color, marker, line) in zip(list(found.items())[:-1], styles, strict=True):
        label = f"{name}: test accuracy {accuracy[name]:.3f}"
        seconds, losses = column(each, "s"), column(each, "training loss")
        ax.loglog(seconds, losses, line, color=color, marker=marker, ms=4, label=label)
    ax.set(xlabel="seconds of training", ylabel="training loss of an epoch", title=f"MNIST, {len(losses)} epochs")


def widths(found, axes, paper):
    """Test accuracy against parameters and against seconds, a marker a width."""
    styles = {"LDL": ("#0072b2", "o", "-"), "dense": ("#d55e00", "s", "-")}
    for ax, cost, label in zip(axes, ("parameters", "s"), ("parameters", "seconds of a fit"), strict=True):
        for name, (color, marker, line) in styles.items():
            values = [column(found[name], part) for part in ("width", cost, "test accuracy")]
            errors = [100 * (1 - np.mean(each)) for each in values[2]]
            ax.loglog(values[1], errors, line, color=color, marker=marker, ms=5, label=name)
            for i, (width, x) in enumerate(zip(*values[:2], strict=True)):
                if i % 2 == 0:
                    place, align = ((-7, -3), "right") if name == "LDL" else ((2, -13), "left")
                    if width > 2048:
                        place, align = (0, 7 if name == "LDL" else -14), "center"
                    ax.annotate(f"{width:,}", (x, errors[i]), xytext=place, textcoords="offset points", ha=align,
                                fontsize=8, color=color)  # fmt: skip
        ax.set_xlim(min(values[1]) / 4, None)
        ax.set_ylim(13, 2.7)
        ax.set_yticks([10, 7, 5, 4, 3], ["90", "93", "95", "96", "97"])
        ax.set_yticks([], minor=True)
        ax.set(xlabel=label)
    axes[0].set(ylabel="test accuracy in %, MNIST, 10,000 images")


#: Picture -> the script whose figures it is of.
PICTURES = {
    "scaling": "scaling", "speedup": "scaling", "memory": "peers", "loss": "loss", "pareto": "accuracy",
    "widths": "widths",
}  # fmt: skip
DRAWN = {"scaling": scaling, "speedup": speedup, "memory": memory, "loss": loss, "pareto": pareto, "widths": widths}


def draw(name, found, dark):
    """A figure of a script's tables, for a light or a dark background."""
    ink, paper = ("#e6edf3", "#0d1117") if dark else ("#1f2328", "#ffffff")
    style = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), ink)
    style |= dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor"), paper)
    with plt.rc_context({**style, "legend.edgecolor": ink}):
        n, size = {"pareto": (2, (11, 6)), "widths": (2, (9, 4.2))}.get(name, (1, (7.2, 4.4)))
        figure, axes = plt.subplots(1, n, figsize=size, layout="constrained", sharey=True)
        for ax in np.ravel(axes):
            ax.grid(color=ink, alpha=0.15)
        DRAWN[name](found, axes, paper)
        if name != "pareto":
            np.ravel(axes)[0].legend(fontsize=9)
    return figure
