"""Batches on their way to a GPU: whatever the streams do first, kernels see the batch that they were launched for."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest

from ldlrpp.kernels import cpu
from ldlrpp.kernels.cuda import transfer


class Stream:
    """Work in its order, done as soon as it can be if the stream is ``eager``, or else when somebody waits for it."""

    def __init__(self, eager):
        self.eager, self.waiting, self.n_done = eager, [], 0

    def do(self, work):
        self.waiting.append(work)
        if self.eager:
            self.synchronize()

    def run(self, n):
        """Have done what came first, ``n`` pieces of work in all."""
        while self.n_done < n:
            self.n_done += 1
            self.waiting.pop(0)()

    def synchronize(self):
        self.run(self.n_done + len(self.waiting))

    def record(self):
        n = self.n_done + len(self.waiting)
        # the first is for streams, the second for the host
        return SimpleNamespace(run=lambda: self.run(n), synchronize=lambda: self.run(n))

    def wait_event(self, event):
        self.do(event.run)


class There(np.ndarray):
    """Memory of the GPU."""

    def set(self, host, stream):
        target = self.view(np.ndarray)
        stream.do(lambda: np.copyto(target, host))


class Careless(Stream):
    """One that waits for nothing."""

    def wait_event(self, event):
        pass


class CarelessAtFirst(Stream):
    """One that does not wait, before its first copies, for kernels that work on memory which was freed."""

    recorded = False

    def wait_event(self, event):
        if self.recorded:
            super().wait_event(event)

    def record(self):
        self.recorded = True
        return super().record()


class Unawaited(Stream):
    """One for which the host does not wait."""

    def record(self):
        event = super().record()
        event.synchronize = lambda: None
        return event


def results(monkeypatch, copies_first, kernels_first, copies=Stream, kernels=Stream):
    """What kernels saw of eight batches of two arrays, and of memory that was freed while one of them worked on it."""
    copying, working, seen, seen_of_freed = copies(copies_first), kernels(kernels_first), [], []

    def empty(size, dtype):
        """As CuPy's pool gives out what was freed at once: kernels that were launched before still work on it."""
        array = np.zeros(size, dtype)
        working.do(lambda: array.fill(7))
        working.do(lambda: seen_of_freed.append((array == 7).all()))
        return array.view(There)

    cuda = SimpleNamespace(Stream=lambda non_blocking: copying, get_current_stream=lambda: working)
    monkeypatch.setattr(transfer, "xp", SimpleNamespace(empty=empty, cuda=cuda))
    monkeypatch.setattr(transfer, "_page_locked", lambda size: np.zeros(size, np.uint8))
    sender = transfer.StreamSender()

    def send(i):
        sender.memory((3 + i % 4, 2), np.float32)[...] = i
        sender.memory(i, np.int64)[...] = 10 * i
        sender.send()

    send(0)
    for i in range(8):
        arrays = sender.take()
        working.do(lambda arrays=arrays: seen.append([np.array(array) for array in arrays]))
        if i < 7:
            send(i + 1)
    working.synchronize()
    return seen, seen_of_freed


def is_right(results):
    seen, seen_of_freed = results
    return all(seen_of_freed) and all(
        np.array_equal(one, np.full((3 + i % 4, 2), i)) and np.array_equal(other, np.full(i, 10 * i))
        for i, (one, other) in enumerate(seen)
    )


def test_senders_are_twins():
    ours, theirs = (
        {name: str(inspect.signature(method)) for name, method in vars(cls).items() if not name.startswith("_")}
        for cls in (cpu.transfer.Sender, transfer.StreamSender)
    )
    assert ours == theirs


ORDERS = [(False, False), (False, True), (True, False), (True, True)]


@pytest.mark.parametrize(("copies_first", "kernels_first"), ORDERS)
def test_every_kernel_sees_its_batch(copies_first, kernels_first, monkeypatch):
    assert is_right(results(monkeypatch, copies_first, kernels_first))


@pytest.mark.parametrize(
    "forgetful",
    [{"copies": Careless}, {"copies": CarelessAtFirst}, {"kernels": Careless}, {"copies": Unawaited}],
)
def test_every_wait_is_needed(forgetful, monkeypatch):
    """Without any of them some order gives wrong batches: these orders are such that the test above can fail."""
    assert not all(is_right(results(monkeypatch, *order, **forgetful)) for order in ORDERS)
