"""A network put together from a file's layers, each translated and put on those before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fdref.arguments import elements, shown
from fdref.errors import ArgumentError, FileError, NetworkError, one_line
from fdref.layers import (
    Channels,
    Concat,
    Conv,
    ConvTranspose,
    Layer,
    Product,
    Shuffle,
    Unknown,
    Upsample,
)
from fdref.network.fitting import own_channels
from fdref.network.graph import Network
from fdref.weights.stored import label_of
from fdref.weights.structs import as_in_matlab, brief

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fdref.geometry import Pair
    from fdref.weights.stored import Edit, Hook, Stored

BOOKKEEPING = ("type", "name", "precious", "learningRate", "weightDecay", "momentum")
"""Fields that say nothing of what a layer computes."""
NOTHING = ("", "empty", "cell of 0")


@dataclass(frozen=True)
class Map:
    """What is known of a map while a network is put together."""

    number: int
    """as networks count them: 0 is the image, 1 the map of layer 1"""
    channels: int | None = None
    size: Pair | None = None
    root: int | None = None
    """the number of the map, an input's or an unknown layer's, that has the same channels"""


Translate: TypeAlias = "Callable[[Stored, Sequence[Map]], Layer | None]"
"""to one of our layers; to none where the type is unknown"""


class Assembly:
    """A network in the making.

    Parameters
    ----------
    inputs : sequence of str
        Names of the maps that come from outside, the image first.
    channels : int or None
        Of the image, where known.
    size : (height, width) or None
        Of all inputs, where known.
    """

    def __init__(self, inputs: Sequence[str], channels: int | None, size: Pair | None) -> None:
        self.maps = {name: Map(-n, None, size, root=-n) for n, name in enumerate(inputs)}
        self.inputs = len(inputs)
        self.told: dict[int, int] = {} if channels is None else {0: channels}
        self.layers: list[Layer] = []
        self.takes: list[tuple[int, ...]] = []
        self.sharing: dict[tuple[str, ...], Layer] = {}

    def add(self, layers: Sequence[Stored], translate: Translate, edit: Edit) -> None:
        """Translate layers in their order, but for those left out.

        Raises
        ------
        NetworkError, FileError
            Naming the layer.
        """
        dropped = edit.dropped(layers)
        for number, stored in enumerate(layers, 1):
            try:
                if number not in dropped:
                    self._add(stored, translate, edit.hooks)
                elif len(stored.takes) == 1:  # whoever takes its map takes what it took
                    self.maps[stored.gives] = self._map(stored.takes[0])
            except (NetworkError, ArgumentError, FileError) as error:
                family = FileError if isinstance(error, FileError) else NetworkError
                raise family(f"{label_of(number, stored)}: {error}") from None

    def network(self, **particulars: Any) -> Network:
        """Return what has been put together; particulars are those of `fdref.Network`.

        Raises
        ------
        NetworkError
            If it does not fit.
        """
        channels = [self.told.get(-n) for n in range(self.inputs)]
        layers = [
            with_parts(layer, channels=self.told.get(number))
            if isinstance(layer, Unknown)
            else layer
            for number, layer in enumerate(self.layers, 1)
        ]
        first = channels[0]
        told = None if first is None else [first if n is None else n for n in channels]
        wiring: dict[int | str, Sequence[int | str]] = dict(enumerate(self.takes, 1))
        try:
            return Network(layers, wiring=wiring, input_channels=told, **particulars)
        except ArgumentError as error:
            raise NetworkError(str(error)) from None

    @property
    def channels(self) -> int | None:
        """Channels of the image, as far as they are known."""
        return self.told.get(0)

    def _map(self, name: str) -> Map:
        """Return a map as it is known by now."""
        if name not in self.maps:
            raise NetworkError(
                f"it takes the map {one_line(name)!r}, but the layer that makes it, of several "
                "maps, is left out; leave this one out, too"
            )
        found = self.maps[name]
        channels = found.channels if found.root is None else self.told.get(found.root)
        return Map(found.number, channels, found.size, found.root)

    def _add(self, stored: Stored, translate: Translate, hooks: Mapping[str, Hook]) -> None:
        """Translate one layer and put it, or the row that it becomes, on what it takes."""
        taken = [self._map(name) for name in stored.takes]
        row = _translated(stored, taken, translate, hooks)
        if stored.shares and len(row) == 1:
            row = [_sharing(row[0], self.sharing.setdefault(stored.shares, row[0]))]
        if isinstance(row[0], Product):
            taken = self._repeated(taken, row[0].name)
        for layer in row:
            taken = [self._put(layer, taken[: layer.takes[1]])]  # a crop looks at a second map
        self.maps[stored.gives] = taken[0]

    def _repeated(self, maps: Sequence[Map], name: str) -> list[Map]:
        """Repeat single pixels to the size of the other maps, as MATLAB's `bsxfun` does."""
        sizes = [one.size for one in maps if one.size is not None]
        if len(sizes) < len(maps):
            return list(maps)
        height, width = (max(size[axis] for size in sizes) for axis in (0, 1))
        found = []
        for one, (rows, columns) in zip(maps, sizes, strict=True):
            factor = (height if rows == 1 else 1, width if columns == 1 else 1)
            repeat = Upsample(factor, f"{name}: all pixels")
            found.append(one if factor == (1, 1) else self._put(repeat, [one]))
        return found

    def _put(self, layer: Layer, taken: Sequence[Map]) -> Map:
        """Add a layer, and tell what is known of its map."""
        own, first = own_channels(layer), taken[0] if taken else Map(0)
        if own is not None and first.channels is None and first.root is not None:
            self.told[first.root] = own  # as if it had one group
        self.layers.append(layer)
        self.takes.append(tuple(one.number for one in taken))
        number, sizes = len(self.layers), [one.size for one in taken]
        if isinstance(layer, Unknown):
            return Map(number, layer.channels, None, number if layer.channels is None else None)
        channels, root = self._channels(layer, taken)
        known = [size for size in sizes if size is not None]
        size = layer.size_after(*known) if len(known) == len(taken) else None
        return Map(number, channels, size, root)

    def _channels(self, layer: Layer, taken: Sequence[Map]) -> tuple[int | None, int | None]:
        """Return the channels of a layer's map, or the root that will tell them."""
        counts = [one.channels if one.root is None else self.told.get(one.root) for one in taken]
        known = [count for count in counts if count is not None]
        if len(known) == len(taken):
            return layer.channels_after(*known), None
        match layer:
            case Conv(filters=filters):
                return len(filters), None
            case ConvTranspose(filters=filters, groups=groups):
                return filters.shape[1] * groups, None
            case Concat() | Channels() | Shuffle():
                return None, None
        return None, taken[0].root


def _translated(
    stored: Stored, taken: Sequence[Map], translate: Translate, hooks: Mapping[str, Hook]
) -> list[Layer]:
    """Return what becomes of one of a file's layers: one of ours, or several in a row."""
    hook = hooks.get(stored.kind)
    if hook is None:
        return [translate(stored, taken) or unknown(stored)]
    fields: dict[str, Any] = {key: as_in_matlab(value) for key, value in stored.fields.items()}
    made = hook({**fields, "input_channels": taken[0].channels if taken else None})
    several = [made] if isinstance(made, Layer) else elements(made)
    row = [one for one in several or [] if isinstance(one, Layer)]
    if not several or len(row) < len(several):
        raise ArgumentError(
            f"the function for layers of type {one_line(stored.kind)!r} returned {shown(made)}; "
            "expected a layer, or several in a row"
        )
    return [*row[:-1], row[-1] if row[-1].name else with_parts(row[-1], name=stored.name)]


def unknown(stored: Stored) -> Unknown:
    """Return a layer that stands for one that nobody translates."""
    fields = {
        key: brief(value)
        for key, value in stored.fields.items()
        if key not in BOOKKEEPING and brief(value) not in NOTHING
    }
    return Unknown(stored.kind, None, fields, stored.name)


def with_parts(layer: Any, **parts: Any) -> Any:
    """Return a layer with other parts."""
    return type(layer)(**{**layer.parts(), **parts})


def _sharing(layer: Layer, earlier: Layer) -> Layer:
    """Let a layer have the very arrays of an earlier one of the same weights."""
    if layer is earlier or type(layer) is not type(earlier):
        return layer
    theirs = earlier.parts()
    same = {
        name: theirs[name]
        for name, part in layer.parts().items()
        if isinstance(part, np.ndarray) and np.array_equal(part, theirs[name])
    }
    shared: Layer = with_parts(layer, **same)
    return shared
