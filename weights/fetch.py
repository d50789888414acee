"""MNIST from the network, once."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fdref.errors import FileError
from fdref.weights.mnist import mnist

if TYPE_CHECKING:
    from collections.abc import Iterator

MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)

PACKED = {
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
"""Name, less .gz, and SHA-256 of the files as their authors packed them."""


def fetch_mnist(progress: bool = False) -> Path:  # noqa: FBT001, FBT002 - the one option
    """Fetch MNIST's four files into the user's cache, unless they are there.

    Parameters
    ----------
    progress : bool
        Show on standard error how far each file is.

    Returns
    -------
    Path
        The folder, as `mnist` takes it.

    Raises
    ------
    FileError
        If pooch is not installed, no mirror answers with the right files, or they cannot be kept.
    """
    try:
        import pooch  # noqa: PLC0415 - an extra
    except ImportError:
        raise FileError(
            "fetching MNIST takes pooch, which is not installed: pip install 'fdref[fetch]'"
        ) from None
    folder = Path(pooch.os_cache("fdref")) / "mnist"
    if _complete(folder):
        return folder
    problems = []
    for mirror in MIRRORS:
        try:
            with _quiet(pooch.get_logger()):
                for name, digest in PACKED.items():  # what is there already is not fetched again
                    file = f"{name}.gz"
                    pooch.retrieve(mirror + file, digest, file, folder, progressbar=progress)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                reason = error.strerror or error
                raise FileError(f"cannot keep MNIST in {folder}: {reason}") from None
            problems.append(f"{mirror} ({_reason(error)})")
        else:
            return folder
    raise FileError(
        f"cannot fetch MNIST, tried {' and '.join(problems)}: download {', '.join(PACKED)} (.gz) "
        "into a folder, and read it from there"
    )


def _complete(folder: Path) -> bool:
    """Tell whether MNIST is there, however it is packed."""
    try:
        mnist(folder)
    except FileError:
        return False
    return True


def _reason(error: OSError | ValueError) -> str:
    """Say briefly what went wrong; requests' own words are several lines long."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"status {status}"
    return "not MNIST's file" if "known hash" in str(error) else type(error).__name__


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep pooch from telling what it does; it has one logger for everybody."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
