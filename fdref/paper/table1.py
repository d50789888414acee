"""Table 1 of the paper: eq. 3 for each layer and unpooling, beside the paper's figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.fields import receptive_field
from fdref.layers import Conv
from fdref.paper.report import Claim, Section, Table
from fdref.paper.survey import AFTER_RELU, EQ3, PAPER, PER_FILTER, RAW_PIXELS
from fdref.resize import METHODS

if TYPE_CHECKING:
    from fdref.evaluation import Evaluation
    from fdref.network import Network
    from fdref.paper.subject import Reproduction, Subject
    from fdref.paper.survey import Survey


def add_to(
    result: Reproduction, subject: Subject, found: Survey, best: dict[int, Evaluation]
) -> None:
    """Show eq. 3 for each layer and unpooling, beside the paper's figures and the ceiling."""
    lenet = is_lenet(subject.net)
    rows = []
    for (reading, layer, method), cell in sorted(found.table.items(), key=lambda item: item[0][1:]):
        if reading != EQ3:
            continue
        paper = PAPER.get((layer, method)) if lenet else None
        top = best.get(layer)
        result.numbers[f"table1/layer{layer}/{method}"] = np.stack([cell.errors, cell.correlations])
        result.table1.append(
            {
                "layer": layer,
                "unpool": method,
                "n": cell.n,
                "mean": cell.mean,
                "std": cell.std,
                "correlation": cell.correlation,
                "paper_mean": paper[0] if paper else None,
                "paper_std": paper[1] if paper else None,
                "ceiling": top.mean if top else None,
                "ceiling_correlation": top.correlation if top else None,
            }
        )
        rows.append(
            (
                str(layer),
                method if layer in best else "none to undo",
                plus_minus(paper) if paper else "",
                plus_minus((cell.mean, cell.std)),
                f"{cell.correlation:.3f}",
                f"{top.mean:.4f}" if top else "",
                f"{top.correlation:.3f}" if top else "",
            )
        )
    header = (
        "layer", "unpooling", "paper", "here", "correlation",
        "linear filter", "its correlation",
    )  # fmt: skip
    fitted = sum(len(subject.images[fit]) for fit, _ in subject.folds) // len(subject.folds)
    weights = max((filter_size(subject.net, layer) for layer in best), default=0)
    note = (
        "Mean ± standard deviation over the images. Linear filter: the least-squares filter over "
        f"the receptive field, fitted on {fitted:,} images and evaluated on others, as the ceiling "
        "of what any linear filter explains."
    )
    if fitted < 10 * weights:
        note += f" So few images do not determine its {weights:,} weights: here it is no ceiling."
    result.sections.append(
        Section(
            "Table 1",
            "Eq. 3: how far a layer's responses, before any ReLU, are from the correlation of the "
            "image with its decoded filters, each mapped to [0, 1] over the whole layer.",
            table1_claims(subject, found, lenet=lenet),
            (Table("Eq. 3", header, tuple(rows), note), other_readings(found)),
        )
    )


def table1_claims(subject: Subject, found: Survey, *, lenet: bool) -> tuple[Claim, ...]:
    """Hold the table against the paper's."""
    layers = [layer for layer in subject.net.decodable if (EQ3, layer, "nearest") in found.table]
    means = [found.table[EQ3, layer, "bicubic"].mean for layer in layers]
    deeper = Claim(
        "The error grows with depth.",
        ", ".join(f"layer {n}: {m:.4f}" for n, m in zip(layers, means, strict=True)) + " (bicubic)",
        bool(np.all(np.diff(means) > 0)) if len(means) > 1 else None,
    )
    worst = [max(METHODS, key=lambda m: found.table[EQ3, n, m].mean) for n in layers]
    bilinear = Claim(
        "Bilinear unpooling is the worst of the three.",
        ", ".join(f"layer {n}: {m}" for n, m in zip(layers, worst, strict=True)),
        all(method == "bilinear" for method in worst) if layers else None,
    )
    if not lenet:
        why = "the paper's figures are those of a LeNet on MNIST"
        return Claim("The figures are the paper's.", why, None), deeper, bilinear
    off = {
        cell: abs(found.table[EQ3, *cell].mean - mean) / std for cell, (mean, std) in PAPER.items()
    }
    layer, method = max(off, key=lambda cell: off[cell])
    text = "The means are the paper's, within a standard deviation over the images."
    seen = (
        f"the farthest, layer {layer} {method}, is {off[layer, method]:.2f} standard deviations off"
    )
    return Claim(text, seen, off[layer, method] <= 1), deeper, bilinear


def other_readings(found: Survey) -> Table:
    """Other ways to read eq. 3, because implementers ask."""
    readings = (EQ3, PER_FILTER, RAW_PIXELS, AFTER_RELU)
    layers = sorted({layer for _, layer, _ in found.table})
    rows = []
    for layer in layers:
        cells = [found.table.get((reading, layer, "bicubic")) for reading in readings]
        rows.append((str(layer), *(plus_minus((c.mean, c.std)) if c else "" for c in cells)))
    note = (
        "Bicubic unpooling. Each filter by itself: every map is mapped to [0, 1] by its own "
        "extremes (undefined for maps of one pixel). Raw pixels: the decoded filters see the image "
        "without the average subtracted. After the ReLU: both sides rectified, where one follows."
    )
    return Table("Appendix: other readings of eq. 3", ("layer", *readings), tuple(rows), note)


def filter_size(net: Network, layer: int) -> int:
    """Return how many weights a filter over a layer's receptive field has."""
    height, width = receptive_field(net, layer).size
    return net.channels[0] * height * width


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


def plus_minus(cell: tuple[float, float]) -> str:
    """Write a mean and a standard deviation."""
    return f"{cell[0]:.4f} ± {cell[1]:.4f}"
