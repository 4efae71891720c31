"""Arrays on their way to where kernels work: on the CPU they are there when they are filled."""

from ldlrpp.kernels.cpu import memory


class Sender:
    """Brings arrays to where kernels work, while these work.

    Fill what `memory` gives, for one array or several, `send` them and go on; `take` gives them as arrays of the
    kernels, which may be used until the `send` after the next.
    """

    def __init__(self):
        self._filled = []

    def memory(self, shape, dtype):
        """A NumPy array to fill, of what is sent next."""
        self._filled.append(memory.empty(shape, dtype))
        return self._filled[-1]

    def send(self):
        """Begin to send what was filled."""

    def take(self):
        """What was sent last, as a list; kernels that are launched from here on have it."""
        taken, self._filled = self._filled, []
        return taken
