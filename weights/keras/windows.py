"""Keras's layers with kernels, and its pools.

Kernels are (height, width, channels, filters) whatever the order of a map's axes; those of
transposed convolutions (height, width, filters, channels), of depthwise ones (height, width,
channels, filters for each).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.arguments import shown, whole_number
from fdref.errors import NetworkError
from fdref.geometry import LARGEST_NUMBER, extent
from fdref.layers import Conv, ConvTranspose, Pool
from fdref.weights.keras.call import contiguous
from fdref.weights.keras.functions import activated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.geometry import Pair
    from fdref.weights.keras.call import LayerCall
    from fdref.weights.keras.tensors import Tensor


def conv(call: LayerCall) -> Tensor:
    """Translate Conv2D."""
    x, fields = call.map(), call.fields
    size, stride, dilate = (
        fields.pair("kernel_size"),
        fields.pair("strides", 1),
        fields.pair("dilation_rate", 1),
    )
    groups, filters = fields.whole("groups", 1), fields.whole("filters")
    pad = call.margins(extent(size, dilate), stride)

    def make() -> Conv:
        inner = x.channels // groups
        if call.origin.major == 1 and x.axes == "CHW":  # Theano's order of axes
            (kernel,), bias = _with_bias(call, (filters, inner, *size), filters)
            bank = np.ascontiguousarray(kernel)
        else:
            (kernel,), bias = _with_bias(call, (*size, inner, filters), filters)
            bank = contiguous(kernel, (3, 2, 0, 1))
        return Conv(_turned(call, bank), bias, stride, pad, dilate, call.name)

    return activated(call, call.add(call.once(pad, make), x))


def depthwise_conv(call: LayerCall) -> Tensor:
    """Translate DepthwiseConv2D: a group for each channel."""
    x, fields = call.map(), call.fields
    size, times = fields.pair("kernel_size"), fields.whole("depth_multiplier", 1)
    stride, dilate = fields.pair("strides", 1), fields.pair("dilation_rate", 1)
    pad = call.margins(extent(size, dilate), stride)

    def make() -> Conv:
        count = x.channels * times
        (kernel,), bias = _with_bias(call, (*size, x.channels, times), count)
        return Conv(_apart(kernel), bias, stride, pad, dilate, call.name)

    return activated(call, call.add(call.once(pad, make), x))


def separable_conv(call: LayerCall) -> Tensor:
    """Translate SeparableConv2D: a depthwise convolution, then one of single pixels."""
    x, fields = call.map(), call.fields
    size, times = fields.pair("kernel_size"), fields.whole("depth_multiplier", 1)
    stride, dilate = fields.pair("strides", 1), fields.pair("dilation_rate", 1)
    filters = fields.whole("filters")
    pad = call.margins(extent(size, dilate), stride)
    deep = (1, 1, x.channels * times, filters)
    read = cache(lambda: _with_bias(call, (*size, x.channels, times), filters, deep))

    def make_wide() -> Conv:
        name = f"{call.name}/depthwise"
        return Conv(_apart(read()[0][0]), None, stride, pad, dilate, name)

    def make_deep() -> Conv:
        (_, kernel), bias = read()
        return Conv(contiguous(kernel, (3, 2, 0, 1)), bias, name=call.name)

    wide = call.add(call.once(("depthwise", pad), make_wide), x)
    return activated(call, call.add(call.once("pointwise", make_deep), wide))


def conv_transpose(call: LayerCall) -> Tensor:
    """Translate Conv2DTranspose: substitution, then a crop that may be negative at the end."""
    x, fields = call.map(), call.fields
    size, filters = fields.pair("kernel_size"), fields.whole("filters")
    stride, dilate = fields.pair("strides", 1), fields.pair("dilation_rate", 1)
    if fields.get("output_shape") is not None or call.origin.major == 1:
        raise NetworkError(
            "it is Keras 1's Deconvolution2D; expected Conv2DTranspose: save it with Keras 2"
        )
    if fields.whole("groups", 1) != 1:
        raise NetworkError("it has groups; expected one")
    window = extent(size, dilate)
    extra = None if fields.get("output_padding") is None else _extra(fields.get("output_padding"))
    padding = fields.word("padding", "valid", "valid", "same")
    ends = [
        _crop(window[a], stride[a], None if extra is None else extra[a], padding) for a in (0, 1)
    ]

    def make() -> ConvTranspose:
        (kernel,), bias = _with_bias(call, (*size, filters, x.channels), filters)
        bank = _spread(call, contiguous(kernel, (3, 2, 0, 1)), window, dilate)
        crop = (*ends[0], *ends[1])
        return ConvTranspose(_turned(call, bank), bias, stride, crop, name=call.name)

    return activated(call, call.add(call.once("", make), x))


def dense(call: LayerCall) -> Tensor:
    """Translate Dense: a convolution of the map's size, or of single pixels where it keeps them."""
    x, units = call.x, call.fields.whole("units")
    if not x.flat and x.axes != "HWC":
        raise NetworkError(
            f"it multiplies the last of the axes {'x'.join(x.axes)}; expected one of channels: "
            "flatten it before, or use a Conv2D of size 1"
        )
    height, width = x.known_size("the size of its kernel") if x.flat else (1, 1)

    def make() -> Conv:
        (kernel,), bias = _with_bias(call, (height * width * x.channels, units), units)
        if x.axes == "CHW":
            bank = contiguous(kernel.reshape(x.channels, height, width, units), (3, 0, 1, 2))
        else:
            bank = contiguous(kernel.reshape(height, width, x.channels, units), (3, 2, 0, 1))
        return Conv(bank, bias, name=call.name)

    made = call.add(call.once((height, width, x.axes), make), x)
    if x.flat:
        made = replace(made, axes="HWC")
    return activated(call, made)


def pool(call: LayerCall) -> Tensor:
    """Translate MaxPooling2D and AveragePooling2D, which leave the padding out as ours do."""
    x, fields = call.map(), call.fields
    window = fields.pair("pool_size", 2)
    stride = fields.pair("strides", window)
    pad = call.margins(window, stride)
    return call.add(Pool(window, stride, pad, _method(call), call.name), x)


def global_pool(call: LayerCall) -> Tensor:
    """Translate GlobalMaxPooling2D and GlobalAveragePooling2D: a window of the map's size."""
    x = call.map()
    size = x.known_size("its window")
    made = call.add(Pool(size, size, method=_method(call), name=call.name), x)
    if call.fields.flag("keepdims", default=False):
        return made
    return replace(made, flat=True, axes="HWC")


def _method(call: LayerCall) -> str:
    return "max" if "Max" in call.place[-1].kind else "avg"


def _with_bias(
    call: LayerCall, kernel: tuple[int, ...], count: int, *more: tuple[int, ...]
) -> tuple[list[NDArray[Any]], NDArray[Any] | None]:
    """Read kernels, and the bias if there is one."""
    if call.fields.flag("use_bias", default=True):
        *kernels, bias = call.arrays(kernel, *more, (count,))
        return kernels, bias
    return call.arrays(kernel, *more), None


def _apart(kernel: NDArray[Any]) -> NDArray[Any]:
    """Return depthwise kernels (height, width, channels, times) as filters of one channel each."""
    bank = contiguous(kernel, (2, 3, 0, 1))
    return bank.reshape(-1, 1, *bank.shape[2:])


def _turned(call: LayerCall, bank: NDArray[Any]) -> NDArray[Any]:
    return bank[:, :, ::-1, ::-1] if call.origin.convolves else bank


def _extra(found: object) -> Pair:
    """Read the output padding, which may be 0."""
    several = [found, found] if isinstance(found, int) else found
    if not isinstance(several, list) or len(several) != 2:
        raise NetworkError(f"`output_padding` is {shown(found)}; expected two numbers")
    rows, columns = (whole_number(n, "`output_padding`", 0, LARGEST_NUMBER) for n in several)
    return rows, columns


def _crop(window: int, stride: int, extra: int | None, padding: str) -> Pair:
    """Return what is cropped before and after, along one axis."""
    if padding != "same":
        after = max(window, stride) - window if extra is None else extra
        return 0, -after
    # with extra, what is left is (n - 1) * stride + window % 2 + extra
    total = window - (stride if extra is None else window % 2 + extra)
    before = max(0, total // 2)
    return before, total - before


def _spread(call: LayerCall, bank: NDArray[Any], window: Pair, dilate: Pair) -> NDArray[Any]:
    """Put zeros between the taps of filters."""
    if dilate == (1, 1):
        return bank
    shape = (*bank.shape[:2], *window)
    call.drawing.budget.take((call.name,), 2 * prod(shape) * bank.itemsize)
    spread = np.zeros(shape, bank.dtype)
    spread[:, :, :: dilate[0], :: dilate[1]] = bank
    return spread
