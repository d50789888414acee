"""Somebody's own network in a kit: its file, what is asked about it, and what is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fdref.conformance.case import Case
from fdref.conformance.cases import in_order
from fdref.conformance.cases.model import answered, listed, questions
from fdref.conformance.examination import no_bar
from fdref.errors import NetworkError
from fdref.layers import Conv, ConvTranspose, Unknown
from fdref.network.graph import Network
from fdref.weights.writing import matlab_bytes

if TYPE_CHECKING:
    from fdref.conformance.examination import Bar


@dataclass(frozen=True)
class Model:
    """What a kit has of somebody's own network."""

    data: bytes
    """of model.mat"""
    cases: tuple[Case, ...]
    left_out: tuple[str, ...]
    """what is not asked, and why: a line each"""


def model_of(net: Network, bar: Bar = no_bar) -> Model:
    """Ask about a network, and answer: the same about the same network each time.

    Layers of unknown type are left out, with what takes their maps.

    Parameters
    ----------
    net : Network
    bar : callable, optional
        Takes what is to be done and how much of it there is; gives a context, in which it is told
        how much more has been done.

    Raises
    ------
    NetworkError, ArgumentError
        If MatConvNet has no such layer, or there is nothing to ask: no layer with filters is known,
        or there are several inputs.

    Examples
    --------
    >>> import fdref
    >>> import numpy as np
    >>> edges = fdref.Conv(np.ones((2, 1, 3, 3), np.float32))
    >>> [case.id for case in model_of(fdref.Network([edges])).cases]
    ['forward-model', 'decode-model1-nearest', 'evaluate-model1-nearest']
    """
    if net.inputs > 1:
        raise NetworkError(
            f"the network has {net.inputs} inputs; expected one: a kit asks about images alone"
        )
    known, left_out = known_part(net)
    data = matlab_bytes(known)
    asked = questions(known)
    left_out += asked.left_out
    cases = []
    with bar("answering", sum(asked.work)) as advance:
        for question, work in zip(asked.cases, asked.work, strict=True):
            answer = answered(question, known)
            if isinstance(answer, Case):
                cases.append(answer)
            else:
                left_out.append(answer)
            advance(work)
    if not cases:
        raise NetworkError(f"there is nothing to ask: {'; '.join(left_out)}")
    return Model(data, tuple(in_order(cases)), tuple(left_out))


def known_part(net: Network) -> tuple[Network, list[str]]:
    """Return a network without layers of unknown type and above, and a line about these.

    Raises
    ------
    NetworkError
        If no filters are left.
    """
    known = {0}
    for number, layer in enumerate(net, 1):
        if not isinstance(layer, Unknown) and known.issuperset(net.takes[number]):
            known.add(number)
    kept, lost = sorted(known - {0}), sorted({*range(1, len(net) + 1)} - known)
    if not lost:
        return net, []
    unknown = net.describe(next(n for n in lost if isinstance(net[n], Unknown)))
    if not any(isinstance(net[n], Conv | ConvTranspose) for n in kept):
        raise NetworkError(
            f"{unknown} is of a type that fdref does not know, and no layer with filters is below: "
            "there is nothing to ask"
        )
    places = {number: place for place, number in enumerate([0, *kept])}
    parts = net.parts() | {
        "layers": [net[n] for n in kept],
        "wiring": {places[n]: [places[below] for below in net.takes[n]] for n in kept},
    }
    layers = f"layer{'s' * (len(lost) > 1)} {listed(lost)}"
    line = f"written without {layers}: {unknown} is of a type that fdref does not know"
    if kept[-1] > len(kept):
        line += "; the others are counted anew"
    return Network(**parts), [line]
