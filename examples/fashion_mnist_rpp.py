"""RPP on Fashion-MNIST: nearly as good as a wide dense network, from a sixtieth of its parameters.

Trains five networks by Adam, prints a table and draws their training losses:

    RPP            two relu layers of width 1000, each 10 columns of weights seen through 100 permutations
    RPP, no bias   the same, without biases in the hidden layers
    dense 1000     two dense relu layers of width 1000 (scikit-learn's MLPClassifier, like those that follow)
    dense 10       two dense relu layers of width 10
    softmax        no hidden layer

Usage: python examples/fashion_mnist_rpp.py [--data FILE_OR_FOLDER] [--epochs 30] [--output fashion_mnist_rpp.png]
"""

import argparse
import gzip
import http.client
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import fetch_openml, get_data_home, load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from ldlrpp import RPPClassifier


def networks():
    """The five classifiers, by name. None has weight decay: what is compared is how well they can fit."""
    common = {"alpha": 0.0, "learning_rate_init": 0.001, "random_state": 0}
    # the layer as it was first written down, trained as the others are
    rpp = {"n_permutations": 100, "signs": False, "average": False, **common}
    return {
        "RPP": RPPClassifier((1000, 1000), **rpp),
        "RPP, no bias": RPPClassifier((1000, 1000), bias="none", **rpp),
        "dense 1000": MLPClassifier((1000, 1000), **common),
        "dense 10": MLPClassifier((10, 10), **common),
        "softmax": MLPClassifier((), **common),
    }


def n_parameters(model):
    """Number of parameters of a network or a linear model, None where there is no saying."""
    if hasattr(model, "n_parameters_"):
        return model.n_parameters_
    if hasattr(model, "coefs_"):
        return sum(array.size for array in model.coefs_ + model.intercepts_)
    return int(model.coef_.size + np.size(model.intercept_)) if hasattr(model, "coef_") else None


def train(name, network, X, y, epochs):
    """Train for some epochs, an epoch at a time; return seconds per epoch."""
    classes = np.unique(y)
    clone(network).partial_fit(X[:400], y[:400], classes=classes)  # compiles what needs compiling
    seconds = 0.0
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        network.partial_fit(X, y, classes=classes)
        seconds += time.perf_counter() - start
        if sys.stdout.isatty() or epoch % 10 == 0 or epoch == epochs:
            line = f"{name}: epoch {epoch}/{epochs}, loss {network.loss_:.3f}, {seconds / epoch:.2f} s per epoch"
            last = epoch == epochs or not sys.stdout.isatty()
            print(f"{line:<70}", end="\n" if last else "\r", flush=True)
    return seconds / epochs


def load(path):
    """Name of the data, then training and test images as rows of float32 from 0 to 1 with their labels."""
    if path is None:
        name, arrays = fetch()
    elif path.is_dir():
        name, arrays = path.name, read_idx(path)
    else:
        with np.load(path) as file:
            name, arrays = path.stem, [file[key] for key in ("x_train", "y_train", "x_test", "y_test") if key in file]
    scale = np.float32(1 / arrays[0].max())
    images = [(a.reshape(len(a), -1) * scale).astype(np.float32) for a in arrays[::2]]
    labels = arrays[1::2]
    if len(images) == 1:
        X_train, X_test, y_train, y_test = train_test_split(
            images[0], labels[0], test_size=0.17, stratify=labels[0], random_state=0
        )
        return name, X_train, y_train, X_test, y_test
    return name, images[0], labels[0], images[1], labels[1]


def fetch():
    """Fashion-MNIST from OpenML or its cache, or scikit-learn's digits where that cannot be had within seconds."""
    try:
        if not reachable("https://www.openml.org") and not Path(get_data_home(), "openml").exists():
            raise OSError("no answer from www.openml.org")
        socket.setdefaulttimeout(10)
        X, y = fetch_openml("Fashion-MNIST", version=1, return_X_y=True, as_frame=False, n_retries=0)
    except Exception as error:
        print(f"Fashion-MNIST could not be fetched ({error}): using scikit-learn's digits. --data takes a local file.")
        X, y = load_digits(return_X_y=True)
        return "scikit-learn's digits", [X, y]
    finally:
        socket.setdefaulttimeout(None)
    y = y.astype(int)
    return "Fashion-MNIST", [X[:60000], y[:60000], X[60000:], y[60000:]]


def reachable(url, seconds=4):
    """Whether a server answers within some seconds, by way of a proxy if there is one, slow name servers included."""
    answered = threading.Event()

    def ask():
        try:
            urllib.request.urlopen(url, timeout=seconds).close()
        except urllib.error.HTTPError as error:
            error.close()  # an answer all the same
        except (OSError, http.client.HTTPException):
            return
        answered.set()

    threading.Thread(target=ask, daemon=True).start()
    return answered.wait(seconds)


def read_idx(folder):
    """The arrays of a folder with the four IDX files of MNIST or Fashion-MNIST, gzipped or not."""
    arrays = []
    for part in ("train-images", "train-labels", "t10k-images", "t10k-labels"):
        matches = sorted(folder.glob(f"{part}*ubyte*"))
        if not matches:
            raise SystemExit(f"no file {part}*-ubyte[.gz] in {folder}")
        content = matches[0].read_bytes()
        content = gzip.decompress(content) if matches[0].suffix == ".gz" else content
        n_axes = content[3]
        shape = np.frombuffer(content, ">i4", n_axes, offset=4)
        arrays.append(np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes).reshape(shape))
    return arrays


def draw(curves, title, path):
    """Draw one labelled line of training losses for every network."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    styles = ["-", "--", "-", "-", "-"]
    colors = ["#0072b2", "#56b4e9", "#222222", "#d55e00", "#999999"]
    for (label, curve), style, color in zip(curves.items(), styles, colors, strict=True):
        axes.plot(range(1, len(curve) + 1), curve, style, color=color, linewidth=2, label=label)
    axes.set(xlabel="epoch", ylabel="training loss (cross-entropy)", title=title)
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.margins(x=0.01)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="npz with x_train, y_train[, x_test, y_test], or folder of IDX files")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--output", type=Path, default=Path("fashion_mnist_rpp.png"))
    options = parser.parse_args()

    data, X_train, y_train, X_test, y_test = load(options.data)
    print(f"{data}: {len(X_train)} training and {len(X_test)} test images of {X_train.shape[1]} pixels")
    rows, curves = [], {}
    for name, network in networks().items():
        seconds = train(name, network, X_train, y_train, options.epochs)
        curve = network.loss_curve_
        size = n_parameters(network)
        curves[f"{name} ({size:,} parameters)"] = curve
        rows.append((name, f"{size:,}", curve[0], curve[-1], network.score(X_test, y_test), seconds))

    last = f"loss, epoch {options.epochs}"
    print(f"\n{'network':<14}{'parameters':>12}{'loss, epoch 1':>16}{last:>16}{'test accuracy':>16}{'s / epoch':>12}")
    for name, size, first_loss, last_loss, accuracy, seconds in rows:
        print(f"{name:<14}{size:>12}{first_loss:>16.3f}{last_loss:>16.3f}{accuracy:>16.3f}{seconds:>12.2f}")
    draw(curves, f"Training loss on {data}", options.output)
    print(f"\nThe picture is in {options.output}")


if __name__ == "__main__":
    main()
