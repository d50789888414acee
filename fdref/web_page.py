"""One HTML page that needs nothing else: no script, no style, no network."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

STYLE = """
:root {
  --ink: #1c1c1a; --soft: #5c5c57; --rule: #d9d8d2; --paper: #fff; --link: #1f4e8c;
  --yes: #1b6b3a; --no: #b3261e; --moot: #6b6455;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e5e0; --soft: #a5a49d; --rule: #3d3d3a; --paper: #191918; --link: #8db8f0;
    --yes: #7ccf97; --no: #ff9087; --moot: #b9b2a2;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 3rem 1.25rem 5rem; max-width: 62rem;
  background: var(--paper); color: var(--ink); overflow-wrap: break-word;
  font: 1.0625rem/1.55 Charter, "Bitstream Charter", "Iowan Old Style", "Palatino Linotype",
    Palatino, Georgia, "DejaVu Serif", serif;
}
h1, h2, strong, table, dt, dd, figcaption, .note {
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
    "DejaVu Sans", sans-serif;
}
h1 { margin: 0 0 1rem; font-size: 1.9rem; line-height: 1.2; letter-spacing: -.015em; }
h2 { margin: 0 0 1rem; font-size: 1.3rem; line-height: 1.3; letter-spacing: -.01em; }
p { margin: 0 0 .75rem; max-width: 44rem; }
a { color: var(--link); text-decoration-thickness: 1px; text-underline-offset: .15em; }
section { margin-top: 3rem; padding-top: 2rem; border-top: 1px solid var(--rule); }
.yes { color: var(--yes); } .no { color: var(--no); } .moot { color: var(--moot); }
.sum { font-size: 1.2rem; }
.sum span { font-weight: bold; }

.wide { margin: 1.5rem 0 .75rem; overflow-x: auto; }
table {
  border-collapse: collapse; font-size: .875rem; line-height: 1.4;
  font-variant-numeric: tabular-nums lining-nums;
}
caption { padding-bottom: .5rem; font-weight: 600; text-align: left; }
th, td { padding: .35rem 1.5rem .35rem 0; text-align: left; vertical-align: baseline; }
td { white-space: nowrap; }
th { font-weight: 400; }
thead th { color: var(--soft); border-bottom: 1px solid var(--ink); vertical-align: bottom; }
tbody tr + tr > * { border-top: 1px solid var(--rule); }
tr > :last-child { padding-right: 0; }
.note { font-size: .8125rem; line-height: 1.5; color: var(--soft); }

.facts { margin: 1.75rem 0 0; font-size: .8125rem; line-height: 1.5; }
.facts div { display: flex; gap: 1rem; padding: .1rem 0; }
.facts dt { flex: 0 0 6rem; color: var(--soft); }
.facts dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }

figure { margin: 0 0 1.5rem; }
img { display: block; max-width: 100%; height: auto; background: #fff; color: #000; }
figcaption {
  margin-top: .75rem; max-width: 50rem; font-size: .875rem; line-height: 1.5;
  color: var(--soft);
}

:target { background: color-mix(in srgb, var(--link) 9%, transparent); }

@media (max-width: 36rem) {
  body { padding-top: 1.5rem; font-size: 1rem; }
  h1 { font-size: 1.5rem; }
  .facts div { display: block; padding: .25rem 0; }
}
@media print {
  @page { margin: 18mm 16mm; }
  :root {
    --ink: #000; --soft: #333; --rule: #bbb; --paper: #fff; --link: #000;
    --yes: #0d4a24; --no: #8c1710; --moot: #444; color-scheme: light;
  }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  section { margin-top: 1.5rem; padding-top: 1rem; }
  h1, h2 { break-after: avoid; }
  figure, tr, dl div { break-inside: avoid; }
  img { max-height: 185mm; max-width: 100%; width: auto; height: auto; }
  .wide { overflow: visible; }
  table { font-size: 8.5pt; }
  a { text-decoration: none; }
  :target { background: none; }
}
"""


def document(title: str, body: Iterable[str], style: str) -> str:
    """Set lines of HTML as a document with a title and, after `STYLE`, a style of its own.

    Examples
    --------
    >>> document("A & B", ["<p>Text.</p>"], "p { margin: 0; }").count("<title>A &amp; B</title>")
    1
    """
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<link rel="icon" href="data:,">',  # or browsers ask a server for one
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}{style}</style>\n</head>\n<body>",
            *body,
            "</body>\n</html>\n",
        ]
    )


def facts(pairs: Mapping[str, str]) -> Iterator[str]:
    """Set names and values."""
    yield '<dl class="facts">'
    for name, value in pairs.items():
        yield f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
    yield "</dl>"
