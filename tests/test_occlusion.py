"""A square that moves over images: bits of a slow twin, and what others compute."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from absence import absent
from foreign_engine import NumpyEngine

import fdref
from fdref import ArgumentError, Conv, Network, NetworkError, Pool, ReLU, Softmax, Unknown
from fdref.engines.local import local
from fdref.engines.reference import softmax

RANDOM = np.random.default_rng(0)


def weights(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32) / 10


COLOUR = Network(
    [
        Conv(weights(5, 3, 3, 3), weights(5), pad=1),
        ReLU(),
        Pool(2, 2),
        Conv(weights(4, 5, 3, 3), weights(4), name="scores"),
        Softmax(),
    ],
    average=[100.0, 110.0, 120.0],
)
PICTURES = RANDOM.integers(0, 256, (3, 3, 14, 12)).astype(np.uint8)


def slowly(net, pixels, size, stride, colour, layer, engine, label=None):
    """Paint the pixels, prepare and run every copy by itself; nothing is shared with the library.

    `colour` are numbers (C,), or an image (C, H, W).
    """
    own = local(engine)
    colour = np.reshape(colour, np.shape(colour) if np.ndim(colour) == 3 else (-1, 1, 1))
    colour = np.broadcast_to(colour, pixels.shape)

    def answer(image):
        acts = fdref.forward(net, net.prepare(image[None]), own)
        said = acts[-1] if isinstance(net[len(net)], Softmax) else own.softmax(acts[-1])
        said = said.astype(np.float64).mean(axis=(2, 3))[0]
        return said, acts[layer][0].astype(np.float64).sum(axis=(1, 2))

    said, totals = answer(pixels.astype(float))
    best, label = int(np.argmax(totals)), int(np.argmax(said)) if label is None else label
    rows = range(0, pixels.shape[1] - size[0] + 1, stride[0])
    columns = range(0, pixels.shape[2] - size[1] + 1, stride[1])
    found = np.empty((3, len(rows), len(columns)))
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            copy = pixels.astype(float)
            for y in range(top, top + size[0]):
                for x in range(left, left + size[1]):
                    copy[:, y, x] = colour[:, y, x]
            said, totals = answer(copy)
            found[:, i, j] = said[label], np.argmax(said), totals[best]
    return found, best, label


def same(found, expected):
    (probability, label, activity), best, true = expected
    assert (found.map, found.labels) == (best, true)
    assert found.probability.tobytes() == probability.tobytes()
    assert (found.label == label).all()
    assert found.activity.tobytes() == activity.tobytes()


@pytest.mark.parametrize("value", [127.5, [3, 200.0, -7], "average", "background"])
@pytest.mark.parametrize(
    ("size", "stride"), [((3, 3), (1, 1)), ((1, 5), (3, 2)), ((14, 12), (1, 1))]
)
def test_colour_pictures(value, size, stride, engine):
    image = PICTURES[0]
    edges = np.concatenate(
        [image[:, 0], image[:, -1], image[:, 1:-1, 0], image[:, 1:-1, -1]], axis=1
    )
    colour = {"average": [100, 110, 120], "background": np.median(edges, axis=1)}
    colour = colour[value] if isinstance(value, str) else np.broadcast_to(value, 3)
    x = COLOUR.prepare(image[None])[0]
    found = fdref.occlude(COLOUR, x, size, stride, value, layer=2, engine=engine)
    assert found.layer == 2
    same(found, slowly(COLOUR, image, size, stride, colour, 2, engine))


def test_the_shipped_network(engine):
    net, digits = fdref.load(), fdref.mnist().test
    image = digits.images[3]
    found = fdref.occlude(net, net.prepare(image[None])[0, 0], 7, 5, value="background")
    same(found, slowly(net, image[None], (7, 7), (5, 5), [0], 3, "compiled"))
    assert found.labels == digits.labels[3]
    again = fdref.occlude(net, net.prepare(image[None]), 7, 5, "average", 6, [0], engine)
    average = net.average
    expected = slowly(net, image[None], (7, 7), (5, 5), average, 6, engine, 0)
    assert again.probability.shape == (1, 5, 5)
    assert again.labels.tolist() == [0]
    assert again.probability[0].tobytes() == expected[0][0].tobytes()
    assert again.activity[0].tobytes() == expected[0][2].tobytes()


def test_plain_forward_differs_in_rounding_alone(engine):
    net, digits = fdref.load(), fdref.mnist().test
    x = net.prepare(digits.images[:1])
    found = fdref.occlude(net, x, 9, 4, 200.0, engine=engine)
    grey = net.prepare(np.full((1, 28, 28), 200.0))[0]
    copies = []
    for top, left in np.ndindex(5, 5):
        copies.append(x[0].copy())
        part = slice(None), slice(4 * top, 4 * top + 9), slice(4 * left, 4 * left + 9)
        copies[-1][part] = grey[part]
    plain = fdref.forward(net, np.stack(copies), engine)[-1][:, found.labels[0], 0, 0]
    eps = 1e-5 if engine == "compiled" else 1e-12
    assert abs(found.probability[0].ravel() - plain).max() < eps


def test_a_network_without_softmax_gets_one_and_pixels_are_averaged(engine):
    net = Network(COLOUR.layers[:4], average=[100.0, 110.0, 120.0])
    x = net.prepare(PICTURES)
    with_softmax = fdref.occlude(COLOUR, x, 4, 3, engine=engine)
    without = fdref.occlude(net, x, 4, 3, engine=engine)
    assert with_softmax.layer == without.layer == 4
    assert (without.probability == with_softmax.probability).all()
    assert (without.label == with_softmax.label).all()
    scores = fdref.forward(net, x, engine)[-1]
    assert scores.shape[2:] == (5, 4)
    expected = softmax(scores.astype(float)).mean(axis=(2, 3)).argmax(axis=1)
    assert (without.labels == expected).all()


def test_several_images_are_as_one_after_the_other():
    x = COLOUR.prepare(PICTURES)
    found = fdref.occlude(COLOUR, x, (4, 3), 2, labels=[0, 3, 1], layer="scores")
    assert found.labels.tolist() == [0, 3, 1]
    assert found.projection.shape == x.shape
    for n, label in enumerate([0, 3, 1]):
        one = fdref.occlude(COLOUR, x[n], (4, 3), 2, labels=label, layer=4)
        for name in ("probability", "label", "activity", "projection"):
            assert getattr(found, name)[n].tobytes() == getattr(one, name).tobytes()
        assert found.map[n] == one.map
    with ThreadPoolExecutor(2) as executor:
        told = []
        again = fdref.occlude(
            COLOUR, x, (4, 3), 2, labels=[0, 3, 1], executor=executor, progress=told.append
        )
    assert again.probability.tobytes() == found.probability.tobytes()
    assert sum(told) == 3 * found.label[0].size
    told = []
    fdref.occlude(COLOUR, x, (4, 3), 2, progress=told.append)
    assert sum(told) == 3 * found.label[0].size


def test_the_projection_is_the_deconvnets(engine):
    x = COLOUR.prepare(PICTURES[:1])
    found = fdref.occlude(COLOUR, x, 4, 5, layer=2, engine=engine)
    acts = fdref.forward(COLOUR, x, engine)
    kept = np.zeros(acts[2].shape, bool)
    kept[0, found.map[0]] = True
    expected = fdref.project(COLOUR, acts, 2, kept, "deconvnet", engine)
    assert abs(found.projection - expected).max() <= 1e-5 * abs(expected).max()
    assert fdref.occlude(COLOUR, x, 4, 5, layer=5, engine=engine).projection is None


def test_engines_of_ones_own():
    x = COLOUR.prepare(PICTURES[:2])
    expected = fdref.occlude(COLOUR, x, 5, 3, layer=1)
    found = fdref.occlude(COLOUR, x, 5, 3, layer=1, engine=NumpyEngine())
    assert (found.map == expected.map).all()
    assert abs(found.probability - expected.probability).max() < 1e-5
    assert abs(found.activity / expected.activity - 1).max() < 1e-4


def test_what_hides_nothing_changes_nothing():
    """A square of the image's own colour."""
    net = fdref.load()
    blank = net.prepare(np.full((1, 28, 28), 50.0))
    found = fdref.occlude(net, blank, 6, 4, value=50)
    assert (found.probability == found.probability[0, 0, 0]).all()
    assert (found.probability == fdref.occlude(net, blank, 6, 4, "background").probability).all()


def test_probability_falls_where_ink_is_hidden():
    """Behind background, not behind white: over 200 digits .66 and -.01 were seen."""
    net, digits = fdref.load(), fdref.mnist().test
    images = digits.images[:10]
    x = net.prepare(images)
    ink = fdref.correlate(images[:, None] / 255.0, np.ones((1, 1, 7, 7)), stride=3)[:, 0]

    def ranks(values):
        return values.ravel().argsort().argsort()

    def mean(value):
        found = fdref.occlude(net, x, 7, 3, value, labels=digits.labels[:10].astype(int))
        return np.mean(
            [
                np.corrcoef(ranks(-p), ranks(i))[0, 1]
                for p, i in zip(found.probability, ink, strict=True)
            ]
        )

    assert mean("background") > 0.5 > mean(127.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 15}, "size is 15x15; expected a square within images of 14x12"),
        ({"size": 0}, "size is 0"),
        ({"size": True}, "size is True"),
        ({"stride": 0}, "stride is 0"),
        ({"value": "grey"}, "value is 'grey'; expected 'average' or 'background'"),
        ({"value": np.nan}, "value is nan; expected a finite number"),
        ({"value": [1, 2]}, r"value is \[1, 2\]; expected 1 or 3 numbers"),
        ({"value": True}, "value is True"),
        ({"layer": 9}, "there is no layer 9"),
        ({"layer": "conv"}, "no layer is named 'conv'"),
        ({"labels": [1]}, r"labels are \[1\]; expected 3 whole numbers from 0 to 3"),
        ({"labels": [0, 1, 4]}, "labels are"),
        ({"labels": 1}, "labels are 1"),
        ({"labels": [True, False, True]}, "labels are"),
        ({"x": PICTURES[0, 0]}, r"images have shape"),
        ({"x": PICTURES[:0]}, "there are no images"),
        ({"x": np.full((1, 3, 14, 12), np.inf)}, "image 0 holds inf"),
        ({"x": "digits"}, "images have dtype"),
        ({"engine": "cuda"}, "engine is 'cuda'"),
        ({"progress": 3}, "progress is 3"),
        ({"executor": 3}, "executor is 3"),
        ({"net": "lenet"}, "net is 'lenet'; expected a Network"),
    ],
)
def test_refusals(change, message):
    arguments = {"net": COLOUR, "x": COLOUR.prepare(PICTURES), "size": 3} | change
    with pytest.raises(ArgumentError, match=message):
        fdref.occlude(**arguments)


def test_networks_that_cannot_be_occluded():
    two = Network(
        [Conv(np.ones((1, 1, 1, 1))), fdref.Sum()], wiring={2: [1, -1]}, input_channels=(1, 1)
    )
    with pytest.raises(ArgumentError, match="the network has 2 inputs"):
        fdref.occlude(two, np.ones((1, 1, 5, 5)), 2)
    with pytest.raises(ArgumentError, match="value is 'average', and the network has none"):
        fdref.occlude(
            Network([Conv(np.ones((1, 1, 1, 1)))]), np.ones((1, 5, 5)), 2, value="average"
        )
    loud = Network([Conv(np.full((1, 1, 1, 1), 1e30, np.float32)), Conv(weights(2, 1, 1, 1))])
    with pytest.raises(NetworkError, match="answers image 0, occluded at place"):
        fdref.occlude(loud, np.zeros((5, 5)), 2, value=1e9)
    unknown = Network([Conv(np.ones((1, 1, 1, 1))), Unknown("loss")])
    assert fdref.occlude(unknown, np.ones((5, 5)), 2).layer == 1
    with pytest.raises(NetworkError, match="cannot be computed"):
        fdref.occlude(unknown, np.ones((5, 5)), 2, layer=2)


def slow_delta(net, x, places, window, layer, filling, engine):
    """Compare every unit of every two images, one after the other."""
    changes = []
    for image, (top, left) in zip(x, places, strict=True):
        hidden = image.copy()
        hidden[:, top : top + window, left : left + window] = filling
        maps = [fdref.forward(net, one[None], engine)[layer] for one in (image, hidden)]
        changes.append((maps[0] - maps[1]).ravel())
    total = 0
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            pairs = zip(changes[i], changes[j], strict=True)
            total += sum(np.sign(a) != np.sign(b) for a, b in pairs) / len(changes[i])
    return total


@pytest.mark.parametrize("layer", [1, 2, 4])
def test_correspondence(layer, engine):
    x = COLOUR.prepare(PICTURES)
    places = [(0, 0), (3, 5), (10, 8)]
    found = fdref.correspondence(COLOUR, x, places, 4, layer, "average", engine)
    expected = slow_delta(COLOUR, x, places, 4, layer, 0, local(engine))
    assert abs(found.delta - expected) < 1e-12
    assert abs(found.mean - expected / 3) < 1e-12
    assert (found.distances == found.distances.T).all()
    assert not found.distances.diagonal().any()


def test_the_same_image_corresponds_to_itself():
    x = COLOUR.prepare(PICTURES[[0, 0]])
    assert fdref.correspondence(COLOUR, x, [(2, 3)] * 2, 4, 3).delta == 0
    assert fdref.correspondence(COLOUR, x, [(2, 3), (9, 0)], 4, 3).delta > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"places": [(0, 0)]}, r"places are \[\(0, 0\)\]; expected \(3, 2\) whole numbers"),
        ({"places": [(0, 0.5)] * 3}, "places are"),
        ({"places": [(0, 0), (0, 9), (0, 0)]}, r"the part of image 1 at \[0, 9\] is 4x4"),
        ({"places": [(0, 0), (0, -1), (0, 0)]}, "the part of image 1"),
        ({"x": PICTURES[0]}, "images have shape"),
        ({"layer": 6}, "there is no layer 6"),
        ({"value": "grey"}, "value is 'grey'"),
    ],
)
def test_parts_that_are_none(change, message):
    arguments = {"net": COLOUR, "x": PICTURES, "places": [(0, 0)] * 3, "size": 4, "layer": 3}
    with pytest.raises(ArgumentError, match=message):
        fdref.correspondence(**arguments | change)


@pytest.fixture
def torch_lenet():
    """The shipped network, in PyTorch and double precision."""
    try:
        import torch
        import torch_graphs  # noqa: F401 - it needs the same
    except ModuleNotFoundError as error:
        absent("peers", f"{error.name} is not installed")
    parts = []
    for layer in fdref.load():
        match layer:
            case Conv():
                conv = torch.nn.Conv2d(*layer.filters.shape[1::-1], layer.window).double()
                conv.weight.data = torch.tensor(layer.filters).double()
                conv.bias.data = torch.tensor(layer.bias).double()
                parts.append(conv)
            case Pool():
                parts.append(torch.nn.MaxPool2d(2, 2))
            case ReLU():
                parts.append(torch.nn.ReLU())
            case Softmax():
                parts.append(torch.nn.Softmax(dim=1))
    return torch.nn.Sequential(*parts, torch.nn.Flatten())


def test_captum_occludes_the_same(torch_lenet):
    """Captum says of each pixel by how much the answer falls: the mean over what hides it."""
    try:
        import torch
        from captum.attr import Occlusion
    except ImportError as error:
        absent("peers", f"{error.name} is not installed")
    net, digits = fdref.load(), fdref.mnist().test
    x = net.prepare(digits.images[:2]).astype(np.float64)
    found = fdref.occlude(net, x, (7, 4), (3, 4), "average", engine="reference")
    clean = fdref.forward(net, x, "reference")[-1][range(2), found.labels, 0, 0]
    with torch.no_grad():
        theirs = Occlusion(torch_lenet).attribute(
            torch.tensor(x),
            sliding_window_shapes=(1, 7, 4),
            strides=(1, 3, 4),
            baselines=0,
            target=torch.tensor(found.labels),
        )
    drops = (clean[:, None, None] - found.probability)[:, None]
    window = np.ones((1, 1, 7, 4))
    ours, times = (
        fdref.substitute(values, window, stride=(3, 4), engine="reference")
        for values in (drops, np.ones_like(drops))
    )
    ours = ours / times
    assert ours.shape == theirs.shape
    assert theirs.dtype == torch.float32  # whatever it computes in
    assert abs(ours - theirs.numpy()).max() <= np.finfo(np.float32).eps * abs(ours).max()


def test_a_batch_of_pytorchs_says_the_same(torch_lenet):
    import torch

    net = fdref.load()
    x = net.prepare(fdref.mnist().test.images[:1])[0]
    found = fdref.occlude(net, x, 7, 2, engine="reference")
    grey = net.prepare(np.full((1, 28, 28), 127.5))[0]
    copies = np.stack([x] * found.label.size)
    for copy, (i, j) in zip(copies, np.ndindex(found.label.shape), strict=True):
        part = slice(None), slice(2 * i, 2 * i + 7), slice(2 * j, 2 * j + 7)
        copy[part] = grey[part]
    with torch.no_grad():
        said = torch_lenet(torch.tensor(copies).double()).numpy()
    assert abs(said[:, found.labels] - found.probability.ravel()).max() < 1e-12
    assert (said.argmax(axis=1) == found.label.ravel()).all()
