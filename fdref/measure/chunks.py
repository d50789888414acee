"""Many images, a chunk at a time: cut, computed here or by an executor, and returned in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar, cast

import numpy as np

from fdref.arguments import shown
from fdref.arrays import Array, real_array
from fdref.errors import ArgumentError, FdrefError
from fdref.measure.sending import Sent

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from fdref.measure.abreast import Abreast

Result = TypeVar("Result")

Images: TypeAlias = "ArrayLike | Iterable[ArrayLike]"
"""An array of images, or arrays of images one after another, each of any number of them."""

SIZE = 100
"""Images at a time, few enough for the caches.

Products of other sizes may round otherwise. So however the images come, they are cut into these.
"""

TOGETHER = 5
"""Chunks that go to a worker of an executor together; Dask takes 2.7 ms for each that goes."""
LARGE = 2**23
"""Bytes of images that go together, unless a single chunk has more."""

WINDOWS = 2
"""Calls of an executor's `map` under way: while one is waited for, the next keeps workers busy."""
HELD = 2**32
"""Bytes of images under way, unless a single task has more."""


class Chunk(NamedTuple):
    """Some images, and the number of the first among all of them."""

    first: int
    images: Array


class Executor(Protocol):
    """What computes elsewhere: `concurrent.futures`', loky's, Dask's, mpi4py's, or a pool.

    What has a `width` says how many tasks it computes at a time, by default as many as there are
    CPUs here; what has `files` (see `Sent`) has workers that can read them; what has `teach` sends
    each worker the function itself.
    """

    def map(
        self, function: Callable[[Chunk], Result], chunks: Iterable[Chunk], /
    ) -> Iterable[Result]:
        """Return the results in the order of the chunks; now or when they are asked for."""


def over_chunks(
    function: Callable[[Chunk], Result],
    images: Images,
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
    size: int | None = None,
    first: int = 0,
    abreast: Abreast | None = None,
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
    size : int, optional
        Images of a chunk, if their number makes no difference; then each chunk goes by itself.
    first : int
        The number of the first image.
    abreast : Abreast, optional
        What computes several chunks at a time, here or on each worker; one after the other by
        default.

    Raises
    ------
    ArgumentError
        If there are no images, they are no arrays of numbers, or of different sizes.
    FdrefError
        If a worker of the executor has died.
    """
    if executor is None:
        results = _here(function, cut(images, size, first=first), abreast)
    else:
        tasks = cut(images, size, TOGETHER if size is None else 1, first)
        results = _there(_Each(function, size or SIZE, abreast), tasks, executor)
    count = 0
    for done, result in results:
        count += done
        if progress is not None:
            progress(done)
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


def cut(
    images: Images, size: int | None = None, together: int = 1, first: int = 0
) -> Iterator[Chunk]:
    """Cut images into chunks of one size, the last of them smaller, wherever their arrays end.

    Parameters
    ----------
    images : array, or iterable of arrays
    size : int, optional
        SIZE by default.
    together : int
        How many times as many a chunk has, as long as it is not LARGE.
    first : int
        The number of the first image.
    """
    waiting: list[Array] = []  # of the next chunk
    count = 0
    for array in _arrays(images, first):
        if not count:
            one = SIZE if size is None else size
            large = one * prod(array.shape[1:]) * array.dtype.itemsize
            count = one * max(1, min(together, LARGE // max(1, large)))
        start = 0
        while start < len(array):
            stop = start + count - sum(map(len, waiting))
            waiting.append(array[start:stop])
            start = stop
            if sum(map(len, waiting)) == count:
                yield Chunk(first, _joined(waiting))
                first, waiting = first + count, []
    if waiting:
        yield Chunk(first, _joined(waiting))


def _joined(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _arrays(images: Images, first: int) -> Iterator[Array]:
    """Read array after array, all of the same size of image, of which the first has a number."""
    read = read_images(images)
    if isinstance(read, np.ndarray):
        yield read
        return
    size = None
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
    function: Callable[[Chunk], Result], chunks: Iterator[Chunk], abreast: Abreast | None
) -> Iterator[tuple[int, Result]]:
    for chunk in chunks:
        some = [chunk]
        if abreast is not None:
            some += islice(chunks, abreast.width(chunk.images) - 1)
        results = map(function, some) if abreast is None else abreast.results(function, some)
        for own, result in zip(some, results, strict=True):
            yield len(own.images), result


def _there(each: _Each, tasks: Iterator[Chunk], executor: Executor) -> Iterator[tuple[int, Any]]:
    """Have chunks computed by an executor, several in a task, a window of tasks at a time.

    An executor's `map` may take all that it is given at once, and may return no sooner than all is
    done. So it is given a few tasks, as many as it computes at a time.
    """
    sent = Sent(each, getattr(executor, "files", ()))
    under_way: deque[tuple[list[Chunk], Iterator[object]]] = deque()
    send = sent.of_files if sent.files else sent.whole  # at first: nobody knows the function
    teach = getattr(executor, "teach", None)
    if teach is not None:
        teach(sent)
        send = sent.again
    while (window := _window(tasks, executor)) or under_way:
        if window:
            with _workers(window):
                under_way.append((window, iter(executor.map(send, window))))
            send = sent.again
            if len(under_way) < WINDOWS:
                continue
        window, results = under_way.popleft()
        for task in window:
            with _workers([task]):
                done = next(results, None)
                if done is None:  # a worker that has not been sent the function yet
                    done = next(iter(executor.map(sent.whole, [task])), None)
            if not isinstance(done, _Done) or done.first != task.first:
                raise ArgumentError(
                    f"the executor's map returned {shown(done)} for images from {task.first} on; "
                    "expected what the function returns, in the order of the chunks; of Dask's "
                    "client, pass .get_executor()"
                )
            yield from done.results


def _window(tasks: Iterator[Chunk], executor: Executor) -> list[Chunk]:
    """Take as many tasks as an executor computes at a time, and as memory allows."""
    width, window, held = getattr(executor, "width", None) or os.cpu_count() or 1, [], 0
    for task in islice(tasks, width):
        window.append(task)
        held += task.images.nbytes
        if held * WINDOWS >= HELD:
            break
    return window


class _Done(NamedTuple):
    """Of a task the first image's number; of each chunk the number of images, and the result."""

    first: int
    results: list[tuple[int, Any]]


@dataclass(frozen=True, eq=False)
class _Each:
    """Computes something of each chunk of a task, and tells which task that was."""

    function: Callable[[Chunk], Any]
    size: int
    abreast: Abreast | None

    def __call__(self, task: Chunk) -> _Done:
        starts = range(0, len(task.images), self.size)
        chunks = (Chunk(task.first + n, task.images[n : n + self.size]) for n in starts)
        return _Done(task.first, list(_here(self.function, chunks, self.abreast)))


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
            "workers that live: give it fewer, so that each has more memory, or take "
            "fdref.Processes, which replaces them; a script that starts processes does so below "
            '`if __name__ == "__main__":`'
        ) from error
