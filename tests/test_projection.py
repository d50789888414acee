"""Projections: four rules against autograd, against loops written anew, and their identities."""

from __future__ import annotations

import numpy as np
import pytest
from absence import absent
from graph_strategies import SIDE, close, graphs
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import seeds

import fdref
from fdref import Conv, Network, Pool, PReLU, ReLU, Softmax
from fdref import layers as kinds
from fdref.network.fields import ancestors
from fdref.walk import together
from fdref.walk.kept import read_kept
from fdref.walk.projection import RULES

ENGINES = st.sampled_from(["compiled", "reference"])


@pytest.fixture(scope="module")
def torch_graphs():
    try:
        import torch_graphs
    except ImportError:
        absent("peers", "PyTorch is not installed")
    return torch_graphs


def some_units(acts, number, random, count=2):
    return np.stack([random.integers(0, n, count) for n in acts[number].shape], axis=1)


def only(acts, number, unit):
    start = np.zeros_like(acts[number])
    start[tuple(unit)] = acts[number][tuple(unit)]
    return start


@given(graphs(linear=False), seeds, ENGINES, st.sampled_from(RULES))
def test_units_go_down_as_autograd_with_hooks_takes_them(torch_graphs, net, seed, engine, rule):
    assume(net.inputs == 1)
    random, number = np.random.default_rng(seed), len(net)
    softmax = any(isinstance(net[n], Softmax) for n in ancestors(net, number) if n > 0)
    assume(rule == "gradient" or not softmax)
    x = random.standard_normal((2, net.channels[0], *SIDE))
    acts = fdref.forward(net, x, engine)
    units = some_units(acts, number, random)
    pictures = fdref.project(net, acts, number, units, rule, engine)
    for unit, picture in zip(units, pictures, strict=True):
        start = only(acts, number, unit)
        expected = torch_graphs.projected(net, x, number, start, rule)
        close(picture, expected[unit[0]], 1e-9)
    mask = random.random(acts[number].shape) < 0.5
    together = fdref.project(net, acts, number, mask, rule, engine)
    start = np.where(mask, acts[number], 0)
    close(together, torch_graphs.projected(net, x, number, start, rule), 1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_lenet_is_pytorchs(torch_graphs, rule):
    net = fdref.load()
    x = net.prepare(fdref.mnist().test.images[:4]).astype(np.float64)
    acts = fdref.forward(net, x, "reference")
    for number in (1, 3, 5, 6, 7):
        strongest = acts[number].reshape(4, -1).argmax(axis=1)
        units = [(n, *np.unravel_index(k, acts[number].shape[1:])) for n, k in enumerate(strongest)]
        mask = np.zeros(acts[number].shape, bool)
        mask[tuple(np.transpose(units))] = True
        expected = torch_graphs.projected(net, x, number, np.where(mask, acts[number], 0), rule)
        close(fdref.project(net, acts, number, units, rule, "reference"), expected, 1e-12)


@pytest.mark.filterwarnings("ignore:Setting (forward, )?backward hooks")
@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
@pytest.mark.parametrize("rule", ["deconvnet", "guided", "gradient"])
def test_captum_projects_the_same_where_activations_are_one(rule):
    """Captum starts with 1 where we start with what was activated, and knows single units alone."""
    try:
        import torch
        from captum import attr
    except ImportError as error:
        absent("peers", f"{error.name} is not installed")
    random = np.random.default_rng(0)
    net = net_of(random, 3, ReLU(), Pool(2, 2), 3, ReLU(), 4)
    parts = []
    for layer in net:
        if isinstance(layer, Conv):
            conv = torch.nn.Conv2d(*layer.filters.shape[1::-1], layer.window).double()
            conv.weight.data, conv.bias.data = torch.tensor(layer.filters), torch.tensor(layer.bias)
            parts.append(conv)
        else:
            parts.append(torch.nn.ReLU() if isinstance(layer, ReLU) else torch.nn.MaxPool2d(2, 2))
    model = torch.nn.Sequential(*parts)
    x = random.standard_normal((2, 2, 16, 16))
    acts = fdref.forward(net, x, "reference")
    kind = {"deconvnet": "Deconvolution", "guided": "GuidedBackprop", "gradient": "Saliency"}[rule]
    options = {"abs": False} if rule == "gradient" else {}
    for unit in np.argwhere(acts[6] > 0)[::5]:  # of what is negative, rectifiers drop the rest
        method = getattr(attr, kind)(model)
        image = torch.tensor(x[unit[0] : unit[0] + 1], requires_grad=True)
        picture = method.attribute(image, target=tuple(unit[1:]), **options).detach().numpy()[0]
        found = fdref.project(net, acts, 6, [unit], rule, "reference")[0]
        close(found, picture * acts[6][tuple(unit)], 1e-12)


def loops(filters, x, rectified, switches, value, rule):
    """Take a unit down: the filter, by switches, through the ReLU, and the first filter again."""
    below = np.zeros(rectified.shape)
    for i in range(3):
        for j in range(3):
            row, column = switches[i, j]
            below[row, column] += value * filters[1][i, j]
    for place in np.ndindex(below.shape):
        d = below[place]
        if rule in ("gradient", "guided") and x[place] <= 0:
            d = 0
        if rule in ("deconvnet", "guided") and d < 0:
            d = 0
        below[place] = d
    picture = np.zeros((below.shape[0] + 1, below.shape[1] + 1))
    for i, j in np.ndindex(below.shape):
        picture[i : i + 2, j : j + 2] += below[i, j] * filters[0]
    return picture


@pytest.mark.parametrize("rule", RULES)
@given(seeds, ENGINES)
def test_whole_numbers_go_down_to_the_bit(rule, seed, engine):
    """Ties included: of equal maxima the first by rows is the switch."""
    random = np.random.default_rng(seed)
    filters = random.integers(-2, 3, (2, 2)), random.integers(-2, 3, (3, 3))
    image = random.integers(-2, 3, (7, 7))
    net = Network(
        [
            Conv(filters[0][None, None].astype(np.float32)),
            ReLU(),
            Pool(2, 2),
            Conv(filters[1][None, None].astype(np.float32)),
        ]
    )
    x = np.zeros((6, 6), int)
    for i, j in np.ndindex(6, 6):
        x[i, j] = (image[i : i + 2, j : j + 2] * filters[0]).sum()
    rectified, switches, value = np.maximum(x, 0), {}, 0
    for i, j in np.ndindex(3, 3):
        window = [(2 * i + a, 2 * j + b) for a in (0, 1) for b in (0, 1)]
        switches[i, j] = max(window, key=lambda at: rectified[at])  # the first of equal ones
        value += rectified[switches[i, j]] * filters[1][i, j]
    acts = fdref.forward(net, image[None, None], engine)
    found = fdref.project(net, acts, 4, [[0, 0, 0, 0]], rule, engine)[0, 0]
    assert acts[4].item() == value
    assert (found == loops(filters, x, rectified, switches, value, rule)).all()


def net_of(random, *layers, channels=2):
    made = []
    for layer in layers:
        if isinstance(layer, int):
            bank = random.standard_normal((3, channels, layer, layer))
            made.append(Conv(bank, random.standard_normal(3)))
            channels = 3
        else:
            made.append(layer)
    return Network(made)


def test_without_pools_and_rectifiers_a_projection_is_the_decoded_filter_at_its_field():
    random = np.random.default_rng(0)
    net = net_of(random, 3, 2, 4)
    acts = fdref.forward(net, random.standard_normal((1, 2, 12, 12)), "reference")
    for rule in RULES:
        picture = fdref.project(net, acts, 3, [[0, 1, 2, 3]], rule, "reference")[0]
        field = fdref.receptive_field(net, 3)
        expected = np.zeros_like(picture)
        expected[:, 2 : 2 + field.size[0], 3 : 3 + field.size[1]] = (
            acts[3][0, 1, 2, 3] * fdref.decode(net, 3, [1], engine="reference")[0]
        )
        close(picture, expected, 1e-14)


@pytest.mark.parametrize("biased", [False, True])
def test_a_response_is_what_the_gradient_sees_and_the_biases_that_let_it_through(biased):
    """y = <gradient, image> + sum of <gradient in each map, bias>, however deep."""
    random = np.random.default_rng(1)
    net = net_of(random, 3, ReLU(), Pool(2, 2), 3, ReLU(), 2)
    if not biased:
        plain = [Conv(one.filters) if isinstance(one, Conv) else one for one in net]
        net = Network(plain)
    x = random.standard_normal((1, 2, 16, 16))
    acts = fdref.forward(net, x, "reference")
    unit = np.unravel_index(acts[6].argmax(), acts[6].shape)
    y = acts[6][unit]
    *stages, gradient = fdref.project_stages(net, acts, 6, [unit], "gradient", "reference")
    total = (gradient * x).sum() / y
    if biased:
        for number, stage in zip(range(6, 0, -1), stages, strict=True):
            if isinstance(net[number], Conv):
                total += (stage.sum(axis=(0, 2, 3)) * net[number].bias).sum() / y
    assert total == pytest.approx(y, rel=1e-12)


@given(seeds)
def test_where_all_is_positive_the_four_rules_are_one(seed):
    random = np.random.default_rng(seed)
    net = Network(
        [
            Conv(random.uniform(0, 1, (3, 1, 3, 3))),
            ReLU(),
            Pool(2, 2),
            Conv(random.uniform(0, 1, (2, 3, 2, 2))),
            PReLU([0.1, 0.2]),
        ]
    )
    acts = fdref.forward(net, random.uniform(0, 1, (2, 1, 9, 9)))
    units = some_units(acts, 5, random)
    first, *others = (fdref.project(net, acts, 5, units, rule) for rule in RULES)
    for other in others:
        assert (first == other).all()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("at", [(0, 0), (2, 1), (4, 4)])
def test_a_unit_sees_nothing_outside_its_field(rule, at):
    random = np.random.default_rng(5)
    chain = net_of(random, 3, ReLU(), Pool(3, 2, (0, 1, 0, 1)), 3, ReLU(), Pool(2, 1, 0, "avg"), 2)
    net = Network(chain.layers, input_size=(20, 20))
    x = random.standard_normal((1, 2, 20, 20))
    mask = np.zeros((1, 3, *net.sizes[7]), bool)
    mask[:, :, at[0], at[1]] = True
    picture = fdref.project(net, fdref.forward(net, x), 7, mask, rule)
    field = fdref.receptive_field(net, 7, position=at)
    (top, left), (height, width) = field.offset, field.size
    assert picture[:, :, top : top + height, left : left + width].any()
    picture[:, :, top : top + height, left : left + width] = 0
    assert not picture.any()


@pytest.mark.parametrize("rule", RULES)
def test_an_image_moved_by_the_jump_moves_the_projection(rule):
    random = np.random.default_rng(3)
    net = net_of(random, 3, ReLU(), Pool(2, 2), 3)
    x = random.standard_normal((1, 2, 20, 20))
    moved = np.roll(x, (2, 4), (2, 3))
    one = fdref.project(net, fdref.forward(net, x), 4, [[0, 1, 2, 2]], rule)
    other = fdref.project(net, fdref.forward(net, moved), 4, [[0, 1, 3, 4]], rule)
    assert one.any()
    close(np.roll(one, (2, 4), (2, 3)), other, 1e-13)


@pytest.mark.parametrize("rule", RULES)
def test_rules_are_homogeneous_and_but_for_two_of_them_additive(rule):
    """What rectifies on the way down does not add: two units together are not the two alone."""
    random = np.random.default_rng(4)
    net = net_of(random, 3, ReLU(), 3, ReLU())
    acts = fdref.forward(net, random.standard_normal((1, 2, 12, 12)), "reference")
    mask = acts[4] > np.quantile(acts[4], 0.9)
    together = fdref.project(net, acts, 4, mask, rule, "reference")
    alone = fdref.project(net, acts, 4, np.argwhere(mask), rule, "reference").sum(axis=0)
    additive = np.allclose(together[0], alone, rtol=1e-9, atol=1e-12)
    assert additive == (rule in ("gradient", "linear"))
    doubled = [*acts[:4], 2 * acts[4]]
    close(fdref.project(net, doubled, 4, mask, rule, "reference"), 2 * together, 1e-13)


def test_a_leak_multiplies_what_is_not_let_through():
    """Of d = (-1, -1, 1, 1) over x = (-1, 1, -1, 1), with 10 and 3 as leaks of two channels."""
    for layer, leaks in ((ReLU(0.5), (0.5, 0.5)), (PReLU([0.5, 0.25]), (0.5, 0.25))):
        net = Network([layer, Conv(np.array([-1.0, -1, 1, 1]).reshape(1, 1, 1, 4).repeat(2, 1))])
        x = np.array([-1.0, 1, -1, 1]).reshape(1, 1, 1, 4).repeat(2, 1)
        acts = [*fdref.forward(net, x)[:2], np.ones((1, 1, 1, 1))]
        for rule, factors in {
            "gradient": lambda a: (-a, -1, a, 1),
            "deconvnet": lambda a: (-a, -a, 1, 1),
            "guided": lambda a: (-a * a, -a, a, 1),
            "linear": lambda a: (-1, -1, 1, 1),
        }.items():
            found = fdref.project(net, acts, 2, [[0, 0, 0, 0]], rule)[0, :, 0]
            assert found.tolist() == [list(factors(a)) for a in leaks]


def test_of_equal_maps_of_a_maximum_the_first_takes_all():
    """The others' way may rectify what goes down: sharing it out would give another picture."""
    x, below = np.ones((1, 1, 1, 1)), Conv(-np.ones((1, 1, 1, 1)))
    for taken, expected in (([0, 1], -1), ([1, 0], 0)):  # the map itself, or its ReLU, comes first
        net = Network([ReLU(), fdref.Maximum(), below], wiring={1: 0, 2: taken})
        acts = [*fdref.forward(net, x)[:3], np.ones((1, 1, 1, 1))]
        found = fdref.project(net, acts, 3, [[0, 0, 0, 0]], "deconvnet")
        assert found.item() == expected


def test_units_in_small_blocks_are_those_in_one(monkeypatch):
    net = fdref.load()
    acts = fdref.forward(net, net.prepare(fdref.mnist().test.images[:5]))
    units = some_units(acts, 3, np.random.default_rng(0), 40)
    seen = []
    whole = fdref.project(net, acts, 3, units, progress=seen.append)
    assert sum(seen) == 40
    monkeypatch.setattr(together, "AT_ONCE", 1)
    assert (fdref.project(net, acts, 3, units) == whole).all()
    assert (fdref.project_stages(net, acts, 3, units)[-1] == whole).all()


@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize("rule", RULES)
def test_units_that_no_border_cuts_go_down_in_one_walk(rule, engine):
    """Each as by a mask of its own, over whole maps; those at borders position by position."""
    random = np.random.default_rng(6)
    net = net_of(
        random, 3, ReLU(), Pool(3, 2, (0, 1, 0, 1)), 3, PReLU([0.1, 0.2, 0.3]), Pool(2, 2, 0, "avg")
    )
    padded = [Conv(one.filters, one.bias, pad=1) if isinstance(one, Conv) else one for one in net]
    net = Network(padded)
    acts = fdref.forward(net, random.standard_normal((2, 2, 32, 40)), engine)
    units = np.argwhere(acts[6] != 0)[::7]
    walks = list(together.blocks(read_kept(net, acts, 6, units, engine)))
    within = next(block for block in walks if block.moves)
    assert len(within.numbers) > 30
    assert len(walks) < len({tuple(unit[2:]) for unit in units})
    assert sorted(np.concatenate([block.numbers for block in walks])) == list(range(len(units)))
    found = fdref.project_stages(net, acts, 6, units, rule, engine)
    for n, unit in enumerate(units):
        mask = np.zeros(acts[6].shape, bool)
        mask[tuple(unit)] = True
        alone = fdref.project_stages(net, acts, 6, mask, rule, engine)
        for one, other in zip(found, alone, strict=True):
            close(one[n], other[unit[0]], 1e-12)


def test_through_layers_of_unknown_type_nothing_is_projected():
    net = Network([Conv(np.ones((2, 1, 3, 3))), kinds.Unknown("odd"), ReLU()])
    acts = [np.zeros((1, 1, 5, 5)), *[np.zeros((1, 2, 3, 3))] * 3]
    with pytest.raises(fdref.NetworkError, match="odd"):
        fdref.project(net, acts, 3, [[0, 0, 0, 0]])
    assert fdref.project(net, acts, 1, [[0, 0, 0, 0]]).shape == (1, 1, 5, 5)


NET = fdref.load()
ACTS = fdref.forward(NET, NET.prepare(fdref.mnist().test.images[:2]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"net": 3}, "net is 3; expected a Network"),
        ({"layer": 9}, "layer"),
        ({"layer": "conv9"}, "conv9"),
        ({"rule": "saliency"}, "rule is 'saliency'; expected one of gradient, deconvnet"),
        ({"rule": None}, "rule is None"),
        ({"acts": ACTS[:3]}, "acts are 3 arrays; expected what fdref.forward returns, at least 4"),
        ({"acts": 5}, "acts are 5"),
        ({"acts": [ACTS[0][:1], *ACTS[1:]]}, r"acts\[\d\] has shape \(2, .*; expected \(1, "),
        ({"acts": [*ACTS[:3], "text"]}, r"acts\[3\]"),
        (
            {"kept": [[2, 0, 0, 0]]},
            r"kept holds \[2, 0, 0, 0\]; expected .* within \(2, 50, 8, 8\)",
        ),
        ({"kept": [[0, 0, -1, 0]]}, r"kept holds \[0, 0, -1, 0\]"),
        ({"kept": [[0, 0, 0]]}, r"expected whole numbers of shape \(K, 4\)"),
        ({"kept": [[0.5, 0, 0, 0]]}, r"expected whole numbers of shape \(K, 4\)"),
        ({"kept": [[True, True, True, True]]}, r"expected whole numbers of shape \(K, 4\)"),
        ({"kept": np.ones((1, 50, 8, 8), bool)}, r"or truth values of shape \(2, 50, 8, 8\)"),
        ({"engine": "fast"}, "engine is 'fast'"),
        ({"progress": 3}, "progress is 3"),
        ({"layer": 8, "kept": [[0, 0, 0, 0]]}, "softmax.*no part in the rule 'deconvnet'"),
    ],
)
def test_what_cannot_be_projected_is_told(given, message):
    arguments = {"net": NET, "acts": ACTS, "layer": 3, "kept": [[0, 0, 0, 0]]} | given
    with pytest.raises(fdref.ArgumentError, match=message):
        fdref.project(**arguments)


def test_nothing_kept_is_no_picture():
    assert fdref.project(NET, ACTS, 3, []).shape == (0, 1, 28, 28)
    none = np.zeros(ACTS[3].shape, bool)
    assert not fdref.project(NET, ACTS, 3, none).any()
