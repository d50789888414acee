"""The examples in docstrings and in the README are run."""

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

README = Path(__file__).parents[1] / "README.md"
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
]


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
def test_the_readmes_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(README), "exec"), {})  # noqa: S102 - our own text
