"""All operations in PyTorch, as its users write them; comments tell where its conventions differ.

Its bicubic is torch.nn.functional.interpolate's on purpose, which is another: pytorch.xfail lists
the cases that it fails.
"""

from __future__ import annotations

import math
from functools import wraps
from typing import TYPE_CHECKING, Any

import torch
from kit_files import answer, demand_chain, demand_from, demand_number
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its name everywhere

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kit_files import Array

    Pair = Sequence[int]
    Layer = Mapping[str, Any]


def bordered(maps: Tensor, pad: Sequence[int], value: float = 0) -> Tensor:
    """Pad, or crop where `pad` is negative."""
    # The modules' own `padding` is the same on opposite sides; F.pad goes from the last axis up.
    top, bottom, left, right = pad
    return F.pad(maps, (left, right, top, bottom), value=value)


def correlate(
    images: Tensor,
    filters: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Pair,
    pad: Sequence[int],
    dilate: Pair,
    groups: int,
) -> Tensor:
    # What PyTorch calls a convolution is a correlation.
    demand_from(0, pad, "pads")
    return F.conv2d(bordered(images, pad), filters, bias, stride, 0, dilate, groups)


def pool(images: Tensor, *, window: Pair, stride: Pair, pad: Sequence[int], method: str) -> Tensor:
    demand_from(0, pad, "pads")
    if max(pad[:2]) >= window[0] or max(pad[2:]) >= window[1]:
        raise ValueError(f"windows of {window} in paddings of {pad} may see no pixel")
    if method == "max":
        # max_pool2d pads by at most half a window; nothing is less than -inf.
        return F.max_pool2d(bordered(images, pad, -torch.inf), window, stride)
    if method != "avg":
        raise ValueError(f"no such method as {method!r}")
    # count_include_pad=False knows only avg_pool2d's own padding: the pixels are counted here.
    sums, pixels = (
        F.avg_pool2d(bordered(maps, pad), window, stride, divisor_override=1)
        for maps in (images, torch.ones_like(images))
    )
    return sums / pixels


def relu(images: Tensor, *, leak: float) -> Tensor:
    # leaky_relu multiplies -inf by a leak of 0, which is NaN.
    return F.leaky_relu(images, leak) if leak else F.relu(images)


def normalize(images: Tensor, *, size: int, kappa: float, alpha: float, beta: float) -> Tensor:
    # local_response_norm divides alpha by the size, and an even window has its longer half on the
    # side of the lower channels: the channels are turned round, and back.
    turned = images.flip(1)
    return F.local_response_norm(turned, size, alpha * size, beta, kappa).flip(1)


def bnorm(images: Tensor, gain: Tensor, bias: Tensor, moments: Tensor) -> Tensor:
    mean, deviation = moments.unbind(1)
    # It takes a variance, and adds eps to it.
    return F.batch_norm(images, mean, deviation**2, gain, bias, eps=0.0)


def convt(
    images: Tensor,
    filters: Tensor,
    bias: Tensor | None = None,
    *,
    upsample: Pair,
    crop: Sequence[int],
    groups: int,
) -> Tensor:
    # Its own `padding` crops the same on opposite sides.
    large = F.conv_transpose2d(images, filters, bias, upsample, groups=groups)
    return bordered(large, [-cut for cut in crop])


def scale(images: Tensor, factor: Tensor, offset: Tensor | None = None) -> Tensor:
    if offset is not None and offset.shape != factor.shape:
        raise ValueError(f"{factor.shape} factors, {offset.shape} offsets")  # one would broadcast
    scaled = factor[:, None, None] * images
    return scaled if offset is None else scaled + offset[:, None, None]


def layer_output(layer: Layer, *maps: Tensor) -> Tensor:
    rest = {key: value for key, value in layer.items() if key not in ("type", "inputs")}
    operation = {
        "conv": correlate,
        "pool": pool,
        "relu": relu,
        "normalize": normalize,
        "bnorm": bnorm,
        "softmax": lambda maps: maps.softmax(1),
        "convt": convt,
        "scale": scale,
        # What is added or multiplied would be broadcast; stack refuses other shapes.
        "sum": lambda *maps: torch.stack(maps).sum(0),
        "product": lambda *maps: torch.stack(maps).prod(0),
        "concat": lambda *maps: torch.cat(maps, 1),
        "sigmoid": torch.sigmoid,
        "dropout": lambda maps: maps,
    }[layer["type"]]
    return operation(*maps, **rest)


def forward(images: Tensor, network: Sequence[Layer]) -> dict[str, Tensor]:
    maps = [images]
    for number, layer in enumerate(network, 1):
        taken = layer.get("inputs", [number - 1])
        maps.append(layer_output(layer, *(maps[each] for each in taken)))
    return {f"layer{number}": output for number, output in enumerate(maps) if number > 0}


def substitute(maps: Tensor, filters: Tensor, *, stride: Pair, dilate: Pair, groups: int) -> Tensor:
    # Substitution is the transposed convolution, weights (in, out/groups, kh, kw) as they are.
    return F.conv_transpose2d(maps, filters, None, stride, 0, 0, groups, dilate)


def unpool(maps: Tensor, *, stride: Pair, window: Pair, method: str) -> Tensor:
    if min(*stride, *window) < 1:  # it is cropped to a map of nothing
        raise ValueError(f"strides of {stride}, windows of {window}")
    if method == "window":
        # The adjoint of avg_pool2d without padding; a group for each channel.
        share = torch.ones((maps.shape[1], 1, *window), dtype=maps.dtype) / math.prod(window)
        return F.conv_transpose2d(maps, share, None, tuple(stride), groups=maps.shape[1])
    height, width = maps.shape[2:]
    size = (height * stride[0], width * stride[1])
    if method == "nearest":
        # "nearest" finds its pixel by a product in float32 that may round to the one before.
        large = F.interpolate(maps, size, mode="nearest-exact")
    else:
        # At the border it repeats the last pixel where imresize mirrors: the same for bilinear,
        # which reaches one pixel out. Its bicubic has a = -3/4 besides.
        large = F.interpolate(maps, size, mode=method, align_corners=False)
    extra = [w - s for w, s in zip(window, stride, strict=True)]
    # The odd pixel comes or goes at the end.
    halves = [part for e in extra for part in (int(e / 2), e - int(e / 2))]
    return bordered(large, halves)


def decode(
    network: Sequence[Layer], layer: int, filters: Sequence[int], unpool: str
) -> dict[str, Tensor]:
    demand_chain(network)
    demand_number(layer, 1, len(network) + 1, "layer")
    for number in filters:
        demand_number(number, 0, len(network[layer - 1]["filters"]), "filter")
    picture = as_pictures(network[layer - 1])[filters]
    stages = {"stage1": picture}
    for below in reversed(network[: layer - 1]):
        picture = one_layer_down(below, picture, unpool)
        stages[f"stage{len(stages) + 1}"] = picture
    return stages


def as_pictures(layer: Layer) -> Tensor:
    """Return filters with the holes and the groups that they do not see as zeros."""
    # Each filter is what a map of its own with one pixel of 1 is substituted by.
    filters = layer["filters"]
    one = torch.eye(len(filters), dtype=filters.dtype)[:, :, None, None]
    return substitute(one, filters, stride=(1, 1), dilate=layer["dilate"], groups=layer["groups"])


def one_layer_down(layer: Layer, picture: Tensor, method: str) -> Tensor:
    if layer["type"] == "conv":
        steps = {key: layer[key] for key in ("stride", "dilate", "groups")}
        return substitute(picture, layer["filters"], **steps)
    if layer["type"] == "pool":
        return unpool(picture, stride=layer["stride"], window=layer["window"], method=method)
    if layer["type"] == "bnorm":
        return picture * (layer["gain"] / layer["moments"][:, 1])[:, None, None]
    return picture


def project(
    images: Tensor, network: Sequence[Layer], layer: int, kept: Sequence[Sequence[int]], rule: str
) -> Tensor:
    if rule not in {"gradient", "deconvnet", "guided", "linear"}:
        raise ValueError(f"no such rule as {rule!r}")
    demand_number(layer, 1, len(network) + 1, "layer")
    for _, *unit in kept:
        demand_number(min(unit), 0, max(unit) + 1, "activation")
    with torch.inference_mode(mode=False), torch.enable_grad():
        # Each activation has an image of its own, so that one walk takes all of them down.
        copies = torch.stack([images[unit[0]] for unit in kept]).requires_grad_()
        maps = copies
        for below in network[:layer]:
            own = {k: v.clone() if torch.is_tensor(v) else v for k, v in below.items()}
            maps = with_rule(own, maps, rule)
        units = [maps[k, channel, y, x] for k, (_, channel, y, x) in enumerate(kept)]
        start = torch.stack(units)
        return torch.autograd.grad(start, copies, start.detach())[0]


def with_rule(layer: Layer, x: Tensor, rule: str) -> Tensor:
    """Compute a layer's output, from which autograd goes down by the rule."""
    y = layer_output(layer, x)
    if layer["type"] == "softmax" and rule != "gradient":
        raise ValueError(f"{rule} does not begin at a softmax")
    if rule == "gradient" or layer["type"] not in ("relu", "normalize"):
        return y
    if layer["type"] == "normalize" or rule != "guided":
        y = x + (y - x).detach()  # y's values, and the derivative of x itself
    if layer["type"] == "relu" and rule != "linear":
        y.register_hook(lambda d: torch.where(d > 0, d, layer["leak"] * d))
    return y


def receptive_field(network: Sequence[Layer]) -> dict[str, Tensor]:
    size, stride, offset = torch.tensor([1, 1]), torch.tensor([1, 1]), torch.tensor([0, 0])
    for layer in network:
        window, step, pad = (torch.tensor(layer[key]) for key in ("window", "stride", "pad"))
        size, offset = size + (window - 1) * stride, offset - pad[::2] * stride
        stride = stride * step
    return {"size": size, "stride": stride, "offset": offset}


def respond(images: Tensor, bank: Tensor, *, stride: Pair, offset: Pair, output: Pair) -> Tensor:
    top, left = (-start for start in offset)
    bottom, right = (
        start + step * (count - 1) + field - pixels
        for start, step, count, field, pixels in zip(
            offset, stride, output, bank.shape[2:], images.shape[2:], strict=True
        )
    )
    return F.conv2d(bordered(images, (top, bottom, left, right)), bank, None, tuple(stride))


def evaluate(
    images: Tensor, network: Sequence[Layer], layer: int, unpool: str
) -> dict[str, Tensor]:
    demand_chain(network)
    demand_number(layer, 1, len(network) + 1, "layer")
    bank = decode(network, layer, range(len(network[layer - 1]["filters"])), unpool)
    response = forward(images, network[:layer])[f"layer{layer}"]
    field = receptive_field([seen(below) for below in network[:layer] if "stride" in below])
    steps = {key: field[key].tolist() for key in ("stride", "offset")}
    predicted = respond(images, bank[f"stage{layer}"], **steps, output=response.shape[2:])
    r, q = response.flatten(1), predicted.flatten(1)
    errors = (unit(r) - unit(q)).square().mean(1)
    mean = errors.nanmean()
    return {
        "response": response,
        "predicted": predicted,
        "errors": errors,
        "correlations": torch.stack(
            [torch.corrcoef(rows)[0, 1] for rows in torch.stack([r, q], 1)]
        ),
        "mean": mean,
        "std": (errors - mean).square().nanmean().sqrt(),  # Tensor.std divides by N - 1
    }


def occlude(
    images: Tensor,
    network: Sequence[Layer],
    size: Pair,
    stride: Pair,
    value: Sequence[float] | str,
    layer: int,
    labels: Sequence[int],
) -> dict[str, Tensor]:
    demand_from(1, size, "a square")
    given = network, size, stride, value, layer
    demand_number(layer, 1, len(network) + 1, "layer")
    demand_number(min(labels), 0, max(labels) + 1, "class")
    found = [of_image(*each, *given) for each in zip(images, labels, strict=True)]
    return {name: torch.stack([one[name] for one in found]) for name in found[0]}


def of_image(
    image: Tensor,
    label: int,
    network: Sequence[Layer],
    size: Pair,
    stride: Pair,
    value: Sequence[float] | str,
    layer: int,
) -> dict[str, Tensor]:
    if value == "background":
        ring = torch.ones(image.shape[1:], dtype=torch.bool)
        ring[1:-1, 1:-1] = False
        # torch.median takes the lower one of two in the middle.
        colour = image[:, ring].quantile(0.5, dim=1)
    else:
        colour = torch.tensor(value, dtype=image.dtype)
    pixels = torch.arange(image[0].numel()).view(image.shape[1:])
    # Each row of `hidden` has the pixels under the square at one place.
    hidden = pixels.unfold(0, size[0], stride[0]).unfold(1, size[1], stride[1])
    places = hidden.shape[:2]
    hidden = hidden.flatten(2).flatten(0, 1)
    copies = image.flatten(1).repeat(len(hidden), 1, 1)
    shown = colour[None, :, None].expand(len(hidden), -1, hidden.shape[1])
    copies.scatter_(2, hidden[:, None].expand_as(shown), shown)
    strongest = forward(image[None], network[:layer])[f"layer{layer}"].sum((2, 3)).argmax()
    maps = forward(copies.view(-1, *image.shape), network)
    last = maps[f"layer{len(network)}"]
    every = last if network[-1]["type"] == "softmax" else last.softmax(1)
    scores = every.mean((2, 3))
    return {
        "map": strongest,
        "activity": maps[f"layer{layer}"][:, strongest].sum((1, 2)).view(places),
        "probability": scores[:, label].reshape(places),
        "label": scores.argmax(1).view(places),
    }


def seen(layer: Layer) -> Layer:
    """Return a layer with the window that it looks through."""
    if layer["type"] == "pool":
        return layer
    kernel = zip(layer["filters"].shape[2:], layer["dilate"], strict=True)
    return {**layer, "window": [(k - 1) * d + 1 for k, d in kernel]}


def unit(rows: Tensor) -> Tensor:
    """Return each row on [0, 1]."""
    low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    return (rows - low) / torch.where(high > low, high - low, torch.nan)


def on_tensors(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Let an operation on tensors take and return NumPy's arrays."""

    @wraps(operation)
    def run(**given: Any) -> Array | dict[str, Array]:
        with torch.inference_mode():
            found = operation(**{name: tensors(value) for name, value in given.items()})
        if isinstance(found, dict):
            return {name: array.numpy() for name, array in found.items()}
        return found.numpy()

    return run


def tensors(value: Any) -> Any:
    """Return arrays as tensors, also those of a network's layers."""
    if isinstance(value, list):
        return [tensors(each) for each in value]
    if isinstance(value, dict):
        return {name: tensors(each) for name, each in value.items()}
    return torch.tensor(value) if hasattr(value, "dtype") else value


OPERATIONS = (
    correlate, pool, relu, normalize, bnorm, forward,
    substitute, decode, project, unpool, receptive_field, respond, evaluate,
    occlude,
)  # fmt: skip

if __name__ == "__main__":
    torch.set_num_threads(1)
    functions = {each.__name__: on_tensors(each) for each in OPERATIONS}
    answer(functions, refusals=(RuntimeError, ValueError, IndexError))
