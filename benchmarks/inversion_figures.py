"""How well images are recovered from layers' codes: error, and correlation of pixels.

`python benchmarks/inversion_figures.py` inverts the first digits of the shipped sample at four
layers of LeNet, within bounds; --count, --seed and --iterations say how many, and otherwise.
"""

from __future__ import annotations

import argparse
import time

import machine
import numpy as np

import fdref

LAYERS = (3, 5, 6, 7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--free", action="store_true", help="without bounds on the pixels")
    options = parser.parse_args()
    net, digits = fdref.load(), fdref.mnist().test.images[: options.count]
    acts = fdref.forward(net, net.prepare(digits))
    bounds = (-np.inf, np.inf) if options.free else (0, 255)
    print(
        f"{'layer':24}{'error':>10}{'median':>10}{'pixels':>8}{'dead':>6}{'evaluations':>13}{'s':>8}"
    )
    for layer in LAYERS:
        begun = time.perf_counter()
        found = fdref.invert(
            net,
            acts[layer],
            layer,
            bounds=bounds,
            iterations=options.iterations,
            seed=options.seed,
        )
        seconds = time.perf_counter() - begun
        alike = [
            np.corrcoef(one.ravel(), other.ravel())[0, 1]
            for one, other in zip(found.images, digits, strict=True)
        ]
        print(
            f"{net.describe(layer):24}{found.errors.mean():10.1e}{np.median(found.errors):10.1e}"
            f"{np.mean(alike):8.3f}{found.dead.any(axis=1).sum():6}{found.evaluations.mean():13.1f}"
            f"{seconds:8.2f}"
        )
    print(machine.these_conditions())


if __name__ == "__main__":
    main()
