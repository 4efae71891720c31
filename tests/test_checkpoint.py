"""A fit that is interrupted goes on from its checkpoint, and ends with the bits of one that was not."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits

from ldlrpp import LDLClassifier, LDLRegressor, LDLTransformer, MixedClassifier, RPPClassifier
from ldlrpp.estimators import checkpoint as checkpoints

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, DIGITS = load_digits(return_X_y=True)
X, DIGITS = (X[:300] / 16).astype(np.float32), DIGITS[:300]


class Stopped(Exception):
    """What ends a fit in the middle here."""


def stopped_after(model, n_epochs, monkeypatch, *arguments, **options):
    """A fit that fails after so many epochs have been written."""
    write, written = checkpoints._write, []

    def write_and_stop(*args):
        write(*args)
        written.append(args)
        if len(written) == n_epochs:
            raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_write", write_and_stop)
        with pytest.raises(Stopped):
            model.fit(*arguments, **options)


def assert_same(model, other):
    """Every bit that a fit leaves."""
    assert model.network_.flat.tobytes() == other.network_.flat.tobytes()
    for name in checkpoints._COUNTED:
        assert getattr(model, name) == getattr(other, name), name
    assert model._rng.bit_generator.state == other._rng.bit_generator.state
    for one, another in ((model._optimizer, other._optimizer), (model._average, other._average)):
        assert one.state.keys() == another.state.keys()
        for name, value in one.state.items():
            np.testing.assert_array_equal(value, another.state[name])
    assert model._schedule.state == other._schedule.state


KINDS = {
    "LDL": LDLClassifier((64, 64), dropout=0.2),
    "RPP": RPPClassifier((60,), n_permutations=6),
    "RPP, stored": RPPClassifier((60,), permutation="stored"),
    "mixed, sgd": MixedClassifier([("ldl", 64), ("dense", 20)], solver="sgd", learning_rate="adaptive", tol=0.5),
    "one cycle": LDLClassifier((64,), learning_rate="onecycle", solver="adamw", average=False),
    "early stopping": LDLClassifier((64,), early_stopping=True, n_iter_no_change=1, learning_rate_init=0.05),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("random_state", [0, None])
def test_a_fit_goes_on_to_the_last_bit(name, random_state, tmp_path, monkeypatch):
    model = clone(KINDS[name]).set_params(max_iter=6, random_state=random_state, n_iter_no_change=2)
    kept = clone(model).set_params(checkpoint=tmp_path / "training")
    stopped_after(kept, 3, monkeypatch, X, DIGITS)
    assert not hasattr(kept, "network_")
    if random_state is None:
        # what was drawn is in the file
        again = clone(kept).fit(X, DIGITS)
        (tmp_path / "training").unlink()
        with monkeypatch.context() as patch:
            patch.setattr(checkpoints.Checkpoint, "__init__", _beginning_with(again._entropy))
            model.fit(X, DIGITS)
    else:
        again = clone(kept).fit(X, DIGITS)
        model.fit(X, DIGITS)
    assert_same(again, model)


def _beginning_with(entropy):
    def init(self, estimator, kernels):
        self.path, self.entropy, self.n_epochs, self.finished, self._found = None, entropy, 0, False, None

    return init


def test_what_had_ended_is_there_at_once(tmp_path, monkeypatch):
    path = tmp_path / "training"
    model = LDLClassifier((64,), max_iter=3, random_state=0, checkpoint=path, early_stopping=True).fit(X, DIGITS)
    monkeypatch.setattr(LDLClassifier, "_fit_epochs", None)
    again = clone(model).fit(X, DIGITS)
    assert_same(again, model)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.parametrize(("interval", "written"), [(1, 5), (2, 2), (7, 0)])
def test_how_often_it_is_written(interval, written, tmp_path, monkeypatch):
    epochs = []
    write = checkpoints._write
    monkeypatch.setattr(
        checkpoints, "_write", lambda path, arrays, state: (epochs.append(state), write(path, arrays, state))
    )
    path = os.fspath(tmp_path / "training")
    LDLClassifier((64,), max_iter=5, random_state=0, checkpoint=path, checkpoint_interval=interval).fit(X, DIGITS)
    assert [state["n_iter_"] for state in epochs if not state["finished"]] == [
        interval * (i + 1) for i in range(written)
    ]
    assert epochs[-1]["finished"]
    assert epochs[-1]["n_iter_"] == 5


def test_sparse_inputs_weights_and_validation_samples(tmp_path, monkeypatch):
    options = {"X_val": X[:50], "y_val": DIGITS[:50]}
    data = csr_array(X), DIGITS, np.linspace(1, 2, len(X))
    model = LDLClassifier((64,), max_iter=4, random_state=0)
    kept = clone(model).set_params(checkpoint=tmp_path / "training")
    stopped_after(kept, 2, monkeypatch, *data, **options)
    assert_same(clone(kept).fit(*data, **options), model.fit(*data, **options))
    wider = csr_array((data[0].data, data[0].indices, data[0].indptr), shape=(300, 70))
    narrow = LDLClassifier((64,), max_iter=2, random_state=0, checkpoint=tmp_path / "narrow").fit(data[0], DIGITS)
    with pytest.raises(ValueError, match="other data: X"):
        clone(narrow).fit(wider, DIGITS)
    with pytest.raises(ValueError, match=r"training with other data: validation samples$"):
        clone(kept).fit(*data, X_val=X[50:100], y_val=DIGITS[50:100])
    for other in ((X, *data[1:]), (data[0], DIGITS[::-1], data[2]), data[:2]):
        with pytest.raises(ValueError, match=r"other data: X, y and sample_weight$"):
            clone(kept).fit(*other, **options)


def test_other_training_is_refused_by_name(tmp_path):
    path = tmp_path / "training"
    model = LDLClassifier((64,), max_iter=2, random_state=0, checkpoint=path).fit(X, DIGITS)
    for change, message in (
        ({"alpha": 0.1}, "alpha was 0.0001, is 0.1$"),
        ({"hidden_layer_sizes": (32,)}, "hidden_layer_sizes was .*64.*, is .*32"),
        ({"random_state": np.random.RandomState(0)}, "random_state was 0, is"),
        ({"max_iter": 3, "tol": 0.5}, "max_iter was 2, is 3, tol was 0.0001, is 0.5"),
    ):
        other = clone(model).set_params(**change)
        with pytest.raises(ValueError, match=f"is of other training: {message}"):
            other.fit(X, DIGITS)
        assert not hasattr(other, "network_")
    with pytest.raises(ValueError, match="estimator was LDLClassifier, is LDLRegressor"):
        LDLRegressor((64,), max_iter=2, random_state=0, checkpoint=path).fit(X, DIGITS)
    clone(model).set_params(n_jobs=1, verbose=False, checkpoint_interval=2).fit(X, DIGITS)
    for options in ({"solver": "lbfgs"}, {"warm_start": True}):
        with pytest.raises(ValueError, match="it must be None"):
            clone(model).set_params(**options).fit(X, DIGITS)


def test_where_it_cannot_be_written_training_goes_on(tmp_path, monkeypatch):
    model = LDLClassifier((64,), max_iter=3, random_state=0)
    expected = clone(model).fit(X, DIGITS)
    with pytest.raises(ValueError, match=r"checkpoint=.* is in a folder that is not there"):
        clone(model).set_params(checkpoint=tmp_path / "nowhere" / "training").fit(X, DIGITS)
    folder, end_epoch = tmp_path / "folder", LDLClassifier._end_epoch
    folder.mkdir()

    def without_folder(self, *args):
        end_epoch(self, *args)
        if folder.exists():
            folder.rmdir()

    monkeypatch.setattr(LDLClassifier, "_end_epoch", without_folder)
    with pytest.warns(UserWarning, match=r"checkpoint=.* cannot be written: .*No such file") as warned:
        model.set_params(checkpoint=folder / "training").fit(X, DIGITS)
    assert [one.filename for one in warned if "checkpoint" in str(one.message)] == [__file__]
    assert_same(model, expected)


def test_a_disk_that_is_full_leaves_the_file_before(tmp_path, monkeypatch):
    path = tmp_path / "training"
    model = LDLClassifier((64,), max_iter=5, random_state=0, checkpoint=path)
    write, calls = np.lib.format.write_array, []

    def full(*args, **kwargs):
        calls.append(args)
        if len(calls) > 12:
            raise OSError(28, "No space left on device")
        write(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "write_array", full)
        with pytest.warns(UserWarning, match="No space left"):
            model.fit(X, DIGITS)
    assert list(tmp_path.iterdir()) == [path]
    _, state = checkpoints._read(path)
    assert 1 <= state["n_iter_"] < 5
    assert_same(clone(model).fit(X, DIGITS), model)


def test_what_was_changed_is_refused_and_runs_nothing(tmp_path):
    path = tmp_path / "training"
    model = LDLClassifier((16,), max_iter=1, random_state=0, checkpoint=path).fit(X[:, :16], DIGITS)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    for _ in range(300):
        changed = bytearray(whole)
        kind = rng.integers(4)
        place = int(rng.integers(len(whole)))
        if kind == 0:
            changed[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del changed[place:]
        elif kind == 2:
            changed[place:place] = rng.bytes(int(rng.integers(1, 9)))
        else:
            changed = bytearray(rng.bytes(place))
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="is no checkpoint, or not as it was written"):
            clone(model).fit(X[:, :16], DIGITS)
    path.write_bytes(pickle.dumps(print))
    with pytest.raises(ValueError, match="is no checkpoint"):
        clone(model).fit(X[:, :16], DIGITS)


def test_another_format_is_said(tmp_path, monkeypatch):
    path = tmp_path / "training"
    model = LDLClassifier((16,), max_iter=1, random_state=0, checkpoint=path)
    monkeypatch.setattr(checkpoints, "_FORMAT", 99)
    model.fit(X, DIGITS)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="has format 99, and this version of ldlrpp has 1"):
        clone(model).fit(X, DIGITS)


def test_of_a_transformer(tmp_path, monkeypatch):
    model = LDLTransformer((64,), max_iter=4, random_state=0)
    kept = clone(model).set_params(checkpoint=tmp_path / "training")
    stopped_after(kept, 2, monkeypatch, X, DIGITS)
    np.testing.assert_array_equal(
        clone(kept).fit(X, DIGITS).transform(X).tobytes(), model.fit(X, DIGITS).transform(X).tobytes()
    )


def test_a_fit_that_a_callback_stopped_goes_on_without_it(tmp_path):
    model = LDLClassifier((64,), max_iter=5, random_state=0, checkpoint=tmp_path / "training")

    expected = []

    class Stop:
        def setup(self, estimator, context):
            expected.append(context.max_subtasks)

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context, **kwargs):
            pass

        def on_fit_task_end(self, estimator, context, **kwargs):
            return context.task_name == "epoch" and estimator.n_iter_ == 2

    stopped = clone(model).set_callbacks(Stop()).fit(X, DIGITS)
    assert stopped.n_iter_ == 2
    # a bar of progress is of the epochs that are left
    clone(model).set_callbacks(Stop()).fit(X, DIGITS)
    assert expected == [5, 3]
    assert_same(clone(model).fit(X, DIGITS), clone(model).set_params(checkpoint=None).fit(X, DIGITS))


def test_random_states_are_known_by_their_state(tmp_path):
    path = tmp_path / "training"
    model = LDLClassifier((16,), max_iter=2, checkpoint=path, random_state=np.random.RandomState(3)).fit(X, DIGITS)
    again = clone(model).set_params(random_state=np.random.RandomState(3))
    with np.printoptions(linewidth=20, threshold=5):
        assert_same(again.fit(X, DIGITS), model)
        with pytest.raises(ValueError, match="random_state was a RandomState in the state"):
            clone(model).set_params(random_state=np.random.RandomState(4)).fit(X, DIGITS)


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(ValueError, match=r"checkpoint=.* cannot be read: "):
        LDLClassifier((16,), checkpoint=tmp_path).fit(X, DIGITS)


def test_counts_may_be_small_integers_of_numpy(tmp_path):
    model = LDLClassifier((16,), max_iter=130, n_iter_no_change=200, random_state=0, checkpoint=tmp_path / "training")
    model.set_params(batch_size=np.int8(100), checkpoint_interval=np.int8(50)).fit(X, DIGITS)
    expected = clone(model).set_params(batch_size=100, checkpoint=None).fit(X, DIGITS)
    assert_same(model, expected)


def test_two_that_write_one_file_leave_whole_ones(tmp_path):
    path = tmp_path / "training"
    LDLClassifier((16,), max_iter=1, random_state=0, checkpoint=path).fit(X, DIGITS)
    arrays, state = checkpoints._read(path)
    stop = threading.Event()

    def write(number):
        while not stop.is_set():
            same = np.full_like(arrays["parameters"], number)
            checkpoints._write(path, {**arrays, "parameters": same}, {**state, "number": number})

    threads = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    try:
        for _ in range(100):
            found, said = checkpoints._read(path)
            assert (found["parameters"] == said["number"]).all()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert list(tmp_path.iterdir()) == [path]


def test_another_version_is_said(tmp_path, monkeypatch):
    model = LDLClassifier((16,), max_iter=1, random_state=0, checkpoint=tmp_path / "training").fit(X, DIGITS)
    monkeypatch.setattr("ldlrpp.__version__", "0.0.1")
    with pytest.warns(UserWarning, match=r"was written by ldlrpp .*, and ldlrpp 0.0.1 goes on") as warned:
        clone(model).fit(X, DIGITS)
    assert {one.filename for one in warned} == {__file__}


def test_ctrl_c_leaves_a_file_to_go_on_from(tmp_path, monkeypatch):
    path = tmp_path / "training"
    model = LDLClassifier((64,), max_iter=5, random_state=0, checkpoint=path)
    end_epoch, n = LDLClassifier._end_epoch, []

    def interrupted(self, *args):
        n.append(args)
        if len(n) == 4:
            raise KeyboardInterrupt
        end_epoch(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(LDLClassifier, "_end_epoch", interrupted)
        with pytest.warns(UserWarning, match="interrupted"):
            model.fit(X, DIGITS)
    assert model.predict(X).shape == (300,)
    assert json.loads(str(np.load(path)["state"]))["n_iter_"] == 3
    assert_same(clone(model).fit(X, DIGITS), clone(model).set_params(checkpoint=None).fit(X, DIGITS))


TRAINING = """
import sys
import numpy as np
from ldlrpp import LDLClassifier
rng = np.random.default_rng(0)
X, y = rng.standard_normal((2000, 64), dtype=np.float32), rng.integers(4, size=2000)
model = LDLClassifier((256,), max_iter=int(sys.argv[2]), n_iter_no_change=np.inf, random_state=0)
model.set_params(checkpoint=sys.argv[1]).fit(X, y)
print("ended")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal on Windows")
def test_a_process_that_is_killed(tmp_path):
    path, rng = tmp_path / "training", np.random.default_rng(0)
    command = [sys.executable, "-W", "ignore", "-c", TRAINING, str(path), "60"]
    for _ in range(5):
        process = subprocess.Popen(command)
        before = checkpoints._read(path)[1]["n_iter_"] if path.exists() else 0
        while process.poll() is None and (not path.exists() or checkpoints._read(path)[1]["n_iter_"] == before):
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.wait()
        assert checkpoints._read(path)[1]["n_iter_"] > before
    subprocess.run(command, check=True)
    killed = dict(np.load(path))
    path.unlink()
    subprocess.run(command, check=True)
    undisturbed = dict(np.load(path))
    assert killed.keys() == undisturbed.keys()
    for name, array in killed.items():
        np.testing.assert_array_equal(array, undisturbed[name])
