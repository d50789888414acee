"""Links to files, which work on a code host, lead to the files' pages on the site.

An example's file has its page in the gallery; a file of the repository that a page includes has
that page. What is included brings its links along, which are then seen from the page.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LINK = re.compile(r"\[([^]]*)\]\(([^)#:]+)(#[^)]*)?\)")
INCLUDE = re.compile(r"^```\{include\} (\S+)\n(?!:start-after)", re.MULTILINE)


def read_pages(app: Sphinx) -> None:
    """Find the page of each file."""
    root, gallery = Path(app.srcdir), app.config.sphinx_gallery_conf
    examples, made = root / gallery["examples_dirs"], root / gallery["gallery_dirs"]
    pages = {example: made / f"{example.stem}.rst" for example in examples.glob("plot_*.py")}
    pages[examples / "GALLERY_HEADER.rst"] = made / "index.rst"
    for page in root.glob("*.md"):
        for included in INCLUDE.findall(page.read_text(encoding="utf-8")):
            pages[Path(os.path.normpath(root / included))] = page
    app.config.pages_of_files = pages


def page_read(app: Sphinx, name: str, content: list[str]) -> None:
    """Turn the links of a page."""
    file = Path(app.env.doc2path(name))
    if file.suffix == ".md":
        content[0] = turned(app, content[0], file.parent, file.parent)


def included(app: Sphinx, file: Path, page: str, content: list[str]) -> None:
    """Turn the links of what a page includes."""
    here = Path(app.env.doc2path(page)).parent
    content[0] = turned(app, content[0], Path(app.srcdir, file).parent, here)


def turned(app: Sphinx, text: str, beside: Path, here: Path) -> str:
    """Turn links that are relative to one folder into links that are relative to another."""

    def one(link: re.Match[str]) -> str:
        words, path, heading = link.groups()
        target = Path(os.path.normpath(beside / path))
        if target.is_dir():  # which a code host shows
            return words
        page = app.config.pages_of_files.get(target, target)
        return f"[{words}]({os.path.relpath(page, here)}{heading or ''})"

    return LINK.sub(one, text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the steps."""
    app.add_config_value("pages_of_files", {}, "")
    app.connect("builder-inited", read_pages)
    app.connect("source-read", page_read)
    app.connect("include-read", included)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
