"""Training that repeats and resumes bit by bit, and `fdref train`."""

from __future__ import annotations

import dataclasses
import errno
import io
import struct
from hashlib import md5
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kills import survives
from PIL import Image
from progress_bars import Bars

import fdref
from fdref.commands import main
from fdref.errors import ArgumentError, FileError
from fdref.training import sgd
from fdref.training.loss import backward, cross_entropy
from fdref.training.recipe import CIFAR, CIFAR_WHITENED, LENET
from fdref.training.whitening import whitening
from fdref.walk.forward import forward

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def digits() -> fdref.Digits:
    sample = fdref.mnist().test
    return fdref.Digits(sample.images[:200], sample.labels[:200])


def same(one: sgd.Training, other: sgd.Training) -> bool:
    """Tell whether two training runs are the same, bit for bit."""
    pairs = [
        (mine, theirs)
        for group in ("weights", "velocity")
        for number in LENET.learned
        for mine, theirs in zip(
            getattr(one, group)[number], getattr(other, group)[number], strict=True
        )
    ]
    return all(mine.tobytes() == theirs.tobytes() for mine, theirs in pairs) and (
        (one.seed, one.losses, one.errors) == (other.seed, other.losses, other.errors)
    )


def test_training_starts_as_matconvnet_does():
    run = sgd.start(LENET, 3)
    for number, layer in LENET.learned.items():
        shape = layer.shape
        filters, biases = run.weights[number]
        assert (filters.shape, filters.dtype, biases.shape) == (shape, np.float32, shape[:1])
        assert not biases.any()
        assert not any(part.any() for part in run.velocity[number])
    assert np.std(run.weights[5][0]) == pytest.approx(0.01, rel=0.01)
    assert np.mean(run.weights[5][0]) == pytest.approx(0, abs=1e-4)
    assert same(run, sgd.start(LENET, 3))
    assert not same(run, sgd.start(LENET, 4))


def test_one_step_is_momentum_and_weight_decay():
    """Twice by hand: v = 0.9 v - 0.001 (g + 0.0005 w), w = w + v, biases included."""
    weights = {1: (np.array([2.0]), np.array([3.0]))}
    velocity = {1: (np.array([0.5]), np.array([0.0]))}
    gradients = {1: (np.array([10.0]), np.array([-20.0]))}
    moved, faster = sgd._step(LENET, LENET.rate(0), weights, velocity, gradients)  # noqa: SLF001
    assert faster[1][0] == pytest.approx(0.9 * 0.5 - 0.001 * (10 + 0.0005 * 2))
    assert faster[1][1] == pytest.approx(-0.001 * (-20 + 0.0005 * 3))
    assert moved[1][0] == pytest.approx(2 + faster[1][0])
    assert moved[1][1] == pytest.approx(3 + faster[1][1])


@pytest.mark.large
def test_the_same_seed_gives_the_same_bits_and_the_loss_falls(digits):
    runs = []
    for seed in (0, 0, 1):
        run = dataclasses.replace(sgd.start(LENET, 0), seed=seed)
        for _ in range(2):
            run = sgd.train_epoch(run, digits)
        runs.append(run)
    assert same(runs[0], runs[1])
    assert runs[2].losses != runs[0].losses  # the seed shuffles, too
    assert runs[0].epoch == 2
    assert runs[0].losses[0] > runs[0].losses[1]
    assert all(0 < error <= 1 for error in runs[0].errors)


@pytest.mark.large
def test_progress_is_told_batch_by_batch(digits):
    told = []
    uneven = fdref.Digits(digits.images[:130], digits.labels[:130])
    run = sgd.train_epoch(sgd.start(LENET, 0), uneven, lambda *values: told.append(values))
    assert [count for count, *_ in told] == [100, 30]
    assert run.losses == (pytest.approx(np.mean([loss for _, loss, _ in told])),)
    assert run.errors == (pytest.approx(sum(n * error for n, _, error in told) / 130),)


@pytest.mark.large
def test_a_checkpoint_goes_on_as_if_nothing_had_happened(digits, tmp_path):
    run = sgd.train_epoch(sgd.start(LENET, 5), digits)
    sgd.save_checkpoint(run, tmp_path / "a")
    read = sgd.read_checkpoint(LENET, tmp_path / "a")
    assert same(read, run)
    assert same(sgd.train_epoch(read, digits), sgd.train_epoch(run, digits))
    sgd.save_checkpoint(read, tmp_path / "b")
    assert sgd.read_checkpoint(LENET, tmp_path / "b").epoch == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def damaged_checkpoints(good: bytes) -> dict[str, bytes]:
    """Return a checkpoint for every way to be bad."""

    def packed(**changes: np.ndarray | None) -> bytes:
        with np.load(io.BytesIO(good)) as arrays:
            kept = {**arrays, **changes}
        buffer = io.BytesIO()
        np.savez(buffer, **{name: array for name, array in kept.items() if array is not None})
        return buffer.getvalue()

    middle = len(good) // 2
    return {
        "empty": b"",
        "text": b"not a checkpoint",
        "cut": good[:middle],
        "flipped": good[:middle] + bytes([good[middle] ^ 255]) + good[middle + 1 :],
        "a part missing": packed(losses=None),
        "another shape": packed(**{"weights/3/filters": np.zeros((50, 20, 5, 4))}),
        "biases missing": packed(**{"velocity/7/biases": np.zeros(0)}),
        "text for numbers": packed(**{"weights/1/biases": np.full(20, "x")}),
        "objects": packed(seed=np.array({"a": 1}, object)),
        "an array by itself": npy(np.zeros(3)),
    }


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_damaged_checkpoints_are_refused(tmp_path):  # which NumPy leaves open
    sgd.save_checkpoint(sgd.start(LENET, 0), tmp_path / "good")
    for name, content in damaged_checkpoints((tmp_path / "good").read_bytes()).items():
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(FileError) as refusal:
            sgd.read_checkpoint(LENET, tmp_path / "bad")
        assert "is no checkpoint of a training run" in str(refusal.value), name
        assert "\n" not in str(refusal.value), name
    with pytest.raises(FileError, match="is a folder or a device, expected a checkpoint"):
        sgd.read_checkpoint(LENET, tmp_path)
    with pytest.raises(FileError, match=r"no .*missing to resume from; start without --resume"):
        sgd.read_checkpoint(LENET, tmp_path / "missing")


def test_training_that_diverges_in_the_last_batch_ends_with_a_message(digits):
    """Its weights are looked at by no further batch, and would become a checkpoint."""
    few = digits._replace(images=digits.images[:100], labels=digits.labels[:100])
    run = sgd.start(LENET, 0)
    huge = {n: (run.weights[n][0] * np.float32(1e36), run.weights[n][1]) for n in (5, 7)}
    with pytest.raises(ArgumentError, match="diverged in epoch 1: the loss is nan"):
        sgd.train_epoch(dataclasses.replace(run, weights={**run.weights, **huge}), few)
    last = run.weights[7][0], np.full(10, 3e38, np.float32)  # the same for every class
    fast = dataclasses.replace(
        run, weights={**run.weights, 7: last}, velocity={**run.velocity, 7: last}
    )
    with pytest.raises(ArgumentError, match=r"diverged in epoch 1: .*inf"):
        sgd.train_epoch(fast, few)


def test_an_output_that_is_not_a_number_names_no_digit(digits):
    """Of NaN the first is the largest, which would name every image 0."""
    run = sgd.start(LENET, 0)
    huge = {n: (run.weights[n][0] * np.float32(1e36), run.weights[n][1]) for n in (5, 7)}
    net = LENET.network({**run.weights, **huge}, sgd.average_image(digits))
    assert sgd.error_rate(net, digits) == 1


def test_weights_that_diverge_end_training_with_a_message(digits):
    run = sgd.start(LENET, 0)
    weights = {**run.weights, 3: (np.full_like(run.weights[3][0], np.nan), run.weights[3][1])}
    with pytest.raises(ArgumentError, match=r"diverged in epoch 1: .*nan"):
        sgd.train_epoch(dataclasses.replace(run, weights=weights), digits)


def test_learning_rates_go_down_as_matconvnets_do():
    """30, 10 and 5 of 45 epochs; 16, 6 and 2 of ours; the LeNet's stays."""
    first, second, third = 0.015, 0.0015, 0.00015
    assert [*map(CIFAR.lasting(45).rate, range(46))] == [first] * 30 + [second] * 10 + [third] * 6
    assert [*map(CIFAR.rate, range(24))] == [first] * 16 + [second] * 6 + [third] * 2
    assert [*map(CIFAR.lasting(1).rate, range(1))] == [first]
    assert {LENET.rate(epoch) for epoch in range(100)} == {0.001}


def test_the_cifar_network_is_matconvnets():
    run = sgd.start(CIFAR, 0)
    net = CIFAR.network(run.weights, np.zeros((3, 32, 32), np.float32))
    assert [layer.kind for layer in net] == [
        *("conv", "pool", "relu"),
        *("conv", "relu", "pool") * 2,
        *("conv", "relu", "conv", "softmax"),
    ]
    assert [side for side, _ in net.map_sizes(32)] == [*[32] * 2, *[16] * 4, *[8] * 3, 4, *[1] * 4]
    assert sum(w.size + b.size for w, b in run.weights.values()) == 145_578
    for number, deviation in {1: 0.01, 4: 0.05, 7: 0.05, 10: 0.05, 12: 0.05}.items():
        filters, biases = run.weights[number]
        assert np.std(filters) == pytest.approx(deviation, rel=0.1)
        assert not biases.any()


def test_each_layer_learns_at_its_own_rates():
    """Filters a tenth, biases twice; of the last layer a tenth of that."""
    one = {n: (np.array([1.0]), np.array([1.0])) for n in CIFAR.learned}
    zero = {n: (np.array([0.0]), np.array([0.0])) for n in CIFAR.learned}
    moved, faster = sgd._step(CIFAR, 0.5, zero, zero, one)  # noqa: SLF001
    for number, (filters, biases) in moved.items():
        tenth = 0.1 if number == 12 else 1
        assert filters[0] == faster[number][0][0] == pytest.approx(-0.5 * 0.1 * tenth)
        assert biases[0] == faster[number][1][0] == pytest.approx(-0.5 * 2 * tenth)
    decayed, _ = sgd._step(CIFAR, 0.5, one, zero, zero)  # noqa: SLF001
    assert decayed[1][1][0] == pytest.approx(1 - 0.5 * 2 * 0.0001)


@pytest.fixture(scope="module")
def photos() -> fdref.Photos:
    """Images of noise, each class of a brightness of its own."""
    random = np.random.default_rng(0)
    labels = (np.arange(50) % 10).astype(np.uint8)
    images = random.integers(0, 100, (50, 3, 32, 32)) + 15 * labels[:, None, None, None]
    return fdref.Photos(images.astype(np.uint8), labels)


@pytest.mark.large
def test_half_of_the_batches_are_mirrored(photos, monkeypatch):
    small = dataclasses.replace(CIFAR, batch=1, rates=((0.0, 1),))  # one image tells too little
    seen = []

    def watched(net, x):
        seen.append(x[0])
        return forward(net, x)

    monkeypatch.setattr(sgd, "forward", watched)
    run = sgd.train_epoch(sgd.start(small, 0), photos)
    means = sgd.average_image(photos)
    order = np.random.default_rng([0, 0]).permutation(50)
    pixels = photos.images[order]
    straight = [
        np.allclose(x, image - means, atol=1e-3) for x, image in zip(seen, pixels, strict=True)
    ]
    turned = [
        np.allclose(x, i[:, :, ::-1] - means, atol=1e-3) for x, i in zip(seen, pixels, strict=True)
    ]
    assert all(one != other for one, other in zip(straight, turned, strict=True))
    assert 15 <= sum(turned) <= 35
    seen.clear()
    sgd.train_epoch(sgd.start(dataclasses.replace(small, mirrored=False), 0), photos)
    assert all(np.allclose(x, i - means, atol=1e-3) for x, i in zip(seen, pixels, strict=True))
    assert run.rates == (0.0,)


@pytest.mark.large
def test_the_gradient_of_the_cifar_network_is_that_of_its_loss(photos):
    """By finite differences, in float64, of one weight and one bias of every layer."""
    start = {n: [a.astype(float) for a in own] for n, own in sgd.start(CIFAR, 1).weights.items()}
    weights = {n: (20 * w if n == 1 else w, b) for n, (w, b) in start.items()}  # it sees little
    means, (images, labels) = sgd.average_image(photos), photos

    def acts(changed):
        net = CIFAR.network(changed, means)
        return net, forward(net, net.prepare(images[:2]) / 64)

    net, maps = acts(weights)
    found = backward(net, maps, labels[:2])
    step = 1e-5
    for number, own in weights.items():
        for part in (0, 1):
            place = np.unravel_index(np.abs(found[number][part]).argmax(), own[part].shape)
            losses = []
            for sign in (1, -1):
                bent = [array.copy() for array in own]
                bent[part][place] += sign * step
                losses.append(
                    cross_entropy(acts({**weights, number: tuple(bent)})[1][-1], labels[:2])
                )
            slope = (losses[0] - losses[1]) / (2 * step)
            assert found[number][part][place] == pytest.approx(slope, rel=1e-4), (number, part)


@pytest.fixture
def tiny(tmp_path, digits, monkeypatch) -> Path:
    """A folder like MNIST's, with 100 images to train and 20 to test."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    files = {}
    for part, images, labels in (
        ("train", digits.images[:100], digits.labels[:100]),
        ("t10k", digits.images[100:120], digits.labels[100:120]),
    ):
        contents = {
            f"{part}-images-idx3-ubyte": struct.pack(">4i", 2051, len(images), 28, 28)
            + images.tobytes(),
            f"{part}-labels-idx1-ubyte": struct.pack(">2i", 2049, len(labels)) + labels.tobytes(),
        }
        for name, content in contents.items():
            (folder / name).write_bytes(content)
            files[name] = len(labels), md5(content, usedforsecurity=False).hexdigest()
    # `fdref.weights.mnist` is the function of that name, not the module.
    monkeypatch.setattr(import_module("fdref.weights.mnist"), "FILES", files)
    return folder


@pytest.fixture
def tiny_cifar(tmp_path, photos, monkeypatch) -> Path:
    """A folder like CIFAR-10's, with 30 images to train and 20 to test."""
    monkeypatch.setattr(import_module("fdref.weights.cifar"), "EACH", {"train": 3, "test": 2})
    for number, (image, label) in enumerate(zip(*photos, strict=True)):
        folder = tmp_path / "cifar" / ("train" if number < 30 else "test") / CIFAR.classes[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number:04}.jpg", quality=95)
    return tmp_path / "cifar"


@pytest.mark.large
class TestCifar:
    def train(self, folder: Path, *options: object) -> int:
        return main(["train", "--cifar", str(folder), *map(str, options)])

    def test_it_goes_on_and_writes_a_network_of_colours(
        self, tiny_cifar, tmp_path, capsys, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        assert self.train(tiny_cifar, "--epochs", 3) == 0
        said = capsys.readouterr().out.splitlines()
        assert [line.split(":")[0] for line in said[:3]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
        assert said[3].startswith("wrote cifar.mat: ")
        net = fdref.load("./cifar.mat")
        assert net.classes == CIFAR.classes
        assert net.average.shape == (3, 32, 32)
        assert "fdref train --cifar --epochs 3 --seed 0, CIFAR-10 (JPEG), test" in net.provenance

        train_epoch = sgd.train_epoch
        with monkeypatch.context() as patched:
            calls = []

            def interrupted(*arguments):
                calls.append(None)
                if len(calls) == 2:
                    raise KeyboardInterrupt
                return train_epoch(*arguments)

            patched.setattr(sgd, "train_epoch", interrupted)
            assert self.train(tiny_cifar, "--epochs", 3, "-o", "other.mat") == 130
        assert self.train(tiny_cifar, "--epochs", 3, "-o", "other.mat") == 0
        assert (tmp_path / "other.mat").read_bytes() == (tmp_path / "cifar.mat").read_bytes()

    def test_whitened_it_goes_on_too(self, tiny_cifar, tmp_path, capsys, monkeypatch):
        """To the bit as if nothing had been between its epochs; the first layer is measured."""
        monkeypatch.chdir(tmp_path)
        assert self.train(tiny_cifar, "--whiten", "--epochs", 2) == 0
        assert "wrote cifar-whitened.mat: " in capsys.readouterr().out
        net = fdref.load("cifar-whitened.mat")
        train = fdref.cifar(tiny_cifar).train
        assert net[1] == whitening(train.images)
        assert "fdref train --cifar --whiten --epochs 2 --seed 0, CIFAR-10" in net.provenance
        run = sgd.start(CIFAR_WHITENED.behind(net[1]).lasting(2), 0)
        sgd.save_checkpoint(sgd.train_epoch(run, train), tmp_path / "other.mat.checkpoint")
        assert self.train(tiny_cifar, "--whiten", "--epochs", 2, "-o", "other.mat") == 0
        assert capsys.readouterr().out.startswith("epoch 2/2")
        assert (tmp_path / "other.mat").read_bytes() == (
            tmp_path / "cifar-whitened.mat"
        ).read_bytes()

    def test_a_checkpoint_of_raw_pixels_is_none_of_whitened_ones(
        self, tiny_cifar, tmp_path, capsys
    ):
        sgd.save_checkpoint(sgd.start(CIFAR, 0), tmp_path / "net.mat.checkpoint")
        assert self.train(tiny_cifar, "--whiten", "-o", tmp_path / "net.mat") == 2
        said = capsys.readouterr().err
        assert "is no checkpoint of a training run of cifar-whitened" in said

    def test_a_checkpoint_of_other_learning_rates(self, tiny_cifar, tmp_path, capsys, monkeypatch):
        """How many epochs there are says how long each rate lasts; what is done is as it is."""
        path = tmp_path / "net.mat"
        run = sgd.start(CIFAR.lasting(3), 0)
        train = fdref.cifar(tiny_cifar).train
        for _ in range(3):
            run = sgd.train_epoch(run, train)
        sgd.save_checkpoint(run, tmp_path / "net.mat.checkpoint")
        assert self.train(tiny_cifar, "--epochs", 4, "-o", path) == 2
        said = capsys.readouterr().err
        assert "with --epochs 4 their learning rates are others: delete it to start anew" in said
        assert self.train(tiny_cifar, "--epochs", 3, "-o", path) == 0

    def test_a_checkpoint_of_another_network(self, tiny_cifar, tmp_path, capsys):
        sgd.save_checkpoint(sgd.start(LENET, 0), tmp_path / "net.mat.checkpoint")
        assert self.train(tiny_cifar, "-o", tmp_path / "net.mat") == 2
        assert "is no checkpoint of a training run of cifar" in capsys.readouterr().err


def train(folder: Path, path: Path, *options: object) -> int:
    return main(["train", "--mnist", str(folder), "-o", str(path), *map(str, options)])


@pytest.mark.large
class TestCommand:
    def test_interrupted_and_resumed_is_uninterrupted_bit_for_bit(
        self, tiny, tmp_path, capsys, monkeypatch
    ):
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        one, two = tmp_path / "one" / "lenet.mat", tmp_path / "two" / "lenet.mat"
        assert train(tiny, one, "--epochs", 3, "--seed", 7) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(":")[0] for line in lines[:3]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
        assert all(f"loss {2.3:.1f}" in line and "test error" in line for line in lines[:3])
        assert "min left" in lines[0]
        assert "left" not in lines[2]
        assert lines[3].startswith(f"wrote {one}: ")

        train_epoch, calls = sgd.train_epoch, []

        def interrupted(*arguments):
            calls.append(None)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return train_epoch(*arguments)

        with monkeypatch.context() as patched:
            patched.setattr(sgd, "train_epoch", interrupted)
            assert train(tiny, two, "--epochs", 3, "--seed", 7) == 130
        said = capsys.readouterr().err
        assert said == "fdref: interrupted; the same command goes on after the last epoch\n"
        assert [path.name for path in two.parent.iterdir()] == ["lenet.mat.checkpoint"]
        assert train(tiny, two, "--epochs", 3, "--seed", 7, "--resume") == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(":")[0] for line in lines[:2]] == ["epoch 2/3", "epoch 3/3"]
        assert [path.name for path in two.parent.iterdir()] == ["lenet.mat"]
        assert one.read_bytes() == two.read_bytes()

        net = fdref.load(one)
        assert "--epochs 3 --seed 7" in net.provenance
        expected = sgd.average_image(fdref.mnist(tiny).train)
        assert np.array_equal(net.average, expected)
        assert expected[0, 14, 14] == np.float32(fdref.mnist(tiny).train.images[:, 14, 14].mean())

    def test_resuming_what_is_not_there_or_another_run(self, tiny, tmp_path, capsys):
        path = tmp_path / "lenet.mat"
        assert train(tiny, path, "--resume") == 2
        assert "start without --resume" in capsys.readouterr().err
        sgd.save_checkpoint(sgd.start(LENET, 1), tmp_path / "lenet.mat.checkpoint")
        for option in ([], ["--resume"]):
            assert train(tiny, path, *option) == 2
            said = capsys.readouterr().err
            assert "is of seed 1 after 0 epochs; expected seed 0 and at most 20" in said
        (tmp_path / "lenet.mat.checkpoint").write_bytes(b"damaged")
        assert train(tiny, path, "--resume") == 2
        assert "is no checkpoint" in capsys.readouterr().err
        assert (tmp_path / "lenet.mat.checkpoint").read_bytes() == b"damaged"

    def test_digits_are_not_whitened(self, tiny, tmp_path, capsys):
        assert train(tiny, tmp_path / "lenet.mat", "--whiten") == 2
        said = capsys.readouterr().err
        assert said.startswith("fdref: --whiten comes with --mnist, ")
        assert said.endswith("expected --cifar: leave one of them out\n")
        assert [path.name for path in tmp_path.iterdir()] == ["mnist"]

    def test_an_existing_net_is_never_replaced(self, tiny, tmp_path, capsys):
        (tmp_path / "lenet.mat").write_text("precious")
        assert train(tiny, tmp_path / "lenet.mat", "--resume") == 2
        assert "exists already" in capsys.readouterr().err
        assert (tmp_path / "lenet.mat").read_text() == "precious"

    def test_a_disk_that_refuses_does_so_before_the_first_epoch(
        self, tiny, tmp_path, capsys, monkeypatch
    ):
        def refuse(file, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("fdref.files.folder.write_all", refuse)
        monkeypatch.setattr(sgd, "train_epoch", lambda *arguments: pytest.fail("too late"))
        assert train(tiny, tmp_path / "lenet.mat") == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.endswith("No space left on device\n")
        assert [path.name for path in tmp_path.iterdir()] == ["mnist"]

    def test_whatever_ends_it_early_says_that_it_goes_on(self, tiny, tmp_path, capsys, monkeypatch):
        path, kept = tmp_path / "lenet.mat", []
        write = sgd.save_checkpoint

        def full(run, place):
            if run.epoch == 2:
                raise FileError("no space")
            write(run, place)

        def stopped(*arguments):
            raise SystemExit(143)

        for name, failing, status, said in (
            ("save_checkpoint", full, 2, "no space"),
            ("error_rate", stopped, 143, "stopped"),
        ):
            with monkeypatch.context() as patched:
                patched.setattr(sgd, name, failing)
                assert train(tiny, path, "--epochs", 3) == status
            goes_on = "the same command goes on after the last epoch"
            assert capsys.readouterr().err == f"fdref: {said}; {goes_on}\n"
            kept.append(sgd.read_checkpoint(LENET, tmp_path / "lenet.mat.checkpoint").epoch)
        assert kept == [1, 2]
        assert train(tiny, path, "--epochs", 3) == 0

    @pytest.mark.slow
    def test_killed_anywhere_it_goes_on(self, tiny, tmp_path, monkeypatch):
        """Every epoch is stubbed; the checkpoint is gone when the network is there."""

        def epoch(state, digits, progress):
            return dataclasses.replace(
                state,
                losses=(*state.losses, 0),
                errors=(*state.errors, 0),
                rates=(*state.rates, LENET.rate(state.epoch)),
            )

        monkeypatch.setattr("os.fsync", lambda held: None)
        monkeypatch.setattr(sgd, "train_epoch", epoch)
        monkeypatch.setattr(sgd, "error_rate", lambda net, digits: 0.25)
        data = fdref.mnist(tiny)
        monkeypatch.setattr(fdref, "mnist", lambda folder: data)
        (tmp_path / "kills").mkdir()
        survives(
            tmp_path / "kills",
            lambda folder: None,
            lambda folder: train(tiny, folder / "lenet.mat", "--epochs", 2),
            passing=("lenet.mat.checkpoint",),
            refused_when_done=True,
        )

    def test_when_nobody_reads_on(self, tiny, tmp_path, capsys, monkeypatch):
        """`fdref train | head -1` has not been trained to the end, and does not say so."""

        def closed(*arguments):
            raise BrokenPipeError

        monkeypatch.setattr("fdref.commands.train.tell", closed)
        assert train(tiny, tmp_path / "lenet.mat", "--epochs", 2) == 130
        assert sgd.read_checkpoint(LENET, tmp_path / "lenet.mat.checkpoint").epoch == 1

    def test_progress_on_a_terminal(self, tiny, tmp_path, capsys, monkeypatch):
        bars = Bars(monkeypatch)
        assert train(tiny, tmp_path / "lenet.mat", "--epochs", 2) == 0
        assert [(bar.what, bar.n, bar.total) for bar in bars] == [
            ("epoch 1", 100, 100),
            ("epoch 2", 100, 100),
        ]
