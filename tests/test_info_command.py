"""`fdref info`: what it prints."""

from __future__ import annotations

import os

import numpy as np
from command_line import bank, python, run

import fdref


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

    def test_on_a_terminal_that_knows_ascii_only(self, tmp_path):
        fdref.save(fdref.Network([fdref.Conv(bank(1, 1, 2, 2), name="Kern Ä")]), tmp_path / "a.mat")
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        done = python("-m", "fdref", "info", tmp_path / "a.mat", env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"Kern ?" in done.stdout
