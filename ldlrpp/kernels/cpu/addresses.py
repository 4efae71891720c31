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


#: Annotation of an integer.
Size = types.intp


class ByAddress:
    """Decorator of a function without a result.

    Its arguments are annotated with `Array`, with `Size`, or with a class of named tuples, whose members are integers.
    It allocates nothing and raises nothing: errors would be printed, and lost.
    """

    def __init__(self, function):
        self.function = function
        self._compiled = {}

    def address(self, dtype):
        """The address of the function for arrays of ``dtype``, compiled when it is first asked for."""
        if dtype not in self._compiled:
            kinds = (_taken(kind, dtype) for kind in self.function.__annotations__.values())
            self._compiled[dtype] = cfunc(types.void(*kinds), self.function)
        return self._compiled[dtype].address


def _taken(annotation, dtype):
    if annotation is Array:
        return types.CPointer(from_dtype(dtype))
    if annotation is Size:
        return Size
    return types.NamedUniTuple(types.intp, len(annotation._fields), annotation)


@intrinsic
def call(typingctx, address, *args):
    """Call the function at ``address``: arrays become pointers, booleans, literals and members of tuples integers."""
    if not all(isinstance(arg, types.Array) or _is_integers(arg) for arg in args):
        return None
    kinds = types.StarArgTuple([_passed(arg) for arg in args])

    def codegen(context, builder, signature, args):
        address, values = args
        values = cgutils.unpack_tuple(builder, values)
        values = [_value(context, builder, *pair) for pair in zip(kinds, values, strict=True)]
        function_type = ir.FunctionType(context.get_value_type(types.none), [value.type for value in values])
        builder.call(builder.inttoptr(address, function_type.as_pointer()), values)
        return context.get_dummy_value()

    return types.void(types.intp, kinds), codegen


def _is_integers(kind):
    if isinstance(kind, types.BaseTuple):
        return all(_is_integers(member) for member in kind)
    return isinstance(kind, (types.Integer, types.IntegerLiteral, types.Boolean, types.BooleanLiteral))


def _passed(kind):
    return kind if isinstance(kind, (types.Array, types.BaseTuple)) else Size


def _value(context, builder, kind, value):
    if isinstance(kind, types.Array):
        return context.make_array(kind)(context, builder, value).data
    if isinstance(kind, types.BaseTuple):
        # member by member: Numba casts no named tuple to another
        members = zip(cgutils.unpack_tuple(builder, value), kind, strict=True)
        return cgutils.pack_array(builder, [context.cast(builder, member, of, Size) for member, of in members])
    return value
