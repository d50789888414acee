"""Cases of sections 9.1 to 9.3: transposed convolutions, and what is seen of nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.cases.making import conv, convt, exact, pool, refused, taking
from fdref.conformance.cases.numbers import integers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.conformance.case import Case

    Named = dict[str, NDArray[Any]]
    Layers = list[dict[str, Any]]


def cases() -> list[Case]:
    """Return them all."""
    return [*transposed(), *nothing(), *single_rows()]


def transposed() -> list[Case]:
    """Cases of transposed convolutions: crops, groups, and units at a position."""
    cropped = {
        "images": integers(701, (1, 1, 3, 4)),
        "filters1": integers(702, (1, 1, 3, 4), 1, 4),
        "bias1": np.array([7], np.float32),
    }
    # Two groups, each of two channels below and of two above.
    grouped = {
        "filters1": integers(703, (4, 1, 1, 2), -2, 2),
        "filters2": integers(704, (4, 2, 2, 3), -2, 2),
        "bias2": integers(705, (4,), -3, 3),
        "filters3": integers(706, (2, 4, 2, 2), -2, 2),
    }
    groups = [
        conv("filters1"),
        convt("filters2", "bias2", upsample=(1, 2), crop=(0, 0, 1, 0), groups=2),
        conv("filters3"),
    ]
    placed = {
        "filters1": integers(707, (2, 1, 2, 2), -2, 2),
        "filters2": integers(708, (2, 1, 3, 2), -2, 2),
        "filters3": integers(709, (2, 1, 2, 3), -2, 2),
    }
    upwards = [
        conv("filters1", pad=(1, 0, 0, 1)),
        convt("filters2", upsample=(2, 3), crop=(1, 0, 1, 2)),
        conv("filters3", pad=(0, 1, 2, 0)),
    ]
    known: dict[str, Any] = {"layer": 3, "unpool": "nearest", "origin": True}
    at: dict[str, Any] = known | {"network": upwards, "filters": [0, 1], "input_size": [4, 5]}
    return [
        exact("forward-graph-convt-crop", "a transposed convolution that is cropped on each side",
            cropped, network=[convt("filters1", "bias1", upsample=(2, 2), crop=(1, 3, 2, 4))]),
        exact("forward-graph-convt-groups-two", "two groups, each of two channels below and above",
            {"images": integers(710, (1, 1, 3, 4)), **grouped}, network=groups),
        exact("decode-graph-convt-groups-two", "the same on the way down", grouped, network=groups,
            filters=[0, 1], **known),
        exact("decode-graph-convt-position",
            "a unit above a transposed convolution, in the middle: what it sees depends on where "
            "it stands", placed, position=[3, 5], **at),
        exact("decode-graph-convt-position-corner", "the unit in the first corner", placed,
            position=[0, 0], **at),
        exact("decode-graph-convt-position-end", "the unit in the last corner", placed,
            position=[7, 10], **at),
    ]  # fmt: skip


def nothing() -> list[Case]:
    """Cases of 9.2: a way hands down nothing, and so one row or column of zeros."""
    points = {f"filters{n}": integers(711 + n, (1, 1, 1, 1), 1, 3) for n in (2, 3)}
    skipped = {"filters1": integers(714, (1, 1, 2, 2), 1, 3), **points}
    skipping = [
        conv("filters1", stride=(2, 1), pad=(1, 0, 0, 0)),
        convt("filters2", upsample=(3, 3)),
        conv("filters3", pad=(1, 0, 2, 0)),
    ]
    beside = {
        "filters1": integers(715, (1, 1, 2, 3), 1, 3),
        "filters3": integers(716, (1, 1, 1, 3), 1, 3),
    }
    padded = [
        conv("filters1", pad=(1, 2, 2, 1)),
        pool((2, 2), (2, 2)),
        conv("filters3", pad=(2, 1, 1, 2)),
    ]
    known: dict[str, Any] = {"layer": 3, "filters": [0], "unpool": "nearest", "origin": True}
    placed = {**known, "network": padded, "input_size": [4, 5]}
    return [
        exact("decode-graph-convt-nothing",
            "upsampling by 3 of single pixels: the unit lies where no filter reaches", skipped,
            network=skipping, **known),
        exact("decode-position-nothing",
            "a unit whose rows all lie in the padding: the map's first row remains, of zeros",
            beside, position=[0, 1], **placed),
        exact("decode-position-nothing-end", "the same at the end: the last row remains",
            beside, position=[5, 2], **placed),
    ]  # fmt: skip


def single_rows() -> list[Case]:
    """Cases of 9.3: the stride by which a single row is spread."""
    arrays = {
        "filters1": integers(721, (2, 1, 2, 2), -2, 2),
        "filters3": integers(722, (2, 2, 3, 1), -2, 2) * 8,
        "filters5": integers(723, (2, 2, 2, 2), -2, 2) * 8,
    }
    alone = {
        "filters1": arrays["filters1"],
        "filters3": integers(724, (2, 2, 3, 2), -2, 2),
    }
    padded = [conv("filters1"), pool((4, 2), (2, 2)), conv("filters3", pad=(1, 1, 0, 0))]
    joined = [
        conv("filters1"),
        taking(pool((4, 2), (2, 2)), 1),
        taking(conv("filters3", stride=(2, 2)), 1),
        taking("sum", 2, 3),
        conv("filters5"),
    ]
    known: dict[str, Any] = {"unpool": "nearest", "input_size": [5, 7]}
    above = {**known, "layer": 5, "filters": [0, 1]}
    # Filters of a single row keep to the single row; of two, padded, they have a neighbour there.
    flat = {**arrays, "filters5": arrays["filters5"][:, :, :1]}
    return [
        exact("decode-graph-single-pad",
            "above a single row that is padded pictures begin where the window's spread puts them",
            alone, network=padded, layer=3, filters=[0, 1], origin=True, **known),
        exact("decode-graph-single-joined",
            "ways that move by 4 rows and by 2: a unit of a single row has no neighbour to move to",
            flat, network=joined, stages=[5], origin=True, **above),
        refused("refuse-decode-graph-single",
            "the same below a map of two rows: the single row moves by its window, 4, not by 2",
            arrays, network=[*joined[:4], conv("filters5", pad=(1, 1, 0, 0))], **above),
    ]  # fmt: skip
