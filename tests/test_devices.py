"""Estimators on another machine than the CPU: what they learn is the same, and a fitted model needs none.

The machine is `remote`, whose arrays NumPy cannot read and whose results are those of the CPU to the last bit, or with
``pytest -m gpu`` a GPU. A whole fit in Numba's simulator is in test_cuda_network.py.
"""

import copy
import io
import logging
import math
import pickle
import warnings
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import skops.io
from remote import KERNELS, MEMORY, Remote
from scipy.sparse import csc_array, csr_array
from sklearn.base import clone, is_classifier

from ldlrpp import (
    LDLClassifier,
    LDLRegressor,
    LDLTransformer,
    MixedClassifier,
    MixedRegressor,
    RPPClassifier,
    RPPRegressor,
    RPPTransformer,
)
from ldlrpp.estimators import devices
from ldlrpp.kernels import backend, cpu
from ldlrpp.network import Adam

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
COMMON = {"max_iter": 3, "batch_size": 40, "random_state": 0}


@pytest.fixture(params=["remote", pytest.param("gpu", marks=pytest.mark.gpu)], autouse=True)
def machine(request, monkeypatch):
    """What arrays there are made with, and how near to the CPU's its results are."""
    forget()
    # the same chunks, and several of them, for the same bits
    monkeypatch.setattr(cpu.memory, "CHUNK_ROWS", 70)
    if request.param == "gpu":
        kernels = backend.cuda()
        monkeypatch.setattr(kernels.memory, "CHUNK_ROWS", 70)
        yield SimpleNamespace(kernels=kernels, memory=kernels.memory, Array=kernels.memory.Array, exact=False)
    else:
        MEMORY.reset()
        monkeypatch.setattr(backend, "cuda", lambda: KERNELS)
        yield SimpleNamespace(kernels=KERNELS, memory=MEMORY, Array=Remote, exact=True)
        MEMORY.reset()
    forget()


def forget():
    """What was said, and whether there is a GPU."""
    devices._say_once.cache_clear()
    devices._why_none.cache_clear()


@pytest.fixture
def no_gpu(monkeypatch):
    def raises():
        raise RuntimeError("kernels on a GPU want an NVIDIA GPU, and the driver sees none")

    def remove():
        forget()
        monkeypatch.setattr(backend, "cuda", raises)

    return remove


def assert_same(machine, one, other, dtype=np.float32):
    """Losses or predictions of training in a dtype: of float64 to 1e-9, of float32 to 1e-4."""
    one, other = np.asarray(one), np.asarray(other)
    if machine.exact or one.dtype.kind not in "f":
        np.testing.assert_array_equal(one, other)
    else:
        tolerance = 1e-4 if dtype == np.float32 else 1e-9
        # parameters and predictions part faster than losses do
        tolerance *= 1 if one.ndim == 1 and len(one) < 20 else 30
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def assert_of_numpy(value, seen=None):
    """Whether nothing that an object holds is on another machine."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    assert not backend.on_gpu(value), type(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    if type(value).__module__.startswith("ldlrpp"):
        parts = vars(value).values()
    for part in parts:
        assert_of_numpy(part, seen)


def data(task="classes", dtype=np.float32, n=150):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 12)).astype(dtype)
    scores = X @ rng.normal(size=(12, 4))
    y = {
        "classes": scores.argmax(axis=1),
        "strings": np.array(["a", "bb", "c", "dd"])[scores.argmax(axis=1)],
        "two": scores[:, 0] > 0,
        "one": np.ones(n, int),
        "labels": (scores > 0).astype(int),
        "numbers": scores[:, 0],
        "several": scores,
        "counts": rng.poisson(np.exp(scores[:, 0] / 8)).astype(float),
    }[task]
    return X, y


def fitted_on_both(model, X, y, sample_weight=None, **validation):
    """The same fit with NumPy's arrays, on the CPU and there."""
    models = [clone(model).set_params(device=device) for device in ("cpu", "cuda")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in models:
            one.fit(X, y, sample_weight, **validation)
    return models


CASES = {
    "LDL": (LDLClassifier((32, 16)), "classes", {}),
    "LDL, wide": (LDLClassifier((64,), radix=8, activation="tanh", alpha=0.01), "strings", {}),
    "RPP": (RPPClassifier((30, 20), n_permutations=5, bias="shared"), "classes", {}),
    "RPP, stored": (RPPClassifier((30,), permutation="stored", grad_scale="sqrt"), "two", {}),
    "mixed": (MixedClassifier([("ldl", 32), ("rpp", 20, {"n_permutations": 4}), ("dense", 8)]), "classes", {}),
    "no hidden layer": (LDLClassifier(()), "classes", {}),
    "one class": (LDLClassifier((16,)), "one", {}),
    "two classes": (LDLClassifier((16,), label_smoothing=0.2, class_weight="balanced"), "two", {}),
    "labels": (LDLClassifier((16,), class_weight=[{0: 1, 1: 3}] * 4, label_smoothing=0.1), "labels", {}),
    "weights of classes": (RPPClassifier((20,), class_weight={0: 2.0, 3: 0.5}), "classes", {"weighted": True}),
    "dropout": (LDLClassifier((32, 32), dropout=0.3), "classes", {}),
    "clipped": (LDLClassifier((32,), max_grad_norm=0.1, solver="sgd", average=False), "classes", {}),
    "adamw": (RPPRegressor((20,), solver="adamw", learning_rate="cosine", average=0.9), "numbers", {}),
    "regression": (LDLRegressor((32,), activation="logistic"), "several", {"weighted": True}),
    "absolute": (MixedRegressor([("dense", 9)], loss="absolute_error", shuffle=False), "numbers", {}),
    "huber": (LDLRegressor((16,), loss="huber"), "numbers", {}),
    "poisson": (LDLRegressor((16,), loss="poisson"), "counts", {}),
    "early stopping": (LDLClassifier((32,), early_stopping=True, n_iter_no_change=2), "classes", {"weighted": True}),
    "validation": (RPPRegressor((20,), early_stopping=True), "numbers", {"validated": True, "weighted": True}),
    "L-BFGS": (LDLClassifier((16,), solver="lbfgs", alpha=0.1), "classes", {"validated": True}),
    "sparse": (LDLClassifier((32,)), "classes", {"sparse": csr_array}),
    "sparse columns": (RPPRegressor((20,), early_stopping=True), "numbers", {"sparse": csc_array}),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_the_same_training_and_predictions(case, dtype, machine):
    model, task, options = CASES[case]
    X, y = data(task, dtype)
    X = options["sparse"](X * (X > 0)) if "sparse" in options else X
    weights = np.random.default_rng(1).uniform(0, 2, len(y)) if "weighted" in options else None
    validation = {"X_val": X[:50], "y_val": y[:50]} if "validated" in options else {}
    here, there = fitted_on_both(model.set_params(**COMMON), X, y, weights, **validation)
    assert_same(machine, here.loss_curve_, there.loss_curve_, dtype)
    assert_same(machine, here.validation_scores_ or (), there.validation_scores_ or (), dtype)
    assert_same(machine, here.validation_loss_curve_ or (), there.validation_loss_curve_ or (), dtype)
    assert here.n_iter_ == there.n_iter_ > 1
    assert_same(machine, here.network_.flat, there.network_.flat, dtype)
    assert_of_numpy(there)
    methods = ["predict", "predict_proba", "predict_log_proba"] if is_classifier(model) else ["predict"]
    for method in methods:
        got = getattr(there, method)(X)
        assert isinstance(got, np.ndarray)
        assert_same(machine, getattr(here, method)(X), got, dtype)


@pytest.mark.parametrize("task", ["classes", "two", "one", "labels", "numbers", "several"])
def test_inputs_that_are_there_stay_there(task, machine):
    X, y = data(task)
    # of booleans and of one class, too
    kind = LDLRegressor if y.dtype.kind == "f" else LDLClassifier
    options = {} if kind is LDLRegressor else {"label_smoothing": 0.1}
    model = kind((32,), early_stopping=True, **options, **COMMON)
    weights = np.random.default_rng(1).uniform(0, 2, len(y)).astype(X.dtype)
    here = clone(model).fit(X, y, weights)
    put, get = machine.memory.put, machine.memory.get
    for device, places in (("cuda", "XYW"), ("auto", "XY"), ("cuda", "X"), ("cuda", "YW")):
        there = clone(model).set_params(device=device)
        arrays = [put(a) if place in places else a for place, a in zip("XYW", (X, y, weights), strict=True)]
        there.fit(*arrays)
        assert_same(machine, here.loss_curve_, there.loss_curve_)
        assert_same(machine, here.validation_scores_, there.validation_scores_)
        assert_of_numpy(there)
        methods = ["predict"] + ["predict_proba", "predict_log_proba"] * is_classifier(model)
        for method in methods:
            wanted, got = getattr(here, method)(X), getattr(there, method)(put(X))
            assert isinstance(got, machine.Array)
            assert got.dtype == wanted.dtype
            assert_same(machine, wanted, get(got))
            assert isinstance(getattr(there, method)(X), np.ndarray)
        assert there.score(put(X), put(y)) == pytest.approx(here.score(X, y), abs=1e-3)
        assert there.score(put(X), y, weights) == pytest.approx(here.score(X, y, weights), abs=1e-3)


def test_labels_that_are_no_numbers_are_numpys(machine):
    X, y = data("strings")
    here, there = (LDLClassifier((16,), device=device, **COMMON) for device in ("cpu", "cuda"))
    here.fit(X, y)
    there.fit(machine.memory.put(X), y)
    labels = there.predict(machine.memory.put(X))
    assert isinstance(labels, np.ndarray)
    np.testing.assert_array_equal(labels, here.predict(X))
    assert isinstance(there.predict_proba(machine.memory.put(X)), machine.Array)


@pytest.mark.parametrize("kind", [LDLTransformer, RPPTransformer])
@pytest.mark.parametrize("task", [None, "classes", "several"])
def test_transformers(kind, task, machine):
    X, y = data(task or "classes")
    y = None if task is None else y
    here, there = (kind((20,), device=device, **COMMON).fit(X, y) for device in ("cpu", "cuda"))
    assert_same(machine, here.transform(X), there.transform(X))
    put = machine.memory.put
    other = kind((20,), device="cuda", **COMMON).fit(put(X), None if y is None else put(y))
    hidden = other.transform(put(X))
    assert isinstance(hidden, machine.Array)
    assert_same(machine, here.transform(X), machine.memory.get(hidden))
    assert_of_numpy(other)


def test_training_goes_on(machine):
    X, y = data()
    here, there = (LDLClassifier((32,), dropout=0.2, device=device, **COMMON) for device in ("cpu", "cuda"))
    for i in range(4):
        for model in (here, there):
            model.partial_fit(X[i * 30 :][:60], y[i * 30 :][:60], classes=np.arange(4))
        # from one machine to the other, and back
        there = pickle.loads(pickle.dumps(there))
        there.set_params(device="cpu" if i == 1 else "cuda")
        assert_of_numpy(there)
    assert_same(machine, here.loss_curve_, there.loss_curve_)
    for model in (here, there):
        model.set_params(warm_start=True).fit(X, y).fit(X, y)
    assert_same(machine, here.loss_curve_, there.loss_curve_)
    assert_same(machine, here.network_.flat, there.network_.flat)


def test_a_model_is_one_of_the_cpu_and_wants_no_gpu(machine, no_gpu, caplog):
    caplog.set_level(logging.INFO, "ldlrpp")
    X, y = data()
    here, there = fitted_on_both(RPPClassifier((30,), **COMMON), X, y)
    file = io.BytesIO()
    joblib.dump(there, file)
    file.seek(0)
    models = [copy.deepcopy(there), copy.copy(there), pickle.loads(pickle.dumps(there)), joblib.load(file)]
    text = skops.io.dumps(there)
    models.append(skops.io.loads(text, trusted=skops.io.get_untrusted_types(data=text)))
    no_gpu()
    caplog.clear()
    for model in models:
        assert model.device == "cuda"
        assert_same(machine, here.predict_proba(X), model.predict_proba(X))
    assert [record.message for record in caplog.records] == [
        "device='cuda' takes the CPU: kernels on a GPU want an NVIDIA GPU, and the driver sees none"
    ]
    with pytest.raises(RuntimeError, match=r"^device='cuda': kernels on a GPU want an NVIDIA GPU"):
        clone(models[0]).fit(X, y)
    caplog.clear()
    for _ in range(2):
        automatic = clone(models[0]).set_params(device="auto").fit(X, y)
    assert automatic.loss_curve_ == here.loss_curve_
    assert "device='auto' takes the CPU: kernels on" in caplog.records[0].message
    assert sum("device=" in record.message for record in caplog.records) == 1


def test_callbacks_get_models_of_the_cpu(machine):
    X, y = data()
    kept = []

    class Keeping:
        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = lambda self, *args, **kwargs: None

        def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
            if fitted_estimator is not None:
                kept.append((estimator.n_iter_, fitted_estimator))

        def requires_fitted_estimator(self):
            return True

    models = []
    for device in ("cpu", "cuda"):
        model = LDLClassifier((32,), device=device, **COMMON).set_callbacks(Keeping())
        models.append(model.fit(X, y))
    n = len(kept) // 2
    assert n == 4  # epochs, and the end
    for (_, here), (_, there) in zip(kept[:n], kept[n:], strict=True):
        assert_of_numpy(there)
        for model in (here, there):
            model.set_callbacks().partial_fit(X, y)
        assert_same(machine, here.loss_curve_, there.loss_curve_)
        assert_same(machine, here.predict_proba(X), there.predict_proba(X))
    assert_same(machine, models[0].loss_curve_, models[1].loss_curve_)


# --- Memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("kind", [LDLRegressor, RPPRegressor])
def test_data_that_do_not_fit_are_sent_batch_by_batch(kind, solver, sparse, machine, monkeypatch):
    X, y = data("several", n=230)
    X = csr_array(X * (X > 0)) if sparse else X
    weights = np.random.default_rng(1).uniform(0, 2, len(y))
    here = kind((32,), solver=solver, early_stopping=True, **COMMON).fit(X, y, weights)
    n_training_bytes = here.network_.training_bytes(40 if solver == "adam" else 70)
    sent = []
    sender = machine.kernels.transfer.Sender
    monkeypatch.setattr(machine.kernels.transfer, "Sender", lambda: sent.append(1) or sender())
    # nothing, weights, all but the inputs, all
    for room in (10, 2000, 7000, 10**6):
        sent.clear()
        monkeypatch.setattr(machine.memory, "free_bytes", lambda room=room: (n_training_bytes + room) / 0.9)
        there = clone(here).set_params(device="cuda").fit(X, y, weights)
        assert_same(machine, here.loss_curve_, there.loss_curve_)
        assert_same(machine, here.validation_loss_curve_, there.validation_loss_curve_)
        assert_same(machine, here.network_.flat, there.network_.flat)
        # of three arrays, and of the validation inputs in every epoch
        assert len(sent) == {10: 3 + there.n_iter_, 2000: 2 + there.n_iter_, 7000: 1 + there.n_iter_}.get(room, 0)


def test_too_little_memory_is_said_before_training_begins(machine, monkeypatch):
    X, y = data()
    monkeypatch.setattr(machine.memory, "free_bytes", lambda: 10_000)
    model = LDLClassifier((1024,), device="cuda", random_state=0, batch_size=100)
    message = (
        r"training in batches of 100 rows takes some 0.0\d+ GB of memory, and 1e-05 GB are free: "
        r"a smaller batch_size or narrower layers take less$"
    )
    for call in (lambda: model.fit(X, y), lambda: model.partial_fit(X, y, classes=np.arange(4))):
        with pytest.raises(MemoryError, match=message):
            call()
        assert not hasattr(model, "network_")


@pytest.mark.parametrize("size", [100, 1000])
def test_memory_in_pieces_is_no_end(size, machine, monkeypatch):
    X, y = data()
    here = LDLClassifier((32,), early_stopping=True, **COMMON).fit(X, y)
    put = machine.memory.put

    def refused(array):
        # the inputs of training, or of validation as well
        if array.size >= size and array.shape[1:] == (12,):
            raise MemoryError("there is no piece of this size")
        return put(array)

    monkeypatch.setattr(machine.memory, "put", refused)
    there = clone(here).set_params(device="cuda").fit(X, y)
    assert_same(machine, here.loss_curve_, there.loss_curve_)


def test_an_epoch_waits_once(machine):
    if not machine.exact:
        pytest.skip("reads of a GPU are not counted")
    X, y = data()
    for batch_size in (150, 5):
        n_reads = []
        for n_epochs in (4, 9):
            before = MEMORY.n_reads
            LDLClassifier(
                (32,), alpha=0.1, dropout=0.2, max_grad_norm=0.1, device="cuda", random_state=0, batch_size=batch_size,
                max_iter=n_epochs,
            ).fit(X, y, np.ones(len(y)))  # fmt: skip
            n_reads.append(MEMORY.n_reads - before)
        # the loss and the parameters
        assert n_reads[1] - n_reads[0] == 5 * 2


# --- What goes wrong -------------------------------------------------------------------------------------------------


@pytest.fixture
def n_calls(machine):
    """How many kernels an epoch of `lost_in` takes; those of machines whose kernels are counted alone."""
    if not machine.exact:
        pytest.skip("no test breaks a GPU")
    X, y = data()
    MEMORY.n_calls_left = 10**6
    LDLClassifier((32,), device="cuda", **COMMON).set_params(max_iter=4).fit(X, y)
    n_calls = (10**6 - MEMORY.n_calls_left) // 4
    MEMORY.reset()
    return n_calls


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_gpu_that_is_lost_leaves_the_last_epoch(early_stopping, average, machine, n_calls):
    X, y = data()
    options = {**COMMON, "early_stopping": early_stopping, "n_iter_no_change": 100, "average": average}
    whole = LDLClassifier((32,), device="cuda", **options)
    MEMORY.n_calls_left = 10**6
    whole.set_params(max_iter=4).fit(X, y)
    n_calls = (10**6 - MEMORY.n_calls_left) // 4
    model = clone(whole).set_params(max_iter=50)
    MEMORY.n_calls_left = 4 * n_calls + n_calls // 2
    kept = "the best weights of those before" if early_stopping else "the weights of epoch 4"
    with pytest.raises(RuntimeError, match=rf"GPU works no more \(.*its bus\)\. The estimator keeps {kept}"):
        model.fit(X, y)
    assert model.n_iter_ == 4
    assert model.loss_curve_ == whole.loss_curve_
    np.testing.assert_array_equal(model.network_.flat, whole.network_.flat)
    assert_of_numpy(model)
    MEMORY.reset()
    model.set_params(early_stopping=False).partial_fit(X, y)


@pytest.mark.parametrize("when", ["unfitted", "refit", "warm start", "partial_fit"])
@pytest.mark.parametrize("message", ["the machine has fallen off its bus", "its memory is full"])
def test_a_gpu_that_is_lost_at_once_changes_nothing(when, message, n_calls, monkeypatch):
    X, y = data()
    monkeypatch.setattr(MEMORY, "message", message)
    model = LDLClassifier((32,), device="cuda", warm_start=when == "warm start", **COMMON)
    if when != "unfitted":
        model.fit(X, y)
    before = pickle.dumps(model)
    for n in (0, 1, n_calls // 3, n_calls // 2):
        MEMORY.n_calls_left = n
        wanted = r"^The GPU works no more \(.*its bus\)\.$"
        if "full" in message:
            wanted = r"^the memory of device='cuda' is full \(its memory is full\): narrower layers, .* take less$"
        with pytest.raises(MemoryError if "full" in message else RuntimeError, match=wanted):
            (model.partial_fit if when == "partial_fit" else model.fit)(X, y)
        assert pickle.dumps(model) == before


@pytest.mark.filterwarnings("ignore:Training interrupted")
@pytest.mark.parametrize("interrupted", [False, True])
def test_a_gpu_that_is_lost_at_the_end(interrupted, n_calls, monkeypatch):
    X, y = data()
    n_steps = 0

    def step(self, parameters, *args, plain=Adam.step):
        nonlocal n_steps
        n_steps += 1
        plain(self, parameters, *args)
        if n_steps == (10 if interrupted else 12):
            # what follows is the epoch's end, which reads its loss and its parameters
            MEMORY.n_reads_left = 0 if interrupted else 2
            if interrupted:
                raise KeyboardInterrupt

    monkeypatch.setattr(Adam, "step", step)
    model = LDLClassifier((32,), device="cuda", **COMMON)
    with pytest.raises(RuntimeError, match="The estimator keeps the weights of epoch"):
        model.fit(X, y)
    MEMORY.reset()
    n = 2 if interrupted else 3
    here = LDLClassifier((32,), **COMMON).set_params(max_iter=n).fit(X, y)
    assert (model.n_iter_, model.loss_curve_) == (n, here.loss_curve_)
    np.testing.assert_array_equal(model.network_.flat, here.network_.flat)


@pytest.mark.parametrize("error", [KeyboardInterrupt, "divergence"])
def test_training_that_is_interrupted_or_diverges(error, machine, monkeypatch):
    X, y = data()
    models = []
    for device in ("cpu", "cuda"):
        n_steps = 0

        def step(self, parameters, *args, plain=Adam.step):
            nonlocal n_steps
            n_steps += 1
            plain(self, parameters, *args)
            if n_steps == 10:
                if error is KeyboardInterrupt:
                    raise error
                parameters[3:4] *= math.nan

        model = LDLClassifier((32,), device=device, **COMMON)
        with monkeypatch.context() as patch:
            patch.setattr(Adam, "step", step)
            if error is KeyboardInterrupt:
                with pytest.warns(UserWarning, match="interrupted"):
                    model.fit(X, y)
            else:
                with pytest.raises(ValueError, match=r"diverged in epoch 3: .* keeps the weights of epoch 2"):
                    model.fit(X, y)
        models.append(model)
    here, there = models
    assert_same(machine, here.loss_curve_, there.loss_curve_)
    assert_same(machine, here.network_.flat, there.network_.flat)
    assert_of_numpy(there)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
def test_what_is_refused(machine):
    X, y = data()
    put = machine.memory.put
    for device in ("tpu", "cuda:", "cuda:x", "CUDA", "cuda:-1"):
        with pytest.raises(ValueError, match=rf"device must be 'cpu', 'cuda', 'cuda:N', .* got '{device}'"):
            LDLClassifier(device=device).fit(X, y)
    with pytest.raises(ValueError, match=r"The 'device' parameter of LDLClassifier must be an instance of 'str'"):
        LDLClassifier(device=0).fit(X, y)
    with pytest.raises(RuntimeError, match=r"device='cuda:77': there is no GPU of number 77 among \d+, counted from 0"):
        LDLClassifier(device="cuda:77").fit(X, y)
    model = LDLClassifier((16,), **COMMON)
    for call in (lambda: model.fit(put(X), y), lambda: model.fit(X, y).predict(put(X))):
        with pytest.raises(ValueError, match="device must be 'cuda' or 'auto' for X on a GPU, got 'cpu'"):
            call()
    with pytest.raises(ValueError, match="device must be 'cuda' or 'auto' for X_val on a GPU, got 'cpu'"):
        model.fit(X, y, X_val=put(X), y_val=y)
    model.set_params(device="cuda").fit(put(X), put(y))
    bad = X.copy()
    bad[3, 4] = np.inf
    for call, message in (
        (lambda: model.predict(put(bad)), "Input X contains NaN or infinity"),
        (lambda: model.fit(put(bad), y), "Input X contains NaN or infinity"),
        (lambda: model.predict(put(X[0])), r"X must have shape \(n_samples, n_columns\), .* got \(12,\)"),
        (lambda: model.predict(put(X[:0])), r"X must have shape .* got \(0, 12\)"),
        (lambda: model.predict(put(X[:, :5])), "X has 5 features, but LDLClassifier is expecting 12"),
        (lambda: model.fit(put(X + 0j), y), "X must hold real numbers, got complex"),
        (lambda: model.fit(put(X), put(y[:20])), "inconsistent numbers of samples"),
        (lambda: model.fit(put(X), y[:20]), "inconsistent numbers of samples"),
        (lambda: model.fit(put(X), put(X[:, :1])), "Unknown label type: continuous"),
        (lambda: model.fit(put(X), put(X)), "y must be a column of labels or an indicator matrix"),
        (lambda: model.fit(put(X), put(y), -np.ones(len(y))), "Negative values in data passed to `sample_weight`"),
        (lambda: model.partial_fit(put(X), put(y + 1)), r"y must hold only the classes \[0 1 2 3\], got \[4\]"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    for method in (model.partial_fit, model.fit, LDLRegressor(device="cuda").fit):
        for inputs in (X, put(X)):
            with pytest.raises(ValueError, match="requires y to be passed"):
                method(inputs, None)
    # whole numbers, and those that are no float32 or float64, become float64
    assert LDLClassifier((16,), device="cuda", **COMMON).fit(put((10 * X).astype(int)), y).network_.dtype == np.float64


def test_a_device_has_a_number(machine, monkeypatch, caplog):
    X, y = data()
    numbers = []
    plain = machine.kernels.threads.on_device
    monkeypatch.setattr(machine.kernels.threads, "on_device", lambda number=None: numbers.append(number) or plain())
    model = LDLClassifier((16,), device="cuda:0", **COMMON).fit(X, y)
    expected = model.set_params(device="cuda").predict(X)
    assert numbers == [0, None]
    # a machine of fewer GPUs predicts, too
    caplog.set_level(logging.INFO, "ldlrpp")
    np.testing.assert_array_equal(model.set_params(device="cuda:77").predict(X), expected)
    assert "device='cuda:77' takes the CPU: there is no GPU of number 77" in caplog.text
    LDLClassifier((16,), device="auto", **COMMON).fit(X, y).predict(X)
    assert caplog.text.count("device='auto' takes a GPU.") == 1
    # which only predictions do
    for parameter, value in (("device", 0), ("device", "tpu"), ("n_jobs", 0), ("n_jobs", "x")):
        with pytest.raises(ValueError, match=parameter):
            clone(model).set_params(device="cuda").fit(X, y).set_params(**{parameter: value}).partial_fit(X, y)
