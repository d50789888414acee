"""How many threads NumPy's BLAS takes, and keeping it to one where we have several.

Parts of an operation are computed by our own threads (see `parallel`), each with its products.
Other BLAS libraries may be loaded, before or after: SciPy brings its own, and Numba loads SciPy.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

from fdref.engines import forking
from fdref.imports import imported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_switching = Lock()
"""Held for as long as it takes to change numbers of threads, so that no fork comes between."""

_before: list[int] | None = None
"""What `limit` has taken, until it is given back."""


def counts() -> list[int]:
    """Return how many threads each library takes, if this thread calls it."""
    return [library.num_threads or 1 for library in _libraries()]


def threads() -> int:
    """Return how many threads NumPy's BLAS takes; 1 if it does not let itself be asked."""
    return min(counts(), default=1)


def limit(before: list[int]) -> None:
    """Keep BLAS to one thread, until `free` gives back what it had before.

    The limit is the calling thread's own where BLAS is built on OpenMP, and everybody's elsewhere.
    """
    global _before  # noqa: PLW0603 - a fork must know it
    if max(before, default=1) > 1:
        with _switching:
            _before = before
            _set([1] * len(before))


def limit_this_thread() -> None:
    """Keep BLAS to one thread for this thread, too, if somebody has limited it."""
    with _switching:
        if _before is not None:
            _set([1] * len(_before))


def free(before: list[int]) -> None:
    """Give back what `limit` took."""
    global _before  # noqa: PLW0603
    if max(before, default=1) > 1:
        with _switching:
            _set(before)
            _let_others_set(_libraries())
            _before = None


@contextmanager
def others_limited() -> Iterator[None]:
    """Keep BLAS libraries that are not NumPy's, such as SciPy's own, to one thread meanwhile.

    Their threads wait for the next product spinning. Where that comes a thousand times a second,
    they take the processors from ours: L-BFGS-B's steps took up to thirty times as long.
    """
    with forking.importing:
        threadpoolctl = imported("threadpoolctl", "threads are limited with threadpoolctl")
        loaded = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
        others = [library for library in loaded if not _is_numpys(library)]
    before = [library.num_threads or 1 for library in others]
    try:
        _set([1] * len(others), others)
        yield
    finally:
        _set(before, others)
        _let_others_set(others)


def _set(numbers: Sequence[int], libraries: Sequence[Any] | None = None) -> None:
    """Set the number of threads of each library, by default of NumPy's.

    From version 3.7 on, threadpoolctl lets only the first thread that has set a number set another.
    That one need not be computing: it may be within `threadpool_limits`, and wait for us.
    """
    libraries = _libraries() if libraries is None else libraries
    for library, number in zip(libraries, numbers, strict=True):
        library.set_num_threads(number)
        if library.num_threads != number:
            _let_others_set(libraries)
            library.set_num_threads(number)


def _let_others_set(libraries: Sequence[Any]) -> None:
    for library in libraries:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


@cache
def _libraries() -> list[Any]:
    """Return what controls the threads of NumPy's BLAS, if anything does."""
    with forking.importing:
        threadpoolctl = imported("threadpoolctl", "threads are limited with threadpoolctl")
        loaded = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
        return [library for library in loaded if _is_numpys(library)]


def _is_numpys(library: Any) -> bool:
    """Return whether NumPy's products find a library's symbols.

    Among what is loaded before everything (LD_PRELOAD), or what NumPy is linked with. Windows looks
    a symbol up in one module only, not in those that it is linked with: there any may be NumPy's.
    """
    products = find_spec("numpy._core._multiarray_umath")
    if sys.platform == "win32" or products is None:
        return True
    # Libraries with the same symbol have it at different addresses: NumPy's is where NumPy sees it.
    return any(
        _address(ctypes.CDLL(scope), symbol) == _address(library.dynlib, symbol)
        for symbol in library.check_symbols
        if hasattr(library.dynlib, symbol)
        for scope in (None, products.origin)
    )


def _address(library: ctypes.CDLL, symbol: str) -> int | None:
    function = getattr(library, symbol, None)
    return None if function is None else ctypes.cast(function, ctypes.c_void_p).value


def _start_anew() -> None:
    """Free BLAS in a forked child: the thread that has limited it is not there to do so."""
    if _before is not None:
        free(_before)


forking.locks.append(_switching)
forking.in_child.append(_start_anew)
