"""Whitening: of known spectra, beside MatConvNet's matrix, and in front of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import fdref
from fdref.errors import ArgumentError
from fdref.training import sgd
from fdref.training.recipe import CIFAR, CIFAR_WHITENED
from fdref.training.whitening import whitening, window_covariance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fdref.arrays import Array


def noise(seed: int, shape: tuple[int, ...], deviation: float = 50.0) -> Array:
    return np.random.default_rng(seed).normal(0, deviation, shape)


def photographs(count: int, side: int = 24) -> Array:
    """Images of three colours that vary as photographs do: coarse more than fine, grey most."""
    colours = np.array([[1.0, 0.5, 0.2], [1.0, 0.0, -0.4], [1.0, -0.5, 0.2]])
    down, across = np.meshgrid(np.fft.fftfreq(64), np.fft.rfftfreq(64), indexing="ij")
    fall = 1 / (down**2 + across**2 + 0.03**2) ** 0.75
    fields = np.fft.irfft2(np.fft.rfft2(noise(0, (count, 3, 64, 64), 1.5)) * fall)
    return np.einsum("cd,ndhw->nchw", colours, fields[..., :side, :side])


def variances(images: Array, average: Array) -> Array:
    """Return the variance of every mix of colours at every frequency, the eigenvalues' spectrum."""
    side = images.shape[-1]
    taper = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2  # edges that meet are no edge
    spectra = np.fft.fft2((images - average) * taper[:, None] * taper, norm="ortho")
    cross = np.einsum("nchw,ndhw->hwcd", spectra, spectra.conj()) / len(images)
    found: Array = np.linalg.eigvalsh(cross) / np.mean(taper**2) ** 2
    return found


def flatness(values: Array) -> float:
    """Return how white variances are: their geometric over their arithmetic mean, 1 where equal."""
    return float(np.exp(np.log(values).mean()) / values.mean())


def whitened(images: Array, **options: float) -> Array:
    net = fdref.Network([whitening(images, **options)], average=images.mean(0))
    return fdref.forward(net, net.prepare(images))[1]


WHITE = 0.95
"""The flatness from which on images are white; of 300 of white noise it is 0.995."""


class TestWhiteness:
    def test_only_whitened_images_are_white(self):
        images = photographs(300)
        assert flatness(variances(noise(1, images.shape), 0)) > WHITE
        assert flatness(variances(images, images.mean(0))) < 0.1
        assert flatness(variances(whitened(images, floor=1), 0)) > WHITE
        assert flatness(variances(whitened(images, floor=1, window=1), 0)) < 0.2  # colours alone

    def test_what_varies_less_than_the_floor_is_not_amplified_to_equal_the_rest(self):
        images = photographs(300)
        before = np.sqrt(variances(images, images.mean(0)))
        middle = float(np.median(before))
        after = np.sqrt(variances(whitened(images, floor=middle), 0))
        gain = np.sqrt(images.var(0).mean()) / middle
        faint, strong = before < middle / 4, before > middle * 4
        assert flatness(after[strong] ** 2) > 0.8
        assert after[faint] / before[faint] == pytest.approx(gain, rel=0.25)
        assert flatness(after**2) < WHITE

    def test_white_images_stay_as_they_are(self):
        kept = np.zeros((3, 3, 5, 5))
        kept[range(3), range(3), 2, 2] = 1
        layer = whitening(noise(0, (2000, 3, 12, 12), 50), window=5)
        assert np.abs(layer.filters - kept).max() < 0.01
        faint = whitening(noise(0, (2000, 3, 12, 12), 5), window=5)  # below the floor, of 10
        assert np.abs(faint.filters - kept / 2).max() < 0.01

    def test_colours_of_different_contrast_come_to_the_same(self):
        deviations = np.array([20.0, 40.0, 80.0])
        images = noise(0, (2000, 3, 12, 12), 1) * deviations[:, None, None]
        layer = whitening(images, window=3)
        mean = np.sqrt((deviations**2).mean())
        gains = layer.filters[:, :, 1, 1]
        assert gains == pytest.approx(np.diag(mean / deviations), abs=0.02)
        assert np.abs(np.delete(layer.filters.reshape(3, 3, 9), 4, axis=2)).max() < 0.02


def test_of_single_pixels_it_is_matconvnets_matrix():
    """There, whole images are whitened, by components of whole images."""
    images = np.random.default_rng(0).normal(0, 1, (400, 5)) @ noise(1, (5, 5), 30) + 100
    layer = whitening(images[:, :, None, None], window=1, floor=20)
    rows = images - images.mean(0)
    directions, deviations, _ = np.linalg.svd(rows.T / np.sqrt(len(rows)))
    assert deviations[-1] < 20 < deviations[-2]
    expected = np.zeros((5, 5))
    for direction, deviation in zip(directions.T, deviations, strict=True):
        gain = np.sqrt((deviations**2).mean()) / max(deviation, 20)
        expected += gain * np.outer(direction, direction)
    assert layer.filters[:, :, 0, 0] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_covariance_is_that_of_all_pairs_of_pixels():
    """Beside plain loops over two pixels of a window, and over all places of the two."""
    images = noise(0, (130, 2, 4, 5), 3) + np.arange(5)
    rows = images - images.mean(0)
    places = [(c, y, x) for c in range(2) for y in range(3) for x in range(3)]
    expected = np.empty((18, 18))
    for i, (c, y, x) in enumerate(places):
        for j, (d, v, u) in enumerate(places):
            products = [
                rows[:, c, top + y - v, left + x - u] * rows[:, d, top, left]
                for top in range(4)
                for left in range(5)
                if 0 <= top + y - v < 4 and 0 <= left + x - u < 5
            ]
            expected[i, j] = np.mean(products)
    told: list[int] = []
    found = window_covariance(images, 3, told.append)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert told == [100, 30]
    bytes_ = (images * 10 + 128).clip(0, 255).astype(np.uint8)
    doubles = bytes_.astype(float)
    assert np.array_equal(window_covariance(bytes_, 3), window_covariance(doubles, 3))


GOOD = np.random.default_rng(0).integers(0, 256, (20, 3, 9, 8)).astype(np.uint8)
REFUSED: Mapping[str, tuple[dict[str, object], str]] = {
    "no array": ({"images": "cifar"}, "images"),
    "complex": ({"images": GOOD * 1j}, "images have dtype complex128"),
    "three axes": ({"images": GOOD[0]}, r"images have shape \(3, 9, 8\); expected \(N, C, H, W\)"),
    "none": ({"images": GOOD[:0]}, r"shape \(0, 3, 9, 8\); expected .*none of 0"),
    "one": ({"images": GOOD[:1]}, "all the same; expected some that differ"),
    "the same": ({"images": np.full((7, 1, 8, 8), 0.1)}, "all the same"),
    "NaN": ({"images": np.where(GOOD > 250, np.nan, GOOD)}, "NaN, infinity or numbers too large"),
    "infinity": ({"images": np.where(GOOD > 250, np.inf, GOOD)}, "NaN, infinity or numbers too"),
    "huge": ({"images": GOOD * 1e300}, "too large to be squared; expected finite pixels"),
    "even": ({"window": 4}, "window is 4; expected an odd number"),
    "large": ({"window": 9}, "window is 9; expected a whole number from 1 to 8"),
    "a true window": ({"window": True}, "window is True"),
    "no floor": ({"floor": 0}, "floor is 0; expected more"),
    "below 0": ({"floor": -1}, "floor is -1; expected"),
    "a floor of NaN": ({"floor": np.nan}, "floor is nan; expected"),
    "progress": ({"progress": 5}, "progress is 5; expected a function"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("error")
def test_what_cannot_be_whitened_is_refused(name):
    wrong, said = REFUSED[name]
    with pytest.raises(ArgumentError, match=said) as refusal:
        whitening(**{"images": GOOD, **wrong})
    assert "\n" not in str(refusal.value)


@pytest.fixture(scope="module")
def photos() -> fdref.Photos:
    """Few, with labels that their brightness tells."""
    labels = (np.arange(60) % 10).astype(np.uint8)
    images = photographs(60, 32) / 4 + 12.0 * labels[:, None, None, None] + 60
    return fdref.Photos(images.clip(0, 255).astype(np.uint8), labels)


@pytest.fixture(scope="module")
def trained(photos) -> tuple[fdref.Conv, sgd.Training, fdref.Network]:
    """The layer, two epochs of the others, and the network."""
    layer = whitening(photos.images)
    run = sgd.start(CIFAR_WHITENED.behind(layer).lasting(2), 3)
    for _ in range(2):
        run = sgd.train_epoch(run, photos)
    return layer, run, run.recipe.network(run.weights, sgd.average_image(photos))


class TestNetwork:
    """The CIFAR network behind a layer that whitens."""

    def test_the_layer_stays_and_the_others_learn(self, trained):
        layer, run, net = trained
        assert net[1] == layer
        assert (net[1].name, net.map_sizes(32)[1]) == ("whitening", (32, 32))
        assert [*run.weights] == [2, 5, 8, 11, 13] == [n + 1 for n in CIFAR.learned]
        begun = sgd.start(run.recipe, 3).weights
        assert all(not np.array_equal(w, begun[n][0]) for n, (w, _) in run.weights.items())
        raw = sgd.start(CIFAR, 3).weights  # one seed, one beginning, whitened or not
        assert all(np.array_equal(w, begun[n + 1][0]) for n, (w, _) in raw.items())

    def test_a_checkpoint_is_of_the_one_or_the_other(self, trained, tmp_path):
        _, run, _ = trained
        sgd.save_checkpoint(run, tmp_path / "checkpoint")
        again = sgd.read_checkpoint(run.recipe, tmp_path / "checkpoint")
        assert again.losses == run.losses
        with pytest.raises(fdref.FileError, match="no checkpoint of a training run of cifar "):
            sgd.read_checkpoint(CIFAR, tmp_path / "checkpoint")

    @pytest.mark.parametrize("name", ["net.mat", "net.onnx"])
    def test_what_was_written_is_read(self, trained, photos, tmp_path, name):
        if name.endswith("onnx"):
            pytest.importorskip("onnx")
        _, _, net = trained
        fdref.save(net, tmp_path / name)
        again = fdref.load(tmp_path / name)
        x, y = net.prepare(photos.images), again.prepare(photos.images)
        if name.endswith("mat"):
            assert again == net
        assert np.allclose(fdref.forward(net, x)[-1], fdref.forward(again, y)[-1], atol=1e-5)

    def test_decoded_filters_are_of_pixels(self, trained, photos, engine):
        """What a filter answers to whitened pixels, its picture does to pixels, whitened or not."""
        layer, _, net = trained
        bank = fdref.decode(net, "conv1", engine=engine)
        assert bank.shape == (32, 3, 11, 11)
        x = net.prepare(photos.images[:4])
        answers = fdref.forward(net, x)[2] - net[2].bias[:, None, None]
        inner = answers[:, :, 5:-5, 5:-5]
        assert np.allclose(inner, fdref.correlate(x, bank), rtol=0, atol=1e-5 * np.abs(inner).max())

        *_, over_whitened, over_pixels = fdref.stages(net, "conv2", [0, 5], engine=engine)
        crossed = fdref.substitute(over_whitened, layer.filters)
        largest = np.abs(over_pixels).max()
        assert np.allclose(crossed, over_pixels, rtol=0, atol=1e-5 * largest)
        bank = fdref.decode(net, "conv2", [0, 5], engine=engine)
        assert np.allclose(bank, over_pixels, rtol=0, atol=1e-5 * largest)


@pytest.mark.slow
def test_photographs_are_whitened(shared):
    """What varies by more than the floor, a third of all that there is."""
    train = fdref.cifar(shared / "cifar" / "cifar10-jpeg.tar.xz").train.images
    layer = whitening(train)
    net = fdref.Network([layer], average=train.mean(0).astype(np.float32))
    some = net.prepare(train[::50])
    before, after = (variances(maps, 0) for maps in (some, fdref.forward(net, some)[1]))
    strong = before > 10**2
    assert flatness(before[strong]) < 0.2
    assert flatness(after[strong]) > WHITE
