"""LDL and RPP beside what others have, each in a process of its own: python benchmarks/peers.py [--json FILE]

Every peer is first compared with ``tests/reference.py``, or with its own definition where that has none of it, on a few
rows in float32, and its gradients with differences of outputs; then timed on as many threads as it takes by itself. One
that is not installed is left out, with the line that installs it: ``pip install ".[peers]"`` has most. Times are
medians of a call, in ms; memory is what calls take at their peak beside the weights, the batch and the gradients of its
outputs. A linear map is one from N inputs to N outputs, with gradients of inputs and weights where there are any; an
epoch is one of 10,000 random rows of 784 numbers, ten classes, two relu layers of 1024, batches of 200, Adam, by
`partial_fit`.
"""

import argparse
import contextlib
import importlib.util
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from record import Record

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import reference

# Width and rows of a batch: 2^21 numbers, or as few rows as a dense matrix of that width leaves time for.
SHAPES = ((1024, 2048), (4096, 512), (16384, 128))
ROWS, INPUTS, WIDTHS = 10_000, 784, (1024, 1024)
# Columns that RPP layers keep: 64 permutations of each.
PERMUTATIONS = 64
_rng = np.random.default_rng(0)


def draw(*shape):
    return _rng.standard_normal(shape, dtype=np.float32)


def close(actual, expected, what):
    error = np.abs(np.asarray(actual, np.float64) - expected).max() / np.abs(expected).max()
    if not error < 1e-4:
        raise SystemExit(f"{what} is wrong: a relative error of {error:.1e}")


class _Linear:
    """A linear map of rows of ``width`` numbers, of a batch and of gradients of its outputs."""

    needs, both = (), None

    def __init__(self, width, batch):
        self.width, self.x, self.grad_y = width, draw(batch, width), draw(batch, width)

    def check_gradients(self):
        """Against what the outputs change by when inputs, or parameters, do; ``gradients`` has each with its own."""
        for array, gradient in self.gradients():
            # small for products of many stages, large for the rounding of float32: both err by some 1e-4
            step = 3e-3 * draw(*array.shape)
            kept, changed = array.copy(), 0.0
            for sign in (1, -1):
                array[...] = kept + sign * step
                changed = changed + sign * np.asarray(self.forward(), np.float64)
            array[...] = kept
            measured, wanted = (changed * self.grad_y).sum() / 2, (step * gradient.astype(np.float64)).sum()
            if abs(measured - wanted) > 1e-3 * np.linalg.norm(step) * np.linalg.norm(gradient) / gradient.size**0.5:
                raise SystemExit(f"a gradient is wrong: {wanted:.6g} instead of {measured:.6g}")


# --- This package ----------------------------------------------------------------------------------------------------


class Ours(_Linear):
    """LDL of radix 4, the estimators' default."""

    radix = 4

    def __init__(self, width, batch):
        super().__init__(width, batch)
        from ldlrpp import kernels

        self.kernels = kernels
        self.parameters = kernels.ldl_init(width, radix=self.radix, random_state=0)
        self.out = np.empty_like(self.x)

    def forward(self):
        return self.kernels.ldl_forward(self.x, *self.parameters, out=self.out)

    def both(self):
        return self.forward(), *self.kernels.ldl_backward(self.grad_y, self.x, *self.parameters[:2])

    def gradients(self):
        return zip((self.x, *self.parameters), self.both()[1:], strict=True)

    def check(self):
        got = self.both()
        weights, scale, bias = (a.astype(np.float64) for a in self.parameters)
        few = self.x[:3].astype(np.float64)
        close(got[0][:3], reference.ldl_forward(few, weights, scale, bias), "LDL")
        wanted = reference.ldl_backward(self.grad_y[:3].astype(np.float64), few, weights, scale)
        close(got[1][:3], wanted[0], "LDL's gradient")


class OursRadix2(Ours):
    """LDL as it was first written down."""

    radix = 2


class OursRPP(_Linear):
    """RPP, permutations kept."""

    def __init__(self, width, batch):
        super().__init__(width, batch)
        from ldlrpp import kernels

        self.kernels, n = kernels, width // PERMUTATIONS
        self.hidden = kernels.rpp_init(width, n, random_state=0)
        self.permutation = kernels.rpp_permutation(width, n, PERMUTATIONS, 0)
        self.options = {"n_permutations": PERMUTATIONS, "seed": 0, "permutation": self.permutation}

    def forward(self):
        return self.kernels.rpp_forward(self.x, self.hidden, **self.options)

    def both(self):
        return self.forward(), *self.kernels.rpp_backward(self.grad_y, self.x, self.hidden, **self.options)

    def gradients(self):
        return zip((self.x, self.hidden), self.both()[1:3], strict=True)

    def check(self):
        signs = np.ones(self.permutation.shape)
        few, hidden = self.x[:3].astype(np.float64), self.hidden.astype(np.float64)
        close(self.forward()[:3], reference.rpp_forward(few, hidden, self.permutation, signs), "RPP")


# --- NumPy and SciPy -------------------------------------------------------------------------------------------------


class NumpyProduct(_Linear):
    """NumPy's product with a dense matrix."""

    def __init__(self, width, batch):
        super().__init__(width, batch)
        self.weights, self.out = draw(width, width), np.empty_like(self.x)

    def forward(self):
        return np.matmul(self.x, self.weights.T, out=self.out)

    def both(self):
        return self.forward(), self.grad_y @ self.weights, self.grad_y.T @ self.x

    def gradients(self):
        return zip((self.x, self.weights), self.both()[1:], strict=True)

    def check(self):
        few, weights = self.x[:3].astype(np.float64), self.weights.astype(np.float64)
        close(self.forward()[:3], reference.dense_forward(few, weights, 0.0), "the product")


class ScipyRfft(_Linear):
    """SciPy's FFT of real rows."""

    def forward(self):
        from scipy.fft import rfft

        return rfft(self.x, workers=-1)

    def check(self):
        k = np.arange(3)[:, None] * np.arange(self.width) * (-2j * np.pi / self.width)
        close(np.abs(self.forward()[:3, :3]), np.abs(self.x[:3] @ np.exp(k).T), "rfft")


class ScipyDct(_Linear):
    """SciPy's cosine transform."""

    def forward(self):
        from scipy.fft import dct

        return dct(self.x, workers=-1)

    def check(self):
        angles = np.arange(3)[:, None] * (np.arange(self.width) + 0.5) * (np.pi / self.width)
        close(self.forward()[:3, :3], 2 * self.x[:3].astype(np.float64) @ np.cos(angles).T, "dct")


class Ffht(_Linear):
    """FFHT, a Walsh-Hadamard transform in C with AVX, which is in place: of a copy of the rows."""

    needs = ("ffht",)

    def __init__(self, width, batch):
        super().__init__(width, batch)
        self.out = np.empty_like(self.x)

    def forward(self):
        import ffht

        np.copyto(self.out, self.x)
        ffht.fht_(self.out, os.cpu_count())
        return self.out

    def check(self):
        from scipy.linalg import hadamard

        close(self.forward()[:3], self.x[:3].astype(np.float64) @ hadamard(self.width), "FFHT")


# --- PyTorch ---------------------------------------------------------------------------------------------------------


class _Torch(_Linear):
    needs = ("torch",)

    def __init__(self, width, batch):
        super().__init__(width, batch)
        import torch

        self.torch = torch
        self.tensor, self.gradient = torch.from_numpy(self.x).requires_grad_(), torch.from_numpy(self.grad_y)

    def forward(self):
        with self.torch.no_grad():
            return self.map(self.tensor)

    def both(self):
        # new gradients, none that are added to
        for array in (self.tensor, *self.trained()):
            array.grad = None
        self.map(self.tensor).backward(self.gradient)

    def gradients(self):
        self.both()
        return [(each.detach().numpy(), each.grad.numpy()) for each in (self.tensor, *self.trained())]

    def trained(self):
        return self.map.parameters() if isinstance(self.map, self.torch.nn.Module) else [self.shared]

    def few(self):
        return self.forward()[:3].numpy(), self.x[:3].astype(np.float64)


class TorchLinear(_Torch):
    """PyTorch's dense layer."""

    def __init__(self, width, batch):
        super().__init__(width, batch)
        self.map = self.torch.nn.Linear(width, width)

    def check(self):
        y, x = self.few()
        weights, bias = (p.detach().numpy().astype(np.float64) for p in (self.map.weight, self.map.bias))
        close(y, reference.dense_forward(x, weights, bias), "nn.Linear")


class TorchRfft(_Torch):
    """PyTorch's FFT of real rows."""

    both = None

    def map(self, x):
        return self.torch.fft.rfft(x)

    def check(self):
        k = np.arange(3)[:, None] * np.arange(self.width) * (-2j * np.pi / self.width)
        close(np.abs(self.forward()[:3, :3].numpy()), np.abs(self.x[:3] @ np.exp(k).T), "torch.fft.rfft")


class TorchButterfly(_Torch):
    """torch-structured's learned butterfly."""

    needs = ("torch", "torch_structured", "triton")

    def __init__(self, width, batch):
        super().__init__(width, batch)
        from torch_structured import Butterfly

        self.map = Butterfly(width, width, bias=False, increasing_stride=False, init="ortho")

    def check(self):
        y, x = self.few()
        twiddle = self.map.twiddle.detach().numpy().astype(np.float64)
        close(y, reference.butterfly(x, twiddle[0, 0]), "torch-structured's butterfly")


class TorchRPP(_Torch):
    """RPP as one writes it in PyTorch: the wide matrix is gathered for every batch."""

    def __init__(self, width, batch):
        super().__init__(width, batch)
        torch, n = self.torch, width // PERMUTATIONS
        self.shared = torch.nn.Parameter(torch.from_numpy(draw(width, n)))
        orders = np.argsort(_rng.random((PERMUTATIONS, width, n), np.float32), axis=1)
        self.orders = torch.from_numpy(orders)

    def map(self, x):
        wide = self.shared.expand(PERMUTATIONS, -1, -1).gather(1, self.orders)
        return x @ wide.transpose(0, 1).reshape(self.width, -1)

    def check(self):
        y, x = self.few()
        hidden, orders = self.shared.detach().numpy().astype(np.float64), self.orders.numpy()
        close(y, reference.rpp_forward(x, hidden, orders, np.ones(orders.shape)), "RPP in PyTorch")


class TorchHashed(_Torch):
    """HashedNets' layer as published (Chen et al. 2015): weights, with signs, shared by a hash of their place."""

    def __init__(self, width, batch):
        super().__init__(width, batch)
        torch, n = self.torch, width * width // PERMUTATIONS
        self.shared = torch.nn.Parameter(torch.from_numpy(draw(n)))
        self.places = torch.from_numpy(_rng.integers(n, size=(width, width)))
        self.signs = torch.from_numpy(_rng.choice(np.array([-1, 1], np.float32), (width, width)))

    def map(self, x):
        return x @ (self.shared[self.places] * self.signs)

    def check(self):
        y, x = self.few()
        wide = self.shared.detach().numpy().astype(np.float64)[self.places.numpy()] * self.signs.numpy()
        close(y, x @ wide, "HashedNets' layer")


class Lazylinop(_Linear):
    """lazylinop's Kronecker-sparse factors, the stages of LDL of radix 2."""

    needs = ("lazylinop", "psutil")

    def __init__(self, width, batch):
        super().__init__(width, batch)
        from lazylinop.butterfly import ksm

        from ldlrpp import kernels

        self.weights = kernels.ldl_init(width, random_state=0)[0]
        factors = []
        for s, (own, other) in enumerate(self.weights):
            h = width >> (s + 1)
            own, other = own.reshape(-1, 2, h), other.reshape(-1, 2, h)
            values = np.empty((width // (2 * h), 2, 2, h), np.float32)
            for j in range(2):
                values[:, j, j], values[:, j, 1 - j] = own[:, j], other[:, j]
            factors.append(values)
        self.map, self.columns = ksm(factors[::-1]), np.ascontiguousarray(self.x.T)

    def forward(self):
        return self.map @ self.columns

    def check(self):
        ones, zeros = np.ones(self.width), np.zeros(self.width)
        wanted = reference.ldl_forward(self.x[:3].astype(np.float64), self.weights.astype(np.float64), ones, zeros)
        close(self.forward()[:, :3].T, wanted, "lazylinop's product")


LINEAR = {
    "LDL, radix 4": Ours,
    "LDL, radix 2": OursRadix2,
    "RPP, k = 64": OursRPP,
    "NumPy product": NumpyProduct,
    "SciPy rfft": ScipyRfft,
    "SciPy dct": ScipyDct,
    "FFHT, of a copy": Ffht,
    "PyTorch nn.Linear": TorchLinear,
    "PyTorch rfft": TorchRfft,
    "torch-structured Butterfly": TorchButterfly,
    "lazylinop ksm": Lazylinop,
    "PyTorch RPP, k = 64": TorchRPP,
    "PyTorch HashedNets, 1/64": TorchHashed,
}


# --- Whole networks --------------------------------------------------------------------------------------------------


def ldl_network():
    from ldlrpp import LDLClassifier

    return LDLClassifier(WIDTHS, random_state=0)


def rpp_network():
    from ldlrpp import RPPClassifier

    return RPPClassifier(WIDTHS, n_permutations=PERMUTATIONS, random_state=0)


def dense_network():
    from ldlrpp import MixedClassifier

    return MixedClassifier([("dense", width) for width in WIDTHS], random_state=0)


def scikit_network():
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(WIDTHS, random_state=0)


def skorch_network():
    import torch
    from skorch import NeuralNetClassifier

    class Net(torch.nn.Sequential):
        def __init__(self):
            sizes = (INPUTS, *WIDTHS)
            hidden = [[torch.nn.Linear(n, m), torch.nn.ReLU()] for n, m in itertools.pairwise(sizes)]
            super().__init__(*(layer for pair in hidden for layer in pair), torch.nn.Linear(sizes[-1], 10))

    return NeuralNetClassifier(
        Net, criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam, max_epochs=1, batch_size=200,
        train_split=None, verbose=0, iterator_train__shuffle=True,
    )  # fmt: skip


NETWORKS = {
    "LDLClassifier": (ldl_network, ()),
    "RPPClassifier, k = 64": (rpp_network, ()),
    "MixedClassifier, dense": (dense_network, ()),
    "scikit-learn MLPClassifier": (scikit_network, ()),
    "skorch, the same dense net": (skorch_network, ("torch", "skorch")),
}


def epoch(make):
    """Seconds of an epoch, after one that compiles or warms up."""
    model = make()
    X, y = draw(ROWS, INPUTS), _rng.integers(10, size=ROWS)
    options = {} if type(model).__module__.startswith("skorch") else {"classes": np.arange(10)}
    model.partial_fit(X[:2000], y[:2000], **options)
    return median(lambda: model.partial_fit(X, y, **options), 3)


# --- Measuring -------------------------------------------------------------------------------------------------------


def median(function, repeats=None):
    """Seconds of a call."""
    function()
    start = time.perf_counter()
    function()
    once = time.perf_counter() - start
    repeats = repeats or int(min(50, max(3, 2 / once)))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def forget_peak():
    """Let the peak of the process be what it takes now, where Linux does that: not what compiling and checks took."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes():
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(name, width, batch):
    """What one peer takes, in this process."""
    warnings.simplefilter("ignore")
    if name in NETWORKS:
        return {"epoch_seconds": epoch(NETWORKS[name][0])}
    small = LINEAR[name](256, 8)
    small.check()
    if small.both is not None:
        small.check_gradients()
    peer = LINEAR[name](width, batch)
    forget_peak()
    before = peak_bytes()
    found = {"forward_ms": 1e3 * median(peer.forward)}
    if peer.both is not None:
        found["both_ms"] = 1e3 * median(peer.both)
    return {**found, "megabytes": (peak_bytes() - before) / 1e6}


# Where the name of the package is another one; this one builds where pybind11 and setuptools are installed before.
INSTALLED_BY = {"ffht": "--no-build-isolation ffht-unofficial"}


def missing(name):
    """Packages that a peer wants and that are not installed."""
    needs = NETWORKS[name][1] if name in NETWORKS else LINEAR[name].needs
    return [module for module in needs if importlib.util.find_spec(module) is None]


def in_its_own_process(name, width=0, batch=0):
    command = [sys.executable, __file__, "--peer", name, "--width", str(width), "--batch", str(batch)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    Record.argument(parser)
    parser.add_argument("--only", nargs="*", default=[""], help="what the peers' names begin with")
    parser.add_argument("--shapes", nargs="*", default=[f"{n}x{b}" for n, b in SHAPES], help="width x batch")
    for option in ("peer", "width", "batch"):
        parser.add_argument(f"--{option}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        print(json.dumps(measure(options.peer, int(options.width), int(options.batch))))
        return
    shapes = [tuple(map(int, shape.split("x"))) for shape in options.shapes]
    names = [name for name in (*LINEAR, *NETWORKS) if name.startswith(tuple(options.only))]
    for name in names:
        if packages := missing(name):
            wanted = (INSTALLED_BY.get(package, package.replace("_", "-")) for package in packages)
            print(f"{name} is left out: pip install {' '.join(wanted)}")
    names = [name for name in names if not missing(name)]
    record = Record(options)
    for width, batch in shapes:
        add = record.table(
            f"N = {width:,}, {batch:,} rows", "", "forward ms", "and backward ms", "forward / LDL", "both / LDL", "MB"
        )
        ours = None
        for name in names:
            if name in LINEAR:
                row = in_its_own_process(name, width, batch)
                ours = ours or row
                times = [row.get(key) for key in ("forward_ms", "both_ms")]
                ratios = [row[key] / ours[key] if key in row else None for key in ("forward_ms", "both_ms")]
                add(f"{name} (failed)" if "failed" in row else name, *times, *ratios, row.get("megabytes"))
                if "failed" in row:
                    print(row["failed"])
    add = record.table("networks", "", "s an epoch of 10,000 rows")
    for name in names:
        if name in NETWORKS:
            row = in_its_own_process(name)
            add(f"{name} (failed)" if "failed" in row else name, row.get("epoch_seconds"))
            if "failed" in row:
                print(row["failed"])


if __name__ == "__main__":
    main()
