"""Table 1 of the paper: eq. 3 for each layer and unpooling, beside the paper's figures."""

from __future__ import annotations

from math import inf, isnan, nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.engines.resize import PAPERS
from fdref.layers import Conv
from fdref.measure.nonlinearities import AFFINE, LINEAR
from fdref.measure.survey import (
    AFTER_RELU,
    EQ3,
    PAPER,
    PER_FILTER,
    RAW_PIXELS,
    has_pools_below,
)
from fdref.paper.exhibit import Claim, Exhibit, Table, judged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fdref.engines.resize import Method
    from fdref.measure.evaluation import Evaluation
    from fdref.measure.nonlinearities import Nonlinearities
    from fdref.measure.survey import Cell, Survey
    from fdref.network.graph import Network
    from fdref.paper.subject import Subject


NOTHING = "nothing to compare"
"""Where responses, or what is predicted of them, are the same everywhere, in every image."""


class Row(NamedTuple):
    """What the table says of a layer and an unpooling; None where there is no such number."""

    layer: int
    unpool: Method
    n: int
    compared: int
    mean: float | None
    std: float | None
    correlation: float | None
    paper_mean: float | None
    paper_std: float | None
    ceiling: float | None = None
    ceiling_correlation: float | None = None
    affine_ceiling: float | None = None
    affine_ceiling_correlation: float | None = None


def rows(net: Network, found: Survey, explained: Mapping[int, Nonlinearities]) -> list[Row]:
    """Set eq. 3 for each layer and unpooling beside the paper's figures and the best filters'."""
    papers = PAPER if is_lenet(net) else {}
    table = []
    for (layer, method), cell in cells(found).items():
        fitted = explained[layer].predicted if layer in explained else {}
        best = [fitted[kind] for kind in (LINEAR, AFFINE) if kind in fitted]
        table.append(
            Row(
                layer,
                method,
                cell.n,
                cell.compared,
                *map(number, (cell.mean, cell.std, cell.correlation)),
                *papers.get((layer, method), (None, None)),
                *(number(value) for own in best for value in (own.mean, own.correlation)),
            )
        )
    return table


def cells(found: Survey) -> dict[Cell, Evaluation]:
    """Return eq. 3 as we read it, layer by layer."""
    ordered = sorted(found.table.items(), key=lambda item: item[0][1:])
    return {(layer, method): cell for (name, layer, method), cell in ordered if name == EQ3}


def exhibit(subject: Subject, found: Survey, table: Sequence[Row]) -> Exhibit:
    """Show the table, what it claims, and other readings of eq. 3."""
    return Exhibit(
        "table1",
        "Table 1",
        "Eq. 3: how far a layer's responses, before any ReLU, are from the correlation of the "
        "image with its decoded filters, each mapped to [0, 1] over the whole layer.",
        table1_claims(subject, found, lenet=is_lenet(subject.net)),
        (eq3(subject.net, table), other_readings(found)),
        {
            f"layer{layer}/{method}": np.stack([cell.errors, cell.correlations])
            for (layer, method), cell in cells(found).items()
        },
    )


def eq3(net: Network, table: Sequence[Row]) -> Table:
    """Write the table for people."""
    header = ("layer", "unpooling", "paper", "here", "correlation")
    texts = [
        (
            str(row.layer),
            row.unpool if has_pools_below(net, row.layer) else "none to undo",
            plus_minus(row.paper_mean, row.paper_std) if row.paper_mean is not None else "",
            told(row),
            short(row.correlation, 3),
        )
        for row in table
    ]
    note = "Mean ± standard deviation over the images; below, how well other linear filters do."
    return Table("Eq. 3", header, tuple(texts), note)


def table1_claims(subject: Subject, found: Survey, *, lenet: bool) -> tuple[Claim, ...]:
    """Hold the table against the paper's."""
    layers = [layer for layer in subject.net.decodable if (EQ3, layer, "nearest") in found.table]
    means = [found.table[EQ3, layer, "bicubic"].mean for layer in layers]
    steps = np.diff(means)
    deeper = judged(
        "The error grows with depth.",
        ", ".join(f"layer {n}: {short(m)}" for n, m in zip(layers, means, strict=True))
        + " (bicubic)",
        "the smallest step from one of these layers to the next",
        float(steps.min()) if len(steps) else nan,
        ">",
        0,
    )
    bilinear = judged(
        "Bilinear unpooling is the worst of the three.",
        ", ".join(f"layer {n}: {worst(found, n)}" for n in layers),
        "its error minus the larger of the others', in the layer where that is least",
        float(np.min([lead(found, n) for n in layers])) if layers else nan,
        ">",
        0,
    )
    return (*([figures_claim(found)] if lenet else []), deeper, bilinear)


def figures_claim(found: Survey) -> Claim:
    """Hold the means against the paper's, which are those of a LeNet on MNIST."""
    off = {
        cell: abs(found.table[EQ3, *cell].mean - mean) / std for cell, (mean, std) in PAPER.items()
    }
    layer, method = max(off, key=lambda cell: inf if isnan(off[cell]) else off[cell])
    farthest = off[layer, method]
    return judged(
        "The means are the paper's, within a standard deviation over the images.",
        f"layer {layer} {method} cannot be compared in any image"
        if isnan(farthest)
        else f"the farthest, layer {layer} {method}, is {farthest:.2f} standard deviations off",
        "the farthest mean, in the paper's standard deviations",
        farthest,
        "<=",
        1,
    )


def lead(found: Survey, layer: int) -> float:
    """Return by how much bilinear unpooling is worse than the worse of the two others."""
    others = [found.table[EQ3, layer, method].mean for method in PAPERS if method != "bilinear"]
    return found.table[EQ3, layer, "bilinear"].mean - float(np.max(others))


def worst(found: Survey, layer: int) -> str:
    """Name the unpooling with the largest error."""
    means = {method: found.table[EQ3, layer, method].mean for method in PAPERS}
    if any(map(isnan, means.values())):
        return NOTHING
    return max(means, key=lambda method: means[method])


def other_readings(found: Survey) -> Table:
    """Other ways to read eq. 3, because implementers ask."""
    readings = (EQ3, PER_FILTER, RAW_PIXELS, AFTER_RELU)
    layers = sorted({layer for _, layer, _ in found.table})
    rows = []
    for layer in layers:
        cells = [found.table.get((reading, layer, "bicubic")) for reading in readings]
        rows.append((str(layer), *(told(cell) if cell else "" for cell in cells)))
    note = (
        "Bicubic unpooling. Each filter by itself: every map is mapped to [0, 1] by its own "
        "extremes (undefined for maps of one pixel). Raw pixels: the decoded filters see the image "
        "without the average subtracted. After the ReLU: both sides rectified, where one follows."
    )
    return Table("Appendix: other readings of eq. 3", ("layer", *readings), tuple(rows), note)


def is_lenet(net: Network) -> bool:
    """Tell whether the paper's figures are about such a network."""
    kinds = [layer.kind for layer in net]
    shapes = {n: layer.filters.shape for n, layer in enumerate(net, 1) if isinstance(layer, Conv)}
    return kinds[:7] == ["conv", "pool", "conv", "pool", "conv", "relu", "conv"] and shapes == {
        1: (20, 1, 5, 5),
        3: (50, 20, 5, 5),
        5: (500, 50, 4, 4),
        7: (10, 500, 1, 1),
    }


def told(cell: Evaluation | Row) -> str:
    """Write an evaluation's mean and standard deviation, and over how many images, if not all."""
    if not cell.compared:
        return NOTHING
    of = "" if cell.compared == cell.n else f" ({cell.compared:,} of {cell.n:,} images)"
    return plus_minus(cell.mean, cell.std) + of


def plus_minus(mean: float | None, std: float | None) -> str:
    """Write a mean and a standard deviation."""
    return f"{mean:.4f} ± {std:.4f}"


def short(value: float | None, digits: int = 4) -> str:
    """Write a number, if it is one."""
    return NOTHING if value is None or isnan(value) else f"{value:.{digits}f}"


def number(value: float) -> float | None:
    """Return a number as JSON has it; None for NaN."""
    return None if isnan(value) else value
