"""Numba's CUDA simulator, made quick and safe enough for tests."""

import contextlib
import sys
import threading

from ldlrpp.kernels.cuda import memory


class _Allocations(dict):
    """Arrays by the line that allocates them: all threads but the first wait for the array that it makes.

    The simulator looks for an array and then makes one, so that two threads may each have their own.
    """

    def __init__(self):
        self.condition, self.pending = threading.Condition(), set()

    def get(self, line):
        with self.condition:
            if line not in self.pending:
                self.pending.add(line)
                return None
            self.condition.wait_for(lambda: line in self)
            return self[line]

    def __setitem__(self, line, array):
        with self.condition:
            super().__setitem__(line, array)
            self.condition.notify_all()


@contextlib.contextmanager
def quick():
    """A context in which the simulator's threads take turns every 0.1 ms instead of every 5 (half of the time)."""
    if not memory.SIMULATED:
        yield
        return
    from numba.cuda.simulator.kernelapi import FakeCUDAShared

    def make(shared, size, plain=FakeCUDAShared.__init__):
        plain(shared, size)
        shared._allocations = _Allocations()

    plain, interval = FakeCUDAShared.__init__, sys.getswitchinterval()
    FakeCUDAShared.__init__ = make
    sys.setswitchinterval(1e-4)
    try:
        yield
    finally:
        FakeCUDAShared.__init__ = plain
        sys.setswitchinterval(interval)
