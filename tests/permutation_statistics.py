"""Statistics that tell permutations from random ones.

Every function takes columns (number of columns, m). Those that end in deviation return about normal numbers for
random permutations: how many standard deviations the statistic lies from what it should be.
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
