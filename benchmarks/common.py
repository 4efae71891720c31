"""What the benchmark scripts share."""

import importlib.util
import time
from pathlib import Path

_DEMO = Path(__file__).resolve().parents[1] / "examples" / "fashion_mnist_rpp.py"


def best(function, repeats=15, seconds=0.5):
    """Shortest time of a call, in seconds; long calls are repeated less often."""
    function()
    times = []
    while len(times) < repeats and (len(times) < 3 or sum(times) < seconds * repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def load(file):
    """Name, X_train, y_train, X_test, y_test of a file that the demo takes with --data, as the demo has them."""
    spec = importlib.util.spec_from_file_location("demo", _DEMO)
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    return demo.load(file)
