"""A function that crosses to each worker process once, and is called by its digest from then on.

What only has a `map` cannot be told which worker does what. So a call by digest may meet a worker
that does not know the function; it returns None, and is made again with the function.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, TypeVar

Function = Callable[[Any], Any]
Part = TypeVar("Part")
Result = TypeVar("Result")

KEPT = 2
"""Functions that a worker keeps; they hold networks and decoded filters."""

_known: deque[tuple[bytes, Function]] = deque(maxlen=KEPT)
"""What this process, as a worker, has been sent; the oldest leaves first."""


class Sent:
    """A function, pickled once, however often it is called elsewhere."""

    def __init__(self, function: Function) -> None:
        self.function = function

    @cached_property
    def pickled(self) -> bytes:
        """What makes the function elsewhere."""
        return pickle.dumps(self.function, pickle.HIGHEST_PROTOCOL)

    @cached_property
    def digest(self) -> bytes:
        """What stands for it."""
        return sha256(self.pickled).digest()

    @property
    def whole(self) -> Function:
        """The function itself for whoever calls it."""
        return _Crossing(self, by_name=False)

    @property
    def by_name(self) -> Function:
        """The function, or in a process that does not know it, what returns None."""
        return _Crossing(self, by_name=True)


class _Crossing:
    """Where it is made, it is the function; when pickled, only what makes or names it."""

    def __init__(self, sent: Sent, *, by_name: bool) -> None:
        self._sent = sent
        self._by_name = by_name

    def __call__(self, part: Any) -> Any:
        return self._sent.function(part)

    def __reduce__(self) -> tuple[type[_Arrived], tuple[bytes, bytes | None]]:
        return _Arrived, (self._sent.digest, None if self._by_name else self._sent.pickled)


@dataclass(frozen=True)
class _Arrived:
    """The function where it has crossed to."""

    digest: bytes
    pickled: bytes | None

    def __call__(self, part: Any) -> Any:
        function = next((own for digest, own in tuple(_known) if digest == self.digest), None)
        if function is None and self.pickled is not None:
            function = pickle.loads(self.pickled)  # noqa: S301 - from the process that sent the rest
            _known.append((self.digest, function))
        return None if function is None else function(part)
