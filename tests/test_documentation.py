"""The examples in docstrings, in the README and on the site are run; links lead to files."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import fdref
import fdref.commands
import fdref.conformance
import fdref.conformance.cases
import fdref.conformance.mistakes
import fdref.kernels
import fdref.paper
import fdref.weights.keras
import fdref.weights.onnx

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("networks/*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
MODULES = [
    f"{package.__name__}.{module.name}"
    for package in (
        fdref,
        fdref.commands,
        fdref.conformance,
        fdref.conformance.cases,
        fdref.conformance.mistakes,
        fdref.kernels,
        fdref.paper,
        fdref.weights,
        fdref.weights.keras,
        fdref.weights.onnx,
    )
    for module in pkgutil.iter_modules(package.__path__[:1])
    if module.name != "__main__"
] + ["fdref.measure.processes", "fdref.measure.running"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", fdref.__all__)
def test_public_names_explain_themselves(name):
    """What has parameters documents them; whatever computes shows an example."""
    member = getattr(fdref, name)
    assert member.__doc__
    if callable(member) and not isinstance(member, type):
        finder = doctest.DocTestFinder(recurse=False)
        assert any(test.examples for test in finder.find(member)), f"{name} shows no example"
        assert "Raises" in member.__doc__ or "errors are those of" in member.__doc__


@pytest.mark.large
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if BLOCK.search(page.read_text(encoding="utf-8"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_a_pages_python_runs(page, tmp_path, monkeypatch):
    """Each block by itself: whoever copies one needs no other."""
    monkeypatch.chdir(tmp_path)
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        exec(compile(block, str(page), "exec"), {})  # noqa: S102 - our own text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_pages_links_lead_to_files(page):
    """As a code host follows them; Sphinx follows those of the site, and to headings."""
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    targets = re.findall(r"\]\((?!https://)([^)#\s]+)", text)
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_site_has_every_command():
    """A section each in docs/commands.rst, which Sphinx fills from the parser."""
    commands = [module.__name__.rpartition(".")[2] for module in fdref.commands.COMMANDS]
    text = (DOCS / "commands.rst").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^   :path: (\w+)$", text, re.MULTILINE)) == sorted(commands)


def test_the_site_has_every_public_name():
    """Once each: docs/api.rst groups them by hand, and Sphinx makes a page of each."""
    listed = re.findall(r"^   (\w+)$", (DOCS / "api.rst").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(fdref.__all__), "put it where it belongs in docs/api.rst"
