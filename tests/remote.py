"""A machine with memory of its own: the CPU's kernels behind the names of those for GPUs, on arrays NumPy cannot read.

What touches such an array is a kernel of this backend, or what arrays of every library have. Reads by the host are
counted, for nothing but these waits for a GPU.
"""

import functools
import math
from types import SimpleNamespace

import numpy as np

from ldlrpp.kernels import cpu


class RemoteError(Exception):
    """What is raised when the machine works no more."""


class Remote:
    """An array that NumPy cannot read, and that knows no more than arrays of all libraries do."""

    __array_ufunc__ = None
    # what GPUs' arrays have, if they are no more than asked for
    __cuda_array_interface__ = None
    __hash__ = None

    def __init__(self, array):
        self.array = array

    def __array__(self, *args, **kwargs):
        raise TypeError("this array is in the memory of another machine")

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"{function.__name__} of an array in the memory of another machine")

    def __deepcopy__(self, memo):
        return self.copy()

    def __reduce__(self):
        raise TypeError("pickles hold arrays of NumPy")

    def __float__(self):
        MEMORY.read()
        return float(self.array)

    def __bool__(self):
        MEMORY.read()
        return bool(self.array)

    def __len__(self):
        return len(self.array)

    def __getitem__(self, places):
        return Remote(self.array[local(places)])

    def __setitem__(self, places, value):
        self.array[local(places)] = local(value)

    def __imul__(self, other):
        self.array *= local(other)
        return self

    def __getattr__(self, name):
        if name in ("shape", "dtype", "size", "itemsize", "flags", "ndim", "nbytes"):
            return getattr(self.array, name)
        if name in ("reshape", "copy", "sum", "astype", "any", "all", "min", "argmax", "T"):
            value = getattr(self.array, name)
            return (lambda *args, **options: remote(value(*args, **options))) if callable(value) else Remote(value)
        raise AttributeError(name)


def _binary(name):
    return lambda self, other: Remote(getattr(self.array, name)(local(other)))


for _name in ("add", "radd", "mul", "rmul", "sub", "rsub", "eq", "gt", "lt"):
    setattr(Remote, f"__{_name}__", _binary(f"__{_name}__"))


def local(argument):
    """An argument as a kernel for the CPU takes it; TypeError for arrays of NumPy."""
    if isinstance(argument, np.ndarray):
        raise TypeError("an array of NumPy where one of the backend is wanted")
    if isinstance(argument, Remote):
        return argument.array
    if isinstance(argument, list):
        return [local(value) for value in argument]
    if callable(argument):
        return lambda *args: local(argument(*args))
    return argument


def remote(result):
    return Remote(np.asarray(result)) if isinstance(result, np.ndarray | np.generic | float) else result


class Module:
    """A module of functions of `Remote` arrays."""

    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        return functools.partial(self._call, getattr(self.module, name))

    def _call(self, function, *args):
        if MEMORY.n_calls_left == 0:
            raise RemoteError(MEMORY.message)
        MEMORY.n_calls_left -= 1
        return remote(function(*map(local, args)))


class Memory:
    """The twin of `ldlrpp.kernels.cpu.memory`."""

    Array, xp = Remote, Module(np)
    CHUNK_BYTES = cpu.memory.CHUNK_BYTES

    @property
    def CHUNK_ROWS(self):  # the same as the CPU's, for the same bits
        return cpu.memory.CHUNK_ROWS

    def __init__(self):
        self.reset()

    def reset(self):
        self.n_reads, self.n_reads_left, self.n_calls_left = 0, math.inf, math.inf
        self.message = "the machine has fallen off its bus"

    def read(self):
        """Take note of a read by the host."""
        self.n_reads += 1
        if not (self.n_calls_left and self.n_reads_left):
            raise RemoteError(self.message)
        self.n_reads_left -= 1

    def empty(self, shape, dtype):
        return Remote(cpu.memory.empty(shape, dtype))

    def zeros(self, shape, dtype):
        return Remote(cpu.memory.zeros(shape, dtype))

    def put(self, array):
        return array if isinstance(array, Remote) else Remote(array.copy(order="K"))

    def get(self, array, out=None):
        self.read()
        if out is None:
            return local(array).copy(order="K")
        out[...] = local(array)
        return out

    def to_host(self, value):
        return self.get(value)

    def is_full(self, error):
        return "full" in str(error)

    def asarray(self, name, value):
        if not isinstance(value, Remote):
            raise TypeError(f"{name} must be on the other machine")
        return value

    def contiguous(self, array):
        return Remote(np.ascontiguousarray(local(array)))

    def takes(self, dtype):
        return cpu.memory.takes(dtype)

    def like(self, array, given):
        return array

    def free_bytes(self):
        return math.inf

    def errors(self):
        return (RemoteError,)

    def n_devices(self):
        return 2


class Sender:
    """What is sent arrives when it is taken, from memory that is then overwritten."""

    def __init__(self):
        self._sender, self._sent = cpu.transfer.Sender(), []

    def memory(self, shape, dtype):
        return self._sender.memory(shape, dtype)

    def send(self):
        self._sent.append(self._sender.take())

    def take(self):
        (arrays,) = self._sent
        self._sent = []
        taken = [Remote(array.copy()) for array in arrays]
        for array in arrays:
            array[...] = 0
        return taken


MEMORY = Memory()
KERNELS = SimpleNamespace(
    **{name: Module(getattr(cpu, name)) for name in ("dense", "elementwise", "ldl", "losses", "rpp")},
    memory=MEMORY,
    threads=cpu.threads,
    transfer=SimpleNamespace(Sender=Sender),
)
