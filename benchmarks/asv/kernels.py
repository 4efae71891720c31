"""Times and memory of the kernels over their widths, and of a dense product beside them."""

import functools

import numpy as np

from ldlrpp import kernels

from .common import megabytes, of_profile, random, use_threads

DTYPES = of_profile(("float32",), ("float32", "float64"), ("float32", "float64"))
THREADS = of_profile(("all",), ("one", "all"), ("one", "all"))
# Numbers of a batch: as many rows as make them, or one.
NUMBERS = 2**18


@functools.cache
def ldl_arrays(width, radix, dtype, threads):
    use_threads(threads)
    batch = max(1, NUMBERS // width)
    x, grad_y = random(batch, width, dtype=dtype), random(batch, width, dtype=dtype)
    parameters = kernels.ldl_init(width, radix=radix, random_state=0, dtype=dtype)
    return x, grad_y, parameters, np.empty_like(x)


class LDL:
    """O(N log N): for as many numbers, wider rows take longer by log2 N."""

    params = (
        [2**k for k in of_profile(range(6, 17, 2), range(6, 21), range(6, 23))],
        of_profile((4,), (2, 4), (2, 4, 8, 32)),
        DTYPES,
        THREADS,
    )
    param_names = "width", "radix", "dtype", "threads"
    timeout = 300

    def time_forward(self, *case):
        x, _, parameters, out = ldl_arrays(*case)
        kernels.ldl_forward(x, *parameters, out=out)

    def time_backward(self, *case):
        x, grad_y, parameters, _ = ldl_arrays(*case)
        kernels.ldl_backward(grad_y, x, *parameters[:2])


@functools.cache
def rpp_arrays(shape, permutations, dtype, threads):
    use_threads(threads)
    m, n, k = shape
    stored = kernels.rpp_permutation(m, n, k, 0) if permutations == "kept" else None
    hidden = kernels.rpp_init(m, n, random_state=0, dtype=dtype)
    options = {"n_permutations": k, "seed": 0, "permutation": stored}
    return random(256, m, dtype=dtype), random(256, n * k, dtype=dtype), hidden, options


class RPP:
    """All N² products, of permutations that are computed and of some that are kept; 256 rows."""

    params = (
        of_profile(
            [(784, 10, 100)],
            [(784, 10, k) for k in (1, 10, 100, 400)] + [(784, 100, 10), (4096, 16, 64)],
            [(m, n, k) for m in (784, 4096) for n in (10, 100) for k in (1, 10, 100, 400)],
        ),
        ("computed", "kept"),
        DTYPES,
        THREADS,
    )
    param_names = "(inputs, columns, k)", "permutations", "dtype", "threads"
    timeout = 300

    def time_forward(self, *case):
        x, _, hidden, options = rpp_arrays(*case)
        kernels.rpp_forward(x, hidden, **options)

    def time_backward(self, *case):
        x, grad_y, hidden, options = rpp_arrays(*case)
        kernels.rpp_backward(grad_y, x, hidden, **options)


@functools.cache
def dense_arrays(width, dtype):
    batch = max(1, NUMBERS // width)
    x = random(batch, width, dtype=dtype)
    return x, random(width, width, dtype=dtype), np.empty_like(x)


class Dense:
    """O(N²): what both are compared with, NumPy's product on all threads."""

    params = ([2**k for k in of_profile(range(6, 13, 2), range(6, 14), range(6, 15))], DTYPES)
    param_names = "width", "dtype"
    timeout = 300

    def time_forward(self, *case):
        x, weights, out = dense_arrays(*case)
        np.matmul(x, weights, out=out)


class Memory:
    """What forward and backward take beside a batch and weights of 2^22 numbers, results included."""

    params = ("LDL", "RPP")
    param_names = ("layer",)
    unit = "MB"
    timeout = 300

    def track_peak(self, layer):
        prepare = "import numpy as np\nfrom ldlrpp import kernels\n"
        if layer == "LDL":
            prepare += (
                "x = np.ones((1024, 4096), np.float32); parameters = kernels.ldl_init(4096, random_state=0)\n"
                "def both(x): return kernels.ldl_forward(x, *parameters), kernels.ldl_backward(x, x, *parameters[:2])\n"
            )
        else:
            prepare += (
                "x = np.ones((1024, 4096), np.float32); hidden = kernels.rpp_init(4096, 64, random_state=0)\n"
                "def both(x): return kernels.rpp_forward(x, hidden, 64, 0), kernels.rpp_backward(x, x, hidden, 64, 0)\n"
            )
        return megabytes(f"{prepare}both(x[:2])", "kept = both(x)")
