"""All operations in JAX, as its users write them; comments tell where its conventions differ.

Its bicubic is jax.image.resize's on purpose, which is another at the border: jax_lax.xfail lists
the cases that it fails.
"""

from __future__ import annotations

import math
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import lax, nn
from jax import numpy as jnp
from kit_files import answer, demand_chain, demand_from, demand_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jax import Array

    Pair = Sequence[int]
    Layer = Mapping[str, Any]

jax.config.update("jax_enable_x64", True)  # float64 would become float32 without a word


def correlate(
    images: Array,
    filters: Array,
    bias: Array | None = None,
    *,
    stride: Pair,
    pad: Sequence[int],
    dilate: Pair,
    groups: int,
) -> Array:
    # What JAX calls a convolution is a correlation. Where the filter is larger than the map it
    # returns an empty one, and it takes strides of 0.
    if min(stride) < 1:
        raise ValueError(f"a stride of {stride}")
    demand_from(0, pad, "pads")
    demand_room(images, span(filters, dilate), pad)
    if bias is not None and bias.shape != filters.shape[:1]:
        raise ValueError(f"biases {bias.shape} of filters {filters.shape}")  # one would broadcast
    response = lax.conv_general_dilated(
        images,
        filters,
        window_strides=stride,
        padding=sides(pad),
        rhs_dilation=dilate,
        feature_group_count=groups,
        precision=lax.Precision.HIGHEST,  # on other devices the default may be bfloat16
    )
    return response if bias is None else response + bias[:, None, None]


def pool(images: Array, *, window: Pair, stride: Pair, pad: Sequence[int], method: str) -> Array:
    demand_from(0, pad, "pads")
    demand_room(images, window, pad)
    if max(pad[:2]) >= window[0] or max(pad[2:]) >= window[1]:
        raise ValueError(f"windows of {window} in paddings of {pad} may see no pixel")
    over = partial(reduced, window=window, stride=stride, pad=pad)
    if method == "max":
        return over(images, -jnp.inf, lax.max)  # padding has the initial value
    if method != "avg":
        raise ValueError(f"no such method as {method!r}")
    # flax's avg_pool divides by the window unless count_include_pad=False; so do we count.
    return over(images, 0.0, lax.add) / over(jnp.ones_like(images), 0.0, lax.add)


def span(filters: Array, dilate: Pair) -> list[int]:
    """Return the rows and columns that dilated filters reach over."""
    return [(k - 1) * d + 1 for k, d in zip(filters.shape[2:], dilate, strict=True)]


def reduced(
    maps: Array,
    initial: float,
    operation: Callable[[Array, Array], Array],
    *,
    window: Pair,
    stride: Pair,
    pad: Sequence[int],
) -> Array:
    padding = [(0, 0), (0, 0), *sides(pad)]
    start = np.array(initial, maps.dtype)  # a plain number, or there is no derivative
    return lax.reduce_window(maps, start, operation, (1, 1, *window), (1, 1, *stride), padding)


def sides(pad: Sequence[int]) -> list[tuple[int, int]]:
    top, bottom, left, right = pad
    return [(top, bottom), (left, right)]


def demand_room(maps: Array, window: Pair, pad: Sequence[int]) -> None:
    for size, own, around in zip(maps.shape[2:], window, sides(pad), strict=True):
        if size + sum(around) < own:
            raise ValueError(f"windows of {window} on maps {maps.shape} with a pad of {pad}")


def relu(images: Array, *, leak: float) -> Array:
    # nn.leaky_relu multiplies -inf by a leak of 0, and its slope at 0 is 1, which is the leak here.
    return jnp.where(images > 0, images, leak * images) if leak else nn.relu(images)


def normalize(images: Array, *, size: int, kappa: float, alpha: float, beta: float) -> Array:
    # There is no such layer: windows along the channels.
    around = [(0, 0), ((size - 1) // 2, size // 2), (0, 0), (0, 0)]
    zero = np.array(0, images.dtype)
    sums = lax.reduce_window(images**2, zero, lax.add, (1, size, 1, 1), (1, 1, 1, 1), around)
    return images / (kappa + alpha * sums) ** beta


def bnorm(images: Array, gain: Array, bias: Array, moments: Array) -> Array:
    channels = images.shape[1]
    if gain.shape != (channels,) or bias.shape != (channels,) or moments.shape != (channels, 2):
        raise ValueError(f"a bnorm of {gain.shape} channels on maps {images.shape}")
    mean, deviation = moments.T[:, :, None, None]
    # It takes a variance, and adds epsilon to it.
    standard = nn.standardize(images, mean=mean, variance=deviation**2, epsilon=0)
    return gain[:, None, None] * standard + bias[:, None, None]


def convt(
    images: Array,
    filters: Array,
    bias: Array | None = None,
    *,
    upsample: Pair,
    crop: Sequence[int],
    groups: int,
) -> Array:
    large = substitute(images, filters, stride=upsample, dilate=(1, 1), groups=groups)
    response = bordered(large, [-cut for cut in crop])
    return response if bias is None else response + bias[:, None, None]


def scale(images: Array, factor: Array, offset: Array | None = None) -> Array:
    if offset is not None and offset.shape != factor.shape:
        raise ValueError(f"{factor.shape} factors, {offset.shape} offsets")  # one would broadcast
    scaled = factor[:, None, None] * images
    return scaled if offset is None else scaled + offset[:, None, None]


def layer_output(layer: Layer, *maps: Array) -> Array:
    rest = {key: value for key, value in layer.items() if key not in ("type", "inputs")}
    operation = {
        "conv": correlate,
        "pool": pool,
        "relu": relu,
        "normalize": normalize,
        "bnorm": bnorm,
        "softmax": partial(nn.softmax, axis=1),
        "convt": convt,
        "scale": scale,
        # What is added or multiplied would be broadcast; stack refuses other shapes.
        "sum": lambda *maps: jnp.stack(maps).sum(0),
        "product": lambda *maps: jnp.stack(maps).prod(0),
        "concat": lambda *maps: jnp.concatenate(maps, 1),
        "sigmoid": nn.sigmoid,
        "dropout": lambda maps: maps,
    }[layer["type"]]
    return operation(*maps, **rest)


def forward(images: Array, network: Sequence[Layer]) -> dict[str, Array]:
    maps = [images]
    for number, layer in enumerate(network, 1):
        taken = layer.get("inputs", [number - 1])
        maps.append(layer_output(layer, *(maps[each] for each in taken)))
    return {f"layer{number}": output for number, output in enumerate(maps) if number > 0}


def transposed(linear: Callable[[Array], Array], like: Array, *shape: int) -> Array:
    """Return the transpose of a linear function of arrays of a shape, applied to maps."""
    [found] = jax.linear_transpose(linear, jax.ShapeDtypeStruct(shape, like.dtype))(like)
    return found


def substitute(maps: Array, filters: Array, *, stride: Pair, dilate: Pair, groups: int) -> Array:
    # lax.conv_transpose has no groups; substitution is what it is the transpose of.
    size = (
        (n - 1) * s + (k - 1) * d + 1
        for n, s, k, d in zip(maps.shape[2:], stride, filters.shape[2:], dilate, strict=True)
    )
    upward = partial(
        correlate, filters=filters, stride=stride, pad=[0] * 4, dilate=dilate, groups=groups
    )
    return transposed(upward, maps, len(maps), groups * filters.shape[1], *size)


def unpool(maps: Array, *, stride: Pair, window: Pair, method: str) -> Array:
    count, channels, *below = maps.shape
    if min(*stride, *window) < 1:
        raise ValueError(f"strides of {stride}, windows of {window}")
    if method == "window":
        size = [(n - 1) * s + w for n, s, w in zip(below, stride, window, strict=True)]
        add = partial(reduced, initial=0.0, operation=lax.add, window=window, stride=stride)
        return transposed(partial(add, pad=[0] * 4), maps, count, channels, *size) / math.prod(
            window
        )
    # Where a kernel reaches beyond the border, its weights inside are made to add up to 1: the same
    # for bilinear, of which one pixel is left, and not for bicubic.
    kernels = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}
    if method not in kernels:
        raise ValueError(f"no such method as {method!r}")
    size = [n * s for n, s in zip(below, stride, strict=True)]
    large = jax.image.resize(maps, (count, channels, *size), kernels[method])
    extra = [w - s for w, s in zip(window, stride, strict=True)]
    # The odd pixel comes or goes at the end.
    return bordered(large, [part for e in extra for part in (int(e / 2), e - int(e / 2))])


def bordered(maps: Array, pad: Sequence[int]) -> Array:
    """Pad with zeros, or crop where `pad` is negative, as lax.pad does and jnp.pad does not."""
    around = [(0, 0, 0), (0, 0, 0), *((*side, 0) for side in sides(pad))]
    return lax.pad(maps, np.array(0, maps.dtype), around)


def decode(
    network: Sequence[Layer], layer: int, filters: Sequence[int], unpool: str
) -> dict[str, Array]:
    demand_chain(network)
    demand_number(layer, 1, len(network) + 1, "layer")
    for number in filters:  # JAX would take the last filter for one that is too large
        demand_number(number, 0, len(network[layer - 1]["filters"]), "filter")
    picture = as_pictures(network[layer - 1], filters)
    stages = {"stage1": picture}
    for below in reversed(network[: layer - 1]):
        picture = one_layer_down(below, picture, unpool)
        stages[f"stage{len(stages) + 1}"] = picture
    return stages


def as_pictures(layer: Layer, chosen: Sequence[int]) -> Array:
    """Return filters with the holes and the groups that they do not see as zeros."""
    # Each filter is what a map of its own with one pixel of 1 is substituted by.
    filters = layer["filters"]
    one = np.eye(len(filters), dtype=filters.dtype)[list(chosen)][:, :, None, None]
    return substitute(one, filters, stride=(1, 1), dilate=layer["dilate"], groups=layer["groups"])


def one_layer_down(layer: Layer, picture: Array, method: str) -> Array:
    if layer["type"] == "conv":
        steps = {key: layer[key] for key in ("stride", "dilate", "groups")}
        return substitute(picture, layer["filters"], **steps)
    if layer["type"] == "pool":
        return unpool(picture, stride=layer["stride"], window=layer["window"], method=method)
    if layer["type"] == "bnorm":
        return picture * (layer["gain"] / layer["moments"][:, 1])[:, None, None]
    return picture


def project(
    images: Array, network: Sequence[Layer], layer: int, kept: Sequence[Sequence[int]], rule: str
) -> Array:
    if rule not in {"gradient", "deconvnet", "guided", "linear"}:
        raise ValueError(f"no such rule as {rule!r}")
    demand_number(layer, 1, len(network) + 1, "layer")
    below = network[:layer]
    if rule != "gradient" and any(each["type"] == "softmax" for each in below):
        raise ValueError(f"{rule} does not begin at a softmax")

    def top(maps: Array) -> Array:
        for each in below:
            maps = layer_output(each, maps) if rule == "gradient" else with_rule(each, maps, rule)
        return maps

    for image, *unit in kept:
        demand_number(image, 0, len(images), "image")
        demand_number(min(unit), 0, max(unit) + 1, "activation")
    # Each activation has an image of its own, so that one walk takes all of them down.
    copies = images[np.array([unit[0] for unit in kept])]
    response, down = jax.vjp(top, copies)
    # JAX leaves out what it is told to write beyond the end: the mask is NumPy's, which complains.
    mask = np.zeros(response.shape, bool)
    for k, (_, *unit) in enumerate(kept):
        mask[(k, *unit)] = True
    [pictures] = down(jnp.where(mask, response, 0))
    return pictures


def with_rule(layer: Layer, x: Array, rule: str) -> Array:
    """Compute a layer's output, which is differentiated by the rule."""
    y = layer_output(layer, x)
    if layer["type"] not in ("relu", "normalize"):
        return y
    if layer["type"] == "normalize" or rule != "guided":
        y = x + lax.stop_gradient(y - x)  # y's values, and the derivative of x itself
    if layer["type"] == "relu" and rule != "linear":
        y = rectified_downwards(y, layer["leak"])
    return y


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def rectified_downwards(maps: Array, leak: float) -> Array:
    """Return maps as they are; on the way down what is not above 0 is multiplied by the leak."""
    return maps


rectified_downwards.defvjp(
    lambda maps, leak: (maps, None),
    lambda leak, _, d: (jnp.where(d > 0, d, leak * d),),
)


def receptive_field(network: Sequence[Layer]) -> dict[str, np.ndarray]:
    size, stride, offset = np.array([1, 1]), np.array([1, 1]), np.array([0, 0])
    for layer in network:
        window, step, pad = (np.array(layer[key]) for key in ("window", "stride", "pad"))
        size, offset = size + (window - 1) * stride, offset - pad[::2] * stride
        stride = stride * step
    return {"size": size, "stride": stride, "offset": offset}


def respond(images: Array, bank: Array, *, stride: Pair, offset: Pair, output: Pair) -> Array:
    pad = []
    for axis, start in enumerate(offset):
        end = start + stride[axis] * (output[axis] - 1) + bank.shape[2 + axis]
        pad += [-start, end - images.shape[2 + axis]]  # negative ones crop
    seen = bordered(images, pad)
    return correlate(seen, bank, stride=stride, pad=(0, 0, 0, 0), dilate=(1, 1), groups=1)


def evaluate(images: Array, network: Sequence[Layer], layer: int, unpool: str) -> dict[str, Array]:
    demand_chain(network)
    demand_number(layer, 1, len(network) + 1, "layer")
    bank = decode(network, layer, range(len(network[layer - 1]["filters"])), unpool)
    response = forward(images, network[:layer])[f"layer{layer}"]
    field = receptive_field([seen(below) for below in network[:layer] if "stride" in below])
    steps = {key: field[key].tolist() for key in ("stride", "offset")}
    predicted = respond(images, bank[f"stage{layer}"], **steps, output=response.shape[2:])
    r, q = (maps.reshape(len(maps), -1) for maps in (response, predicted))
    errors = ((unit(r) - unit(q)) ** 2).mean(1)
    return {
        "response": response,
        "predicted": predicted,
        "errors": errors,
        "correlations": jax.vmap(lambda *pair: jnp.corrcoef(*pair)[0, 1])(r, q),
        "mean": jnp.nanmean(errors),
        "std": jnp.nanstd(errors),
    }


def occlude(
    images: Array,
    network: Sequence[Layer],
    size: Pair,
    stride: Pair,
    value: Sequence[float] | str,
    layer: int,
    labels: Sequence[int],
) -> dict[str, Array]:
    demand_from(1, size, "a square")
    given = network, size, stride, value, layer
    demand_number(layer, 1, len(network) + 1, "layer")
    found = [of_image(*each, *given) for each in zip(images, labels, strict=True)]
    return {name: jnp.stack([one[name] for one in found]) for name in found[0]}


def of_image(
    image: Array,
    label: int,
    network: Sequence[Layer],
    size: Pair,
    stride: Pair,
    value: Sequence[float] | str,
    layer: int,
) -> dict[str, Array]:
    if value == "background":
        ring = np.ones(image.shape[1:], bool)
        ring[1:-1, 1:-1] = False
        colour = jnp.median(image[:, ring], axis=1)
    else:
        colour = jnp.array(value, image.dtype)
    starts = [
        range(0, pixels - own + 1, step)
        for pixels, own, step in zip(image.shape[1:], size, stride, strict=True)
    ]
    places = tuple(map(len, starts))
    if not all(places):
        raise ValueError(f"squares of {size} on images {image.shape}")
    shown = jnp.broadcast_to(colour[:, None, None], (len(image), *size))
    # dynamic_update_slice moves a square that would lie beyond the border; none does.
    corners = jnp.array([(0, top, left) for top in starts[0] for left in starts[1]])
    copies = jax.vmap(lambda corner: lax.dynamic_update_slice(image, shown, corner))(corners)
    strongest = forward(image[None], network[:layer])[f"layer{layer}"].sum((2, 3)).argmax()
    maps = forward(copies, network)
    last = maps[f"layer{len(network)}"]
    every = last if network[-1]["type"] == "softmax" else nn.softmax(last, axis=1)
    scores = every.mean((2, 3))
    demand_number(label, 0, scores.shape[1], "class")
    return {
        "map": strongest,
        "activity": maps[f"layer{layer}"][:, strongest].sum((1, 2)).reshape(places),
        "probability": scores[:, label].reshape(places),
        "label": scores.argmax(1).reshape(places),
    }


def seen(layer: Layer) -> Layer:
    """Return a layer with the window that it looks through."""
    if layer["type"] == "pool":
        return layer
    return {**layer, "window": span(layer["filters"], layer["dilate"])}


def unit(rows: Array) -> Array:
    """Return each row on [0, 1]."""
    low, high = rows.min(1, keepdims=True), rows.max(1, keepdims=True)
    return (rows - low) / jnp.where(high > low, high - low, jnp.nan)


def on_jax(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Let an operation on JAX's arrays take and return NumPy's; it is compiled as a whole."""

    @wraps(operation)
    def run(**given: Any) -> Any:
        leaves, structure = jax.tree.flatten(given)
        arrays = {n: leaf for n, leaf in enumerate(leaves) if isinstance(leaf, np.ndarray)}

        def on_arrays(traced: dict[int, Array]) -> Any:
            mixed = [traced.get(n, leaf) for n, leaf in enumerate(leaves)]
            return operation(**jax.tree.unflatten(structure, mixed))

        compiled = jax.jit(on_arrays, compiler_options=COMPILED_FAST)
        return jax.tree.map(np.asarray, compiled(arrays))

    return run


# Each is compiled for a single call: a third of the time goes without these.
COMPILED_FAST = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}

OPERATIONS = (
    correlate, pool, relu, normalize, bnorm, forward,
    substitute, decode, project, unpool, receptive_field, respond, evaluate,
    occlude,
)  # fmt: skip

if __name__ == "__main__":
    functions = {each.__name__: on_jax(each) for each in OPERATIONS}
    answer(functions, refusals=(ValueError, TypeError, IndexError))
