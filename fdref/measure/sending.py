"""A function that crosses to each worker process once, and is called by its digest from then on.

What only has a `map` cannot be told which worker does what. So a call by digest may meet a worker
that does not know the function; it returns None, and is made again with the function.

What the function holds may lie in files that workers can read: a network, decoded filters. These
cross by name, unless a worker does not find them.
"""

from __future__ import annotations

import io
import pickle
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from threading import Lock
from typing import Any, Protocol, TypeAlias, TypeVar

import fdref
from fdref.errors import FdrefError

Function = Callable[[Any], Any]
Part = TypeVar("Part")
Result = TypeVar("Result")

KEPT = 2
"""Functions that a worker keeps; they hold networks and decoded filters."""

_known: deque[tuple[bytes, Function]] = deque(maxlen=KEPT)
"""What this process, as a worker, has been sent; the oldest leaves first."""

_preparing = Lock()
"""Held while a function is made, so that a worker of several threads makes it once."""


class AbsentError(Exception):
    """A file that a worker does not find."""


class InFile(Protocol):
    """Where something can be read, too; it can be pickled."""

    def load(self) -> object:
        """Read it; raise AbsentError where there is no file, FdrefError where it is another."""


Filed: TypeAlias = "Sequence[tuple[object, InFile]]"
"""What lies in files, and where."""


class Sent:
    """A function, pickled once, however often it is called elsewhere.

    Parameters
    ----------
    function : callable
    files : sequence of (object, InFile), optional
        What it may hold that workers may read themselves.
    """

    def __init__(self, function: Function, files: Filed = ()) -> None:
        self.function = function
        self.files = files

    @cached_property
    def pickled(self) -> bytes:
        """What makes the function elsewhere, files or not."""
        return pickle.dumps(self.function, pickle.HIGHEST_PROTOCOL)

    @cached_property
    def light(self) -> bytes:
        """The same with names of files in place of what is in them."""
        if not self.files:
            return self.pickled
        target = io.BytesIO()
        _Pickler(target, self.files).dump(self.function)
        return target.getvalue()

    @cached_property
    def digest(self) -> bytes:
        """What stands for it."""
        return sha256(self.light).digest()

    def _crossing(self, pickled: Callable[[], bytes | None]) -> Function:
        return _Crossing(self.function, lambda: _Arrived(self.digest, pickled(), fdref.__version__))

    @property
    def whole(self) -> Function:
        """The function itself for whoever calls it."""
        return self._crossing(lambda: self.pickled)

    @property
    def of_files(self) -> Function:
        """The function, or what returns None in a process that does not find its files."""
        return self._crossing(lambda: self.light)

    @property
    def by_name(self) -> Function:
        """The function, or in a process that does not know it, what returns None."""
        return self._crossing(lambda: None)

    @property
    def again(self) -> Function:
        """What is called once a first call was made: small, and known to most."""
        return self.of_files if self.files else self.by_name


class _Crossing:
    """Where it is made, it is the function; when pickled, only what makes or names it."""

    def __init__(self, function: Function, arrived: Callable[[], _Arrived]) -> None:
        self._function = function
        self._arrived = arrived

    def __call__(self, part: Any) -> Any:
        return self._function(part)

    def __reduce__(self) -> tuple[type[_Arrived], tuple[bytes, bytes | None, str]]:
        arrived = self._arrived()
        return _Arrived, (arrived.digest, arrived.pickled, arrived.version)


@dataclass(frozen=True)
class _Arrived:
    """The function where it has crossed to."""

    digest: bytes
    pickled: bytes | None
    version: str

    def __call__(self, part: Any) -> Any:
        function = self.prepared()
        return None if function is None else function(part)

    def prepared(self) -> Function | None:
        """Return the function, made now unless it is known; None if it cannot be made."""
        if self.version != fdref.__version__:
            raise FdrefError(
                f"a worker has fdref {fdref.__version__}; expected {self.version}, as here: "
                f"pip install fdref=={self.version} there"
            )
        with _preparing:
            known = next((own for digest, own in _known if digest == self.digest), None)
            if known is not None or self.pickled is None:
                return known
            try:
                function: Function = _Unpickler(io.BytesIO(self.pickled)).load()
            except AbsentError:
                return None
            _known.append((self.digest, function))
            return function


class _Pickler(pickle.Pickler):
    """Writes the names of files in place of what is in them."""

    def __init__(self, target: io.BytesIO, files: Filed) -> None:
        super().__init__(target, pickle.HIGHEST_PROTOCOL)
        self._files = files

    def persistent_id(self, obj: Any) -> InFile | None:
        """Return where something can be read, None if it must be written."""
        return next((place for own, place in self._files if own is obj), None)


class _Unpickler(pickle.Unpickler):
    """Reads from files what only their names stand for."""

    def persistent_load(self, place: InFile) -> object:
        """Return what is in a file."""
        return place.load()
