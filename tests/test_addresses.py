"""Calls by address pass what the functions take, or do not compile."""

import numba
import numpy as np
import pytest

from ldlrpp.kernels.cpu.addresses import Array, ByAddress, Place, Size, call
from ldlrpp.kernels.cpu.vectors import load, store


@ByAddress
def copy_vector(src: Array, at: Place, dst: Array, i: Size):
    """A vector from the last of four places to the ``i``-th entry."""
    store(dst, i, load(src, at[3]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arguments_arrive(dtype):
    @numba.njit
    def run(address, src, dst, flag):
        call(address, src, (1, 2, 3, 4), dst, flag)

    src, dst = np.arange(40, dtype=dtype), np.zeros(40, dtype)
    src.flags.writeable = False
    run(copy_vector.address(src.dtype), src, dst, True)
    n = 64 // src.itemsize
    np.testing.assert_array_equal(dst, np.concatenate([[0], src[4 : 4 + n], np.zeros(39 - n)]))


def test_a_float_is_no_size():
    @numba.njit
    def run(address, src):
        call(address, src, (1, 2, 3, 4), src, 1.5)

    with pytest.raises(numba.TypingError):
        run(copy_vector.address(np.dtype(np.float32)), np.zeros(40, np.float32))
