"""The paper's table and figures for a network and images, and whether its claims hold.

No verdict is written down: each is computed from the numbers that stand beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.decoding import decode
from fdref.evaluation import Evaluation, respond
from fdref.forward_pass import forward
from fdref.layers import Conv, Pool
from fdref.paper import supplement, table1
from fdref.paper.ceiling import ceiling
from fdref.paper.report import Claim, Section
from fdref.paper.subject import Reproduction
from fdref.paper.survey import Strip, survey

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.network import Network
    from fdref.paper.subject import Subject
    from fdref.paper.survey import Survey

CONTRAST = 128
"""A decoded filter shown as an image is scaled to this largest magnitude."""

CLASS = 3
"""Figures 3 and 4 look at this class, as the paper does."""

STRIP = 10
"""Filters of a layer that figure 4 shows."""


def reproduce(subject: Subject, progress: Callable[[int], object] | None = None) -> Reproduction:
    """Recompute what the paper and its supplement show.

    Parameters
    ----------
    subject : Subject
    progress : callable, optional
        Called after each chunk of images with their number.

    Returns
    -------
    Reproduction

    Raises
    ------
    ArgumentError
        If the images do not fit the network, or there are not as many labels.
    """
    net = subject.net
    found = survey(net, subject.images, subject.labels, progress)
    pooled = [
        layer for layer in net.decodable if any(isinstance(x, Pool) for x in net.layers[:layer])
    ]
    folds = [
        ceiling(net, subject.images[fit], subject.images[test], pooled, progress)
        for fit, test in subject.folds
    ]
    best = {
        layer: Evaluation(
            np.concatenate([fold[layer].errors for fold in folds]),
            np.concatenate([fold[layer].correlations for fold in folds]),
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


def figure1(result: Reproduction, subject: Subject, found: Survey) -> None:
    """Show the last layer's decoded filters and the images that correlate most with them."""
    title = "Figure 1: what the last layer looks for"
    if not subject.classes:
        why = "the outputs of the last convolution are not the classes of the images"
        result.sections.append(
            Section(title, "", (Claim("Decoded filters show classes.", why, None),))
        )
        return
    best = found.guesses[subject.last]
    bank = found.banks[subject.last, "bicubic"]
    images = subject.net.prepare(subject.images[best])
    matrix = found.scores[best].T
    named = [subject.classes[label] for label in subject.labels[best]]
    own = int((subject.labels[best] == np.arange(len(best))).sum())
    diagonal = int((matrix.argmax(axis=0) == np.arange(len(best))).sum())
    right = float((found.scores.argmax(axis=1) == subject.labels).mean())
    chance = float(np.bincount(subject.labels).max() / len(subject.labels))
    count = len(best)
    result.drawings["figure1"] = bank, images, matrix, subject.classes, named
    result.numbers |= {"figure1/matrix": matrix, "figure1/image": best, "figure1/decoded": bank}
    result.sections.append(
        Section(
            title,
            "The decoded filters of the last layer, their positive parts, the images of the whole "
            "set that correlate most with them, and the correlation of every filter with every one "
            "of these images.",
            (
                Claim(
                    "The image that correlates most with a decoded filter is of its class.",
                    f"{own} of {count}",
                    2 * own > count,
                ),
                Claim(
                    "It correlates most with the filter of its own class: the diagonal is the "
                    "largest of its column.",
                    f"{diagonal} of {count}",
                    2 * diagonal > count,
                ),
                Claim(
                    "As a linear classifier, the decoded filters name more images rightly than "
                    "chance.",
                    f"{right:.1%} of {len(subject.labels):,}; the largest class has {chance:.1%}",
                    right > chance,
                ),
                excitation(subject, found, subject.last),
                *(excitation(subject, found, n) for n in subject.net.decodable[-2:-1]),
            ),
            picture="figure1",
            alt="Decoded filters, their positive parts, images, and a matrix of correlations",
        )
    )


def excitation(subject: Subject, found: Survey, layer: int) -> Claim:
    """Show the network a layer's decoded filters as images."""
    bank = found.banks[layer, "bicubic"]
    text = f"A decoded filter of layer {layer}, shown as an image, excites its own neuron most."
    if bank.shape[2:] != subject.images.shape[-2:]:
        return Claim(text, "the filters are not as large as the images", None)
    peaks = np.abs(bank).max(axis=(1, 2, 3), keepdims=True)
    answers = forward(subject.net, CONTRAST * bank / np.where(peaks > 0, peaks, 1))[layer]
    own = float((answers[:, :, 0, 0].argmax(axis=1) == np.arange(len(bank))).mean())
    return Claim(text, f"{own:.1%} of {len(bank)}", own > 0.5)


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
        seen.append(float(np.corrcoef(acts[layer].ravel(), predicted.ravel())[0, 1]))
        result.numbers[f"figure3/layer{layer}/network"] = acts[layer][0]
        result.numbers[f"figure3/layer{layer}/correlation"] = predicted[0]
    result.drawings["figure3"] = x[0], sides, columns
    pairs = zip(sides, seen, strict=True)
    result.sections.append(
        Section(
            "Figure 3: responses in the network and by correlation",
            f"Image {index}, of class {subject.labels[index]}: the maps of the first convolutions "
            "in the network, and by correlation with their decoded filters.",
            (
                Claim(
                    "Correlation with the decoded filters gives responses like the network's.",
                    ", ".join(f"layer {n}: correlation coefficient {r:.3f}" for n, r in pairs),
                    min(seen) > 0.5,
                ),
            ),
            picture="figure3",
            alt="Activation maps side by side",
        )
    )


def figure4(result: Reproduction, subject: Subject, found: Survey) -> None:
    """Show decoded filters beside the images that excite them."""
    net, strips, agree = subject.net, [], []
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
        tops = subject.labels[found.best[layer][:, 0]], subject.labels[found.guesses[layer]]
        agree.append(f"layer {layer}: {(tops[0] == tops[1]).mean():.0%}")
    result.drawings["figure4"] = (strips,)
    deep = net.decodable[-1]
    same = (subject.labels[found.best[deep][:, 0]] == subject.labels[found.guesses[deep]]).mean()
    result.sections.append(
        Section(
            "Figure 4: filters and the images that excite them",
            "Decoded filters of each layer, their positive parts, the images with the highest "
            "activation in the network (the first framed red), and the image with the highest "
            "correlation with the decoded filter (framed yellow).",
            (
                Claim(
                    "The image that a decoded filter of the last layer picks is of the same class "
                    "as the network's.",
                    "same class, all filters: " + ", ".join(agree),
                    bool(same > 0.5),
                ),
            ),
            picture="figure4",
            alt="Rows of decoded filters and images",
        )
    )


def conv(net: Network, number: int) -> Conv:
    """Return a layer that is known to be a convolution."""
    layer = net[number]
    assert isinstance(layer, Conv)  # noqa: S101 - a promise to the type checker
    return layer
