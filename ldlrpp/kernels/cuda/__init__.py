"""Kernels for NVIDIA's GPUs, of CuPy arrays: modules, functions and signatures are those of `ldlrpp.kernels.cpu`."""

from ldlrpp.kernels.cuda import elementwise, ldl, losses, memory, threads

__all__ = ["elementwise", "ldl", "losses", "memory", "threads"]
