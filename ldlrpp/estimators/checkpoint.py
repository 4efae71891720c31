"""What a fit goes on from after its process has ended, in a file.

The file is one that `numpy.load` opens: arrays, and an array of one string that is JSON; nothing in it is a pickle. Its
last 64 bytes, in a ZIP archive a comment, are the SHA-256 of all others, and are looked at before anything else. It is
written beside the old one, which it then replaces, so that there is one whole file at any moment.
"""

import contextlib
import glob
import hashlib
import json
import os
import time
import zipfile
from pathlib import Path

import numpy as np
from scipy.sparse import issparse

import ldlrpp
from ldlrpp.estimators.files import PART, replacing
from ldlrpp.estimators.messages import warn
from ldlrpp.kernels import backend

# Changes with what is in a file.
_FORMAT = 1
_DIGEST_SIZE = 64
# Seconds after which nobody writes any more into a file that was to replace another.
_STALE = 3600
# Parameters that do not change what training leads to, and those of checkpoints.
_FREE = "verbose", "n_jobs", "device", "client", "checkpoint", "checkpoint_interval"
# What an estimator knows of its epochs, as JSON has it.
_COUNTED = (
    "loss_", "loss_curve_", "best_loss_", "validation_scores_", "validation_loss_curve_", "best_validation_score_",
    "n_iter_", "t_",
)  # fmt: skip


class Checkpoint:
    """The checkpoint of a fit: what is found there, and what is written.

    Parameters
    ----------
    estimator : estimator
        Its ``checkpoint`` is the file, None for none; its parameters are those of the training.

    Attributes
    ----------
    entropy : list of int or None
        Where the random stream of the training that is found has begun.
    n_epochs : int
        How many epochs it has behind it.
    finished : bool
        Whether that training had come to its end.

    Raises
    ------
    ValueError
        If the file is none, was changed, or is of training with other parameters, which are named.
    """

    def __init__(self, estimator, kernels):
        self.path = None if estimator.checkpoint is None else Path(estimator.checkpoint).expanduser()
        self.entropy, self.n_epochs, self.finished, self._found, self._failed = None, 0, False, None, False
        if self.path is None:
            return
        if estimator.solver == "lbfgs":
            raise ValueError("checkpoint is for solvers that take steps: with solver='lbfgs' it must be None")
        if estimator.warm_start:
            raise ValueError("checkpoint is for training from the start: with warm_start=True it must be None")
        if not self.path.parent.is_dir():
            raise ValueError(f"checkpoint={str(self.path)!r} is in a folder that is not there")
        parameters = {name: _shown(value) for name, value in estimator.get_params(deep=False).items()}
        # where rounding is another
        parameters["the machine"] = estimator._machine(kernels)
        self._identity = {
            "estimator": type(estimator).__name__,
            "parameters": {name: value for name, value in parameters.items() if name not in _FREE},
        }
        for left in self.path.parent.glob(f"{glob.escape(self.path.name)}.*{PART}"):
            # by a process that was killed while it wrote
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _STALE:
                    left.unlink()
        if self.path.exists():
            self._found = _, state = _read(self.path)
            self._refuse_others(state, "parameters")
            self.entropy, self.n_epochs, self.finished = state["entropy"], state["n_iter_"], state["finished"]
            if state["ldlrpp"] != ldlrpp.__version__:
                warn(
                    f"checkpoint={str(self.path)!r} was written by ldlrpp {state['ldlrpp']}, and ldlrpp "
                    f"{ldlrpp.__version__} goes on: rounding may be another"
                )

    def begin(self, estimator, data, validation):
        """Take note of the data, and let the estimator have what is found, if it is of the same."""
        if self.path is None:
            return
        parts = {"X, y and sample_weight": data} | ({} if validation is None else {"validation samples": validation[0]})
        self._identity["data"] = {name: _digest(part) for name, part in parts.items()}
        if self._found is None:
            return
        arrays, state = self._found
        self._refuse_others(state, "data")
        estimator.network_.flat[:] = arrays["parameters"]
        for name, target in (("optimizer", estimator._optimizer), ("average", estimator._average)):
            target.resume(_state_of(name, arrays, state))
        estimator._schedule.resume(state["schedule"])
        estimator._rng.bit_generator.state = state["stream"]
        for name in _COUNTED:
            setattr(estimator, name, state[name])
        estimator._say(f"Training goes on after epoch {estimator.n_iter_}, from {str(self.path)!r}.")

    def begin_run(self, estimator, run):
        """Let the run of a fit have what it remembered."""
        if self._found is None:
            return
        arrays, state = self._found
        run.n_no_improvement = state["n_no_improvement"]
        if "best" in arrays:
            average = estimator._make_average()
            average.resume(_state_of("best_average", arrays, state))
            run.best = arrays["best"], average
        self._found = None

    def end_epoch(self, estimator, run, finished=False, always=False):
        """Write the file, after every ``checkpoint_interval`` epochs and, ``always``, in the end."""
        if self.path is None or not (always or estimator.n_iter_ % int(estimator.checkpoint_interval) == 0):
            return
        arrays = {"parameters": estimator.network_.flat}
        state = {
            "format": _FORMAT,
            "ldlrpp": ldlrpp.__version__,
            **self._identity,
            "entropy": estimator._entropy,
            "finished": finished,
            "schedule": estimator._schedule.state,
            "stream": estimator._rng.bit_generator.state,
            "n_no_improvement": run.n_no_improvement,
            **{name: getattr(estimator, name) for name in _COUNTED},
        }
        kept = {"optimizer": run.optimizer, "average": run.average}
        if run.best is not None:
            arrays["best"], kept["best_average"] = run.best
        for name, each in kept.items():
            values = each.on(backend.cpu).state
            arrays |= {f"{name}.{key}": value for key, value in values.items() if isinstance(value, np.ndarray)}
            state[name] = {key: value for key, value in values.items() if not isinstance(value, np.ndarray)}
        try:
            _write(self.path, arrays, state)
        except OSError as error:
            if not self._failed:
                warn(f"checkpoint={str(self.path)!r} cannot be written: {error}")
            self._failed = True

    def _refuse_others(self, state, what):
        """ValueError where parameters, or data, are not those of the file."""
        there, here = state[what], self._identity[what]
        if state["estimator"] != self._identity["estimator"]:
            there, here = {"estimator": state["estimator"]}, {"estimator": self._identity["estimator"]}
        names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
        if names and what == "data":
            raise ValueError(f"checkpoint={str(self.path)!r} is of training with other data: {', '.join(names)}")
        if names:
            differ = ", ".join(f"{name} was {there.get(name)}, is {here.get(name)}" for name in names)
            raise ValueError(f"checkpoint={str(self.path)!r} is of other training: {differ}")


def _state_of(name, arrays, state):
    """The state of an optimiser or an average."""
    there = {key.partition(".")[2]: value for key, value in arrays.items() if key.startswith(f"{name}.")}
    return {**there, **state[name]}


def _shown(value):
    """A parameter as text that is the same in another process."""
    if isinstance(value, np.random.RandomState):
        kind, words, *others = value.get_state()
        digest = hashlib.sha256(words.tobytes() + repr((kind, others)).encode()).hexdigest()
        return f"a RandomState in the state {digest[:12]}…"
    if isinstance(value, dict):
        return repr(sorted((str(key), _shown(part)) for key, part in value.items()))
    if isinstance(value, (list, tuple, np.ndarray)):
        return repr([_shown(part) for part in value])
    return repr(value.item() if isinstance(value, np.generic) else value)


def _digest(data):
    """The SHA-256 of inputs, targets and weights; what is elsewhere has a digest of its own."""
    if hasattr(data, "digest"):
        return data.digest()
    digest = hashlib.sha256()
    for array in (data.X, data.targets, data.weights):
        parts = [] if array is None else [array.data, array.indices, array.indptr] if issparse(array) else [array]
        digest.update(b"" if array is None else f"{type(array).__name__}{array.shape}".encode())
        for part in parts:
            part = np.ascontiguousarray(backend.of(part).memory.get(part))
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(part.reshape(-1).view(np.uint8))
        digest.update(b";")
    return digest.hexdigest()


# --- The file --------------------------------------------------------------------------------------------------------


def _write(path, arrays, state):
    with replacing(path) as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.comment = b" " * _DIGEST_SIZE
            for name, array in {"state": np.array(json.dumps(state)), **arrays}.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)
        digest = _digest_of_all_but_itself(file)
        file.seek(-_DIGEST_SIZE, os.SEEK_END)
        file.write(digest)


def _read(path):
    """Arrays and state; nothing of a file is looked at that is not as it was written."""
    try:
        file = open(path, "rb")
    except OSError as error:
        raise ValueError(f"checkpoint={str(path)!r} cannot be read: {error}") from error
    with file:
        file.seek(0, os.SEEK_END)
        whole = file.tell() > _DIGEST_SIZE and _digest_of_all_but_itself(file) == file.read(_DIGEST_SIZE)
        if not whole:
            raise ValueError(f"checkpoint={str(path)!r} is no checkpoint, or not as it was written")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as entries:
                arrays = {name: entries[name] for name in entries.files}
            state = json.loads(str(arrays.pop("state")))
        except (zipfile.BadZipFile, KeyError, ValueError) as error:
            raise ValueError(f"checkpoint={str(path)!r} is no checkpoint: {error}") from error
    if state.get("format") != _FORMAT:
        raise ValueError(
            f"checkpoint={str(path)!r} has format {state.get('format')}, and this version of ldlrpp has {_FORMAT}"
        )
    return arrays, state


def _digest_of_all_but_itself(file):
    """Leaves the file where the digest begins."""
    file.seek(0, os.SEEK_END)
    left = file.tell() - _DIGEST_SIZE
    file.seek(0)
    digest = hashlib.sha256()
    while left:
        part = file.read(min(left, 2**20))
        digest.update(part)
        left -= len(part)
    return digest.hexdigest().encode()
