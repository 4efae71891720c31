"""Models on disk: which version saved one, and the parameters of a network as a file of safetensors."""

import json
import os
import re
from numbers import Number
from pathlib import Path

from sklearn.utils.validation import check_is_fitted

import ldlrpp
from ldlrpp.estimators.files import replacing
from ldlrpp.estimators.messages import warn
from ldlrpp.kernels import backend

# Changes with what is in a file of `save_weights`.
_FORMAT = "1"


class Saved:
    """What is saved of an estimator knows the version of the package; its weights can be a file by themselves."""

    # of models that were saved before there were checkpoints
    checkpoint, checkpoint_interval = None, 1

    def __getstate__(self):
        state = {**super().__getstate__(), "_ldlrpp_version": ldlrpp.__version__}
        if isinstance(state.get("checkpoint"), os.PathLike):
            # a path of this system's kind is no type that others know
            state["checkpoint"] = os.fspath(state["checkpoint"])
        return state

    def __setstate__(self, state):
        state = dict(state)
        _check_version(state.pop("_ldlrpp_version", None), type(self).__name__)
        super().__setstate__(state)
        if "network_" in vars(self):
            self._check_loaded()

    def _check_loaded(self):
        """ValueError unless what kernels are given later fits the network: they check nothing."""
        network = self.network_
        first, last, flat = network.layers[0], network.layers[-1], network.flat
        widths = vars(self).get("n_features_in_"), vars(self).get("n_outputs_")
        if widths != (first.n_inputs, last.n_outputs):
            raise ValueError(
                f"a model that was loaded takes {widths[0]} features to {widths[1]} outputs, and its network "
                f"{first.n_inputs} to {last.n_outputs}"
            )
        for part in (vars(self).get("_optimizer"), vars(self).get("_average")):
            for name, array in getattr(part, "state", {}).items():
                if not isinstance(array, Number) and (array.shape, array.dtype) != (flat.shape, flat.dtype):
                    raise ValueError(f"a model that was loaded has {name} of training that are not of its network")

    def save_weights(self, file):
        """Write the parameters of the network, and nothing else, into a file of safetensors.

        Parameters
        ----------
        file : str or path
            The file; one that is there is replaced, as a whole. An array is named by its layer, as in
            'layers.0.weights'. The metadata are 'format', 'ldlrpp' (the version) and 'network', in JSON: the
            activation, and what the layers are beside their arrays.

        Raises
        ------
        ImportError
            Where the package safetensors is not installed.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from sklearn.datasets import load_digits
        >>> from ldlrpp import LDLClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> model = LDLClassifier((64,), learning_rate="cosine", max_iter=2, random_state=0).fit(X, y)
        >>> other = LDLClassifier((64,), learning_rate="cosine", max_iter=1, random_state=1).fit(X, y)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save_weights(Path(folder) / "weights.safetensors")
        ...     other = other.load_weights(Path(folder) / "weights.safetensors")
        >>> bool((other.predict(X) == model.predict(X)).all())
        True
        """
        check_is_fitted(self)
        metadata = {"format": _FORMAT, "ldlrpp": ldlrpp.__version__, "network": json.dumps(self._described_network())}
        arrays = {name: backend.cpu.memory.contiguous(array) for name, array in self._named_parameters().items()}
        contents = _safetensors().numpy.save(arrays, metadata)
        with replacing(Path(file)) as opened:
            opened.write(contents)

    def load_weights(self, file):
        """Replace the parameters of a fitted network by those of a file of `save_weights`.

        Training goes on from them with an optimiser that begins anew. Everything else of the estimator, as classes and
        histories, stays.

        Parameters
        ----------
        file : str or path
            The file. Nothing in it is run.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If the file is none of safetensors, or of a network of other layers, as the message says; the estimator is
            then as it was.
        ImportError
            Where the package safetensors is not installed.
        """
        check_is_fitted(self)
        safetensors, parameters, arrays = _safetensors(), self._named_parameters(), {}
        try:
            with safetensors.safe_open(file, framework="numpy") as opened:
                metadata = opened.metadata() or {}
                names = set(opened.keys())
                if metadata.get("format") != _FORMAT:
                    raise ValueError(f"its format is {metadata.get('format')!r}, and not {_FORMAT!r}")
                if names != set(parameters):
                    raise ValueError(f"it has the arrays {sorted(names)}, and the network {sorted(parameters)}")
                for name, wanted in parameters.items():
                    arrays[name] = array = opened.get_tensor(name)
                    if (array.shape, array.dtype) != (wanted.shape, wanted.dtype):
                        raise ValueError(
                            f"{name} has shape {array.shape} and dtype {array.dtype}, and in the network "
                            f"{wanted.shape} and {wanted.dtype}"
                        )
                if json.loads(metadata.get("network", "null")) != self._described_network():
                    raise ValueError(
                        f"its network is {metadata.get('network')}, and not {json.dumps(self._described_network())}"
                    )
        # of dtypes that NumPy does not have it raises others
        except (safetensors.SafetensorError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"file={str(file)!r} has no weights for this network: {error}") from error
        for name, array in parameters.items():
            array[...] = arrays[name]
        trained = vars(self).get("estimator_", self)
        trained._optimizer, trained._average = trained._make_optimizer(), trained._make_average()
        return self

    def _named_parameters(self):
        """The arrays of the network by name."""
        layers = enumerate(self.network_.layers)
        return {f"layers.{i}.{name}": array for i, layer in layers for name, array in layer.parameters.items()}

    def _described_network(self):
        """What the network is beside its arrays, as JSON has it."""
        return {"activation": self.network_.activation, "layers": [layer.described() for layer in self.network_.layers]}


def _safetensors():
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("files of weights want the package safetensors: pip install 'ldlrpp[safetensors]'") from error
    return safetensors


def _check_version(saved, name):
    """ValueError if a newer version has saved a model whose parts this one may not know; a warning if it may."""
    parts = [_release(version) for version in (saved, ldlrpp.__version__)]
    if saved is None or None in parts or parts[0] <= parts[1]:
        return
    message = f"this {name} was saved by ldlrpp {saved}, and ldlrpp {ldlrpp.__version__} loads it"
    if parts[0][0] > parts[1][0]:
        raise ValueError(f"{message}: update ldlrpp to that version or a later one")
    warn(f"{message}: what is new since then is not known here")


def _release(version):
    """The numbers of the major and the minor release."""
    match = re.match(r"(\d+)\.(\d+)", str(version))
    return match and (int(match[1]), int(match[2]))
