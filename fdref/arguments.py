"""Arguments that come from outside: each is what it should be, or refused in one line.

Truth values and text are never taken for numbers, nor text for a sequence of letters.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import inf, isfinite
from numbers import Real
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fdref.arrays import UnreadableError, as_array, is_masked
from fdref.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST = 80
"""Characters that a message quotes."""

Kind = TypeVar("Kind")
Word = TypeVar("Word", bound=str)


def shown(value: object) -> str:
    """Quote a value in one line of a message; of arrays, what they are.

    >>> shown(np.zeros((3, 4))), shown("conv 2")
    ('a float64 array of shape (3, 4)', "'conv 2'")
    """
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"a {value.dtype} array of shape {value.shape}"
    quoted = " ".join(map(str.strip, repr(value).splitlines()))
    quoted = "".join(char if char.isprintable() else "?" for char in quoted)
    return quoted if len(quoted) <= LONGEST else f"{quoted[: LONGEST - 3]}..."


def elements(value: object) -> list[object] | None:
    """Return what a sequence or an array with one axis holds; None for anything else."""
    if isinstance(value, str | bytes | bytearray | np.str_ | np.bytes_):
        return None
    if isinstance(value, Sequence):
        return list(value)
    array = _array(value)
    return list(array) if array is not None and array.ndim == 1 else None


def whole(value: object) -> int | None:
    """Return a whole number, Python's or NumPy's; None for anything else, truth values, too."""
    plain = _plain(value)
    if isinstance(plain, bool) or not hasattr(plain, "__index__"):
        return None
    try:
        return index(plain)
    except TypeError:  # an array with axes
        return None


def whole_number(value: object, what: str, least: int, most: float = inf) -> int:
    """Read one whole number.

    >>> whole_number(np.array(3), "groups", 1)
    3
    """
    number = whole(value)
    if number is None or not least <= number <= most:
        limits = f"from {least} to {most}" if most < inf else f"of at least {least}"
        raise ArgumentError(f"{what} is {shown(value)}; expected a whole number {limits}")
    return number


def real_number(value: object, what: str, least: float = -inf, most: float = inf) -> float:
    """Read one finite number.

    >>> real_number(np.float32(0.5), "rate", 0, 1)
    0.5
    """
    plain = _plain(value)
    number = inf
    if not isinstance(plain, bool) and isinstance(plain, Real):
        try:
            number = float(plain)
        except OverflowError:  # an integer beyond all floats
            number = inf
    if not isfinite(number) or not least <= number <= most:
        limits = f"number from {least} to {most}" if most < inf else "finite number"
        raise ArgumentError(f"{what} is {shown(value)}; expected a {limits}")
    return number


def real_numbers(values: object, what: str) -> tuple[float, ...]:
    """Read a sequence of finite numbers."""
    found = elements(values)
    if found is None:
        raise ArgumentError(f"{what} are {shown(values)}; expected a sequence of numbers")
    return tuple(real_number(value, f"one of {what}") for value in found)


def text(value: object, what: str) -> str:
    """Read a text."""
    if not isinstance(value, str):
        raise ArgumentError(f"{what} is {shown(value)}; expected a str")
    return str(value)


def texts(values: object, what: str) -> tuple[str, ...]:
    """Read a sequence of texts; one text is none."""
    found = elements(values)
    if found is None:
        raise ArgumentError(f"{what} are {shown(values)}; expected a sequence of str")
    return tuple(text(value, f"one of {what}") for value in found)


def truth(value: object, what: str) -> bool:
    """Read a truth value; numbers and texts are none."""
    plain = _plain(value)
    if not isinstance(plain, bool):
        raise ArgumentError(f"{what} is {shown(value)}; expected True or False")
    return plain


def one_of(value: Word, what: str, words: Sequence[str]) -> Word:
    """Read one of some words."""
    if not isinstance(value, str) or value not in words:
        expected = " or ".join(map(repr, words)) if len(words) == 2 else ", ".join(words)
        several = "one of " if len(words) > 2 else ""
        raise ArgumentError(f"{what} is {shown(value)}; expected {several}{expected}")
    return value


def path_of(value: object, what: str) -> Path:
    """Read the path of a file or folder."""
    found = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(found, str):
        raise ArgumentError(f"{what} is {shown(value)}; expected a path, a str or a pathlib.Path")
    return Path(found)


def callback(value: object, what: str) -> None:
    """Raise ArgumentError unless something can be called, or is None."""
    if value is not None and not callable(value):
        raise ArgumentError(f"{what} is {shown(value)}; expected a function, or None")


def instance(value: object, kind: type[Kind], what: str) -> Kind:
    """Raise ArgumentError unless something is of a kind."""
    if not isinstance(value, kind):
        raise ArgumentError(f"{what} is {shown(value)}; expected a {kind.__name__}")
    return value


def _plain(value: object) -> object:
    """Turn NumPy's scalars and arrays without axes into Python's numbers, where there are such."""
    if is_masked(value):
        return None
    array = _array(value)
    if array is None or array.ndim:
        return value
    return array.item() if array.dtype.kind in "biufO" else None  # a time is no number


def _array(value: object) -> NDArray[Any] | None:
    """Return what is an array or offers one, such as other libraries' tensors, all of it there."""
    if not hasattr(value, "__array__") or is_masked(value):
        return None
    try:
        return as_array(value)
    except UnreadableError:  # such as a tensor on a device, or with a gradient
        return None
