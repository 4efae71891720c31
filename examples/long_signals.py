"""For those with long inputs: signals of thousands of samples, whose class is in the whole of them; tables, a picture.

Three kinds of signals, 8 classes each, noise of standard deviation 1:

tones
    Three tones of frequencies that are the class's own, each with a random phase: no sample says anything by itself,
    and the spectrum says it all. Their amplitude is 0.2, and 12.8 / √samples in signals of less than 4096 samples.
echoes
    Noise and, 0.8 times as strong, its copy, shifted round by a lag of the class's own: a relation of far-apart
    positions, and no frequency stands out.
bursts
    A wave train of a sixty-fourth of the length, of a frequency that is the class's own and of amplitude 2, anywhere:
    the class is in a short stretch, which a transform of the whole spreads out.

The noise is white and that of a class is drawn as that of another, nothing drifts, no signal is warped, cut or missing
samples, and all classes are as frequent: this shows which transforms of a whole signal a layer finds, and stands for no
measured signals, least of all for few and clean ones whose class is a shape.

The last of the models gets what somebody who knows such signals would compute: the logarithm of the Fourier spectrum.
Networks train for as many epochs, and go on until they had the seconds of the first one; the picture shows the test
accuracy after every epoch against the seconds of training so far.

Usage: python examples/long_signals.py [--samples 4096] [--signals 8000] [--epochs 15] [--kinds tones echoes bursts]
                                       [--networks ...] [--output long_signals.png]

A quarter of the signals are for testing. At --samples 65536 a dense layer of the signal's width would take 17 GB:
--networks LDL leaves the dense networks out there, and the memory of the process is printed.
"""

import argparse
import resource
import sys
import time
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from fashion_mnist_rpp import n_parameters
from scipy.fft import rfft
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ldlrpp import LDLClassifier, MixedClassifier, kernels, warmup

N_CLASSES = 8
CLASSES = np.arange(N_CLASSES)
# ten rounds of boosted trees at 4,096 samples took more than two minutes
TREES_UP_TO = 1024
COLORS = "#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#cc79a7", "#999999", "#555555", "#000000", "#009e73"


def tones(x, labels, rng):
    """Adds three tones of random phases to every signal."""
    angles = 2 * np.pi * np.arange(x.shape[1]) / x.shape[1]
    amplitude = max(0.2, 12.8 / np.sqrt(x.shape[1]))
    for label in CLASSES:
        waves = rng.uniform(1, x.shape[1] / 2, (3, 1)) * angles
        rows = np.flatnonzero(labels == label)
        phases = rng.uniform(0, 2 * np.pi, (len(rows), 3))
        both = np.hstack([np.sin(phases), np.cos(phases)]) @ np.vstack([np.cos(waves), np.sin(waves)])
        x[rows] += (amplitude * both).astype(x.dtype)


def echoes(x, labels, rng):
    """Adds to every signal its shifted copy."""
    for label, lag in enumerate(rng.integers(x.shape[1] // 16, x.shape[1] // 2, N_CLASSES)):
        rows = np.flatnonzero(labels == label)
        x[rows] += x.dtype.type(0.8) * np.roll(x[rows], lag, axis=1)


def bursts(x, labels, rng):
    """Adds a short wave train to every signal."""
    length = x.shape[1] // 64
    frequencies = rng.uniform(0.05, 0.45, N_CLASSES)
    for row, label in zip(x, labels, strict=True):
        start = rng.integers(len(row) - length)
        angles = 2 * np.pi * (frequencies[label] * np.arange(length) + rng.random())
        row[start : start + length] += (2 * np.sin(angles)).astype(x.dtype)


KINDS = {"tones": tones, "echoes": echoes, "bursts": bursts}


def signals(kind, n_signals, n_samples, seed=0):
    """Signals (n_signals, n_samples) and their labels."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_signals, n_samples), dtype=np.float32)
    labels = rng.permutation(np.arange(n_signals) % N_CLASSES)
    KINDS[kind](x, labels, rng)
    return x, labels


def networks(n_samples):
    """What is trained epoch by epoch, by name, the first one being what the others are measured against."""
    n_parameters = kernels.ldl_n_parameters(1 << (n_samples - 1).bit_length()) + (n_samples + 1) * N_CLASSES
    width = n_parameters // (n_samples + N_CLASSES + 1)
    return {
        "LDL, Hadamard": LDLClassifier((n_samples,), init="hadamard", random_state=0),
        "LDL, orthogonal": LDLClassifier((n_samples,), init="orthogonal", random_state=0),
        f"dense {width}": MixedClassifier([("dense", width)], random_state=0),
        "dense 64, 64": MixedClassifier([("dense", 64), ("dense", 64)], random_state=0),
        "dense 256, 256": MixedClassifier([("dense", 256), ("dense", 256)], random_state=0),
        "MLPClassifier 64, 64": MLPClassifier((64, 64), random_state=0),
    }


def others(n_samples):
    """What is fitted in one go."""
    found = {"logistic regression, samples": LogisticRegression(max_iter=200)}
    if n_samples <= TREES_UP_TO:
        found["boosted trees, samples"] = HistGradientBoostingClassifier(max_iter=10, random_state=0)
    spectrum = FunctionTransformer(lambda x: np.log(np.abs(rfft(x)) + 1e-6))
    found["logistic regression, log spectrum"] = make_pipeline(spectrum, StandardScaler(), LogisticRegression())
    return found


def train(model, data, n_epochs, seconds):
    """Seconds of training so far and test accuracy, after every epoch."""
    x, y, x_test, y_test = data
    curve, spent = [], 0.0
    while len(curve) < n_epochs or spent < seconds:
        start = time.perf_counter()
        model.partial_fit(x, y, classes=CLASSES)
        spent += time.perf_counter() - start
        curve.append((spent, model.score(x_test, y_test)))
    return np.array(curve)


def compare(kind, options):
    """Curves by model; prints the table."""
    x, y = signals(kind, options.signals, options.samples)
    n_train = options.signals * 3 // 4
    data = x[:n_train], y[:n_train], x[n_train:], y[n_train:]
    print(f"\n{kind}: {n_train:,} signals of {options.samples:,} samples to train, {len(y) - n_train:,} to test")
    print(f"{'':<36}{'parameters':>12}{'seconds':>10}{'accuracy':>10}{'best epoch':>12}")
    curves, seconds = {}, 0.0
    for name, model in networks(options.samples).items():
        if any(name.startswith(wanted) for wanted in options.networks):
            curves[name] = train(model, data, options.epochs, seconds)
            seconds = seconds or curves[name][-1, 0]
            show(name, model, curves[name])
    if sys.platform != "darwin":
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # of KiB
        print(f"peak memory of the process so far: {peak:.2f} GB, of which signals {x.nbytes / 1e9:.2f} GB")
    if options.samples > TREES_UP_TO:
        print(f"boosted trees are left out: they look at every sample of every signal, {TREES_UP_TO:,} at most here")
    for name, model in others(options.samples).items():
        start = time.perf_counter()
        model.fit(*data[:2])
        curves[name] = np.array([(time.perf_counter() - start, model.score(*data[2:]))])
        show(name, model, curves[name])
    return curves


def show(name, model, curve):
    best = f"{curve[:, 1].max():>12.3f}" if len(curve) > 1 else ""
    size = n_parameters(model[-1] if hasattr(model, "steps") else model)
    size = "" if size is None else f"{size:,}"
    print(f"{name:<36}{size:>12}{curve[-1, 0]:>10.1f}{curve[-1, 1]:>10.3f}{best}", flush=True)


def draw(results, n_samples, path):
    figure, axes = plt.subplots(
        1, len(results), figsize=(4.5 * len(results), 5), sharey=True, squeeze=False, layout="constrained"
    )
    names = list(dict.fromkeys(name for curves in results.values() for name in curves))
    colors = dict(zip(names, COLORS, strict=False))
    for ax, (kind, curves) in zip(axes[0], results.items(), strict=True):
        for name, curve in curves.items():
            style = {"marker": "D", "linestyle": ""} if len(curve) == 1 else {"linewidth": 3 if "LDL" in name else 1.5}
            ax.plot(*curve.T, color=colors[name], label=name, **style)
        ax.axhline(1 / N_CLASSES, color="#999999", linewidth=1, linestyle=":")
        ax.set(xscale="log", xlabel="seconds of training", title=kind, ylim=(0, 1.03))
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel(f"test accuracy, signals of {n_samples:,} samples")
    handles = {label: h for ax in axes[0] for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=4096, help="samples of a signal (default: %(default)s)")
    parser.add_argument("--signals", type=int, default=8000, help="for training and testing (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=15, help="default: %(default)s")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--networks", nargs="+", default=[""], help="beginnings of the names of networks to train")
    parser.add_argument("--output", type=Path, default=Path("long_signals.png"))
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warmup(np.float32)
    results = {kind: compare(kind, options) for kind in options.kinds}
    draw(results, options.samples, options.output)
    print(f"The picture is in {options.output}")


if __name__ == "__main__":
    main()
