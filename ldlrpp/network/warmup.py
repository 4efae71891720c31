"""Compilation ahead of the first use."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike
from scipy.sparse import csr_array

from ldlrpp.kernels import backend, rpp_permutation
from ldlrpp.network.layers import LDL, RPP, Dense
from ldlrpp.network.losses import SquaredError
from ldlrpp.network.network import Network
from ldlrpp.network.optimizers import SGD, Adam
from ldlrpp.network.training import Data, epochs


def warmup(dtypes: DTypeLike | Sequence[DTypeLike] = (np.float32, np.float64)) -> None:
    """Compile the kernels, which otherwise the first call or fit does that wants them.

    Compiled kernels are kept on disk: this is worth its time once for an installation, before a demonstration or when a
    container is built. It takes some 30 s a dtype, and less than a second where all is compiled. Read-only arrays,
    such as memory-mapped files, are not covered: Numba compiles for them when they come.

    Parameters
    ----------
    dtypes : dtype or sequence of dtypes, default=(numpy.float32, numpy.float64)
        What the kernels are compiled for.

    Raises
    ------
    ValueError
        If a dtype is not float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import ldlrpp
    >>> ldlrpp.warmup(np.float32)
    """
    dtypes = [np.dtype(dtype) for dtype in (dtypes if isinstance(dtypes, list | tuple) else [dtypes])]
    if any(dtype not in (np.float32, np.float64) for dtype in dtypes):
        raise ValueError(f"dtypes must be float32 or float64, got {', '.join(map(str, dtypes))}")
    rng = np.random.default_rng(0)
    # widths and radices of butterflies: one of plain loops, which is cut, small ones, one whose gradients have many
    # partial sums, and one in pieces; together they have all passes
    layers = [(3, 2), (32, 2), (256, 16), (512, 8), (2**11, 4), (2**13, 2)]
    with backend.cpu.threads.kernel_threads():
        for dtype in dtypes:
            common = {"rng": rng, "dtype": dtype}
            hidden = [
                LDL(n, width, radix=radix, **common) for (n, _), (width, radix) in itertools.pairwise([(1, 2), *layers])
            ]
            hidden.append(RPP(layers[-1][0], 8, n_permutations=2, seed=0, budget=2**20, **common))
            network = Network([*hidden, Dense(8, 1, **common)], "relu")
            rows = Data(np.ones((192, 1), dtype), np.zeros((192, 1), dtype))
            for optimizer in (Adam(learning_rate=0.0), SGD(learning_rate=0.0)):
                next(epochs(network, SquaredError(), optimizer, rows, dropout=0.5, rng=rng))
            rows.X = csr_array(rows.X)
            next(epochs(network, SquaredError(), Adam(learning_rate=0.0), rows, rng=rng))
            network.scores(rows.X)
        for n_inputs in (2, 2**16 + 1):  # permutations of 16 and of 32 bits
            rpp_permutation(n_inputs, 1, 1, 0)
