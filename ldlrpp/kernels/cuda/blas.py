"""cuBLAS's matrix product, of views of arrays; in the simulator NumPy's.

Products of halves are added up in float32, those of float32 too: cuBLAS rounds no factor to fewer bits (to TF32) unless
it is told to. It gives the same bits on the same kind of GPU every time.
"""

import functools

import numpy as np

from ldlrpp.kernels.cuda.memory import accumulator


def gemm(a, b, out, adds=False):
    """``out = a @ b``, or ``out += a @ b`` if it ``adds``; what it does not add to need not hold numbers before.

    Views of two axes, entries of one of them side by side and those of the other less than 2^31 apart: rows or columns
    of an array in C order, transposed or not. ``a`` and ``b`` have one dtype, ``out`` that or its accumulator's.
    """
    if not out.size:
        return
    if not b.size:
        if not adds:
            out.fill(0)
    elif isinstance(out, np.ndarray):
        _numpy_gemm(a, b, out, adds)
    else:
        _cublas_gemm(a, b, out, adds)


def _numpy_gemm(a, b, out, adds):
    dtype = accumulator(a.dtype)
    product = a.astype(dtype) @ b.astype(dtype)
    out[...] = out.astype(dtype) + product if adds else product


def _cublas_gemm(a, b, out, adds):
    from cupy.cuda.device import get_cublas_handle
    from cupy_backends.cuda.libs import cublas

    is_double = accumulator(a.dtype) == np.float64
    compute = cublas.CUBLAS_COMPUTE_64F if is_double else cublas.CUBLAS_COMPUTE_32F
    zero, one = _zero_and_one(is_double)
    (m, k), n = a.shape, b.shape[1]
    a_operation, a_stride = _layout(a)
    b_operation, b_stride = _layout(b)
    # cuBLAS goes by columns, where memory by rows is the transpose: outᵀ = bᵀ·aᵀ
    cublas.gemmEx(
        get_cublas_handle(), b_operation, a_operation, n, m, k,
        one, b.data.ptr, _cuda_dtype(b.dtype), b_stride, a.data.ptr, _cuda_dtype(a.dtype), a_stride,
        one if adds else zero, out.data.ptr, _cuda_dtype(out.dtype), _layout(out)[1],
        compute, cublas.CUBLAS_GEMM_DEFAULT,
    )  # fmt: skip


def _layout(view):
    """Whether a view is one by columns, and how many entries its rows (then its columns) are apart."""
    (rows, columns), (row, column) = view.shape, (stride // view.itemsize for stride in view.strides)
    if column == 1 and (rows == 1 or row >= columns):
        return 0, max(row, columns)
    return 1, max(column, rows)


@functools.cache
def _cuda_dtype(dtype):
    from cupy._core._dtype import to_cuda_dtype

    return to_cuda_dtype(dtype, True)


@functools.cache
def _zero_and_one(is_double):
    """Addresses of the two numbers, which stay."""
    numbers = _NUMBERS[is_double]
    return numbers.ctypes.data, numbers.ctypes.data + numbers.itemsize


_NUMBERS = np.array([0, 1], np.float32), np.array([0, 1], np.float64)
