"""Statistics that tell permutations from random ones, and signs from random ones.

Every function takes columns (number of columns, m), and signs, as many ±1. Those that end in deviation return about
normal numbers for random permutations and signs: how many standard deviations the statistic lies from what it should
be.
"""

import math

import numpy as np


def chi2_deviation(counts, expected, dof):
    return (np.sum((counts - expected) ** 2 / expected) - dof) / math.sqrt(2 * dof)


def steps_deviation(columns, distance):
    """χ² of the differences modulo m of entries some positions apart."""
    m = columns.shape[1]
    steps = (columns[:, distance:] - columns[:, :-distance]) % m
    counts = np.bincount(steps.ravel(), minlength=m)[1:]
    return chi2_deviation(counts, steps.size / (m - 1), m - 2)


def most_frequent_step(columns):
    """How often the most frequent step of a column occurs, averaged over columns."""
    m = columns.shape[1]
    return np.mean([np.bincount(steps, minlength=m).max() for steps in np.diff(columns, axis=1) % m])


def position_value_deviation(columns):
    """χ² of position × value in bins."""
    n_columns, m = columns.shape
    n_bins = 16
    bins = np.arange(m) * n_bins // m
    pairs = np.zeros((n_bins, n_bins))
    np.add.at(pairs, (np.broadcast_to(bins, columns.shape), bins[columns]), 1)
    sizes = np.bincount(bins).astype(float)
    expected = n_columns * np.outer(sizes, sizes) / m
    variance = n_columns * np.outer(sizes * (m - sizes), sizes * (m - sizes)) / (m * m * (m - 1))
    dof = (n_bins - 1) ** 2
    return (np.mean((pairs - expected) ** 2 / variance) - 1) * math.sqrt(dof / 2)


def poisson_deviations(counts):
    """Mean and variance of counts that should be Poisson with mean 1."""
    n = len(counts)
    return (counts.mean() - 1) * math.sqrt(n), (counts.var(ddof=1) - 1) * math.sqrt(n / 3)


def serial_deviation(columns):
    """Mean product of neighbours, which for a random permutation is −1/(m−1) of the variance."""
    n_columns, m = columns.shape
    z = (columns - (m - 1) / 2) / math.sqrt((m * m - 1) / 12)
    return (np.mean(z[:, 1:] * z[:, :-1]) + 1 / (m - 1)) * math.sqrt(n_columns * m)


def correlation_deviation(columns, others):
    """Mean rank correlation of pairs of columns, which has variance 1/(m−1) for one pair."""
    n_columns, m = columns.shape
    z, w = columns - (m - 1) / 2, others - (m - 1) / 2
    return np.mean(np.sum(z * w, axis=1)) / (m * (m * m - 1) / 12) * math.sqrt(n_columns * (m - 1))


# --- Signs -----------------------------------------------------------------------------------------------------------


def by_value(columns, signs):
    """The signs in the order of the values that they belong to."""
    ordered = np.empty_like(signs)
    np.put_along_axis(ordered, columns, signs, axis=1)
    return ordered


def mean_deviation(signs):
    """Their mean; of products of two sets of them, how these are correlated."""
    return signs.mean() * math.sqrt(signs.size)


def sum_deviation(signs):
    """Mean square of the columns' sums."""
    n_columns, m = signs.shape
    return (np.mean(signs.sum(axis=1) ** 2 / m) - 1) * math.sqrt(n_columns / (2 - 2 / m))


def neighbour_deviation(signs, distance):
    """Mean product of signs some positions apart."""
    return mean_deviation(signs[:, distance:] * signs[:, :-distance])


def rectangle_deviation(signs, b):
    """Mean square of the products of rows of b positions with each other, summed: of every column by itself.

    What repeats from row to row raises it, and so does what is a sign of the row times a sign of the place in it, even
    where every column has a pattern of its own.
    """
    rows = signs[:, : signs.shape[1] // b * b].reshape(len(signs), -1, b)
    n_columns, a, _ = rows.shape
    squares = np.sum((rows @ rows.transpose(0, 2, 1)) ** 2.0, axis=(1, 2)) - a * b**2
    n_pairs = n_columns * a * (a - 1) / 2
    return (squares.sum() / 2 - n_pairs * b) / math.sqrt(n_pairs * 2 * b * (b - 1))


def spectrum_deviation(signs):
    """Mean fourth power of the columns' Fourier coefficients: what has a period has few large ones."""
    m = signs.shape[1]
    powers = np.abs(np.fft.rfft(signs, axis=1)[:, 1 : (m + 1) // 2]) ** 4 / (m * (m - 1))
    return (powers.mean() - 2) * math.sqrt(powers.size / 20)


def linear_deviation(columns, signs):
    """Mean square of the correlation of a column's signs with its values."""
    n_columns, m = columns.shape
    z = (columns - (m - 1) / 2) / math.sqrt((m * m - 1) / 12)
    return (np.mean(np.sum(z * signs, axis=1) ** 2 / m) - 1) * math.sqrt(n_columns / 2)


def sign_value_deviation(columns, signs):
    """χ² of the signs in bins of position × value."""
    n_bins, m = 16, columns.shape[1]
    bins = np.arange(m) * n_bins // m
    sums, counts = np.zeros((n_bins, n_bins)), np.zeros((n_bins, n_bins))
    cells = np.broadcast_to(bins, columns.shape), bins[columns]
    np.add.at(sums, cells, signs)
    np.add.at(counts, cells, 1)
    return (np.mean(sums**2 / counts) - 1) * math.sqrt(n_bins**2 / 2)


def step_deviation(columns, signs):
    """Correlation of a product of neighbours' signs with whether the permutation rises there."""
    return mean_deviation(signs[:, 1:] * signs[:, :-1] * np.sign(np.diff(columns, axis=1)))


def sign_deviations(columns, signs, b):
    """All of them, by names for a table; ``b`` is the length of a row of the network's positions."""
    ordered, places = by_value(columns, signs), np.broadcast_to(np.arange(columns.shape[1]), columns.shape)
    return {
        "mean": mean_deviation(signs),
        "sums": sum_deviation(signs),
        **{f"next, {name}": neighbour_deviation(signs, d) for name, d in (("1", 1), ("2", 2), ("b", b))},
        **{f"value, {name}": neighbour_deviation(ordered, d) for name, d in (("1", 1), ("2", 2), ("b", b))},
        "rows": rectangle_deviation(signs, b),
        "value rows": rectangle_deviation(ordered, b),
        "spectrum": spectrum_deviation(signs),
        "value sp.": spectrum_deviation(ordered),
        "~ position": linear_deviation(places, signs),
        "~ value": linear_deviation(columns, signs),
        "pos × value": sign_value_deviation(columns, signs),
        "~ steps": step_deviation(columns, signs),
    }
