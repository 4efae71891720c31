"""BLAS's matrix product inside Numba code, on parts of arrays: leading dimensions, transposes, adding to what is there.

`numpy.dot` in Numba takes whole contiguous arrays and writes new ones. Here SciPy's BLAS is called by its address,
which is an argument of the kernel, so that compiled kernels can be cached.
"""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic


def gemm_address(dtype):
    """Address of ``sgemm`` or ``dgemm``."""
    return get_cython_function_address("scipy.linalg.cython_blas", "sgemm" if dtype.itemsize == 4 else "dgemm")


@intrinsic
def _call(
    typingctx, address, trans_a, trans_b, m, n, k, a, a_at, a_row, b, b_at, b_row, beta, c, c_at, c_row
):  # fmt: skip
    """The Fortran routine: column by column, all by reference."""

    def codegen(context, builder, signature, args):
        address, trans_a, trans_b, m, n, k, a, a_at, a_row, b, b_at, b_row, beta, c, c_at, c_row = args
        i32, byte = ir.IntType(32), ir.IntType(8)
        scalar = context.get_value_type(signature.args[6].dtype)

        def flag(value):
            is_transposed = builder.icmp_signed("!=", value, ir.Constant(value.type, 0))
            letter = builder.select(is_transposed, byte(ord("T")), byte(ord("N")))
            return cgutils.alloca_once_value(builder, letter)

        def integer(value):
            return cgutils.alloca_once_value(builder, builder.trunc(value, i32))

        def number(value):
            converted = builder.sitofp(value, scalar)
            return cgutils.alloca_once_value(builder, converted)

        def pointer(position, array, start):
            data = context.make_array(signature.args[position])(context, builder, array).data
            return builder.gep(data, [start])

        kinds = [byte, byte, i32, i32, i32, scalar, scalar, i32, scalar, i32, scalar, scalar, i32]
        function_type = ir.FunctionType(ir.VoidType(), [kind.as_pointer() for kind in kinds])
        one = ir.Constant(ir.IntType(64), 1)
        builder.call(
            builder.inttoptr(address, function_type.as_pointer()),
            [
                flag(trans_a), flag(trans_b), integer(m), integer(n), integer(k), number(one),
                pointer(6, a, a_at), integer(a_row), pointer(9, b, b_at), integer(b_row),
                number(beta), pointer(13, c, c_at), integer(c_row),
            ],
        )  # fmt: skip
        return context.get_dummy_value()

    size = types.intp
    return types.void(size, size, size, size, size, size, a, size, size, b, size, size, size, c, size, size), codegen


@njit
def gemm(address, trans_a, a, a_at, a_row, trans_b, b, b_at, b_row, beta, c, c_at, c_row, m, n, k):
    """``C = op(A) · op(B) + beta · C`` for C (m, n), op(A) (m, k) and op(B) (k, n), by rows.

    A, B and C are parts of flat arrays: they begin at ``a_at``, ``b_at`` and ``c_at``, and their rows are ``a_row``,
    ``b_row`` and ``c_row`` entries apart, less than 2^31. With ``trans_a`` (or ``trans_b``) the matrix stored is the
    transpose of op(A). ``beta`` is 0 or 1; with 0, C need not hold numbers before.
    """
    if m and n:
        # by rows, C = A·B is by columns Cᵀ = Bᵀ·Aᵀ
        _call(address, trans_b, trans_a, n, m, k, b, b_at, b_row, a, a_at, a_row, beta, c, c_at, c_row)
