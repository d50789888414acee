"""`fdref check`: is an implementation right, and if not, what does it do."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fdref.commands.messages import add_quiet, discard, printable, tell
from fdref.commands.places import (
    add_json,
    check_places,
    is_standard_output,
    write_json,
    write_to,
)
from fdref.commands.progress import progress_bar
from fdref.conformance.part import PROFILES, part_of
from fdref.engines import name_of
from fdref.errors import ArgumentError
from fdref.imports import imported

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from fdref.conformance.case import Case
    from fdref.conformance.comparison import Answer
    from fdref.conformance.examination import Report
    from fdref.conformance.kit import Kit
    from fdref.engines import Engine

DIFFERS = 1
"""The exit status where a case failed or is missing."""


DESCRIPTION = (
    "Compare RESULTS with what a conformance kit expects, and name the mistakes behind what is "
    "wrong. Exit status 0: it conforms in what was asked; 1: a case failed or is missing, or none "
    "passes; 2: bad usage or bad input."
)

WRITTEN = ("json", "html", "junit", "badge")
"""Options that name a file to be written."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "check",
        help="judge an implementation by its results for a conformance kit",
        description=DESCRIPTION,
    )
    parser.add_argument("kit", metavar="KIT", type=Path, help="the folder that `fdref kit` wrote")
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all but the kit, which the script in a kit knows."""
    add = parser.add_argument
    add(
        "results",
        metavar="RESULTS",
        type=Path,
        nargs="?",
        help="a folder with ID.npz, ID.h5 or ID.mat for each case",
    )
    add("--engine", choices=("compiled", "reference"), help="judge fdref itself, without RESULTS")
    add("--profile", choices=tuple(PROFILES), help="judge the operations of a part alone")
    add(
        "--only",
        metavar="WHAT",
        action="append",
        default=[],
        help="judge some cases alone: an operation, an ID, a section, or a pattern of these; can "
        "be given several times",
    )
    add("--subject", metavar="TEXT", help='what is judged, for the report, such as "mine 1.2"')
    add_json(parser)
    add("--html", metavar="FILE", help="write the report as a page with pictures, too")
    add("--junit", metavar="FILE", help="write it as JUnit XML, too")
    add("--badge", metavar="FILE", help="draw a badge, an SVG file, too")
    add("--github", action="store_true", help="annotate what a GitHub workflow shows, too")
    add("--xfail", metavar="FILE", type=Path, help="IDs of cases that may fail, one a line  # why")
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Judge, write the files that were asked for, then tell."""
    if (options.results is None) == (options.engine is None):
        raise ArgumentError("expected either RESULTS or --engine (see fdref check --help)")
    places = {f"--{name}": getattr(options, name) for name in WRITTEN}
    check_places(places, read(options))
    # What follows is imported only where it is used, so that --help is quick.
    from fdref.conformance.kit import read_kit  # noqa: PLC0415
    from fdref.conformance.report import text  # noqa: PLC0415

    report = examination(read_kit(options.kit), options)
    try:
        try:
            write(report, options)
        finally:  # if the disk is full, the verdict is not lost, too
            tell(options, told(text(report), options))
            annotate(report, options)
    except BrokenPipeError:  # whoever reads has seen enough; the status still tells
        discard(sys.stdout)
    if not report.conforms:
        sys.exit(DIFFERS)


def told(report: str, options: argparse.Namespace) -> str:
    """Return a report as the terminal may have it, or a runner that looks for commands in it."""
    lines = "\n".join(printable(line) for line in report.splitlines())
    if options.github:
        from fdref.conformance.annotations import shielded  # noqa: PLC0415

        return shielded(lines)
    return lines


def annotate(report: Report, options: argparse.Namespace) -> None:
    """Tell GitHub's runner; on standard error, which it reads, too, where the other is taken."""
    if options.github:
        from fdref.conformance.annotations import runner_commands  # noqa: PLC0415

        taken = any(place and is_standard_output(place) for place in written(options))
        stream = sys.stderr if taken else sys.stdout
        print("\n".join(map(printable, runner_commands(report))), file=stream, flush=True)


def written(options: argparse.Namespace) -> list[str | None]:
    """Return the names of the files to be written; None for those that nobody asked for."""
    return [getattr(options, name) for name in WRITTEN]


def read(options: argparse.Namespace) -> Iterator[Path]:
    """Yield the files that are read."""
    for folder in filter(None, (options.kit, options.results)):
        yield from (path for pattern in ("*", "*/*") for path in folder.glob(pattern))
    if options.xfail is not None:
        yield options.xfail


def examination(kit: Kit, options: argparse.Namespace) -> Report:
    """Judge results or one of our own engines, by the cases that were asked for."""
    from fdref.conformance.examination import Circumstances, examine  # noqa: PLC0415
    from fdref.conformance.expectations import read_excuses  # noqa: PLC0415
    from fdref.conformance.results import Results, read_results, today  # noqa: PLC0415

    name, cases = part_of(kit.cases, options.only, options.profile)
    excuses = {}
    if options.xfail is not None:
        excuses = read_excuses(options.xfail, [case.id for case in kit.cases])
    results = Results({})
    if options.engine is None:
        results = read_results(options.results, kit, cases)

    def answer(case: Case) -> Answer:
        if options.engine is None:
            return results.answers.get(case.id)
        return own(case, options.engine, options.kit)

    default = f"the results in {options.results}"
    if options.engine is not None:
        default = f"fdref's {name_of(options.engine)} engine"
    return examine(
        options.subject or default,
        kit.version,
        cases,
        answer,
        options.kit,
        excuses,
        results.strays,
        partial(progress_bar, quiet=options.quiet),
        Circumstances(name, kit.specification, kit.manifest, today(), results.days, kit.warnings),
    )


def own(case: Case, engine: Engine | str, folder: Path) -> Answer:
    """Compute a case ourselves."""
    from fdref.conformance.comparison import Problem  # noqa: PLC0415
    from fdref.conformance.compute import compute  # noqa: PLC0415

    try:
        return compute(case, engine, folder)
    except (MemoryError, ImportError):  # not the engine's fault
        raise
    except Exception as error:  # noqa: BLE001 - an engine that is broken is what this looks for
        return Problem(f"raised {type(error).__name__}: {error}")


def write(report: Report, options: argparse.Namespace) -> None:
    """Write the files that were asked for, each wholly or not at all."""
    if options.json is not None:
        from fdref.conformance.report import as_json  # noqa: PLC0415

        write_json(options.json, as_json(report))
    if options.html is not None:
        html = imported("fdref.conformance.html", "pages take Pillow and Jinja2")
        write_to(options.html, html.page(report).encode())
    if options.junit is not None:
        from fdref.conformance.junit import junit  # noqa: PLC0415

        write_to(options.junit, junit(report))
    if options.badge is not None:
        from fdref.conformance.badge import badge  # noqa: PLC0415

        write_to(options.badge, badge(report))
