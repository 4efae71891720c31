"""For those who want to know what a butterfly can be: transforms of N positions, built and learned, a table.

An LDL layer is log2 N stages of decreasing stride. All paths from positions with the same low bits to positions with
the same high bits meet in one place on their way, so that many parts of its matrix have rank one: for every b, and all
P and r, that of the rows P·2^b … P·2^b + 2^b − 1 and the columns r, r + 2^b, r + 2·2^b, … What the first singular
values of these parts leave is a bound: no weights do better. And a matrix whose parts all have rank one is a butterfly,
whose weights follow from singular vectors, a stage at a time (Le, Zheng, Riccietti and Gribonval, "Butterfly
factorization with error guarantees", arXiv 2411.04506). The table has the bound, the error of the weights built so, and
what gradient descent reaches that sees examples alone, the best of some attempts: one butterfly, two in a row, and two
that start as Walsh-Hadamard transforms.

Errors are relative, in the Frobenius norm: 0 is exact, 1 is what zeros would do.

Usage: python examples/exact_transforms.py [--width 64] [--steps 1000] [--restarts 3]
"""

import argparse
from functools import reduce

import numpy as np
from kernels_from_numpy import learn
from scipy.fft import dct
from scipy.linalg import circulant, dft, hadamard
from scipy.stats import ortho_group

from ldlrpp import kernels

STARTS = {"n_layers": 1}, {"n_layers": 2}, {"n_layers": 2, "init": "hadamard"}


def reversed_bits(n):
    """Order of n = 2^L positions by their bits read backwards."""
    return np.arange(n).reshape((2,) * (n.bit_length() - 1)).T.ravel()


def haar(n):
    """The Haar transform, from the coarsest to the finest wavelets."""
    if n == 1:
        return np.ones((1, 1))
    return np.vstack([np.kron(haar(n // 2), [1, 1]), np.kron(np.eye(n // 2), [1, -1])]) / np.sqrt(2)


def haar_order(n):
    """Order of the Haar transform's outputs, the bits of every level backwards."""
    return np.concatenate([[0], *(2**level + reversed_bits(2**level) for level in range(n.bit_length() - 1))])


def transforms(n, rng):
    """Matrices M of y = M x, by name."""
    back, kernel, t = reversed_bits(n), rng.standard_normal(n), np.arange(n)
    walsh, fourier, cosine = hadamard(n), dft(n), dct(np.eye(n), norm="ortho", axis=0)
    hartley = fourier.real - fourier.imag
    return {
        "Walsh-Hadamard": walsh,
        "Walsh-Hadamard, outputs in bit-reversed order": walsh[back],
        "shift by 5": np.roll(np.eye(n), 5, axis=0),
        "bit reversal": np.eye(n)[back],
        "Haar": haar(n),
        "Haar, inputs and outputs in bit-reversed order": haar(n)[haar_order(n)][:, back],
        "running sum": np.tri(n),
        "convolution, i XOR j": kernel[t[:, None] ^ t],
        "convolution, i - j modulo N": circulant(kernel),
        "cosine (DCT-II)": cosine,
        "cosine, outputs in bit-reversed order": cosine[back],
        "Hartley": hartley,
        "Hartley, outputs in bit-reversed order": hartley[back],
        "Fourier, complex": fourier,
        "Fourier, complex, outputs in bit-reversed order": fourier[back],
        "a random orthogonal matrix": ortho_group.rvs(n, random_state=rng),
    }


def bound(matrix):
    """A relative error that no single butterfly goes below."""
    n, lost = len(matrix), [0.0]
    for b in range(1, n.bit_length() - 1):
        parts = matrix.reshape(n >> b, 1 << b, n >> b, 1 << b).transpose(0, 3, 1, 2)
        lost.append(np.sum(np.linalg.svd(parts, compute_uv=False)[..., 1:] ** 2))
    return np.sqrt(max(lost)) / np.linalg.norm(matrix)


def built(matrix):
    """Weights and scale of a butterfly that is the matrix, where one is, and near the best one elsewhere."""
    n = len(matrix)
    n_stages = n.bit_length() - 1
    weights = np.empty((n_stages, 2, n), matrix.dtype)
    rest = matrix
    for stage in range(n_stages):
        half = n >> (stage + 1)
        # of a block's rows in the output's half P and its columns r and r + half: what of these goes to P, and where
        parts = rest.reshape(-1, 2, half, 2, half).transpose(0, 1, 4, 2, 3)
        left, values, right = np.linalg.svd(parts, full_matrices=False)
        right = right[..., 0, :]
        for P in range(2):
            own, other = weights[stage].reshape(2, -1, 2, half)[:, :, P]
            own[:], other[:] = right[:, P, :, P], right[:, P, :, 1 - P]
        rest = (left[..., 0] * values[..., :1]).transpose(0, 1, 3, 2)
    return weights, rest.reshape(n)


def error(layers, matrix):
    product = reduce(np.matmul, (kernels.ldl_dense(weights, scale) for weights, scale, *_ in layers))
    return np.linalg.norm(product.T - matrix) / np.linalg.norm(matrix)


def learned(matrix, options, **start):
    """The relative error of the best of some attempts."""
    matrix = (matrix * np.sqrt(len(matrix)) / np.linalg.norm(matrix)).astype(np.float32)
    attempts = (learn(matrix.T, options.steps, seed, **start) for seed in range(options.restarts))
    return min(error(layers, matrix) for _, layers, _ in attempts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=64, help="a power of two (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--restarts", type=int, default=3, help="default: %(default)s")
    options = parser.parse_args()
    n = options.width
    print(f"N = {n}: {kernels.ldl_n_parameters(n) - n:,} weights and scales a butterfly, {n * n:,} entries a matrix\n")
    print(f"{'relative error of':<50}{'at least':>10}{'built':>10}{'learned':>10}{'two':>10}{'Hadamard':>10}")
    for name, matrix in transforms(n, np.random.default_rng(0)).items():
        if np.iscomplexobj(matrix):
            found = ["wants", "complex", "weights", ""]
        else:
            found = [error([built(matrix * 1.0)], matrix), *(learned(matrix, options, **start) for start in STARTS)]
            found = [f"{value:.1e}" for value in found]
        print(f"{name:<50}{bound(matrix):>10.1e}" + "".join(f"{value:>10}" for value in found), flush=True)


if __name__ == "__main__":
    main()
