"""Figures of `fdref.show`, which pyplot does not know of, in the gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from matplotlib.figure import Figure
from matplotlib.pyplot import fignum_exists
from sphinx_gallery.scrapers import figure_rst

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

seen: WeakSet[Figure] = WeakSet()
"""Those of blocks before, as names outlive a block."""


def scraped(_: object, block_vars: Mapping[str, Any], gallery: Mapping[str, Any]) -> str:
    """Save the figures that a block of an example has given names to."""
    named = {v for v in block_vars["example_globals"].values() if isinstance(v, Figure)} - {*seen}
    seen.update(named)
    paths = []
    for figure in named:
        if not fignum_exists(getattr(figure, "number", -1)):  # else it is matplotlib's to save
            paths.append(next(block_vars["image_path_iterator"]))
            figure.savefig(paths[-1], dpi=2 * figure.dpi)
    rst: str = figure_rst(paths, gallery["src_dir"])
    return rst


def _get_sg_image_scraper() -> Callable[..., str]:
    return scraped
