"""Pictures as PNG or JPEG: what their pixels are to a network that takes one colour, or three."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fdref.weights.bounded import contents
from fdref.weights.files import refusal

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

Colours = Literal["rgb", "bgr"]

SUFFIXES = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
EXPECTED = "a picture, PNG or JPEG"
LARGEST_FILE = 2**28
"""Bytes."""
LARGEST_SIDE = 2**14
"""Pixels; of both sides together Pillow lets through less."""

MODES = {1: "L", 3: "RGB"}
"""What Pillow turns pictures into, by a network's channels."""
DEEP = ("I", "F")
"""How Pillow's modes begin that have more than eight bits, of which it would cut off the rest."""
CLEAR = ("LA", "PA", "RGBA", "La", "RGBa")
"""Modes of pictures that may be transparent; of others their information tells."""
FAULTS = (OSError, SyntaxError, ValueError, ArithmeticError, LookupError, Warning)
"""What Pillow raises over damaged files, and over claims that are too large."""


class Read(NamedTuple):
    """Pixels (C, H, W) of uint8, and whether something transparent was laid over black."""

    pixels: NDArray[np.uint8]
    transparent: bool


def picture(path: Path, channels: int, colours: Colours = "rgb") -> Read:
    """Read a picture.

    It is turned as its EXIF says, and becomes grey by ITU-R 601 or coloured as the network takes
    it. What is transparent lies over black.

    Parameters
    ----------
    path : Path
    channels : int
        1 for grey, 3 for colour.
    colours : "rgb" or "bgr"
        Their order in what is returned.

    Raises
    ------
    FileError
        If it is no such picture, is damaged, has more than eight bits a colour, or claims more
        pixels than a sound picture has.
    """
    from PIL import Image  # noqa: PLC0415 - takes its time

    data = contents(path, EXPECTED, LARGEST_FILE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # over metadata
            with Image.open(io.BytesIO(data), formats=FORMATS) as file:
                if max(file.size) > LARGEST_SIDE:  # told before any pixel is unpacked
                    size = f"{file.width}x{file.height}"
                    raise refusal(f"{path}", f"is {size}, expected at most {LARGEST_SIDE} a side")
                if file.mode.startswith(DEEP):
                    problem = f"has more than 8 bits a pixel ({file.mode}); save it with 8"
                    raise refusal(f"{path}", problem)
                found, transparent = _flat(file)
                pixels = np.asarray(found.convert(MODES[channels]))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        reason = "claims more pixels than any sound picture has; shrink it"
        raise refusal(f"{path}", reason) from error
    except FAULTS as error:
        raise refusal(f"{path}", f"is damaged, or not {EXPECTED}: {error}") from error
    if channels == 1:
        return Read(pixels[None], transparent)
    order = slice(None, None, -1 if colours == "bgr" else 1)
    return Read(np.ascontiguousarray(pixels.transpose(2, 0, 1)[order]), transparent)


def _flat(file: Image.Image) -> tuple[Any, bool]:
    """Turn a picture upright, and lay what is transparent over black; tell whether anything was."""
    from PIL import Image, ImageOps  # noqa: PLC0415 - takes its time

    upright = ImageOps.exif_transpose(file)
    if upright.mode not in CLEAR and "transparency" not in upright.info:
        return upright, False
    over = upright.convert("RGBA")
    if np.asarray(over)[:, :, 3].min() == 255:  # nothing is
        return over.convert("RGB"), False
    return Image.alpha_composite(Image.new("RGBA", over.size, (0, 0, 0, 255)), over), True
