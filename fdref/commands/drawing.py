"""Matplotlib, which is imported before the long work whose results it is to draw."""

from __future__ import annotations

import logging
import os
from importlib import import_module
from typing import TYPE_CHECKING

from fdref.errors import FileError

if TYPE_CHECKING:
    from types import ModuleType


def drawing(module: str, remedy: str = "mend it") -> ModuleType:
    """Import a module that draws.

    Raises
    ------
    FileError
        If matplotlib cannot be imported, as with settings in another encoding than UTF-8.
    """
    os.environ["MPLBACKEND"] = "agg"  # with one that it does not know, matplotlib does not load
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # the error says it
    try:
        return import_module(module)
    except Exception as error:  # noqa: BLE001 - a broken installation may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise FileError(f"matplotlib cannot be imported ({reason}); {remedy}") from None
    finally:
        logger.setLevel(level)
