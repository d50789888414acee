"""Cases of somebody's own network, end to end; its weights are the file in the kit's folder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.cases.choice import (
    DECODED,
    MOST_FORWARD,
    MOST_NUMBERS,
    candidates,
    decoded,
    evaluated,
    fitting,
    image_size,
    methods,
    spread,
    work_up,
)
from fdref.conformance.cases.disturbed import tolerance_of
from fdref.conformance.cases.making import refused, settled
from fdref.conformance.compute import Library
from fdref.conformance.networks import MODEL
from fdref.errors import FdrefError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fdref.conformance.case import Case
    from fdref.conformance.cases.choice import Decoded
    from fdref.engines.resize import Method
    from fdref.geometry import Pair
    from fdref.network.graph import Network

SECTION = "9"
"""Of SPECIFICATION.md."""
EVALUATED: tuple[Method, ...] = ("bicubic", "nearest")
"""The unpoolings by which layers are evaluated, each another one."""
IMAGES = 2
"""On which a layer is evaluated; the first goes through all layers."""
SEED = 901


@dataclass
class Questions:
    """What is asked about a network, and what is not."""

    net: Network
    cases: list[Case] = field(default_factory=list)
    """without their answers"""
    work: list[int] = field(default_factory=list)
    """what each takes to answer"""
    left_out: list[str] = field(default_factory=list)
    """what is not asked, and why: a line each"""

    def ask(self, id: str, about: str, inputs: Any, work: int, **given: Any) -> None:  # noqa: A002
        """Add a question."""
        network = {"file": MODEL}
        self.cases.append(refused(id, about, inputs, network=network, **given))
        self.work.append(work)


def questions(net: Network) -> Questions:
    """Choose what is asked about a network, within what a kit may take.

    Raises
    ------
    NetworkError
        If no image fits.
    """
    found = Questions(net)
    chosen = _decodings(found)
    size = image_size(net, [layer.number for layer in chosen])
    images = less_average(net, natural(SEED, (IMAGES, net.channels[0], *size)))
    sizes = net.map_sizes(size)
    _forward(found, images[:1], sizes)
    _evaluations(found, images, sizes)
    return found


def _decodings(found: Questions) -> list[Decoded]:
    """Ask for decoded filters of some layers."""
    net = found.net
    possible = {number: decoded(net, number) for number in candidates(net)}
    _leave_out(found, "no case decodes {}: too large, or of no single filter", [
        number for number, layer in possible.items() if layer is None
    ])  # fmt: skip
    layers = spread([layer for layer in possible.values() if layer is not None], DECODED)
    for layer in layers:
        given: dict[str, Any] = {"layer": layer.number, "filters": layer.filters}
        if len(layer.stages) < layer.of:
            given["stages"] = layer.stages
        filters = f"filter{'s' * (len(layer.filters) > 1)} {' and '.join(map(str, layer.filters))}"
        for method in methods(net, layer.number):
            found.ask(
                f"decode-model{layer.number}-{method}",
                f"{filters} of {net.describe(layer.number)}, {method}",
                {},
                layer.work,
                unpool=method,
                **given,
            )
    return layers


def _forward(found: Questions, images: NDArray[Any], sizes: Sequence[Pair]) -> None:
    """Ask for the maps of an image."""
    net, work = found.net, work_up(found.net, sizes)
    computed = [n for n in range(1, len(net) + 1) if work[n] <= MOST_FORWARD]
    numbers = [net.channels[n] * prod(sizes[n]) for n in computed]
    while numbers and numbers[-1] > MOST_NUMBERS:
        numbers.pop()
    asked = [computed[place] for place in fitting(numbers)] if numbers else []
    _leave_out(
        found,
        "forward-model leaves out the maps of {}: they take too much, or are too large together",
        [n for n in range(1, len(net) + 1) if n not in asked],
    )
    if asked:
        every = len(asked) == len(net)
        through = "every layer" if every else f"layers up to {asked[-1]}"
        about = f"an image of {sizes[0][0]}x{sizes[0][1]} through {through} of your network"
        given = {} if every else {"layers": asked}
        found.ask("forward-model", about, {"images": images}, work[asked[-1]], **given)


def _evaluations(found: Questions, images: NDArray[Any], sizes: Sequence[Pair]) -> None:
    """Ask how well some layers' responses are predicted."""
    net = found.net
    work = {n: evaluated(net, n, sizes, len(images)) for n in net.decodable}
    possible = [n for n in net.decodable if work[n]]
    above = [n for n in possible if n > net.decodable[0]]  # the first is predicted by itself
    for number, paired in zip(spread(above or possible, len(EVALUATED)), EVALUATED, strict=False):
        method = paired if paired in methods(net, number) else "nearest"
        found.ask(
            f"evaluate-model{number}-{method}",
            f"{net.describe(number)} on {len(images)} images, {method}",
            {"images": images},
            2 * work[number],
            layer=number,
            unpool=method,
        )
    if not possible:
        found.left_out.append("no case evaluates a layer: each would take too much")


def _leave_out(found: Questions, sentence: str, numbers: Sequence[int]) -> None:
    if numbers:
        layers = f"layer{'s' * (len(numbers) > 1)} {listed(numbers)}"
        found.left_out.append(sentence.format(layers))


def listed(numbers: Sequence[int]) -> str:
    """Write numbers that rise, as ranges.

    >>> listed([1, 2, 3, 5, 7, 8])
    '1-3, 5, 7, 8'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(parts)


def natural(seed: int, shape: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """Return pictures as rough as nature's, of whole numbers from 0 to 252: noise at four scales.

    They are the same on every machine.
    """
    random = np.random.RandomState(seed)
    height, width = shape[2:]
    pictures = np.zeros(shape, np.int64)
    for scale in (1, 2, 4, 8):
        small = (*shape[:2], -(-height // scale), -(-width // scale))
        blocks = random.randint(0, 64, small).repeat(scale, axis=2).repeat(scale, axis=3)
        pictures += blocks[:, :, :height, :width]
    return pictures.astype(np.float32)


def less_average(net: Network, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Subtract a network's average colour, in whole numbers, which no machine rounds otherwise."""
    if net.average is None:
        return pictures
    colour = np.rint(net.average.astype(np.float64).mean(axis=(1, 2)))
    return np.asarray(pictures - colour[:, None, None], np.float32)


def answered(case: Case, net: Network) -> Case | str:
    """Answer a question, with the tolerance that roundings need; or say why that cannot be."""
    library = Library("reference", model=net)
    with np.errstate(all="ignore"):
        try:
            found = library.outputs(case.operation, case.inputs, case.parameters)
        except FdrefError as error:
            return f"{case.id} is not asked: {error}"
        answer = {name: settled(values).astype(case.dtype) for name, values in found.items()}
        if not all(np.isfinite(values).all() for values in answer.values()):
            return f"{case.id} is not asked: not all of its numbers are finite in float32"
        case = replace(case, section=SECTION, expected=answer, refused=False)
        return replace(case, tolerance=tolerance_of(case, net))
