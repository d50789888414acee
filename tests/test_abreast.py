"""Chunks of images side by side: the same bits and the same errors as one after the other."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from foreign_engine import NumpyEngine

import fdref
from fdref.engines import blas
from fdref.measure import abreast
from fdref.measure.abreast import Abreast
from fdref.measure.chunks import over_chunks

NET = fdref.load()
DIGITS = NET.prepare(np.tile(fdref.mnist().test.images[:180], (4, 1, 1)))


@pytest.fixture(params=[1, 2, 5])
def width(request, monkeypatch):
    monkeypatch.setattr("fdref.engines.blas.threads", lambda: request.param)
    return request.param


def test_no_bit_depends_on_how_many_go_side_by_side(width, monkeypatch):
    found = fdref.evaluate(NET, DIGITS, layers=[3, 7], unpool="nearest")
    top = fdref.strongest(NET, DIGITS, layer=5, filters=[0, 17])
    monkeypatch.setattr(Abreast, "width", lambda self, images: 1)
    wanted = fdref.evaluate(NET, DIGITS, layers=[3, 7], unpool="nearest")
    for number in (3, 7):
        assert (found[number].errors == wanted[number].errors).all()
        assert (found[number].correlations == wanted[number].correlations).all()
    again = fdref.strongest(NET, DIGITS, layer=5, filters=[0, 17])
    assert (top.values == again.values).all()
    assert (top.images == again.images).all()


@pytest.mark.skipif(blas.threads() < 2, reason="there is one thread")
def test_they_are_computed_at_the_same_time():
    meeting = threading.Barrier(2)

    def meet(chunk):
        meeting.wait(30)  # alone, it would wait in vain
        return chunk.first

    found = over_chunks(meet, DIGITS[:400], abreast=Abreast(NET, "compiled"))
    if blas.threads() == 2:
        assert list(found) == [0, 100, 200, 300]


def test_of_errors_the_first_image_s_is_raised_after_what_was_before_it(width):
    def of_some(chunk):
        if chunk.first >= 300:
            raise ValueError(chunk.first)
        return chunk.first

    counts, chunks = [], Abreast(NET, "compiled")
    found = over_chunks(of_some, DIGITS, counts.append, abreast=chunks)
    assert [next(found) for _ in range(3)] == [0, 100, 200]
    with pytest.raises(ValueError, match=r"^300$"):
        next(found)
    assert counts == [100, 100, 100]


def test_an_image_that_is_none_is_told_of_by_its_number(width):
    bad = DIGITS.copy()
    bad[[333, 444]] = np.nan
    with pytest.raises(fdref.ArgumentError, match="image 333 holds nan"):
        fdref.evaluate(NET, bad, layers=3)
    with pytest.raises(fdref.ArgumentError, match="images are 28x20; expected 28x28"):
        fdref.evaluate(NET, iter([DIGITS[:300, :, :, :20]]), layers=3)


def test_whoever_decodes_on_the_way_does_not_wait_for_itself(width):
    """The thread that shares work holds a lock until all of it is done."""
    wanted = fdref.decode(NET, 3)

    def decode(chunk):
        return (fdref.decode(NET, 3) == wanted).all()

    assert all(over_chunks(decode, DIGITS, abreast=Abreast(NET, "compiled")))


def test_numbers_go_on_where_images_do():
    some = iter([DIGITS[:150], DIGITS[:30, :, :20]])
    found = over_chunks(lambda chunk: chunk.first, some, first=400)
    assert next(found) == 400
    with pytest.raises(fdref.ArgumentError, match=r"image 550 has shape \(1, 20, 28\)"):
        next(found)


@pytest.mark.parametrize("engine", [NumpyEngine(), "reference"])
def test_another_engine_has_one_at_a_time(engine, monkeypatch):
    monkeypatch.setattr("fdref.engines.blas.threads", lambda: 4)
    assert Abreast(NET, engine).width(DIGITS[:100]) == 1
    found = over_chunks(lambda _: threading.get_ident(), DIGITS, abreast=Abreast(NET, engine))
    assert set(found) == {threading.get_ident()}


def test_maps_of_all_are_bounded(monkeypatch):
    monkeypatch.setattr("fdref.engines.blas.threads", lambda: 16)
    side_by_side = Abreast(NET, "compiled")
    assert side_by_side.width(DIGITS[:100]) == 16
    numbers = sum(maps[0].size for maps in fdref.forward(NET, DIGITS[:1]))
    monkeypatch.setattr(abreast, "HELD", 3 * 100 * 4 * numbers)
    assert side_by_side.width(DIGITS[:100]) == 3
    monkeypatch.setattr(abreast, "HELD", 3 * 100 * 4 * numbers - 1)
    assert side_by_side.width(DIGITS[:100]) == 2
    monkeypatch.setattr(abreast, "HELD", 1)
    assert side_by_side.width(DIGITS[:100]) == 1
