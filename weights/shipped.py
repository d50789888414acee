"""The networks that ship with the package, and the names by which they can be asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fdref.arguments import path_of
from fdref.weights.files import refusal

if TYPE_CHECKING:
    from os import PathLike

NETWORKS = {name: Path(__file__).with_name(f"{name}.mat") for name in ("lenet", "cifar")}
"""The file of each, by name."""

SHIPPED = NETWORKS["lenet"]
"""The LeNet, which is meant where nobody says which."""


def network_file(model: str | PathLike[str] | None) -> Path:
    """Return the file of a network: a shipped one, or any other.

    A text that is a shipped network's name means that, wherever one is; ``"./cifar"`` and
    ``Path("cifar")`` are files.

    Raises
    ------
    FileError
        If it looks like a name, and there is neither such a network nor such a file.
    ArgumentError
        If it is no path.

    Examples
    --------
    >>> network_file("cifar").name, network_file("./cifar").name
    ('cifar.mat', 'cifar')
    """
    if model is None:
        return SHIPPED
    if isinstance(model, str) and model in NETWORKS:
        return NETWORKS[model]
    path = path_of(model, "path")
    if isinstance(model, str) and _is_bare(model) and not os.path.lexists(path):
        known = " or ".join(NETWORKS)
        raise refusal(model, f"is no file; expected one, or a network that ships: {known}")
    return path


def _is_bare(text: str) -> bool:
    """Tell whether a text might be a name: of one part, and without a suffix."""
    return bool(text) and text.isprintable() and Path(text).name == text and not Path(text).suffix
