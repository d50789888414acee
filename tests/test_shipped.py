"""The networks that ship: what they are, what they are called, and how good they are."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from command_line import refusal, run, small_model

import fdref
from fdref.errors import ArgumentError, FileError
from fdref.training.recipe import CIFAR, LENET
from fdref.training.sgd import error_rate
from fdref.weights import NETWORKS, SHIPPED

RECIPES = {recipe.name: recipe for recipe in (LENET, CIFAR)}
README = SHIPPED.with_name("README.md")


def test_each_has_a_recipe():
    assert [*NETWORKS] == [*RECIPES]
    assert NETWORKS["lenet"] == SHIPPED


@pytest.mark.parametrize("name", NETWORKS)
def test_each_is_what_its_recipe_trains(name):
    net, recipe = fdref.load(name), RECIPES[name]
    own = {n: (net[n].filters, net[n].bias) for n in net.decodable}
    assert net == recipe.network(own, net.average, net.provenance)
    assert [*own] == [*recipe.learned]
    assert net.dtype == np.float32
    assert f"--epochs {recipe.epochs} --seed 0, " in net.provenance
    assert fdref.load(NETWORKS[name]) == net


@pytest.mark.parametrize("name", NETWORKS)
def test_its_provenance_is_written_beside_it(name):
    """Its digest, so that nobody replaces a file alone, and how good it is."""
    section = README.read_text().split(f"## {name}.mat")[1].split("\n## ")[0]
    assert sha256(NETWORKS[name].read_bytes()).hexdigest() in section
    error = re.search(r"test error ([0-9.]+)%", fdref.load(name).provenance)
    assert error is not None
    assert f"{100 - float(error[1]):.2f} % of the 10,000 test images" in section
    assert f"fdref train --{'mnist' if name == 'lenet' else 'cifar'}" in section


def test_the_cifar_network_is_small_and_says_what_it_was_trained_with():
    net = fdref.load("cifar")
    assert NETWORKS["cifar"].stat().st_size < 700_000
    assert (net.input_size, net.channels[0], net.average.shape) == ((32, 32), 3, (3, 32, 32))
    assert "fdref train --cifar" in net.provenance
    assert "CIFAR-10 (JPEG)" in net.provenance
    assert 100 < net.average.mean() < 130  # of 0 to 255
    sky, floor = net.average[2, 0].mean(), net.average[2, -1].mean()
    assert sky > floor + 10  # it is the right way up


def test_a_name_is_a_name_wherever_one_is(tmp_path, monkeypatch):
    """And what is written as a path is a path."""
    monkeypatch.chdir(tmp_path)
    small = fdref.load(small_model(tmp_path))
    Path("small.mat").rename("cifar")
    Path("lenet").mkdir()
    assert fdref.load("cifar") == fdref.load(NETWORKS["cifar"])
    assert fdref.load("lenet") == fdref.load()
    for path in ("./cifar", Path("cifar"), str(tmp_path / "cifar")):
        assert fdref.load(path) == small
    with pytest.raises(FileError, match="lenet is a folder"):
        fdref.load("./lenet")
    Path("cifar").rename("other")  # a file whose name says nothing
    assert fdref.load("other") == small


@pytest.mark.parametrize("name", ["cifra", "LeNet", "cifar10"])
def test_an_unknown_name_is_told_the_names(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = f"{name} is no file; expected one, or a network that ships: lenet or cifar"
    with pytest.raises(FileError) as refused:
        fdref.load(name)
    assert str(refused.value) == said
    for command in ("info", "decode"):
        assert refusal(capsys, command, name) == said
    assert refusal(capsys, "kit", "out", "--model", name) == said


@pytest.mark.parametrize("path", ["cifar.mat", "./cifar", "", "x/cifar", "cifar\0", "cif\nar"])
def test_paths_are_none(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileError, match=r"cannot be read|is a folder"):
        fdref.load(path)
    with pytest.raises(ArgumentError, match="expected a path"):
        fdref.load(path.encode())


def test_commands_know_them(tmp_path, capsys):
    assert run("info", "cifar") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["model", "cifar"]
    assert lines[1] == "input    3 x 32x32, average to subtract: image"
    assert run("decode", "cifar", "--layers", 7, "--filters", "0-3", "-o", tmp_path / "out") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"decoded.h5", "layer7.png"}
    assert run("convert", "cifar", tmp_path / "copy.mat") == 0
    assert fdref.load(tmp_path / "copy.mat") == fdref.load("cifar")
    capsys.readouterr()
    assert "--images" in refusal(capsys, "reproduce", "cifar", "-o", tmp_path / "paper")


@pytest.mark.slow
@pytest.mark.large
def test_the_cifar_network_names_three_of_four_images(shared):
    """All 10,000 test images, of CIFAR-10 (JPEG), as its provenance says."""
    test = fdref.cifar(shared / "cifar" / "cifar10-jpeg.tar.xz").test
    net = fdref.load("cifar")
    wrong = error_rate(net, test)
    assert wrong <= 0.25
    told = re.search(r"test error ([0-9.]+)%", net.provenance)
    assert told is not None
    assert wrong == pytest.approx(float(told[1]) / 100, abs=3e-4)  # ties of rounding
