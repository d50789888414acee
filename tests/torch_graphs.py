"""Networks in PyTorch: the forward pass over a graph, layer by layer, for any kind of layer."""

from __future__ import annotations

from contextlib import contextmanager
from functools import wraps
from itertools import islice

import numpy as np
import torch
from torch.nn import functional

import fdref
from fdref import layers as kinds
from fdref.network.fields import jumps
from fdref.network.units import boxes


def tensor(values):
    return torch.tensor(np.array(values), dtype=torch.get_default_dtype())


def channelwise(values):
    return tensor(values)[:, None, None]


@contextmanager
def precision(dtype):
    """Compute in a precision, for as long as the context lasts."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def in_double(function):
    """Run a function in float64."""

    @wraps(function)
    def run(*arguments, **options):
        with precision(torch.float64):
            return function(*arguments, **options)

    return run


@in_double
def forward(net, inputs):
    return maps_of(net, [tensor(x) for x in inputs])


def maps_of(net, inputs, linear=False, last=None):
    """Return every map by number; a linear one leaves out offsets and what is not linear."""
    maps = {-n: x for n, x in enumerate(inputs)}
    for number, layer in islice(enumerate(net, 1), last):
        maps[number] = output(net, number, layer, [maps[n] for n in net.takes[number]], linear)
    return maps


@in_double
def projected(net, x, number, start, rule):
    """Take a map's values down to the image by autograd, with hooks where rules differ from it."""
    image = tensor(x).requires_grad_()
    maps = {0: image}
    for above, layer in islice(enumerate(net, 1), number):
        taken = [maps[n] for n in net.takes[above]]
        y = output(net, above, layer, taken, linear=False)
        maps[above] = y if rule == "gradient" else by_rule(layer, taken[0], y, rule)
    maps[number].backward(tensor(start))
    return np.zeros_like(x) if image.grad is None else image.grad.numpy()


class Straight(torch.autograd.Function):
    """The values of y, the derivative of x: to the bit, or equal maps of a maximum would not be."""

    @staticmethod
    def forward(_, x, y):
        return y.clone()

    @staticmethod
    def backward(_, d):
        return d, None


def by_rule(layer, x, y, rule):
    rectifies = isinstance(layer, kinds.ReLU | kinds.PReLU)
    passes = isinstance(layer, kinds.Elementwise | kinds.Normalize)
    straight = passes or (rectifies and rule != "guided")
    passed = Straight.apply(x, y) if straight else y
    if rectifies and rule != "linear":
        leak = tensor(layer.leak) if isinstance(layer, kinds.ReLU) else channelwise(layer.leak)
        passed.register_hook(lambda d: torch.where(d > 0, d, d * leak))
    return passed


def output(net, number, layer, taken, linear):  # noqa: C901, PLR0912 - a table: a row for each kind of layer
    x = taken[0]
    match layer:
        case kinds.Conv():
            bias = None if layer.bias is None or linear else tensor(layer.bias)
            top, bottom, left, right = layer.pad
            padded = functional.pad(x, (left, right, top, bottom))
            groups = x.shape[1] // layer.filters.shape[1]
            weights = tensor(layer.filters)
            return functional.conv2d(padded, weights, bias, layer.stride, 0, layer.dilate, groups)
        case kinds.ConvTranspose():
            bias = None if layer.bias is None or linear else channelwise(layer.bias)
            whole = functional.conv_transpose2d(
                x, tensor(layer.filters), None, layer.upsample, groups=layer.groups
            )
            top, bottom, left, right = layer.crop
            cropped = functional.pad(whole, (-left, -right, -top, -bottom))
            return cropped if bias is None else cropped + bias
        case kinds.Pool(window=window, stride=stride, pad=pad, method=method):
            top, bottom, left, right = pad
            if method == "max" and not linear:
                padded = functional.pad(x, (left, right, top, bottom), value=-torch.inf)
                return functional.max_pool2d(padded, window, stride)
            ones = torch.ones_like(x[:1, :1])
            total, count = (
                functional.avg_pool2d(
                    functional.pad(maps, (left, right, top, bottom)), window, stride
                )
                for maps in (x, ones)
            )
            return total / count
        case kinds.BatchNorm():
            centred = x if linear else x - channelwise(layer.mean)
            scaled = centred * channelwise(layer.gain / layer.deviation)
            return scaled if linear else scaled + channelwise(layer.bias)
        case kinds.Scale():
            scaled = x * channelwise(layer.factor)
            return scaled if linear or layer.offset is None else scaled + channelwise(layer.offset)
        case kinds.Sum():
            factors = layer.factors or [1.0] * len(taken)
            return sum(factor * maps for factor, maps in zip(factors, taken, strict=True))
        case kinds.Concat():
            return torch.cat(taken, 1)
        case kinds.Channels(indices=indices):
            return x[:, list(indices)]
        case kinds.Upsample(factor=factor):
            return x.repeat_interleave(factor[0], 2).repeat_interleave(factor[1], 3)
        case kinds.Shuffle():
            return shuffled(layer, x)
        case kinds.Pad(pad=(top, bottom, left, right)):
            return functional.pad(x, (left, right, top, bottom))
        case _ if linear:
            return x
        case kinds.ReLU(leak=leak):
            return functional.leaky_relu(x, leak)
        case kinds.PReLU(leak=leak):
            return functional.prelu(x, tensor(leak))
        case kinds.Elementwise():
            return FUNCTIONS[layer.function](x, *layer.constants)
        case kinds.Softmax():
            return functional.softmax(x, 1)
        case kinds.Normalize(size=size, alpha=alpha, beta=beta, kappa=kappa):
            return functional.local_response_norm(x, size, alpha * size, beta, kappa)
        case kinds.Dropout():
            return x
        case kinds.Product():
            return torch.stack(taken).prod(0)
        case kinds.Maximum():
            # Of equal ones the first takes all that comes down; amax would share it out, which is
            # another way where a rule rectifies on one of them alone.
            stack = torch.stack(taken)
            return stack.gather(0, stack.argmax(0, keepdim=True))[0]
    raise AssertionError(layer)


FUNCTIONS = {
    "clip": torch.clamp,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "swish": functional.silu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "hard_sigmoid": lambda x, alpha, beta: torch.clamp(alpha * x + beta, 0, 1),
    "hard_swish": functional.hardswish,
    "elu": functional.elu,
    "softplus": functional.softplus,
    "abs": torch.abs,
}


DEFAULTS = {
    "clip": functional.relu6,
    "hard_sigmoid": lambda x: functional.relu6(x + 3) / 6,
    "elu": functional.elu,
}
"""What they are without constants."""


@in_double
def function(name, constants, x):
    """Return a function of numbers and its derivative; constants left out are PyTorch's."""
    tried = {"clip": (0, 6), "hard_sigmoid": (1 / 6, 0.5), "elu": (1,)}.get(name, ())
    by = FUNCTIONS[name] if constants else DEFAULTS.get(name, FUNCTIONS[name])
    numbers = tensor(x).requires_grad_()
    value = by(numbers, *constants, *(tried[len(constants) :] if constants else ()))
    value.sum().backward()
    return value.detach().numpy(), numbers.grad.numpy()


def shuffled(layer, x):
    r = layer.block
    n, channels, height, width = x.shape
    if layer.reverse:
        if layer.order == "CRD":
            return functional.pixel_unshuffle(x, r)
        blocks = x.reshape(n, channels, height // r, r, width // r, r)
        axes = (0, 3, 5, 1, 2, 4) if layer.order == "DCR" else (0, 1, 5, 3, 2, 4)
        return blocks.permute(axes).reshape(n, -1, height // r, width // r)
    if layer.order == "CRD":
        return functional.pixel_shuffle(x, r)
    shallow = channels // (r * r)
    if layer.order == "DCR":
        blocks, axes = x.reshape(n, r, r, shallow, height, width), (0, 3, 4, 1, 5, 2)
    else:  # the column of a block counts slower than its row
        blocks, axes = x.reshape(n, shallow, r, r, height, width), (0, 1, 4, 3, 5, 2)
    return blocks.permute(axes).reshape(n, shallow, height * r, width * r)


@in_double
def gradients(net, inputs, delta):
    """Return the gradient of sum(delta * last map) in each input; None where it sees it not."""
    tensors = [tensor(x).requires_grad_() for x in inputs]
    last = maps_of(net, tensors)[len(net)]
    found = torch.autograd.grad((last * tensor(delta)).sum(), tensors, allow_unused=True)
    return {-n: None if own is None else own.numpy() for n, own in enumerate(found)}


@in_double
def unit_gradients(net, number, unit, size):
    """Return the gradient of one unit (k, y, x) of the linear part of a network in each input."""
    tensors = [torch.zeros(1, c, *size).requires_grad_() for c in net.input_channels]
    k, y, x = unit
    response = maps_of(net, tensors, linear=True)[number][0, k, y, x]
    found = torch.autograd.grad(response, tensors, allow_unused=True)
    return {
        -n: np.zeros(tensors[n].shape[1:]) if own is None else own.numpy()[0]
        for n, own in enumerate(found)
    }


def decode(net, jobs):
    """Return pictures of some units of layers, [(number, filters)]: gradients in a linear network.

    In float32. The image is just so large that one unit of the layer sees no border of any map; its
    pools average.
    """
    found = {}
    with precision(torch.float32):
        for number, filters in jobs:
            field, seen = fdref.receptive_field(net, number), fdref_boxes(net, number)
            # moved by whole jumps until nothing lies in the padding above or on the left
            steps = [
                max(-(-max(0, -box.origin[a]) // jump[a]) for box, jump in seen) for a in (0, 1)
            ]
            size = [
                2 * steps[a] * field.stride[a] + field.size[a] + field.stride[a] for a in (0, 1)
            ]
            images = torch.zeros(len(filters), net.channels[0], *size, requires_grad=True)
            maps = maps_of(net, [images], linear=True, last=number)
            units = maps[number][range(len(filters)), list(filters), steps[0], steps[1]]
            (gradient,) = torch.autograd.grad(units.sum(), images)
            top, left = (field.offset[a] + steps[a] * field.stride[a] for a in (0, 1))
            height, width = field.size
            found[number] = gradient[:, :, top : top + height, left : left + width].numpy()
    return found


def fdref_boxes(net, number):
    """Return what the first unit sees of every map below, and by how much its neighbour's moves."""
    jump = jumps(net, number)
    return [(box, [int(n) for n in jump[below]]) for below, box in boxes(net, number).items()]
