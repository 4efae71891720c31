"""What a user waits for first: the import, and the first fit with compiled kernels and without."""

import os
import subprocess
import sys
import tempfile
import time

from .common import of_profile

FIT = """
import warnings; warnings.simplefilter("ignore")
import logging; logging.disable()
import numpy as np
from ldlrpp import {model}
{model}(({width},), max_iter=1).fit(np.zeros((400, 64), np.float32), np.arange(400) % 2)
"""


def seconds(code, **environment):
    """Seconds that a Python process takes to run the code."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **environment})
    return time.perf_counter() - start


class Startup:
    unit = "s"
    timeout = 600

    def track_import(self):
        return min(seconds("import ldlrpp") for _ in range(3)) - min(seconds("pass") for _ in range(3))

    track_import.unit = unit


class FirstFit:
    params = of_profile(["LDLClassifier"], ["LDLClassifier", "RPPClassifier"], ["LDLClassifier", "RPPClassifier"])
    param_names = ("model",)
    unit = "s"
    timeout = 600

    def setup_cache(self):
        """Seconds with an empty cache, and with what that run has left there."""
        found = {}
        for model in self.params:
            with tempfile.TemporaryDirectory() as folder:
                code = FIT.format(model=model, width=1024)
                found[model] = [seconds(code, NUMBA_CACHE_DIR=folder) for _ in range(2)]
        return found

    setup_cache.timeout = 600

    def track_cold(self, found, model):
        return found[model][0]

    def track_warm(self, found, model):
        return found[model][1]
