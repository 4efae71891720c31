"""Arrays on their way to the GPU, from page-locked memory in a stream of their own: kernels work meanwhile."""

import contextlib

import numpy as np

from ldlrpp.kernels import cpu
from ldlrpp.kernels.cuda import memory
from ldlrpp.kernels.cuda.compiling import SIMULATED
from ldlrpp.kernels.cuda.memory import xp


class StreamSender:
    """Brings arrays to where kernels work, while these work.

    Fill what `memory` gives, for one array or several, `send` them and go on; `take` gives them as arrays of the
    kernels, which may be used until the `send` after the next. There are two turns of memory, each on the host and on
    the GPU: what is sent waits for the kernels that were launched before the last `take`, which used that turn, and
    the host waits, in `memory`, for the copy that it would overwrite.
    """

    def __init__(self):
        self._stream = xp.cuda.Stream(non_blocking=True)
        self._turns, self._now = (_Turn(), _Turn()), 0
        self._used = None

    def memory(self, shape, dtype):
        """A NumPy array to fill, of what is sent next."""
        return self._turns[self._now].memory(shape, np.dtype(dtype), self._stream)

    def send(self):
        """Begin to send what was filled."""
        if self._used is not None:
            self._stream.wait_event(self._used)
        self._turns[self._now].send(self._stream)
        self._now = 1 - self._now

    def take(self):
        """What was sent last, as a list; kernels that are launched from here on have it."""
        turn, stream = self._turns[1 - self._now], xp.cuda.get_current_stream()
        self._used = stream.record()
        stream.wait_event(turn.sent)
        return list(turn.arrays)

    def __del__(self):
        # a copy must not write to memory that others have got; a GPU that is lost writes nothing
        with contextlib.suppress(AttributeError, *memory.errors()):
            self._stream.synchronize()


class _Turn:
    def __init__(self):
        # bytes, which grow, of the host and of the GPU, for every array
        self._host, self._there = [], []
        self._filled, self.arrays, self.sent = [], [], None

    def memory(self, shape, dtype, stream):
        if self.sent is not None:
            self.sent.synchronize()
            self.sent, self._filled = None, []
        place, size = len(self._filled), int(np.prod(shape)) * dtype.itemsize
        if place == len(self._host) or size > len(self._host[place]):
            # instead of what was too small
            self._host[place:], self._there[place:] = [_page_locked(size)], [xp.empty(size, np.uint8)]
            # CuPy gives out what was freed while kernels that were launched before still use it
            stream.wait_event(xp.cuda.get_current_stream().record())
        self._filled.append((size, shape, dtype))
        return self._host[place][:size].view(dtype).reshape(shape)

    def send(self, stream):
        self.arrays = []
        for host, there, (size, shape, dtype) in zip(self._host, self._there, self._filled, strict=False):
            if size:
                there[:size].set(host[:size], stream=stream)
            self.arrays.append(there[:size].view(dtype).reshape(shape))
        self.sent = stream.record()


def _page_locked(size):
    try:
        return np.frombuffer(xp.cuda.alloc_pinned_memory(max(1, size)), np.uint8, size)
    except xp.cuda.runtime.CUDARuntimeError as error:
        if not memory.is_full(error):
            raise
        return np.empty(size, np.uint8)  # from which copies are slower, and the host waits for them


Sender = cpu.transfer.Sender if SIMULATED else StreamSender
