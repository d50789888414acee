"""Sections 5 and 6: where a layer sees, what a decoded filter answers, and how well it predicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fdref.geometry import ReceptiveField
from fdref.network.units import receptive_field
from mutants.making import RIGHT, asked, by, each, named, part, swapped, told


def fields(change):
    """Another receptive field, made of the right one's size, stride and offset."""

    def field(net, number):
        right = receptive_field(net, number)
        return ReceptiveField(*change(right.size, right.stride, right.offset))

    return part(field=field)


def numbers(**changes):
    """Some of the outputs, changed; each takes all of them."""
    return told(
        lambda found, case: {
            name: changes[name](found) if name in changes else values
            for name, values in found.items()
        }
    )


def natural_size(found, case):
    """Respond at all places up to the end of the images."""
    images, bank, known = case.inputs["images"], case.inputs["bank"], case.parameters
    output = [
        (n - first - size) // step + 1
        for n, first, size, step in zip(
            images.shape[2:], known["offset"], bank.shape[2:], known["stride"], strict=True
        )
    ]
    return asked(output=lambda _: output)(case)


def edges_repeated(case):
    """Let the border's pixels go on outside."""
    around = 20
    padded = np.pad(case.inputs["images"], ((0, 0), (0, 0), (around,) * 2, (around,) * 2), "edge")
    moved = {**case.parameters, "offset": [n + around for n in case.parameters["offset"]]}
    inputs = {**case.inputs, "images": padded}
    return by(RIGHT)(replace(case, inputs=inputs, parameters=moved))


def without_top_bias(case):
    layer = case.parameters["layer"]
    known = [dict(entry) for entry in case.parameters["network"]]
    known[layer - 1]["bias"] = None
    found = asked(network=lambda _: known)(case)
    return found | {"predicted": by_right(case)["predicted"]}


def by_right(case):
    return told(lambda found, case: found)(case)


def covariances(found):
    rows = [found[name].reshape(len(found[name]), -1).astype(float) for name in SIDES]
    r, q = (row - row.mean(axis=1, keepdims=True) for row in rows)
    return (r * q).mean(axis=1)


def uncentred(found):
    r, q = (found[name].reshape(len(found[name]), -1).astype(float) for name in SIDES)
    return (r * q).sum(axis=1) / np.sqrt((r**2).sum(axis=1) * (q**2).sum(axis=1))


def squared(found):
    return found["correlations"] ** 2


def roots(found):
    return np.sqrt(found["errors"])


SIDES = "response", "predicted"

SENTENCES = {
    "Outputs `size`, `stride`, `offset`, each": [
        (named("jump-too-soon"), "receptive-field-lenet receptive-field-pad"),
        (fields(lambda size, stride, offset: (size[::-1], stride, offset)), "receptive-field-pad"),
        (fields(lambda size, stride, offset: (size, stride[::-1], offset)), "receptive-field-pad"),
        (fields(lambda size, stride, offset: (size, stride, offset[::-1])), "receptive-field-pad"),
        (fields(lambda size, stride, offset: (size, (1, 1), offset)), "receptive-field-lenet"),
        (named("offset-not-scaled"), "receptive-field-pad"),
    ],
    "Offsets are negative where": [
        (named("offset-ignored"), "receptive-field-one receptive-field-pad"),
        (fields(lambda size, stride, offset: (size, stride, (-offset[0], -offset[1]))),
         "receptive-field-one receptive-field-pad"),
    ],
    "Output `response` (N, K, height, width)": [
        (told(natural_size), "respond-part"),
        (asked(offset=lambda _: [0, 0]), "respond-padded respond-part"),
        (asked(offset=lambda o: [-n for n in o]), "respond-padded respond-real"),
        (asked(offset=swapped), "respond-padded respond-real"),
        (named("filters-flipped"), "respond-inside respond-large"),
        (asked(stride=swapped), "respond-inside"),
        (edges_repeated, "respond-padded"),
    ],
    "An offset may be positive": [
        (asked(offset=lambda o: [min(n, 0) for n in o]), "respond-beyond"),
        (edges_repeated, "respond-outside"),
    ],
    "Outputs `response`: the output of convolution L": [
        (named("response-after-relu"), "evaluate-integers"),
        (without_top_bias, "evaluate-integers evaluate-top"),
        (named("normalised-per-filter"), "evaluate-integers"),
        (named("normalised-over-images"), "evaluate-integers"),
        (named("not-normalised"), "evaluate-integers evaluate-real"),
        (numbers(errors=roots), "evaluate-integers evaluate-real"),
        (named("offset-ignored"), "evaluate-integers"),
        (named("substitution-flipped"), "evaluate-linear"),
        (numbers(correlations=uncentred), "evaluate-integers evaluate-negative"),
    ],
    "* (q - mean q) / sqrt(": [
        (numbers(correlations=covariances), "evaluate-integers"),
        (numbers(correlations=squared), "evaluate-integers"),
        (named("sample-deviation"), "evaluate-integers"),
        (numbers(std=lambda found: found["std"] ** 2), "evaluate-integers"),
        (numbers(mean=lambda found: np.median(found["errors"])), "evaluate-integers"),
    ],
    "Where all values of one of the two": [
        (each(np.nan_to_num), "evaluate-constant"),
        (numbers(errors=lambda found: np.nan_to_num(found["errors"])), "evaluate-constant"),
        (numbers(correlations=lambda found: np.nan_to_num(found["correlations"], nan=1)),
         "evaluate-constant"),
        (numbers(mean=lambda found: found["errors"].mean()), "evaluate-constant"),
        (numbers(mean=lambda found: np.nan_to_num(found["errors"]).mean()), "evaluate-constant"),
        (numbers(std=lambda found: np.nan_to_num(found["errors"]).std()), "evaluate-constant"),
    ],
    "Where no image is left": [
        (numbers(mean=lambda found: np.array(0.0)), "evaluate-nothing"),
        (numbers(std=lambda found: np.array(0.0)), "evaluate-nothing"),
    ],
}  # fmt: skip
