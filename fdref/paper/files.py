"""The files of a reproduction: a report, its table for programs, its figures and its numbers."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from fdref.drawing.canvas import encoded, for_dark_pages_too
from fdref.paper.report import page
from fdref.paper.table1 import Row
from fdref.weights.hdf5 import import_h5py

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fdref.paper.exhibit import Exhibit
    from fdref.paper.reproduction import Reproduction

TITLE = "Filter decoding with substitution: the paper's table and figures, recomputed"

WRITTEN_LAST = {
    "figure5": 1, "figure7": 2, "nonlinearities": 3,
    "decoded_filter": 4, "zeiler_fergus": 5, "occlusion": 6, "inversion": 7, "textures": 8,
}  # fmt: skip
"""Whose numbers come at the end of report.h5, as in its first version: the same to the byte."""


def files_of(
    result: Reproduction, facts: Mapping[str, str], progress: Callable[[int], object]
) -> dict[str, bytes]:
    """Return all files by their names; progress is told after each figure."""
    figures: dict[str, dict[str, bytes]] = {}
    for exhibit in result.exhibits:
        if exhibit.draw is not None:
            figures[exhibit.stem] = encoded(exhibit.draw())
            progress(1)
    table = [row._asdict() for row in result.table]
    text = io.StringIO(newline="")
    rows = csv.DictWriter(text, Row._fields, lineterminator="\n")
    rows.writeheader()
    rows.writerows(table)
    pictures = {stem: for_dark_pages_too(kinds["svg"]) for stem, kinds in figures.items()}
    return {
        f"{stem}.{kind}": data for stem, kinds in figures.items() for kind, data in kinds.items()
    } | {
        "report.h5": numbers_of(result.exhibits, facts),
        "table1.json": f"{json.dumps(table, indent=1, allow_nan=False)}\n".encode(),
        "table1.csv": text.getvalue().encode(),
        "report.html": page(TITLE, facts, result.exhibits, pictures).encode(),
    }


def numbers_of(exhibits: Sequence[Exhibit], facts: Mapping[str, str]) -> bytes:
    """Return the HDF5 file of the numbers behind table and figures."""
    buffer = io.BytesIO()
    with import_h5py().File(buffer, "w") as file:
        file.attrs.update(facts)
        for exhibit in sorted(exhibits, key=lambda one: WRITTEN_LAST.get(one.stem, 0)):
            for name, values in exhibit.numbers.items():
                file.create_dataset(f"{exhibit.stem}/{name}", data=values)
    return buffer.getvalue()
