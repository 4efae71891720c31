"""How kernels are compiled: once, kept on disk where a folder can be written, and with a word to the user."""

import functools
import logging

import numba
from numba.core import event

_logger = logging.getLogger("ldlrpp")
_said = set()


def _say_once(message):
    if message not in _said:
        _said.add(message)
        _logger.warning(message)


def _with_cache(decorator, function, options):
    """``decorator(cache=True, **options)(function)``, without a cache where no folder for one can be written."""
    try:
        return decorator(cache=True, **options)(function)
    except RuntimeError as error:
        if "cannot cache function" not in str(error):
            raise
        _say_once(
            "Compiled kernels cannot be kept, as no folder for them can be written: every process compiles its "
            "own. The environment variable NUMBA_CACHE_DIR names another folder."
        )
        return decorator(**options)(function)


def njit(*, cache, **options):
    """Numba's ``njit``, which raises with ``cache=True`` where no folder can be written: without a cache there."""
    return lambda function: _with_cache(numba.njit, function, options)


#: Decorator of functions that are compiled into those that call them, and nowhere else.
helper = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)


def cfunc(signature, function):
    """Numba's ``cfunc``, cached like the kernels of `njit`."""
    compiled = _with_cache(functools.partial(numba.cfunc, signature), function, {})
    if not compiled.cache_hits:
        _announce()
    return compiled


def _announce():
    if not _said:
        _say_once(
            "Compiling kernels, once for this machine: some 10 s for LDL, as long for RPP, and again for another "
            "dtype. ldlrpp.warmup() does it ahead."
        )


class _Announcement(event.Listener):
    """Tells, once, that the package's kernels are being compiled."""

    def on_start(self, event):
        # a function made by exec may have no module
        if (event.data["dispatcher"].py_func.__module__ or "").startswith("ldlrpp."):
            _announce()

    def on_end(self, event):
        pass


event.register("numba:compile", _Announcement())
