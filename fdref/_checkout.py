"""In a checkout, the packages `fdref.kernels` and `fdref.weights` lie beside the folder `fdref`.

This module is a finder for `sys.meta_path`. It knows these two and nothing else: a longer
`fdref.__path__` would make `fdref.tests`, `fdref.benchmarks` and `fdref.fdref` importable, too.
"""

from __future__ import annotations

from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

PARENT = Path(__file__).parents[1]
BESIDE = {"fdref.kernels": PARENT / "kernels", "fdref.weights": PARENT / "weights"}


def find_spec(
    fullname: str,
    path: Sequence[str] | None,  # noqa: ARG001 - what every finder is asked
    target: ModuleType | None = None,  # noqa: ARG001
) -> ModuleSpec | None:
    """Find one of the two packages; their modules are found through their own paths."""
    folder = BESIDE.get(fullname)
    if folder is None:
        return None
    return spec_from_file_location(
        fullname, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
