"""Activations of hidden layers, in place, and their derivatives as functions of the output."""

#: name -> what `elementwise` applies to z in place, and what multiplies a gradient by the derivative, None for nothing;
#: layers apply a relu in their own pass
ACTIVATIONS = {
    "identity": (None, None),
    "relu": (None, "relu_backward"),
    "tanh": ("tanh", "tanh_backward"),
    "logistic": ("logistic", "logistic_backward"),
}


def activate(name, z, kernels):
    """Apply an activation to ``z`` in place, but for what layers have applied."""
    function, _ = ACTIVATIONS[name]
    if function is not None:
        getattr(kernels.elementwise, function)(z)


def differentiate(name, grad, y, kernels):
    """Multiply a gradient in place by the derivative where the activation's output is ``y``."""
    _, function = ACTIVATIONS[name]
    if function is not None:
        getattr(kernels.elementwise, function)(grad, y)
