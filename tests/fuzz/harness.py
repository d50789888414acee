"""Mutants of files of a format, each read in a process that is watched: what comes of them?

A mutant may give what its format's `load` says, or one of our errors in one line. All else is a
violation: another exception or a warning, a crash, more than `LONGEST` seconds or `MOST` bytes,
output, a second file that is opened, anything executed, deleted or sent.

The mutant of a number is the same for the same seed: whatever is found can be made again. Another
format is added with a module like `fuzz.matlab5`: a `Format` that is listed in `fuzz.formats`.
"""

from __future__ import annotations

import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from fdref.errors import FdrefError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
LONGEST = 5.0
"""Seconds that a mutant may take."""
MOST = 2**30
"""Bytes by which the process may grow."""
START_UP = 120.0
"""Seconds until the first mutant: imports, and code that is compiled."""
LAST_WORDS = 2.0
"""Seconds from the last that is heard of a process to its end."""
OURS = tuple(str(Path(place).resolve()) for place in {*filter(None, sys.path), HERE.parents[1]})
CODE = (".py", ".pyc", ".so", ".pyd")
COMPILED = (".nbi", ".nbc")
"""Of Numba's cache, wherever that is: loops are loaded when they are first needed."""
FORBIDDEN = (
    *("os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "pty.spawn"),
    *("subprocess.Popen", "socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.Request"),
    *("pickle.find_class", "ctypes.dlopen", "os.remove", "os.rename", "os.rmdir", "os.mkdir"),
    *("os.truncate", "os.chmod", "os.link", "os.symlink", "shutil.move", "shutil.rmtree"),
)


@dataclass(frozen=True)
class Format:
    """What it takes to try a format."""

    name: str
    seeds: Callable[[], dict[str, bytes]]
    """makes whole files, by name"""
    mutate: Callable[[bytes, Random], bytes]
    """spoils one"""
    load: Callable[[Path], str]
    """reads a file, checks what it gives, and says in a word what that is"""
    suffix: str
    decoys: tuple[str, ...] = ()
    """names of files beside the mutant; whoever opens one, Python or not, waits for ever"""
    longest: float = LONGEST
    """seconds that a mutant may take"""

    def mutant(self, seeds: dict[str, bytes], seed: int, number: int) -> bytes:
        """Make one of the mutants of a seed."""
        random = Random(f"{self.name}/{seed}/{number}")  # noqa: S311 - to be made again
        return self.mutate(seeds[random.choice(sorted(seeds))], random)


@dataclass
class Figures:
    """What became of mutants."""

    name: str
    seed: int
    count: int
    outcomes: Counter[str] = field(default_factory=Counter)
    violations: dict[int, str] = field(default_factory=dict)
    """by the mutant's number"""
    slowest: float = 0.0
    growth: int = 0
    """MiB, of the process that grew most"""

    def __str__(self) -> str:
        """Put them into one line."""
        kinds = ", ".join(f"{number} {kind}" for kind, number in self.outcomes.most_common())
        return (
            f"{self.name}: {self.count} mutants of seed {self.seed}: {kinds}; "
            f"{len(self.violations)} violations; slowest {self.slowest:.2f} s, "
            f"at most {self.growth} MiB more"
        )


def run(form: Format, count: int, seed: int = 0, first: int = 0) -> Figures:
    """Try mutants of a format; after one that kills the process, another goes on."""
    figures, number = Figures(form.name, seed, count), first
    while number < first + count:
        number = _run_process(figures, form.longest, number, first + count)
    return figures


def _run_process(figures: Figures, longest: float, first: int, end: int) -> int:
    """Try mutants in one process; return the number of the next."""
    arguments = [figures.name, str(figures.seed), str(first), str(end)]
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(folder, "said").open("w+b") as said,
        subprocess.Popen(
            [sys.executable, "-X", "faulthandler", HERE / "worker.py", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=said,
        ) as process,
    ):
        number, line = first, ""
        for line in _lines(process, 2 * longest):  # making a mutant takes its time, too
            kind, *words = line.split(" ", 3)
            if kind == "end":
                figures.growth = max(figures.growth, int(words[0]))
                break
            number = int(words[0])
            if kind == "violation":
                figures.violations[number] = words[2]
            elif kind == "outcome":
                figures.outcomes[words[2]] += 1
            if kind != "start":
                figures.slowest = max(figures.slowest, float(words[1]))
        try:
            status = process.wait(LAST_WORDS)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        said.seek(0)
        output = said.read().decode(errors="replace").strip()
        if line.startswith("end"):
            number = end
        elif not line or status > 0:
            raise RuntimeError(f"no mutants were made in the process: {output}")
        else:
            died = "hung" if status == -signal.SIGKILL else f"died of signal {-status}"
            figures.violations[number] = f"{died}: {output[:2000]}"
            number += 1
    if output and line.startswith("end"):
        figures.violations.setdefault(end - 1, f"something was printed: {output[:2000]}")
    return number


def _lines(process: subprocess.Popen[bytes], longest: float) -> Iterator[str]:
    """Yield what a process says, until it ends or says nothing for too long."""
    assert process.stdout is not None
    patience, buffer = START_UP, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(patience):
            part = os.read(process.stdout.fileno(), 2**16)
            if not part:
                return
            *lines, buffer = (buffer + part).split(b"\n")
            for line in lines:
                yield line.decode()
            patience = longest


# In the process


def work(form: Format, seed: int, first: int, end: int) -> None:
    """Try mutants here, and say on standard output what became of each."""
    said = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever else is printed is a violation
    seeds, path = form.seeds(), Path(f"mutant{form.suffix}").resolve()
    for decoy in form.decoys:
        os.mkfifo(decoy)
    for whole in seeds.values():
        path.write_bytes(whole)
        _attempt(form, path)  # what is imported and compiled at first use
    warnings.simplefilter("error")
    watch = _Watch(path)
    sys.addaudithook(watch)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    before = _peak()
    with said:
        for number in range(first, end):
            path.write_bytes(form.mutant(seeds, seed, number))
            said.write(f"start {number} 0 x\n")
            outcome, seconds = _watched(form, path, watch)
            kind = "violation" if outcome.startswith("!") else "outcome"
            text = ascii(outcome.removeprefix("! "))[1:-1]
            said.write(f"{kind} {number} {seconds:.3f} {text}\n")
        said.write(f"end {_peak() - before} 0 x\n")


def _watched(form: Format, path: Path, watch: _Watch) -> tuple[str, float]:
    """Read a file; return what came of it, and the seconds that it took."""
    _limit(MOST)
    watch.seen, begun = [], time.perf_counter()
    with watch:
        outcome = _attempt(form, path)
    seconds = time.perf_counter() - begun
    _limit(None)
    if watch.seen:
        return f"! {watch.seen[0]}", seconds
    return (outcome if seconds <= form.longest else f"! took {seconds:.1f} s"), seconds


def _attempt(form: Format, path: Path) -> str:
    """Read a file; what must not happen begins with an exclamation mark."""
    try:
        return form.load(path)
    except FdrefError as error:
        if not str(error).isprintable() or not str(error).strip():
            return f"! {type(error).__name__} in several lines: {error}"
        return type(error).__name__
    except BaseException as error:  # noqa: BLE001 - all of them
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
        return f"! {type(error).__name__}: {error} ({where})"


class _Watch:
    """Notes what a file must not make us do, while it is read."""

    def __init__(self, path: Path) -> None:
        self.path, self.active = str(path), False
        self.seen: list[str] = []

    def __enter__(self) -> None:
        self.active = True

    def __exit__(self, *error: object) -> None:
        self.active = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event == "open" and not self._may_be_opened(arguments[0]):
            self.seen.append(f"opened {arguments[0]!r}")
        elif event == "exec" and not self._is_code(arguments[0].co_filename):
            self.seen.append(f"executed {arguments[0]!r}")
        elif event in FORBIDDEN:
            self.seen.append(f"{event} {arguments!r}")

    def _may_be_opened(self, name: object) -> bool:
        """Tell the mutant, what is open already, and modules that are imported late."""
        if isinstance(name, int):
            return True
        text = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else ""
        return os.path.realpath(text) == self.path or self._is_code(text)

    def _is_code(self, name: str) -> bool:
        """Tell files of Python's, of packages and of ours, and what Python has frozen."""
        if name.startswith("<frozen "):
            return True
        ours = os.path.realpath(name).startswith(OURS) and name.endswith(CODE)
        return ours or name.endswith(COMPILED)


def _limit(more: int | None) -> None:
    """Let the process grow by so many bytes and no more."""
    size = resource.RLIM_INFINITY
    if more is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        size = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))


def _peak() -> int:
    """Return the most that the process has taken, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**10
