"""The scripts measure, add up and report what they say; no figure is expected of them."""

from __future__ import annotations

import copy
import json
import os
import sys
from itertools import combinations
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cost_curves
import fit_costs
import numpy as np
import planner
import pytest
import report
import sibling_figures
import speed_report
import ways
from colour_vision import MATRICES, distance
from colours import THREE
from matplotlib.colors import to_rgb
from matplotlib.image import imread

import fdref
from fdref.decoding.ways import Ways

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What planner.py writes."""
    folder = tmp_path_factory.mktemp("planner")
    with pytest.MonkeyPatch.context() as patch:
        arguments = ["--quick", str(folder / "planner.json"), "--picture", str(folder / "a.png")]
        patch.setattr(sys, "argv", ["planner.py", *arguments])
        planner.main()
    assert imread(folder / "a.png").ndim == 3
    found = json.loads((folder / "planner.json").read_text())
    assert found["others"] >= 0
    assert found["processors"] == os.cpu_count()
    (folder / "planner.json").write_text(json.dumps(found | {"others": 0.0}))  # whatever it was
    return folder / "planner.json"


@pytest.mark.large
def test_every_way_is_gone_and_every_plan_compared(planned: Path) -> None:
    found, net = json.loads(planned.read_text()), fdref.load()
    for unpool in fdref.engines.resize.METHODS:
        counts = [(3, 1), (3, 6), (5, 1), (5, 62), (7, 1), (7, 2)]
        counts += [(layer, net.channels[layer]) for layer in net.decodable]
        expected = {
            (way.layer, way.filters, way.kind, way.boundary)
            for layer, count in counts
            for way in Ways(net, unpool, 4).all_to(layer, count)
        }
        rows = [way for way in found["ways"] if way["unpool"] == unpool]
        names = ("layer", "filters", "kind", "boundary")
        assert {tuple(way[name] for name in names) for way in rows} == expected
        assert all(way["measured"] > 0 for way in rows)
        assert sum(way["chosen"] for way in rows) >= len(net.decodable)
    assert len(found["cases"]) == 10 * len(fdref.engines.resize.METHODS)
    assert all(case["regret"] >= 1 for case in found["cases"])


def test_the_fastest_plan_is_put_together_from_all_ways() -> None:
    """Where a bank takes longer than it saves, the way that stands on it is none."""
    net = fdref.load()
    timed: planner.Measured = {
        (layer, count): [
            ways.Timed(way, cost[way.kind, way.boundary])
            for way in Ways(net, "nearest", 4).all_to(layer, count)
            if (way.kind, way.boundary) in cost
        ]
        for layer, count, cost in [
            (1, 20, {("from above", 0): 1.0}),
            (3, 50, {("from above", 0): 9.0, ("atoms", 2): 5.0}),
            (5, 9, {("from above", 0): 20.0, ("atoms", 2): 18.5, ("atoms", 4): 10.0}),
        ]
    }
    best = planner.fastest(net, planner.Case("some", {5: 9}), timed)
    assert {planner.name_of(way) for way in best} == {"5 atoms 4", "3 atoms 2", "1 from above"}
    timed[3, 50] = [ways.Timed(timed[3, 50][0].way, 9.6)]
    best = planner.fastest(net, planner.Case("some", {5: 9}), timed)
    assert {planner.name_of(way) for way in best} == {"5 atoms 2", "1 from above"}


def test_a_run_that_is_given_up_is_taken_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two filters are ready after 3 seconds, two more every second: 100 after 52."""
    clock = iter([0.0, 3.0, *range(4, 100)])
    monkeypatch.setattr(ways, "perf_counter", lambda: float(next(clock)))
    blocks = (SimpleNamespace(pictures=np.zeros((2, 1, 1, 1))) for _ in range(50))
    assert ways.seconds(blocks, 100, patience=3.5) == 52


def test_constants_are_found_again() -> None:
    """Ways that take exactly what other constants say."""
    rng = np.random.default_rng(0)
    counts = np.exp(rng.uniform(-5, 5, (80, len(fit_costs.COUNTED)))) / fit_costs.constants()
    known = rng.uniform(0.3, 3, len(fit_costs.COUNTED)) * fit_costs.constants()
    rows = [
        {"cost": dict(zip(fit_costs.COUNTED, row, strict=True))}
        | {"estimated": row @ fit_costs.constants() + 5e-5, "measured": row @ known + 2e-4}
        for row in counts
    ]
    columns, once = fit_costs.counted(rows)
    assert once == pytest.approx(5e-5)
    times = np.array([row["measured"] for row in rows])
    start = np.array([*fit_costs.constants(), once])
    assert fit_costs.fitted(columns, times, start) == pytest.approx([*known, 2e-4], rel=1e-3)


@pytest.mark.large
def test_curves_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--quick", "--picture", str(tmp_path / "curves.png")]
    monkeypatch.setattr(sys, "argv", ["cost_curves.py", *arguments])
    cost_curves.main()
    assert imread(tmp_path / "curves.png").ndim == 3


def test_exponents_are_those_of_powers() -> None:
    """Of n and of the factor with one more, whatever is multiplied; zeros have no logarithm."""
    powers = {n: 0.3 * n**1.5 for n in (1, 2, 4, 8, 16)}
    assert cost_curves.growth(powers, "log") == "n^1.50"
    assert cost_curves.growth({n: 5 * 3.0**n for n in (2, 3, 5)}, "linear") == "3.00^n"
    assert cost_curves.growth({1: 0.0, 2: 2.0, 4: 8.0}, "log") == "n^2.00"
    assert cost_curves.growth({1: 0.0, 2: 2.0}, "log") == ""


def test_memory_is_measured_beside_the_result() -> None:
    net = fdref.load()
    (way,) = (way for way in Ways(net, "nearest", 4).all_to(7, 10) if way.kind == "from above")
    found = cost_curves.peak(net, {7: range(10)}, (way,))
    assert 10 * 50 * 8 * 8 * 4 < found < 2**24  # it holds at least a picture of each filter


@pytest.mark.parametrize(
    ("name", "count", "rows"),
    [("switches", 4, 2), ("noise", 30, 5), ("specificity", 20, 3), ("alike", 12, 6),
     ("window", 20, 4), ("ceiling", 40, 4), ("occlusion", 1, 4), ("correspondence", 5, 6)],
)  # fmt: skip
def test_figures_are_measured_beside_a_prototypes(
    name: str, count: int, rows: int, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    photos = random.integers(0, 256, (20, 3, 32, 32), np.uint8), np.arange(20) % 10
    monkeypatch.setattr(fdref, "cifar", lambda path: SimpleNamespace(test=photos))
    sibling_figures.main([name, "--cifar", "anything", "--count", str(count)])
    said = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert said[0].split() == ["figure", "prototype", "here"]
    assert len(said) == 1 + rows + 1  # and the machine
    assert not any("nan" in line for line in said)


def test_photographs_have_to_be_named() -> None:
    with pytest.raises(SystemExit, match=r"^window is about photographs: .* with --cifar$"):
        sibling_figures.main(["window"])


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    page = tmp_path / "README.md"
    page.write_text("a\n<!-- benchmarks -->\nold\n<!-- /benchmarks -->\nb\n")
    return page


@pytest.fixture
def measuring(tmp_path: Path) -> Path:
    page = tmp_path / "measuring.md"
    page.write_text("c\n<!-- planner -->\nold\n<!-- /planner -->\nd\n")
    return page


@pytest.fixture
def write(readme: Path, measuring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Report what was measured, and perhaps what planner.py wrote; return README.md."""

    def report_all(benchmarks: list[Any], *planner: Path) -> str:
        speed = tmp_path / "speed.json"
        speed.write_text(json.dumps(MEASURED | {"benchmarks": benchmarks}))
        pages = ["--readme", readme, "--measuring", measuring]
        arguments = [speed, *planner, *pages, "--pictures", tmp_path]
        monkeypatch.setattr(sys, "argv", ["report.py", *map(str, arguments)])
        report.main()
        return readme.read_text()

    return report_all


def test_the_readme_is_written_between_its_markers(
    write: Any, measuring: Path, tmp_path: Path, planned: Path
) -> None:
    page = write(MEASURED["benchmarks"], planned)
    assert "old" not in page
    assert page.startswith("a\n<!-- benchmarks -->\n|  | fdref | against PyTorch |")
    assert "| decode: much | 2 s | 8.0 |" in page  # half of it took PyTorch 8 seconds
    assert (
        "| its products alone: 3e+09 multiply-adds, 2 to 8 GFLOPS layer by layer | 1.5 s |" in page
    )
    assert "| decoding, as a multiple of the products alone | 1.3 |" in page
    assert "| farthest from float64, of a layer's largest value | 1.6e-06 |" in page
    assert "| its result, 400 MB, copied at 4.0 GB/s | 100 ms |" in page
    assert "abacus, 3 threads on every side; Python 3.11, NumPy 2, openblas 0.3 for Abacus" in page
    assert page.endswith("<!-- /benchmarks -->\nb\n")
    other = measuring.read_text()
    assert "old" not in other
    assert other.startswith("c\n<!-- planner -->\n|")
    assert "](../benchmarks/planner.png)" in other
    assert other.endswith("<!-- /planner -->\nd\n")
    assert {path.name for path in tmp_path.glob("*.png")} == {"ratios.png", "planner.png"}


def test_no_number_goes_from_the_readme(write: Any, readme: Path, tmp_path: Path) -> None:
    """A row less, a peer less, one cell less: nothing is written. Other digits are no loss."""
    more = [
        entry("other", "fdref", 1.0),
        entry("other", "PyTorch", 1.0),
        entry("other", "SciPy", 1.0),
        entry("decode: much", "SciPy", 8.0),
    ]
    write([*MEASURED["benchmarks"], *more])
    written = everything_in(tmp_path)
    for lost in ([0], [1], [2], [4, 5, 6], [5], [6], [6, 7]):
        left = [*MEASURED["benchmarks"], *more]
        left = [one for number, one in enumerate(left) if number not in lost]
        with pytest.raises(SystemExit, match=r"^\d rows of README.md's benchmarks would lose"):
            write(left)
        assert everything_in(tmp_path) == written
    again = copy.deepcopy([*MEASURED["benchmarks"], *more])
    again[2]["extra_info"] |= {"result": 5e8, "products": [[1.5e9, 1.0]]}
    assert "| its result, 500 MB, copied at 4.0 GB/s |" in write(again)


def everything_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}


@pytest.mark.parametrize("who", [0, 1])
def test_a_ratio_is_marked_where_rounds_differ(write: Any, who: int) -> None:
    for spread, cell in ((1.29, "8.0"), (1.31, "8.0 (?)")):
        benchmarks = copy.deepcopy(MEASURED["benchmarks"])
        benchmarks[who]["stats"]["q3"] = spread * benchmarks[who]["stats"]["q1"]
        assert f"| decode: much | 2 s | {cell} |" in write(benchmarks)


def test_a_busy_machine_is_marked_and_a_very_busy_one_refused(write: Any, readme: Path) -> None:
    many = [entry(f"task {n}", who, 1.0) for n in range(10) for who in ("fdref", "PyTorch")]
    for one in many[:2]:
        one["extra_info"]["contended"] = True
    assert "| task 0 | 1 s | 1.0 (?) |\n| task 1 | 1 s | 1.0 |" in write(many)
    before = readme.read_text()
    many[2]["extra_info"]["contended"] = True
    with pytest.raises(SystemExit, match=r"^the machine was busy with other work"):
        write(many)
    assert readme.read_text() == before


def test_a_planner_measured_on_a_busy_machine_is_refused(
    write: Any, tmp_path: Path, planned: Path
) -> None:
    busy = tmp_path / "busy.json"
    for others, processors, fine in [(0.2, 2, True), (0.3, 2, False), (6.2, 8, True)]:
        found = json.loads(planned.read_text()) | {"others": others, "processors": processors}
        busy.write_text(json.dumps(found))
        if fine:
            write(MEASURED["benchmarks"], busy)
        else:
            with pytest.raises(SystemExit, match=r"\(0\.3 of 2 processors\)$"):
                write(MEASURED["benchmarks"], busy)


@pytest.mark.parametrize("content", [None, "{"])
def test_a_file_that_is_none_is_refused(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content:
        (tmp_path / "speed.json").write_text(content)
    monkeypatch.setattr(sys, "argv", ["report.py", str(tmp_path / "speed.json")])
    with pytest.raises(SystemExit, match=r"speed\.json cannot be read: "):
        report.main()


def test_without_vgg_there_is_no_table_of_bounds() -> None:
    assert not speed_report.bounds(MEASURED["benchmarks"][:1])


def entry(group: str, who: str, median: float, spread: float = 1, **extra: object) -> Any:
    stats = {"median": median, "q1": median, "q3": median * spread}
    return {
        "group": group,
        "extra_info": {"who": who, "others": 0.0, "contended": False, **extra},
        "stats": stats,
    }


MEASURED: dict[str, Any] = {
    "datetime": "2026-01-02T03:04:05",
    "machine_info": {
        "cpu": {},
        "machine": "abacus",
        "python_version": "3.11",
        "threads": 3,
        "versions": {"numpy": "2"},
        "blas": ["openblas 0.3 for Abacus"],
    },
    "benchmarks": [
        entry("decode: much", "fdref", 2.0),
        entry("decode: much", "PyTorch", 8.0, times=2),
        entry(
            "decode: all",
            "fdref",
            2.0,
            products=[[1e9, 1.0], [2e9, 0.5]],
            alone=1.5,
            error=1.6e-6,
            result=4e8,
            peak=1e9,
        ),
        entry("copy", "a copy", 0.1, copied=4e8),
    ],
}


@pytest.mark.parametrize("vision", MATRICES)
def test_whoever_looks_tells_colours_apart(vision: str) -> None:
    """By CIE76, of which 2.3 is just seen."""
    seen = [255 * np.array(to_rgb(colour)) for colour in THREE]
    assert min(distance(one, other, vision) for one, other in combinations(seen, 2)) > 45
