"""The images that excite neurons most: against a slow twin, streamed, with their patches."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import networks, seeds

import fdref
from fdref import Conv, Network, Pool, ReLU
from fdref.measure import strongest as module


def twin(net, images, number, k, count):
    """Sort all activations of a neuron, and keep the first of each image."""
    acts = fdref.forward(net, net.prepare(images), last=number)[number][:, k]
    ordered = sorted(np.ndindex(acts.shape), key=lambda at: (-acts[at], at))
    kept = {}
    for at in ordered:
        kept.setdefault(at[0], at)
    best = list(kept.values())[:count]
    return [acts[at] for at in best], [at[0] for at in best], [at[1:] for at in best]


@given(networks(), seeds, st.integers(1, 4))
def test_the_strongest_are_those_that_sorting_finds(net, seed, count):
    """Small whole numbers, so that there are ties in and between images."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 2, (5, net.channels[0], 16, 16)).astype(net.dtype)
    try:
        net.map_sizes(16)
    except fdref.NetworkError:
        return
    number = len(net)
    top = fdref.strongest(net, images, number, count=count)
    assert top.filters.tolist() == list(range(net.channels[number]))
    for k in top.filters:
        values, which, places = twin(net, images, number, k, count)
        assert top.values[k].tolist() == values
        assert top.images[k].tolist() == which
        assert list(map(tuple, top.places[k].tolist())) == places


def test_more_images_than_a_chunk_streamed_shared_and_a_few_at_a_time(monkeypatch):
    net, images = fdref.load(), fdref.mnist().test.images[:350]
    whole = fdref.strongest(net, images, 5, filters=[3, 11])
    values, which, _ = twin(net, images, 5, 11, 9)
    assert whole.images[1].tolist() == which
    np.testing.assert_allclose(whole.values[1], values, rtol=1e-6)
    done = []
    with ThreadPoolExecutor(2) as executor:
        streamed = fdref.strongest(
            net,
            (images[first : first + 70] for first in range(0, 350, 70)),
            "conv3",
            [3, 11],
            progress=done.append,
            executor=executor,
        )
    assert sum(done) == 350
    monkeypatch.setattr(module, "AT_ONCE", 1)
    one = fdref.strongest(net, images, 5, [3, 11])
    for found in (streamed, one):
        assert (found.images == whole.images).all()
        np.testing.assert_allclose(found.values, whole.values, rtol=1e-5)
    assert (streamed.values == whole.values).all()
    with pytest.raises(fdref.ArgumentError, match="pass them again: images="):
        streamed.patches()
    again = (images[first : first + 90] for first in range(0, 350, 90))
    assert (streamed.patches(again) == whole.patches()).all()


def test_a_patch_is_what_the_neuron_saw_and_answers_as_it_did():
    """Also beyond the border, where the network pads with zeros and so does the patch."""
    random = np.random.default_rng(0)
    bank, more = random.standard_normal((4, 2, 3, 3)), random.standard_normal((5, 4, 3, 3))
    net = Network([Conv(bank, pad=1), Pool(2, 2), Conv(more, random.standard_normal(5), pad=1)])
    images = random.uniform(0, 255, (20, 2, 12, 12))
    top = fdref.strongest(net, images, 3, count=3)
    patches = top.patches()
    field = fdref.receptive_field(net, 3)
    assert patches.shape == (5, 3, 2, *field.size)
    for k, rank in np.ndindex(5, 3):
        row, column = top.places[k, rank]
        image = np.pad(images[top.images[k, rank]], ((0, 0), (20, 20), (20, 20)))
        first = [
            20 + field.offset[axis] + at * field.stride[axis]
            for axis, at in enumerate((row, column))
        ]
        expected = image[:, first[0] : first[0] + 8, first[1] : first[1] + 8]
        assert field.size == (8, 8)
        assert (patches[k, rank] == expected).all()


@pytest.mark.parametrize("rule", ["deconvnet", "gradient"])
def test_projections_are_those_of_each_unit_alone(rule, monkeypatch):
    random = np.random.default_rng(1)
    bank, more = random.standard_normal((4, 1, 3, 3)), random.standard_normal((3, 4, 3, 3))
    net = Network([Conv(bank, pad=1), ReLU(), Pool(2, 2), Conv(more, pad=1)])
    images = random.uniform(-1, 1, (9, 14, 14))
    top = fdref.strongest(net, images, 4, [2, 0], count=4)
    monkeypatch.setattr(module, "AT_ONCE", 1)  # image by image
    done = []
    found = top.projections(rule, progress=done.append)
    assert sum(done) == 8
    assert found.shape == (2, 4, 1, 8, 8)
    for row, rank in np.ndindex(2, 4):
        image = int(top.images[row, rank])
        acts = fdref.forward(net, net.prepare(images[image : image + 1]))
        place = top.places[row, rank]
        kept = [[0, top.filters[row], *place]]
        whole = np.pad(fdref.project(net, acts, 4, kept, rule)[0, 0], 20)
        first = 20 - 3 + 2 * place  # padded, then pooled, then padded
        expected = whole[first[0] : first[0] + 8, first[1] : first[1] + 8]
        np.testing.assert_allclose(found[row, rank, 0], expected, rtol=1e-12, atol=1e-14)
        assert np.count_nonzero(whole) == np.count_nonzero(expected)


def test_fewer_images_than_wanted_are_all_there_are():
    net, images = fdref.load(), fdref.mnist().test.images[:2]
    top = fdref.strongest(net, images, 3, filters=[1])
    assert top.values.shape == (1, 2)
    assert top.patches().shape == (1, 2, 1, 14, 14)
    none = fdref.strongest(net, images, 3, filters=[])
    assert none.patches().shape == none.projections().shape == (0, 2, 1, 14, 14)


NET = fdref.load()
DIGITS = fdref.mnist().test.images[:3]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"net": None}, "net is None"),
        ({"images": DIGITS[:0]}, "no images"),
        ({"images": DIGITS[:, :20]}, "images are 20x28"),
        ({"images": np.full((1, 28, 28), np.nan)}, "image 0 holds nan"),
        ({"images": iter([])}, "no images"),
        ({"layer": 12}, "layer"),
        ({"filters": [50]}, "50"),
        ({"count": 0}, "count is 0; expected a whole number of at least 1"),
        ({"count": True}, "count is True"),
        ({"engine": "slow"}, "engine is 'slow'"),
        ({"executor": 3}, "executor is 3"),
        ({"progress": 3}, "progress is 3"),
    ],
)
def test_what_cannot_be_searched_is_told(given, message):
    arguments = {"net": NET, "images": DIGITS, "layer": 3} | given
    with pytest.raises(fdref.ArgumentError, match=message):
        fdref.strongest(**arguments)


def test_other_images_than_those_searched_are_told():
    top = fdref.strongest(NET, DIGITS, 3, [0])
    with pytest.raises(fdref.ArgumentError, match="there are 1 images; expected those"):
        top.patches(DIGITS[:1])
    streamed = dataclasses.replace(top, pixels=None)
    with pytest.raises(fdref.ArgumentError, match="of 3 images 1 came"):
        streamed.projections(images=iter([DIGITS[:1]]))
