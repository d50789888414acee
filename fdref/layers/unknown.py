"""A layer that nobody here can compute: what a file says of it, so that the rest stays usable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fdref.arguments import text, whole_number
from fdref.errors import NetworkError, one_line
from fdref.geometry import LARGEST_NUMBER
from fdref.layers.base import Joining
from fdref.values import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fdref.geometry import Pair


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Unknown(Joining, Value):
    """A layer of a type that is none of ours, as files have them.

    It can be neither computed nor decoded, nor can what lies above it; what lies below can.

    Parameters
    ----------
    type : str
        What the file calls it.
    channels : int, optional
        Of its output; those of the first map that it takes by default.
    fields : mapping of str to str, optional
        What stands in the file, described: ``{"scale": "2"}``.
    name : str

    Examples
    --------
    >>> Unknown("SubP", fields={"scale": "2"}).kind
    'unknown SubP'
    """

    takes: ClassVar[tuple[int, int]] = (1, Joining.takes[1])
    type: str
    channels: int | None
    fields: tuple[tuple[str, str], ...]
    name: str

    def __init__(
        self,
        type: str,  # noqa: A002 - what files call it
        channels: int | None = None,
        fields: Mapping[str, str] | tuple[tuple[str, str], ...] = (),
        name: str = "",
    ) -> None:
        described = dict(fields)
        self.__dict__.update(
            type=text(type, "type"),
            channels=None
            if channels is None
            else whole_number(channels, "channels", 1, LARGEST_NUMBER),
            fields=tuple((text(k, "a field"), text(v, "a field")) for k, v in described.items()),
            name=text(name, "name"),
        )

    @property
    def kind(self) -> str:
        """What messages call it."""
        return f"unknown {one_line(self.type)}".strip()

    def channels_after(self, *channels: int) -> int:
        """Return the channels of the output, as far as somebody told."""
        return channels[0] if self.channels is None else self.channels

    def size_after(self, *sizes: Pair) -> Pair:  # noqa: ARG002 - as other layers
        """Refuse: nobody knows."""
        raise NetworkError("is of a type that fdref does not know, and so is the size of its map")
