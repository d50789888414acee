"""The paper's table and figures for a network and images, and whether its claims hold.

No verdict is written down: each is computed from the numbers that stand beside it.
"""

from __future__ import annotations

from math import isnan, nan
from typing import TYPE_CHECKING

import numpy as np

from fdref.decoding import decode
from fdref.errors import NetworkError
from fdref.evaluation import Evaluation, compare, respond
from fdref.finite import QUIET, first_bad
from fdref.forward_pass import forward
from fdref.layers import Conv, Pool
from fdref.paper import supplement, table1
from fdref.paper.ceiling import Ceiling, ceiling
from fdref.paper.figure1 import add_to as figure1
from fdref.paper.report import Claim, Section, judged
from fdref.paper.subject import Reproduction
from fdref.paper.survey import Strip, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fdref.chunks import Executor
    from fdref.network import Network
    from fdref.paper.subject import Subject
    from fdref.paper.survey import Survey

CLASS = 3
"""Figures 3 and 4 look at this class, as the paper does."""

STRIP = 10
"""Filters of a layer that figure 4 shows."""


@QUIET
def reproduce(
    subject: Subject,
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
) -> Reproduction:
    """Recompute what the paper and its supplement show.

    Parameters
    ----------
    subject : Subject
    progress : callable, optional
        Called after each chunk of images with their number.
    executor : optional
        As `evaluate` takes it.

    Returns
    -------
    Reproduction

    Raises
    ------
    ArgumentError
        If the images do not fit the network or are not finite, or there are not as many labels.
    NetworkError
        If weights are so large that filters or responses overflow.
    """
    net = subject.net
    found = survey(net, subject.images, subject.labels, progress, executor)
    pooled = [
        layer for layer in net.decodable if any(isinstance(x, Pool) for x in net.layers[:layer])
    ]
    folds = [
        ceiling(net, subject.images[fit], subject.images[test], pooled, progress, executor)
        for fit, test in subject.folds
    ]
    best = {
        layer: Ceiling(
            *(joined(kind) for kind in zip(*(fold[layer] for fold in folds), strict=True))
        )
        for layer in pooled
    }
    result = Reproduction()
    table1.add_to(result, subject, found, best)
    figure1(result, subject, found)
    figure2(result, subject)
    figure3(result, subject, found)
    figure4(result, subject, found)
    supplement.add_to(result, subject)
    return result


def joined(parts: Sequence[Evaluation]) -> Evaluation:
    """Put evaluations of different images together."""
    return Evaluation(
        np.concatenate([part.errors for part in parts]),
        np.concatenate([part.correlations for part in parts]),
    )


def figure2(result: Reproduction, subject: Subject) -> None:
    """Show how one filter is decoded: of the last convolution that sees more than a pixel."""
    net = subject.net
    wide = [n for n in net.decodable if max(conv(net, n).window) > 1] or [subject.last]
    layer, k = wide[-1], 0
    stages, titles = [], []
    for depth, stage in enumerate(decode(net, layer, k, steps=True)):
        below = layer - depth
        kind = "substituted" if isinstance(net[below], Conv) else "unpooled"
        if depth == 0:
            titles.append(f"filter {k} of layer {layer}")
        elif isinstance(net[below], Conv | Pool):
            titles.append(f"{kind} (layer {below})")
        else:
            continue  # the picture is the same
        if first_bad(stage) is not None:
            raise NetworkError(
                f"filter {k} of {net.describe(layer)}, decoded down to {net.describe(below)}, is "
                f"too large for {stage.dtype}; expected smaller weights"
            )
        stages.append(stage)
        result.numbers[f"figure2/stage{depth}"] = stage
    result.drawings["figure2"] = stages, titles
    result.sections.append(
        Section(
            "Figure 2: decoding, step by step",
            f"Filter {k} of layer {layer} on its way down to the image, from a real run.",
            picture="figure2",
            alt="Pictures of all channels at every step of decoding",
        )
    )


def figure3(result: Reproduction, subject: Subject, found: Survey) -> None:
    """Show responses to one image, in the network and by correlation."""
    net = subject.net
    chosen = np.flatnonzero(subject.labels == CLASS)
    index = int(chosen[0]) if len(chosen) else 0
    x = net.prepare(subject.images[index : index + 1])
    acts = forward(net, x)
    sides, columns, seen = {}, {}, []
    for layer in net.decodable[:3]:
        predicted = respond(net, layer, found.banks[layer, "bicubic"], x)
        sides[layer] = acts[layer][0], predicted[0]
        pixels = acts[layer].shape[2] * acts[layer].shape[3]
        columns[layer] = 25 if pixels == 1 else 10 if len(predicted[0]) > 25 else 5
        seen.append(float(compare(acts[layer], predicted)[1, 0]))
        result.numbers[f"figure3/layer{layer}/network"] = acts[layer][0]
        result.numbers[f"figure3/layer{layer}/correlation"] = predicted[0]
    result.drawings["figure3"] = x[0], sides, columns
    told = [
        f"layer {n}: " + ("nothing to compare" if isnan(r) else f"correlation coefficient {r:.3f}")
        for n, r in zip(sides, seen, strict=True)
    ]
    result.sections.append(
        Section(
            "Figure 3: responses in the network and by correlation",
            f"Image {index}, of class {subject.labels[index]}: the maps of the first convolutions "
            "in the network, and by correlation with their decoded filters.",
            (
                judged(
                    "Correlation with the decoded filters gives responses like the network's.",
                    ", ".join(told),
                    "the smallest correlation coefficient",
                    float(np.min(seen)),
                    ">",
                    0.5,
                ),
            ),
            picture="figure3",
            alt="Activation maps side by side",
        )
    )


def figure4(result: Reproduction, subject: Subject, found: Survey) -> None:
    """Show decoded filters beside the images that excite them."""
    net, strips = subject.net, []
    for layer in net.decodable:
        order = np.arange(net.channels[layer])
        title = f"layer {layer}"
        featured = layer != subject.last and net.channels[layer] > 10 * STRIP
        if featured and len(found.by_class[layer]) > CLASS:
            order = np.argsort(-found.by_class[layer][CLASS], kind="stable")
            title += f": the filters with the highest activations for class {CLASS}"
        shown = order[:STRIP]
        best, guess = found.best[layer][shown], found.guesses[layer][shown]
        strips.append(
            Strip(
                title,
                [str(k) for k in shown],
                found.banks[layer, "bicubic"][shown],
                conv(net, layer).filters[shown] if featured else None,
                np.stack([net.prepare(subject.images[row]) for row in best]),
                net.prepare(subject.images[guess]),
            )
        )
        result.numbers[f"figure4/layer{layer}/filters"] = shown
        result.numbers[f"figure4/layer{layer}/network"] = best
        result.numbers[f"figure4/layer{layer}/correlation"] = guess
    result.drawings["figure4"] = (strips,)
    result.sections.append(
        Section(
            "Figure 4: filters and the images that excite them",
            "Decoded filters of each layer, their positive parts, the images with the highest "
            "activation in the network (the first framed red), and the image with the highest "
            "correlation with the decoded filter (framed yellow).",
            (figure4_claim(subject, found),),
            picture="figure4",
            alt="Rows of decoded filters and images",
        )
    )


def figure4_claim(subject: Subject, found: Survey) -> Claim:
    """Compare the classes of the images that the network and the decoded filters pick."""
    text = (
        "The image that a decoded filter of the last layer picks is of the same class as the "
        "network's."
    )
    if len(np.unique(subject.labels)) == 1:
        return Claim(text, "all images are of one class", None)
    share = {}
    for layer, choosy in found.choosy.items():
        classes = (subject.labels[rows] for rows in (found.best[layer][:, 0], found.guesses[layer]))
        share[layer] = float((choosy & np.equal(*classes)).mean()) if choosy.any() else nan
    told = [
        f"layer {n}: " + ("every image is answered alike" if isnan(same) else f"{same:.0%}")
        for n, same in share.items()
    ]
    return judged(
        text,
        "same class, all filters: " + ", ".join(told),
        "share of the last layer's filters",
        share[subject.last],
        ">",
        0.5,
    )


def conv(net: Network, number: int) -> Conv:
    """Return a layer that is known to be a convolution."""
    layer = net[number]
    assert isinstance(layer, Conv)  # noqa: S101 - a promise to the type checker
    return layer
