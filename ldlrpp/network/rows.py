"""Rows of data as arrays of the kernels: of arrays that are where these work, or of the host's, sent while they work.

What training and predictions take batches from are *feeds*, of an array or a sparse matrix. A feed has

``send(rows)``
    Begins to bring the rows that `take` is to give next, a slice or an array of NumPy; they may all be there.
``take(rows)``
    The rows, a slice or an array of the kernels, as an array of the kernels, which the next ones may overwrite. Rows
    that kernels copy come as wide as a feed was asked for, repeated or with zeros behind them.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse

from ldlrpp.kernels import backend


@dataclass
class CSR:
    """A sparse matrix of the kernels' arrays, as SciPy's; on a GPU without entries that stand twice."""

    data: object
    indices: object
    indptr: object
    shape: tuple

    @property
    def dtype(self):
        return self.data.dtype


def put(array, kernels):
    """An array or SciPy's CSR matrix where the kernels work; what is there already is itself."""
    if not issparse(array):
        return array if isinstance(array, CSR) else kernels.memory.put(array)
    if not (is_there(array, kernels) or array.has_canonical_format):
        array = array.copy()
        array.sum_duplicates()
    return CSR(*map(kernels.memory.put, (array.data, array.indices, array.indptr)), array.shape)


def is_there(array, kernels):
    """Whether an array or a sparse matrix is where the kernels work."""
    return isinstance(array.data if issparse(array) else array, CSR | kernels.memory.Array)


def n_bytes(array, kernels):
    """The memory that an array or a sparse matrix wants to be put where the kernels work."""
    if is_there(array, kernels):
        return 0
    return sum(part.nbytes for part in ((array.data, array.indices, array.indptr) if issparse(array) else [array]))


def feed(array, kernels, width=None, repeated=False):
    """What gives the rows of an array or of a sparse matrix, perhaps to a layer of inputs of some ``width``."""
    kinds = {(True, True): _Sparse, (True, False): _Dense, (False, True): _SentSparse, (False, False): _SentDense}
    there = is_there(array, kernels)
    array = put(array, kernels) if there else array
    return kinds[there, issparse(array) or isinstance(array, CSR)](array, kernels, width, repeated)


class _Feed:
    def __init__(self, array, kernels, width, repeated):
        self.array, self.kernels, self.width, self.repeated = array, kernels, width, repeated
        self._memory = None

    def send(self, rows):
        pass

    def _out(self, n):
        """Memory for ``n`` rows, the same for all batches."""
        if self._memory is None or len(self._memory) < n:
            self._memory = self.kernels.memory.empty((n, self.width), self.array.dtype)
        return self._memory[:n]

    def _dense(self, array, indptr, rows):
        """Rows of a sparse matrix, numbered within ``indptr``."""
        out = self._out(len(rows))
        self.kernels.elementwise.take_sparse_rows(
            array.data, array.indices, indptr, rows, array.shape[1], self.repeated, out
        )
        return out


class _Dense(_Feed):
    def take(self, rows):
        if self.width is None or isinstance(rows, slice):
            return self.array[rows]
        out = self._out(len(rows))
        self.kernels.elementwise.take_rows(self.array, rows, self.repeated, out)
        return out


class _Sparse(_Feed):
    _numbers = ()

    def take(self, rows):
        indptr = self.array.indptr
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(self.array.shape[0])
            indptr, rows = indptr[start:], self._first(stop - start)
        return self._dense(self.array, indptr, rows)

    def _first(self, n):
        """The numbers below ``n``."""
        if len(self._numbers) < n:
            self._numbers = self.kernels.memory.put(np.arange(n))
        return self._numbers[:n]


class _Sent(_Feed):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._sender = self.kernels.transfer.Sender()

    def _fill(self, *arrays):
        for array in arrays:
            self._sender.memory(array.shape, array.dtype)[...] = array


class _SentDense(_Sent):
    def send(self, rows):
        if isinstance(rows, slice):
            self._fill(self.array[rows])
        else:
            memory = self._sender.memory((len(rows), *self.array.shape[1:]), self.array.dtype)
            if memory.ndim == 2:
                with backend.cpu.threads.one_kernel():
                    backend.cpu.elementwise.take_rows(self.array, rows, False, memory)
            else:
                np.take(self.array, rows, out=memory)
        self._sender.send()

    def take(self, rows):
        return self._sender.take()[0]


class _SentSparse(_Sent):
    def send(self, rows):
        part = self.array[rows]
        part.sum_duplicates()
        self._fill(part.data, part.indices, part.indptr, np.arange(part.shape[0]))
        self._sender.send()

    def take(self, rows):
        data, indices, indptr, numbers = self._sender.take()
        return self._dense(CSR(data, indices, indptr, self.array.shape), indptr, numbers)
