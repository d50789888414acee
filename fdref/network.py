"""A network: layers whose shapes fit each other."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.arrays import in_precision, real_array
from fdref.errors import ArgumentError, FdrefError, NetworkError
from fdref.geometry import ReceptiveField, output_size, pair, stack_windows
from fdref.layers import BatchNorm, Conv, Layer, Pool, check_range, weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike

    from fdref.arrays import Array
    from fdref.geometry import Margins, Pair


class Network:
    """An immutable chain of layers, checked against each other when it is put together.

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
    NetworkError
        Naming the layer, what it gets and what it expects.

    Examples
    --------
    >>> import fdref
    >>> net = fdref.load()
    >>> len(net), net[3].filters.shape, net.channels
    (8, (50, 20, 5, 5), (1, 20, 20, 50, 50, 500, 500, 10, 10))
    """

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
        self._layers = tuple(layers)
        for number, layer in enumerate(self._layers, 1):
            if not isinstance(layer, Layer):
                raise NetworkError(f"layer {number} is {layer!r}; expected one of fdref's layers")
        self._decodable = tuple(
            number for number, layer in enumerate(self._layers, 1) if isinstance(layer, Conv)
        )
        self._average = None if average is None else _average(average)
        self._channels = self._chain_channels(input_channels)
        self._input_size = None if input_size is None else pair(input_size, "input_size")
        if self._average is not None:
            self._check_average(self._average)
        if self._input_size is not None:
            self.map_sizes(self._input_size)
        self._check_ranges()
        self.classes = tuple(classes)
        self.provenance = provenance

    def _chain_channels(self, input_channels: int | None) -> tuple[int, ...]:
        if not self.decodable:
            raise NetworkError("the network has no convolutional layer; there is nothing to decode")
        if input_channels is not None:
            channels = [pair(input_channels, "input_channels")[0]]
        elif self._average is not None:
            channels = [len(self._average)]
        else:
            channels = [next(filter(None, map(_own_channels, self._layers)))]
        for number, layer in enumerate(self._layers, 1):
            try:
                channels.append(_channels_after(layer, channels[-1]))
            except NetworkError as error:
                raise NetworkError(f"{self.describe(number)}: {error}") from None
        return tuple(channels)

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
        return self._average

    @property
    def input_size(self) -> Pair | None:
        """Height and width of the images the network was made for, where known."""
        return self._input_size

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the input (at 0) and of each layer's output (at its number)."""
        return self._channels

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """float32 if all weights are float32, else float64."""
        found = [layer.filters.dtype for layer in self._layers if isinstance(layer, Conv)]
        found += [layer.gain.dtype for layer in self._layers if isinstance(layer, BatchNorm)]
        return np.result_type(*found)

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
        """Return the number of filter groups of a convolution: channels it gets / filter's own."""
        layer = self._layers[number - 1]
        own = layer.filters.shape[1] if isinstance(layer, Conv) else self._channels[number - 1]
        return self._channels[number - 1] // own

    @property
    def decodable(self) -> tuple[int, ...]:
        """Numbers of the layers whose filters can be decoded: the convolutions."""
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
        sizes = [pair(input_size, "input_size")]
        for number, layer in enumerate(self._layers, 1):
            window, stride, pad = _window(layer)
            sizes.append(output_size(sizes[-1], window, stride, pad))
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
        prepared: Array = np.array(in_precision(pixels, self.dtype, "images"))
        if self._average is not None:
            prepared -= self._average.astype(self.dtype)
        return prepared

    def check_images(self, images: Array) -> None:
        """Raise ArgumentError unless images (N, C, H, W) can be this network's input."""
        count = self._channels[0]
        if images.ndim != 4 or images.shape[1] != count:
            either = f"(N, H, W) or (N, {count}, H, W)" if count == 1 else f"(N, {count}, H, W)"
            raise ArgumentError(f"images have shape {images.shape}; expected {either}")
        size = images.shape[2:]
        if self._average is not None and self._average.shape[1:] not in ((1, 1), size):
            raise ArgumentError(
                f"images are {size[0]}x{size[1]}; expected {self._average.shape[1]}x"
                f"{self._average.shape[2]}, the size of the network's average image"
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
    return stack_windows(map(_window, net.layers[: net.number(layer)]))


def _window(layer: Layer) -> tuple[Pair, Pair, Margins]:
    if isinstance(layer, Conv | Pool):
        return layer.window, layer.stride, layer.pad
    return (1, 1), (1, 1), (0, 0, 0, 0)


def _average(values: ArrayLike) -> Array:
    what = "the average image's pixels"
    array = real_array(values, what)
    return weights(array[:, None, None] if array.ndim == 1 else array, what, ndim=3)


def _own_channels(layer: Layer) -> int | None:
    if isinstance(layer, Conv):
        return int(layer.filters.shape[1])
    return len(layer.gain) if isinstance(layer, BatchNorm) else None


def _channels_after(layer: Layer, count: int) -> int:
    if isinstance(layer, Conv):
        filters, own = len(layer.filters), layer.filters.shape[1]
        groups = count // own
        if count % own or filters % groups:
            raise NetworkError(
                f"{filters} filters of {own} channels do not fit maps of {count} channels; "
                f"expected filters of {count} channels, or of {count}/groups"
            )
        return filters
    if isinstance(layer, BatchNorm) and len(layer.gain) != count:
        raise NetworkError(f"{len(layer.gain)} gains do not fit maps of {count} channels")
    return count
