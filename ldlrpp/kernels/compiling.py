"""How kernels are compiled: once, kept on disk where a folder can be written, and with a word to the user."""

import functools
import logging

import numba
from numba.core import event

_logger = logging.getLogger("ldlrpp")


@functools.cache
def _warn_of_no_cache():
    _logger.warning(
        "Compiled kernels cannot be kept, as no folder for them can be written: every process compiles its own. "
        "The environment variable NUMBA_CACHE_DIR names another folder."
    )


def njit(*, cache, **options):
    """Numba's ``njit``, which raises with ``cache=True`` where no folder can be written: without a cache there."""

    def decorate(function):
        try:
            return numba.njit(cache=cache, **options)(function)
        except RuntimeError as error:
            if "cannot cache function" not in str(error):
                raise
            _warn_of_no_cache()
            return numba.njit(**options)(function)

    return decorate


class _Announcement(event.Listener):
    """Tells, once, that the package's kernels are being compiled."""

    told = False

    def on_start(self, event):
        if not self.told and event.data["dispatcher"].py_func.__module__.startswith("ldlrpp."):
            self.told = True
            _logger.warning(
                "Compiling kernels, once for this machine: some 10 s for LDL, as much for RPP, and again for another "
                "dtype. ldlrpp.warmup() does it ahead."
            )

    def on_end(self, event):
        pass


event.register("numba:compile", _Announcement())
