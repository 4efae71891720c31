"""What the benchmarks share: the cases of a profile, random numbers, threads.

The environment variable LDLRPP_BENCH is the profile: 'fast' for a look, 'regular' for releases, 'large' for what takes
long. Cases are parameters, so that a case is the same one in every profile. asv repeats a ``setup`` before every call,
which would make calls of microseconds cold ones: what kernels work on is prepared once for a process, by functions with
a cache, and asv calls as often as fills 10 ms.
"""

import math
import os
import subprocess
import sys

import numba
import numpy as np

PROFILES = "fast", "regular", "large"
PROFILE = os.environ.get("LDLRPP_BENCH", "regular")
if PROFILE not in PROFILES:
    raise ValueError(f"LDLRPP_BENCH must be one of {', '.join(PROFILES)}, got {PROFILE!r}")


def of_profile(fast, regular, large):
    """The cases of the profile."""
    return dict(zip(PROFILES, (fast, regular, large), strict=True))[PROFILE]


def random(*shape, dtype="float32"):
    """Random numbers, at most 2^22 of them drawn."""
    size = int(np.prod(shape))
    drawn = np.random.default_rng(0).standard_normal(min(size, 2**22), dtype="float32")
    return np.resize(drawn, shape).astype(dtype, copy=False)


def use_threads(threads):
    """Have Numba's kernels take one thread of this process, or all."""
    numba.set_num_threads(1 if threads == "one" else numba.config.NUMBA_NUM_THREADS)


def exponent(widths, seconds):
    """The slope of log(seconds) against log(N·log2 N): the same for every commit, whatever the package has."""
    work = [math.log(width * math.log2(width)) for width in widths]
    return float(np.polyfit(work, np.log(seconds), 1)[0])


def megabytes(prepare, measured):
    """What a fresh process grows by at its peak in ``measured``, after ``prepare`` has imported and compiled: Linux."""
    if not os.path.exists("/proc/self/clear_refs"):
        raise NotImplementedError("peaks of memory are reset by Linux alone")  # asv's word for what is skipped
    code = f"""
def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
{prepare}
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = peak()
{measured}
print((peak() - before) * 1024 / 1e6)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])
