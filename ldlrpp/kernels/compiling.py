"""How kernels are compiled: once, kept on disk where a folder can be written, and with a word to the user."""

import functools
import logging
from pathlib import Path

import numba
from numba.core import caching, event
from numba.core.ccallback import CFunc

_logger = logging.getLogger("ldlrpp")
_said = set()


def _say_once(message):
    if message not in _said:
        _said.add(message)
        _logger.warning(message)


@functools.cache
def _sources(machine):
    """What the sources of a machine's kernels are, for any of them may contain, or call, any other."""
    here = Path(__file__).parent
    stats = [file.stat() for folder in (here, here / machine) for file in sorted(folder.glob("*.py"))]
    return tuple((stat.st_mtime_ns, stat.st_size) for stat in stats)


@functools.cache
def _watching(cache, machine):
    """A kind of Numba's caches, which ask whether the file of a function has changed, but not those of what it calls.

    A kernel compiled before a pass changed would call the newer one with the arguments of the older.
    """

    class Cache(cache):
        def _index_key(self, sig, codegen):
            return *super()._index_key(sig, codegen), _sources(machine)

    return Cache


def kept(function, cache=caching.FunctionCache, machine="cpu"):
    """A cache on disk, of a kind of Numba's, None where no folder for one can be written."""
    try:
        return _watching(cache, machine)(function)
    except RuntimeError as error:
        if "cannot cache function" not in str(error):
            raise
        _say_once(
            "Compiled kernels cannot be kept, as no folder for them can be written: every process compiles its "
            "own. The environment variable NUMBA_CACHE_DIR names another folder."
        )
        return None


def njit(*, cache, **options):
    """Numba's ``njit`` with a cache, or without one where no folder can be written: Numba's raises there."""

    def decorate(function):
        dispatcher = numba.njit(**options)(function)
        if cache and (on_disk := kept(function)) is not None:
            dispatcher._cache = on_disk
        return dispatcher

    return decorate


#: Decorator of functions that are compiled into those that call them, and nowhere else.
helper = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
#: A `helper` that no call stays of: for small loops over parts of arrays, where a call takes 40 ns.
inlined = numba.njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)


class _CFunc(CFunc):
    def enable_caching(self):
        if (on_disk := kept(self._pyfunc)) is not None:
            self._cache = on_disk


def cfunc(signature, function):
    """Numba's ``cfunc``, cached like the kernels of `njit`."""
    compiled = _CFunc(function, numba.core.sigutils.normalize_signature(signature), locals={}, options={})
    compiled.enable_caching()
    compiled.compile()
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
