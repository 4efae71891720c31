"""Faults, many of them: python benchmarks/faults.py [--only kills ...] [--json FILE]

What the tests try a few times: processes killed in the middle of a fit with a checkpoint, checkpoints that were
changed, Ctrl-C at random moments, calls with arguments that are wrong in every way, threads that predict and fit at
once under every layer of threads, memory after many fits and predictions. A count that is not zero where it must be
ends the script with an error.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
from record import run_parts
from sklearn.exceptions import ConvergenceWarning

from ldlrpp import LDLClassifier, MixedClassifier, RPPClassifier
from ldlrpp.estimators import checkpoint as checkpoints
from ldlrpp.kernels.cpu.threads import kernel_lock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
TRAINING = """
import sys
import numpy as np
from ldlrpp import LDLClassifier, RPPClassifier
rng = np.random.default_rng(0)
X, y = rng.standard_normal((3000, 64), dtype=np.float32), rng.integers(4, size=3000)
kind = {"LDL": LDLClassifier((256, 256), dropout=0.1), "RPP": RPPClassifier((300,), early_stopping=True)}[sys.argv[2]]
kind.set_params(max_iter=40, n_iter_no_change=40, random_state=0, checkpoint=sys.argv[1]).fit(X, y)
"""


def _must(count, wanted, what):
    if count != wanted:
        raise SystemExit(f"{what}: {count}, and not {wanted}")
    return count


def kills(record, n):
    """A process is killed within 60 ms after it has written an epoch, until the fit has ended, again and again."""
    rng = np.random.default_rng(0)
    add = record.table(
        "kills", "", "kills", "files that loaded", "epochs lost beyond an interval", "fits", "equal to the last bit"
    )
    for name in ("LDL", "RPP"):
        with tempfile.TemporaryDirectory() as folder:
            path, command = Path(folder) / "training", [sys.executable, "-W", "ignore", "-c", TRAINING]
            subprocess.run([*command, str(path), name], check=True)
            done, loaded, lost, fits, equal = 0, 0, 0, 0, 0
            arrays, state = checkpoints._read(path)
            while done < n // 2:
                path.unlink()
                while True:
                    before = checkpoints._read(path)[1]["n_iter_"] if path.exists() else 0
                    process = subprocess.Popen([*command, str(path), name])
                    while process.poll() is None and _epochs(path) == before:
                        time.sleep(0.001)
                    time.sleep(rng.uniform(0.0, 0.06))
                    seen = _epochs(path)
                    process.kill()
                    if process.wait() == 0:
                        break
                    _must(process.returncode, -signal.SIGKILL, f"{name}: what a process ended with")
                    done += 1
                    with contextlib.suppress(ValueError):
                        after = checkpoints._read(path)[1]["n_iter_"]
                        loaded += 1
                        lost += max(0, seen - after)
                fits += 1
                found, ended = checkpoints._read(path)
                same = all(np.array_equal(array, arrays[key]) for key, array in found.items())
                equal += same and len(found) == len(arrays) and ended == state
            _must(loaded, done, f"{name}: files that loaded")
            _must(lost, 0, f"{name}: epochs lost")
            add(name, done, loaded, lost, fits, _must(equal, fits, f"{name}: fits that are equal"))


def _epochs(path):
    return checkpoints._read(path)[1]["n_iter_"] if path.exists() else 0


def mutations(record, n):
    """A byte or more of a checkpoint are others, are missing or too many."""
    rng, refused = np.random.default_rng(0), 0
    X, y = rng.standard_normal((60, 8), dtype=np.float32), np.arange(60) % 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "training"
        model = LDLClassifier((16,), max_iter=1, random_state=0, checkpoint=path).fit(X, y)
        whole = path.read_bytes()
        for i in range(n):
            changed, place = bytearray(whole), int(rng.integers(len(whole)))
            if i % 4 == 0:
                changed[place] ^= 1 << int(rng.integers(8))
            elif i % 4 == 1:
                del changed[place:]
            elif i % 4 == 2:
                changed[place:place] = rng.bytes(int(rng.integers(1, 9)))
            else:
                part = rng.bytes(min(len(whole) - place, 64))
                changed[place : place + len(part)] = part
            path.write_bytes(changed)
            try:
                model.fit(X, y)
            except ValueError as error:
                refused += "is no checkpoint" in str(error)
    record.table("changed checkpoints", "tried", "refused")(n, _must(refused, n, "changed checkpoints refused"))


def interruptions(record, n):
    """Ctrl-C at a moment of a fit, drawn from all of it and a little more."""
    rng, counts = np.random.default_rng(0), {"ended before it": 0, "kept": 0, "as before the fit": 0}
    X, y = rng.standard_normal((2000, 64), dtype=np.float32), rng.integers(4, size=2000)
    import numba
    from threadpoolctl import threadpool_info

    lasts = {}
    before, complete = (numba.get_num_threads(), [pool["num_threads"] for pool in threadpool_info()]), []
    for i in range(n):
        kind = (LDLClassifier, RPPClassifier)[i % 2]
        model = kind((128,), max_iter=6, n_iter_no_change=99, random_state=0, n_jobs=1 + i // 2 % 2)
        if i < 2:
            model.fit(X, y)
            complete.append(model)
        which = i % 2, model.n_jobs
        if which not in lasts:
            model.fit(X, y)
            start = time.perf_counter()
            model.fit(X, y)
            lasts[which] = time.perf_counter() - start
        fresh = kind(**model.get_params(deep=False))
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 1.1 * lasts[which]))
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                fresh.fit(X, y)
                signal.setitimer(signal.ITIMER_REAL, 0)
            interrupted = any("interrupted" in str(one.message) for one in warned)
            counts["kept" if interrupted else "ended before it"] += 1
        except KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, 0)
            # it may come when all is done
            whole = hasattr(fresh, "network_") and np.array_equal(fresh.network_.flat, complete[i % 2].network_.flat)
            counts["ended before it" if whole else "as before the fit"] += 1
            _must(hasattr(fresh, "network_"), whole, "a fitted network after a fit that raised")
        if hasattr(fresh, "network_") and not np.isfinite(fresh.predict_proba(X[:9])).all():
            raise SystemExit("a model that was interrupted does not predict")
        after = numba.get_num_threads(), [pool["num_threads"] for pool in threadpool_info()]
        _must(after, before, "threads")
        free = []
        thread = threading.Thread(
            target=lambda free=free: free.append(kernel_lock.acquire(timeout=5)) or kernel_lock.release()
        )
        thread.start()
        thread.join()
        _must(free, [True], "locks that are free")
    record.table("Ctrl-C", "tried", *counts)(n, *counts.values())


def fuzz(record, n):
    """As tests/test_fuzz.py, from other seeds."""
    import fuzz as calls
    from hypothesis import HealthCheck, given, seed, settings
    from hypothesis import strategies as st

    add = record.table("arguments", "", "cases without a wrong result, a crash or a changed input", "s")
    options = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
    for name, call, cases in (("kernels", calls.kernel_call, n * 4 // 5), ("estimators", calls.estimator_call, n // 5)):
        start = time.perf_counter()
        for i in range(max(1, cases // 5000)):

            @seed(1000 + i)
            @settings(options, max_examples=min(cases, 5000))
            @given(st.data())
            def run(data):
                call(data.draw)  # noqa: B023

            run()
        add(name, cases, time.perf_counter() - start)


THREADS = """
import sys, threading, warnings
import numba, numpy as np
from ldlrpp import LDLClassifier, RPPClassifier
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, y = rng.standard_normal((500, 40), dtype=np.float32), np.arange(500) % 3
def make(i):
    kind = (LDLClassifier, RPPClassifier)[i % 2]
    return kind((64,), max_iter=4, n_iter_no_change=99, random_state=i)
shared = make(0).fit(X, y)
expected = shared.predict_proba(X)
fitted = [make(i).fit(X, y).network_.flat for i in range(8)]
wrong = []
def work(i):
    for _ in range(20):
        if not np.array_equal(shared.predict_proba(X), expected):
            wrong.append(("predict", i))
    if not np.array_equal(make(i).fit(X, y).network_.flat, fitted[i]):
        wrong.append(("fit", i))
threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(numba.threading_layer(), len(wrong))
"""


def threads(record, n):
    """Eight threads, each predicting with one model and fitting one of its own, under every layer of threads."""
    add = record.table("threads", "layer", "runs", "predictions", "fits", "that differ")
    for layer in ("tbb", "omp", "workqueue"):
        environment, wrong = {**os.environ, "NUMBA_THREADING_LAYER": layer}, 0
        for _ in range(n):
            done = subprocess.run(
                [sys.executable, "-c", THREADS],
                env=environment,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"{layer}: {done.returncode}, {done.stderr}")
            found, count = done.stdout.split()
            _must(found, layer, "layer of threads")
            wrong += int(count)
        add(layer, n, 160 * n, 8 * n, _must(wrong, 0, "results that differ"))


def memory(record, n):
    """Bytes that a process grows by, after a tenth of the fits and predictions."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((300, 40), dtype=np.float32), np.arange(300) % 3
    add = record.table("memory", "", "calls", "MiB grown after warm-up")

    def fits(times):
        for i in range(times):
            kind = (LDLClassifier, RPPClassifier)[i % 2]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                kind((64,), max_iter=2, random_state=i).fit(X, y)

    model = LDLClassifier((64,), learning_rate="cosine", max_iter=2, random_state=0).fit(X, y)

    def predictions(times):
        for i in range(times):
            model.predict(X[i % 300 : i % 300 + 1])

    for name, function, times in (("fits", fits, n), ("predictions of a row", predictions, 100 * n)):
        function(times // 10)
        before = _resident()
        function(times)
        grown = (_resident() - before) / 2**20
        if grown > 20:
            raise SystemExit(f"{name}: {grown:.1f} MiB grown")
        add(name, times, round(grown, 1))


def fits_memory(record, n):
    """What arrays of a fit take at most beside the data that it is given, after a first fit has compiled.

    Of a batch the activations are the inputs, in the width that the first layer has, and the outputs of every layer;
    parameters are those of the network, six times: gradients, Adam's two, the average, and what a fit goes back to.
    """
    columns = "", "rows", "MiB at most", "6 × parameters and two batches", "of the targets, the order", "anything else"
    add = record.table("memory of a fit", *columns)
    for name, model, n_rows, batch in (
        ("LDL (1024, 1024)", LDLClassifier((1024, 1024)), 60_000, 200),
        ("LDL (4096, 4096)", LDLClassifier((4096, 4096)), 6_000, 2_000),
        ("LDL (131072, 131072)", LDLClassifier((2**17, 2**17)), 300, 10),
        ("LDL (131072, 131072), no average", LDLClassifier((2**17, 2**17), average=False), 300, 10),
        ("LDL (131072, 131072), early stopping", LDLClassifier((2**17, 2**17), early_stopping=True), 300, 10),
        ("dense (2000, 2000)", MixedClassifier([("dense", 2000)] * 2), 3_000, 200),
        ("RPP (5000, 5000)", RPPClassifier((5000, 5000)), 3_000, 200),
        ("RPP (5000, 5000), seeded", RPPClassifier((5000, 5000), permutation="seeded"), 3_000, 200),
    ):
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((n_rows, 784), dtype=np.float32), np.arange(n_rows) % 10
        model.set_params(batch_size=batch, max_iter=2, n_iter_no_change=9, random_state=0)
        model.fit(X[: max(batch, 100)], y[: max(batch, 100)])
        tracemalloc.start()
        model.fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        layers = model.network_.layers
        first = layers[0].input_width
        bound = 6 * model.network_.flat.nbytes + 2 * 4 * batch * (first + sum(layer.n_outputs for layer in layers))
        of_rows = n_rows * (4 * model.n_outputs_ + 8)
        add(name, n_rows, *(one / 2**20 for one in (peak, bound, of_rows, peak - bound - of_rows)))


PARALLEL = """
import sys, time
import numpy as np, warnings
from ldlrpp import LDLClassifier
warnings.simplefilter("ignore")
rng = np.random.default_rng(int(sys.argv[1]))
X, y = rng.standard_normal((20_000, 784), dtype=np.float32), rng.integers(10, size=20_000)
model = LDLClassifier((1024, 1024), max_iter=5, n_iter_no_change=9, random_state=0)
model.fit(X[:400], y[:400])
print("ready", flush=True)
sys.stdin.readline()
model.fit(X, y)
"""


def parallel(record, n):
    """Four fits as processes at once, with no word of threads, against two and then two more; after they are ready."""
    add = record.table("fits at once", "layer", "one s", "two and two s", "four s", "four / two and two")

    def seconds(at_once, environment):
        command = [sys.executable, "-c", PARALLEL]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
        processes = [subprocess.Popen([*command, str(i)], **pipes) for i in range(at_once)]
        for process in processes:
            process.stdout.readline()
        start = time.perf_counter()
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            _must(process.wait(), 0, "a fit's exit status")
        taken = time.perf_counter() - start
        for process in processes:
            process.stdin.close()
            process.stdout.close()
        return taken

    for layer in ("tbb", "omp", "workqueue"):
        environment = {**os.environ, "NUMBA_THREADING_LAYER": layer}
        rounds = [
            (seconds(1, environment), seconds(2, environment) + seconds(2, environment), seconds(4, environment))
            for _ in range(n)
        ]
        one, two, four = np.median(rounds, axis=0)
        add(layer, one, two, four, four / two)


def _resident():
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


#: What there is, and how many.
FAULTS = {
    "kills": (kills, 200), "mutations": (mutations, 1000), "interruptions": (interruptions, 1000),
    "threads": (threads, 5), "parallel": (parallel, 5), "memory": (memory, 1000), "fits_memory": (fits_memory, 1),
    "fuzz": (fuzz, 100_000),
}  # fmt: skip


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    run_parts(FAULTS, __doc__)


if __name__ == "__main__":
    main()
