"""Write what was measured into README.md, between its markers, and draw the pictures there.

`python benchmarks/report.py speed.json planner.json`: what `pytest benchmarks --benchmark-json` and
planner.py wrote. Without the latter, README.md's part about the planner stays as it is.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import planner_report
import speed_report

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speed", type=Path, help="what --benchmark-json wrote")
    parser.add_argument("planner", type=Path, nargs="?", help="what planner.py wrote")
    parser.add_argument("--readme", type=Path, default=HERE.parent / "README.md")
    parser.add_argument("--pictures", type=Path, default=HERE)
    options = parser.parse_args()
    insert("benchmarks", speed(options.speed, options.pictures), options.readme)
    if options.planner:
        insert("planner", planner(options.planner, options.pictures), options.readme)


def speed(path: Path, pictures: Path) -> str:
    """Write tables of ratios and bounds."""
    measured = json.loads(path.read_text(encoding="utf-8"))
    medians = speed_report.medians_of(measured["benchmarks"])
    if not speed_report.peers_of(medians):
        sys.exit(f"{path} has no task with a peer: install '.[peers]', measure again")
    speed_report.draw(medians, pictures / "ratios.png")
    parts = [
        speed_report.table(medians),
        speed_report.conditions(measured),
        f"![{speed_report.ALT}](benchmarks/ratios.png)",
        speed_report.bounds(measured["benchmarks"]),
    ]
    return "\n\n".join(filter(None, parts))


def planner(path: Path, pictures: Path) -> str:
    """Write how good plans are; costs are drawn by cost_curves.py."""
    found = json.loads(path.read_text(encoding="utf-8"))
    planner_report.draw(found, pictures / "planner.png")
    parts = [
        planner_report.table(found),
        "\n".join(planner_report.concerns(found["cases"])[:3]),
        found["conditions"],
        f"![{planner_report.ALT}](benchmarks/planner.png)",
        f"![{planner_report.CURVES}](benchmarks/cost_curves.png)",
    ]
    return "\n\n".join(filter(None, parts))


def insert(name: str, text: str, readme: Path) -> None:
    """Put text between the markers of a name."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    page = readme.read_text(encoding="utf-8")
    marked = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not marked.search(page):
        sys.exit(f"{readme} has no lines {begin} and {end} to write between")
    page = marked.sub(lambda _: f"{begin}\n{text}\n{end}", page, count=1)
    readme.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
