"""Arrays that come from outside: read, or refused in one line; and their precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Array = np.ndarray[Any, np.dtype[np.floating[Any]]]


def real_array(values: ArrayLike, what: str) -> Array:
    """Read an array of real numbers of any dtype, or say what was passed instead and what to do.

    Examples
    --------
    >>> real_array([[1, 2], [3, 4]], "images").shape
    (2, 2)
    >>> real_array([1j], "images")
    Traceback (most recent call last):
    fdref.errors.ArgumentError: images have dtype complex128; expected real numbers
    """
    if is_masked(values):
        raise ArgumentError(
            f"{what} have masked numbers; expected all of them, pass .filled(VALUE)"
        )
    try:
        array = as_array(values)
    except UnreadableError as error:
        raise ArgumentError(
            f"{what} are no array of numbers ({error}); expected {_wanted(values)}"
        ) from None
    if array.dtype.kind not in "fiub":
        remedy = "; pass .astype('float32')" if array.dtype.kind == "V" else ""
        raise ArgumentError(f"{what} have dtype {array.dtype}; expected real numbers{remedy}")
    return array


class UnreadableError(Exception):
    """An array of another library's whose numbers are not to be had like this, and why."""


def as_array(values: object) -> NDArray[Any]:
    """Return what is an array, or offers one; raise UnreadableError, whatever ``__array__`` raises.

    That is another library's code: on a device, with a gradient, in a file that is damaged.
    """
    try:
        return np.asarray(values)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - libraries have exceptions of their own
        raise UnreadableError(" ".join(str(error).split()) or type(error).__name__) from None


def is_masked(values: object) -> bool:
    """Tell whether some numbers of an array are not to be used."""
    return isinstance(values, np.ma.MaskedArray) and bool(np.ma.is_masked(values))


def _wanted(values: object) -> str:
    """Say what to pass instead of something that NumPy cannot read."""
    if isinstance(values, list | tuple):
        first: object = next((value for value in values if not isinstance(value, list | tuple)), 0)
        return "rows of one length" if not hasattr(first, "__array__") else _wanted(first)
    if hasattr(values, "detach"):  # PyTorch: it follows gradients, is elsewhere, or is bfloat16
        return "numbers in the computer's own memory; pass .detach().cpu().float()"
    return "numbers in the computer's own memory; pass a NumPy array"


def common_precision(*dtypes: np.dtype[Any]) -> np.dtype[Any]:
    """Return float32 where all are float32 or float16, else float64.

    >>> common_precision(np.dtype("f4"), np.dtype("f2")), common_precision(np.dtype("i1"))
    (dtype('float32'), dtype('float64'))
    """
    single = all(dtype.type in (np.float32, np.float16) for dtype in dtypes)
    return np.dtype(np.float32 if single else np.float64)


def in_precision(array: Array, dtype: np.dtype[Any], what: str) -> Array:
    """Return an array C-contiguous in a precision, unless that makes finite numbers infinite."""
    with np.errstate(over="ignore"):
        converted: Array = np.ascontiguousarray(array, dtype)
    if array.dtype.kind != "f" or array.dtype.itemsize <= dtype.itemsize:
        return converted  # whole numbers are within the range of either precision
    beyond = np.isinf(converted) & np.isfinite(array)
    if beyond.any():
        place = tuple(map(int, np.unravel_index(beyond.argmax(), beyond.shape)))
        at = f" at {list(place)}" if place else ""
        raise ArgumentError(
            f"{what} hold {array[place]!s}{at}, more than {dtype} holds; expected numbers up to "
            f"{np.finfo(dtype).max:.4g}"
        )
    return converted
