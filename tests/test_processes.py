"""Models in many processes and threads at once, of joblib's and Python's."""

import os
import platform
import subprocess
import sys
import threading

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from ldlrpp import LDLClassifier, RPPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, DIGITS = load_digits(return_X_y=True)
X, DIGITS = (X[:300] / 16).astype(np.float32), DIGITS[:300]
WORK = """
import sys, threading, warnings
import joblib, numba, numpy as np
from sklearn.model_selection import GridSearchCV
from ldlrpp import LDLClassifier, RPPClassifier
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, y = rng.standard_normal((200, 20), dtype=np.float32), np.arange(200) % 3

def make(i):
    return (LDLClassifier, RPPClassifier)[i % 2]((32,), max_iter=3, random_state=i)

def threads():
    shared = make(0).fit(X, y)
    expected, fitted, wrong = shared.predict_proba(X), [make(i).fit(X, y).network_.flat for i in range(8)], []
    def work(i):
        for _ in range(10):
            if not np.array_equal(shared.predict_proba(X), expected):
                wrong.append(i)
        if not np.array_equal(make(i).fit(X, y).network_.flat, fitted[i]):
            wrong.append(i)
    running = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return wrong

def search(backend):
    # kernels have run, and have threads, before the processes start
    make(0).fit(X, y)
    search = GridSearchCV(make(0), {"alpha": [1e-4, 1e-2], "hidden_layer_sizes": [(32,), (16,)]}, cv=2)
    alone = search.fit(X, y).cv_results_["mean_test_score"]
    with joblib.parallel_backend(backend, n_jobs=2):
        return np.array_equal(search.fit(X, y).cv_results_["mean_test_score"], alone)

if __name__ == "__main__":
    before = numba.get_num_threads()
    print(threads() if sys.argv[1] == "threads" else search(sys.argv[1]), numba.threading_layer())
    assert numba.get_num_threads() == before
"""
has_tbb = sys.platform != "darwin" and platform.machine() in ("x86_64", "AMD64")


def run(tmp_path, what, layer):
    if layer == "tbb" and not has_tbb:
        pytest.skip("there is no wheel of TBB")
    script = tmp_path / "work.py"
    script.write_text(WORK)
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer}
    if sys.platform == "linux" and what == "multiprocessing":
        # from Python 3.14 on the default is another
        environment["JOBLIB_START_METHOD"] = "fork"
    done = subprocess.run(
        [sys.executable, str(script), what], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("layer", ["tbb", "omp", "workqueue"])
def test_eight_threads_predict_and_fit(layer, tmp_path):
    assert run(tmp_path, "threads", layer) == ["[]", layer]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "layer"),
    [
        ("loky", "tbb"),
        ("loky", "omp"),
        ("threading", "omp"),
        ("multiprocessing", "tbb"),
        ("multiprocessing", "workqueue"),
    ],
)
def test_a_search_of_parameters(backend, layer, tmp_path):
    assert run(tmp_path, backend, layer) == ["True", layer]


def test_a_search_whose_processes_are_forked_from_openmp_says_so(tmp_path):
    if sys.platform != "linux":
        pytest.skip("other systems' OpenMP is another")
    with pytest.raises(AssertionError, match="was forked from one in which kernels had run on OpenMP's threads"):
        run(tmp_path, "multiprocessing", "omp")


@pytest.mark.parametrize("kind", [LDLClassifier, RPPClassifier])
def test_thread_counts_after_an_error(kind, monkeypatch):
    import numba
    from threadpoolctl import threadpool_info

    before = numba.get_num_threads(), [pool["num_threads"] for pool in threadpool_info()]
    model = kind((32,), max_iter=2, random_state=0, n_jobs=1)
    for name in ("_end_epoch", "_make_network", "_note_loss"):
        with monkeypatch.context() as patch:
            patch.setattr(kind, name, lambda *args: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                model.fit(X, DIGITS)
        assert (numba.get_num_threads(), [pool["num_threads"] for pool in threadpool_info()]) == before


def test_a_model_is_shared_by_threads_of_joblib():
    model = LDLClassifier((64,), max_iter=2, random_state=0).fit(X, DIGITS)
    parts = joblib.Parallel(n_jobs=4, prefer="threads")(joblib.delayed(model.predict)(X[i::4]) for i in range(4))
    for i, part in enumerate(parts):
        np.testing.assert_array_equal(part, model.predict(X)[i::4])
    assert threading.active_count() < 50


def test_a_search_of_threads_is_that_of_one():
    search = GridSearchCV(LDLClassifier((16,), max_iter=2, random_state=0), {"alpha": [1e-4, 0.1]}, cv=2)
    alone = search.fit(X, DIGITS).cv_results_["mean_test_score"]
    with joblib.parallel_backend("threading", n_jobs=2):
        np.testing.assert_array_equal(search.fit(X, DIGITS).cv_results_["mean_test_score"], alone)
