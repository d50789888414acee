"""The page itself: what it tells as JSON, its pictures, and the script that shows them.

Everything is in one file, which asks no server for anything: a content security policy in it says
so to browsers. Where that would be larger than `LARGEST`, the pictures of each layer stand in a
file beside it, and are loaded when the layer is looked at.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdref.drawing.web_page import TEMPLATES, render
from fdref.explorer.told import json_of
from fdref.files.folder import refusal
from fdref.files.whole import check_file, folder_for, replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

LARGEST = 20_000_000
"""Bytes of a page in one file."""

OWN = re.compile(r"(other)?[0-9]+\.js")
"""Files in the folder of a page."""

LIBRARY, SCRIPT, STYLE = "vendored/htm-preact-3.1.1.js", "explore.js", "explore.css"


@dataclass(frozen=True, eq=False)
class Page:
    """A page of a network's neurons: what `fdref.explore` returns, and a notebook shows.

    Attributes
    ----------
    told : dict
        What the page tells, but for its pictures, as JSON has it.
    """

    told: Mapping[str, Any] = field(repr=False)
    pictures: Mapping[str, Mapping[str, str]] = field(repr=False)
    """by layer, and by what they show, as text"""

    @cached_property
    def html(self) -> str:
        """The page in one file."""
        return _html(dict(self.told), self.pictures)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the page, wholly or not at all.

        Where one file would be larger than 20 MB, the pictures of each layer are written to a
        folder beside it: NAME_files.

        Parameters
        ----------
        path : path
            Such as ``explore.html``. A page that is there is replaced.

        Raises
        ------
        FileError
            If it cannot be written.
        """
        place, folder = Path(path), self.folder(path)
        check_file(place)
        if folder is None:
            replace_file(place, self.html.encode())
            return
        _fill(folder, {f"{layer}.js": _script_of(own) for layer, own in self.pictures.items()})
        replace_file(place, _html({**self.told, "files": folder.name}, {}).encode())

    def folder(self, path: str | PathLike[str]) -> Path | None:
        """Return the folder of the pictures of a page of this name; None where they are in it."""
        size = sum(len(text) for own in self.pictures.values() for text in own.values())
        return beside(Path(path)) if size > LARGEST else None

    def _repr_html_(self) -> str:
        """Show the page in a notebook."""
        return (
            '<iframe title="neurons" sandbox="allow-scripts allow-downloads" '
            'allow="clipboard-write" '
            f'style="width:100%;height:48rem;border:0" srcdoc="{escape(self.html)}"></iframe>'
        )


def beside(path: Path) -> Path:
    """Return the folder of a page's pictures, where they do not fit into it.

    >>> beside(Path("explore.html")).name
    'explore_files'
    """
    stem = path.stem if path.suffix == ".html" else path.name
    return path.with_name(f"{stem}_files")


def _fill(path: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a page's folder, in the place of those that another page had there."""
    with folder_for(path) as folder:
        found = folder.names()
        for name in found:
            if not OWN.fullmatch(name):
                problem = "is not of a page of neurons; name the page otherwise, or move it away"
                raise refusal(path / name, problem)
        for name, data in files.items():
            folder.replace(name, data)
        for name in set(found) - set(files):
            folder.remove(name)


def _html(told: dict[str, Any], pictures: Mapping[str, Mapping[str, str]]) -> str:
    """Put a page together."""
    scripts = [_source(LIBRARY), _source(SCRIPT)]
    style = _source(STYLE)
    # Browsers do not agree whether a file is of the same origin as its neighbours.
    sources = " 'self' file:" if "files" in told else ""
    return render(
        "explore.html",
        title=told["title"],
        scripts=scripts,
        style=style,
        script_hashes=" ".join(map(_hash, scripts)) + sources,
        style_hash=_hash(style),
        data=json_of(told),
        pictures={
            f"{layer}/{what}": text for layer, own in pictures.items() for what, text in own.items()
        },
    )


def _source(name: str) -> str:
    """Return a file of the templates as it is."""
    loader, environment = TEMPLATES.loader, TEMPLATES
    assert loader is not None  # noqa: S101 - it was made with one
    return loader.get_source(environment, name)[0].strip()


def _hash(text: str) -> str:
    """Return what a content security policy allows: this very text."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _script_of(pictures: Mapping[str, str]) -> bytes:
    """Return a file by which a page loads a layer's pictures."""
    return f"fdrefPictures({json_of(dict(pictures))})".encode()
