"""A report as one page that needs nothing else, to be read at a glance."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

import fdref
from fdref import web_page
from fdref.conformance.comparison import Outcome
from fdref.conformance.report import describe, verdict_on
from fdref.conformance.slices import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fdref.conformance.case import Tolerance
    from fdref.conformance.comparison import Difference, Verdict
    from fdref.conformance.examination import Coverage, Report
    from fdref.conformance.slices import Picture

MARKS = {
    Outcome.PASS: ("pass", "✓"),
    Outcome.FAIL: ("fail", "✕"),
    Outcome.NOT_ATTEMPTED: ("open", "·"),
    Outcome.EXPECTED_FAILURE: ("known", "✕"),
    Outcome.UNEXPECTEDLY_PASSED: ("odd", "!"),
}
"""The class of an outcome in `STYLE`, and a sign for whoever does not see the colour."""

SIDE = 168
"""Pixels of the screen that a picture's longer side may have."""

STYLE = """
:root { --pass: #cfe9d6; --fail: #b3261e; --known: #f3d9a4; --odd: #6d4fc2; --open: transparent; }
@media (prefers-color-scheme: dark) {
  :root { --pass: #23452f; --fail: #d9453b; --known: #5d4718; --odd: #8d74dc; }
}
.sum { font-weight: bold; }
.mark {
  display: inline-block; width: 1.45rem; height: 1.45rem; margin: 1px; border-radius: .2rem;
  border: 1px solid transparent; text-align: center; text-decoration: none;
  font: 600 .8125rem/1.4rem system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  color: var(--ink); vertical-align: middle;
}
.mark.pass { background: var(--pass); color: var(--yes); }
.mark.fail { background: var(--fail); color: #fff; }
.mark.known { background: var(--known); }
.mark.odd { background: var(--odd); color: #fff; }
.mark.open { border-color: var(--rule); color: var(--soft); }
a.mark:hover, a.mark:focus { outline: 2px solid var(--link); outline-offset: 1px; }
.grid { width: 100%; }
.grid th:first-child { width: 12rem; white-space: nowrap; }
.grid td { white-space: normal; }
.grid tr > :last-child { width: 6rem; text-align: right; white-space: nowrap; }
.grid .all { color: var(--yes); } .grid .some { color: var(--no); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .5rem 0 0; padding: 0; }
.legend li { list-style: none; font-size: .8125rem; color: var(--soft); }
.causes { padding: 0; margin: 0; list-style: none; max-width: 50rem; }
.causes li { padding: .75rem 0 .75rem 1rem; border-left: 4px solid var(--fail); }
.causes li + li { margin-top: 1rem; }
.causes p { margin: 0; max-width: none; }
.causes .note { margin-top: .3rem; }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
article {
  margin: 1.5rem 0 0; padding: 1.25rem 0 0; border-top: 1px solid var(--rule);
  scroll-margin-top: 1rem;
}
h2 + article { border-top: 0; padding-top: 0; }
h3 {
  margin: 0 0 .35rem; font: 600 1rem/1.4 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h3 .mark { margin-right: .5rem; }
h3 small { font-weight: 400; color: var(--soft); margin-left: .5rem; }
article p { margin: 0 0 .35rem; max-width: none; }
article .worst { font-family: system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
article .worst { font-size: .9375rem; font-variant-numeric: tabular-nums; }
.stages { display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin: .5rem 0; padding: 0; }
.stages li { list-style: none; font-size: .8125rem; }
.stages .mark { width: 1.1rem; height: 1.1rem; font-size: .6875rem; line-height: 1rem; }
.three { display: flex; flex-wrap: wrap; gap: 1rem 1.75rem; margin: .85rem 0 0; }
.three figure { margin: 0; }
.three img { image-rendering: pixelated; outline: 1px solid var(--rule); max-width: none; }
.three figcaption { margin-top: .4rem; font-size: .75rem; line-height: 1.4; }
.three figcaption b { display: block; color: var(--ink); }
details { margin-top: 1rem; }
summary { cursor: pointer; color: var(--link); }
@media print { article { break-inside: avoid; } .mark { print-color-adjust: exact; } }
"""


def page(report: Report) -> str:
    """Set a report as one HTML document, the same for the same input."""
    title = f"Conformance of {report.subject}"
    known = {
        "Kit": f"written by fdref {report.kit}, {len(report.verdicts)} cases",
        "Judged by": f"fdref {fdref.__version__}",
    }
    verdict = verdict_on(report)
    body = [
        f"<header>\n<h1>{escape(title)}</h1>",
        f'<p class="sum {"yes" if report.conforms else "no"}">{_sentence(verdict)}</p>',
        *web_page.facts(known),
        "</header>\n<main>",
        *_causes(report),
        *_grid(report),
        *_strays(report),
        *_articles(report),
        *_everything(report),
        "</main>",
    ]
    return web_page.document(title, body, STYLE)


def _sentence(text: str) -> str:
    return escape(f"{text[0].upper()}{text[1:]}.")


def _causes(report: Report) -> Iterator[str]:
    """Say what the implementation does that it should not, above all else."""
    if not report.explanations and not report.unexplained():
        return
    yield '<section id="diagnosis">\n<h2>Diagnosis</h2>'
    yield '<ul class="causes">'
    for found in report.causes():
        yield f"<li><p><strong>{escape(found.mistake.name)}</strong></p>"
        yield f"<p>{escape(found.mistake.sentence)}</p>"
        left = f"; not of {_links(found.leaves)}" if found.leaves else ""
        yield f'<p class="note">Gives the result of {_links(found.explains)}{left}.</p></li>'
    if report.unexplained():
        yield "<li><p>No mistake known to the kit gives the result of these cases.</p>"
        yield f'<p class="note">{_links(report.unexplained())}</p></li>'
    yield "</ul>\n</section>"


def _links(names: Sequence[str]) -> str:
    return ", ".join(f'<a href="#case-{escape(name)}">{escape(name)}</a>' for name in names)


def _grid(report: Report) -> Iterator[str]:
    """Show every case as a small square."""
    yield '<section id="coverage">\n<h2>Every case, by operation</h2>'
    yield '<div class="wide"><table class="grid">\n<thead><tr><th scope="col">Operation</th>'
    yield '<th scope="col">Cases</th><th scope="col">Passed</th></tr></thead>\n<tbody>'
    for row in report.coverage():
        passed, count = row.count(Outcome.PASS), len(row.verdicts)
        colour = "all" if passed == count else "some"
        yield f'<tr><th scope="row">{_heading(row)}</th>'
        yield f"<td>{''.join(map(_cell, row.verdicts))}</td>"
        yield f'<td class="{colour}">{passed} of {count}</td></tr>'
    yield "</tbody>\n</table></div>"
    yield '<ul class="legend">'
    for outcome in Outcome:
        if report.count(outcome):
            yield f"<li>{_mark(outcome)} {outcome}</li>"
    yield "</ul>\n</section>"


def _heading(row: Coverage) -> str:
    return f'{row.operation} <span class="note">{escape(", ".join(row.sections))}</span>'


def _cell(verdict: Verdict) -> str:
    """Show one case; what there is more to say of is a link."""
    colour, sign = MARKS[verdict.outcome]
    case = verdict.case
    label = escape(f"{case.id}, {verdict.outcome}: {case.about}")
    if not verdict.failed:
        told = f'role="img" aria-label="{label}" title="{label}"'
        return f'<span class="mark {colour}" {told}>{sign}</span>'
    told = f'href="#case-{escape(case.id)}" aria-label="{label}" title="{label}"'
    return f'<a class="mark {colour}" {told}>{sign}</a>'


def _mark(outcome: Outcome) -> str:
    colour, sign = MARKS[outcome]
    return f'<span class="mark {colour}" aria-hidden="true">{sign}</span>'


def _strays(report: Report) -> Iterator[str]:
    if report.strays:
        yield '<section id="strays">\n<h2>Files that were not judged</h2>\n<ul>'
        yield from (f"<li>{escape(stray)}</li>" for stray in report.strays)
        yield "</ul>\n</section>"


def _articles(report: Report) -> Iterator[str]:
    """Tell everything about the cases that failed."""
    failed = [verdict for verdict in report.verdicts if verdict.failed]
    if not failed:
        return
    yield '<section id="failures">\n<h2>What differs</h2>'
    for verdict in failed:
        yield from _article(report, verdict)
    yield "</section>"


def _article(report: Report, verdict: Verdict) -> Iterator[str]:
    case = verdict.case
    yield f'<article id="case-{escape(case.id)}">'
    yield f"<h3>{_mark(verdict.outcome)}{escape(case.id)} "
    yield f"<small>{case.operation}, section {escape(case.section)}</small></h3>"
    yield f"<p>{escape(case.about)}</p>"
    if verdict.excuse is not None:
        yield f'<p class="note">Expected to fail: {escape(verdict.excuse or "no reason given")}</p>'
    if verdict.problem:
        yield f'<p class="worst no">{escape(verdict.problem)}</p>'
    if len(case.expected) > 1 and verdict.differences:
        yield from _stages(verdict)
    for difference in verdict.differences[:1]:
        lines = "<br>".join(map(escape, describe(difference)))
        yield f'<p class="worst">{lines}</p>'
        if difference.numbers is not None:
            allowed = _allowed(case.tolerance.of(difference.output))
            yield f'<p class="note">{escape(allowed)}</p>'
    names = ", ".join(
        f"<strong>{escape(one.name)}</strong>" for one in report.mistakes.get(case.id, ())
    )
    if names:
        yield f'<p class="note">The result of: {names}</p>'
    for difference in verdict.differences[:1]:
        yield from _figures(verdict, difference)
    yield "</article>"


def _allowed(tolerance: Tolerance) -> str:
    if not tolerance.rtol and not tolerance.atol:
        return f"Must be the same bit for bit: {tolerance.reason}."
    parts = [f"{tolerance.atol:.3g}"] if tolerance.atol else []
    parts += [f"{tolerance.rtol:.3g} × |expected|"] if tolerance.rtol else []
    return f"Allowed is an error of {' + '.join(parts)}: {tolerance.reason}."


def _stages(verdict: Verdict) -> Iterator[str]:
    """Show which outputs are right."""
    wrong = {difference.output for difference in verdict.differences}
    yield '<ul class="stages">'
    for name in verdict.case.expected:
        outcome = Outcome.FAIL if name in wrong else Outcome.PASS
        first = " differs first" if name == verdict.differences[0].output else ""
        yield f"<li>{_mark(outcome)} {escape(name)}{first}</li>"
    yield "</ul>"


def _figures(verdict: Verdict, difference: Difference) -> Iterator[str]:
    drawn = pictures(verdict, difference)
    if not drawn or difference.numbers is None:
        return
    place = "".join(f"[{index}]" for index in difference.numbers.index[:-2])
    yield '<div class="three">'
    for picture in drawn:
        yield _figure(picture, f"{picture.title}: {difference.output}{place}")
    yield "</div>"


def _figure(picture: Picture, alt: str) -> str:
    """Embed a picture, enlarged by a whole number."""
    height, width = picture.colours.shape[:2]
    zoom = max(1, SIDE // max(height, width))
    source = f"data:image/png;base64,{b64encode(picture.png()).decode()}"
    return (
        f'<figure><img src="{source}" width="{width * zoom}" height="{height * zoom}" '
        f'alt="{escape(alt)}"><figcaption><b>{escape(alt)}</b> {height}×{width}, '
        f"{escape(picture.scale)}</figcaption></figure>"
    )


def _everything(report: Report) -> Iterator[str]:
    """List all cases, folded up."""
    yield '<section id="cases">\n<h2>All cases in words</h2>\n<details>'
    yield f"<summary>{len(report.verdicts)} cases and what they are about</summary>"
    yield '<div class="wide"><table>\n<thead><tr><th scope="col">Case</th>'
    yield '<th scope="col">Outcome</th><th scope="col">About</th></tr></thead>\n<tbody>'
    for verdict in report.verdicts:
        case = verdict.case
        yield f'<tr><th scope="row">{escape(case.id)}</th><td>{_mark(verdict.outcome)} '
        yield f"{verdict.outcome}</td><td>{escape(case.about)}</td></tr>"
    yield "</tbody>\n</table></div>\n</details>\n</section>"
