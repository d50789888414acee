"""A layer of unknown type: what lies below stays usable, what needs it is refused by name."""

import numpy as np
import pytest

import fdref
from fdref import Conv, FdrefError, Network, Pool, Softmax, Sum, Unknown


def random(*shape):
    return np.random.default_rng(7).standard_normal(shape)


BELOW = [Conv(random(4, 1, 3, 3), pad=1, name="a"), Pool(2, 2), Conv(random(5, 4, 3, 3), name="b")]
ABOVE = [
    Unknown("SubP", channels=3, fields={"scale": "2"}, name="s"),
    Conv(random(2, 3, 3, 3), name="c"),
    Softmax(),
]
NET = Network([*BELOW, *ABOVE], input_size=20)
X = random(3, 1, 20, 20)


def test_what_lies_below_is_as_in_a_network_that_ends_there():
    whole = Network(BELOW, input_size=20)
    assert NET.decodable == (1, 3)
    banks, expected = fdref.decode_all(NET), fdref.decode_all(whole)
    assert all((banks[n] == expected[n]).all() for n in (1, 3))
    assert (fdref.decode(NET, 3, position=(7, 0)) == fdref.decode(whole, 3, position=(7, 0))).all()
    found, own = fdref.evaluate(NET, X), fdref.evaluate(whole, X)
    assert all((found[n].errors == own[n].errors).all() for n in (1, 3))
    acts = fdref.forward(NET, X, last="b")
    assert len(acts) == 4
    assert all((a == b).all() for a, b in zip(acts, fdref.forward(whole, X), strict=True))
    assert NET.sizes == whole.sizes
    assert fdref.receptive_field(NET, "b") == fdref.receptive_field(whole, "b")


@pytest.mark.parametrize(
    "call",
    [
        lambda: fdref.forward(NET, X),
        lambda: fdref.forward(NET, X, last="c"),
        lambda: fdref.decode(NET, "c"),
        lambda: fdref.decode(NET, "s"),
        lambda: fdref.decode(NET, "c", position=(0, 0)),
        lambda: fdref.decode(NET, "c", phase=(0, 0)),
        lambda: fdref.stages(NET, "c"),
        lambda: fdref.receptive_field(NET, "c"),
        lambda: fdref.evaluate(NET, X, "c"),
        lambda: NET.map_sizes(20),
        lambda: fdref.save(NET, "nowhere.mat"),
    ],
)
def test_what_needs_it_is_refused_and_it_is_named(call):
    with pytest.raises(FdrefError, match=r"layer 4 \(unknown SubP 's'\)"):
        call()


def test_the_last_layer_may_be_any():
    net = Network(BELOW, input_size=20)
    assert [len(fdref.forward(net, X, last=n)) for n in (1, 2, "b", None)] == [2, 3, 4, 4]
    with pytest.raises(fdref.ArgumentError, match="there is no layer 4"):
        fdref.forward(net, X, last=4)


def test_its_channels_are_those_that_somebody_told_or_of_what_it_takes():
    passing = Network([Conv(random(4, 2, 3, 3)), Unknown("noise"), Conv(random(1, 4, 1, 1))])
    assert passing.channels == (2, 4, 4, 1)
    assert NET.channels == (1, 4, 4, 5, 3, 2, 2)


def test_a_branch_beside_it_is_untouched():
    layers = [*BELOW, Unknown("x", name="x"), Conv(random(5, 5, 1, 1), name="d"), Sum(name="sum")]
    net = Network(layers, wiring={"d": "b", "sum": ["x", "d"]}, input_size=20)
    assert net.decodable == (1, 3, 5)
    assert set(net.sizes) == {0, 1, 2, 3, 5}
    assert fdref.decode(net, "d").shape == (5, 1, 8, 8)
    with pytest.raises(FdrefError, match=r"layer 6 \(sum 'sum'\) has no filter: layer 4 \(unknown"):
        fdref.decode(net, "sum")
