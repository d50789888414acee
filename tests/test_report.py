"""The report: one HTML page that is whole, the same each time, and asks nobody for anything."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from absence import absent
from html_checker import Checker
from report_sections import FACTS, NASTY, PICTURES, SECTIONS

from fdref.paper.exhibit import VERDICTS
from fdref.paper.report import page

if TYPE_CHECKING:
    from pathlib import Path


def report() -> str:
    return page("A report", FACTS, SECTIONS, PICTURES)


def test_tags_are_balanced_and_each_identifier_is_one_links_target():
    checker = Checker(report())
    assert checker.open == []
    identifiers = [given["id"] for _, given in checker.seen if "id" in given]
    assert len(identifiers) == len(set(identifiers))
    links = [given["href"] for given in checker.all("a")]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(identifiers)
    assert {f"section{i}" for i in range(1, 5)} <= {link.removeprefix("#") for link in links}


def test_what_a_reader_and_a_screen_reader_need_is_there():
    checker = Checker(report())
    assert checker.all("html") == [{"lang": "en"}]
    viewport = next(m["content"] for m in checker.all("meta") if m.get("name") == "viewport")
    assert "width=device-width" in viewport
    assert "maximum-scale" not in viewport
    assert len(checker.all("h1")) == 1
    assert len(checker.all("h2")) == len(SECTIONS)
    assert all(th["scope"] in ("row", "col") for th in checker.all("th"))
    (image,) = checker.all("img")
    assert (image["width"], image["height"], image["alt"]) == ("1500", "300", "Filters in a row")
    assert ("figcaption", "Filters.") in checker.texts


def test_every_verdict_is_a_word_and_counted():
    checker = Checker(report())
    words = [text for tag, text in checker.texts if tag == "strong"]
    assert words == ["holds", "does not hold", "does not apply", "holds", "holds"]
    said = " ".join(text for tag, text in checker.texts if tag == "span")
    assert said == "3 hold 1 does not hold 1 does not apply"
    assert set(words) == set(VERDICTS.values())


def test_what_was_measured_stands_beside_the_verdict():
    held = [text for _, text in Checker(report()).texts if "holds for" in text]
    assert held == ["deviations: 0.1; holds for at most 1"]


def test_text_is_escaped_everywhere():
    checker = Checker(report())
    assert not checker.all("script")
    # title, text, claim's two, the link in the summary, caption, head, cell, and a fact's two
    assert sum(text == NASTY for _, text in checker.texts) == 10
    assert any(given.get("aria-label") == NASTY for given in checker.all("div"))


def test_nothing_refers_to_a_network():
    text = report()
    for tag, given in Checker(text).seen:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            if tag != "a" and given.get(name):
                assert given[name].startswith("data:")
    assert not re.search(r"https?:|url\(|@import|//[a-z]", re.sub(r'"data:[^"]*"', "", text))


def test_the_same_input_gives_the_same_page():
    assert report() == report()


def test_a_report_without_claims_or_sections():
    assert Checker(page("Empty", {}, [], {})).open == []
    bare = replace(SECTIONS[1], stem="figure0")
    assert "Of 0 claims" in page("Bare", {}, [bare], {})


@pytest.fixture(scope="session")
def browser() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = [path for path in map(shutil.which, names) if path]
    if not found:
        absent("chromium", "there is no chromium on PATH")
    return found[0]


def browse(browser: str, folder: Path, page: Path, *options: str) -> tuple[str, str]:
    """Open a page in a browser of its own; return the finished document and the browser's log."""
    quiet = "disable-background-networking disable-component-update disable-sync disable-gpu "
    quiet += "no-first-run no-sandbox disable-quic disable-dev-shm-usage"
    done = subprocess.run(
        [
            browser,
            "--headless",
            *(f"--{flag}" for flag in quiet.split()),
            "--enable-logging=stderr",
            "--host-resolver-rules=MAP * ~NOTFOUND",  # whatever it asks for, it asks nobody
            f"--user-data-dir={folder / 'profile'}",
            f"--log-net-log={folder / 'net.json'}",
            *options,
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout, done.stderr


MEASURE = """
<script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const root = frame.contentDocument.documentElement;
  const image = frame.contentDocument.querySelector("img");
  const table = frame.contentDocument.querySelectorAll(".wide")[1];
  const shown = image.clientWidth;
  frame.contentDocument.querySelector("input").click();
  document.querySelector("output").textContent = [
    root.clientWidth, root.scrollWidth, image.naturalWidth, shown, image.clientWidth,
    image.parentElement.clientWidth, table.clientWidth, table.scrollWidth].join(" ");
};
</script>
"""


def asked_for(log: Path) -> set[str]:
    """Return what a page asked a network for; what the browser wants for itself has no origin."""
    found = re.findall(r'"initiator":"([^"]*)".*?"url":"((?:http|ws)[^"]*)"', log.read_text())
    return {url for initiator, url in found if initiator != "not an origin"}


@pytest.mark.slow
@pytest.mark.large
def test_a_browser_shows_it_without_errors_and_without_a_request(browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(report(), encoding="utf-8")
    dom, log = browse(browser, tmp_path, path)
    assert "CONSOLE" not in log
    assert dom.count("<section") == len(SECTIONS)
    assert not asked_for(tmp_path / "net.json")


@pytest.mark.large
def test_errors_and_requests_would_be_seen(browser, tmp_path):
    """Or the test above says nothing."""
    path = tmp_path / "bad.html"
    path.write_text('<img src="http://pictures.example/1.png"><script>oops()</script>')
    _, log = browse(browser, tmp_path, path)
    assert "CONSOLE" in log
    assert asked_for(tmp_path / "net.json") == {"http://pictures.example/1.png"}


@pytest.mark.large
@pytest.mark.parametrize("width", [390, 1280])
def test_only_wide_tables_scroll_sideways(browser, tmp_path, width):
    """An iframe stands for a phone: headless windows do not get that narrow."""
    (tmp_path / "report.html").write_text(report(), encoding="utf-8")
    frame = f'<output></output><iframe src="report.html" width="{width}" height="900" '
    frame += 'style="border: 0"></iframe>'
    (tmp_path / "frame.html").write_text(f"<!DOCTYPE html>{frame}{MEASURE}", encoding="utf-8")
    dom, _ = browse(
        browser,
        tmp_path,
        tmp_path / "frame.html",
        "--window-size=1400,1000",
        "--allow-file-access-from-files",
        "--virtual-time-budget=5000",
    )
    measured = re.search("<output>([0-9 ]+)</output>", dom)
    assert measured, dom[:500]
    visible, whole, natural, shown, enlarged, figure, box, table = map(int, measured[1].split())
    assert whole == visible <= width
    assert natural == 1500
    if width == 390:  # letters can be read; it scrolls in a box of its own, and shows the whole
        assert (shown, enlarged) == (1200, figure)
        assert figure < visible
    else:
        assert (shown, enlarged) == (figure, 1500)
        assert visible - 50 < figure <= visible
    assert box <= visible
    assert table > box
