"""For those who call kernels from NumPy: a butterfly learns the Walsh-Hadamard transform from examples of it.

The transform of width N is a matrix of N² signs, and also a product of log2 N butterflies, which is what an LDL layer
is. Shown inputs and outputs alone, gradient descent finds the butterflies: the only parts are `ldl_init`,
`ldl_forward`, `ldl_backward` and a few lines of Adam. The picture shows the matrix before and after.

Usage: python examples/kernels_from_numpy.py [--width 64] [--steps 600] [--output kernels_from_numpy.png]
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.linalg import hadamard

from ldlrpp import kernels


def learn(target, steps, seed=0, batch=256, learning_rate=0.02, n_layers=1, init="orthogonal"):
    """The layers' parameters before and after, and the mean squared error at every step."""
    rng = np.random.default_rng(seed)
    layers = [kernels.ldl_init(len(target), init=init, random_state=rng) for _ in range(n_layers)]
    first = [[array.copy() for array in layer] for layer in layers]
    parameters = [array for layer in layers for array in layer]
    means, squares = ([np.zeros_like(array) for array in parameters] for _ in range(2))
    errors = []
    for step in range(1, steps + 1):
        inputs = [rng.standard_normal((batch, len(target)), dtype=np.float32)]
        for weights, scale, bias in layers:
            inputs.append(kernels.ldl_forward(inputs[-1], weights, scale, bias))
        difference = inputs.pop() - inputs[0] @ target
        errors.append(float(np.mean(difference**2)))
        gradient, gradients = 2 / difference.size * difference, []
        for (weights, scale, _), x in zip(reversed(layers), reversed(inputs), strict=True):
            gradient, *of_layer = kernels.ldl_backward(gradient, x, weights, scale)
            gradients = of_layer + gradients
        rate = learning_rate * (1 + np.cos(np.pi * step / steps)) / 2
        for array, gradient, mean, square in zip(parameters, gradients, means, squares, strict=True):
            mean += 0.1 * (gradient - mean)
            square += 0.01 * (gradient**2 - square)
            array -= rate * mean / (np.sqrt(square) + 1e-8)
    return first, layers, errors


def draw(target, first, last, errors, path):
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
    for ax, ((weights, scale, _),), title in zip(axes, (first, last), ("before", "after"), strict=False):
        ax.imshow(kernels.ldl_dense(weights, scale), cmap="RdBu", vmin=-0.3, vmax=0.3, interpolation="nearest")
        ax.set_title(f"the layer as a matrix, {title}")
    axes[2].imshow(target, cmap="RdBu", vmin=-0.3, vmax=0.3, interpolation="nearest")
    axes[2].set_title("Walsh-Hadamard")
    for ax in axes[:3]:
        ax.set(xticks=[], yticks=[])
    axes[3].semilogy(errors, color="#0072b2")
    axes[3].set(xlabel="step", title="mean squared error")
    axes[3].grid(alpha=0.3)
    axes[3].spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=64, help="a power of two")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--output", type=Path, default=Path("kernels_from_numpy.png"))
    options = parser.parse_args()
    target = (hadamard(options.width) / np.sqrt(options.width)).astype(np.float32)
    first, last, errors = learn(target, options.steps)
    n_weights = kernels.ldl_n_parameters(options.width)
    print(f"{n_weights} parameters for a matrix of {target.size}")
    for step in sorted({1, options.steps // 4, options.steps // 2, options.steps}):
        print(f"step {step:>5}: mean squared error {errors[step - 1]:.1e}")
    draw(target, first, last, errors, options.output)
    print(f"The picture is in {options.output}")


if __name__ == "__main__":
    main()
