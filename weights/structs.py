"""Fields of MATLAB's structs, read for what MatConvNet means by them.

MATLAB's H x W x C x K arrays arrive with reversed axes, (K, C, W, H), less the leading axes of
length 1, which MATLAB drops; one swap of the last two axes makes them ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import NetworkError, one_line
from fdref.weights.matlab import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.weights.bounded import Budget
    from fdref.weights.matlab import Value

    Struct = Mapping[str, Value]

REMEDIES = {
    "gpuArray": "convert it with `gather` (all of a net with `vl_simplenn_move(net, 'cpu')`)",
    "string": "convert it with `char`",
    "sparse": "convert it with `full`",
    "dlarray": "convert it with `extractdata`",
    "dagnn.DagNN": "save what `net.saveobj()` returns",
}
"""What turns an object into something that can be read."""

LONGEST = 60
"""Characters that describe a field."""


def described(value: Value) -> str:
    """Say what a value is that should be something else."""
    kinds: dict[type, str] = {dict: "a struct", list: "a cell", str: "text"}
    if isinstance(value, Unsupported):
        return unsupported(value)
    return kinds.get(type(value), "an array of numbers")


def unsupported(value: Unsupported) -> str:
    """Say what a value is that only MATLAB can read, and what to do there."""
    remedy = REMEDIES.get(value.kind, "save what it holds as plain arrays, text, cells or structs")
    return f"of MATLAB's class {one_line(value.kind)!r}, which cannot be read: in MATLAB, {remedy}"


def brief(value: Value) -> str:
    """Write a value in a few characters: numbers and text as they are, of others what they are.

    >>> brief(np.array([[0.5]])), brief(np.ones((64, 3, 3))), brief({"a": "b"})
    ('0.5', '3 x 3 x 64 float64', 'struct (a)')
    """
    match value:
        case str():
            return one_line(value, LONGEST)
        case dict():
            return one_line(f"struct ({', '.join(value)})", LONGEST)
        case list():
            return f"cell of {len(value)}"
        case Unsupported():
            return one_line(value.kind, LONGEST)
    if value.size > 4:
        return f"{matlab_size(value)} {value.dtype}"
    return " ".join(f"{number:g}" for number in value.ravel()) or "empty"


def numbers(struct: Struct, key: str, most: int, default: float | None = None) -> NDArray[Any]:
    """Return the numbers in a field; an absent or empty one means the default."""
    value = struct.get(key, np.zeros(0))
    if isinstance(value, list) and not value:  # an empty cell
        value = np.zeros(0)
    if not isinstance(value, np.ndarray):
        raise NetworkError(f"`{key}` is {described(value)}; expected numbers")
    if value.size == 0 and default is None:
        raise NetworkError(f"`{key}` is missing")
    if value.size > most:
        raise NetworkError(f"`{key}` is {matlab_size(value)} numbers; expected at most {most}")
    return value.ravel() if value.size else np.array([default])


def whole(struct: Struct, key: str, default: int | None = None) -> list[int]:
    """Return at most four whole numbers, as Python's: MATLAB's may be of eight bits."""
    found = numbers(struct, key, 4, default)
    if not np.isfinite(found).all() or (found % 1).any() or (abs(found) > 2**53).any():
        raise NetworkError(f"`{key}` is {found.tolist()}; expected whole numbers")
    return [int(n) for n in found]


def text(struct: Struct, key: str) -> str:
    """Return the text in a field, or none."""
    value = struct.get(key, "")
    return value if isinstance(value, str) else ""


def texts(struct: Struct, key: str) -> list[str]:
    """Return the text, or the cell of texts, in a field."""
    value = struct.get(key, [])
    several = [value] if isinstance(value, str) else value
    if isinstance(several, np.ndarray) and several.size == 0:
        return []
    if not isinstance(several, list) or not all(isinstance(one, str) for one in several):
        raise NetworkError(f"`{key}` is {described(value)}; expected a cell of names")
    return [one for one in several if isinstance(one, str) and one]


def structs(struct: Struct, key: str) -> list[Value]:
    """Return what a field holds of structs: none, one, an array or a cell of them."""
    value = struct.get(key, [])
    if isinstance(value, np.ndarray) and value.size == 0:
        return []
    return value if isinstance(value, list) else [value]


def from_matlab(array: NDArray[Any], ndim: int) -> NDArray[Any]:
    """Restore the axes that MATLAB dropped, and our order of rows and columns."""
    if array.ndim > ndim:
        raise NetworkError(f"an array has MATLAB size {matlab_size(array)}; expected {ndim} axes")
    return array.reshape((1,) * (ndim - array.ndim) + array.shape).swapaxes(-1, -2)


def to_matlab(array: Array) -> Array:
    """Reverse `from_matlab`."""
    swapped = array.swapaxes(-1, -2)
    while swapped.ndim > 2 and len(swapped) == 1:
        swapped = swapped[0]
    return np.ascontiguousarray(swapped)


def as_in_matlab(value: Value) -> Value:
    """Turn the axes of all arrays in a value round, so that they are as MATLAB shows them."""
    match value:
        case np.ndarray():
            return value.T
        case dict():
            return {key: as_in_matlab(inner) for key, inner in value.items()}
        case list():
            return [as_in_matlab(inner) for inner in value]
    return value


def matlab_size(array: NDArray[Any]) -> str:
    """Write an array's size as MATLAB does."""
    return " x ".join(map(str, array.shape[::-1]))


def take(budget: Budget, what: str, array: NDArray[Any]) -> None:
    """Count the network's own copy of an array: float32 stays, of the rest float64 is made."""
    itemsize = 4 if array.dtype in (np.float32, np.float16) else 8
    budget.take((f"the copy of `{what}`",), array.size * itemsize)
    budget.spare((f"the copy of `{what}`",), array.size)  # is each number finite?
