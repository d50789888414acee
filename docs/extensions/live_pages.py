"""The pages of the networks that ship, as `fdref explore` writes them, live in the site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import fdref

if TYPE_CHECKING:
    from sphinx.application import Sphinx

NETWORKS = ("lenet", "cifar")
"""Those that ship, each of which has a page of its name."""


def written(app: Sphinx, failure: Exception | None) -> None:
    """Write the pages when the site stands."""
    if failure is None and app.builder.format == "html":
        for name in NETWORKS:
            fdref.explore(fdref.load(name), name=name).save(Path(app.outdir, f"{name}.html"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the step."""
    app.connect("build-finished", written)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
