"""Write what was measured into README.md and docs/measuring.md, and draw the pictures there.

`python benchmarks/report.py speed.json planner.json`: what `pytest benchmarks --benchmark-json` and
planner.py wrote. The former goes between README.md's markers, the latter, where it is given,
between those of docs/measuring.md.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import planner_report
import speed_report
import trust

HERE = Path(__file__).parent
BUSY = "the machine was busy with other work while this was measured: measure again"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speed", type=Path, help="what --benchmark-json wrote")
    parser.add_argument("planner", type=Path, nargs="?", help="what planner.py wrote")
    parser.add_argument("--readme", type=Path, default=HERE.parent / "README.md")
    parser.add_argument("--measuring", type=Path, default=HERE.parent / "docs" / "measuring.md")
    parser.add_argument("--pictures", type=Path, default=HERE)
    options = parser.parse_args()
    measured = {"benchmarks": read(options.speed)}
    if options.planner:
        measured["planner"] = read(options.planner)
    paths = {"benchmarks": options.readme, "planner": options.measuring}
    pages = {  # all that can be refused, before anything is written
        paths[name]: inserted(name, PARTS[name](found), paths[name])
        for name, found in measured.items()
    }
    speed_report.draw(
        speed_report.medians_of(measured["benchmarks"]["benchmarks"]),
        options.pictures / "ratios.png",
    )
    if options.planner:
        planner_report.draw(measured["planner"], options.pictures / "planner.png")
    for path, page in pages.items():
        path.write_text(page, encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Read what was measured."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"{path} cannot be read: {error}")
    return found


def speed(measured: dict[str, Any]) -> str:
    """Write tables of ratios and bounds."""
    benchmarks = measured["benchmarks"]
    medians = speed_report.medians_of(benchmarks)
    if not speed_report.peers_of(medians):
        sys.exit("there is no task with a peer: install '.[peers]', measure again")
    if trust.too_busy(benchmarks):
        sys.exit(f"{BUSY} (more than {trust.FEW:.0%} of the times)")
    parts = [
        speed_report.table(medians, speed_report.unsure_of(benchmarks)),
        speed_report.conditions(measured),
        f"![{speed_report.ALT}](benchmarks/ratios.png)",
        speed_report.bounds(benchmarks),
    ]
    return "\n\n".join(filter(None, parts))


def planner(found: dict[str, Any]) -> str:
    """Write how good plans are; costs are drawn by cost_curves.py."""
    if trust.contended(found["others"], found["processors"]):
        told = f"{found['others']:.1f} of {found['processors']} processors"
        sys.exit(f"{BUSY} ({told})")
    parts = [
        planner_report.table(found),
        "\n".join(planner_report.concerns(found["cases"])[:3]),
        found["conditions"],
        f"![{planner_report.ALT}](../benchmarks/planner.png)",
        f"![{planner_report.CURVES}](../benchmarks/cost_curves.png)",
    ]
    return "\n\n".join(filter(None, parts))


PARTS = {"benchmarks": speed, "planner": planner}


def inserted(name: str, text: str, path: Path) -> str:
    """Put text between a page's markers of a name, unless a number that stands there would go."""
    page = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    marked = re.compile(f"{re.escape(begin)}(.*?){re.escape(end)}", re.DOTALL)
    old = marked.search(page)
    if not old:
        sys.exit(f"{path.name} has no lines {begin} and {end} to write between")
    lost = sorted({row for row, _ in cells(old[1]) - cells(text)})
    if lost:
        sys.exit(
            f"{len(lost)} rows of {path.name}'s {name} would lose numbers, first {lost[0]!r}: "
            "measure everything, with every peer; rows that are to go are first deleted there"
        )
    return marked.sub(lambda _: f"{begin}\n{text}\n{end}", page, count=1)


def cells(text: str) -> set[tuple[str, str]]:
    """Return row and column of what tables hold; numbers in titles are not the same each time."""
    found: set[tuple[str, str]] = set()
    for table in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.split("|")] for line in table.splitlines())
        for row in rows:
            title = re.sub(r"\d[\d.,e+]*", "#", row[1])
            found |= {(title, column) for column, cell in zip(head, row, strict=True) if cell}
    return found


if __name__ == "__main__":
    main()
