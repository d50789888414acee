"""Independent parts of a computation on as many threads as NumPy's BLAS may take.

Each part is computed by one thread, its matrix products included. So neither who computes a part
nor how many there are can change a bit of it. (BLAS's own threads share every product and wait,
spinning, for the next: they leave the loops between two products to a single core.)
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import prod
from threading import RLock, local
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fdref.arrays import Array

Part = TypeVar("Part")


def each(work: Callable[[Part], None], parts: Iterable[Part]) -> None:
    """Do the work on every part; after an error those that nobody has begun are left out."""
    waiting = deque(parts)
    with _one_at_a_time:
        threads = _limit_blas()
        try:
            helpers = min(threads, len(waiting)) - 1
            if helpers > 0:
                _share(work, waiting, helpers, threads - 1)
            else:
                _take_turns(work, waiting)
        finally:
            _free_blas(threads)


def _share(work: Callable[[Part], None], waiting: deque[Part], helpers: int, most: int) -> None:
    def help_out() -> None:
        threads = _limit_blas()
        try:
            _take_turns(work, waiting)
        finally:
            _free_blas(threads)

    helping = [_pool(most).submit(help_out) for _ in range(helpers)]
    try:
        _take_turns(work, waiting)
    finally:
        waiting.clear()
        for helper in helping:
            helper.result()


def _take_turns(work: Callable[[Part], None], waiting: deque[Part]) -> None:
    while waiting:
        try:
            part = waiting.popleft()
        except IndexError:  # somebody else was quicker
            return
        work(part)


def scratch(purpose: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an array of this thread's own, filled with anything, until it asks for the next.

    Memory fresh from the system is cleared page by page, which takes longer than most products.
    """
    size = prod(shape) * dtype.itemsize
    kept: dict[str, Any] = _scratch.__dict__
    if purpose not in kept or kept[purpose].nbytes < size:
        kept[purpose] = np.empty(size, np.uint8)
    array: Array = kept[purpose][:size].view(dtype).reshape(shape)
    return array


_scratch = local()

_one_at_a_time = RLock()
"""Whoever else computed meanwhile would find BLAS limited, and might free it too early."""


def _limit_blas() -> int:
    """Keep BLAS to one thread, four times as soon as `threadpool_limits`; return how many it had.

    The limit is the calling thread's own where BLAS is built on OpenMP, and everybody's elsewhere;
    there nobody but the first who sets it can set it, until that one lets go.
    """
    library = blas()
    before: int = 1 if library is None else library.num_threads
    if before > 1:
        library.set_num_threads(1)
    return before


def _free_blas(threads: int) -> None:
    library = blas()
    if threads > 1:
        library.set_num_threads(threads)
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread()


@cache
def blas() -> Any:
    """Return what controls the threads of NumPy's BLAS, if anything does."""
    from threadpoolctl import ThreadpoolController  # noqa: PLC0415 - only where it is used

    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return found[0] if found else None


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="fdref")


def _start_anew() -> None:
    """In a forked child, where no thread of the parent's goes on."""
    global _one_at_a_time  # noqa: PLW0603
    _one_at_a_time = RLock()
    _pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
