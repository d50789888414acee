"""The judge that a kit brings along: fdref's own modules in one script, which needs NumPy alone.

Whoever has written a decoder in another language, or in a pinned environment, need not install
fdref to have it judged: ``python KIT/check.py RESULTS`` unpacks these very modules into a temporary
folder and runs ``fdref check`` from there, on the engine that is pure NumPy. So its verdicts and
names are the same.
"""

from __future__ import annotations

import bz2
import io
import tarfile
from base64 import b85encode
from functools import cache
from pathlib import Path
from textwrap import wrap

import fdref

SCRIPT = Path(__file__).with_name("check.py.txt")
"""What unpacks them; its name keeps it from being taken for a module."""

BESIDE = ("kernels", "weights")
"""Packages that lie beside `fdref` in a checkout, and in it where it is installed."""

PATTERNS = "*.py", "templates/check.*", "templates/page.*"
"""Modules, and what the pages of a report are set from."""


@cache
def script() -> bytes:
    """Return the script; the same modules give the same bytes."""
    packed = b85encode(bz2.compress(archive())).decode()
    text = SCRIPT.read_text(encoding="utf-8")
    for word, value in {
        "{version}": fdref.__version__,
        "{modules}": "\n".join(wrap(packed, 100)),
    }.items():
        text = text.replace(word, value)
    return text.encode()


def archive() -> bytes:
    """Pack the files as they lie in an installation, without times and owners."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, path in sorted(files().items()):
            data = path.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def files() -> dict[str, Path]:
    """Return what is packed by the names that it has in an installation."""
    package = Path(fdref.__file__).parent
    folders = {"fdref": package}
    for name in BESIDE:
        inside = package / name
        folders[f"fdref/{name}"] = inside if inside.is_dir() else package.parent / name
    return {
        f"{name}/{path.relative_to(folder).as_posix()}": path
        for name, folder in folders.items()
        for pattern in PATTERNS
        for path in folder.rglob(pattern)
    }
