"""PyTorch modules, small and of every kind, exported to ONNX as people export them."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from functools import cache

import onnx
import torch
from torch import nn
from torch.nn import functional


def conv(inputs, outputs, size=3, **options):
    return nn.Conv2d(inputs, outputs, size, **options)


def lenet():
    return nn.Sequential(
        conv(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        conv(6, 8, 5),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 6 * 6, 20),
        nn.Tanh(),
        nn.Linear(20, 10),
        nn.Softmax(1),
    )


def vgg():
    layers = []
    for inputs, outputs in ((3, 8), (8, 8), (8, 12)):
        layers += [conv(inputs, outputs, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += [nn.MaxPool2d(2, 2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(12, 5)]
    return nn.Sequential(*layers, *head)


class Block(nn.Module):
    """A residual block."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = conv(inputs, outputs, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.conv2 = conv(outputs, outputs, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.down = nn.Identity()
        if inputs != outputs:
            own = conv(inputs, outputs, 1, stride=stride, bias=False)
            self.down = nn.Sequential(own, nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + self.down(x))


def resnet():
    return nn.Sequential(
        conv(3, 4, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        Block(4, 4, 1),
        Block(4, 6, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
    )


class Joined(nn.Module):
    """Branches over one map, whose channels are joined."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def fire(inputs, squeezed, outputs):
    return nn.Sequential(
        conv(inputs, squeezed, 1),
        nn.ReLU(),
        Joined(
            nn.Sequential(conv(squeezed, outputs, 1), nn.ReLU()),
            nn.Sequential(conv(squeezed, outputs, padding=1), nn.ReLU()),
        ),
    )


def squeezenet():
    return nn.Sequential(
        conv(3, 8, stride=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        fire(8, 4, 6),
        fire(12, 4, 6),
        nn.Dropout(),
        conv(12, 5, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def inception():
    block = Joined(
        conv(6, 4, 1),
        nn.Sequential(conv(6, 3, 1), nn.ReLU(), conv(3, 4, (1, 7), padding=(0, 3))),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), conv(6, 3, 1)),
    )
    reduction = Joined(conv(11, 4, stride=2), nn.MaxPool2d(3, 2))
    return nn.Sequential(conv(3, 6, 3), nn.ReLU(), block, nn.ReLU(), reduction, conv(15, 4, 1))


class UNet(nn.Module):
    """Down and up again, beside a way that stays up."""

    def __init__(self, up):
        super().__init__()
        self.first = nn.Sequential(conv(3, 4, padding=1), nn.ReLU())
        self.pool = nn.MaxPool2d(2)
        self.deep = nn.Sequential(conv(4, 6, padding=1), nn.ReLU())
        self.up = up
        self.last = conv(4 + 6, 2, padding=1)

    def forward(self, x):
        first = self.first(x)
        return self.last(torch.cat([first, self.up(self.deep(self.pool(first)))], 1))


class ChannelShuffle(nn.Module):
    """ShuffleNet's, with lengths that the graph takes from the map."""

    def forward(self, x):
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shufflenet():
    return nn.Sequential(
        conv(3, 8, padding=1),
        conv(8, 8, 1, groups=2),
        ChannelShuffle(),
        conv(8, 8, padding=1, groups=8, stride=2),
        conv(8, 8, 1, groups=4),
    )


class Halves(nn.Module):
    """A map in two halves, of which one is convolved, and one part is picked."""

    def __init__(self):
        super().__init__()
        self.own = conv(4, 4, padding=1)

    def forward(self, x):
        kept, taken = x.chunk(2, 1)
        return torch.cat(
            [self.own(taken), kept, x[:, 1:6:2], x.index_select(1, torch.tensor([7, 0, 3]))], 1
        )


class Excited(nn.Module):
    """Squeeze and excitation: a product of maps."""

    def __init__(self, channels):
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            conv(channels, 2, 1),
            nn.SiLU(),
            conv(2, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return x * self.gate(x)


class Arithmetic(nn.Module):
    """Numbers beside maps, in every order."""

    def __init__(self):
        super().__init__()
        self.own = conv(3, 4)
        self.colour = nn.Parameter(torch.randn(4, 1, 1))

    def forward(self, x):
        y = self.own((x - 0.5) / 0.25)
        z = (2 - y) * self.colour + 1
        return -z - y + (y + self.colour) / 3


class Global(nn.Module):
    """A mean over rows and columns, and the largest number."""

    def __init__(self):
        super().__init__()
        self.own = conv(3, 4)
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        y = self.own(x)
        return self.last(torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1))


class ByPixel(nn.Module):
    """A matrix over the channels of every pixel, in the order (N, H, W, C)."""

    def __init__(self):
        super().__init__()
        self.own = conv(3, 4)
        self.matrix = nn.Linear(4, 5)

    def forward(self, x):
        return torch.relu(self.matrix(self.own(x).permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


class LastFlattened(nn.Module):
    """Flattened with the channels last, as Keras does it."""

    def __init__(self):
        super().__init__()
        self.own = conv(3, 4)
        self.matrix = nn.Linear(4 * 14 * 12, 3)

    def forward(self, x):
        return self.matrix(self.own(x).permute(0, 2, 3, 1).flatten(1))


class ToSize(nn.Module):
    """Enlarged to twice the size, which the graph takes from the map."""

    def forward(self, x):
        return functional.interpolate(x, size=(2 * x.shape[2], 2 * x.shape[3]))


class Largest(nn.Module):
    """Maxout."""

    def __init__(self):
        super().__init__()
        self.one, self.other = conv(3, 4), conv(3, 4)

    def forward(self, x):
        return torch.maximum(self.one(x), self.other(x))


def after(*modules, channels=8):
    """Return modules over the map of a convolution."""
    return lambda: nn.Sequential(conv(3, channels, padding=1), *(make() for make in modules))


def activations():
    kinds = [nn.ReLU6(), nn.LeakyReLU(0.1), nn.ELU(0.7), nn.SELU(), nn.Sigmoid(), nn.Softplus()]
    kinds += [nn.SiLU(), nn.Hardswish(), nn.Hardsigmoid(), nn.GELU(), nn.GELU("tanh"), nn.Tanh()]
    kinds += [nn.Mish(), nn.Hardtanh(-0.3, 0.4), nn.PReLU(8), nn.PReLU(), nn.Softmax(1)]
    layers = [conv(3, 8)]
    for kind in kinds:
        layers += [kind, conv(8, 8, 1)]
    return nn.Sequential(*layers[:-1])


MODULES = {
    "activations": activations,
    "arithmetic": Arithmetic,
    "average, borders counted": after(lambda: nn.AvgPool2d(3, 2, 1)),
    "average, borders not counted": after(
        lambda: nn.AvgPool2d((3, 2), 2, (1, 0), count_include_pad=False)
    ),
    "average, rounded up": after(lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True)),
    "average, rounded up, not counted": after(
        lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)
    ),
    "bilinear by 2": after(lambda: nn.Upsample(scale_factor=2, mode="bilinear")),
    "bilinear by 3 and 4": after(lambda: nn.Upsample(scale_factor=(3, 4), mode="bilinear")),
    "by pixel": ByPixel,
    "depthwise": lambda: nn.Sequential(conv(3, 6, groups=3), conv(6, 12, groups=6, padding=1)),
    "dilated": lambda: nn.Sequential(conv(3, 4, dilation=(2, 3), padding=(1, 2), stride=(1, 2))),
    "excited": after(lambda: Excited(8)),
    "global": Global,
    "groups": lambda: nn.Sequential(conv(3, 6, 1), conv(6, 9, groups=3, stride=2)),
    "halves": after(Halves),
    "inception": inception,
    "largest": Largest,
    "last flattened": LastFlattened,
    "lenet": lenet,
    "maximum, rounded up": after(lambda: nn.MaxPool2d((3, 2), (2, 3), (1, 1), ceil_mode=True)),
    "maximum, steps beyond the window": after(lambda: nn.MaxPool2d(2, 5, 1, ceil_mode=True)),
    "normalised": after(lambda: nn.LocalResponseNorm(5, 0.3, 0.6, 2.0)),
    "normalised, even": after(lambda: nn.LocalResponseNorm(4, 0.3, 0.6, 2.0)),
    "padded": after(
        lambda: nn.ZeroPad2d((1, 2, 3, 0)), lambda: nn.ZeroPad2d((-1, 0, -2, -1)), nn.ReLU
    ),
    "pixel shuffle": after(lambda: nn.PixelShuffle(2)),
    "pixel unshuffle": after(lambda: nn.PixelUnshuffle(2)),
    "repeated": after(lambda: nn.Upsample(scale_factor=(2, 3))),
    "resnet": resnet,
    "same": lambda: nn.Sequential(conv(3, 4, (4, 3), padding="same"), conv(4, 4, 2)),
    "shufflenet": shufflenet,
    "squeezenet": squeezenet,
    "to a size": after(ToSize),
    "transposed": lambda: nn.Sequential(
        conv(3, 4),
        nn.ConvTranspose2d(4, 6, (4, 3), stride=2, padding=(1, 0), output_padding=(0, 1)),
        nn.ConvTranspose2d(6, 4, 3, groups=2, dilation=2, padding=1),
        nn.ConvTranspose2d(4, 4, 2, stride=3, output_padding=2, bias=False),
    ),
    "unet": lambda: UNet(nn.ConvTranspose2d(6, 6, 2, stride=2)),
    "unet, repeated": lambda: UNet(nn.Upsample(scale_factor=2)),
    "vgg": vgg,
}
SHAPES = {"lenet": (1, 32, 32), "resnet": (3, 64, 48)}
SHAPES |= {"squeezenet": (3, 40, 37), "last flattened": (3, 16, 14)}
SHAPE = (3, 16, 14)


def shape_of(name):
    return SHAPES.get(name, SHAPE)


@cache
def module(name):
    """Return a module in test mode, with moments that a training could have left."""
    torch.manual_seed(len(name))
    made = MODULES[name]().eval()
    for one in made.modules():
        if isinstance(one, nn.BatchNorm2d):
            for values in (one.weight, one.running_var):
                nn.init.uniform_(values, 0.5, 1.5)
            nn.init.normal_(one.bias)
            nn.init.normal_(one.running_mean)
    return made


def images(name, count=1):
    return torch.randn(count, *shape_of(name), generator=torch.Generator().manual_seed(1))


@cache
def exported(name, exporter):
    """Return the model that an exporter makes of a module, for one image."""
    return export(module(name), images(name), exporter)


def export(made, x, exporter, *, batch=False, size=False, opset=None, path=None):
    """Export a module by one of PyTorch's exporters; the batch, or the size, may be left open."""
    options = {} if opset is None else {"opset_version": opset}
    axes = ({0: "n"} if batch else {}) | ({2: "h", 3: "w"} if size else {})
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        if exporter == "new":
            dynamic = dict.fromkeys(axes, torch.export.Dim.DYNAMIC)
            options |= {"dynamic_shapes": (dynamic,)} if dynamic else {}
            program = torch.onnx.export(
                made, (x,), path, dynamo=True, verbose=False, input_names=["x"], **options
            )
            return onnx.load(path, load_external_data=False) if path else program.model_proto
        file = io.BytesIO()
        options |= {"dynamic_axes": {"x": axes}} if axes else {}
        torch.onnx.export(made, (x,), file, dynamo=False, input_names=["x"], **options)
        return onnx.load_from_string(file.getvalue())


LINEAR = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.Sigmoid, nn.Softplus, nn.SiLU, nn.Tanh)
LINEAR += (nn.Hardswish, nn.Hardsigmoid, nn.GELU, nn.Softmax, nn.PReLU, nn.LocalResponseNorm)


def linear(made):
    """Return the linear part of a module: pools average, offsets and functions are left out."""
    own = copy.deepcopy(made)
    with torch.no_grad():
        for one in own.modules():
            for name, child in one.named_children():
                if isinstance(child, LINEAR):
                    setattr(one, name, nn.Identity())
                elif isinstance(child, nn.MaxPool2d):
                    pool = nn.AvgPool2d(
                        child.kernel_size,
                        child.stride,
                        child.padding,
                        ceil_mode=child.ceil_mode,
                        count_include_pad=False,
                    )
                    setattr(one, name, pool)
            for name in ("bias", "running_mean"):
                values = getattr(one, name, None)
                if isinstance(values, torch.Tensor):
                    values.zero_()
    return own


def gradient(made, x, unit):
    """Return the gradient of one unit of the output, its channel and position, in an image."""
    image = torch.zeros_like(x[:1]).requires_grad_()
    output = made(image)
    output = output if output.ndim == 4 else output[:, :, None, None]
    (found,) = torch.autograd.grad(output[(0, *unit)], image)
    return found[0].numpy()
