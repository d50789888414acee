"""Killed at any step that changes a folder, a command leaves whole files and works once more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from command_line import run, small_model
from kills import folders_after_kills, survives, visible

import fdref
from fdref.commands import check, reproduce
from fdref.commands.labelled import Shown
from fdref.commands.reproduce import NAMES
from fdref.paper.reproduction import Reproduction

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif("not hasattr(__import__('os'), 'fork')", reason="no fork here")


@pytest.fixture(autouse=True)
def no_disk_to_wait_for(monkeypatch):
    """A killed process loses nothing that a machine without power would."""
    monkeypatch.setattr("os.fsync", lambda held: None)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return small_model(tmp_path_factory.mktemp("model"))


def nothing(folder: Path) -> None:
    """Prepare nothing."""


def notes(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "notes.txt").write_text("mine")


class TestDecode:
    @pytest.fixture(autouse=True)
    def every_filter_a_block_with_a_record(self, model, monkeypatch):
        net = fdref.load(model)
        monkeypatch.setattr("fdref.load", lambda source, **edits: net)
        monkeypatch.setattr("fdref.decoding.decoded_file.WRITTEN", 1)
        monkeypatch.setattr("fdref.decoding.decoded_file.EVERY", 0)
        monkeypatch.setattr("fdref.commands.looks.Style.draw", draw_nothing)

    @pytest.mark.slow
    @pytest.mark.parametrize("prepare", [nothing, notes])
    def test_a_folder(self, prepare, model, tmp_path):
        options = ("decode", model, "--engine", "reference", "-o")
        survives(tmp_path, prepare, lambda folder: run(*options, folder / "out"))

    @pytest.mark.slow
    def test_a_layer_more(self, model, tmp_path):
        options = ("decode", model, "--engine", "reference")
        survives(
            tmp_path,
            lambda folder: run(*options, "--layers", 1, "-o", folder / "out"),
            lambda folder: run(*options, "--layers", 4, "-o", folder / "out"),
        )

    def test_a_filter(self, model, tmp_path):
        options = ("decode", model, "--engine", "reference", "--layers", 1, "--filters", 0, "-o")
        survives(tmp_path, nothing, lambda folder: run(*options, folder / "out"))


def draw_nothing(style, bank, about, filters, scale=None, progress=None) -> bytes:
    return repr(list(filters)).encode()


@pytest.fixture
def small_kit(monkeypatch) -> None:
    """No kit, but files like a kit's."""
    names = ("README.md", "cases/a.npz", "expected/a.npz", "manifest.json")
    files = {name: name.encode() for name in names}
    monkeypatch.setattr("fdref.conformance.kit.contents", lambda *about: files)


def an_empty_folder(folder: Path) -> None:
    (folder / "out").mkdir()


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [nothing, an_empty_folder])
@pytest.mark.usefixtures("small_kit")
def test_kit(prepare, tmp_path):
    survives(tmp_path, prepare, lambda folder: run("kit", folder / "out"))


@pytest.mark.usefixtures("small_kit")
def test_a_new_folder_is_whole_at_once(tmp_path):
    seen = set()
    for left in folders_after_kills(tmp_path, nothing, lambda folder: run("kit", folder / "out")):
        seen.add(tuple(visible(left)))
        assert (left / "out").exists() == bool(visible(left))
    assert {len(names) for names in seen} == {0, 4}


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [nothing, notes])
def test_reproduce(prepare, model, tmp_path, monkeypatch):
    files = {name: name.encode() for name in NAMES[:3]}
    monkeypatch.setattr("fdref.paper.files.files_of", lambda *about, **more: files)
    monkeypatch.setattr(reproduce, "shown_images", lambda *about: Shown(0, 0, "", ()))
    monkeypatch.setattr(reproduce, "describe", lambda *about: {})
    monkeypatch.setattr("fdref.paper.subject.Subject", lambda *about: None)
    monkeypatch.setattr("fdref.paper.reproduction.work", lambda *about: 1)
    result = Reproduction((), ())
    monkeypatch.setattr("fdref.paper.reproduction.reproduce", lambda *about: result)
    survives(
        tmp_path,
        prepare,
        lambda folder: run("reproduce", model, "-o", folder / "out"),
        refused_when_done=True,
    )


def a_file(folder: Path) -> None:
    (folder / "net.mat").write_text("an older network")


@pytest.mark.parametrize("prepare", [nothing, a_file])
def test_save(prepare, tmp_path):
    net = fdref.Network([fdref.Conv(np.ones((1, 1, 2, 2)))])
    survives(tmp_path, prepare, lambda folder: fdref.save(net, folder / "net.mat") or 0)


@pytest.mark.parametrize("name", ["net.mat", "net.onnx"])
def test_convert(name, model, tmp_path):
    if name == "net.onnx":
        pytest.importorskip("onnx")
    survives(
        tmp_path,
        lambda folder: (folder / name).write_text("an older network"),
        lambda folder: run("convert", model, folder / name),
    )


def test_check(tmp_path, monkeypatch):
    """Of two reports, one may be the old and one the new."""
    report = SimpleNamespace(conforms=True)
    monkeypatch.setattr("fdref.conformance.kit.read_kit", lambda folder: None)
    monkeypatch.setattr(check, "examination", lambda kit, options: report)
    monkeypatch.setattr("fdref.conformance.report.text", lambda report: "")
    monkeypatch.setattr("fdref.conformance.report.as_json", lambda report: {"schema": 1})
    monkeypatch.setattr("fdref.conformance.html.page", lambda report: "<html>")
    survives(
        tmp_path,
        lambda folder: (folder / "a.json").write_text("an older report"),
        lambda folder: run(
            "check", "kit", "--engine", "compiled",
            "--json", folder / "a.json", "--html", folder / "a.html",
        ),
    )  # fmt: skip
