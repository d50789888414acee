"""Ways to decoded filters: all lead to the same, and plans count what they cost."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import methods, networks, seeds

import fdref
from fdref import Conv, Network, Pool, ReLU, Scale
from fdref.decoding import planning
from fdref.decoding import ways as every_way
from fdref.decoding.atoms import Atoms, Composition, contract
from fdref.decoding.blocks import Plan
from fdref.decoding.costs import Cost
from fdref.decoding.ways import Ways
from fdref.walk.pictures import Picture
from fdref.weights.handmade import handmade

EVERY = {"lenet": fdref.load(), "handmade": handmade()}


def go(net, way, unpool, engine="compiled", filters=None):
    """Decode by one way; a bank that it needs comes from above."""
    banks = [Ways(net, unpool, 4).from_above(n, net.channels[n]) for n in sorted(way.banks)]
    ways = [*banks, way]
    wanted = {way.layer: range(net.channels[way.layer]) if filters is None else filters}
    found = list(Plan(net, wanted, unpool, engine, ways=tuple(ways)))
    assert {block.layer for block in found} == {way.layer}
    return np.concatenate([block.pictures for block in found])


def ways_to(net, layer, unpool):
    return list(Ways(net, unpool, 4).all_to(layer, net.channels[layer]))


@given(networks(), methods, st.sampled_from(["compiled", "reference"]))
def test_all_ways_lead_to_the_same(net, unpool, engine):
    number = len(net)
    expected = fdref.decode(net, number, unpool=unpool, engine="reference")
    eps = 1e-5 if net.dtype == np.float32 and engine == "compiled" else 1e-12
    for way in ways_to(net, number, unpool):
        found = go(net, way, unpool, engine)
        assert found.shape == expected.shape, way
        assert abs(found - expected).max() <= eps * abs(expected).max(), way


@given(networks(integers=True))
def test_with_integers_all_ways_lead_to_the_same_bits(net):
    expected = fdref.decode(net, len(net), unpool="nearest", engine="reference")
    for way in ways_to(net, len(net), "nearest"):
        assert (go(net, way, "nearest") == expected).all(), way
    assert (fdref.decode(net, len(net), unpool="nearest") == expected).all()


@given(networks(), methods)
def test_a_whole_network_at_once_is_its_layers_one_by_one(net, unpool):
    banks = fdref.decode_all(net, unpool=unpool)
    assert list(banks) == list(net.decodable)
    for number, bank in banks.items():
        alone = fdref.decode(net, number, unpool=unpool, engine="reference")
        assert bank.dtype == net.dtype
        assert (
            abs(bank - alone).max()
            <= (1e-5 if bank.dtype == np.float32 else 1e-12) * abs(alone).max()
        )


@pytest.mark.large
@pytest.mark.parametrize("unpool", ["bicubic", "nearest", "bilinear"])
@pytest.mark.parametrize("name", EVERY)
def test_all_ways_through_real_networks(name, unpool):
    net = EVERY[name]
    for number in net.decodable[1:]:
        some = range(0, net.channels[number], 97) if name == "lenet" else None
        expected = fdref.decode(net, number, some, unpool=unpool, engine="reference")
        kinds = set()
        for way in ways_to(net, number, unpool):
            found = go(net, way, unpool, filters=some)
            assert abs(found - expected).max() <= 1e-5 * abs(expected).max(), way
            kinds.add(way.kind)
        assert "from above" in kinds


def test_what_the_lenet_is_decoded_by():
    """From below where unpooling commutes with shifts, else through single pixels."""
    net = fdref.load()
    wanted = {layer: net.channels[layer] for layer in net.decodable}

    def taken(unpool, wanted=wanted):
        plan = planning.cheapest(net, wanted, unpool, 4)
        return {way.layer: (way.kind, way.boundary) for way in plan.ways}

    assert taken("nearest") == {
        1: ("from above", 0),
        3: ("atoms", 2),
        5: ("atoms", 4),
        7: ("atoms", 6),
    }
    assert taken("bicubic")[5] == ("pixels", 4)
    assert taken("bicubic")[7] == ("atoms", 6)  # one pixel has no border
    assert taken("bicubic", {7: 1}) == {7: ("from above", 0)}


def test_few_filters_are_found_without_decoding_a_large_bank():
    plan = planning.cheapest(fdref.load(), {7: 1}, "nearest", 4)
    assert 5 not in plan.kept
    assert plan.seconds <= planning.from_above(fdref.load(), {7: 1}, "nearest", 4).seconds


def test_the_reference_goes_the_papers_way():
    plan = Plan(fdref.load(), {7: range(10)}, "nearest", "reference")
    assert [way.kind for way in plan.choice.ways] == ["from above"]


def test_counts_of_a_small_network():
    """Conv 2@2x2, pool 2, conv 3@2x2, all counted by hand."""
    net = Network([Conv(np.ones((2, 1, 2, 2))), Pool(2, 2), Conv(np.ones((3, 2, 2, 2)))])
    above, atoms_1, atoms_2, _ = ways_to(net, 3, "nearest")
    assert (above.kind, atoms_1.boundary, atoms_2.boundary) == ("from above", 1, 2)
    # Pictures of 2 x 2x2, enlarged to 2 x 4x4, each pixel replaced by 1 x 2x2.
    assert above.cost.multiplied == 3 * 2 * 16 * 4
    assert above.cost.short == 3 * (2 * 16 + 16 * 4)
    assert above.largest == 2 * 16
    # For each of 3 filters, each of 4 pixels replaced by a filter of 2x2, on each of 2 channels;
    # what that is, spread over pictures of 5x5.
    assert atoms_2.cost.multiplied == 3 * 2 * 4 * 4
    assert atoms_2.cost.short == 3 * 4 * 4
    assert atoms_2.cost.long == 3 * 25
    assert atoms_2.banks == {1}


@pytest.mark.parametrize(("between", "banks"), [(ReLU(), 1), (Scale(np.ones(2)), 2)])
def test_what_is_handed_on_is_held_once(between, banks):
    """A scale makes atoms of its own, beside the bank; a ReLU hands on the bank itself."""
    net = Network([Conv(np.ones((2, 1, 2, 2))), between, Conv(np.ones((3, 2, 2, 2)))])
    way = next(way for way in ways_to(net, 3, "nearest") if way.boundary == 2)
    assert way.held == banks * 2 * 4 * 4


@pytest.mark.parametrize("unpool", ["nearest", "window"])
@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 2), (2, 1), ((1, 3), (1, 2))])
def test_unpooled_first_or_last(unpool, window, stride):
    random = np.random.default_rng(0)
    layers = [
        Conv(random.standard_normal((4, 2, 3, 2)), stride=(1, 2), pad=(0, 1, 2, 0)),
        Pool(window, stride, pad=(0, 0, 0, 1)),
        Conv(random.standard_normal((5, 4, 2, 3))),
    ]
    net, engine = Network(layers), fdref.engines.engine_named("compiled")
    rules = Composition(net, unpool, engine)
    bank = Atoms(Picture(net[1].filters, (0, -1)), (1, 2))
    picture = Picture(net[3].filters, (0, 0))
    last = rules.contracted(2, picture, {1: bank}.get)
    first = contract(picture, rules.above(2, [bank]), engine)
    assert last.box == first.box
    assert abs(last.values - first.values).max() <= 1e-14 * abs(first.values).max()
    assert rules.contracted(2, picture, {}.get) is None  # no way leads down


@pytest.fixture(scope="module")
def strokes():
    """The LeNet, and all filters of its layer 3."""
    net = fdref.load()
    return net, fdref.decode(net, 3, unpool="nearest")


@given(seeds)
def test_filters_are_handed_out_as_asked(strokes, seed):
    net, bank = strokes
    random = np.random.default_rng(seed)
    filters = random.integers(0, 50, 9).tolist()  # in any order, twice too
    found = fdref.decode(net, 3, filters, unpool="nearest")
    assert abs(found - bank[filters]).max() <= 1e-6 * abs(bank).max()


def test_a_memory_limit_is_kept_to_and_does_not_change_the_result():
    net = fdref.load()
    free = fdref.decode_all(net, unpool="bicubic")
    narrow = fdref.decode_all(net, unpool="bicubic", max_memory=2_000_000)
    plan = planning.cheapest(net, {5: 500}, "bicubic", 4, 2_000_000)
    assert all(way.memory <= 2_000_000 for way in plan.ways)
    assert {way.kind for way in plan.ways} == {"from above"}
    for number, bank in free.items():
        assert abs(narrow[number] - bank).max() <= 1e-5 * abs(bank).max()


def test_no_way_is_narrower_than_one_filter():
    with pytest.raises(fdref.ArgumentError, match=r"max_memory is 1000 bytes; expected at least "):
        fdref.decode(fdref.load(), 5, max_memory=1000)


@pytest.mark.parametrize("limit", ["2G", -1, 0, 1.5, 2e9, True, np.True_, float("nan"), [2**30]])
def test_a_limit_is_a_whole_number_of_bytes(limit, engine):
    net = EVERY["handmade"]
    for decode in (
        lambda: fdref.decode(net, 4, engine=engine, max_memory=limit),
        lambda: fdref.decode(net, 4, [], engine=engine, max_memory=limit),
        lambda: fdref.decode_all(net, engine=engine, max_memory=limit),
    ):
        with pytest.raises(fdref.ArgumentError, match=r"max_memory is .*; expected a whole number"):
            decode()


def test_numpys_whole_numbers_are_limits():
    bank = fdref.decode(EVERY["handmade"], 4, max_memory=np.int64(10**9))
    assert (bank == fdref.decode(EVERY["handmade"], 4, max_memory=10**9)).all()


@pytest.mark.parametrize("unpool", ["nearest", "bicubic"])
def test_what_is_said_to_be_enough_is(unpool, engine):
    net = fdref.load()
    with pytest.raises(fdref.ArgumentError) as refusal:
        fdref.decode(net, 5, [1, 2], unpool, engine, max_memory=1)
    least = int(str(refusal.value).split()[-1])
    found = fdref.decode(net, 5, [1, 2], unpool, engine, max_memory=least)
    expected = fdref.decode(net, 5, [1, 2], unpool, engine)
    assert abs(found - expected).max() <= 1e-5 * abs(expected).max()


def best_by_trying(net, wanted, unpool):
    """The banks that are wanted, and one more or all up to some layer; and every way on each."""
    ways = Ways(net, unpool, 4)
    whole = {layer for layer, count in wanted.items() if count == net.channels[layer]}
    below = [layer for layer in net.decodable if layer < max(wanted)]
    best = np.inf
    for others in [[], *([n] for n in below), *(below[:n] for n in range(len(below) + 1))]:
        banks = whole.union(others)
        total = 0.0
        for layer in banks | set(wanted):
            count = net.channels[layer] if layer in banks else wanted[layer]
            open_ways = [way for way in ways.all_to(layer, count) if way.banks <= banks]
            total += min(way.seconds for way in open_ways)
        best = min(best, total)
    return best


@given(networks(), methods, st.data())
def test_no_set_of_banks_that_is_tried_is_better(net, unpool, data):
    counts = {n: data.draw(st.integers(0, net.channels[n])) for n in net.decodable}
    wanted = {n: count for n, count in counts.items() if count} or {net.decodable[0]: 1}
    plan = planning.cheapest(net, wanted, unpool, 4)
    assert plan.seconds <= best_by_trying(net, wanted, unpool) * (1 + 1e-9)
    for way in plan.ways:
        assert way.banks <= {other.layer for other in plan.ways}
        assert way.filters == net.channels[way.layer] or way.layer not in plan.kept


def test_a_way_down_is_counted_once_for_all_its_boundaries(monkeypatch):
    """What goes down to one map is a part of what goes down to the next: n^2 steps, not n^3."""
    count, steps = 60, []
    counted = every_way.substitution_scratch

    def substitution_scratch(*arguments):
        steps.append(1)
        return counted(*arguments)

    monkeypatch.setattr(every_way, "substitution_scratch", substitution_scratch)
    convs = [Conv(np.ones((1, 1, 1, 1))) for _ in range(count)]
    net = Network([convs[0], Pool(2, 1), *convs[1:]])
    for wanted in (dict.fromkeys(net.decodable, 1), {len(net): 1}):
        for unpool in ("nearest", "bicubic"):
            steps.clear()
            planning.cheapest(net, wanted, unpool, 4, 10**12)
            assert 0 < len(steps) <= 3 * count**2
    steps.clear()
    planning.from_above(net, {len(net): 1}, "nearest", 4)
    assert len(steps) <= count


def test_plans_are_forgotten():
    net = EVERY["lenet"]
    for count in range(1, 60):
        planning.cheapest(net, {5: count}, "nearest", 4)
    assert len(planning._PLANS[net]) <= planning.REMEMBERED_PLANS  # noqa: SLF001
    again = planning.cheapest(net, {5: 59}, "nearest", 4)
    assert planning.cheapest(net, {5: 59}, "nearest", 4) is again


def test_banks_that_wait_count():
    """Two banks that are found at one map: the second waits until the first has been met."""
    random = np.random.default_rng(0)
    net = Network([Conv(random.standard_normal((6, 6, 3, 3))) for _ in range(4)])
    ways = Ways(net, "nearest", 8)
    first, second = ways.from_above(1, 6), ways.from_above(2, 6)
    on_first = next(way for way in ways.all_to(3, 6) if way.banks == {1})
    on_second = next(way for way in ways.all_to(4, 6) if way.banks == {2})
    four = [
        dataclasses.replace(way, scratch=(0, 0)) for way in (first, second, on_first, on_second)
    ]
    first, second, on_first, on_second = four
    plan = planning.Choice((first, second, on_first, on_second), 10**6)
    assert plan.spare(first) == 10**6 - on_first.held
    assert plan.spare(second) == 10**6 - on_first.held - on_second.held
    assert plan.spare(on_first) == 10**6 - on_second.held
    assert plan.spare(on_second) == 10**6
    greedy = dataclasses.replace(on_first, scratch=(5000, 9000))  # which threads do not give back
    plan = planning.Choice((first, second, greedy, on_second), 10**6)
    assert plan.spare(on_second) == 10**6 - 9000


def test_what_is_found_already_is_not_decoded_again():
    net = fdref.load()
    wanted = {layer: range(net.channels[layer]) for layer in net.decodable}
    plan = Plan(net, wanted, "nearest", "compiled")
    banks = fdref.decode_all(net, unpool="nearest")

    def reads(bank):
        return lambda pictures: np.copyto(pictures, bank[: len(pictures)])

    found = {1: (20, reads(banks[1])), 3: (50, reads(banks[3])), 5: (499, reads(banks[5] * 2))}
    rest = list(plan.blocks(found=found))
    assert [(block.layer, block.first, len(block.pictures)) for block in rest] == [
        (5, 499, 1),
        (7, 0, 10),
    ]
    assert abs(rest[0].pictures - banks[5][499:]).max() <= 1e-6
    # Layer 7 stands on what was found, right or not.
    assert abs(rest[1].pictures - 2 * banks[7]).max() <= 0.05 * abs(banks[7]).max()


def test_blocks_are_as_small_as_asked():
    net = fdref.load()
    wanted = {5: range(100)}
    plan = Plan(net, wanted, "nearest", "compiled")
    found = list(plan.blocks(largest=7 * 784))
    assert [len(block.pictures) for block in found] == [7] * 14 + [2]


def test_memory_is_looked_at_only_where_much_is_needed(monkeypatch):
    asked = []
    monkeypatch.setattr(planning, "free_memory", lambda: asked.append(1) or 2**20)
    planning.cheapest(EVERY["handmade"], {4: 8}, "bilinear", 4)
    assert not asked
    monkeypatch.setattr(planning, "UNASKED", 1)
    planning.cheapest(EVERY["handmade"], {4: 8}, "nearest", 8)
    assert asked


def test_all_go_down_together_where_memory_is_free(monkeypatch):
    """Though one by one they would take no more than nobody asks for, in four times the time."""
    net = fdref.load()
    way = planning.cheapest(net, {5: 500}, "nearest", 4).ways[-1]
    monkeypatch.setattr(planning, "UNASKED", way.memory + 10**5)
    monkeypatch.setattr(planning, "free_memory", lambda: 10**9)
    alike = Network(list(net)[:5])  # nobody has planned for it
    plan = planning.cheapest(alike, {5: 500}, "nearest", 4)
    assert plan.ways[-1].memory == way.memory
    assert [plan.at_once(own) for own in plan.ways] == [own.filters for own in plan.ways]
    assert plan.memory == 5 * 10**8


def test_large_strides_and_overlapping_pools_compose():
    random = np.random.default_rng(3)

    def conv(*shape, **parameters):
        return Conv(random.standard_normal(shape), **parameters)

    net = Network(
        [
            conv(4, 3, 5, 3, stride=(2, 3)),
            ReLU(),
            Pool((3, 4), 2),
            conv(6, 2, 3, 3, dilate=2),
            Pool(3, 3, method="avg"),
            conv(5, 6, 2, 2, stride=2),
            conv(4, 5, 3, 1),
        ],
        input_channels=3,
    )
    for unpool in ("nearest", "bilinear", "bicubic"):
        expected = fdref.decode_all(net, unpool=unpool, engine="reference")
        for number, bank in fdref.decode_all(net, unpool=unpool).items():
            assert abs(bank - expected[number]).max() <= 1e-12 * abs(expected[number]).max()
        for way in ways_to(net, 7, unpool):
            found = go(net, way, unpool)
            assert abs(found - expected[7]).max() <= 1e-12 * abs(expected[7]).max(), way


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_a_plan_can_be_told_no_other_task_than_its_own(engine):
    """Nearest's ways through atoms would be wrong under bicubic; another plan has other ways."""
    net = EVERY["lenet"]
    plan = Plan(net, {7: range(10)}, "nearest", engine)
    for unpool in ("nearest", "bicubic", "bilinear"):
        (block,) = dataclasses.replace(plan, unpool=unpool)
        expected = fdref.decode(net, 7, unpool=unpool, engine="reference")
        assert abs(block.pictures - expected).max() <= 1e-5 * abs(expected).max()
    for name in ("unpool", "net", "wanted", "choice"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(plan, name, None)
    with pytest.raises(TypeError):
        plan.blocks(unpool="bicubic")
    other = dataclasses.replace(plan, net=EVERY["handmade"], wanted={4: range(8)})
    (block,) = other
    assert (block.pictures == fdref.decode(EVERY["handmade"], 4, unpool="nearest")).all()


def test_a_plan_keeps_its_filters_whatever_becomes_of_the_list():
    filters = [1, 2]
    wanted = {3: filters}
    plan = Plan(EVERY["lenet"], wanted, "nearest", "compiled")
    filters[:] = [7] * 9
    wanted[5] = [0]
    (block,) = plan
    assert (block.pictures == fdref.decode(EVERY["lenet"], 3, [1, 2], "nearest")).all()


def test_a_plan_is_gone_as_often_as_one_likes():
    plan = Plan(EVERY["lenet"], {3: [1, 0], 5: range(3), 7: ()}, "bilinear", "compiled")
    first, second = ([(b.layer, b.first, b.pictures) for b in plan] for _ in range(2))
    assert [layer for layer, *_ in first] == [3, 5]
    for (*_, pictures), (*_, again) in zip(first, second, strict=True):
        assert (pictures == again).all()
        assert not np.shares_memory(pictures, again)


def test_numbers_of_double_the_size_take_double_the_time():
    """All but the calls, which take as long for either."""
    work = Cost(10**6, 10**5, 10**4, 100)
    calls = Cost(0, calls=100)
    single, double = (work.seconds(size) - calls.seconds(size) for size in (4, 8))
    assert double == pytest.approx(2 * single, rel=1e-12)
    assert single > 0
    assert calls.seconds(8) == calls.seconds(4) > 0


@pytest.mark.parametrize(
    "layer", [ReLU(), fdref.Dropout(), fdref.Scale([2.0, 3.0]), fdref.Elementwise("tanh")]
)
def test_a_layer_that_passes_the_image_on_is_decoded(layer, engine):
    """No step on its way costs anything, and a picture of it takes memory all the same."""
    net = Network([layer, Conv(np.ones((1, 2, 1, 1)))])
    factors = [2.0, 3.0] if isinstance(layer, fdref.Scale) else [1.0, 1.0]
    found = fdref.decode(net, 1, engine=engine)
    np.testing.assert_array_equal(found, np.diag(factors)[:, :, None, None])
