"""A network: layers whose shapes fit each other."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.arrays import real_array
from fdref.errors import ArgumentError, FdrefError, NetworkError
from fdref.geometry import pair, whole_numbers
from fdref.layers import (
    BatchNorm,
    Channels,
    Concat,
    Conv,
    ConvTranspose,
    Layer,
    Pool,
    PReLU,
    Scale,
    Shuffle,
    weights,
)
from fdref.layers.base import Sliding
from fdref.wiring import Wiring, connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike

    from fdref.arrays import Array
    from fdref.geometry import Pair


class Network:
    """Immutable layers, checked against each other when they are put together.

    Layer l makes map l; map 0 is the input. Unless `wiring` says otherwise, a layer takes the map
    of the layer before it: a chain.

    Parameters
    ----------
    layers : sequence of layers
        In an order in which each layer comes after those whose maps it takes; at least one
        convolution among them. ``net[3]`` is layer 3, counted from 1, as in the paper;
        ``net["conv2"]`` the layer of that name.
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
    NetworkError
        Naming the layer, what it gets and what it expects.

    Examples
    --------
    >>> import fdref
    >>> net = fdref.load()
    >>> len(net), net[3].filters.shape, net.channels
    (8, (50, 20, 5, 5), (1, 20, 20, 50, 50, 500, 500, 10, 10))

    A residual block, whose sum takes the maps of two layers:

    >>> import numpy as np
    >>> block = fdref.Network(
    ...     [
    ...         fdref.Conv(np.ones((4, 4, 3, 3)), pad=1, name="conv"),
    ...         fdref.ReLU(),
    ...         fdref.Conv(np.ones((4, 4, 3, 3)), pad=1, name="branch"),
    ...         fdref.Sum(name="sum"),
    ...     ],
    ...     wiring={"sum": ["conv", "branch"]},
    ... )
    >>> block.takes
    ((), (0,), (1,), (2,), (1, 3))
    """

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
        self._layers = tuple(layers)
        for number, layer in enumerate(self._layers, 1):
            if not isinstance(layer, Layer):
                raise NetworkError(f"layer {number} is {layer!r}; expected one of fdref's layers")
        self._decodable = tuple(
            number
            for number, layer in enumerate(self._layers, 1)
            if isinstance(layer, Conv | ConvTranspose)
        )
        self._takes = ((), *connect(self._layers, wiring or {}))
        self._inputs = 1 - min(map(min, self._takes[1:]), default=0)
        self._average = None if average is None else _average(average)
        self._channels = self._count_channels(input_channels)
        self._input_size = None if input_size is None else pair(input_size, "input_size")
        if self._average is not None:
            self._check_average(self._average)
        if self._input_size is not None:
            self.map_sizes(self._input_size)
        self.classes = tuple(classes)
        self.provenance = provenance

    def _count_channels(self, input_channels: int | Sequence[int] | None) -> tuple[int, ...]:
        if not self.decodable:
            raise NetworkError("the network has no convolutional layer; there is nothing to decode")
        channels = self._input_channels(input_channels)
        for number, layer in enumerate(self._layers, 1):
            try:
                taken = [channels[below] for below in self._takes[number]]
                channels[number] = layer.channels_after(*taken)
            except NetworkError as error:
                raise NetworkError(f"{self.describe(number)}: {error}") from None
        self.input_channels = tuple(channels[-n] for n in range(self._inputs))
        return tuple(channels[n] for n in range(len(self) + 1))

    def _input_channels(self, given: int | Sequence[int] | None) -> dict[int, int]:
        """Return the channels of every input: as told, or as the first layer with weights needs."""
        if given is not None:
            counts = whole_numbers(given, "input_channels", (self._inputs,), least=1)
            return {-n: count for n, count in enumerate(counts)}
        channels = {0: len(self._average)} if self._average is not None else {}
        source = {-n: -n for n in range(self._inputs)}  # maps that have an input's channels
        for number, layer in enumerate(self._layers, 1):
            first = source.get(self._takes[number][0])
            own = own_channels(layer)
            if first is not None and own is not None:
                channels.setdefault(first, own)
            elif first is not None and keeps_channels(layer):
                source[number] = first
        for n in range(self._inputs):
            if -n not in channels:
                raise NetworkError(
                    f"no layer tells how many channels input {-n} has; name them with "
                    "input_channels"
                )
        return channels

    def _check_average(self, average: Array) -> None:
        count, *size = average.shape
        if count != self._channels[0]:
            raise NetworkError(
                f"the average image has {count} channels; expected {self._channels[0]}"
            )
        if size == [1, 1]:
            return
        if self._input_size is None:
            self._input_size = (size[0], size[1])
        if self._input_size != tuple(size):
            raise NetworkError(
                f"the average image is {size[0]}x{size[1]}; expected the network's input size, "
                f"{self._input_size[0]}x{self._input_size[1]}"
            )

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in order; ``layers[0]`` is layer 1."""
        return self._layers

    @property
    def average(self) -> Array | None:
        """The average image (C, H, W) or colour (C, 1, 1), read-only."""
        return self._average

    @property
    def input_size(self) -> Pair | None:
        """Height and width of the images the network was made for, where known."""
        return self._input_size

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the input (at 0) and of each layer's output (at its number)."""
        return self._channels

    @property
    def takes(self) -> tuple[tuple[int, ...], ...]:
        """The numbers of the maps that each layer takes (at its number); the input takes none."""
        return self._takes

    @property
    def inputs(self) -> int:
        """How many inputs there are: maps 0, -1, ..."""
        return self._inputs

    @cached_property
    def is_chain(self) -> bool:
        """Whether every layer takes the map of the layer before it, and nothing else."""
        return all(taken == (n,) for n, taken in enumerate(self._takes[1:]))

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """float32 if all weights are float32, else float64."""
        return np.result_type(*filter(None, map(_dtype, self._layers)))

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers)

    def __getitem__(self, layer: int | str) -> Layer:
        return self._layers[self.number(layer) - 1]

    def __repr__(self) -> str:
        kinds = ", ".join(layer.kind for layer in self._layers)
        return f"<Network of {len(self)} layers: {kinds}>"

    def number(self, layer: int | str) -> int:
        """Return the number, from 1, of a layer given by its number or name.

        Raises
        ------
        ArgumentError
            If there is no such layer, or more than one of that name.
        """
        if isinstance(layer, str):
            found = [n for n, own in enumerate(self._layers, 1) if own.name == layer != ""]
            if len(found) == 1:
                return found[0]
            names = ", ".join(repr(own.name) for own in self._layers if own.name) or "none"
            problem = f"layers {found} are all" if found else "no layer is"
            raise ArgumentError(f"{problem} named {layer!r}; the names are {names}")
        if isinstance(layer, bool) or not isinstance(layer, int | np.integer):
            raise ArgumentError(f"layer is {layer!r}; expected a number from 1 or a name")
        if not 1 <= layer <= len(self):
            raise ArgumentError(f"there is no layer {layer}; the layers are 1 to {len(self)}")
        return int(layer)

    def describe(self, number: int) -> str:
        """Return how messages call a layer, such as ``layer 3 (conv 'conv2')``."""
        layer = self._layers[number - 1]
        return f"layer {number} ({layer.kind}{f' {layer.name!r}' if layer.name else ''})"

    def groups(self, number: int) -> int:
        """Return the number of groups of a layer with filters."""
        layer = self._layers[number - 1]
        if isinstance(layer, ConvTranspose):
            return layer.groups
        channels = self.channels_of(self._takes[number][0])
        return channels // layer.filters.shape[1] if isinstance(layer, Conv) else 1

    def channels_of(self, number: int) -> int:
        """Return the channels of a map, which may be that of a further input (-1, ...)."""
        return self._channels[number] if number >= 0 else self.input_channels[-number]

    @property
    def decodable(self) -> tuple[int, ...]:
        """Numbers of the layers with filters, which are decoded when nobody says otherwise."""
        return self._decodable

    def map_sizes(self, input_size: int | Sequence[int]) -> tuple[Pair, ...]:
        """Return height and width of the input (at 0) and of each layer's output.

        Raises
        ------
        NetworkError
            If a layer's window does not fit into the map that it gets.

        Examples
        --------
        >>> import fdref
        >>> fdref.load().map_sizes(28)
        ((28, 28), (24, 24), (12, 12), (8, 8), (4, 4), (1, 1), (1, 1), (1, 1), (1, 1))
        """
        sizes = self.sizes_from([pair(input_size, "input_size")] * self._inputs)
        return tuple(sizes[n] for n in range(len(self) + 1))

    @cached_property
    def sizes(self) -> dict[int, Pair]:
        """Height and width of every map, of a network of known input size."""
        if self._input_size is None:
            raise ArgumentError("the size of the images is not known; give the network input_size")
        return self.sizes_from([self._input_size] * self._inputs)

    @cached_property
    def copies(self) -> dict[int, tuple[int, int]]:
        """For each map, how many copies unpooling makes of its pixel on the way to an input.

        The fewest, and the most, over all ways. Where all ways make as many, that is a common
        factor of the decoded filters and stays, as in the paper; where they do not, every pool
        divides by its own number of copies, the pixels of its stride, and the whole is multiplied
        by the fewest: so no branch weighs more for the pools that it goes through.
        """
        found = {-n: (1, 1) for n in range(self._inputs)}
        for number in range(1, len(self) + 1):
            layer, below = self.decoded_as[number], [found[n] for n in self._takes[number]]
            own = layer.stride[0] * layer.stride[1] if isinstance(layer, Pool) else 1
            found[number] = own * min(b[0] for b in below), own * max(b[1] for b in below)
        return found

    @cached_property
    def decoded_as(self) -> dict[int, Layer]:
        """The layers as decoding takes them, by number.

        A pool that yields a single position along an axis is spread over its whole window there,
        as if that were its stride.
        """
        layers = dict(enumerate(self._layers, 1))
        if self._input_size is not None:
            for number, layer in layers.items():
                size = self.sizes[number]
                if isinstance(layer, Pool) and 1 in size:
                    stride = [layer.window[a] if size[a] == 1 else layer.stride[a] for a in (0, 1)]
                    layers[number] = Pool(
                        layer.window, stride, layer.pad, layer.method, layer.name
                    )
        return layers

    def sizes_from(self, input_sizes: Sequence[Pair]) -> dict[int, Pair]:
        """Return height and width of every map, given those of every input: 0, -1, ..."""
        sizes = {-n: size for n, size in enumerate(input_sizes)}
        for number, layer in enumerate(self._layers, 1):
            below = [sizes[n] for n in self._takes[number]]
            try:
                sizes[number] = layer.size_after(*below)
            except NetworkError as error:
                raise NetworkError(f"{self.describe(number)}: {error}") from None
            if 0 in sizes[number]:
                raise NetworkError(
                    f"{self.describe(number)} {_does_not_fit(layer, below[0])} for images of "
                    f"{sizes[0][0]}x{sizes[0][1]}; expected larger images"
                )
        return sizes

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
            For another shape, or a dtype that is not a number's.

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
        prepared: Array = pixels.astype(self.dtype)
        if self._average is not None:
            prepared -= self._average.astype(self.dtype)
        return prepared

    def check_images(self, images: Array, *further: Array) -> None:
        """Raise ArgumentError unless images (N, C, H, W) can be this network's input.

        `further` are the maps of a network of several inputs.
        """
        for maps, count in zip((images, *further), self.input_channels, strict=False):
            if maps.ndim != 4 or maps.shape[1] != count:
                either = f"(N, H, W) or (N, {count}, H, W)" if count == 1 else f"(N, {count}, H, W)"
                raise ArgumentError(f"images have shape {maps.shape}; expected {either}")
            if 0 in maps.shape[2:]:
                raise ArgumentError(
                    f"images are {maps.shape[2]}x{maps.shape[3]}; expected at least one pixel"
                )
            if len(maps) != len(images):
                raise ArgumentError(
                    f"the inputs are of {len(images)} and {len(maps)} images; expected as many"
                )
        size = images.shape[2:]
        if self._average is not None and self._average.shape[1:] not in ((1, 1), size):
            raise ArgumentError(
                f"images are {size[0]}x{size[1]}; expected {self._average.shape[1]}x"
                f"{self._average.shape[2]}, the size of the network's average image"
            )
        sizes = [(maps.shape[2], maps.shape[3]) for maps in (images, *further)]
        try:
            self.sizes_from(sizes + [sizes[0]] * (self._inputs - len(sizes)))
        except FdrefError as error:
            raise ArgumentError(str(error)) from None


def _does_not_fit(layer: Layer, size: Pair) -> str:
    """Say why nothing comes out of a layer."""
    map_size = f"map of {size[0]}x{size[1]}"
    if isinstance(layer, Sliding):
        window = f"{layer.window[0]}x{layer.window[1]}"
        return (
            f"has a {window} window, which does not fit into its {map_size} (pad {list(layer.pad)})"
        )
    return f"leaves nothing of its {map_size}"


def _average(values: ArrayLike) -> Array:
    array = np.asarray(values)
    return weights(
        array[:, None, None] if array.ndim == 1 else array, "the average image's pixels", ndim=3
    )


def own_channels(layer: Layer) -> int | None:
    """Return how many channels a layer's weights are made for, as if it had one group."""
    match layer:
        case Conv(filters=filters):
            return int(filters.shape[1])
        case ConvTranspose(filters=filters):
            return len(filters)
        case BatchNorm(gain=gain):
            return len(gain)
        case Scale(factor=factor):
            return len(factor)
        case PReLU(leak=leak):
            return len(leak)
        case _:
            return None


def keeps_channels(layer: Layer) -> bool:
    """Tell whether the output of a layer without weights has the channels of its first map."""
    return not isinstance(layer, Concat | Channels | Shuffle)


def _dtype(layer: Layer) -> np.dtype[Any] | None:
    match layer:
        case Conv(filters=weights) | ConvTranspose(filters=weights):
            return weights.dtype
        case BatchNorm(gain=weights) | Scale(factor=weights) | PReLU(leak=weights):
            return weights.dtype
        case _:
            return None
