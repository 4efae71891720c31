"""What the benchmark scripts share."""

import time

import numba

from ldlrpp.kernels.cpu import vectors


def best(function, repeats=15, seconds=0.5):
    """Shortest time of a call, in seconds; long calls are repeated less often."""
    function()
    times = []
    while len(times) < repeats and (len(times) < 3 or sum(times) < seconds * repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


@numba.njit
def multiply_adds(array, n):
    """``12 n`` independent multiply-adds of vectors."""
    a = vectors.load(array, 0)
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = s8 = s9 = s10 = s11 = vectors.zeros(array)
    for _ in range(n):
        s0, s1, s2 = vectors.multiply_add(s0, a, a), vectors.multiply_add(s1, a, a), vectors.multiply_add(s2, a, a)
        s3, s4, s5 = vectors.multiply_add(s3, a, a), vectors.multiply_add(s4, a, a), vectors.multiply_add(s5, a, a)
        s6, s7, s8 = vectors.multiply_add(s6, a, a), vectors.multiply_add(s7, a, a), vectors.multiply_add(s8, a, a)
        s9, s10, s11 = vectors.multiply_add(s9, a, a), vectors.multiply_add(s10, a, a), vectors.multiply_add(s11, a, a)
    total = vectors.add(
        vectors.add(vectors.add(s0, s1), vectors.add(s2, s3)), vectors.add(vectors.add(s4, s5), vectors.add(s6, s7))
    )
    vectors.store(array, 0, vectors.add(total, vectors.add(vectors.add(s8, s9), vectors.add(s10, s11))))
