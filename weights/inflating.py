"""zlib streams that anybody may have written, unpacked into memory that was granted before."""

from __future__ import annotations

import zlib

RATIO = 1032
"""Bytes that a packed byte becomes at most; zlib cannot do better."""
PIECE = 2**16  # bytes given to zlib at once, which copies what is left of them each time
PART = 2**16  # bytes taken from it at once: not fewer, or the copies would be more than these


class Inflating:
    """A stream that is unpacked as far as its reader asks.

    Parameters
    ----------
    packed : memoryview
        The stream; what follows its end is not looked at.

    Examples
    --------
    >>> stream = Inflating(memoryview(zlib.compress(b"name and numbers")))
    >>> stream.into(head := bytearray(4))
    >>> stream.into(rest := bytearray(12))
    >>> stream.close()
    >>> head, rest
    (bytearray(b'name'), bytearray(b' and numbers'))
    """

    def __init__(self, packed: memoryview) -> None:
        self._packed = packed
        self._position = 0
        self._stream = zlib.decompressobj()

    def into(self, target: bytearray | memoryview) -> None:
        """Fill memory with the bytes that come next.

        Raises
        ------
        ValueError
            If there are fewer, or the stream is damaged.
        """
        position = 0
        while position < len(target):
            part = self._part(len(target) - position)
            if not part:
                raise ValueError(f"a packed stream ends {len(target) - position} bytes too early")
            target[position : position + len(part)] = part
            position += len(part)

    def close(self) -> None:
        """Check that everything was taken, and zlib's checksum of it.

        Raises
        ------
        ValueError
            If there is more, or the stream is cut off or damaged.
        """
        if self._part(1):
            raise ValueError("a packed stream holds more than it says")
        if not self._stream.eof:
            raise ValueError("a packed stream is cut off")

    def _part(self, most: int) -> bytes:
        """Return some of the bytes that come next; none at the end, or where the stream is cut."""
        while not self._stream.eof:
            piece: bytes | memoryview = self._stream.unconsumed_tail
            if not piece:
                piece = self._packed[self._position : self._position + PIECE]
                self._position += len(piece)
            try:
                part = self._stream.decompress(piece, min(most, PART))
            except zlib.error as error:
                raise ValueError(f"zlib: {error}") from error
            if part or not piece:
                return part
        return b""
