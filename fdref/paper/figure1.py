"""Figure 1: whether decoded filters of the last layer show classes and excite their neurons."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from fdref.finite import finite_forward
from fdref.paper.report import Claim, Section, judged
from fdref.paper.survey import wins

if TYPE_CHECKING:
    from fdref.paper.subject import Reproduction, Subject
    from fdref.paper.survey import Survey

CONTRAST = 128
"""A decoded filter shown as an image is scaled to this largest magnitude."""


def add_to(result: Reproduction, subject: Subject, found: Survey) -> None:
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
    result.drawings["figure1"] = bank, images, matrix, subject.classes, named
    result.numbers |= {"figure1/matrix": matrix, "figure1/image": best, "figure1/decoded": bank}
    result.sections.append(
        Section(
            title,
            "The decoded filters of the last layer, their positive parts, the images of the whole "
            "set that correlate most with them, and the correlation of every filter with every one "
            "of these images.",
            (
                *claims(subject, found),
                excitation(subject, found, subject.last),
                *(excitation(subject, found, n) for n in subject.net.decodable[-2:-1]),
            ),
            picture="figure1",
            alt="Decoded filters, their positive parts, images, and a matrix of correlations",
        )
    )


def claims(subject: Subject, found: Survey) -> tuple[Claim, ...]:
    """Hold the last layer's decoded filters against the classes of images."""
    best, labels = found.guesses[subject.last], subject.labels
    count = len(best)
    right = float((found.scores.argmax(axis=1) == labels).mean())
    chance = float(np.bincount(labels).max() / len(labels))
    own = int((found.choosy[subject.last] & (labels[best] == np.arange(count))).sum())
    diagonal = int(wins(found.scores[best]).sum())
    alone = "there is one filter only"
    return (
        judged(
            "The image that correlates most with a decoded filter is of its class.",
            f"{own} of {count}" if count > 1 else alone,
            "filters whose image is",
            own if count > 1 else nan,
            ">",
            count / 2,
        ),
        judged(
            "It correlates most with the filter of its own class: the diagonal is the largest of "
            "its column.",
            f"{diagonal} of {count}" if count > 1 else alone,
            "images that do",
            diagonal if count > 1 else nan,
            ">",
            count / 2,
        ),
        judged(
            "As a linear classifier, the decoded filters name more images rightly than chance.",
            f"{right:.1%} of {len(labels):,}; the largest class has {chance:.1%}",
            "share named rightly",
            right,
            ">",
            chance,
        ),
    )


def excitation(subject: Subject, found: Survey, layer: int) -> Claim:
    """Show the network a layer's decoded filters as images."""
    bank = found.banks[layer, "bicubic"]
    text = f"A decoded filter of layer {layer}, shown as an image, excites its own neuron most."
    if bank.shape[2:] != subject.images.shape[-2:]:
        return Claim(text, "the filters are not as large as the images", None)
    if len(bank) == 1:
        return Claim(text, "there is one filter only", None)
    peaks = np.abs(bank).max(axis=(1, 2, 3), keepdims=True)
    shown = bank / np.where(peaks > 0, peaks, 1) * bank.dtype.type(CONTRAST)
    acts = finite_forward(subject.net, shown)
    own = float(wins(acts[layer][:, :, 0, 0]).mean())
    return judged(text, f"{own:.1%} of {len(bank)}", "share that does", own, ">", 0.5)
