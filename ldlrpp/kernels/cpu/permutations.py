"""The keyed permutation and its signs on the CPU: a column at a time, 32 positions in a vector of 16-bit lanes.

`ldlrpp.kernels.bijection` defines both, a position at a time. Permutations are kept as rows of entries, numbers whose
highest bit is set where the sign is −1.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ldlrpp.kernels import bijection
from ldlrpp.kernels.compiling import helper
from ldlrpp.kernels.cpu.vectors import Vector, lanes, load, splat, store, xor, zeros


@intrinsic
def _round(typingctx, target, source, multiplier, increment, modulus):
    """`bijection.feistel_round` of vectors ``target``, ``source`` and ``modulus`` by numbers, all of 16 bits."""

    def codegen(context, builder, signature, args):
        target, source, multiplier, increment, modulus = args
        multiplier, increment = splat(builder, multiplier, target.type), splat(builder, increment, target.type)

        def constant(value):
            return ir.Constant(target.type, [value] * target.type.count)

        wide_type = ir.VectorType(ir.IntType(32), target.type.count)
        f = builder.add(builder.mul(source, multiplier), increment)
        f = builder.xor(f, builder.lshr(f, constant(7)))
        f = builder.mul(f, constant(int(bijection.FEISTEL_MULTIPLIER)))
        product = builder.mul(builder.zext(f, wide_type), builder.zext(modulus, wide_type))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide_type, [16] * wide_type.count)), target.type)
        shifted = builder.add(target, high)
        reduced = builder.sub(shifted, modulus)
        residue = builder.select(builder.icmp_unsigned("<", shifted, reduced), shifted, reduced)
        return context.make_tuple(builder, signature.return_type, (residue, f))

    if not isinstance(target, Vector) or target.dtype != types.uint16:
        return None
    return types.UniTuple(target, 2)(target, target, types.uint16, types.uint16, target), codegen


@intrinsic
def _sign_bits(typingctx, s):
    """The highest bit of the lanes whose sign is −1; ``s`` is the XOR of all f."""

    def codegen(context, builder, signature, args):
        (s,) = args
        product = builder.mul(s, ir.Constant(s.type, [int(bijection.FEISTEL_MULTIPLIER)] * s.type.count))
        return builder.and_(product, ir.Constant(s.type, [0x8000] * s.type.count))

    return s(s), codegen


@intrinsic
def _beyond(typingctx, left, right, last, rest):
    """Bits of the lanes whose value is m or more: ``left`` is ``last`` = a − 1, and ``right`` at least ``rest``."""

    def codegen(context, builder, signature, args):
        left, right, last, rest = args
        is_last = builder.icmp_unsigned("==", left, splat(builder, last, left.type))
        is_rest = builder.icmp_unsigned(">=", right, splat(builder, rest, left.type))
        return builder.bitcast(builder.and_(is_last, is_rest), ir.IntType(left.type.count))

    return types.uint32(left, right, types.uint16, types.uint16), codegen


@intrinsic
def _lowest_bit(typingctx, bits):
    """Place of the lowest bit that is set."""

    def codegen(context, builder, signature, args):
        place = builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))
        return builder.zext(place, ir.IntType(64))

    return types.intp(types.uint32), codegen


@intrinsic
def signed(typingctx, value, entry):
    """``value``, negated where the highest bit of ``entry`` is set: the bit goes to the sign's place, no branch."""

    def codegen(context, builder, signature, args):
        value, entry = args
        integer, width = ir.IntType(signature.args[0].bitwidth), entry.type.width
        bit = builder.zext(builder.and_(entry, ir.Constant(entry.type, 1 << (width - 1))), integer)
        bit = builder.shl(bit, ir.Constant(integer, integer.width - width))
        return builder.bitcast(builder.xor(builder.bitcast(value, integer), bit), value.type)

    return value(value, entry), codegen


@intrinsic
def number(typingctx, entry):
    """``entry`` without its highest bit."""

    def codegen(context, builder, signature, args):
        (entry,) = args
        low = builder.and_(entry, ir.Constant(entry.type, (1 << (entry.type.width - 1)) - 1))
        return builder.zext(low, ir.IntType(64))

    return types.uintp(entry), codegen


@helper
def _n_positions(m):
    """Positions of the network of ``m`` inputs, up to a whole vector."""
    a, b = bijection.feistel_sides(m)
    return (a * b + 31) // 32 * 32


@helper
def scratch(m):
    """What `permutation_column` works in, for columns of ``m`` inputs."""
    n = 0 if m <= bijection.FISHER_YATES_INPUTS else _n_positions(m)
    sides = np.empty((6, n), np.uint16)
    a, b = bijection.feistel_sides(m)
    for i in range(n):
        sides[0, i] = i // b
        sides[1, i] = i % b
        sides[4, i] = a
        sides[5, i] = b
    return sides, np.empty(n // 32, np.uint32), np.empty((2, bijection.MAX_ROUNDS), np.uint16)


@helper
def order_size(m):
    """Length of the array that `permutation_column` writes to, of which the first ``m`` entries are wanted."""
    return m if m <= bijection.FISHER_YATES_INPUTS else _n_positions(m)


@helper
def permutation_column(m, seed, head, column, signs, scratch, order, negative):
    """Write ``P[head, :, column]`` into ``order[:m]`` (uint32, `order_size` long), working in what `scratch` gives.

    With ``signs``, ``negative[:m]`` (uint16, as long) has the highest bit where ``σ[head, :, column]`` is −1, else 0.
    """
    sides, beyond, keys = scratch
    if m <= bijection.FISHER_YATES_INPUTS:
        bijection.fisher_yates(m, seed, np.uint64(head), np.uint64(column), order)
        if signs:
            bits = bijection.few_signs(seed, np.uint64(head), np.uint64(column))
            for i in range(m):
                negative[i] = np.uint16((bits >> np.uint64(i)) << np.uint64(15)) & np.uint16(0x8000)
        return
    a, b = bijection.feistel_sides(m)
    multipliers, increments = keys[0], keys[1]
    bijection.round_keys(m, seed, np.uint64(head), np.uint64(column), multipliers, increments)
    # The moduli are loaded with every vector: LLVM would take a constant's way to 32 bits out of the loop, and then no
    # longer see that the product is one of 16 bits (1.8 ns an entry instead of 0.7).
    first_left, first_right, lefts, rights, left_modulus, right_modulus = (
        sides[0], sides[1], sides[2], sides[3], sides[4], sides[5],
    )  # fmt: skip
    rounds = bijection.n_rounds(m)
    for i in range(0, len(lefts), lanes(lefts)):
        left, right = load(first_left, i), load(first_right, i)
        mod_left, mod_right = load(left_modulus, i), load(right_modulus, i)
        s = zeros(lefts)
        for t in range(0, rounds, 2):
            left, f = _round(left, right, multipliers[t], increments[t], mod_left)
            right, g = _round(right, left, multipliers[t + 1], increments[t + 1], mod_right)
            if signs:
                s = xor(s, xor(f, g))
        store(lefts, i, left)
        store(rights, i, right)
        if signs:
            store(negative, i, _sign_bits(s))
        beyond[i // lanes(lefts)] = _beyond(left, right, np.uint16(a - 1), np.uint16(m - (a - 1) * b))
    for i in range(a * b):
        order[i] = np.uint32(lefts[i]) * np.uint32(b) + np.uint32(rights[i])
    if a * b == m:
        return
    # The walk: where a value of m or more goes next stands in its own place, beyond m, as the sign of that pass does.
    for k in range(len(lefts) // lanes(lefts)):
        bits = beyond[k]
        while bits:
            i = k * lanes(lefts) + _lowest_bit(bits)
            bits = np.uint32(bits & np.uint32(bits - np.uint32(1)))
            if i < m:
                last, value = np.uint32(i), order[i]
                while value >= m:
                    last, value = value, order[value]
                order[i] = value
                if signs:
                    negative[i] = negative[last]


@helper
def permutation_columns(out, at, m, n_outputs, first, n, seed, signs):
    """Write the permutations of outputs ``first`` and following, of ``n`` columns, from ``out[at]`` on, one by one.

    With ``signs`` the highest bit of ``out``'s dtype is set where a sign is −1.
    """
    size = order_size(m)
    work, order, negative = scratch(m), np.empty(size, np.uint32), np.empty(size if signs else 0, np.uint16)
    shift = np.uint32(8 * out.itemsize - 16)
    for r in range(n_outputs):
        c = first + r
        permutation_column(m, seed, c // n, c % n, signs, work, order, negative)
        if signs:
            for i in range(m):
                out[at + r * m + i] = order[i] | (np.uint32(negative[i]) << shift)
        else:
            for i in range(m):
                out[at + r * m + i] = order[i]
