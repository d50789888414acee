"""A network: layers whose shapes fit each other."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.arguments import shown, text, texts, whole
from fdref.arrays import in_precision
from fdref.errors import ArgumentError, FdrefError, NetworkError, one_line
from fdref.geometry import pair
from fdref.layers import Conv, ConvTranspose, Layer, Pool
from fdref.layers.ranges import check_range
from fdref.network.fields import fields_from_below, filters_in_the_image
from fdref.network.fitting import (
    input_channels_of,
    precision_of,
    read_average,
    read_layers,
)
from fdref.network.images import subtract_average
from fdref.network.sizes import sizes_from
from fdref.network.wiring import connect
from fdref.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike

    from fdref.arrays import Array
    from fdref.geometry import Pair, ReceptiveField
    from fdref.network.wiring import Wiring

KINDS_SHOWN = 20
"""Layers that `repr` names."""


class Network(Value):
    """Immutable layers, checked against each other when they are put together.

    Layer l makes map l; map 0 is the input. Unless `wiring` says otherwise, a layer takes the map
    of the layer before it: a chain.

    Iterating yields the layers in order; ``in`` finds a layer, or whether there is one of a name or
    number. Networks of equal layers and equal particulars are equal; a copy is the network itself.

    Parameters
    ----------
    layers : sequence of layers
        Each after those whose maps it takes; at least one convolution among them. ``net[3]`` is
        layer 3, counted from 1, as in the paper; ``net["conv2"]`` the layer of that name.
    wiring : mapping, optional
        For the layers that are not fed by the one before: ``{layer: what it takes}``, each by
        number or name, one or a sequence. 0 or "input" is the input; -1, -2, ... further inputs.
    average : (C, H, W) or (C,) array, optional
        The average image or colour of the training set, which `prepare` subtracts.
    input_size : int or (height, width), optional
        Pixels of the images the network was made for; an average image implies its own.
    input_channels : int, or a sequence with one for each input, optional
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

    A residual block, whose sum takes the maps of two layers:

    >>> import numpy as np
    >>> weights = np.ones((4, 4, 3, 3))
    >>> block = fdref.Network(
    ...     [
    ...         fdref.Conv(weights, pad=1, name="conv"),
    ...         fdref.ReLU(),
    ...         fdref.Conv(weights, pad=1, name="branch"),
    ...         fdref.Sum(name="sum"),
    ...     ],
    ...     wiring={"sum": ["conv", "branch"]},
    ... )
    >>> block.takes
    ((), (0,), (1,), (2,), (1, 3))
    """

    _layers: tuple[Layer, ...]
    _average: Array | None
    _takes: tuple[tuple[int, ...], ...]
    _channels: tuple[int, ...]
    _input_channels: tuple[int, ...]
    _input_size: Pair | None
    _classes: tuple[str, ...]
    _provenance: str

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        wiring: Wiring | None = None,
        average: ArrayLike | None = None,
        input_size: int | Sequence[int] | None = None,
        input_channels: int | Sequence[int] | None = None,
        classes: Sequence[str] = (),
        provenance: str = "",
    ) -> None:
        self.__dict__["_layers"] = read_layers(layers)
        if not any(isinstance(layer, Conv | ConvTranspose) for layer in self._layers):
            kinds = ", ".join(dict.fromkeys(layer.kind for layer in self._layers)) or "no layer"
            raise NetworkError(
                f"the network has no convolutional layer, but {one_line(kinds)}; there is nothing "
                "to decode"
            )
        self.__dict__["_takes"] = ((), *connect(self._layers, wiring or {}))
        mean = None if average is None else read_average(average)
        self.__dict__["_average"] = mean
        known = None if mean is None else len(mean)
        self.__dict__["_input_channels"] = input_channels_of(
            self._layers, self._takes, input_channels, known
        )
        self.__dict__["_channels"] = self._count_channels()
        size = None if input_size is None else pair(input_size, "input_size")
        self.__dict__["_input_size"] = size if mean is None else self._size_with(mean, size)
        if self._input_size is not None:
            self.sizes  # noqa: B018 - all windows fit
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
            "wiring": {} if self.is_chain else dict(enumerate(self._takes[1:], 1)),
            "average": self._average,
            "input_size": self._input_size,
            "input_channels": self._input_channels,
            "classes": self._classes,
            "provenance": self._provenance,
        }

    def _count_channels(self) -> tuple[int, ...]:
        channels = {-n: count for n, count in enumerate(self._input_channels)}
        for number, layer in enumerate(self._layers, 1):
            try:
                taken = [channels[below] for below in self._takes[number]]
                channels[number] = layer.channels_after(*taken)
            except NetworkError as error:
                raise NetworkError(f"{self.describe(number)}: {error}") from None
        return tuple(channels[n] for n in range(len(self) + 1))

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

    @property
    def takes(self) -> tuple[tuple[int, ...], ...]:
        """The numbers of the maps that each layer takes (at its number); the input takes none."""
        return self._takes

    @property
    def input_channels(self) -> tuple[int, ...]:
        """Channels of every input: of maps 0, -1, ..."""
        return self._input_channels

    @property
    def inputs(self) -> int:
        """How many inputs there are."""
        return len(self._input_channels)

    @cached_property
    def is_chain(self) -> bool:
        """Whether every layer takes the map of the layer before it, and nothing else."""
        return all(taken == (n,) for n, taken in enumerate(self._takes[1:]))

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """float32 if all weights are float32, else float64."""
        return np.result_type(*filter(None, map(precision_of, self._layers)))

    @cached_property
    def _hash(self) -> int:
        return hash((self._layers, self._takes))

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
        number = layer if type(layer) is int else whole(layer)  # asked for in every loop
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
        """Return the number of groups of a layer with filters: channels it gets / filter's own."""
        number = self.number(layer)
        own = self._layers[number - 1]
        if isinstance(own, ConvTranspose):
            return own.groups
        channels = self.channels_of(self._takes[number][0])
        return channels // own.filters.shape[1] if isinstance(own, Conv) else 1

    def channels_of(self, number: int) -> int:
        """Return the channels of a map, which may be that of a further input (-1, ...)."""
        return self._channels[number] if number >= 0 else self._input_channels[-number]

    @cached_property
    def decodable(self) -> tuple[int, ...]:
        """Numbers of the layers with filters, which are decoded when nobody says otherwise.

        Without those that have none in the image: see `fdref.decode`.
        """
        numbers = filters_in_the_image(self)
        return tuple(n for n in numbers if isinstance(self._layers[n - 1], Conv | ConvTranspose))

    def map_sizes(self, input_size: int | Sequence[int]) -> tuple[Pair, ...]:
        """Return height and width of the input (at 0) and of each layer's output.

        Raises
        ------
        NetworkError
            If a layer's window does not fit into the map that it gets, or padding makes the maps
            of one image larger than 1024 times the image, and than 2^27 numbers; if a layer is of
            unknown type.

        Examples
        --------
        >>> import fdref
        >>> fdref.load().map_sizes(28)
        ((28, 28), (24, 24), (12, 12), (8, 8), (4, 4), (1, 1), (1, 1), (1, 1), (1, 1))
        """
        sizes = sizes_from(self, [pair(input_size, "input_size")] * self.inputs)
        for number in range(1, len(self) + 1):
            if number not in sizes:
                raise NetworkError(f"the size of the map of {self.describe(number)} is not known")
        return tuple(sizes[n] for n in range(len(self) + 1))

    @cached_property
    def sizes(self) -> dict[int, Pair]:
        """Height and width of every map that is known, of a network of known input size."""
        if self._input_size is None:
            raise ArgumentError("the size of the images is not known; give the network input_size")
        return sizes_from(self, [self._input_size] * self.inputs)

    @cached_property
    def fields(self) -> dict[int, ReceptiveField | None]:
        """What the pixels of each map see of the image, where neighbours see the same, moved."""
        return fields_from_below(self)

    @cached_property
    def decoded_as(self) -> dict[int, Layer]:
        """The layers as decoding takes them, by number.

        A pool that yields a single position along an axis is spread over its whole window there,
        as if that were its stride.
        """
        layers = dict(enumerate(self._layers, 1))
        if self._input_size is not None:
            for number, layer in layers.items():
                size = self.sizes.get(number, ())
                if isinstance(layer, Pool) and 1 in size:
                    stride = [layer.window[a] if size[a] == 1 else layer.stride[a] for a in (0, 1)]
                    layers[number] = Pool(layer.window, stride, layer.pad, layer.method, layer.name)
        return layers

    @cached_property
    def copies(self) -> dict[int, tuple[int, int]]:
        """For each map, how many copies unpooling makes of its pixel on the way to an input.

        The fewest, and the most, over all ways. Where all ways make as many, that is a common
        factor of the decoded filters and stays, as in the paper; where they do not, every pool
        divides by its own number of copies, the pixels of its stride, and the whole is multiplied
        by the fewest: so no branch weighs more for the pools that it goes through.
        """
        found = {-n: (1, 1) for n in range(self.inputs)}
        for number, layer in self.decoded_as.items():
            below = [found[n] for n in self._takes[number]]
            own = layer.stride[0] * layer.stride[1] if isinstance(layer, Pool) else 1
            found[number] = own * min(b[0] for b in below), own * max(b[1] for b in below)
        return found

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
        return subtract_average(self, images)
