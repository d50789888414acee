"""An implementation's answers, read from files that anybody may have written."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.comparison import REAL, Problem
from fdref.errors import FileError, one_line
from fdref.weights import matlab, matlab73
from fdref.weights.bounded import Budget, contents
from fdref.weights.npz import arrays_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from fdref.conformance.case import Arrays, Case
    from fdref.conformance.comparison import Answer
    from fdref.conformance.kit import Kit

ENDINGS = (".npz", ".h5", ".mat")
LARGEST = 2**24
"""Bytes that one file may take, arrays included: all are held at once, and none needs a tenth."""


@dataclass(frozen=True)
class Results:
    """Answers by the ID of their case, and sentences about files that belong to none."""

    answers: Mapping[str, Answer]
    strays: tuple[str, ...] = ()
    days: tuple[str, ...] = ()
    """When the oldest and the newest were written, or the one day of both, as ISO 8601 has it."""


def read_results(folder: Path, kit: Kit, wanted: Iterable[Case] | None = None) -> Results:
    """Read what an implementation wrote: ``ID.npz``, ``ID.h5`` or ``ID.mat``, outputs by name.

    A file that cannot be read fails its case; one that is absent is no answer.

    Parameters
    ----------
    folder : path
    kit : Kit
    wanted : iterable of Case, optional
        Those whose answers are read; by default all of the kit.

    Raises
    ------
    FileError
        If the folder cannot be read.
    DependencyError
        If h5py is needed and cannot be imported.
    """
    cases = {case.id: case for case in kit.cases}
    files: dict[str, list[Path]] = {}
    strays = []
    for path in _listed(folder):
        name, ending = path.name[: -len(path.suffix) or None], path.suffix.lower()
        if ending in ENDINGS and name in cases:
            files.setdefault(name, []).append(path)
        elif ending in ENDINGS or name in cases:
            strays.append(_stray(path.name, name, ending, list(cases)))
    ids = cases.keys() if wanted is None else {case.id for case in wanted}
    read = {name: paths for name, paths in files.items() if name in ids}
    answers = {name: _answer(paths, cases[name]) for name, paths in read.items()}
    return Results(answers, tuple(strays), _days(path for paths in read.values() for path in paths))


def today() -> str:
    """Return the day, in UTC."""
    return datetime.now(UTC).date().isoformat()


def _days(paths: Iterable[Path]) -> tuple[str, ...]:
    """Return the days on which the oldest and the newest of some files were written."""
    times = []
    for path in paths:
        with suppress(OSError, OverflowError, ValueError):  # not there any more, or of no year
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            times.append(written.date().isoformat())
    return tuple(dict.fromkeys((min(times), max(times)))) if times else ()


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise FileError(
            f"{folder} cannot be read: {error.strerror}; expected a folder of results, one file "
            "for each case"
        ) from None


def _stray(file: str, name: str, ending: str, ids: Sequence[str]) -> str:
    """Say what is wrong with the name of a file."""
    if ending not in ENDINGS:
        return f"{file} is not read; expected {name}.npz, .h5 or .mat"
    near = get_close_matches(name, ids, n=1)
    meant = f"; is {near[0]} meant?" if near else ""
    return f"{file} belongs to no case{meant}"


def _answer(paths: Sequence[Path], case: Case) -> Answer:
    """Read the file of a case, or say why that cannot be."""
    if len(paths) > 1:
        return Problem(f"has several results: {', '.join(path.name for path in paths)}; keep one")
    path = paths[0]
    try:
        read = {".npz": _npz, ".h5": _hdf5, ".mat": _mat}[path.suffix.lower()]
        return read(path, Budget(LARGEST), case)
    except FileError as error:
        problem = str(error).removeprefix(str(path)).lstrip(": ")
        return Problem(f"{one_line(path.name)}: {problem}")


def _npz(path: Path, budget: Budget, case: Case) -> Arrays:  # noqa: ARG001 - as the other readers
    """Read NumPy's archive."""
    data = contents(path, "a .npz file", LARGEST)
    return {name: _array(name, array) for name, array in arrays_of(data, "", budget).items()}


def _hdf5(path: Path, budget: Budget, case: Case) -> Arrays:  # noqa: ARG001 - as the other readers
    """Read HDF5 with the shapes of the specification."""
    data = contents(path, "an HDF5 file", LARGEST)
    found = matlab73.variables(data, f"{path}", budget)
    return {name: _array(name, value) for name, value in found.items()}


def _mat(path: Path, budget: Budget, case: Case) -> Arrays:
    """Read a MATLAB file of any version from 5 on, and put its axes in our order."""
    found = matlab.read(path, budget)
    arrays = {name: _array(name, value).T for name, value in found.items()}
    return {
        name: from_matlab(array, np.ndim(case.expected[name])) if name in case.expected else array
        for name, array in arrays.items()
    }


def from_matlab(array: NDArray[Any], axes: int) -> NDArray[Any]:
    """Turn H x W x C x N, without trailing axes of one element, into (N, C, H, W).

    Examples
    --------
    >>> from_matlab(np.zeros((5, 4, 3)), axes=4).shape
    (1, 3, 5, 4)
    >>> from_matlab(np.zeros((1, 7)), axes=1).shape
    (7,)
    """
    if axes < 2:
        return array.ravel() if array.ndim == 2 and 1 in array.shape else array
    whole = array.reshape(array.shape + (1,) * (axes - array.ndim))
    return whole.T.swapaxes(-1, -2)


def _array(name: str, value: Any) -> NDArray[Any]:
    """Refuse whatever is no array of numbers; shapes are judged later."""
    if isinstance(value, np.ndarray) and value.dtype.kind in REAL:
        return value
    kinds: dict[type, str] = {dict: "a struct or group", list: "a cell", str: "text"}
    found = kinds.get(type(value), "no array")
    if isinstance(value, matlab.Unsupported):
        found = value.kind
    elif isinstance(value, np.ndarray):
        found = f"of dtype {value.dtype}"
    raise FileError(f"`{name}` is {found}; expected an array of real numbers")
