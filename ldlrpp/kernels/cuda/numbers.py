"""Numbers as kernels take them from memory and put them there: halves are worked on in float32.

bfloat16 comes as its bits, in arrays of uint16 (`ldlrpp.kernels.cuda.memory.bits`): the upper half of a float32.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.cuda import extending, libdevice

from ldlrpp.kernels.cuda.compiling import SIMULATED, device


def constant(value):
    """A number, exact in float32, for kernels of every dtype: beside float64 it is that.

    Numba takes Python's numbers for float64. In the simulator they are right, beside what functions of `math` give.
    """
    return value if SIMULATED else np.float32(value)


_ZERO, _ONE = constant(0.0), constant(1.0)


def load(array, i):
    """The number at ``i``, as float64 if it is one and as float32 otherwise."""
    if array.dtype == np.uint16:
        return (np.uint32(array[i]) << np.uint32(16)).view(np.float32)
    return array[i] if array.dtype == np.float64 else np.float32(array[i])


def store(array, i, value):
    """Put ``value`` at ``i``, rounded to the nearest number of the array's dtype, ties to even."""
    if array.dtype == np.uint16:
        value = _bits(np.float32(value).view(np.uint32))
    elif array.dtype == np.float16:
        # beyond its largest number is infinity, of which NumPy warns
        with np.errstate(over="ignore"):
            value = np.float16(value)
    array[i] = value


def prefetch(array, i):
    """Have the line of memory with the number at ``i`` brought to L2."""


def _bits(bits):
    """Of a float32's bits those of the nearest bfloat16."""
    if bits & np.uint32(0x7FFFFFFF) > np.uint32(0x7F800000):
        return np.uint16(np.uint16(bits >> np.uint32(16)) | np.uint16(0x40))  # NaN, which no carry may make infinity
    odd = np.uint32((bits >> np.uint32(16)) & np.uint32(1))
    return np.uint16(np.uint64(np.uint64(bits) + np.uint64(0x7FFF) + np.uint64(odd)) >> np.uint64(16))


@device
def expit(z):
    """1 / (1 + exp(−z)), without a power that overflows."""
    power = math.exp(-abs(z))
    return (_ONE if z >= _ZERO else power) / (_ONE + power)


if not SIMULATED:

    @extending.intrinsic
    def _prefetch(typingctx, array, i):
        def codegen(context, builder, signature, arguments):
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            pointer = builder.ptrtoint(builder.gep(array.data, [arguments[1]]), ir.IntType(64))
            instruction = ir.FunctionType(ir.VoidType(), [ir.IntType(64)])
            builder.asm(instruction, "prefetch.global.L2 [$0];", "l", [pointer], True)
            return context.get_dummy_value()

        return types.none(array, i), codegen

    @extending.overload(prefetch)
    def _(array, i):
        return lambda array, i: _prefetch(array, np.int64(i))

    # of an index that has a sign Numba asks whether it counts from the end

    @extending.overload(load)
    def _(array, i):
        if array.dtype == types.uint16:
            return lambda array, i: libdevice.int_as_float(np.int32(np.uint32(array[np.uint64(i)]) << np.uint32(16)))
        if array.dtype == types.float64:
            return lambda array, i: array[np.uint64(i)]
        return lambda array, i: np.float32(array[np.uint64(i)])

    device_bits = extending.register_jitable(_bits)

    @extending.overload(store)
    def _(array, i, value):
        if array.dtype != types.uint16:

            def plain(array, i, value):
                array[np.uint64(i)] = value

            return plain

        def rounded(array, i, value):
            array[np.uint64(i)] = device_bits(np.uint32(libdevice.float_as_int(np.float32(value))))

        return rounded
