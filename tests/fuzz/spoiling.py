"""Damage that any file may have, and numbers at the edges."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

EDGES = (0, 1, 2, 3, 7, 8, 9, 63, 64, 255, 256, 4095, 2**16 - 1, 2**16, 2**24, 2**31 - 1, 2**31,
         2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 1, -1, -2, -8)  # fmt: skip


def edge(random: Random, near: int = 0) -> int:
    """Return a number that a size or a count should not be."""
    choices = [random.choice(EDGES), near + random.choice([-8, -1, 1, 8]), near * 2, near // 2]
    return random.choice(choices)


def damaged(data: bytes, random: Random, *, start: int = 0) -> bytes:
    """Flip, overwrite, cut, insert, repeat or swap a few bytes."""
    spoilt = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 4, 8])):
        if len(spoilt) <= start + 16:
            break
        place = random.randrange(start, len(spoilt) - 8)
        length = random.choice([1, 2, 4, 8, 16, 64])
        match random.randrange(8):
            case 0 | 1:
                spoilt[place] ^= 1 << random.randrange(8)
            case 2:
                spoilt[place] = random.choice([0, 1, 127, 128, 255, random.randrange(256)])
            case 3:
                code = random.choice("<>") + random.choice("HIQ")
                number = edge(random) % 2 ** (8 * struct.calcsize(code))
                struct.pack_into(code, spoilt, place & ~3, number)
            case 4:
                del spoilt[place : place + length]
            case 5:
                spoilt[place:place] = random.randbytes(length)
            case 6:
                other = random.randrange(start, len(spoilt))
                spoilt[place : place + length] = spoilt[other : other + length]
            case _:
                if random.random() < 0.3:
                    del spoilt[place:]
    return bytes(spoilt)
