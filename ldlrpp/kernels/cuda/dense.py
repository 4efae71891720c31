"""A dense layer on the GPU: cuBLAS's products, and a pass for the bias and relu."""

from ldlrpp.kernels.cuda.blas import gemm
from ldlrpp.kernels.cuda.columns import add_bias, column_sums


def forward(x, weights, bias, relu, out):
    """``out = x @ weights.T + bias``, perhaps its relu; x (batch, n_inputs), bias (n_outputs,)."""
    gemm(x, weights.T, out)
    add_bias(out, bias, relu)


def backward(grad_y, x, weights, wants_grad_x, grad_x, grad_weights, grad_bias):
    """Overwrite the gradients, that of ``x`` only where it is wanted; shapes are those of `forward`."""
    gemm(grad_y.T, x, grad_weights)
    if wants_grad_x:
        gemm(grad_y, weights, grad_x)
    column_sums(grad_y, grad_bias)
