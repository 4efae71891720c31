"""What dropout drops: one definition for every machine, so that a fit has the same masks on all of them.

Entry i of an array is dropped where a hash of i, keyed by a seed of 64 bits, is among the lowest: nothing is drawn or
kept, forward and backward compute it (0.1 ns an entry on two cores, where drawing a mask takes NumPy 1.5 and Philox in
such a loop 2.5). The hash is Wellons's lowbias32 [1]_, a mixer of 32 bits by two products that a search for little bias
found, applied twice, each half of the seed added before one of them: ``tests/test_masks.py`` looks at means,
neighbours, rows and seeds. (Entries 2^32 apart have one mask.)

.. [1] C. Wellons, "Hash prospector", https://github.com/skeeto/hash-prospector.
"""

import numpy as np

from ldlrpp.kernels.compiling import njit

_FIRST, _SECOND = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)
_FIFTEEN, _SIXTEEN = np.uint32(15), np.uint32(16)


@njit(cache=True)
def mixed(x):
    """lowbias32 of a ``np.uint32``."""
    x = np.uint32(x ^ np.uint32(x >> _SIXTEEN))
    x = np.uint32(np.uint64(x) * np.uint64(_FIRST))
    x = np.uint32(x ^ np.uint32(x >> _FIFTEEN))
    x = np.uint32(np.uint64(x) * np.uint64(_SECOND))
    return np.uint32(x ^ np.uint32(x >> _SIXTEEN))


@njit(cache=True)
def is_kept(i, low, high, least):
    """Whether entry ``i`` is kept: all are ``np.uint32``, ``low`` and ``high`` the halves of the seed."""
    inner = mixed(np.uint32(np.uint64(i) + np.uint64(low)))
    return mixed(np.uint32(np.uint64(inner) + np.uint64(high))) >= least


def key(seed, rate):
    """What `is_kept` takes for a seed, an integer of 64 bits, and the probability ``rate`` < 1 of being dropped."""
    seed = int(seed)
    least = min(round(rate * 2.0**32), 2**32 - 1)
    return np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32), np.uint32(least)
