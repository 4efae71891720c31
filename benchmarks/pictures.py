"""What `report.py` draws of measured figures, for light and for dark backgrounds, readable without colour."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from ldlrpp.estimators.scaling import scaling_exponent

# Logarithms of the widths between which exponents are fitted: narrower rows take the time of a call or of a copy.
FITTED = {"LDL, radix 4": (10, 16), "NumPy product": (9, 13), "SciPy rfft": (10, 16)}
LABELS = {"LDL, radix 4": "LDL", "NumPy product": "dense", "SciPy rfft": "FFT (SciPy rfft)"}
STYLES = {"LDL, radix 4": ("#0072b2", "o"), "NumPy product": ("#d55e00", "s"), "SciPy rfft": ("#7f7f7f", "^")}
KEYS = {"forward_ms": ("forward", "-"), "both_ms": ("forward and backward", "--")}


def curve(found, name, key):
    """Widths and microseconds a row."""
    rows = [row for row in found["curves"][name] if key in row]
    return np.array([row["width"] for row in rows]), np.array([1e3 * row[key] / row["rows"] for row in rows])


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
    for name, (color, marker, line) in styles.items():
        points = [
            (int(shape.split("x")[0]), rows[name]["megabytes"])
            for shape, rows in found["shapes"].items()
            if "megabytes" in rows.get(name, {})
        ]
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
    for (name, row), (color, marker, line) in zip(found["networks"].items(), styles, strict=True):
        label = f"{name}: test accuracy {row['accuracy']:.3f}"
        ax.loglog(row["seconds"], row["loss"], line, color=color, marker=marker, ms=4, label=label)
    n = max(len(row["seconds"]) for row in found["networks"].values())
    ax.set(xlabel="seconds of training", ylabel="training loss of an epoch", title=f"{found['data']}, {n} epochs")


#: Picture -> the figures that it is of, and what draws it.
PICTURES = {
    "scaling": ("scaling", scaling),
    "speedup": ("scaling", speedup),
    "memory": ("peers", memory),
    "loss": ("loss", loss),
}


def draw(function, found, dark):
    """A figure, for a light or a dark background."""
    ink, paper = ("#e6edf3", "#0d1117") if dark else ("#1f2328", "#ffffff")
    style = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), ink)
    style |= dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor"), paper)
    with plt.rc_context({**style, "legend.edgecolor": ink}):
        figure, ax = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
        function(found, ax, paper)
        ax.grid(color=ink, alpha=0.15)
        ax.legend(fontsize=9)
    return figure
