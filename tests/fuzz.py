"""Calls that go wrong in every way that one thinks of: `test_fuzz.py` makes some of them, benchmarks/faults.py many.

A call gives a right result, or raises one of `ALLOWED`, which names an argument where it is the kernels' own; it never
changes an input. What hypothesis draws are indices and seeds, for the least one that fails to be found.
"""

import re
import warnings

import numpy as np
import reference
from hypothesis import strategies as st
from scipy.sparse import coo_array, csr_array, csr_matrix

import ldlrpp
from ldlrpp import kernels

ALLOWED = ValueError, TypeError, NotImplementedError


class Subclass(np.ndarray):
    """An array of another class."""


NO_ARRAY = "this is no array"


class Raising:
    """An object that can be nothing."""

    def __array__(self, *args, **kwargs):
        raise TypeError(NO_ARRAY)


#: What an array may be spoiled to: from one of (batch, width), and a generator.
ARRAYS = {
    "as it is": lambda a, rng: a,
    "a list": lambda a, rng: a.tolist(),
    "float16": lambda a, rng: a.astype(np.float16),
    "another float": lambda a, rng: a.astype({"float32": np.float64, "float64": np.float32}.get(a.dtype.name, float)),
    "longdouble": lambda a, rng: a.astype(np.longdouble),
    "int": lambda a, rng: np.nan_to_num(a).astype(np.int64),
    "bool": lambda a, rng: a > 0,
    "complex": lambda a, rng: a.astype(complex),
    "object": lambda a, rng: a.astype(object),
    "text": lambda a, rng: a.astype(str),
    "bytes": lambda a, rng: a.astype("S"),
    "dates": lambda a, rng: np.zeros(a.shape, "datetime64[s]"),
    "another byte order": lambda a, rng: a.astype(a.dtype.newbyteorder()),
    "masked": lambda a, rng: np.ma.masked_array(a, rng.random(a.shape) < 0.3),
    "a subclass": lambda a, rng: a.view(Subclass),
    "a matrix": lambda a, rng: _matrix(a),
    "Fortran order": lambda a, rng: np.asfortranarray(a),
    "every second": lambda a, rng: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a, rng: a[::-1],
    "read-only": lambda a, rng: _locked(a),
    "unaligned": lambda a, rng: _unaligned(a),
    "no rows": lambda a, rng: a[:0],
    "no columns": lambda a, rng: a[..., :0],
    "one row": lambda a, rng: a[:1],
    "one axis less": lambda a, rng: a.reshape(-1),
    "one axis more": lambda a, rng: a[np.newaxis],
    "a column less": lambda a, rng: a[..., :-1],
    "a column more": lambda a, rng: np.concatenate([a, a[..., :1]], axis=-1),
    "a row more": lambda a, rng: np.concatenate([a, a[:1]]),
    "NaN": lambda a, rng: _with(a, np.nan, rng),
    "inf": lambda a, rng: _with(a, -np.inf, rng),
    "huge": lambda a, rng: _with(a, np.finfo(a.dtype).max if a.dtype.kind == "f" else 2**62, rng),
    "tiny": lambda a, rng: a * a.dtype.type(1e-30) if a.dtype.kind == "f" else a,
    "zeros": lambda a, rng: np.zeros_like(a),
    "broadcast": lambda a, rng: np.broadcast_to(a[:1], a.shape),
    "CSR": lambda a, rng: csr_array(a) if a.ndim == 2 else a,
    "CSR matrix": lambda a, rng: csr_matrix(a) if a.ndim == 2 else a,
    "COO": lambda a, rng: coo_array(a) if a.ndim == 2 else a,
    "memoryview": lambda a, rng: memoryview(np.ascontiguousarray(a)),
    "ragged": lambda a, rng: [[1.0], [1.0, 2.0]],
    "None": lambda a, rng: None,
    "a number": lambda a, rng: 1.5,
    "a word": lambda a, rng: "x",
    "a dict": lambda a, rng: {"a": 1},
    "an object": lambda a, rng: Raising(),
}
#: What a number, an option or a parameter may be spoiled to.
NUMBERS = (
    None, True, False, 0, -1, 1, 2, 3, 7, 2**31, 2**63, 2**64 - 1, 2**64, -(2**70), 0.5, 1.5, -0.0, 1e-300, np.nan,
    np.inf, -np.inf, "x", "", b"x", (), [], {}, (1, 2), [0.5, "x"], np.int8(3), np.uint64(5), np.float32(0.25),
    np.float16(2), np.array(3), np.array([1, 2]), 1j, object(), Raising(), "auto", "none", "cuda:99",
)  # fmt: skip


def _matrix(a):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asmatrix(a) if a.ndim < 3 else a


def _locked(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def _unaligned(a):
    memory = np.empty(a.nbytes + 1, np.uint8)[1:]
    copy = memory.view(a.dtype).reshape(a.shape) if a.size else a
    copy[...] = a
    return copy


def _with(a, value, rng):
    a = a.astype(a.dtype if a.dtype.kind == "f" or abs(value) < 2**62 + 1 else float)
    if a.size:
        a[tuple(rng.integers(n) for n in a.shape)] = value
    return a


def _bytes(value):
    """What must be the same after a call."""
    if isinstance(value, np.ma.MaskedArray):
        return value.filled(0).tobytes()
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.tobytes()
    if hasattr(value, "indptr"):
        return value.data.tobytes(), value.indices.tobytes(), value.indptr.tobytes()
    return repr(value)


def spoil(draw, rng, arrays, numbers):
    """Arguments by name, up to two of which are spoiled, and how many are."""
    given = {**arrays, **numbers}
    n_spoiled = draw(st.integers(0, 2))
    for _ in range(n_spoiled):
        name = draw(st.sampled_from(sorted(given)))
        if name in arrays:
            if given[name] is arrays[name]:
                given[name] = ARRAYS[draw(st.sampled_from(sorted(ARRAYS)))](given[name], rng)
        else:
            given[name] = NUMBERS[draw(st.integers(0, len(NUMBERS) - 1))]
    return given, n_spoiled


# --- Kernels ---------------------------------------------------------------------------------------------------------


def kernel_call(draw):
    """A call of a kernel's public function."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    function = draw(st.sampled_from(sorted(KERNELS)))
    call, arrays, numbers, expected = KERNELS[function](draw, rng)
    given, n_spoiled = spoil(draw, rng, arrays, numbers)
    before = {name: _bytes(value) for name, value in given.items() if name != "out"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = call(**given)
        except ALLOWED as error:
            found, message = None, str(error)
        else:
            message = None
    assert {name: _bytes(value) for name, value in given.items() if name != "out"} == before, function
    if message is not None:
        assert n_spoiled, f"{function}: {message}"
        named = any(re.search(rf"\b{name}\b", message) for name in given)
        assert named or NO_ARRAY in message, f"{function}: {message}"
    elif expected is not None:
        _compare(function, found, expected, given, arrays)


def _compare(function, found, expected, given, names):
    """With the reference in float64, where what NumPy sees are numbers that are finite, and not too large."""
    arrays = {}
    for name, value in given.items():
        if name != "out":
            arrays[name] = array = np.asarray(value) if name in names and value is not None else value
            if name in names and value is not None:
                if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
                    return
                if array.size and np.abs(array.astype(float)).max() > 1e6:
                    return
    wanted = expected(**arrays)
    # what sums may have cancelled
    largest = [np.abs(arrays[name].astype(float)).max(initial=1) for name in names if arrays.get(name) is not None]
    for one, other in zip(_tuple(found), _tuple(wanted), strict=True):
        # and what has no float32
        scale = np.abs(other).max(initial=0) + 1e-3 * np.prod(largest) + 1e-30
        np.testing.assert_allclose(np.asarray(one, float), other, atol=1e-4 * scale, rtol=0, err_msg=function)


def _tuple(value):
    return value if isinstance(value, tuple) else (value,)


def _dtype(draw):
    return draw(st.sampled_from([np.float32, np.float64]))


def _ldl(draw, rng):
    width, batch, dtype = 2 ** draw(st.integers(0, 7)), draw(st.integers(0, 18)), _dtype(draw)
    radix = draw(st.sampled_from([2, 4, 8, 16, 32]))
    weights, scale, bias = kernels.ldl_init(width, radix=radix, random_state=0, dtype=dtype)
    x, grad_y = rng.standard_normal((2, batch, width)).astype(dtype)
    return x, grad_y, weights, scale, bias + dtype(0.5)


def _ldl_forward(draw, rng):
    x, _, weights, scale, bias = _ldl(draw, rng)
    arrays, out = (
        {"weights": weights, "scale": scale, "bias": bias},
        draw(st.sampled_from(["none", "fresh", "overlap"])),
    )
    if out == "overlap":
        return _overlapping(x, draw(st.integers(0, len(x)))), arrays, {}, None
    arrays["x"] = x
    if out == "fresh":
        arrays["out"] = np.empty_like(x)
    return kernels.ldl_forward, arrays, {}, lambda x, **a: _reference(reference.ldl_forward, {"x": x, **a})


def _overlapping(x, rows):
    """A forward pass of rows whose output begins so many of them behind the input, compared with one of a copy."""

    def call(**parameters):
        memory = np.empty((len(x) + rows, x.shape[1]), x.dtype)
        before, out = memory[: len(x)], memory[rows:]
        before[...] = x
        wanted = kernels.ldl_forward(x, **parameters)
        np.testing.assert_array_equal(kernels.ldl_forward(before, **parameters, out=out), wanted)
        assert out is not before

    return call


def _reference(function, arrays):
    return function(*(np.asarray(a, float) for name, a in arrays.items() if a is not None))


def _ldl_backward(draw, rng):
    x, grad_y, weights, scale, _ = _ldl(draw, rng)
    arrays = {"grad_y": grad_y, "x": x, "weights": weights, "scale": scale}
    return kernels.ldl_backward, arrays, {}, lambda **a: _reference(reference.ldl_backward, a)


def _ldl_dense(draw, rng):
    _, _, weights, scale, _ = _ldl(draw, rng)

    def expected(weights, scale):
        eye = np.eye(len(np.asarray(scale)))
        return reference.ldl_forward(eye, np.asarray(weights, float), np.asarray(scale, float), np.zeros(len(eye)))

    return kernels.ldl_dense, {"weights": weights, "scale": scale}, {}, expected


def _ldl_init(draw, rng):
    numbers = {"width": 2 ** draw(st.integers(0, 6)), "radix": 4, "init": "orthogonal", "gain": 1.0, "dtype": "float32",
               "random_state": 0}  # fmt: skip
    return _small(kernels.ldl_init, "width"), {}, numbers, None


def _small(function, *sizes):
    """The function, but not of sizes that no memory holds."""

    def call(**given):
        for name in sizes:
            if isinstance(given[name], (int, np.integer)) and given[name] > 2**12:
                raise ValueError(f"{name}: not tried")
        return function(**given)

    return call


def _ldl_merge(draw, rng):
    weights = kernels.ldl_init(2 ** draw(st.integers(0, 6)), random_state=0)[0]
    return kernels.ldl_merge, {"weights": weights}, {"radix": draw(st.sampled_from([4, 8, 16, 32]))}, None


def _ldl_to_butterfly(draw, rng):
    return kernels.ldl_to_butterfly, {"weights": kernels.ldl_init(2 ** draw(st.integers(1, 6)))[0]}, {}, None


def _ldl_from_butterfly(draw, rng):
    twiddle = kernels.ldl_to_butterfly(kernels.ldl_init(2 ** draw(st.integers(1, 6)))[0])
    return kernels.ldl_from_butterfly, {"twiddle": twiddle}, {}, None


def _rpp(draw, rng):
    m, n, k, batch = (draw(st.integers(*ends)) for ends in ((1, 90), (1, 4), (1, 5), (0, 18)))
    dtype = _dtype(draw)
    x, hidden = rng.standard_normal((batch, m)).astype(dtype), rng.standard_normal((m, n)).astype(dtype)
    numbers = {"n_permutations": k, "seed": draw(st.integers(0, 2**64 - 1)), "share_columns": draw(st.booleans()),
               "signs": draw(st.booleans())}  # fmt: skip
    return x, hidden, rng.standard_normal((batch, n * k)).astype(dtype), numbers


def _permuted(hidden, n_permutations, seed, share_columns, signs):
    m, n = np.asarray(hidden).shape
    entries = kernels.rpp_permutation(m, 1 if share_columns else n, n_permutations, seed, signs=bool(signs))
    entries = np.repeat(entries, n, axis=2) if share_columns else entries
    bit = 8 * entries.itemsize - 1
    number = entries & (2**bit - 1) if signs else entries
    return number.astype(np.int64), 1.0 - 2.0 * (entries >> bit) if signs else np.ones(entries.shape)


def _rpp_forward(draw, rng):
    x, hidden, grad_y, numbers = _rpp(draw, rng)
    numbers["width"] = draw(st.sampled_from([None, grad_y.shape[1]]))

    def expected(x, hidden, bias, width, **how):
        permutation, signs = _permuted(hidden, **how)
        return reference.rpp_forward(*(np.asarray(a, float) for a in (x, hidden)), permutation, signs,
                                     0.0 if bias is None else np.asarray(bias, float), width)  # fmt: skip

    arrays = {"x": x, "hidden": hidden, "bias": rng.standard_normal(grad_y.shape[1]).astype(x.dtype)}
    return _small(kernels.rpp_forward, "n_permutations"), arrays, numbers, expected


def _rpp_backward(draw, rng):
    x, hidden, grad_y, numbers = _rpp(draw, rng)

    def expected(grad_y, x, hidden, **how):
        arrays = (np.asarray(a, float) for a in (grad_y, x, hidden))
        return reference.rpp_backward(*arrays, *_permuted(hidden, **how))

    return (
        _small(kernels.rpp_backward, "n_permutations"),
        {"grad_y": grad_y, "x": x, "hidden": hidden},
        numbers,
        expected,
    )


def _rpp_expand(draw, rng):
    _, hidden, _, numbers = _rpp(draw, rng)

    def expected(hidden, **how):
        return reference.rpp_matrix(np.asarray(hidden, float), *_permuted(hidden, **how))

    return _small(kernels.rpp_expand, "n_permutations"), {"hidden": hidden}, numbers, expected


def _rpp_permutation(draw, rng):
    m, n, k = (draw(st.integers(1, high)) for high in (200, 4, 4))
    numbers = {"n_inputs": m, "n_columns": n, "n_permutations": k, "seed": 7, "signs": False}
    return _small(kernels.rpp_permutation, "n_inputs", "n_columns", "n_permutations"), {}, numbers, None


def _rpp_init(draw, rng):
    numbers = {"n_inputs": 7, "n_columns": 3, "gain": 1.0, "random_state": 0, "dtype": "float32"}
    return _small(kernels.rpp_init, "n_inputs", "n_columns"), {}, numbers, None


KERNELS = {
    "ldl_forward": _ldl_forward, "ldl_backward": _ldl_backward, "ldl_dense": _ldl_dense, "ldl_init": _ldl_init,
    "ldl_merge": _ldl_merge, "ldl_to_butterfly": _ldl_to_butterfly, "ldl_from_butterfly": _ldl_from_butterfly,
    "rpp_forward": _rpp_forward, "rpp_backward": _rpp_backward, "rpp_expand": _rpp_expand,
    "rpp_permutation": _rpp_permutation, "rpp_init": _rpp_init,
}  # fmt: skip

# --- Estimators ------------------------------------------------------------------------------------------------------

ESTIMATORS = {
    "LDLClassifier": {"hidden_layer_sizes": (8,)},
    "LDLRegressor": {"hidden_layer_sizes": (8, 4)},
    "LDLTransformer": {"hidden_layer_sizes": (8,)},
    "RPPClassifier": {"hidden_layer_sizes": (9,), "n_permutations": 3},
    "RPPRegressor": {"hidden_layer_sizes": (9,), "n_permutations": 3},
    "RPPTransformer": {"hidden_layer_sizes": (9,), "n_permutations": 3},
    "MixedClassifier": {"hidden_layers": [("ldl", 8), ("rpp", 6), ("dense", 3)]},
    "MixedRegressor": {"hidden_layers": [("dense", 5)]},
}
# What would take for ever, or all memory, if it were larger than this.
_COSTLY = "max_iter", "max_fun", "hidden_layer_sizes", "hidden_layers", "n_permutations"


def estimator_call(draw):
    """A fit, a fit of parts and predictions of an estimator."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    name = draw(st.sampled_from(sorted(ESTIMATORS)))
    model = getattr(ldlrpp, name)(**ESTIMATORS[name], max_iter=2, random_state=0)
    n_changed = draw(st.integers(0, 2))
    for _ in range(n_changed):
        parameter = draw(st.sampled_from(sorted(model.get_params(deep=False))))
        value = NUMBERS[draw(st.integers(0, len(NUMBERS) - 1))]
        if parameter in ("checkpoint", "verbose") or (parameter in _COSTLY and _is_large(value)):
            continue
        model.set_params(**{parameter: value})
    n, width, dtype = draw(st.integers(2, 30)), draw(st.integers(1, 9)), _dtype(draw)
    X = rng.standard_normal((n, width)).astype(dtype)
    y = np.arange(n) % 2 if "Regressor" not in name else rng.standard_normal(n)
    given, n_spoiled = spoil(draw, rng, {"X": X, "y": y, "sample_weight": np.ones(n)}, {})
    method = draw(st.sampled_from(["fit", "partial_fit"])) if "Transformer" not in name else "fit"
    after = draw(st.sampled_from(["predict", "predict_proba", "score", "transform", "get_feature_names_out"]))
    (rows, n_spoiled_rows) = _one(spoil(draw, rng, {"X": X}, {}))
    before = {key: _bytes(value) for key, value in given.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = dict(vars(model))
        unchanged, refused = None, ""
        options = {"classes": [0, 1]} if method == "partial_fit" and "Classifier" in name else {}
        try:
            getattr(model, method)(**given, **options)
        except ALLOWED as error:
            # training that diverged after an epoch keeps that
            unchanged = vars(model).keys() == state.keys() and all(vars(model)[key] is state[key] for key in state)
            unchanged |= "The estimator keeps" in str(error)
            refused = repr(error)
        except AttributeError:
            # there is no partial_fit
            unchanged = method == "partial_fit"
        assert {key: _bytes(value) for key, value in given.items()} == before, model
        assert n_spoiled or n_changed or not refused, f"{model!r}: {refused}"
        if unchanged is not None:
            assert unchanged, f"{type(model)} is not what it was"
            return
        if not hasattr(model, after):
            return
        try:
            found = getattr(model, after)(
                *{"score": (rows, given["y"]), "get_feature_names_out": ()}.get(after, (rows,))
            )
        except ALLOWED as error:
            refused = repr(error)
        assert n_spoiled_rows or n_spoiled or n_changed or not refused, f"{model!r}: {refused}"
        if refused:
            return
        # the largest numbers that there are overflow
        if after in ("predict_proba", "transform") and not (n_spoiled_rows or n_spoiled):
            assert np.isfinite(found).all(), model
        if after == "predict" and "Classifier" in name:
            assert np.isin(found, model.classes_).all() or np.ndim(found) == 2, model


def _one(spoiled):
    given, n_spoiled = spoiled
    return given["X"], n_spoiled


def _is_large(value):
    try:
        return np.max(np.abs(np.asarray(value, float))) > 1000
    except (TypeError, ValueError, OverflowError):
        return False
