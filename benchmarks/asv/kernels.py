"""Times of the four kernels over their widths, batch 256, float32; a dense product beside them."""

import numpy as np

from ldlrpp import kernels

BATCH = 256


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


class LDL:
    """O(N log N): the time should double, and a little more, with the width."""

    params = (64, 256, 1024, 4096, 16384)
    param_names = ("width",)

    def setup(self, width):
        self.x, self.grad_y = random(BATCH, width), random(BATCH, width)
        self.weights, self.scale, self.bias = kernels.ldl_init(width, random_state=0)
        # compile
        self.time_forward(width)
        self.time_backward(width)

    def time_forward(self, width):
        kernels.ldl_forward(self.x, self.weights, self.scale, self.bias)

    def time_backward(self, width):
        kernels.ldl_backward(self.grad_y, self.x, self.weights, self.scale)


class RPP:
    """784 inputs, 10 columns, as wide as 10 times the number of permutations."""

    params = (1, 10, 100, 400)
    param_names = ("n_permutations",)

    def setup(self, n_permutations):
        self.x, self.grad_y = random(BATCH, 784), random(BATCH, 10 * n_permutations)
        self.hidden = kernels.rpp_init(784, 10, random_state=0)
        self.time_forward(n_permutations)
        self.time_backward(n_permutations)

    def time_forward(self, n_permutations):
        kernels.rpp_forward(self.x, self.hidden, n_permutations, 0)

    def time_backward(self, n_permutations):
        kernels.rpp_backward(self.grad_y, self.x, self.hidden, n_permutations, 0)


class Dense:
    """O(N²): what both are compared with."""

    params = (64, 256, 1024, 4096)
    param_names = ("width",)

    def setup(self, width):
        self.x, self.weights = random(BATCH, width), random(width, width)

    def time_forward(self, width):
        self.x @ self.weights
