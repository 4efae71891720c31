"""Calls by address pass what the functions take, or do not compile."""

from typing import NamedTuple

import numba
import numpy as np
import pytest

from ldlrpp.kernels.cpu.addresses import Array, ByAddress, Size, call
from ldlrpp.kernels.cpu.vectors import load, store


class Places(NamedTuple):
    other: int
    here: int
    another: int


@ByAddress
def copy_vector(src: Array, at: Places, dst: Array, i: Size):
    """A vector from one of three places to the ``i``-th entry."""
    store(dst, i, load(src, at.here))


@pytest.mark.parametrize("here", [4, np.uint16(4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arguments_arrive(dtype, here):
    @numba.njit
    def run(address, src, here, dst, flag):
        call(address, src, Places(1, here, len(dst)), dst, flag)

    src, dst = np.arange(40, dtype=dtype), np.zeros(40, dtype)
    src.flags.writeable = False
    run(copy_vector.address(src.dtype), src, here, dst, True)
    n = 64 // src.itemsize
    np.testing.assert_array_equal(dst, np.concatenate([[0], src[4 : 4 + n], np.zeros(39 - n)]))


@pytest.mark.parametrize(("here", "i"), [(2, 1.5), (1.5, 2)])
def test_a_float_is_no_integer(here, i):
    @numba.njit
    def run(address, src, here, i):
        call(address, src, Places(1, here, 3), src, i)

    with pytest.raises(numba.TypingError):
        run(copy_vector.address(np.dtype(np.float32)), np.zeros(40, np.float32), here, i)
