"""Fits and predictions on a GPU, which `gpu.py` runs and writes down: epochs, memory, the host's part, launches."""

import contextlib
import gc
import itertools
import time
import warnings

import numpy as np

from ldlrpp import LDLClassifier, MixedClassifier, RPPClassifier
from ldlrpp.kernels import backend

cuda = backend.cuda()
xp, SIMULATED = cuda.memory.xp, cuda.compiling.SIMULATED
# Rows and columns of MNIST, or next to none in the simulator.
ROWS, COLUMNS = (6, 5) if SIMULATED else (60_000, 784)
# Networks, rows of a batch, and the seconds of an epoch that were wanted.
FITS = (
    ("LDL", (4096, 4096), {}, 1024, 0.15),
    ("LDL", (1024, 1024), {}, 200, 0.36),
    ("LDL", (1024, 1024), {}, 2048, 0.1),
    ("LDL", (1024, 1024), {"radix": 32}, 2048, None),
    ("RPP", (8192, 8192), {"n_permutations": 64}, 1024, None),
    ("dense", (1024, 1024), {}, 200, None),
    ("dense", (1024, 1024), {}, 2048, None),
    ("dense", (4096, 4096), {}, 1024, None),
    ("dense", (8192, 8192), {}, 1024, None),
)
_EPOCHS = 1 if SIMULATED else 5


def estimator(kind, widths, options, batch, **others):
    others = {"batch_size": batch, "random_state": 0, "max_iter": 1, "device": "cuda", **others}
    if kind == "dense":
        return MixedClassifier([("dense", width) for width in widths], **others)
    return (LDLClassifier if kind == "LDL" else RPPClassifier)(widths, **options, **others)


def images(rows=None):
    """Random numbers in the place of MNIST's: what they are does not change what a step takes."""
    rng = np.random.default_rng(0)
    rows = ROWS if rows is None else rows
    return rng.random((rows, COLUMNS), dtype=np.float32), rng.integers(10, size=rows)


def seconds(function):
    start = time.perf_counter()
    function()
    cuda.memory.synchronize()
    return time.perf_counter() - start


def peak_bytes(function):
    """What CuPy has taken of the GPU's memory when a function is done: it gives none of it back."""
    if SIMULATED:
        function()
        return 0
    pool = xp.get_default_memory_pool()
    gc.collect()
    pool.free_all_blocks()
    before = pool.total_bytes()
    function()
    return pool.total_bytes() - before


def time_fits():
    """Seconds of an epoch, of a whole first one, and memory; data come from the host once, before."""
    warnings.simplefilter("ignore")
    X, y = images()
    for kind, widths, options, batch, wanted in FITS if not SIMULATED else [("LDL", (4,), {}, 4, None)]:
        model = estimator(kind, widths, options, batch)
        model.fit(X[: 2 * batch], y[: 2 * batch])  # compiles
        bytes_taken = peak_bytes(lambda model=model: model.fit(X, y))
        first = seconds(lambda model=model: model.fit(X, y))
        model.set_params(max_iter=1 + _EPOCHS)
        row = {
            "network": f"{kind} {widths} {options or ''}".strip(), "batch": batch, "parameters": model.n_parameters_,
            "epoch_seconds": (seconds(lambda model=model: model.fit(X, y)) - first) / _EPOCHS,
            "wanted_seconds": wanted, "first_epoch_seconds": first, "peak_bytes": bytes_taken,
        }  # fmt: skip
        row["torch_epoch_seconds"] = torch_epoch(X, y, widths, batch) if kind == "dense" else None
        yield row


def torch_epoch(X, y, widths, batch):
    """Seconds of an epoch of the same dense network in PyTorch, data on the GPU; None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    if SIMULATED or not torch.cuda.is_available():
        return None
    sizes = [X.shape[1], *widths, 10]
    layers = [layer for n, m in itertools.pairwise(sizes) for layer in (torch.nn.Linear(n, m), torch.nn.ReLU())][:-1]
    network = torch.nn.Sequential(*layers).cuda()
    optimizer = torch.optim.Adam(network.parameters(), 0.004, fused=True)
    inputs, labels = torch.from_numpy(X).cuda(), torch.from_numpy(y).cuda()

    def epoch():
        for rows in torch.randperm(len(inputs), device="cuda").split(batch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(inputs[rows]), labels[rows]).backward()
            optimizer.step()
        torch.cuda.synchronize()

    epoch()
    return min(seconds(epoch) for _ in range(3))


def time_predictions():
    """Rows a second of LDL (1024, 1024) from the GPU and from the host, and of one row; 20 million were wanted."""
    X, y = images()
    model = estimator("LDL", (4,) if SIMULATED else (1024, 1024), {}, 4 if SIMULATED else 2048).fit(X, y)
    row = {}
    there = X if SIMULATED else xp.concatenate([cuda.memory.put(X)] * 20)
    for name, inputs in (("rows_a_second", there), ("rows_a_second_from_host", X)):
        model.predict(inputs)
        row[name] = len(inputs) / min(seconds(lambda inputs=inputs: model.predict(inputs)) for _ in range(3))
    row["one_row_seconds"] = min(seconds(lambda: model.predict(X[:1])) for _ in range(20 if not SIMULATED else 1))
    yield row


def time_host():
    """Seconds that the host takes for a step: of batches so small that the GPU waits for it."""
    X, y = images(6 if SIMULATED else 8 * 500)
    for kind, widths in [("LDL", (4,))] if SIMULATED else [("LDL", (1024, 1024)), ("RPP", (1000, 1000))]:
        model = estimator(kind, widths, {}, 8).fit(X, y)
        first = seconds(lambda model=model: model.fit(X, y))
        more = seconds(lambda model=model: model.set_params(max_iter=2).fit(X, y))
        yield {"network": f"{kind} {widths}", "batch": 8, "step_seconds": (more - first) / (len(X) / 8)}


# --- What is counted -------------------------------------------------------------------------------------------------


class _Counter:
    """Counts what is launched, in place of doing it: kernels, cuBLAS's products, memory that is filled with zeros."""

    def __init__(self):
        self.n = dict.fromkeys(("launches", "products", "fills"), 0)

    def launch(self, kernel, blocks, threads, *arguments, shared=0):
        self.n["launches"] += bool(np.prod(blocks))

    def gemm(self, a, b, out, adds=False):
        self.n["products"] += 1

    def zeros(self, shape, dtype):
        self.n["fills"] += 1
        return np.zeros(shape, dtype)

    @contextlib.contextmanager
    def counting(self):
        from ldlrpp.kernels.cuda import columns, elementwise, ldl, losses, permutations, rpp, sums

        replaced = [
            (module, name)
            for module in (columns, elementwise, ldl, losses, permutations, rpp, sums, cuda.dense, cuda.memory)
            for name in ("launch", "gemm", "zeros")
            if hasattr(module, name)
        ]
        kept = [(module, name, getattr(module, name)) for module, name in (*replaced, (cuda.memory, "empty"))]
        for module, name in replaced:
            setattr(module, name, getattr(self, name))
        cuda.memory.empty = np.zeros  # of what is never computed
        try:
            yield self.n
        finally:
            for module, name, function in kept:
                setattr(module, name, function)


def count_launches():
    """Launches of a step, counted without a GPU: ``NUMBA_ENABLE_CUDASIM=1 python benchmarks/gpu.py --launches``.

    Radices above 4 are not counted: their products are CuPy's own.
    """
    warnings.simplefilter("ignore")
    for kind, widths, options, batch, _ in FITS:
        if "radix" in options:
            continue
        found = []
        X, y = np.zeros((20 * batch, 784), np.float32), np.resize(np.arange(10), 20 * batch)
        # an epoch, and three: the difference is 40 steps
        for n_epochs in (1, 3):
            model = estimator(kind, widths, options, batch, max_iter=n_epochs)
            with _Counter().counting() as n:
                model.fit(X, y)
            found.append(n)
        one, more = found
        network = f"{kind} {widths} {options or ''}".strip()
        yield {"network": network, "batch": batch, **{name: (more[name] - one[name]) / 40 for name in one}}
