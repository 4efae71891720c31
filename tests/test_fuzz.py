"""Calls that go wrong end in an error that says why, or are right."""

import threading

import fuzz
import numpy as np
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ldlrpp import LDLClassifier, kernels

common = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


@settings(common, max_examples=1500)
@given(st.data())
def test_kernels(data):
    fuzz.kernel_call(data.draw)


@settings(common, max_examples=500)
@given(st.data())
def test_estimators(data):
    fuzz.estimator_call(data.draw)


def test_arrays_that_change_in_another_thread_are_no_danger():
    rng, stop = np.random.default_rng(0), threading.Event()
    X, y = rng.standard_normal((400, 30)).astype(np.float32), np.arange(400) % 3
    kept = X.copy()

    def change():
        while not stop.is_set():
            X[:] = kept[rng.permutation(400)]

    thread = threading.Thread(target=change)
    thread.start()
    try:
        model = LDLClassifier((64,), max_iter=20, n_iter_no_change=np.inf, random_state=0, learning_rate="cosine")
        assert np.isfinite(model.fit(X, y).predict_proba(X)).all()
        weights, scale, bias = kernels.ldl_init(32, random_state=0)
        for _ in range(50):
            y = kernels.ldl_forward(np.pad(X, ((0, 0), (0, 2))), weights, scale, bias)
            assert np.isfinite(y).all()
    finally:
        stop.set()
        thread.join()
    x = np.pad(X, ((0, 0), (0, 2))).astype(float)
    expected = reference.ldl_forward(x, *(a.astype(float) for a in (weights, scale, bias)))
    np.testing.assert_allclose(kernels.ldl_forward(x.astype("f"), weights, scale, bias), expected, atol=1e-4)


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_frames(frame):
    module = pytest.importorskip(frame, reason=f"{frame} is not installed")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 3)), np.arange(60) % 2
    frames = module.DataFrame({name: X[:, i] for i, name in enumerate("abc")}), module.Series(y)
    model = LDLClassifier((16,), learning_rate="cosine", max_iter=2, random_state=0).fit(*frames)
    plain = LDLClassifier((16,), learning_rate="cosine", max_iter=2, random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(frames[0]), plain.predict_proba(X))
    assert list(model.feature_names_in_) == ["a", "b", "c"]
