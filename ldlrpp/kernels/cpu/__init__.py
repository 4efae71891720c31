"""Kernels for processors, of NumPy arrays."""

from ldlrpp.kernels.cpu import dense, elementwise, ldl, losses, memory, permutations, rpp, threads, transfer

__all__ = ["dense", "elementwise", "ldl", "losses", "memory", "permutations", "rpp", "threads", "transfer"]
