"""The O(N log N) law as a number: the slope of log(seconds a row) against log(N·log2 N).

The widths are the same in every profile, and such that work is what takes the time: below 2^10 copying rows takes as
long as mixing them, and above 2^16 weights, 2·N·log2 N numbers, leave the second cache of a core.
"""

from timeit import repeat

import numpy as np

from ldlrpp import kernels

from .common import exponent, random

LDL_WIDTHS = [2**k for k in range(10, 17)]
DENSE_WIDTHS = [2**k for k in range(9, 13)]
_LDL_NUMBERS, _DENSE_ROWS = 2**21, 256


class Exponent:
    """About 1 for butterflies, and for dense layers some 1.75: N² itself has 1.76 from 512 to 4096."""

    params = ("LDL forward", "LDL backward", "dense forward")
    param_names = ("layer",)
    unit = "exponent"
    version = "1"
    timeout = 600

    def track_exponent(self, layer):
        widths = DENSE_WIDTHS if layer.startswith("dense") else LDL_WIDTHS
        return exponent(widths, [_seconds_a_row(layer, width) for width in widths])


def _seconds_a_row(layer, width):
    batch = _DENSE_ROWS if layer.startswith("dense") else _LDL_NUMBERS // width
    x = random(batch, width)
    out = np.empty_like(x)
    if layer.startswith("dense"):
        matrix = random(width, width)

        def call():
            np.matmul(x, matrix, out=out)
    else:
        weights, scale, bias = kernels.ldl_init(width, radix=4, random_state=0)

        def call():
            if layer == "LDL forward":
                kernels.ldl_forward(x, weights, scale, bias, out=out)
            else:
                kernels.ldl_backward(x, x, weights, scale)

    call()
    return min(repeat(call, number=3, repeat=7)) / 3 / batch
