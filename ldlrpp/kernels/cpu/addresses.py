"""Functions that are compiled once and called by their addresses.

LLVM takes a function that another one calls into that one, and optimises it again there, for every level of functions
above: LDL's passes, 3 s of compiling by themselves, made 20 s of a first fit. A call by address, which is an
argument of the kernel so that compiled kernels can be cached, ends that; it costs some nanoseconds.
"""

from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.extending import intrinsic

from ldlrpp.kernels.compiling import cfunc


class Array:
    """Annotation of an argument that is an array of the dtype: the function gets the pointer to its first entry."""


#: Annotations of an integer, and of a tuple of four.
Size = types.intp
Place = types.UniTuple(types.intp, 4)


class ByAddress:
    """Decorator of a function without a result, whose arguments are annotated with `Array`, `Size` or `Place`.

    It allocates nothing and raises nothing: errors would be printed, and lost.
    """

    def __init__(self, function):
        self.function = function
        self._compiled = {}

    def address(self, dtype):
        """The address of the function for arrays of ``dtype``, compiled when it is first asked for."""
        if dtype not in self._compiled:
            pointer = types.CPointer(from_dtype(dtype))
            kinds = (pointer if kind is Array else kind for kind in self.function.__annotations__.values())
            self._compiled[dtype] = cfunc(types.void(*kinds), self.function)
        return self._compiled[dtype].address


@intrinsic
def call(typingctx, address, *args):
    """Call the function at ``address``: arrays become pointers, booleans and literals integers."""
    if not all(isinstance(arg, _ARGUMENTS) for arg in args):
        return None
    kinds = types.StarArgTuple([_passed(arg) for arg in args])

    def codegen(context, builder, signature, args):
        address, values = args
        values = cgutils.unpack_tuple(builder, values)
        values = [
            context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
            for kind, value in zip(kinds, values, strict=True)
        ]
        function_type = ir.FunctionType(context.get_value_type(types.none), [value.type for value in values])
        builder.call(builder.inttoptr(address, function_type.as_pointer()), values)
        return context.get_dummy_value()

    return types.void(types.intp, kinds), codegen


_ARGUMENTS = types.Array, types.BaseTuple, types.Integer, types.IntegerLiteral, types.Boolean, types.BooleanLiteral


def _passed(kind):
    if isinstance(kind, types.Array):
        return kind
    return Place if isinstance(kind, types.BaseTuple) else Size
