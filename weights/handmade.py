"""The hand-made network of the paper's supplement: eight characters, drawn.

Every filter below is a picture made of what is one layer down, so that the source reads as the
network sees. `handmade` turns them into weights.

- A stroke is 5x5 pixels: ``#`` is 8, ``+`` is 4, ``-`` is -1, ``=`` is -2. The ends weigh half, so
  that two strokes four pixels apart join without a seam; the flanks are negative, so that a
  stroke answers little to the others.
- A part is 5x5 strokes, each written where its centre lies: ``│ ─ ╱ ╲`` weigh 1, ``║ ═`` weigh 2,
  and ``┊`` is a vertical stroke of weight -1. Corners and ends are heavy, as a line that turns or
  stops says more than one that goes on. The two arcs of the D go on where the two ends of the C
  must not.
- A character is 3x3 parts, of one weight that makes it about as strong as the others.

The receptive fields are 5, 9 and 14 pixels wide: a pixel of a character stands for 2x2 positions
of its part, so that lines are two pixels wide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.layers import Conv, Pool
from fdref.network.graph import Network

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import ArrayLike

    from fdref.arrays import Array

STROKES = """
│        ─        ╱        ╲
·-+-·    ·····    ···-+    +-···
·=#=·    -===-    ··=#-    -#=··
·=#=·    +###+    ·=#=·    ·=#=·
·=#=·    -===-    -#=··    ··=#-
·-+-·    ·····    +-···    ···-+
"""

PARTS = """
┌        └        ╕        ╛        ╮        ╯        ├
··═··    ·····    ··═·║    ····┊    ··─··    ····│    │····
·····    ·····    ·····    ·····    ···╲·    ·····    ·····
║····    ║····    ·····    ·····    ·····    ·····    ··─··
·····    ·····    ·····    ·····    ·····    ···╱·    ·····
·····    ··═··    ····┊    ··═·║    ····│    ··─··    │····

┤        ┬        ▔        ▁        │        ╱        ╲
····│    ─···─    ─···─    ·····    ·····    ·····    ·····
·····    ·····    ·····    ·····    ·····    ·····    ·····
··─··    ··│··    ·····    ·····    ··│··    ··╱··    ··╲··
·····    ·····    ·····    ·····    ·····    ·····    ·····
····│    ·····    ·····    ─···─    ·····    ·····    ·····
"""

CHARACTERS = """
C      D      H      K      T      X      Y      Z
┌·╕    ┌·╮    ···    ··╱    ·┬·    ╲·╱    ╲·╱    ·▔╱
···    ···    ├·┤    ├··    ···    ···    ···    ···
└·╛    └·╯    ···    ··╲    ·│·    ╱·╲    ·│·    ╱▁·
"""

PIXELS = {"#": [8], "+": [4], "-": [-1], "=": [-2]}
"""The weights of a stroke's pixels."""

WEIGHTS = {"C": 4, "D": 5, "H": 10, "K": 11, "T": 13, "X": 12, "Y": 15, "Z": 10}
"""Of each character's parts; those of thin strokes need more to be as strong."""

NAMES = {
    1: ("vertical", "horizontal", "rising", "falling"),
    2: (
        "upper-left corner",
        "lower-left corner",
        "upper end",
        "lower end",
        "upper arc",
        "lower arc",
        "left junction",
        "right junction",
        "upper junction",
        "upper bar",
        "lower bar",
        "stem",
        "rising bar",
        "falling bar",
    ),
    4: tuple(WEIGHTS),
}
"""What the filters of each layer show, in the order of the drawings."""


def handmade() -> Network:
    """Return the hand-made network: 4 strokes, 14 parts, max pooling, 8 characters.

    Returns
    -------
    Network
        conv 4@5x5, conv 14@5x5x4, max pool 2x2, conv 8@3x3x14, for images of 14x14. All weights
        are whole numbers, kept as float32; there are no biases.

    Examples
    --------
    Shown as an image, every decoded character excites its own neuron most.

    >>> import fdref
    >>> from fdref.weights.handmade import handmade
    >>> net = handmade()
    >>> characters = fdref.decode(net, "characters", unpool="nearest")
    >>> characters.shape
    (8, 1, 14, 14)
    >>> answers = fdref.forward(net, characters)[-1]
    >>> [net.classes[k] for k in answers.argmax(axis=1).ravel()]
    ['C', 'D', 'H', 'K', 'T', 'X', 'Y', 'Z']

    This is the C; ``o`` is its opening, where it must not go on:

    >>> for row in characters[0, 0, 2:12, 2:12]:
    ...     print("".join("#" if x > 50 else "o" if x < -80 else "." for x in row))
    .#########
    ##########
    ##........
    ##........
    ##......oo
    ##......oo
    ##........
    ##........
    ##########
    .#########
    """
    strokes, parts, characters = map(drawings, (STROKES, PARTS, CHARACTERS))
    stroke, part = one_hot(strokes), one_hot(parts)
    ink = stroke | {"═": 2 * stroke["─"], "║": 2 * stroke["│"], "┊": -stroke["│"]}
    weights = np.array(list(WEIGHTS.values()), np.float32)[:, None, None, None]
    return Network(
        [
            Conv(filters(strokes, PIXELS), name="strokes"),
            Conv(filters(parts, ink), name="parts"),
            Pool(2, 2, name="pool"),
            Conv(weights * filters(characters, part), name="characters"),
        ],
        input_size=14,
        classes=tuple(characters),
        provenance="drawn by hand",
    )


def drawings(text: str) -> dict[str, list[str]]:
    """Return the rows of each drawing by its heading; they stand side by side.

    Examples
    --------
    >>> drawings('''
    ... I    L
    ... │    │·
    ... │    └─
    ... ''')
    {'I': ['│', '│'], 'L': ['│·', '└─']}
    """
    found = {}
    for band in text.strip().split("\n\n"):
        for heading, *rows in zip(*map(str.split, band.splitlines()), strict=True):
            found[heading] = rows
    return found


def one_hot(names: Collection[str]) -> dict[str, Array]:
    """Return for each name a 1 at its own place among zeros."""
    return dict(zip(names, np.eye(len(names)), strict=True))


def filters(drawn: Mapping[str, Sequence[str]], ink: Mapping[str, ArrayLike]) -> Array:
    """Turn drawings into filters (K, C, h, w), given the C weights of every sign but the dot."""
    signs = {sign: np.asarray(weights, np.float32) for sign, weights in ink.items()}
    signs["·"] = np.zeros_like(next(iter(signs.values())))
    bank = [[[signs[sign] for sign in row] for row in rows] for rows in drawn.values()]
    return np.array(bank).transpose(0, 3, 1, 2)
