"""Checks of the kernels' arguments: each names the argument, what it got and what it wants."""

import operator
from numbers import Integral
from typing import TypeVar

import numpy as np

from ldlrpp.kernels import cpu

#: The dtype that all arrays of a call have.
Float = TypeVar("Float", np.float32, np.float64)


def float_array(name, value, dtype=None, kernels=cpu):
    """Return ``value`` as an array of a backend's, without a copy, of a float dtype that it has (or of ``dtype``)."""
    array = kernels.memory.asarray(name, value)
    if not kernels.memory.takes(array.dtype):
        wanted = " or ".join([", ".join(kernels.memory.DTYPES[:-1]), kernels.memory.DTYPES[-1]])
        raise TypeError(f"{name} must have dtype {wanted}, got {array.dtype}")
    if dtype is not None and array.dtype != dtype:
        raise TypeError(f"{name} must have dtype {dtype} like the other arrays, got {array.dtype}")
    return array


def check_shape(name, array, shape, names):
    """Raise unless ``array.shape`` is ``shape``, where None fits any length; ``names`` are those of the axes."""
    if len(array.shape) != len(shape) or any(
        want is not None and got != want for got, want in zip(array.shape, shape, strict=True)
    ):
        wanted = ", ".join(
            axis if want is None or axis == str(want) else f"{axis} = {want}"
            for want, axis in zip(shape, names, strict=True)
        )
        raise ValueError(f"{name} must have shape ({wanted}), got {array.shape}")


def positive_int(name, value, maximum=None):
    """Return ``value`` as an int of 1 or more (and at most ``maximum``)."""
    number = _integer(name, value)
    if number < 1 or (maximum is not None and number > maximum):
        limit = "" if maximum is None else f" and at most {maximum}"
        raise ValueError(f"{name} must be at least 1{limit}, got {number}")
    return number


def power_of_two(name, value):
    """Return ``value`` as an int that is a power of two."""
    number = positive_int(name, value)
    if number & (number - 1):
        raise ValueError(f"{name} must be a power of two, got {number}")
    return number


def seed_uint64(name, value):
    """Return ``value`` as a ``np.uint64``."""
    number = _integer(name, value)
    if not 0 <= number < 2**64:
        raise ValueError(f"{name} must be from 0 to 2**64 - 1, got {number}")
    return np.uint64(number)


def flag(name, value):
    """Return ``value`` as True or False."""
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, Integral) and value in (0, 1)):
        return bool(value)
    raise TypeError(f"{name} must be True or False, got {value!r}")


def float_dtype(name, value):
    """Return ``value`` as the dtype float32 or float64."""
    try:
        dtype = None if value is None else np.dtype(value)
    except TypeError:
        dtype = None
    if dtype is None or not cpu.memory.takes(dtype):
        raise TypeError(f"{name} must be float32 or float64, got {value!r}")
    return dtype


def random_generator(name, value):
    """Return the generator that ``value`` stands for, as `numpy.random.default_rng` does."""
    try:
        return np.random.default_rng(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} must be None, an integer of 0 or more or a Generator, got {value!r}") from None


def positive_number(name, value):
    """Return ``value`` as a finite float above zero."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {value!r}") from None
    if not 0 < number < float("inf"):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")
    return number


def output(out, shape, dtype, inputs, kernels=cpu):
    """Return the array that a kernel should write for the argument ``out``: ``out`` itself where it can serve.

    A fresh one stands in where ``out`` is None or overlaps with an input; the caller copies back.
    """
    memory = kernels.memory
    if out is None:
        return memory.empty(shape, dtype)
    array = memory.asoutput("out", out)
    if array.dtype != dtype:
        raise TypeError(f"out must have dtype {dtype} like the other arrays, got {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"out must have shape {shape}, got {array.shape}")
    if array.flags.c_contiguous and not any(memory.overlap(array, other) for other in inputs):
        return array
    return memory.empty(shape, dtype)


def written(y, out, given, kernels=cpu):
    """What a public function returns: ``out``, which gets what is in ``y``, or ``y`` in the library of ``given``."""
    if y is out:
        return out
    if out is None:
        return kernels.memory.like(y, given)
    array = kernels.memory.asarray("out", out)
    if not kernels.memory.overlap(array, y):
        array[...] = y
    if not isinstance(out, kernels.memory.Array):
        kernels.memory.synchronize()
    return out


def _integer(name, value):
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
