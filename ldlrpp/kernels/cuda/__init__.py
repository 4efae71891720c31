"""Kernels for NVIDIA's GPUs, of CuPy arrays: modules, functions and signatures are those of `ldlrpp.kernels.cpu`."""

from ldlrpp.kernels.cuda import dense, elementwise, ldl, losses, memory, rpp, threads, transfer

__all__ = ["dense", "elementwise", "ldl", "losses", "memory", "rpp", "threads", "transfer"]
