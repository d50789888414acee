"""Inversion beside PyTorch's L-BFGS: the same problem, to the same error.

PyTorch's search knows no bounds, and searches all images as one problem. So ours, of 400 iterations
for each image, is timed without bounds, and PyTorch's until its error is as small; with as long a
memory as suits it best. Ours within bounds, as one inverts digits, is timed by itself: its error is
a hundred times smaller after as many iterations.
"""

from __future__ import annotations

from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from absence import absent
from sides import OURS, describe

import fdref
from fdref.engines import engine_named
from fdref.measure.image_search import Objective, Range, View, starts_of
from fdref.measure.inversion import Mismatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

    from fdref.arrays import Array

DIGITS, LAYER, ITERATIONS, QUICK = 6, 5, 400, 5
INVERT = "invert: six digits at layer 5, 400 iterations (PyTorch: LBFGS to the same error)"
BOUNDED = "invert: six digits at layer 5, 400 iterations, within bounds"
MEMORIES = (10, 100)
"""Steps that PyTorch remembers."""
PATIENCE = 10
"""PyTorch's evaluations at most, as a multiple of ours: what then took as long took longer."""
EQUAL = 1e-4  # float32: the largest pixel's gradient is a sum of some thousand terms


class Task:
    """Six digits' codes, and where their search starts."""

    def __init__(self, iterations: int) -> None:
        self.net, self.iterations = fdref.load(), iterations
        self.digits = fdref.mnist().test.images[:DIGITS]
        self.code = fdref.forward(self.net, self.net.prepare(self.digits), last=LAYER)[-1]
        self.start = starts_of(self.net, DIGITS, None, None, Range(0, 255), 0)

    def invert(self, bounds: tuple[float, float]) -> fdref.Inversion:
        return fdref.invert(
            self.net, self.code, LAYER, self.start, bounds, iterations=self.iterations
        )

    def gradients(self, pixels: Array) -> Array:
        """Return ours."""
        view = View(self.net, [LAYER], engine_named("compiled"))
        objective = Objective(view, {LAYER: Mismatch(self.code)})
        return objective(pixels.astype(np.float64), range(DIGITS))[1]


class Peer:
    """The same with PyTorch: its forward pass, its autograd, its search."""

    def __init__(self, task: Task) -> None:
        import torch
        from peers import pytorch

        self.torch, self.task = torch, task
        answer = pytorch.differentiable(task.net, LAYER)
        assert task.net.average is not None
        average, code = torch.tensor(np.array(task.net.average)), torch.tensor(task.code)
        norms = (code**2).sum((1, 2, 3))

        def errors(pixels: Any) -> Any:
            return ((answer(pixels - average) - code) ** 2).sum((1, 2, 3)) / norms

        self.errors: Callable[[Any], Any] = errors

    def gradients(self, pixels: Array) -> Array:
        """Return autograd's."""
        images = self.torch.tensor(pixels.astype(np.float32), requires_grad=True)
        found: Array = self.torch.autograd.grad(self.errors(images).sum(), images)[0].numpy()
        return found

    def search(self, goal: float, memory: int) -> tuple[float, int]:
        """Go on until the error is as small; return it, and how often it was evaluated."""
        images = self.torch.tensor(self.task.start.astype(np.float32), requires_grad=True)
        most = PATIENCE * self.task.iterations
        search = self.torch.optim.LBFGS(
            [images],
            max_iter=most,
            max_eval=most,
            tolerance_grad=0,
            tolerance_change=0,
            history_size=memory,
            line_search_fn="strong_wolfe",
        )
        reached, count = inf, 0

        def closure() -> Any:
            nonlocal reached, count
            search.zero_grad()
            errors = self.errors(images)
            total = errors.sum()
            total.backward()
            reached, count = float(errors.detach().mean()), count + 1
            if reached <= goal:
                raise Reached
            return total

        with suppress(Reached):
            search.step(closure)
        return reached, count


class Reached(Exception):  # noqa: N818 - what was wanted
    """The error is as small as ours."""


@pytest.fixture
def task(benchmark: BenchmarkFixture) -> Task:
    return Task(ITERATIONS if benchmark.enabled else QUICK)


@pytest.mark.large
def test_inversion(benchmark: BenchmarkFixture, task: Task) -> None:
    describe(benchmark, INVERT, OURS)
    found = benchmark.pedantic(task.invert, ((-inf, inf),), rounds=3, warmup_rounds=1)
    benchmark.extra_info.update(error=found.errors.mean())


@pytest.mark.large
def test_inversion_with_pytorch(benchmark: BenchmarkFixture, task: Task) -> None:
    try:
        peer = Peer(task)
    except ModuleNotFoundError as error:
        absent("peers", f"{error.name} is not installed")
    random = np.random.default_rng(0)
    for pixels in (task.start, random.uniform(0, 255, task.start.shape)):
        expected = peer.gradients(pixels)
        assert abs(task.gradients(pixels) - expected).max() <= EQUAL * abs(expected).max()
    goal = float(task.invert((-inf, inf)).errors.mean())
    memory = MEMORIES[0]
    if benchmark.enabled:
        memory = min(MEMORIES, key=lambda memory: peer.search(goal, memory)[1])
    describe(benchmark, INVERT, "PyTorch")
    reached, count = benchmark.pedantic(peer.search, (goal, memory), rounds=3)
    benchmark.extra_info.update(error=reached, goal=goal, memory=memory, evaluations=count)


@pytest.mark.large
def test_inversion_within_bounds(benchmark: BenchmarkFixture, task: Task) -> None:
    describe(benchmark, BOUNDED, OURS)
    found = benchmark.pedantic(task.invert, ((0, 255),), rounds=3, warmup_rounds=1)
    benchmark.extra_info.update(error=found.errors.mean())
    if benchmark.enabled:
        assert found.errors.mean() < 1e-7
