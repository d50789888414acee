"""What `fdref decode` tells, as tables for people and as values for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fdref
from fdref.commands.info import by
from fdref.commands.messages import LONGEST_NAME, printable
from fdref.drawing.text_table import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fdref.decoding.blocks import Plan
    from fdref.decoding.contents import Job
    from fdref.decoding.costs import Way
    from fdref.decoding.decoded_file import Bank
    from fdref.network.graph import Network

    Decoded = Sequence[tuple[Job, Bank, str]]
    """Layers and the files of their pictures, '' where none was drawn."""

COLUMNS = ("layer", "filters", "pixels", "smallest", "largest", "seconds", "dataset", "picture")
PLANNED = ("layer", "filters", "way", "multiply-adds", "memory", "seconds", "")


def decoded_table(decoded: Decoded, *, written: bool = True) -> str:
    """Say what was decoded, and into which dataset it was written."""
    rows = [
        (
            printable(job.label, LONGEST_NAME),
            str(bank.done),
            f"{bank.shape[1]} x {by(bank.shape[2:])}",
            f"{bank.smallest:.4g}",
            f"{bank.largest:.4g}",
            f"{bank.seconds:.3f}",
            job.stem if written else "",
            picture,
        )
        for job, bank, picture in decoded
    ]
    return table(COLUMNS, rows)


def decoded_json(
    net: Network, facts: Mapping[str, Any], path: str | None, decoded: Decoded
) -> dict[str, Any]:
    """Say what was decoded, and into which file, if any; docs/files.md documents the keys."""
    return {
        "fdref": fdref.__version__,
        **_asked(facts),
        "file": path,
        "layers": [
            {
                "number": job.number,
                "name": net[job.number].name,
                "filters": list(job.filters),
                "shape": bank.shape,
                "smallest": bank.smallest,
                "largest": bank.largest,
                "seconds": bank.seconds,
                "dataset": None if path is None else job.stem,
                "picture": picture or None,
            }
            for job, bank, picture in decoded
        ],
    }


def plan_table(net: Network, plan: Plan) -> str:
    """Show every way to each layer's filters, and which are taken."""
    rows = [
        (
            printable(net.describe(way.layer), LONGEST_NAME),
            str(way.filters),
            f"{way.kind}{f', meets layer {way.boundary}' if way.boundary else ''}",
            f"{way.cost.multiplied:.3g}",
            f"{way.memory / 2**20:.1f} MiB",
            f"{way.seconds:.4f}",
            "taken" if way in plan.choice.ways else "",
        )
        for way in _ways(plan)
    ]
    seconds = f"estimated for the compiled engine on two cores: {plan.choice.seconds:.4f} s"
    return f"{table(PLANNED, rows)}\n{seconds}"


def plan_json(net: Network, facts: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Show the same to programs; docs/files.md documents the keys."""
    return {
        "fdref": fdref.__version__,
        **_asked(facts),
        "memory": plan.choice.memory,
        "seconds": plan.choice.seconds,
        "ways": [
            {
                "layer": way.layer,
                "name": net[way.layer].name,
                "filters": way.filters,
                "way": way.kind,
                "meets": way.boundary or None,
                "multiply_adds": way.cost.multiplied,
                "memory": way.memory,
                "seconds": way.seconds,
                "taken": way in plan.choice.ways,
            }
            for way in _ways(plan)
        ],
    }


def _asked(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: facts[key] for key in ("method", "unpool", "engine", "model", "model_sha256")}


def _ways(plan: Plan) -> list[Way]:
    considered = plan.considered()
    others = [way for way in plan.choice.ways if way not in considered]
    return sorted([*considered, *others], key=lambda way: way.layer)
