"""What the benchmark scripts take from the examples: data as the demo has them, numbers of parameters, signals."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples"))

from fashion_mnist_rpp import load, n_parameters
from long_signals import signals
from rpp_memory import dense_width

__all__ = ["dense_width", "load", "n_parameters", "signals"]
