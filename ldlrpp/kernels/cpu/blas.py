"""BLAS's matrix product inside Numba code, on parts of arrays: leading dimensions, transposes, adding to what is there.

`numpy.dot` in Numba takes whole contiguous arrays and writes new ones. Here SciPy's BLAS is called by its address,
which is an argument of the kernel, so that compiled kernels can be cached.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic


class Matrix(NamedTuple):
    """A part of a flat array: a matrix that begins at ``start``, whose rows are ``row`` entries apart."""

    array: np.ndarray
    start: int
    row: int


def gemm_address(dtype):
    """Address of ``sgemm`` or ``dgemm``."""
    return get_cython_function_address("scipy.linalg.cython_blas", "sgemm" if dtype.itemsize == 4 else "dgemm")


@intrinsic
def _call(typingctx, address, trans_a, trans_b, m, n, k, beta, a, b, c):
    """The Fortran routine: column by column, all by reference."""

    def codegen(context, builder, signature, args):
        address, trans_a, trans_b, m, n, k, beta, *matrices = args
        i32, byte = ir.IntType(32), ir.IntType(8)
        scalar = context.get_value_type(a[0].dtype)

        def flag(value):
            is_transposed = builder.icmp_signed("!=", value, ir.Constant(value.type, 0))
            letter = builder.select(is_transposed, byte(ord("T")), byte(ord("N")))
            return cgutils.alloca_once_value(builder, letter)

        def integer(value):
            return cgutils.alloca_once_value(builder, builder.trunc(value, i32))

        def number(value):
            converted = builder.sitofp(value, scalar)
            return cgutils.alloca_once_value(builder, converted)

        def pointer_and_row(kind, matrix):
            array, start, row = cgutils.unpack_tuple(builder, matrix)
            data = context.make_array(kind[0])(context, builder, array).data
            start, row = context.cast(builder, start, kind[1], size), context.cast(builder, row, kind[2], size)
            return builder.gep(data, [start]), integer(row)

        kinds = [byte, byte, i32, i32, i32, scalar, scalar, i32, scalar, i32, scalar, scalar, i32]
        function_type = ir.FunctionType(ir.VoidType(), [kind.as_pointer() for kind in kinds])
        one = ir.Constant(ir.IntType(64), 1)
        (a_at, a_row), (b_at, b_row), (c_at, c_row) = map(pointer_and_row, (a, b, c), matrices)
        builder.call(
            builder.inttoptr(address, function_type.as_pointer()),
            [
                flag(trans_a), flag(trans_b), integer(m), integer(n), integer(k), number(one),
                a_at, a_row, b_at, b_row, number(beta), c_at, c_row,
            ],
        )  # fmt: skip
        return context.get_dummy_value()

    size = types.intp
    return types.void(size, size, size, size, size, size, size, a, b, c), codegen


@njit
def gemm(address, trans_a, a, trans_b, b, beta, c, m, n, k):
    """``C = op(A) · op(B) + beta · C`` for C (m, n), op(A) (m, k) and op(B) (k, n), by rows.

    Each is a `Matrix` whose rows are less than 2^31 entries apart. With ``trans_a`` (or ``trans_b``) it is the
    transpose of op(A). ``beta`` is 0 or 1; with 0, C need not hold numbers before.
    """
    if m and n:
        # by rows, C = A·B is by columns Cᵀ = Bᵀ·Aᵀ
        _call(address, trans_b, trans_a, n, m, k, beta, b, a, c)
