"""LDL and RPP layers as functions of NumPy arrays: forward, backward, initial parameters and dense equivalents."""

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
