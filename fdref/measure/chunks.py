"""Many images, a chunk at a time: cut, computed here or by an executor, and returned in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar, cast

import numpy as np

from fdref.arguments import shown
from fdref.arrays import Array, real_array
from fdref.errors import ArgumentError, FdrefError
from fdref.measure.sending import Sent

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Result = TypeVar("Result")

Images: TypeAlias = "ArrayLike | Iterable[ArrayLike]"
"""An array of images, or arrays of images one after another, each of any number of them."""

SIZE = 100
"""Images at a time, few enough for the caches.

Products of other sizes may round otherwise. So however the images come, they are cut into these.
"""

WINDOWS = 2
"""Calls of an executor's `map` under way: while one is waited for, the next keeps workers busy."""


class Chunk(NamedTuple):
    """Some images, and the number of the first among all of them."""

    first: int
    images: Array


class Executor(Protocol):
    """What computes elsewhere: `concurrent.futures`', loky's, Dask's, mpi4py's, or a pool."""

    def map(
        self, function: Callable[[Chunk], Result], chunks: Iterable[Chunk], /
    ) -> Iterable[Result]:
        """Return the results in the order of the chunks; now or when they are asked for."""


def over_chunks(
    function: Callable[[Chunk], Result],
    images: Images,
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
) -> Iterator[Result]:
    """Compute something of every chunk of images, and yield the results in order.

    Parameters
    ----------
    function : callable
        Takes a chunk. For processes it and what it returns can be pickled.
    images : array, or iterable of arrays
        With the images along the first axis. Of what is iterated over no more is held than a few
        chunks for each CPU.
    progress : callable, optional
        Called after each chunk, in order, with the number of its images.
    executor : optional
        Here by default.

    Raises
    ------
    ArgumentError
        If there are no images, they are no arrays of numbers, or of different sizes.
    FdrefError
        If a worker of the executor has died.
    """
    chunks = cut(images)
    results = _here(function, chunks) if executor is None else _there(function, chunks, executor)
    count = 0
    for chunk, result in results:
        count += len(chunk.images)
        if progress is not None:
            progress(len(chunk.images))
        yield result
    if not count:
        raise ArgumentError("there are no images; expected at least one")


def check_executor(executor: object) -> None:
    """Raise ArgumentError unless something has a `map`, or is None."""
    if executor is None or (
        callable(getattr(executor, "map", None)) and not isinstance(executor, type)
    ):
        return
    raise ArgumentError(
        f"executor is {shown(executor)}; expected an object with a method `map`, such as "
        "concurrent.futures.ProcessPoolExecutor(), or None"
    )


def read_images(images: Images) -> Array | Iterable[ArrayLike]:
    """Read an array of images; what is iterated over, each item an array, stays what it is."""
    if (
        isinstance(images, Iterable)
        and not isinstance(images, Sequence)
        and not hasattr(images, "__array__")
    ):
        return images
    array = real_array(cast("ArrayLike", images), "images")
    if not array.ndim:
        raise ArgumentError(
            f"images are {shown(array.item())}; expected an array of them, or an iterator over "
            "such arrays"
        )
    return array


def cut(images: Images) -> Iterator[Chunk]:
    """Cut images into chunks of one size, the last of them smaller, wherever their arrays end."""
    waiting: list[Array] = []  # of the next chunk
    first = 0
    for array in _arrays(images):
        start = 0
        while start < len(array):
            stop = start + SIZE - sum(map(len, waiting))
            waiting.append(array[start:stop])
            start = stop
            if sum(map(len, waiting)) == SIZE:
                yield Chunk(first, _joined(waiting))
                first, waiting = first + SIZE, []
    if waiting:
        yield Chunk(first, _joined(waiting))


def _joined(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _arrays(images: Images) -> Iterator[Array]:
    """Read array after array, all of the same size of image."""
    read = read_images(images)
    if isinstance(read, np.ndarray):
        yield read
        return
    first, size = 0, None
    for item in read:
        # A copy: who makes the items may overwrite one with the next.
        array = np.array(real_array(item, "images"), ndmin=1)
        if size not in (None, array.shape[1:]):
            raise ArgumentError(
                f"image {first} has shape {array.shape[1:]}; expected {size}, as those before it"
            )
        first, size = first + len(array), array.shape[1:]
        yield array


def _here(
    function: Callable[[Chunk], Result], chunks: Iterator[Chunk]
) -> Iterator[tuple[Chunk, Result]]:
    for chunk in chunks:
        yield chunk, function(chunk)


def _there(
    function: Callable[[Chunk], Result], chunks: Iterator[Chunk], executor: Executor
) -> Iterator[tuple[Chunk, Result]]:
    """Have chunks computed by an executor, a window of them at a time.

    An executor's `map` may take all that it is given at once, and may return no sooner than all is
    done. So it is given a few chunks, as many as this computer has CPUs.
    """
    sent = Sent(_Numbered(function))
    under_way: deque[tuple[list[Chunk], Iterator[object]]] = deque()
    send = sent.whole  # at first: nobody knows the function
    while (window := list(islice(chunks, os.cpu_count() or 1))) or under_way:
        if window:
            with _workers(window):
                under_way.append((window, iter(executor.map(send, window))))
            send = sent.by_name
            if len(under_way) < WINDOWS:
                continue
        window, results = under_way.popleft()
        for chunk in window:
            with _workers([chunk]):
                done = next(results, None)
                if done is None:  # a worker that has not been sent the function yet
                    done = next(iter(executor.map(sent.whole, [chunk])), None)
            if not isinstance(done, _Done) or done.first != chunk.first:
                raise ArgumentError(
                    f"the executor's map returned {shown(done)} for images from {chunk.first} on; "
                    "expected what the function returns, in the order of the chunks; of Dask's "
                    "client, pass .get_executor()"
                )
            yield chunk, done.result


class _Done(NamedTuple):
    """A result, and the first image's number of the chunk that it is of."""

    first: int
    result: Any


@dataclass(frozen=True, eq=False)
class _Numbered:
    """Tells of which chunk a result is."""

    function: Callable[[Chunk], Any]

    def __call__(self, chunk: Chunk) -> _Done:
        return _Done(chunk.first, self.function(chunk))


@contextmanager
def _workers(chunks: Sequence[Chunk]) -> Iterator[None]:
    """Say what to do about workers that have died, which executors do not."""
    try:
        yield
    except BrokenExecutor as error:
        last = chunks[-1]
        raise FdrefError(
            f"a worker of the executor died before images {chunks[0].first} to "
            f"{last.first + len(last.images) - 1} were done ({type(error).__name__}); expected "
            "workers that live: give it fewer, so that each has more memory; a script that starts "
            'processes does so below `if __name__ == "__main__":`'
        ) from error
