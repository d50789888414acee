"""Networks of thousands of layers: what looks at every layer looks at each of them once."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from command_line import bank, run

import fdref
from fdref.commands.info import rows
from fdref.drawing.text_table import table
from fdref.geometry import stack_windows
from fdref.weights import matlab73
from fdref.weights.bounded import Budget

LAYERS = 6000


@pytest.fixture(scope="module")
def net() -> fdref.Network:
    layers = [
        fdref.Conv(bank(1, 1, 1, 1), name=f"layer{n}") if n % 3 else fdref.Pool(3, 1, pad=1)
        for n in range(1, LAYERS + 1)
    ]
    return fdref.Network(layers, input_size=2)


@pytest.fixture
def looks(monkeypatch) -> list[object]:
    """Every time that the geometry of a layer is looked at."""
    seen = []
    for kind in (fdref.Conv, fdref.Pool):
        for name in ("sees", "size_after"):
            own = getattr(kind, name)

            def looked_at(layer, *about, own=own):
                seen.append(layer)
                return own(layer, *about)

            monkeypatch.setattr(kind, name, looked_at)
    return seen


def test_a_row_for_every_layer(looks, net):
    assert len(list(rows(net))) == LAYERS
    assert len(looks) <= 4 * LAYERS  # sizes, and fields along both axes


def test_the_field_of_every_layer_is_that_of_the_layers_below():
    layers = [
        fdref.Conv(bank(2, 1, 3, 2), stride=(2, 1), pad=(0, 1, 2, 3), dilate=(1, 2)),
        fdref.Pool((3, 2), (1, 2), pad=1),
        fdref.Conv(bank(1, 2, 2, 5), pad=2),
    ]
    net = fdref.Network(layers)
    windows = [(layer.window, layer.stride, layer.pad) for layer in layers]
    for number in range(1, 4):
        expected = stack_windows(windows[:number])
        assert fdref.receptive_field(net, number) == net.fields[number] == expected
    assert net.fields[0] == fdref.geometry.ReceptiveField((1, 1), (1, 1), (0, 0))


def test_every_layer_by_its_name(net):
    class Name(str):
        compared = 0
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            Name.compared += 1
            return str.__eq__(self, other)

    names = [Name(layer.name) for layer in net if layer.name]
    assert [net.number(name) for name in names] == [n for n in range(LAYERS + 1) if n % 3]
    assert Name.compared <= 3 * len(names)


def test_a_table_measures_every_cell_once():
    class Cell(str):
        measured = 0
        __slots__ = ()

        def __len__(self) -> int:
            Cell.measured += 1
            return str.__len__(self)

    text = table(("a", "b"), [(Cell("x"), Cell("y" * 9))] * 1000)
    assert text.splitlines()[-1] == "x  yyyyyyyyy"
    assert Cell.measured <= 4 * 1000


def test_a_small_file_of_very_many_layers_is_read_object_by_object(tmp_path, monkeypatch):
    """6,000 references lead to the same two structs."""
    two = fdref.Network([fdref.Conv(bank(1, 1, 1, 1)), fdref.ReLU(0.5)], input_size=8)
    path = tmp_path / "net.mat"
    fdref.save(two, path)
    with h5py.File(path, "r+") as file:
        before = file["net/layers"]
        references = np.tile(before[()].ravel(), LAYERS // 2)[:, None]
        about = dict(before.attrs)
        del file["net/layers"]
        cell = file["net"].create_dataset("layers", data=references, dtype=h5py.ref_dtype)
        cell.attrs.update(about)
    assert path.stat().st_size < 100_000
    seen = []
    read = matlab73._Reader.read  # noqa: SLF001
    monkeypatch.setattr(
        matlab73._Reader,  # noqa: SLF001
        "read",
        lambda self, node, place: (seen.append(place), read(self, node, place))[1],
    )
    net = fdref.load(path)
    assert len(seen) < 50
    assert (len(net), net[LAYERS].leak) == (LAYERS, 0.5)
    assert net[LAYERS - 1].filters == two[1].filters
    assert run("info", path, "--quiet") == 0


def test_what_is_read_once_is_counted_every_time(tmp_path, monkeypatch):
    """Each layer holds a copy of its weights, whoever else refers to them."""
    two = fdref.Network([fdref.Conv(bank(1, 1, 100, 100)), fdref.ReLU()], input_size=100)
    path = tmp_path / "net.mat"
    fdref.save(two, path)
    with h5py.File(path, "r+") as file:
        cell = file["net/layers"]
        cell[...] = np.full(cell.shape, cell[()].ravel()[0], object)
    size = path.stat().st_size
    monkeypatch.setattr(
        "fdref.weights.reading.Budget", lambda: Budget(size + 2 * 2 * 40_000 + 40_000)
    )
    with pytest.raises(fdref.FdrefError, match="does not fit"):
        fdref.load(path)
    monkeypatch.setattr(
        "fdref.weights.reading.Budget", lambda: Budget(size + 2 * 2 * 40_000 - 40_000)
    )
    with pytest.raises(fdref.FdrefError, match="too much"):
        fdref.load(path)
