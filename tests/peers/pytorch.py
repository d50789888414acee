"""PyTorch's side of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its name everywhere

from fdref import BatchNorm, Conv, Normalize, Pool, ReLU, Softmax, receptive_field
from fdref.training.sgd import average_image
from peers.task import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fdref import Network
    from fdref.arrays import Array
    from fdref.layers import Layer
    from fdref.training.sgd import Labelled, Training

    Run = Callable[[], Any]

torch.set_num_threads(THREADS)


def correlate(images: Array, filters: Array, bias: Array | None = None, **parameters: Any) -> Run:
    return layer_output(Conv(filters, bias, **parameters), images)


def pool(images: Array, **parameters: Any) -> Run:
    return layer_output(Pool(**parameters), images)


def substitute(
    maps: Array,
    filters: Array,
    stride: int | Sequence[int] = 1,
    dilate: int | Sequence[int] = 1,
    groups: int = 1,
) -> Run:
    x, w = torch.tensor(maps), torch.tensor(filters)
    return _inference(F.conv_transpose2d, x, w, None, stride, 0, 0, groups, dilate)


def unpool(
    maps: Array,
    stride: int | Sequence[int],
    method: str,
    window: int | Sequence[int] | None = None,
) -> Run:
    layer = Pool(stride if window is None else window, stride)
    return _inference(_unpool, torch.tensor(maps), layer, method)


def layer_output(layer: Layer, x: Array) -> Run:
    return _inference(_apply, layer, torch.tensor(x), _weights(layer))


def forward(net: Network, x: Array) -> Run:
    return _inference(_forward, net, torch.tensor(x), [_weights(layer) for layer in net])


def differentiable(net: Network, last: int) -> Callable[[Tensor], Tensor]:
    """Return what gives a layer's answer to prepared images, for autograd."""
    layers = list(net)[:last]
    weights = [_weights(layer) for layer in layers]
    return lambda x: _forward(layers, x, weights)[-1]


def probabilities(net: Network, x: Array, batch: int | None = None) -> Run:
    images, weights = torch.tensor(x), [_weights(layer) for layer in net]

    def some(chosen: slice) -> Tensor:
        y = images[chosen]
        for layer, own in zip(net, weights, strict=True):
            y = _apply(layer, y, own)
        return y

    return _inference(_in_batches, some, len(x), batch)


def filter_gradient(layer: Conv, x: Array, gradient: Array) -> Run:
    weights = _weights(layer)
    weights[0].requires_grad_()
    y = _apply(layer, torch.tensor(x), weights)
    return _gradient(y, [weights[0]], torch.tensor(gradient))


def pool_gradient(layer: Pool, x: Array, gradient: Array) -> Run:
    images = torch.tensor(x, requires_grad=True)
    return _gradient(_apply(layer, images, []), [images], torch.tensor(gradient))


def gradients(net: Network, x: Array, labels: Array) -> Run:
    weights = [[w.requires_grad_() for w in _weights(layer)] for layer in net]
    wanted = [w for own in weights for w in own]
    images, classes = torch.tensor(x), torch.tensor(labels)

    def run() -> tuple[Tensor, ...]:
        loss = F.cross_entropy(_forward(net, images, weights)[-2].flatten(1), classes)
        return torch.autograd.grad(loss, wanted)

    return run


def decode(
    net: Network, layer: int, filters: Sequence[int], unpool: str, batch: int | None = None
) -> Run:
    weights = [_weights(own) for own in net]

    def some(chosen: slice) -> Tensor:
        own = filters[chosen]
        index = slice(own.start, own.stop) if isinstance(own, range) else list(own)
        return _decode(net, weights, layer, index, unpool)

    return _inference(_in_batches, some, len(filters), batch)


def decode_all(net: Network, unpool: str, batch: int | None = None) -> Run:
    counts = {number: range(net.channels[number]) for number in net.decodable}
    runs = [decode(net, number, every, unpool, batch) for number, every in counts.items()]
    return lambda: [run() for run in runs]


def evaluation_errors(net: Network, x: Array, layers: Sequence[int], unpool: str) -> Run:
    weights, images = [_weights(layer) for layer in net], torch.tensor(x)
    jumps = {number: receptive_field(net, number).stride for number in layers}

    def run() -> list[Tensor]:
        banks = {n: _decode(net, weights, n, slice(None), unpool) for n in layers}
        errors: dict[int, list[Tensor]] = {n: [] for n in layers}
        for chunk in images.split(500):
            acts = _forward(net, chunk, weights)
            for n, bank in banks.items():
                sides = acts[n], F.conv2d(chunk, bank, stride=jumps[n])
                response, predicted = (_unit_range(side.flatten(1).double()) for side in sides)
                errors[n].append(((response - predicted) ** 2).mean(1))
        return [torch.cat(parts) for parts in errors.values()]

    return _inference(run)


def _unit_range(rows: Tensor) -> Tensor:
    low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    return (rows - low) / (high - low)


def train_epoch(run: Training, data: Labelled) -> Run:
    recipe, average = run.recipe, average_image(data)
    net = recipe.network(run.weights, average)
    dtype = torch.float32 if net.dtype == np.float32 else torch.float64
    pixels = torch.tensor(data.images).reshape(len(data.images), *average.shape).to(dtype)
    means = torch.tensor(average)
    labels = torch.tensor(data.labels, dtype=torch.int64)
    rate, factors = recipe.rate(run.epoch), [one.rates for one in recipe.learned.values()]

    def epoch() -> list[Tensor]:
        weights = [[w.requires_grad_() for w in _weights(layer)] for layer in net]
        trained = [w for own in weights for w in own]
        groups = [
            {"params": [w], "lr": rate * factor}
            for w, factor in zip(trained, sum(factors, ()), strict=True)
        ]
        sgd = torch.optim.SGD(groups, rate, recipe.momentum, weight_decay=recipe.decay)
        random = np.random.default_rng([run.seed, run.epoch])
        for batch in torch.tensor(random.permutation(len(labels))).split(recipe.batch):
            images = pixels[batch]
            if recipe.mirrored and random.random() < 0.5:
                images = images.flip(3)
            sgd.zero_grad()
            outputs = _forward(net, images - means, weights)[-2].flatten(1)
            F.cross_entropy(outputs, labels[batch]).backward()
            sgd.step()
        return [w.detach() for w in trained]

    return epoch


def _in_batches(some: Callable[[slice], Tensor], count: int, batch: int | None) -> Tensor:
    if batch is None or batch >= count:
        return some(slice(None))
    return torch.cat([some(slice(first, first + batch)) for first in range(0, count, batch)])


def _inference(function: Callable[..., Any], *arguments: Any) -> Run:
    def run() -> Any:
        with torch.inference_mode():
            return function(*arguments)

    return run


def _gradient(y: Tensor, wanted: list[Tensor], gradient: Tensor) -> Run:
    return lambda: torch.autograd.grad(y, wanted, gradient, retain_graph=True)[0]


def _weights(layer: Layer) -> list[Tensor]:
    match layer:
        case Conv(filters=filters, bias=bias):
            return [torch.tensor(array) for array in (filters, bias) if array is not None]
        case BatchNorm(gain=gain, bias=bias, mean=mean, deviation=deviation):
            return [torch.tensor(array) for array in (mean, deviation**2, gain, bias)]
        case _:
            return []


def _forward(
    net: Network | Sequence[Layer], x: Tensor, weights: list[list[Tensor]]
) -> list[Tensor]:
    maps = [x]
    for layer, own in zip(net, weights, strict=True):
        maps.append(_apply(layer, maps[-1], own))
    return maps


def _apply(layer: Layer, x: Tensor, weights: list[Tensor]) -> Tensor:
    match layer:
        case Conv():
            return _correlate(layer, x, *weights)
        case Pool(method="max"):
            return F.max_pool2d(_pad(x, layer, -torch.inf), layer.window, layer.stride)
        case Pool():
            return _average(layer, x)
        case ReLU(leak=leak):
            return F.leaky_relu(x, leak) if leak else F.relu(x)
        case Normalize(size=size, kappa=kappa, alpha=alpha, beta=beta):
            # Of an even number of channels PyTorch has the odd one before, MatConvNet after.
            turned = F.local_response_norm(x.flip(1), size, alpha * size, beta, kappa)
            return turned.flip(1)
        case BatchNorm():
            return F.batch_norm(x, *weights, eps=0)
        case Softmax():
            return F.softmax(x, 1)
        case _:
            return x


def _correlate(layer: Conv, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    groups = x.shape[1] // w.shape[1]
    return F.conv2d(_pad(x, layer), w, b, layer.stride, 0, layer.dilate, groups)


def _average(layer: Pool, x: Tensor) -> Tensor:
    top, bottom, left, right = layer.pad
    if (top, left) == (bottom, right):
        return F.avg_pool2d(x, layer.window, layer.stride, (top, left), count_include_pad=False)
    total, area = (
        F.avg_pool2d(_pad(pixels, layer), layer.window, layer.stride, divisor_override=1)
        for pixels in (x, torch.ones_like(x))
    )
    return total / area


def _pad(x: Tensor, layer: Conv | Pool, value: float = 0.0) -> Tensor:
    top, bottom, left, right = layer.pad
    return F.pad(x, (left, right, top, bottom), value=value) if any(layer.pad) else x


def _decode(
    net: Network,
    weights: list[list[Tensor]],
    number: int,
    filters: list[int] | slice,
    unpool: str,
) -> Tensor:
    pictures = _pictures(net, number, weights[number - 1][0])[filters]
    for below in range(number - 1, 0, -1):
        layer = net[below]
        match layer:
            case Conv(stride=stride, dilate=dilate):
                bank, groups = weights[below - 1][0], net.groups(below)
                pictures = F.conv_transpose2d(pictures, bank, None, stride, 0, 0, groups, dilate)
            case Pool():
                pictures = _unpool(pictures, layer, unpool)
            case BatchNorm(gain=gain, deviation=deviation):
                pictures = pictures * torch.tensor(gain / deviation)[:, None, None]
    return pictures


def _pictures(net: Network, number: int, filters: Tensor) -> Tensor:
    """Filters on all channels below, dilated: each is what one pixel of its map is replaced by."""
    layer, groups = net[number], net.groups(number)
    assert isinstance(layer, Conv)
    if groups == 1 and layer.dilate == (1, 1):
        return filters
    pixels = torch.eye(len(filters), dtype=filters.dtype)[:, :, None, None]
    return F.conv_transpose2d(pixels, filters, groups=groups, dilation=layer.dilate)


def _unpool(x: Tensor, layer: Pool, method: str) -> Tensor:
    """Enlarge, then frame with zeros or (where the border is negative) crop; the odd one after."""
    corners = None if method == "nearest" else False
    factors = [float(step) for step in layer.stride]
    enlarged = F.interpolate(x, scale_factor=factors, mode=method, align_corners=corners)
    borders = [size - step for size, step in zip(layer.window, layer.stride, strict=True)]
    if not any(borders):
        return enlarged
    (top, bottom), (left, right) = ((int(b / 2), b - int(b / 2)) for b in borders)
    return F.pad(enlarged, (left, right, top, bottom))
