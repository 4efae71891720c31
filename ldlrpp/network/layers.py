"""Layers: plain owners of parameters, with a forward and a backward.

Every layer has

``n_inputs``, ``n_outputs``
    Its widths.
``parameters``
    Dict of its arrays, by name. Optimisers change them in place.
``decayed``
    The names of those that weight decay applies to.
``n_parameters``
    Their number, all of them together.
``input_width``, ``repeats``
    Inputs may come this wide, each row again and again if it ``repeats``, else with zeros behind it.
``n_scratch``
    How many numbers ``forward`` takes from its workspace for a row.
``n_kept``
    How many bytes stay in its workspace from batch to batch.
``scratch_bytes(batch, kernels)``
    How many bytes kernels take in ``backward`` and give back, where they are many.
``forward(x, out, workspace, relu=False)``
    Writes the output for ``x`` (batch, n_inputs or input_width) into ``out`` (batch, n_outputs); with ``relu``, zeros
    where it is negative.
``backward(grad_y, x, gradients, grad_x, workspace)``
    Overwrites the arrays of ``gradients`` (same names and shapes as ``parameters``) and ``grad_x`` (batch, n_inputs);
    where ``grad_x`` is None the input needs no gradient. ``grad_y`` and ``x`` are left alone. It follows the `forward`
    of the same ``x``, in the same workspace.
``shapes()``
    The shapes that its widths want of its parameters, by name.
``check()``
    Raises ValueError unless its arrays are what its widths want, for a layer that was loaded.
``described()``
    What it is beside its arrays: a dict of numbers and words.
``change_arrays(change)``
    Replaces each of its arrays by what ``change`` makes of it: on the way to another machine, and back.

A layer is made of NumPy arrays; a `Network` puts them where its kernels work. It keeps nothing of a batch: the caller
owns inputs, outputs, gradients and the `Workspace`, whose kernels the layer works with, and is in the context that
``kernels.threads.single_threaded_blas`` gives.
"""

import numpy as np

from ldlrpp.kernels import backend, ldl_init, rpp_init
from ldlrpp.kernels.bijection import entry_dtype
from ldlrpp.kernels.ldl_weights import hadamard_of_copies, radix_by_shape, radix_of, weights_shape
from ldlrpp.network.workspace import Workspace

# What the standard deviation of initial weights is multiplied by, for the activation that follows: keeps the variance
# of relu and identity layers, and roughly that of tanh.
GAINS = {"identity": 1.0, "logistic": 1.0, "tanh": 5 / 3, "relu": np.sqrt(2.0)}
# What depends on the memory that there is, and changes nothing.
_NOT_DESCRIBED = "keeps_permutations", "keeps_weights", "n_kept"
# Rows from which a prediction keeps what RPP computes: below, memory for it costs more than it is worth.
_KEPT_ROWS = 32
# Bytes of a wide matrix that RPP's forward leaves for backward, at most: reading 4 MB takes less time than expanding it
# again (forward + backward 1.27 instead of 1.38 times dense, batch 64), 16 MB more (1.76 instead of 1.64).
_HANDED_ON = 2**23


class _Layer:
    decayed = ()
    n_scratch = n_kept = 0
    repeats = False

    @property
    def input_width(self):
        return self.n_inputs

    @property
    def n_parameters(self):
        return sum(array.size for array in self.parameters.values())

    def change_arrays(self, change):
        """Put what ``change`` makes of each of its arrays in its place."""
        for name, array in self.parameters.items():
            self.parameters[name] = change(array)

    def scratch_bytes(self, batch, kernels):
        return 0

    def described(self):
        own = {name: value for name, value in vars(self).items() if isinstance(value, (bool, int, float, str))}
        return {"kind": type(self).__name__, **{name: own[name] for name in sorted(own) if name not in _NOT_DESCRIBED}}

    def check(self):
        dtypes = {array.dtype for array in self.parameters.values()}
        if len(dtypes) != 1 or not backend.cpu.memory.takes(*dtypes):
            raise ValueError(f"a layer that was loaded has arrays of dtypes {sorted(map(str, dtypes))}")
        found = {name: array.shape for name, array in self.parameters.items()}
        if found != self.shapes():
            raise ValueError(
                f"a layer that was loaded has arrays of shapes {found}, and its widths want {self.shapes()}"
            )

    def to_dense(self, kernels=backend.cpu):
        """Matrix (n_inputs, n_outputs) and bias (n_outputs,) with ``forward(x) = x @ matrix + bias``, to rounding.

        Arrays of NumPy; ``kernels`` are those of the layer's network.
        """
        dtype = next(iter(self.parameters.values())).dtype
        rows = np.vstack([np.zeros(self.n_inputs, dtype), np.eye(self.n_inputs, dtype=dtype)])
        out = kernels.memory.empty((self.n_inputs + 1, self.n_outputs), dtype)
        with kernels.threads.kernel_threads(), kernels.threads.single_threaded_blas():
            self.forward(kernels.memory.put(rows), out, Workspace(kernels, fixed=True))
        out = kernels.memory.get(out)
        return out[1:] - out[0], out[0]

    def _wanted(self, grad_x, x, workspace):
        """Whether the gradient of the input is wanted, and an array for it, of no rows where it is not."""
        if grad_x is None:
            return False, workspace.kernels.memory.empty((0, self.n_inputs), x.dtype)
        return True, grad_x


class Dense(_Layer):
    """``y = x @ weights.T + bias``, weights of shape (n_outputs, n_inputs), at first Glorot-uniform times the gain."""

    decayed = ("weights",)

    def __init__(self, n_inputs, n_outputs, *, activation="identity", rng, dtype):
        self.n_inputs, self.n_outputs = n_inputs, n_outputs
        bound = GAINS[activation] * np.sqrt(6.0 / (n_inputs + n_outputs))
        self.parameters = {
            "weights": rng.uniform(-bound, bound, (n_outputs, n_inputs)).astype(dtype),
            "bias": np.zeros(n_outputs, dtype),
        }

    def shapes(self):
        return {"weights": (self.n_outputs, self.n_inputs), "bias": (self.n_outputs,)}

    def forward(self, x, out, workspace, relu=False):
        workspace.kernels.dense.forward(x, self.parameters["weights"], self.parameters["bias"], relu, out)

    def backward(self, grad_y, x, gradients, grad_x, workspace):
        wanted, grad_x = self._wanted(grad_x, x, workspace)
        workspace.kernels.dense.backward(
            grad_y, x, self.parameters["weights"], wanted, grad_x, gradients["weights"], gradients["bias"]
        )


class LDL(_Layer):
    """A butterfly of width N, the power of two that holds both n_inputs and n_outputs; its output is cut to n_outputs.

    ``radix`` is the number of positions that a stage mixes. ``expansion`` says how n_inputs become N: 'repeat' takes
    them again and again from the first, 'pad' adds zeros. No weight decays: the mixes start orthogonal, and shrinking
    each of the stages shrinks their product exponentially.
    """

    def __init__(
        self,
        n_inputs,
        n_outputs,
        *,
        radix=2,
        activation="identity",
        init="orthogonal",
        expansion="repeat",
        rng,
        dtype,
    ):
        self.n_inputs, self.n_outputs, self.expansion = n_inputs, n_outputs, expansion
        self.width = 1 << (max(n_inputs, n_outputs) - 1).bit_length()
        weights, scale, bias = ldl_init(
            self.width, radix=radix, init=init, gain=GAINS[activation], random_state=rng, dtype=dtype
        )
        if init == "hadamard" and self.repeats and self.width > n_inputs and self.width % n_inputs == 0:
            # on digits, 64 inputs, one layer of 1024 of radix 4: 0.975 instead of 0.959
            weights = hadamard_of_copies(self.width, n_inputs, radix, rng, dtype)
        self.parameters = {"weights": weights, "scale": scale, "bias": bias}

    @property
    def radix(self):
        return radix_of(self.parameters["weights"].shape)

    def shapes(self):
        width = 1 << (max(self.n_inputs, self.n_outputs) - 1).bit_length()
        radix = radix_by_shape(width).get(self.parameters["weights"].shape, 2)
        return {"weights": weights_shape(width, radix), "scale": (width,), "bias": (self.width,)}

    @property
    def input_width(self):
        return self.width

    @property
    def repeats(self):
        return self.expansion == "repeat"

    @property
    def n_scratch(self):
        return self.width * ((self.n_inputs < self.width) + (self.n_outputs < self.width))

    def scratch_bytes(self, batch, kernels):
        return kernels.ldl.scratch_bytes(batch, self.width, self.radix, self.parameters["weights"].itemsize)

    def forward(self, x, out, workspace, relu=False):
        kernels, wide_x, wide_out = workspace.kernels, x, out
        if x.shape[1] < self.width:
            wide_x = self._scratch("input", x, workspace)
            kernels.elementwise.widen(x, self.repeats, wide_x)
        if self.n_outputs < self.width:
            wide_out = self._scratch("output", x, workspace)
        kernels.ldl.forward(
            wide_x, self.parameters["weights"], self.parameters["scale"], self.parameters["bias"], relu, wide_out
        )
        if wide_out is not out:
            kernels.elementwise.fold(wide_out, False, out)

    def backward(self, grad_y, x, gradients, grad_x, workspace):
        kernels = workspace.kernels
        if self.n_outputs < self.width:
            cut = grad_y
            grad_y = self._scratch("output", x, workspace)
            kernels.elementwise.widen(cut, False, grad_y)
        direct = grad_x is not None and self.n_inputs == self.width
        wide = grad_x if direct else self._scratch("gradient", x, workspace)
        kernels.ldl.backward(
            grad_y,
            # as forward left it
            x if x.shape[1] == self.width else self._scratch("input", x, workspace),
            self.parameters["weights"],
            self.parameters["scale"],
            wide,
            gradients["weights"],
            gradients["scale"],
            gradients["bias"],
        )
        if grad_x is not None and not direct:
            kernels.elementwise.fold(wide, self.repeats, grad_x)

    def _scratch(self, name, x, workspace):
        return workspace.empty(name, (len(x), self.width), x.dtype)


class RPP(_Layer):
    """``n_permutations`` differently permuted copies of a hidden matrix (n_inputs, ⌈n_outputs / n_permutations⌉).

    ``bias`` is 'full' (a value for every output), 'shared' (one for every column of the hidden matrix) or 'none'. With
    ``stored``, what ``kernels.rpp.permutations`` gives for ``seed``, permutations are looked up instead of computed.
    ``share_columns`` and ``signs`` are those of `rpp_forward`; the gradient of the hidden matrix is multiplied by
    ``grad_scale``. ``kernels`` are those of the network that the layer is for.

    The same permutations serve every batch. If ``budget`` bytes hold them they stay in the workspace, and if these hold
    the wide matrix besides, so may that, ``n_kept`` bytes at most: in training a small one, from forward to backward;
    in a prediction it is expanded once, and no permutations are kept. None of it changes the results.
    """

    decayed = ("hidden",)
    # of layers saved before there were any
    signs = False

    def __init__(
        self,
        n_inputs,
        n_outputs,
        *,
        n_permutations,
        seed,
        bias="full",
        share_columns=False,
        signs=False,
        stored=None,
        grad_scale=1.0,
        budget=0,
        activation="identity",
        rng,
        dtype,
        kernels=backend.cpu,
    ):
        n_columns = -(-n_outputs // n_permutations)
        self.n_inputs, self.n_outputs = n_inputs, n_outputs
        self.n_permutations, self.seed = n_permutations, int(seed)
        self.share_columns, self.signs = share_columns, signs
        self.stored = np.empty((0, n_inputs), np.uint16) if stored is None else stored
        self.grad_scale = float(grad_scale)
        hidden = rpp_init(n_inputs, n_columns, gain=GAINS[activation], random_state=rng, dtype=dtype)
        n_bias = {"full": n_outputs, "shared": n_columns, "none": 0}[bias]
        self.parameters = {"hidden": hidden, "bias": np.zeros(n_bias, dtype)}
        n_permutation_bytes = 0
        if stored is None:
            n_permutation_bytes = kernels.rpp.n_permutation_bytes(n_inputs, n_columns, n_outputs, share_columns, signs)
        n_weight_bytes = n_inputs * n_outputs * hidden.itemsize
        self.keeps_permutations = n_permutation_bytes <= budget
        self.keeps_weights = n_permutation_bytes + n_weight_bytes <= budget
        self.n_kept = self.keeps_permutations * n_permutation_bytes + self.keeps_weights * n_weight_bytes

    def shapes(self):
        n_columns = -(-self.n_outputs // self.n_permutations)
        n_bias = len(self.parameters["bias"])
        of_bias = n_bias if n_bias in (0, n_columns, self.n_outputs) else self.n_outputs
        return {"hidden": (self.n_inputs, n_columns), "bias": (of_bias,)}

    def check(self):
        super().check()
        rows, m, n_columns = self.stored, self.n_inputs, self.parameters["hidden"].shape[1]
        if not len(rows):
            return
        dtype = entry_dtype(m, self.signs)
        n_bytes = backend.cpu.rpp.n_permutation_bytes(m, n_columns, self.n_outputs, self.share_columns, self.signs)
        fits = rows.dtype == dtype and rows.shape == (n_bytes // (m * dtype.itemsize), m)
        if fits and (rows & (np.iinfo(dtype).max // 2) if self.signs else rows).max() < m:
            is_permutation = np.empty(len(rows), bool)
            with backend.cpu.threads.one_kernel():
                backend.cpu.rpp.is_permutation(np.ascontiguousarray(rows), self.signs, is_permutation)
            if is_permutation.all():
                return
        raise ValueError("a layer that was loaded has stored permutations that are none")

    def change_arrays(self, change):
        super().change_arrays(change)
        self.stored = change(self.stored)

    def forward(self, x, out, workspace, relu=False):
        is_filled = self.keeps_weights and workspace.fixed and (len(x) >= _KEPT_ROWS or workspace.has("wide"))
        if is_filled:
            permutations, weights = self.stored[:0], workspace.once("wide", lambda: self._expand(workspace))
        else:
            permutations, weights = self._permutations(x, workspace), self._weights(x, workspace)
        hidden_t, seed, how = self._columns()
        workspace.kernels.rpp.forward(
            x, hidden_t, seed, permutations, *how, self.parameters["bias"], relu, weights, is_filled, workspace.empty,
            out,
        )  # fmt: skip

    def backward(self, grad_y, x, gradients, grad_x, workspace):
        wanted, grad_x = self._wanted(grad_x, x, workspace)
        grad_bias = gradients["bias"]
        # of a bias for every output
        sums = (
            grad_bias if len(grad_bias) in (0, self.n_outputs) else workspace.empty("bias", (self.n_outputs,), x.dtype)
        )
        hidden_t, seed, how = self._columns()
        workspace.kernels.rpp.backward(
            grad_y, x, hidden_t, seed, self._permutations(x, workspace), *how, self._weights(x, workspace),
            workspace.empty, wanted, grad_x, gradients["hidden"].T, sums,
        )  # fmt: skip
        if self.grad_scale != 1:
            gradients["hidden"] *= gradients["hidden"].dtype.type(self.grad_scale)
        if sums is not grad_bias:
            # forward: out[:, c] += bias[c mod n]
            workspace.kernels.elementwise.fold(sums.reshape(1, -1), True, grad_bias.reshape(1, -1))

    def _columns(self):
        """The columns of the hidden matrix, the seed of their permutations, and the kernels' options of these."""
        return self.parameters["hidden"].T, np.uint64(self.seed), (self.share_columns, self.signs)

    def _permutations(self, x, workspace):
        """All permutations where they are stored or kept, no rows where the kernels compute them."""
        few = workspace.fixed and len(x) < _KEPT_ROWS and not workspace.has("permutations")
        if len(self.stored) or not self.keeps_permutations or few:
            return self.stored
        hidden_t, seed, how = self._columns()
        sizes = self.n_inputs, len(hidden_t), self.n_outputs
        return workspace.once("permutations", lambda: workspace.kernels.rpp.permutations(*sizes, seed, *how))

    def _weights(self, x, workspace):
        """Memory for the wide matrix, which forward fills for backward, or no rows."""
        is_small = self.n_inputs * self.n_outputs * x.itemsize <= _HANDED_ON
        n_rows = self.n_outputs if self.keeps_weights and is_small and not workspace.fixed else 0
        return workspace.empty("wide", (n_rows, self.n_inputs), x.dtype)

    def _expand(self, workspace):
        """The wide matrix."""
        hidden_t, seed, how = self._columns()
        wide = workspace.kernels.memory.empty((self.n_outputs, self.n_inputs), hidden_t.dtype)
        workspace.kernels.rpp.expand(hidden_t, seed, self.stored, *how, workspace.empty, wide)
        return wide
