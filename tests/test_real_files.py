"""Files that MATLAB wrote: each answers and decodes as PyTorch and another reader say."""

from __future__ import annotations

import numpy as np
import pytest
from absence import absent
from torch_matconvnet import Second, read, rows, several

import fdref
from fdref import Unknown

SIMPLE = {
    "dae-cell-v5.mat": (39, 3, 20),
    "dcfnet-simplenn-v5.mat": (4, 3, 2),
    "dehazing-simplenn-v5.mat": (15, 3, 1),
    "dncnn-bnorm-simplenn-v73.mat": (48, 1, 17),
    "dncnn-gray-simplenn-v73.mat": (33, 1, 17),
    "face-simplenn-v5.mat": (6, 3, 3),
    "fdncnn-color-simplenn-v73.mat": (40, 4, 0),
    "ffdnet-gray-simplenn-v73.mat": (32, 5, 0),
    "plate-simplenn-v5.mat": (8, 1, 3),
    "player-simplenn-v5.mat": (8, 3, 2),
}
DAGS = {"dncnn-gray-dagnn-v73.mat": (49, 1, 17), "lapsrn-x2-dagnn-v5.mat": (28, 1, 14)}
SIDE = 14
KNOWN = ("conv", "pool", "relu", "bnorm", "normalize", "lrn", "softmax", "softmaxloss", "dropout")


@pytest.fixture(scope="module")
def torch():
    try:
        import torch
    except ImportError:
        absent("peers", "PyTorch is not installed")
    return torch


@pytest.fixture
def load(shared):
    return lambda name, **edit: fdref.load(shared / "models" / name, **edit)


def images(net):
    """Return two images, of the size that a network wants, if it wants one."""
    size = net.input_size or (SIDE, SIDE)
    random = np.random.default_rng(len(net))
    return random.standard_normal((2, net.channels[0], *size))


def cell_of(found):
    net = found.get("net", found)
    return net["layers"] if isinstance(net, dict) else net


def close(found, expected):
    expected = expected.detach().numpy()
    assert found.shape == expected.shape
    assert abs(found - expected).max() <= 1e-10 * max(1, abs(expected).max())


@pytest.mark.parametrize("name", [*SIMPLE, *DAGS])
def test_every_file_loads_with_all_its_layers(load, name):
    net = load(name)
    layers, channels, decodable = (SIMPLE | DAGS)[name]
    assert (len(net), net.channels[0], len(net.decodable)) == (layers, channels, decodable)
    assert net.dtype == np.float32


@pytest.mark.parametrize("name", SIMPLE)
def test_every_map_of_a_chain_is_pytorchs(load, torch, shared, name):
    net = load(name)
    x = images(net)
    cell = cell_of(read(shared / "models" / name))
    expected = list(Second(torch).simplenn(cell, torch.tensor(x), KNOWN))
    if expected:
        found = fdref.forward(net, x, engine="reference", last=len(expected))[1:]
        for own, other in zip(found, expected, strict=True):
            close(own, other)
    unknown = [n for n, layer in enumerate(net, 1) if isinstance(layer, Unknown)]
    assert len(expected) == (unknown[0] - 1 if unknown else len(net))


@pytest.mark.parametrize("name", DAGS)
def test_every_map_of_a_graph_is_pytorchs(load, torch, shared, name):
    """LapSRN: transposed convolutions, cropped unevenly, and a sum of two ways."""
    net = load(name)
    x = images(net)
    maps = Second(torch).dagnn(read(shared / "models" / name)["net"], torch.tensor(x))
    found = fdref.forward(net, x, engine="reference")
    names = [row["name"] for row in rows(read(shared / "models" / name)["net"]["layers"])]
    outputs = {
        row["name"]: row["outputs"] for row in rows(read(shared / "models" / name)["net"]["layers"])
    }
    compared = 0
    for number, own in enumerate(found[1:], 1):
        layer = net[number]
        assert layer.name in names
        (output,) = several(flat(outputs[layer.name]))
        close(own, maps[output])
        compared += 1
    assert compared == len(names) - 1  # all but the loss
    compiled = fdref.forward(net, x)
    assert abs(compiled[-1] - found[-1]).max() <= 1e-5 * abs(found[-1]).max()


def flat(value):
    while isinstance(value, list | np.ndarray) and len(value) == 1:
        value = value[0]
    return value


def gradient(torch, net, maps, x, number, k, at):
    maps[number][0, k, *at].backward()
    return x.grad[0].numpy()


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("dae-cell-v5.mat", 5),
        ("dcfnet-simplenn-v5.mat", 3),
        ("dehazing-simplenn-v5.mat", 1),
        ("dncnn-bnorm-simplenn-v73.mat", 7),
        ("face-simplenn-v5.mat", 6),
        ("plate-simplenn-v5.mat", 7),
        ("player-simplenn-v5.mat", 6),
    ],
)
def test_decoded_filters_are_the_gradients_of_the_linearised_chain(
    load, torch, shared, name, layer
):
    """Shares of the window are the gradient of an average pool."""
    net = load(name, input_size=load(name).input_size or SIDE)
    cell = cell_of(read(shared / "models" / name))
    random = np.random.default_rng(3)
    for _ in range(3):
        k, *at = (int(random.integers(n)) for n in (net.channels[layer], *net.sizes[layer]))
        x = torch.tensor(images(net)[:1], requires_grad=True)
        maps = [
            x,
            *Second(torch, linear=True).simplenn(cell, x, KNOWN),
        ]
        expected = gradient(torch, net, maps, x, layer, k, at)
        picture = fdref.decode(net, layer, k, "window", "reference", position=at)[0]
        field = fdref.receptive_field(net, layer, position=at)
        placed = np.zeros_like(expected)
        (top, left), (height, width) = field.offset, field.size
        placed[:, top : top + height, left : left + width] = picture
        assert abs(placed - expected).max() <= 1e-12 * abs(expected).max()


@pytest.mark.parametrize("layer", ["level1_conv2", "level1_upconv", "level1_output"])
def test_decoded_filters_of_lapsrn_are_the_gradients_of_its_linearised_graph(
    load, torch, shared, layer
):
    name = "lapsrn-x2-dagnn-v5.mat"
    net = load(name, input_size=12)
    number = net.number(layer)
    for at in ((0, 0), (5, 8), (11, 3)):
        x = torch.tensor(images(net)[:1], requires_grad=True)
        second = Second(torch, linear=True)
        maps = second.dagnn(read(shared / "models" / name)["net"], x)
        maps[layer][0, 0, *at].backward()
        expected = x.grad[0].numpy()
        picture = fdref.decode(net, number, 0, "nearest", "reference", position=at)[0]
        field = fdref.receptive_field(net, number, position=at)
        (top, left), (height, width) = field.offset, field.size
        placed = np.zeros_like(expected)
        placed[:, top : top + height, left : left + width] = picture
        assert abs(placed - expected).max() <= 1e-12 * abs(expected).max()


def test_averages_stand_where_people_put_them(load):
    assert load("face-simplenn-v5.mat").average.ravel() == pytest.approx([0.4087117] * 3)
    assert load("dcfnet-simplenn-v5.mat").average.ravel() == pytest.approx([123, 117, 104], abs=1)
    assert load("plate-simplenn-v5.mat").average.shape == (1, 20, 20)
    assert load("dae-cell-v5.mat").average is None


def test_layers_of_peoples_own_are_kept_dropped_or_translated(load):
    net = load("ffdnet-gray-simplenn-v73.mat")
    first = net[1]
    assert (first.type, first.name, dict(first.fields)) == ("SubP", "layer1", {"scale": "0.5"})
    assert (net[2].type, net[2].channels) == ("concat", 5)

    def shuffle(fields):
        scale = float(fields["scale"].item())
        reverse = scale < 1
        block = round(1 / scale) if reverse else round(scale)
        return fdref.Shuffle(block, "MATLAB", reverse=reverse)

    dropped = load("ffdnet-gray-simplenn-v73.mat", drop=[1, "layer2"], layers={"SubP": shuffle})
    assert (len(dropped), dropped.channels[:2]) == (30, (5, 64))
    assert dropped[30] == fdref.Shuffle(2, "MATLAB", name=net[32].name)
    assert len(dropped.decodable) == 15
    hooks = {"SubP": shuffle, "concat": lambda _: fdref.ReLU()}
    with pytest.raises(fdref.NetworkError, match=r"name them with input_channels"):
        load("ffdnet-gray-simplenn-v73.mat", layers=hooks)
    with pytest.raises(fdref.NetworkError, match=r"layer 3 \(conv 'layer3'\): 64 filters"):
        load("ffdnet-gray-simplenn-v73.mat", layers=hooks, input_channels=1)
