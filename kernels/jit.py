"""How the loops are compiled: lazily, without the GIL, and cached where that is possible."""

from __future__ import annotations

from functools import wraps
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, TypeVar

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

Loop = TypeVar("Loop", bound="Callable[..., None]")


def compiled(loop: Loop) -> Loop:
    """Compile a loop for each dtype it is called with; the plain loop stays ``__wrapped__``."""
    try:
        dispatcher = njit(loop, nogil=True, cache=True)
    except RuntimeError:  # neither the installation nor the user's cache folder can be written
        dispatcher = njit(loop, nogil=True)

    @wraps(loop)
    def run(*arguments: Any) -> None:
        nonlocal dispatcher
        try:
            dispatcher(*arguments)
        except OSError:
            # The cache could not be saved (a full disk). That happens after compiling and before
            # running, so a second call runs the loop, once.
            dispatcher(*arguments)
        except (EOFError, UnpicklingError):  # the cache is damaged: do without
            dispatcher = njit(loop, nogil=True)
            dispatcher(*arguments)

    return run  # type: ignore[return-value]  # wraps() keeps the signature, mypy cannot see it
