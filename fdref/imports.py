"""Packages that are imported no earlier than they are used, so that `import fdref` stays light."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fdref.errors import DependencyError


def imported(package: str, use: str, extra: str = "") -> Any:
    """Import a package, or a module of one.

    Parameters
    ----------
    package : str
    use : str
        What it is for, for the message: "progress is shown with tqdm".
    extra : str, optional
        The extra of fdref's that installs it.

    Raises
    ------
    DependencyError
        If it is not installed, does not work with the others, or is broken.
    """
    try:
        return import_module(package)
    except MemoryError:
        raise
    except Exception as error:  # a broken installation may raise anything
        if extra and isinstance(error, ModuleNotFoundError):
            remedy = f"pip install 'fdref[{extra}]'"
            raise DependencyError(f"{use}, which is not installed: {remedy}") from error
        reason = f"{type(error).__name__}: {error}"
        remedy = f"pip install --upgrade {package.partition('.')[0]}"
        raise DependencyError(f"{use}, which cannot be imported ({reason}): {remedy}") from error
