"""SIMD vectors as values in Numba code: loads, stores, multiply-adds and swaps of lanes, as LLVM vector instructions.

A vector holds 64 bytes: 16 float32, 8 float64 or 32 uint16. LLVM splits or keeps it as the machine's registers are
wide: one AVX-512 register, two of AVX2, four of SSE or NEON. Loops stay ordinary Numba. Arrays must be one-dimensional
and contiguous, or are the pointers that a `ldlrpp.kernels.addresses.ByAddress` function has for them; nothing is
checked.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

VECTOR_BYTES = 64


class Vector(types.Type):
    """The Numba type of a vector of ``dtype``."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype}, {self.lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        scalar = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.uint16: ir.IntType(16)}
        super().__init__(dmm, fe_type, ir.VectorType(scalar[fe_type.dtype], fe_type.lanes))


def _data(context, builder, array_type, array):
    """Pointer to the first entry."""
    return (
        array
        if isinstance(array_type, types.CPointer)
        else context.make_array(array_type)(context, builder, array).data
    )


def _pointer(context, builder, array_type, array, index, vector_type):
    """Pointer to the vector at ``array[index]``."""
    data = _data(context, builder, array_type, array)
    return builder.bitcast(builder.gep(data, [index]), vector_type.as_pointer())


def splat(builder, scalar, vector_type):
    """Code for a vector that has ``scalar`` in every lane."""
    single = builder.insert_element(ir.Constant(vector_type, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector_type.count), None)
    return builder.shuffle_vector(single, ir.Constant(vector_type, ir.Undefined), zeros)


@intrinsic
def lanes(typingctx, array):
    """Number of entries of ``array`` in a vector, a constant of the compiled code."""

    def codegen(context, builder, signature, args):
        return context.get_constant(types.intp, Vector(array.dtype).lanes)

    return types.intp(array), codegen


@intrinsic
def _to_boundary(typingctx, array):
    """Number of entries before the first that lies on a boundary of `VECTOR_BYTES`."""

    def codegen(context, builder, signature, args):
        data = context.make_array(array)(context, builder, args[0]).data
        address = builder.ptrtoint(data, ir.IntType(64))
        before = builder.and_(builder.neg(address), ir.Constant(ir.IntType(64), VECTOR_BYTES - 1))
        return builder.udiv(before, ir.Constant(ir.IntType(64), array.dtype.bitwidth // 8))

    return types.intp(array), codegen


@njit
def empty(size, like):
    """A new array of ``size`` entries of the dtype of ``like`` that begins on a boundary of vectors.

    A vector that lies across two lines of the cache is read and written at half the speed.
    """
    memory = np.empty(size + lanes(like), like.dtype)
    start = _to_boundary(memory)
    return memory[start : start + size]


@intrinsic
def load(typingctx, array, index):
    """The vector ``array[index : index + lanes]``."""

    def codegen(context, builder, signature, args):
        vector_type = context.get_value_type(signature.return_type)
        pointer = _pointer(context, builder, array, args[0], args[1], vector_type)
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return Vector(array.dtype)(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, vector):
    """``array[index : index + lanes] = vector``."""

    def codegen(context, builder, signature, args):
        pointer = _pointer(context, builder, array, args[0], args[1], context.get_value_type(vector))
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


def _prefetch(for_writing):
    def function(typingctx, array, index):
        def codegen(context, builder, signature, args):
            byte = ir.IntType(8).as_pointer()
            pointer = builder.bitcast(builder.gep(_data(context, builder, array, args[0]), [args[1]]), byte)
            i32 = ir.IntType(32)
            function_type = ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32])
            prefetch = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0i8")
            # keep in all caches (3), data (1)
            builder.call(prefetch, [pointer, i32(int(for_writing)), i32(3), i32(1)])
            return context.get_dummy_value()

        return types.void(array, types.intp), codegen

    return function


#: Ask for the line of ``array[index]`` ahead of a load or a store; any index is allowed.
prefetch = intrinsic(_prefetch(False))
prefetch_for_writing = intrinsic(_prefetch(True))


@intrinsic
def zeros(typingctx, array):
    """A vector of zeros of the dtype of ``array``."""

    def codegen(context, builder, signature, args):
        return ir.Constant(context.get_value_type(signature.return_type), None)

    return Vector(array.dtype)(array), codegen


@intrinsic
def minus_infinity(typingctx, array):
    """A vector of −∞ of the dtype of ``array``."""

    def codegen(context, builder, signature, args):
        kind = context.get_value_type(signature.return_type)
        return ir.Constant(kind, [float("-inf")] * kind.count)

    return Vector(array.dtype)(array), codegen


def _binary(name):
    def function(typingctx, a, b):
        def codegen(context, builder, signature, args):
            return getattr(builder, name)(*args)

        return a(a, b), codegen

    return function


add = intrinsic(_binary("fadd"))
multiply = intrinsic(_binary("fmul"))
#: Of vectors of integers.
xor = intrinsic(_binary("xor"))


@intrinsic
def maximum(typingctx, a, b):
    """The larger of each pair of lanes; NaN where ``a`` is NaN."""

    def codegen(context, builder, signature, args):
        # in this form it is one instruction of x86; a comparison would compete with shuffles for a port
        a, b = args
        return builder.select(builder.fcmp_ordered(">", b, a), b, a)

    return a(a, b), codegen


@intrinsic
def multiply_add(typingctx, a, b, c):
    """``a · b + c``, rounded once where the machine has fused multiply-add and twice where it has not."""

    def codegen(context, builder, signature, args):
        vector_type = context.get_value_type(a)
        name = f"llvm.fmuladd.v{vector_type.count}{'f32' if a.dtype == types.float32 else 'f64'}"
        function_type = ir.FunctionType(vector_type, [vector_type] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), args)

    return a(a, b, c), codegen


@intrinsic
def swap(typingctx, vector, distance):
    """The vector whose lane i is lane ``i XOR distance`` of ``vector``; ``distance`` is a literal."""
    if not isinstance(distance, types.IntegerLiteral):
        return None
    order = [i ^ distance.literal_value if distance.literal_value < vector.lanes else i for i in range(vector.lanes)]

    def codegen(context, builder, signature, args):
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)
        return builder.shuffle_vector(args[0], args[0], mask)

    return vector(vector, distance), codegen
