"""Activations of hidden layers, in place, and their derivatives as functions of the output."""

import numpy as np
from scipy.special import expit

from ldlrpp.kernels.cpu.elementwise import relu_backward


def _identity(z):
    pass


def _tanh(z):
    np.tanh(z, out=z)


def _logistic(z):
    expit(z, out=z)


def _identity_backward(grad, y):
    pass


def _tanh_backward(grad, y):
    grad *= 1 - y * y


def _logistic_backward(grad, y):
    grad *= y * (1 - y)


#: name -> (apply to z in place, multiply a gradient by the derivative in place); layers apply a relu in their own pass
ACTIVATIONS = {
    "identity": (_identity, _identity_backward),
    "relu": (_identity, relu_backward),
    "tanh": (_tanh, _tanh_backward),
    "logistic": (_logistic, _logistic_backward),
}
