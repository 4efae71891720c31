"""LDL and RPP layers as functions of arrays: forward, backward, initial parameters and dense equivalents.

Arrays are NumPy's, or are all on an NVIDIA GPU, of any library that has DLPack or ``__cuda_array_interface__`` (CuPy,
Numba, PyTorch), where float16 and bfloat16 are taken as well and arithmetic of these is float32. Results are of the
library that the first array is of, on the same GPU. A GPU wants the extra ``cuda``; without what it brings, or without
a driver or a GPU, calls raise RuntimeError. Random numbers are drawn, and weights brought into other forms, on the CPU.
"""

from ldlrpp.kernels.cpu.threading_layer import choose as _choose_threads
from ldlrpp.kernels.ldl import ldl_backward, ldl_dense, ldl_forward
from ldlrpp.kernels.ldl_weights import ldl_from_butterfly, ldl_init, ldl_merge, ldl_n_parameters, ldl_to_butterfly
from ldlrpp.kernels.rpp import rpp_backward, rpp_expand, rpp_forward, rpp_init, rpp_permutation

_choose_threads()

__all__ = [
    "ldl_backward",
    "ldl_dense",
    "ldl_forward",
    "ldl_from_butterfly",
    "ldl_init",
    "ldl_merge",
    "ldl_n_parameters",
    "ldl_to_butterfly",
    "rpp_backward",
    "rpp_expand",
    "rpp_forward",
    "rpp_init",
    "rpp_permutation",
]
