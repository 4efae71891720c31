"""The keyed permutation of RPP, and its signs: one definition for every machine.

``P[h, :, j]``, the permutation of ``0 … m−1`` that belongs to head ``h`` and column ``j``, and ``σ[h, :, j]``, a sign
for each of its entries, are computed from ``(seed, h, j)`` and never stored. A saved model keeps its seed and neither P
nor σ, so **this module is a file format**: changing any number here changes what every saved model computes.
``tests/test_bijection.py`` pins golden values.

The definition, for ``m`` inputs:

keys
    32-bit words of Philox-4x32-10 [1]_ with key ``(seed mod 2^32, seed div 2^32)`` and counter ``(i, j, h, 0)``
    for the i-th block of four words.
m ≤ 64
    Fisher–Yates: start from the identity and, for ``i = m−1 … 1``, swap entries ``i`` and ``⌊word · (i+1) / 2^32⌋``,
    with one word of the stream a step.
m > 64
    An additive Feistel network on Z_a × Z_b: ``b`` is the least multiple of 16 that is √m or more, ``a = ⌈m / b⌉``,
    and a position is ``v = l·b + r``. Round t adds ``F_t(r)`` to ``l`` modulo ``a`` when t is even, ``F_t(l)`` to ``r``
    modulo ``b`` when t is odd, with, in 16-bit arithmetic::

        f = x · (low half of word t, made odd) + (high half of word t)
        f = f XOR (f >> 7)
        f = f · 40501
        F = high 16 bits of f · (a or b)

    12 rounds up to m = 512 and 8 above. A value that lands in ``m … a·b−1`` goes through the network again until it
    lands below ``m``. Every operation fits 16-bit lanes, so a vector unit does 16 to 32 positions at once.
signs, m ≤ 64
    ``σ[h, i, j]`` is −1 where bit i mod 32 of word ⌊i / 32⌋ is set, of the Philox block with counter ``(0, j, h, 1)``.
signs, m > 64
    ``s`` is the XOR of the f of all rounds, as they are multiplied by a or b, in the pass that lands below ``m``; the
    sign is −1 where the highest bit of ``s · 40501``, in 16-bit arithmetic, is set. P has the high bits of every f, the
    sign has them all.

What was tested (``benchmarks/permutation_quality.py``), on 17 sizes from 65 to 2^20 and up to 20,000 columns each: χ²
of position × value; mean and variance of fixed points and of agreements between two columns; χ² of the steps ``p(i+d)
− p(i) mod m`` at distances d = 1, 2 and ``b``; serial correlation; the most frequent step of a column. All lie within
the spread of random permutations. For m = 3, 4, 5, 6 all orders are equally likely; neighbouring seeds, heads and
columns are uncorrelated (``tests/test_bijection.py``). Of the signs, for 17 sizes from 16 to 2^16: their mean, and the
spread of the columns' sums; products of signs 1, 2 and ``b`` apart, in the order of positions and in that of values;
products of whole rows of the a × b rectangle, and spectra, both column by column and in both orders; correlations with
positions, values, both (χ²), and steps of P. All lie within the spread of random signs. What fails, and is why the
definition is as it is:

- Fewer rounds. Six: χ²/dof of the steps is 88 at m = 65, 7.6 at 257 and 1.2 at 513; at distance ``b`` it is 5
  standard deviations off at m = 1024 with 10,000 columns. Eight: 4.8 at m = 65, as it should be from 300 on.
- An affine round function (no XOR-shift and second product): looks perfect in position × value after six rounds and
  has a step that occurs 48 times in a column of 1000 where a random one has 5.5.
- A Feistel network of any number of rounds on a handful of inputs: it does not reach all orders evenly, hence
  Fisher–Yates there.
- Signs from the f of fewer rounds. The last alone is one sign for all values of a row of b; of the last two, rows of
  values have the same signs up to one sign for the row too often (19 standard deviations with 3,000 columns of 1000).
  Four looked random, as did the highest or the lowest bit of the XOR of all; all rounds and all bits are for margin.

No intermediate value overflows its type, so that the same source means the same under Python, Numba's CPU compiler, its
CUDA compiler (which compiles an ``@njit`` function that a CUDA kernel calls) and its CUDA simulator. `feistel` gives
one position, and a CUDA thread calls what that is made of; ``cpu.permutations.permutation_column`` does the same rounds
to 32 at a time.

.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import math

import numpy as np

from ldlrpp.kernels.compiling import njit

#: Up to this many inputs the permutation is a Fisher–Yates shuffle, above it a Feistel network.
FISHER_YATES_INPUTS = 64
#: Up to this many inputs the Feistel network has MAX_ROUNDS rounds, above it MIN_ROUNDS.
MANY_ROUNDS_INPUTS = 512
MAX_ROUNDS = 12
MIN_ROUNDS = 8
#: a and b must not exceed 2^15, for the sum of two residues to fit 16 bits.
MAX_INPUTS = 2**30

_LOW32 = np.uint64(0xFFFFFFFF)
_SHIFT32 = np.uint64(32)
_PHILOX_M0 = np.uint64(0xD2511F53)
_PHILOX_M1 = np.uint64(0xCD9E8D57)
_PHILOX_W0 = np.uint64(0x9E3779B9)
_PHILOX_W1 = np.uint64(0xBB67AE85)
#: Of the round function's second product, and of that which gives the sign.
FEISTEL_MULTIPLIER = np.uint32(40501)


def entry_dtype(m, signs):
    """The smallest type of the entries of permutations of ``m`` numbers, with a bit above them for ``signs``."""
    return np.dtype(np.uint16 if m <= (2**15 if signs else 2**16) else np.uint32)


@njit(cache=True)
def philox4x32(counter0, counter1, counter2, counter3, key0, key1):
    """Philox-4x32 with 10 rounds: four pseudo-random 32-bit words of a 128-bit counter and a 64-bit key.

    Arguments and results are 32-bit values held in ``np.uint64``, wide enough for the 32×32-bit products.
    """
    c0, c1, c2, c3, k0, k1 = counter0, counter1, counter2, counter3, key0, key1
    for _ in range(10):
        product0 = _PHILOX_M0 * c0
        product1 = _PHILOX_M1 * c2
        c0, c1, c2, c3 = (
            (product1 >> _SHIFT32) ^ c1 ^ k0,
            product1 & _LOW32,
            (product0 >> _SHIFT32) ^ c3 ^ k1,
            product0 & _LOW32,
        )
        k0 = (k0 + _PHILOX_W0) & _LOW32
        k1 = (k1 + _PHILOX_W1) & _LOW32
    return c0, c1, c2, c3


@njit(cache=True)
def key_words(block, seed, head, column):
    """Words ``4·block … 4·block+3`` of the key stream of one column (all arguments ``np.uint64``)."""
    return philox4x32(block, column, head, np.uint64(0), seed & _LOW32, seed >> _SHIFT32)


@njit(cache=True)
def fisher_yates(m, seed, head, column, out):
    """Write the permutation of ``m`` ≤ 64 positions into ``out[:m]``."""
    for i in range(m):
        out[i] = i
    word0 = word1 = word2 = word3 = np.uint64(0)
    for step in range(m - 1):
        if step % 4 == 0:
            word0, word1, word2, word3 = key_words(np.uint64(step // 4), seed, head, column)
        last = m - 1 - step
        other = np.int64((word0 * np.uint64(last + 1)) >> _SHIFT32)
        word0, word1, word2 = word1, word2, word3
        swapped = out[last]
        out[last] = out[other]
        out[other] = swapped


@njit(cache=True)
def few_signs(seed, head, column):
    """The signs of up to 64 inputs: bit i is set where that of entry i is −1 (``np.uint64``, as the arguments)."""
    word0, word1, _, _ = philox4x32(np.uint64(0), column, head, np.uint64(1), seed & _LOW32, seed >> _SHIFT32)
    return word0 | (word1 << _SHIFT32)


@njit(cache=True)
def n_rounds(m):
    """Number of Feistel rounds for ``m`` > 64 inputs."""
    return MAX_ROUNDS if m <= MANY_ROUNDS_INPUTS else MIN_ROUNDS


@njit(cache=True)
def feistel_sides(m):
    """The sides ``a`` and ``b`` of the rectangle of ``a·b ≥ m`` positions."""
    root = int(math.sqrt(m))
    if root * root < m:
        root += 1
    b = (root + 15) // 16 * 16
    return (m + b - 1) // b, b


@njit(cache=True)
def round_keys(m, seed, head, column, multipliers, increments):
    """Write the 16-bit multiplier and increment of every round (arrays of at least MAX_ROUNDS ``np.uint16``)."""
    for block in range(n_rounds(m) // 4):
        four_round_keys(block, seed, head, column, multipliers, increments)


@njit(cache=True)
def four_round_keys(block, seed, head, column, multipliers, increments):
    """Those of rounds ``4·block … 4·block+3``."""
    words = key_words(np.uint64(block), seed, head, column)
    for i in range(4):
        multipliers[4 * block + i] = np.uint16(words[i] & np.uint64(0xFFFF)) | np.uint16(1)
        increments[4 * block + i] = np.uint16(words[i] >> np.uint64(16))


@njit(cache=True)
def feistel_round(target, source, multiplier, increment, modulus):
    """One half-step: ``(target + F(source)) mod modulus``, and the f that F is from.

    All are ``np.uint16`` but ``modulus``, which is ``np.uint32``: a GPU then multiplies 32 bits by it instead of 64.
    """
    f = np.uint16(np.uint32(source) * np.uint32(multiplier) + np.uint32(increment))
    f = np.uint16(f ^ (f >> np.uint16(7)))
    f = np.uint16(np.uint32(f) * FEISTEL_MULTIPLIER)
    shifted = np.uint16(target + np.uint16(np.uint32(np.uint32(f) * modulus) >> np.uint32(16)))
    # shifted − modulus wraps to a large value where shifted < modulus: the minimum is the residue, without a branch.
    return min(shifted, np.uint16(np.uint32(shifted) + np.uint32(65536) - modulus)), f


@njit(cache=True)
def feistel_pass(left, right, a, b, rounds, multipliers, increments):
    """One pass of the position ``left·b + right`` through the network: left and right of its value (``np.uint16``).

    The third result has the highest bit set where the sign is −1, and no other. The sides are ``np.uint32``.
    """
    s = np.uint16(0)
    # unsigned: a GPU would look at every index for whether it is negative
    t, one = np.uint32(0), np.uint32(1)
    while t < rounds:
        left, f = feistel_round(left, right, multipliers[t], increments[t], a)
        t = np.uint32(t + one)
        right, g = feistel_round(right, left, multipliers[t], increments[t], b)
        t = np.uint32(t + one)
        s = np.uint16(s ^ f ^ g)
    return left, right, np.uint16(np.uint16(np.uint32(s) * FEISTEL_MULTIPLIER) & np.uint16(0x8000))


@njit(cache=True)
def feistel_position(v, m, multipliers, increments):
    """One pass of a position ``v`` < a·b through the network: its value (may be ``m`` or more), is its sign −1."""
    a, b = feistel_sides(m)
    left, right, sign = feistel_pass(
        np.uint16(v // b), np.uint16(v % b), np.uint32(a), np.uint32(b), n_rounds(m), multipliers, increments
    )
    return np.int64(left) * b + np.int64(right), sign != 0


@njit(cache=True)
def feistel(i, m, multipliers, increments):
    """The permuted value of position ``i`` < m, the network walked until it lands below ``m``, and is its sign −1."""
    v, is_negative = feistel_position(i, m, multipliers, increments)
    while v >= m:
        v, is_negative = feistel_position(v, m, multipliers, increments)
    return v, is_negative
