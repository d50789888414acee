"""Figures of the sibling methods, beside those that a prototype measured before any of this code.

`python benchmarks/sibling_figures.py NAME` measures one of them and prints both: `switches`,
`noise`, `specificity`, `alike`, `window`, `ceiling`, `occlusion`, `correspondence`. --mnist DIR
takes MNIST's test images in place of the 1,000 that ship; `alike` and `window` are about the
network of photographs and need --cifar FILE|DIR; --count says how much of it is done. The
prototype's network of photographs was another one than that which ships.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

import machine
import numpy as np

import fdref
from fdref.drawing.text_table import table
from fdref.measure.correspondence import correspondence
from fdref.measure.evaluation import compare
from fdref.measure.ranks import rank_correlation
from fdref.measure.ridge import STRENGTHS, fit, moments
from fdref.paper.comparisons import mean_of
from fdref.paper.hidden_parts import hidden, ink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray


class Set(NamedTuple):
    """Labelled images."""

    images: NDArray[np.uint8]
    labels: NDArray[np.integer]


class Figure(NamedTuple):
    """What is measured, what the prototype saw, and what is seen here."""

    name: str
    prototype: str
    here: str


if TYPE_CHECKING:
    Figures = Iterator[Figure]


def switches(_: Set, count: int) -> Figures:
    """The mean over settings of the switches, of LeNet's layer 5."""
    found = fdref.mean_over_switches(fdref.load(), 5, range(0, 500, 50), count)
    alike = f"{found.correlations.mean():.5f}"
    yield Figure("layer 5: correlation with the mean over switches", "0.99989", alike)
    yield Figure("layer 5: differences, in standard errors", "about 1", f"{found.surprise:.3f}")


def noise(_: Set, count: int) -> Figures:
    """The best linear filter for white noise, of LeNet."""
    net, seen = fdref.load(), {5: ("0.984 to 0.987", "0.98"), 7: ("", "0.503")}
    for layer, (correlation, gain) in seen.items():
        plain = fdref.best_for_noise(net, layer, samples=count)
        yield Figure(
            f"layer {layer}: correlation", correlation, f"{mean_of(plain.correlations):.3f}"
        )
        yield Figure(f"layer {layer}: gain", gain, f"{plain.gains.mean():.3f}")
    gated = fdref.best_for_noise(net, 7, samples=count, gated=True)
    alike, gain = mean_of(gated.correlations), gated.gains.mean()
    yield Figure("layer 7, ReLU weighted: correlation, gain", "", f"{alike:.3f}, {gain:.3f}")


def specificity(digits: Set, count: int) -> Figures:
    """Whether the mean of LeNet's top nine projections knows its neuron."""
    net, images = fdref.load(), digits.images[:count]
    for layer, seen in {3: "100 %, 0.946", 5: "99.8 %, 0.801", 7: "100 %, 0.569"}.items():
        top = fdref.strongest(net, images, layer)
        pictures = top.projections("deconvnet").mean(axis=1)
        own = fdref.specificity(net, pictures, layer)
        here = f"{own.found:.1%}, {mean_of(own.own):.3f}"
        yield Figure(f"layer {layer}: own filter found, correlation with it", seen, here)


def alike(photos: Set, count: int) -> Figures:
    """How alike pictures of different neurons are of one image, in the deepest hidden layer."""
    net, images = fdref.load("cifar"), photos.images[:count]
    layer, expected = net.decodable[-2], {
        "gradient": ("0.15 to 0.37", "60 %"),
        "deconvnet": ("0.75 to 0.80", "11 %"),
        "guided": ("0.94 to 0.95", "13 %"),
    }  # fmt: skip
    x = net.prepare(images[:40])
    acts = fdref.forward(net, x, last=layer)
    top = fdref.strongest(net, images, layer)
    for rule, (between, found) in expected.items():
        several = []
        for n in range(len(x)):
            best = np.argsort(-acts[layer][n, :, 0, 0])[:8]
            kept = np.array([[n, k, 0, 0] for k in best])
            rows = fdref.project(net, acts, layer, kept, rule).reshape(len(kept), -1)
            with np.errstate(invalid="ignore"):  # of a picture that is the same everywhere
                products = np.corrcoef(rows)
            several.append(mean_of(products[np.triu_indices(len(kept), 1)]))
        own = fdref.specificity(net, top.projections(rule).mean(axis=1), layer)
        yield Figure(f"{rule}: of an image's strongest neurons, alike", between,
                     f"{mean_of(np.array(several)):.2f}")  # fmt: skip
        yield Figure(f"{rule}: own filter found (chance {own.chance:.1%})", found,
                     f"{own.found:.1%}")  # fmt: skip


def window(photos: Set, count: int) -> Figures:
    """What `window` unpooling gains where pools overlap."""
    random = np.random.default_rng(0)
    errors: dict[str, list[float]] = {"nearest": [], "window": []}
    for _ in range(count // 10):
        banks = random.standard_normal((3, 1, 3, 3)), random.standard_normal((1, 3, 3, 3))
        layers = [fdref.Conv(banks[0]), fdref.Pool(3, 2, method="avg"), fdref.Conv(banks[1])]
        net = fdref.Network(layers)
        x = random.standard_normal((1, 1, *fdref.receptive_field(net, 3).size))
        response = fdref.forward(net, x, "reference")[-1].item()
        for method, own in errors.items():
            bank = fdref.decode(net, 3, unpool=method, engine="reference")
            picture = bank * (1 if method == "window" else 1 / 4)  # copies weigh the stride's area
            own.append(abs((x * picture).sum() - response) / abs(response))
    for method, seen in (("nearest", "125 %"), ("window", "2e-15")):
        middle = float(np.median(errors[method]))
        yield Figure(f"overlapping averages, {method}: median error", seen,
                     f"{middle:.1e}" if middle < 1e-3 else f"{middle:.0%}")  # fmt: skip
    net = fdref.load("cifar")
    images = photos.images[:count]
    for layer, seen in {7: "0.340, 0.370", 12: "0.449, 0.459"}.items():
        here = [
            fdref.evaluate(net, images, layers=layer, unpool=method)[layer].correlation
            for method in ("nearest", "window")
        ]
        name = f"cifar, layer {layer}: correlation by nearest, by window"
        yield Figure(name, seen, ", ".join(f"{value:.3f}" for value in here))


def ceiling(digits: Set, count: int) -> Figures:
    """The best linear filter of few images, plain and with a ridge: LeNet's layer 5, eq. 3."""
    net, layer = fdref.load(), 5
    some = digits.images[:: max(1, len(digits.images) // count)][:count]
    x = net.prepare(some)
    response = fdref.forward(net, x, last=layer)[layer]
    size = fdref.receptive_field(net, layer).size
    assert x.shape[2:] == size
    fitted, tested = slice(0, None, 2), slice(1, None, 2)
    pixels, answers = (own.reshape(len(x), -1).astype(np.float64) for own in (x, response))
    sums = moments(pixels[fitted], answers[fitted])
    errors = {}
    for strength in STRENGTHS[1::2]:
        own = fit(sums, strength, "linear")
        predicted = pixels[tested] @ own.filters + own.offset
        maps = predicted.reshape(response[tested].shape)
        errors[strength] = float(compare(response[tested], maps)[0].mean())
    rest = ((answers[tested] - pixels[tested] @ fit(sums, 0.0, "linear").filters) ** 2).sum()
    raw = 1 - rest / ((answers[tested] - answers[tested].mean(axis=0)) ** 2).sum()
    bank = fdref.decode(net, layer, unpool="nearest").reshape(answers.shape[1], -1)
    decoded = (pixels[tested] @ bank.T).reshape(response[tested].shape)
    own_error = float(compare(response[tested], decoded)[0].mean())
    yield Figure("least squares, eq. 3", "0.0356", f"{errors[0.0]:.4f}")
    yield Figure("the best ridge, eq. 3", "0.0082", f"{min(errors.values()):.4f}")
    yield Figure("the decoded filter, eq. 3", "0.0130", f"{own_error:.4f}")
    yield Figure("least squares, raw R2", "-254", f"{raw:.0f}")


def occlusion(digits: Set, count: int) -> Figures:
    """Whether the true class's probability drops with the ink that a 7x7 square covers."""
    net = fdref.load()
    chosen = np.linspace(0, len(digits.images) - 1, count).round().astype(int)
    pixels, labels = digits.images[chosen][:, None], digits.labels[chosen].astype(int)
    covered = [hidden(ink(one), 7, 1) for one in pixels]
    for value, seen in {"background": ".66", "average": ".41", 127.5: ".17", 255.0: "-.01"}.items():
        found = fdref.occlude(net, net.prepare(pixels), 7, 1, value, labels=labels)
        pairs = zip(found.probability, covered, strict=True)
        told = mean_of(np.array([rank_correlation(-own, part) for own, part in pairs]))
        yield Figure(f"square shows {value}: rank correlation", seen, f"{told:.2f}")


def corresponding(digits: Set, count: int) -> Figures:
    """How alike five digits of a class change, hidden at the same place or at any.

    Of the prototype neither the layer nor what the square shows is known.
    """
    net, random = fdref.load(), np.random.default_rng(0)
    for layer in (5, 7):
        for value in ("background", 127.5, 255.0):
            same, other = [], []
            for group in range(count // 5):
                of_class = np.flatnonzero(digits.labels == group % 10)
                x = net.prepare(digits.images[random.choice(of_class, 5, replace=False)])
                most = x.shape[2] - 7
                for found, places in (
                    (same, np.tile(random.integers(0, most + 1, (5, 2)), (1, 5)).reshape(5, 5, 2)),
                    (other, random.integers(0, most + 1, (5, 5, 2))),
                ):
                    own = [correspondence(net, x, at, 7, layer, value).mean for at in places]
                    found.append(float(np.mean(own)))
            name = f"layer {layer}, square shows {value}: same place, any"
            told = (f"{np.mean(own):.2f} +- {np.std(own):.2f}" for own in (same, other))
            yield Figure(name, ".21 +- .06, .46 +- .03", ", ".join(told))


MEASURED: dict[str, tuple[Callable[[Set, int], Iterator[Figure]], int, str]] = {
    "switches": (switches, 1_000, "settings of each of ten filters' switches"),
    "noise": (noise, 20_000, "images of noise"),
    "specificity": (specificity, 70_000, "digits, at most"),
    "alike": (alike, 2_000, "photographs"),
    "window": (window, 1_000, "photographs, and a tenth as many random networks"),
    "ceiling": (ceiling, 1_000, "digits, half of which are fitted to"),
    "occlusion": (occlusion, 200, "digits"),
    "correspondence": (corresponding, 200, "digits"),
}
PHOTOS = ("alike", "window")


def read(options: argparse.Namespace) -> Set:
    """Read what a figure is about."""
    if options.name in PHOTOS:
        if options.cifar is None:
            raise SystemExit(f"{options.name} is about photographs: name CIFAR-10 with --cifar")
        return Set(*fdref.cifar(options.cifar).test)
    return Set(*fdref.mnist(options.mnist).test)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=MEASURED)
    parser.add_argument("--mnist", metavar="DIR")
    parser.add_argument("--cifar", metavar="FILE|DIR")
    parser.add_argument("--count", type=int, help="how many, of whatever the figure is about")
    options = parser.parse_args(arguments)
    measure, usual, what = MEASURED[options.name]
    count = options.count or usual
    rows = [[*figure] for figure in measure(read(options), count)]
    print(f"{measure.__doc__.splitlines()[0]} {count:,} {what}.\n")
    print(table(("figure", "prototype", "here"), rows))
    print(machine.these_conditions())


if __name__ == "__main__":
    main()
