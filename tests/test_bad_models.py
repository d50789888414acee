"""Files that are no models, or bad ones: each is refused with its own message."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from command_line import bank, everything_in, refusal, small_model

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return small_model(tmp_path_factory.mktemp("model"))


def bad_models(model: Path, folder: Path) -> dict[str, str]:
    """Write one file for every way to be bad; return what must be said about each."""
    good = model.read_bytes()
    files = {
        "empty": b"",
        "cut": good[: len(good) // 2],
        "header": good[:512],
        "text": b"weights\n" * 100,
        "old": np.array([0, 2, 2, 0, 2], "<i4").tobytes() + b"x\0" + bytes(32),
    }
    for name, content in files.items():
        (folder / f"{name}.mat").write_bytes(content)
    for name, change in {
        "none": lambda file: file.pop("net"),
        "nan": lambda file: weights(file).__setitem__((0, 0, 0), np.nan),
        "inf": lambda file: weights(file).__setitem__((0, 0, 0), np.inf),
        "elsewhere": link_to_another_file,
        "outside": store_in_another_file,
        "huge": claim_a_huge_array,
        "misfit": swap_filters,
    }.items():
        (folder / f"{name}.mat").write_bytes(good)
        with h5py.File(folder / f"{name}.mat", "r+") as file:
            change(file)
    (folder / "folder.mat").mkdir()
    os.mkfifo(folder / "pipe.mat")
    return {
        "missing": "No such file",
        "empty": "is empty",
        "cut": "",
        "header": "",
        "text": "no file that fdref knows",
        "old": "v4",
        "none": "no network",
        "nan": "layer 1 (conv 'low')",
        "inf": "layer 1 (conv 'low')",
        "elsewhere": "link",
        "outside": "another file",
        "huge": "claims",
        "misfit": "layer 4 (conv 'high')",
        "folder": "is a folder",
        "pipe": "",
    }


def weights(file: h5py.File, layer: int = 0) -> h5py.Dataset:
    """Find a layer's filters: MATLAB stores cells as references."""
    struct = file[np.asarray(file["net/layers"]).flat[layer]]
    return file[np.asarray(struct["weights"]).flat[0]]


def replace_weights(file: h5py.File, layer: int, make) -> None:
    """Let a layer's cell of weights refer to something else for the filters."""
    cell = file[np.asarray(file["net/layers"]).flat[layer]]["weights"]
    dataset = make(file["#refs#"])
    dataset.attrs["MATLAB_class"] = np.bytes_("single")
    references = cell[()]
    references.flat[0] = dataset.ref
    cell[...] = references


def link_to_another_file(file: h5py.File) -> None:
    del file["net"]
    file["net"] = h5py.ExternalLink("/etc/passwd", "/net")


def store_in_another_file(file: h5py.File) -> None:
    def make(group):
        outside = [("/etc/passwd", 0, 36)]
        return group.create_dataset("x", (3, 3), "f4", external=outside)

    replace_weights(file, 0, make)


def claim_a_huge_array(file: h5py.File) -> None:
    def make(group):
        return group.create_dataset("x", (10**6, 10**6), "f4", chunks=(1000, 1000))

    replace_weights(file, 0, make)


def swap_filters(file: h5py.File) -> None:
    replace_weights(file, 3, lambda group: group.create_dataset("x", data=bank(2, 7, 2, 2)))


def test_bad_models_are_refused_each_with_its_own_message(model, tmp_path, capsys, monkeypatch):
    expected = bad_models(model, tmp_path)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    said = set()
    for name, fragment in expected.items():
        path = tmp_path / f"{name}.mat"
        message = refusal(capsys, "info", path)
        assert str(path) in message
        assert fragment in message, name
        assert refusal(capsys, "decode", path) == message
        said.add(message.replace(str(path), ""))
    assert len(said) >= len(expected) - 3  # cut and header, nan and inf, folder and pipe are alike
    assert not everything_in(tmp_path / "work")
