"""`fdref info`: what it prints."""

from __future__ import annotations

import json
import os

import numpy as np
from command_line import bank, python, run

import fdref
from fdref.commands.info import as_json, rows


class TestInfo:
    def test_of_the_lenet(self, capsys):
        assert run("info") == 0
        lines = capsys.readouterr().out.splitlines()
        rows = [" ".join(line.split()) for line in lines]
        assert "input 1 x 28x28, average to subtract: image" in rows
        assert "weights 430,500 in filters, float32" in rows
        assert "classes 10: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in rows
        table = rows[rows.index("") + 1 :]
        assert table == [
            "layer name type filters details output field jump decodes to",
            "1 conv1 conv 20x1x5x5 20 x 24x24 5x5 1x1 1 x 5x5",
            "2 pool1 pool max 2x2, stride 2x2 20 x 12x12 6x6 2x2",
            "3 conv2 conv 50x20x5x5 50 x 8x8 14x14 2x2 1 x 14x14",
            "4 pool2 pool max 2x2, stride 2x2 50 x 4x4 16x16 4x4",
            "5 conv3 conv 500x50x4x4 500 x 1x1 28x28 4x4 1 x 28x28",
            "6 relu3 relu 500 x 1x1 28x28 4x4",
            "7 conv4 conv 10x500x1x1 10 x 1x1 28x28 4x4 1 x 28x28",
            "8 prob softmax 10 x 1x1 28x28 4x4",
        ]

    def test_tells_what_is_not_as_in_the_simplest_layer(self, tmp_path, capsys):
        layers = [
            fdref.Conv(bank(4, 3, 3, 2), stride=(2, 1), pad=(1, 0, 2, 1), dilate=(1, 2)),
            fdref.BatchNorm(np.ones(4), np.zeros(4), np.zeros(4), np.ones(4)),
            fdref.ReLU(leak=0.1),
            fdref.Normalize(5, 2, 0.01, 0.75),
            fdref.Pool((3, 2), 2, method="avg"),
            fdref.Dropout(),
        ]
        fdref.save(fdref.Network(layers, average=np.ones(3)), tmp_path / "net.mat")
        assert run("info", tmp_path / "net.mat") == 0
        text = " ".join(capsys.readouterr().out.split())
        assert "input 3 x any size, average to subtract: colour" in text
        for details in (
            "stride 2x1, pad 1 0 2 1, dilate 1x2",
            "bnorm 4 channels",
            "leak 0.1",
            "5 channels, kappa 2, alpha 0.01, beta 0.75",
            "avg 3x2, stride 2x2",
        ):
            assert details in text

    def test_names_from_a_file_cannot_command_the_terminal(self, tmp_path, capsys):
        name = "\x1b[31mred\n\0\N{RIGHT-TO-LEFT OVERRIDE}" + "x" * 5000
        conv = fdref.Conv(bank(1, 1, 2, 2), name=name)
        net = fdref.Network([conv], classes=[name], provenance=name)
        fdref.save(net, tmp_path / "net.mat")
        assert run("info", tmp_path / "net.mat") == 0
        assert run("decode", tmp_path / "net.mat", "-o", tmp_path / "out") == 0
        lines = capsys.readouterr().out.splitlines()
        assert sum("[31mred" in line for line in lines) == 4
        assert all(line.isprintable() and len(line) < 250 for line in lines)

    def test_programs_are_told_the_same(self, tmp_path, capsys):
        assert run("info", "--json", tmp_path / "told.json", "--quiet") == 0
        assert capsys.readouterr() == ("", "")
        told = json.loads((tmp_path / "told.json").read_bytes())
        rows = told.pop("layers")
        provenance = told.pop("provenance")
        assert provenance == fdref.load().provenance
        assert told == {
            "fdref": fdref.__version__,
            "model": "lenet.mat",
            "channels": 1,
            "size": [28, 28],
            "average": "image",
            "weights": 430500,
            "dtype": "float32",
            "classes": list("0123456789"),
        }
        assert [row["number"] for row in rows] == [*range(1, 9)]
        assert rows[2] == {
            "number": 3,
            "name": "conv2",
            "type": "conv",
            "takes": [2],
            "filters": [50, 20, 5, 5],
            "channels": 50,
            "size": [8, 8],
            "field": [14, 14],
            "jump": [2, 2],
            "offset": [0, 0],
            "decodes_to": [1, 14, 14],
            "parameters": {"stride": [1, 1], "pad": [0, 0, 0, 0], "dilate": [1, 1]},
        }
        pool = {"method": "max", "window": [2, 2], "stride": [2, 2], "pad": [0, 0, 0, 0]}
        assert (rows[1]["filters"], rows[1]["decodes_to"]) == (None, None)
        assert rows[1]["parameters"] == pool

    def test_programs_are_told_names_as_they_are_and_null_for_what_is_not_known(self, tmp_path):
        name = "\x1b[31m\N{SNOWMAN}" + "x" * 500
        layers = [
            fdref.Conv(bank(1, 1, 2, 2), name=name),
            fdref.ReLU(0.5),
            fdref.Normalize(5, 2, 0.01, 0.75),
            fdref.Dropout(0.25),
            fdref.BatchNorm(np.ones(1), np.zeros(1), np.zeros(1), np.ones(1)),
            fdref.Softmax(),
        ]
        fdref.save(fdref.Network(layers), tmp_path / "net.mat")
        done = python("-m", "fdref", "info", tmp_path / "net.mat", "--json", "-")
        assert done.stdout.isascii()
        told = json.loads(done.stdout)
        assert [told[key] for key in ("size", "average", "classes")] == [None, None, []]
        assert (told["layers"][0]["name"], told["layers"][0]["size"]) == (name, None)
        assert [layer["parameters"] for layer in told["layers"][1:]] == [
            {"leak": 0.5},
            {"size": 5, "kappa": 2, "alpha": 0.01, "beta": 0.75},
            {"rate": 0.25},
            {},
            {},
        ]

    def test_fields_larger_than_any_number_that_is_written_out(self, tmp_path, capsys):
        """A padded pool keeps a map of one pixel; its field has 4,500 digits after 15,000."""
        layers = [fdref.Conv(bank(1, 1, 1, 1)), *[fdref.Pool(2, 2, pad=1)] * 15_000]
        fdref.save(fdref.Network(layers[:60], input_size=1), tmp_path / "net.mat")
        assert run("info", tmp_path / "net.mat") == 0
        assert capsys.readouterr().out.splitlines()[-1].split()[-2:] == ["2^59x2^59", "2^59x2^59"]
        net = fdref.Network(layers, input_size=1)
        assert len(list(rows(net))) == 15_001
        told = as_json("net.mat", net)["layers"]
        assert (told[3]["field"], told[3]["jump"], told[3]["offset"]) == ((8, 8), (8, 8), (-7, -7))
        assert [told[-1][key] for key in ("field", "jump", "offset")] == [None, None, None]

    def test_on_a_terminal_that_knows_ascii_only(self, tmp_path):
        fdref.save(fdref.Network([fdref.Conv(bank(1, 1, 2, 2), name="Kern Ä")]), tmp_path / "a.mat")
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        done = python("-m", "fdref", "info", tmp_path / "a.mat", env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"Kern ?" in done.stdout
