"""Kernels as plain Python, every line and every bound of it: python tests/interpreted.py [--cases 100]

Without Numba's JIT its loops run as they stand, and what is LLVM's is here in NumPy: vectors are arrays, functions are
called by name, BLAS is a product. A vector that lies across the end of an array, which no compiled code sees, is an
error. Then the calls of ``fuzz.py`` are compared with the reference, and networks are trained.
"""

import os

os.environ["NUMBA_DISABLE_JIT"] = "1"

import argparse
import sys
import warnings

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ldlrpp.kernels.bijection import FEISTEL_MULTIPLIER
from ldlrpp.kernels.cpu import addresses, blas, permutations, vectors
from ldlrpp.kernels.cpu.vectors import UNIT, VECTOR_BYTES

# --- Vectors: arrays of as many entries; several of them: lists ------------------------------------------------------


def lanes(array):
    return VECTOR_BYTES // array.itemsize


def part(array, index, n):
    """Those entries, of an array that has them."""
    assert array.ndim == 1
    assert array.flags.c_contiguous
    assert 0 <= index <= len(array) - n, f"{index} to {index + n} of {len(array)}"
    return array[index : index + n]


def load(array, index):
    return part(array, index, lanes(array)).copy()


def store(array, index, vector):
    part(array, index, lanes(array))[:] = vector


def each(value):
    return value if isinstance(value, list) else [value]


def like(kind, values):
    return values if isinstance(kind, list) else values[0]


def load_many(array, index, step, n):
    return [load(array, index + i * step) for i in range(n)]


def load_unit(array, index, step):
    return load_many(array, index, step, UNIT // lanes(array))


def load_splats(array, index, step, n):
    return [np.full(lanes(array), part(array, index + i * step, 1)[0]) for i in range(n)]


def store_many(array, index, step, value):
    for i, vector in enumerate(each(value)):
        store(array, index + i * step, vector)


def add_many(array, index, step, value):
    for i, vector in enumerate(each(value)):
        store(array, index + i * step, load(array, index + i * step) + vector)


def constant(array, n, value):
    return [np.full(lanes(array), value, array.dtype) for _ in range(n)]


def binary(operation):
    return lambda a, b: like(a, [operation(*pair) for pair in zip(each(a), each(b), strict=True)])


def multiply_add(a, b, c):
    factors = each(a) * (len(each(c)) if len(each(a)) == 1 else 1)
    return like(c, [x * y + z for x, y, z in zip(factors, each(b), each(c), strict=True)])


def lanes_swapped(vector, distance):
    return vector[np.arange(len(vector)) ^ distance]


def swap(value, distance):
    vectors_, n = each(value), len(each(value)[0])
    return like(
        value, [lanes_swapped(vectors_[i ^ distance // n % len(vectors_)], distance % n) for i in range(len(vectors_))]
    )


def multiply_add_swaps(array, index, step, value, sums, n, distance, both):
    totals = each(sums)
    for q in range(n):
        w = load(array, index + q * step)
        w = lanes_swapped(w, q * distance) if both else w
        swapped = [lanes_swapped(vector, q * distance) for vector in each(value)]
        totals = [w * vector + total for vector, total in zip(swapped, totals, strict=True)]
    return like(sums, totals)


def load_block(array, index, step, number):
    line, lane = divmod(4 * number, lanes(array))
    block = part(array, index + line * step + lane, 4)
    return [np.tile(block, lanes(array) // 4) for _ in range(UNIT // lanes(array))]


def blocks(a, b, c, d, number):
    units = [np.concatenate(unit).reshape(-1, 4) for unit in (a, b, c, d)]
    return list(np.concatenate([units[i ^ number][i] for i in range(4)]).reshape(len(a), -1))


def square(source):
    def function(array, index, step):
        n = lanes(array)
        old = np.array(load_many(array, index, step, n))
        store_many(array, index, step, [np.array([source(old, i, j) for i in range(n)]) for j in range(n)])

    return function


VECTORS = {
    "lanes": lanes,
    "_to_boundary": lambda array: -array.ctypes.data % VECTOR_BYTES // array.itemsize,
    "load": load,
    "store": store,
    "load_many": load_many,
    "load_unit": load_unit,
    "load_splats": load_splats,
    "store_many": store_many,
    "add_many": add_many,
    "zeros_many": lambda array, n: constant(array, n, 0),
    "zeros_unit": lambda array: constant(array, UNIT // lanes(array), 0),
    "minus_infinity_unit": lambda array: constant(array, UNIT // lanes(array), -np.inf),
    "zeros": lambda array: constant(array, 1, 0)[0],
    "exchange": lambda value, distance: [value[i ^ distance % len(value)] for i in range(len(value))],
    "prefetch": lambda array, index: None,
    "prefetch_for_writing": lambda array, index: None,
    "add": binary(np.add),
    "multiply": binary(np.multiply),
    "xor": binary(np.bitwise_xor),
    "maximum": binary(lambda x, y: np.where(y > x, y, x)),
    "multiply_add": multiply_add,
    "swap": swap,
    "swaps": lambda vector, n, distance: [lanes_swapped(vector, q * distance) for q in range(n)],
    "multiply_add_swaps": multiply_add_swaps,
    "load_block": load_block,
    "blocks": blocks,
    "turn": square(lambda old, i, j: old[i ^ j, i]),
    "transpose": square(lambda old, i, j: old[i, j]),
}

# --- Permutations ----------------------------------------------------------------------------------------------------


def feistel(target, source, multiplier, increment, modulus):
    f = source * np.uint16(multiplier) + np.uint16(increment)
    f = (f ^ f >> np.uint16(7)) * np.uint16(FEISTEL_MULTIPLIER)
    shifted = target + (f.astype(np.uint32) * modulus >> np.uint32(16)).astype(np.uint16)
    return np.minimum(shifted, shifted - modulus), f


def signed(value, entry):
    return -value if int(entry) >> (8 * entry.itemsize - 1) else value


PERMUTATIONS = {
    "_round": feistel,
    "_sign_bits": lambda s: s * np.uint16(FEISTEL_MULTIPLIER) & np.uint16(0x8000),
    "_beyond": lambda left, right, last, rest: np.packbits((left == last) & (right >= rest), bitorder="little").view(
        np.uint32
    )[0],
    "_lowest_bit": lambda bits: (int(bits) & -int(bits)).bit_length() - 1,
    "signed": signed,
    "number": lambda entry: int(entry) & (1 << (8 * entry.itemsize - 1)) - 1,
}

# --- Calls -----------------------------------------------------------------------------------------------------------

FUNCTIONS = []


def address(self, dtype):
    if self.function not in FUNCTIONS:
        FUNCTIONS.append(self.function)
    return FUNCTIONS.index(self.function)


def call(where, *args):
    FUNCTIONS[where](*(arg if isinstance(arg, (np.ndarray, tuple)) else int(arg) for arg in args))


def gemm(address, trans_a, trans_b, m, n, k, beta, a, b, c):
    """BLAS's, column by column."""

    def matrix(of, rows, columns):
        array, start, row = of
        flat = array.reshape(-1)
        assert np.shares_memory(flat, array)
        assert row >= rows
        last = part(flat, start, (columns - 1) * row + rows)
        return as_strided(last, (rows, columns), (flat.itemsize, row * flat.itemsize))

    out = matrix(c, m, n)
    if not beta:
        out[:] = 0
    if k:
        left = matrix(a, k, m).T if trans_a else matrix(a, m, k)
        out += left @ (matrix(b, n, k).T if trans_b else matrix(b, k, n))


def replace():
    """Put what is here in the place of what is LLVM's, wherever that is."""
    places = (vectors, VECTORS), (permutations, PERMUTATIONS), (addresses, {"call": call}), (blas, {"_call": gemm})
    replaced = {id(getattr(module, name)): new for module, found in places for name, new in found.items()}
    kind = type(vectors.load)
    for name, module in list(sys.modules.items()):
        if name.startswith("ldlrpp."):
            for key, value in list(vars(module).items()):
                if isinstance(value, kind):
                    setattr(module, key, replaced[id(value)])
    addresses.ByAddress.address = address


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100)
    options = parser.parse_args()
    replace()
    import fuzz
    from hypothesis import HealthCheck, given, seed, settings
    from hypothesis import strategies as st

    # numbers of 64 bits wrap around
    np.seterr(over="ignore")
    warnings.simplefilter("ignore")
    quick = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
    for called, cases in ((fuzz.kernel_call, options.cases), (fuzz.estimator_call, options.cases // 10)):

        @seed(0)
        @settings(quick, max_examples=cases)
        @given(st.data())
        def run(data):
            called(data.draw)  # noqa: B023

        run()
        print(f"{called.__name__}: {cases} cases", flush=True)


if __name__ == "__main__":
    main()
