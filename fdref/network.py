"""A network: layers whose shapes fit each other."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.arguments import instance, shown, text, texts, whole, whole_number
from fdref.arrays import in_precision, real_array
from fdref.errors import ArgumentError, FdrefError, NetworkError, one_line
from fdref.fitting import channels_after, own_channels, read_average, read_layers, window_of
from fdref.geometry import (
    LARGEST_NUMBER,
    ReceptiveField,
    output_size,
    padded_size,
    pair,
    stacks_of_windows,
)
from fdref.layers import BatchNorm, Conv, Layer, check_range
from fdref.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike

    from fdref.arrays import Array
    from fdref.geometry import Pair

KINDS_SHOWN = 20
"""Layers that `repr` names."""


ALWAYS = 2**27
"""Numbers that the maps of one image may have, however small it is."""
EXPANSION = 1024
"""Numbers that they may have for each of a larger image's; beyond that a padding is damaged."""


class Network(Value):
    """An immutable chain of layers, checked against each other when it is put together.

    Iterating yields the layers in order; ``in`` finds a layer, or whether there is one of a name or
    number. Networks of equal layers and equal particulars are equal; a copy is the network itself.

    Parameters
    ----------
    layers : sequence of layers
        At least one convolution among them. ``net[3]`` is layer 3, counted from 1, as in the
        paper; ``net["conv2"]`` the layer of that name.
    average : (C, H, W) or (C,) array, optional
        The average image or colour of the training set, which `prepare` subtracts.
    input_size : int or (height, width), optional
        Pixels of the images the network was made for; an average image implies its own.
    input_channels : int, optional
        Channels of those images. Without it (and without an average) the first layer with weights
        tells, as if it had one group.
    classes : sequence of str
        What the outputs stand for.
    provenance : str
        Where the weights come from.

    Raises
    ------
    NetworkError, ArgumentError
        Naming the layer, what it gets and what it expects; or what is no size, number or text.

    Examples
    --------
    >>> import fdref
    >>> net = fdref.load()
    >>> len(net), net[3].filters.shape, net.channels
    (8, (50, 20, 5, 5), (1, 20, 20, 50, 50, 500, 500, 10, 10))
    """

    _layers: tuple[Layer, ...]
    _decodable: tuple[int, ...]
    _average: Array | None
    _channels: tuple[int, ...]
    _input_size: Pair | None
    _classes: tuple[str, ...]
    _provenance: str

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        average: ArrayLike | None = None,
        input_size: int | Sequence[int] | None = None,
        input_channels: int | None = None,
        classes: Sequence[str] = (),
        provenance: str = "",
    ) -> None:
        self.__dict__["_layers"] = read_layers(layers)
        self.__dict__["_decodable"] = tuple(
            number for number, layer in enumerate(self._layers, 1) if isinstance(layer, Conv)
        )
        mean = None if average is None else read_average(average)
        self.__dict__["_average"] = mean
        self.__dict__["_channels"] = self._chain_channels(input_channels)
        size = None if input_size is None else pair(input_size, "input_size")
        self.__dict__["_input_size"] = size if mean is None else self._size_with(mean, size)
        if self._input_size is not None:
            self.map_sizes(self._input_size)
        self._check_ranges()
        self.__dict__["_classes"] = texts(classes, "classes")
        self.__dict__["_provenance"] = text(provenance, "provenance")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot set {name!r}: networks do not change; make another Network")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot delete {name!r}: networks do not change")

    def parts(self) -> dict[str, Any]:
        """Return the arguments that make an equal network."""
        return {
            "layers": self._layers,
            "average": self._average,
            "input_size": self._input_size,
            "input_channels": self._channels[0],
            "classes": self._classes,
            "provenance": self._provenance,
        }

    def _chain_channels(self, input_channels: int | None) -> tuple[int, ...]:
        if not self.decodable:
            raise NetworkError("the network has no convolutional layer; there is nothing to decode")
        if input_channels is not None:
            channels = [whole_number(input_channels, "input_channels", 1, LARGEST_NUMBER)]
        elif self._average is not None:
            channels = [len(self._average)]
        else:
            channels = [next(filter(None, map(own_channels, self._layers)))]
        for number, layer in enumerate(self._layers, 1):
            try:
                channels.append(channels_after(layer, channels[-1]))
            except NetworkError as error:
                raise NetworkError(f"{self.describe(number)}: {error}") from None
        return tuple(channels)

    def _size_with(self, average: Array, input_size: Pair | None) -> Pair | None:
        """Return the input's size, which an average image implies."""
        count, height, width = average.shape
        if count != self._channels[0]:
            raise NetworkError(
                f"the average image has {count} channels; expected {self._channels[0]}"
            )
        if (height, width) == (1, 1) or input_size is not None:
            return input_size  # one of another size is `prepare`'s trouble: decoding needs none
        return height, width

    def _check_ranges(self) -> None:
        """All is computed in the filters' precision; what it cannot hold would be infinite."""
        for number, layer in enumerate(self._layers, 1):
            try:
                check_range(layer, self.dtype)
            except FdrefError as error:
                raise NetworkError(f"{self.describe(number)}: {error}") from None
        if self._average is not None:
            try:
                in_precision(self._average, self.dtype, "the average image's pixels")
            except ArgumentError as error:
                raise NetworkError(str(error)) from None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in order; ``layers[0]`` is layer 1."""
        return self._layers

    @property
    def average(self) -> Array | None:
        """The average image (C, H, W) or colour (C, 1, 1), read-only."""
        return None if self._average is None else self._average.view()

    @property
    def input_size(self) -> Pair | None:
        """Height and width of the images the network was made for, where known."""
        return self._input_size

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the input (at 0) and of each layer's output (at its number)."""
        return self._channels

    @property
    def classes(self) -> tuple[str, ...]:
        """What the outputs stand for."""
        return self._classes

    @property
    def provenance(self) -> str:
        """Where the weights come from."""
        return self._provenance

    @cached_property
    def fields(self) -> tuple[ReceptiveField, ...]:
        """What a pixel of the input (at 0) and of each layer's output sees of the input."""
        return tuple(stacks_of_windows(map(window_of, self._layers)))

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """float32 if all weights are float32, else float64."""
        found = [layer.filters.dtype for layer in self._layers if isinstance(layer, Conv)]
        found += [layer.gain.dtype for layer in self._layers if isinstance(layer, BatchNorm)]
        return np.result_type(*found)

    @cached_property
    def _hash(self) -> int:
        return super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers)

    def __reversed__(self) -> Iterator[Layer]:
        return reversed(self._layers)

    def __contains__(self, item: object) -> bool:
        if isinstance(item, str):
            return any(layer.name == item != "" for layer in self._layers)
        if isinstance(item, Layer):
            return item in self._layers
        number = whole(item)
        return number is not None and 1 <= number <= len(self)

    def __getitem__(self, layer: int | str) -> Layer:
        return self._layers[self.number(layer) - 1]

    def __repr__(self) -> str:
        kinds = [layer.kind for layer in self._layers[:KINDS_SHOWN]]
        more = ["..."] if len(self) > KINDS_SHOWN else []
        return f"<Network of {len(self)} layers: {', '.join(kinds + more)}>"

    def number(self, layer: int | str) -> int:
        """Return the number, from 1, of a layer given by its number or name.

        Raises
        ------
        ArgumentError
            If there is no such layer, or more than one of that name.
        """
        if isinstance(layer, str):
            found = self._numbers.get(layer, [])
            if len(found) == 1:
                return found[0]
            names = ", ".join(repr(one_line(name)) for name in self._numbers) or "none"
            problem = f"layers {found} are all" if found else "no layer is"
            raise ArgumentError(f"{problem} named {layer!r}; the names are {names}")
        number = whole(layer)
        if number is None:
            raise ArgumentError(f"layer is {shown(layer)}; expected a number from 1 or a name")
        if not 1 <= number <= len(self):
            raise ArgumentError(
                f"there is no layer {shown(number)}; the layers are 1 to {len(self)}"
            )
        return number

    @cached_property
    def _numbers(self) -> dict[str, list[int]]:
        """The numbers of the layers of each name."""
        numbers: dict[str, list[int]] = {}
        for number, layer in enumerate(self._layers, 1):
            if layer.name:
                numbers.setdefault(layer.name, []).append(number)
        return numbers

    def describe(self, layer: int | str) -> str:
        """Return how messages call a layer, such as ``layer 3 (conv 'conv2')``."""
        number = self.number(layer)
        own = self._layers[number - 1]
        return f"layer {number} ({own.kind}{f' {one_line(own.name)!r}' if own.name else ''})"

    def groups(self, layer: int | str) -> int:
        """Return the number of filter groups of a convolution: channels it gets / filter's own."""
        number = self.number(layer)
        own, channels = self._layers[number - 1], self._channels[number - 1]
        return channels // own.filters.shape[1] if isinstance(own, Conv) else 1

    @property
    def decodable(self) -> tuple[int, ...]:
        """Numbers of the layers whose filters can be decoded: the convolutions."""
        return self._decodable

    def map_sizes(self, input_size: int | Sequence[int]) -> tuple[Pair, ...]:
        """Return height and width of the input (at 0) and of each layer's output.

        Raises
        ------
        NetworkError
            If a layer's window does not fit into the map that it gets, or padding makes the maps
            of one image larger than 1024 times the image, and than 2^27 numbers.

        Examples
        --------
        >>> import fdref
        >>> fdref.load().map_sizes(28)
        ((28, 28), (24, 24), (12, 12), (8, 8), (4, 4), (1, 1), (1, 1), (1, 1), (1, 1))
        """
        sizes = [pair(input_size, "input_size")]
        held = self._channels[0] * prod(sizes[0])
        most = max(ALWAYS, EXPANSION * held)
        for number, layer in enumerate(self._layers, 1):
            window, stride, pad = window_of(layer)
            sizes.append(output_size(sizes[-1], window, stride, pad))
            held += self._channels[number] * prod(sizes[-1])
            padded = self._channels[number - 1] * prod(padded_size(sizes[-2], pad))
            if held + padded > most:
                raise NetworkError(
                    f"{self.describe(number)} (pad {list(pad)}) brings the maps of one image of "
                    f"{_by(sizes[0])} to {held + padded} numbers; expected at most {most}: the "
                    "padding is damaged, or the image too small for the network"
                )
            if 0 in sizes[-1]:
                raise NetworkError(
                    f"{self.describe(number)} has a {window[0]}x{window[1]} window, which does not "
                    f"fit into its map of {sizes[-2][0]}x{sizes[-2][1]} (pad {list(pad)}) for "
                    f"images of {sizes[0][0]}x{sizes[0][1]}; expected larger images"
                )
        return tuple(sizes)

    def prepare(self, images: ArrayLike) -> Array:
        """Turn pictures into the network's input: subtract the average image or colour.

        Parameters
        ----------
        images : (N, H, W) or (N, C, H, W) array
            Pixels from 0 to 255. Without channels, they are grey.

        Returns
        -------
        (N, C, H, W) array of the network's dtype

        Raises
        ------
        ArgumentError
            For another shape or a dtype that is not a number's; or if the average image is
            of another size than its input.

        Examples
        --------
        >>> import fdref
        >>> net = fdref.load()
        >>> net.prepare(fdref.mnist().test.images[:2]).shape
        (2, 1, 28, 28)
        """
        pixels = real_array(images, "images")
        if pixels.ndim == 3:
            pixels = pixels[:, None]
        self.check_images(pixels)
        if not self._average_fits():
            average = () if self._average is None else self._average.shape[1:]
            raise ArgumentError(
                f"the network's average image is {_by(average)}, its input "
                f"{_by(self._input_size or ())}; expected the same size: cut the right part out of "
                "`net.average`, and subtract it or give it to a new fdref.Network"
            )
        prepared: Array = np.array(in_precision(pixels, self.dtype, "images"))
        if self._average is not None:
            prepared -= self._average.astype(self.dtype)
        return prepared

    def _average_fits(self) -> bool:
        """Tell whether the average, if any, is a colour or of the input's size."""
        own = (1, 1) if self._average is None else self._average.shape[1:]
        return own in ((1, 1), self._input_size)

    def check_images(self, images: Array) -> None:
        """Raise ArgumentError unless images (N, C, H, W) can be this network's input."""
        count = self._channels[0]
        if images.ndim != 4 or images.shape[1] != count:
            either = f"(N, H, W) or (N, {count}, H, W)" if count == 1 else f"(N, {count}, H, W)"
            raise ArgumentError(f"images have shape {images.shape}; expected {either}")
        size = images.shape[2:]
        average = (1, 1) if self._average is None else self._average.shape[1:]
        if average not in ((1, 1), size) and self._average_fits():
            raise ArgumentError(
                f"images are {_by(size)}; expected {_by(average)}, the size of the network's "
                "average image"
            )
        if 0 in size:
            raise ArgumentError(f"images are {size[0]}x{size[1]}; expected at least one pixel")
        try:
            self.map_sizes(size)
        except FdrefError as error:
            raise ArgumentError(str(error)) from None


def receptive_field(net: Network, layer: int | str) -> ReceptiveField:
    """Return what a layer's pixels see of the input: size, stride (the jump) and offset.

    Raises
    ------
    ArgumentError
        If there is no such layer.

    Examples
    --------
    >>> import fdref
    >>> fdref.receptive_field(fdref.load(), layer=3)
    ReceptiveField(size=(14, 14), stride=(2, 2), offset=(0, 0))
    """
    number = instance(net, Network, "net").number(layer)
    return net.fields[number]


def _by(size: Sequence[int]) -> str:
    return "x".join(map(str, size))
