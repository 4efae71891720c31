"""Activations of hidden layers, in place, and their derivatives as functions of the output."""

import numpy as np
from scipy.special import expit


def _identity(z):
    pass


def _relu(z):
    np.maximum(z, 0, out=z)


def _tanh(z):
    np.tanh(z, out=z)


def _logistic(z):
    expit(z, out=z)


def _identity_backward(grad, y):
    pass


def _relu_backward(grad, y):
    grad *= y > 0


def _tanh_backward(grad, y):
    grad *= 1 - y * y


def _logistic_backward(grad, y):
    grad *= y * (1 - y)


#: name -> (apply to z in place, multiply a gradient by the derivative in place)
ACTIVATIONS = {
    "identity": (_identity, _identity_backward),
    "relu": (_relu, _relu_backward),
    "tanh": (_tanh, _tanh_backward),
    "logistic": (_logistic, _logistic_backward),
}
