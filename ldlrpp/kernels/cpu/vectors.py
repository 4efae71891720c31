"""SIMD vectors as values in Numba code: loads, stores, multiply-adds and swaps of lanes, as LLVM vector instructions.

A vector holds 64 bytes: 16 float32, 8 float64 or 32 uint16. LLVM splits or keeps it as the machine's registers are
wide: one AVX-512 register, two of AVX2, four of SSE or NEON. Loops stay ordinary Numba. Arrays must be one-dimensional
and contiguous, or are the pointers that a `ldlrpp.kernels.cpu.addresses.ByAddress` function has for them; nothing is
checked.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

VECTOR_BYTES = 64
#: Entries of a unit: one vector of float32, two of float64.
UNIT = 16


class Vector(types.Type):
    """The Numba type of a vector of ``dtype``."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype}, {self.lanes})")


class Vectors(types.Type):
    """The Numba type of ``n`` vectors, a value that is kept in as many registers."""

    def __init__(self, dtype, n):
        self.dtype, self.n = dtype, n
        self.lanes = Vector(dtype).lanes
        super().__init__(name=f"Vectors({dtype}, {n})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        scalar = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.uint16: ir.IntType(16)}
        super().__init__(dmm, fe_type, ir.VectorType(scalar[fe_type.dtype], fe_type.lanes))


@register_model(Vectors)
class _VectorsModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        vector = dmm.lookup(Vector(fe_type.dtype)).get_value_type()
        super().__init__(dmm, fe_type, ir.ArrayType(vector, fe_type.n))


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
        return _load(context, builder, array, *args, context.get_value_type(signature.return_type))

    return Vector(array.dtype)(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, vector):
    """``array[index : index + lanes] = vector``."""

    def codegen(context, builder, signature, args):
        _store(context, builder, array, *args)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


def _load(context, builder, array_type, array, index, vector_type):
    pointer = _pointer(context, builder, array_type, array, index, vector_type)
    return builder.load(pointer, align=array_type.dtype.bitwidth // 8)


def _store(context, builder, array_type, array, index, vector):
    pointer = _pointer(context, builder, array_type, array, index, vector.type)
    builder.store(vector, pointer, align=array_type.dtype.bitwidth // 8)


# --- Several vectors as one value ------------------------------------------------------------------------------------


def _each(kind, value, builder):
    """The vectors of a value, one of a `Vector`."""
    return [builder.extract_value(value, i) for i in range(kind.n)] if isinstance(kind, Vectors) else [value]


def _together(context, kind, vectors, builder):
    """The value made of vectors, the inverse of `_each`."""
    if not isinstance(kind, Vectors):
        return vectors[0]
    value = ir.Constant(context.get_value_type(kind), ir.Undefined)
    for i, vector in enumerate(vectors):
        value = builder.insert_value(value, vector, i)
    return value


def _loading(array, n):
    kind = Vectors(array.dtype, n)

    def codegen(context, builder, signature, args):
        pointer, index, step = args[:3]
        vector_type, vectors = context.get_value_type(Vector(array.dtype)), []
        for _ in range(n):
            vectors.append(_load(context, builder, array, pointer, index, vector_type))
            index = builder.add(index, step)
        return _together(context, kind, vectors, builder)

    return kind, codegen


@intrinsic
def load_many(typingctx, array, index, step, n):
    """``n`` vectors, a literal, ``step`` entries apart."""
    if not isinstance(n, types.IntegerLiteral):
        return None
    kind, codegen = _loading(array, n.literal_value)
    return kind(array, types.intp, types.intp, n), codegen


@intrinsic
def load_unit(typingctx, array, index, step):
    """The `UNIT` positions of one or two vectors, ``step`` entries apart."""
    kind, codegen = _loading(array, UNIT // Vector(array.dtype).lanes)
    return kind(array, types.intp, types.intp), codegen


@intrinsic
def load_splats(typingctx, array, index, step, n):
    """``n`` vectors, a literal, each of one number in all lanes; the numbers are ``step`` entries apart."""
    if not isinstance(n, types.IntegerLiteral):
        return None
    kind = Vectors(array.dtype, n.literal_value)

    def codegen(context, builder, signature, args):
        pointer, index, step, _ = args
        vector_type, vectors = context.get_value_type(Vector(array.dtype)), []
        for _ in range(kind.n):
            scalar = builder.load(builder.gep(_data(context, builder, array, pointer), [index]))
            vectors.append(splat(builder, scalar, vector_type))
            index = builder.add(index, step)
        return _together(context, kind, vectors, builder)

    return kind(array, types.intp, types.intp, n), codegen


@intrinsic
def store_many(typingctx, array, index, step, vectors):
    """Store several vectors ``step`` entries apart."""

    def codegen(context, builder, signature, args):
        pointer, index, step, value = args
        for vector in _each(vectors, value, builder):
            _store(context, builder, array, pointer, index, vector)
            index = builder.add(index, step)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vectors), codegen


@intrinsic
def add_many(typingctx, array, index, step, vectors):
    """Add several vectors to those that are ``step`` entries apart."""

    def codegen(context, builder, signature, args):
        pointer, index, step, value = args
        for vector in _each(vectors, value, builder):
            old = _load(context, builder, array, pointer, index, vector.type)
            _store(context, builder, array, pointer, index, builder.fadd(old, vector))
            index = builder.add(index, step)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vectors), codegen


@intrinsic
def zeros_many(typingctx, array, n):
    """``n`` vectors of zeros, a literal."""
    if not isinstance(n, types.IntegerLiteral):
        return None
    return _constant(Vectors(array.dtype, n.literal_value), 0.0, array, n)


@intrinsic
def zeros_unit(typingctx, array):
    """`UNIT` zeros."""
    return _constant(Vectors(array.dtype, UNIT // Vector(array.dtype).lanes), 0.0, array)


@intrinsic
def minus_infinity_unit(typingctx, array):
    """`UNIT` times −∞."""
    return _constant(Vectors(array.dtype, UNIT // Vector(array.dtype).lanes), float("-inf"), array)


def _constant(kind, value, *args):
    def codegen(context, builder, signature, args):
        vector_type = context.get_value_type(Vector(kind.dtype))
        return _together(context, kind, [ir.Constant(vector_type, [value] * kind.lanes)] * kind.n, builder)

    return kind(*args), codegen


@intrinsic
def exchange(typingctx, vectors, distance):
    """The vectors whose i-th is number ``i XOR distance``, a literal: no instruction."""
    if not isinstance(distance, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        each = _each(vectors, args[0], builder)
        order = [each[i ^ distance.literal_value % vectors.n] for i in range(vectors.n)]
        return _together(context, vectors, order, builder)

    return vectors(vectors, distance), codegen


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


def _pairs(a, b, args, builder):
    return zip(_each(a, args[0], builder), _each(b, args[1], builder), strict=True)


def _binary(name):
    def function(typingctx, a, b):
        def codegen(context, builder, signature, args):
            return _together(
                context, a, [getattr(builder, name)(*pair) for pair in _pairs(a, b, args, builder)], builder
            )

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
        larger = [builder.select(builder.fcmp_ordered(">", y, x), y, x) for x, y in _pairs(a, b, args, builder)]
        return _together(context, a, larger, builder)

    return a(a, b), codegen


@intrinsic
def multiply_add(typingctx, a, b, c):
    """``a · b + c``, rounded once where the machine has fused multiply-add and twice where it has not.

    Where ``b`` and ``c`` are several vectors, ``a`` may be one, for all of them.
    """

    def codegen(context, builder, signature, args):
        factors, *others = (_each(kind, value, builder) for kind, value in zip((a, b, c), args, strict=True))
        if len(factors) == 1:
            factors *= len(others[0])
        sums = [_multiply_add(builder, c.dtype, *each) for each in zip(factors, *others, strict=True)]
        return _together(context, c, sums, builder)

    return c(a, b, c), codegen


def _multiply_add(builder, dtype, a, b, c):
    name = f"llvm.fmuladd.v{c.type.count}{'f32' if dtype == types.float32 else 'f64'}"
    function_type = ir.FunctionType(c.type, [c.type] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), [a, b, c])


@intrinsic
def swap(typingctx, vector, distance):
    """The vector whose lane i is lane ``i XOR distance`` of ``vector``; ``distance`` is a literal.

    Of several vectors, which are neighbouring lines, the lanes are numbered on and on.
    """
    if not isinstance(distance, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        each = _each(vector, args[0], builder)
        swapped = [
            _swap(
                builder,
                each[i ^ distance.literal_value // vector.lanes % len(each)],
                distance.literal_value % vector.lanes,
            )
            for i in range(len(each))
        ]
        return _together(context, vector, swapped, builder)

    return vector(vector, distance), codegen


def _swap(builder, vector, distance):
    if distance == 0:
        return vector
    order = [i ^ distance for i in range(vector.type.count)]
    return builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order))


@intrinsic
def swaps(typingctx, vector, n, distance):
    """``n`` vectors, the q-th of which is ``swap(vector, q · distance)``; n and the distance are literals."""
    if not isinstance(n, types.IntegerLiteral) or not isinstance(distance, types.IntegerLiteral):
        return None
    kind = Vectors(vector.dtype, n.literal_value)

    def codegen(context, builder, signature, args):
        each = [_swap(builder, args[0], q * distance.literal_value) for q in range(kind.n)]
        return _together(context, kind, each, builder)

    return kind(vector, n, distance), codegen


@intrinsic
def multiply_add_swaps(typingctx, array, index, step, vectors, sums, n, distance, both):
    """``sums + Σ_q w_q · swap(vectors, q · distance)``, q < n, with w_q the vector at ``array[index + q · step]``.

    The vectors are swapped each by itself, and w_q as well where ``both``; the last three are literals.
    """
    if not all(isinstance(value, types.IntegerLiteral) for value in (n, distance, both)):
        return None

    def codegen(context, builder, signature, args):
        pointer, index, step, *values = args[:5]
        vector_type = context.get_value_type(Vector(array.dtype))
        each, totals = (_each(kind, value, builder) for kind, value in zip((vectors, sums), values, strict=True))
        for q in range(n.literal_value):
            by = q * distance.literal_value
            w = _load(context, builder, array, pointer, index, vector_type)
            w = _swap(builder, w, by) if both.literal_value else w
            totals = [
                _multiply_add(builder, array.dtype, w, _swap(builder, vector, by), total)
                for vector, total in zip(each, totals, strict=True)
            ]
            index = builder.add(index, step)
        return _together(context, sums, totals, builder)

    return sums(array, types.intp, types.intp, vectors, sums, n, distance, both), codegen


# --- Units as four blocks of four positions --------------------------------------------------------------------------


@intrinsic
def load_block(typingctx, array, index, step, number):
    """A unit whose four blocks are all equal to one, the literal ``number``, of the unit that `load_unit` would load.

    It is a load and nothing else, where a swap of lanes would take one of the two units that multiply.
    """
    if not isinstance(number, types.IntegerLiteral):
        return None
    vector = Vector(array.dtype)
    kind = Vectors(array.dtype, UNIT // vector.lanes)

    def codegen(context, builder, signature, args):
        pointer, index, step, _ = args
        line, lane = divmod(4 * number.literal_value, vector.lanes)
        if line:
            index = builder.add(index, builder.mul(step, ir.Constant(step.type, line)))
        index = builder.add(index, ir.Constant(index.type, lane))
        block_type = ir.VectorType(context.get_value_type(array.dtype), 4)
        block = _load(context, builder, array, pointer, index, block_type)
        order = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), [i % 4 for i in range(vector.lanes)])
        return _together(context, kind, [builder.shuffle_vector(block, block, order)] * kind.n, builder)

    return kind(array, types.intp, types.intp, number), codegen


@intrinsic
def blocks(typingctx, a, b, c, d, number):
    """The unit whose i-th block is that of the ``i XOR number``-th of four units; the number is a literal."""
    if not isinstance(number, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        units = [_each(a, arg, builder) for arg in args[:4]]
        per_vector, result = a.lanes // 4, []
        for v in range(a.n):
            sources = [units[v * per_vector + i ^ number.literal_value][v] for i in range(per_vector)]
            vector = sources[0]
            for i, source in enumerate(sources[1:], 1):
                order = [a.lanes + lane if lane // 4 == i else lane for lane in range(a.lanes)]
                vector = builder.shuffle_vector(
                    vector, source, ir.Constant(ir.VectorType(ir.IntType(32), a.lanes), order)
                )
            result.append(vector)
        return _together(context, a, result, builder)

    return a(a, b, c, d, number), codegen


# --- As many vectors as a vector has lanes ---------------------------------------------------------------------------


def _steps(vectors, shuffle):
    """Every vector anew from itself and the one that is ``bit`` away by XOR, for every bit of their numbers."""
    bit = 1
    while bit < len(vectors):
        vectors = [shuffle(vectors[i], vectors[i ^ bit], i, bit) for i in range(len(vectors))]
        bit *= 2
    return vectors


def _square(source):
    """``source(lane, i, bit, lanes)`` is the lane that the i-th vector takes in a step; the other's follow its own."""

    def function(typingctx, array, index, step):
        kind = Vectors(array.dtype, Vector(array.dtype).lanes)

        def codegen(context, builder, signature, args):
            pointer, index, step = args
            vector_type, vectors, indices = context.get_value_type(Vector(array.dtype)), [], []
            for _ in range(kind.n):
                vectors.append(_load(context, builder, array, pointer, index, vector_type))
                indices.append(index)
                index = builder.add(index, step)

            def shuffle(own, other, i, bit):
                order = [source(lane, i, bit, kind.lanes) for lane in range(kind.lanes)]
                mask = ir.Constant(ir.VectorType(ir.IntType(32), kind.lanes), order)
                return builder.shuffle_vector(own, other, mask)

            for at, vector in zip(indices, _steps(vectors, shuffle), strict=True):
                _store(context, builder, array, pointer, at, vector)
            return context.get_dummy_value()

        return types.void(array, types.intp, types.intp), codegen

    return function


#: In place, lane i of the j-th of as many vectors as a vector has lanes, ``step`` apart, becomes
#: lane i of number ``i XOR j`` (`turn`, its own inverse), or lane j of number i (`transpose`).
turn = intrinsic(_square(lambda lane, i, bit, lanes: lane + lanes * (lane & bit > 0)))
transpose = intrinsic(_square(lambda lane, i, bit, lanes: lane if lane & bit == i & bit else lanes + (lane ^ bit)))
