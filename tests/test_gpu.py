"""The kernels on a real GPU: pytest -m gpu"""

import ml_dtypes
import numpy as np
import pytest
from test_ldl import check_backward, check_forward, layer

from ldlrpp import LDLClassifier, MixedClassifier, kernels
from ldlrpp.kernels import backend, cpu

pytestmark = pytest.mark.gpu
HALVES = [np.float16, ml_dtypes.bfloat16]


@pytest.fixture(scope="module")
def cuda():
    return backend.cuda()


@pytest.fixture(scope="module")
def cupy():
    import cupy

    return cupy


def there(cupy, *arrays):
    return [cupy.asarray(a) for a in arrays]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [0, 1, 17])
@pytest.mark.parametrize(("radix", "log"), [(r, k) for r in (2, 4) for k in range(0, 17) if 2**k >= r or r == 2])
def test_ldl_agrees_with_the_reference(radix, log, batch, dtype, cupy):
    x, grad_y, weights, scale, bias = layer(2**log, batch, dtype, radix=radix)
    y = kernels.ldl_forward(*there(cupy, x, weights, scale, bias))
    grads = kernels.ldl_backward(*there(cupy, grad_y, x, weights, scale))
    check_forward(x, weights, scale, bias, y.get())
    check_backward(grad_y, x, weights, scale, [grad.get() for grad in grads])


@pytest.mark.parametrize(("radix", "log"), [(8, 10), (16, 9), (32, 12)])
def test_larger_radices(radix, log, cupy):
    x, grad_y, weights, scale, bias = layer(2**log, 17, np.float32, radix=radix)
    check_forward(x, weights, scale, bias, kernels.ldl_forward(*there(cupy, x, weights, scale, bias)).get())
    grads = kernels.ldl_backward(*there(cupy, grad_y, x, weights, scale))
    check_backward(grad_y, x, weights, scale, [grad.get() for grad in grads])


@pytest.mark.parametrize(("log", "batch"), [(20, 3), (18, 40), (6, 100_000), (10, 100_000)])
def test_cpu_and_gpu_agree(log, batch, cupy):
    x, grad_y, weights, scale, bias = layer(2**log, batch, np.float32)
    scale /= 10
    y = kernels.ldl_forward(*there(cupy, x, weights, scale, bias))
    grads = kernels.ldl_backward(*there(cupy, grad_y, x, weights, scale))
    wanted = kernels.ldl_forward(x, weights, scale, bias), *kernels.ldl_backward(grad_y, x, weights, scale)
    for got, want in zip((y, *grads), wanted, strict=True):
        np.testing.assert_allclose(got.get(), want, rtol=0, atol=1e-4 * np.abs(want).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, *HALVES])
@pytest.mark.parametrize(("radix", "log", "batch"), [(2, 8, 3000), (2, 10, 500), (4, 12, 300), (2, 16, 70)])
def test_the_same_bits_in_every_run_and_on_every_grid(radix, log, batch, dtype, cuda, cupy, monkeypatch):
    x, grad_y, weights, scale, bias = there(cupy, *layer(2**log, batch, dtype, radix=radix))
    results = []
    for n in (132, 132, 20):
        monkeypatch.setattr(cuda.ldl, "n_multiprocessors", lambda n=n: n)
        results.append([kernels.ldl_forward(x, weights, scale, bias), *kernels.ldl_backward(grad_y, x, weights, scale)])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert (a.view(np.uint8) == b.view(np.uint8)).all()


@pytest.mark.parametrize("dtype", HALVES)
def test_halves(dtype, cupy):
    x, _, weights, scale, bias = layer(1024, 50, dtype)
    exact = [a.astype(np.float64) for a in (x, weights, scale, bias)]
    y = kernels.ldl_forward(*there(cupy, x, weights, scale, bias)).get().astype(np.float64)
    wanted = kernels.ldl_forward(*exact)
    assert np.abs(y - wanted).max() < 2 * float(ml_dtypes.finfo(dtype).eps) * np.abs(wanted).max()


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("m", [1, 2, 63, 64, 65, 300, 784, 1000, 5000, 40_000])
def test_permutations_are_those_of_the_cpu(m, signs, cuda):
    arguments = m, 3, 10, np.uint64(2**40 + 5), False, signs
    np.testing.assert_array_equal(cuda.rpp.permutations(*arguments).get(), cpu.rpp.permutations(*arguments))


@pytest.mark.parametrize("batch", [0, 1, 17, 1000])
@pytest.mark.parametrize(
    "options", [{}, {"signs": True}, {"share_columns": True}, {"width": 55}], ids=["plain", "signs", "shared", "cut"]
)
def test_rpp(options, batch, cupy):
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.uniform(-1, 1, shape)  # noqa: E731
    width = options.get("width", 60)
    x, hidden, grad_y, bias = draw(batch, 100), draw(100, 6), draw(batch, width), draw(width)
    gradient_options = {name: value for name, value in options.items() if name != "width"}
    wanted = kernels.rpp_forward(x, hidden, 10, 5, bias, **options)
    wanted = wanted, *kernels.rpp_backward(grad_y, x, hidden, 10, 5, **gradient_options)
    x, hidden, grad_y, bias = there(cupy, x, hidden, grad_y, bias)
    for dtype, tolerance in ((np.float64, 1e-11), (np.float32, 1e-3)):
        x, hidden, grad_y, bias = (a.astype(dtype) for a in (x, hidden, grad_y, bias))
        got = kernels.rpp_forward(x, hidden, 10, 5, bias, **options)
        got = got, *kernels.rpp_backward(grad_y, x, hidden, 10, 5, **gradient_options)
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_allclose(a.get(), b, rtol=0, atol=tolerance * max(1, np.abs(b).max(initial=0)))


def test_arrays_of_any_layout_and_library(cupy):
    x, _, weights, scale, bias = there(cupy, *layer(256, 9, np.float32))
    wanted = kernels.ldl_forward(x, weights, scale, bias)
    for other in (cupy.asfortranarray(x), cupy.repeat(x, 2, axis=1)[:, ::2]):
        assert (kernels.ldl_forward(other, weights, scale, bias) == wanted).all()
    from numba import cuda as numba_cuda

    numbas = [numba_cuda.as_cuda_array(a) for a in (x, weights, scale, bias)]
    np.testing.assert_array_equal(kernels.ldl_forward(*numbas).copy_to_host(), wanted.get())


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_tensors_of_torch(dtype, cupy):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    arrays = layer(256, 9, np.float32)[:1] + layer(256, 9, np.float32)[2:]
    tensors = [torch.from_numpy(a).cuda().to(getattr(torch, dtype)) for a in arrays]
    y = kernels.ldl_forward(*tensors)
    assert isinstance(y, torch.Tensor)
    assert (y.dtype, y.device) == (tensors[0].dtype, tensors[0].device)
    wanted = kernels.ldl_forward(*arrays)
    error = np.abs(y.float().cpu().numpy() - wanted).max()
    assert error < {"float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-1}[dtype] * np.abs(wanted).max()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_of_tensors_of_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(500, 20)).astype(np.float32), rng.integers(3, size=500)
    here, there = (LDLClassifier((64,), max_iter=3, random_state=0, device=device) for device in ("cpu", "cuda"))
    here.fit(X, y)
    there.fit(torch.from_numpy(X).cuda(), torch.from_numpy(y).cuda())
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-4)
    labels, probabilities = (f(torch.from_numpy(X).cuda()) for f in (there.predict, there.predict_proba))
    assert isinstance(labels, torch.Tensor)
    assert (labels.device.type, probabilities.device.type) == ("cuda", "cuda")
    np.testing.assert_allclose(probabilities.cpu().numpy(), here.predict_proba(X), atol=1e-3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fits_of_one_gpu_have_the_same_bits(dtype):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(3000, 100)).astype(dtype), rng.integers(3, size=3000)
    models = [
        MixedClassifier(
            [("ldl", 1024), ("rpp", 500, {"n_permutations": 50}), ("dense", 64)], max_iter=3, dropout=0.2,
            random_state=0, device="cuda",
        ).fit(X, y)
        for _ in range(2)
    ]  # fmt: skip
    assert models[0].loss_curve_ == models[1].loss_curve_
    np.testing.assert_array_equal(models[0].network_.flat, models[1].network_.flat)


def test_two_streams(cupy):
    x, _, weights, scale, bias = there(cupy, *layer(1024, 2000, np.float32))
    wanted, streams, results = (
        kernels.ldl_forward(x, weights, scale, bias),
        [cupy.cuda.Stream(), cupy.cuda.Stream()],
        [],
    )
    cupy.cuda.get_current_stream().synchronize()
    for stream in streams * 3:
        with stream:
            results.append(kernels.ldl_forward(x, weights, scale, bias))
    for stream in streams:
        stream.synchronize()
    assert all((result == wanted).all() for result in results)


def test_too_little_memory_leaves_the_process_usable(cupy):
    cupy.get_default_memory_pool().free_all_blocks()
    free, _ = cupy.cuda.runtime.memGetInfo()
    x, _, weights, scale, bias = there(cupy, *layer(1024, 10, np.float32))
    hog = cupy.cuda.alloc((free - 2**28) // 512 * 512)
    wide = cupy.broadcast_to(x[:1], (2**20, 1024))
    with pytest.raises(MemoryError):
        kernels.ldl_forward(wide, weights, scale, bias)
    del hog
    cupy.get_default_memory_pool().free_all_blocks()
    assert cupy.isfinite(kernels.ldl_forward(x, weights, scale, bias)).all()


def test_offsets_past_2_to_the_31(cupy):
    cupy.get_default_memory_pool().free_all_blocks()
    free, _ = cupy.cuda.runtime.memGetInfo()
    batch = 2**31 // 1024 + 5
    if free < 20e9:
        pytest.skip("wants 20 GB of memory")
    x, _, weights, scale, bias = there(cupy, *layer(1024, 5, np.float32))
    wide = cupy.zeros((batch, 1024), np.float32)
    wide[-5:] = x
    y = kernels.ldl_forward(wide, weights, scale, bias)
    assert (y[-5:] == kernels.ldl_forward(x, weights, scale, bias)).all()
