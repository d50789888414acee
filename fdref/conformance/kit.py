"""A kit: a folder of cases that anyone's implementation can be put to, with the answers."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

import fdref
from fdref.conformance.alone import script
from fdref.conformance.archives import FORMATS, Format, packed, unpacked
from fdref.conformance.case import OPERATIONS, SPECIFICATION_VERSION, Case, Tolerance
from fdref.conformance.cases import cases, in_order
from fdref.conformance.networks import LENET_FILES, MODEL, lenet_bytes
from fdref.conformance.record import verified
from fdref.errors import ArgumentError, FileError
from fdref.files.whole import check_folder, holds, turn_in, write_folder
from fdref.weights.bounded import LARGEST as LARGEST_NETWORK
from fdref.weights.bounded import Budget
from fdref.weights.bounded import contents as contents_of
from fdref.weights.files import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fdref.conformance.case import Arrays
    from fdref.conformance.model import Model

SCHEMA = 1
"""Of manifest.json; one more whenever a reader of the old would go wrong."""

LARGEST = 2**28
"""Bytes of a kit's file, networks aside; the largest that fdref writes has a few million."""
PAGES = ("README.md", "SPECIFICATION.md", "workflow.yml")
JUDGE = "check.py"
IDENTIFIER = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Kit:
    """A kit that was read."""

    folder: Path
    """Where the files of networks lie."""
    version: str
    """Of the fdref that wrote it."""
    schema: int
    cases: list[Case]
    specification: str
    """Of SPECIFICATION.md and the cases; empty where a kit does not say."""
    manifest: str
    """The SHA-256 of manifest.json."""
    warnings: tuple[str, ...]
    """Why it cannot be known whether these are fdref's cases: a sentence each."""


def write_kit(folder: Path, form: Format = "npz", model: Model | None = None) -> int:
    """Write a kit; the same version of fdref writes the same bytes.

    Parameters
    ----------
    folder : path
        One that does not exist, is empty, or holds this very kit.
    form : "npz" or "h5"
        Of the arrays.
    model : Model, optional
        Somebody's own network, whose cases come beside the general ones.

    Returns
    -------
    int
        How many cases there are.

    Raises
    ------
    FileError
        If the folder holds anything else or cannot be written; nothing is left behind.
    ArgumentError
        For an unknown format.

    Notes
    -----
    Of several processes that write one kit at once, one does, and for the others it is there.
    """
    if form not in FORMATS:
        raise ArgumentError(f"format is {form!r}; expected one of {', '.join(FORMATS)}")
    files = contents(form, model)
    with turn_in(folder):
        if not holds(folder, files):
            try:
                check_folder(folder)
                write_folder(folder, files)
            except FileError:  # perhaps another process has just written it, or tries to
                if not _held_soon(folder, files):
                    check_folder(folder)  # which says more, if somebody has just written another
                    raise
    return len(_cases(model))


def _held_soon(folder: Path, files: Mapping[str, bytes]) -> bool:
    for _ in range(5):
        if holds(folder, files):
            return True
        sleep(0.05)
    return False


def check_place(folder: Path) -> None:
    """Refuse at once what `write_kit` would refuse after long work; a kit may be the same one.

    Raises
    ------
    FileError
        If the folder holds anything else or cannot be written.
    """
    if not (folder / "manifest.json").is_file():
        check_folder(folder)


def _cases(model: Model | None) -> list[Case]:
    return cases() if model is None else in_order([*cases(), *model.cases])


def contents(form: Format, model: Model | None = None) -> dict[str, bytes]:
    """Return the files of a kit by their paths, manifest.json last."""
    files = {page: Path(__file__).with_name(page).read_bytes() for page in PAGES}
    files[JUDGE] = script()
    own = {} if model is None else {MODEL: model.data}
    networks = {LENET_FILES[form]: lenet_bytes(form)} | own
    files |= networks
    entries = []
    for case in _cases(model):
        parameters = json.dumps(case.parameters, allow_nan=False)
        question, answer = f"cases/{case.id}.{form}", f"expected/{case.id}.{form}"
        files[question] = packed(case.inputs, parameters, form)
        files[answer] = packed(case.expected, "", form)
        hashes = {path: sha256(files[path]) for path in (question, answer)}
        entries.append(entry_of(case, hashes))
    manifest = {
        "schema": SCHEMA,
        "fdref": fdref.__version__,
        "specification": SPECIFICATION_VERSION,
        "format": form,
        "files": {name: sha256(data) for name, data in networks.items()},
        "cases": entries,
    }
    files["manifest.json"] = _lines(manifest).encode()
    return files


def _lines(manifest: Mapping[str, Any]) -> str:
    """Write a manifest as JSON, each case on a line of its own."""
    written = {
        name: json.dumps(value, allow_nan=False)
        for name, value in manifest.items()
        if name != "cases"
    }
    cases = ",\n".join(json.dumps(entry, allow_nan=False) for entry in manifest["cases"])
    head = "".join(f"{json.dumps(name)}: {value},\n" for name, value in written.items())
    return f'{{\n{head}"cases": [\n{cases}\n]\n}}\n'


def entry_of(case: Case, hashes: Mapping[str, str]) -> dict[str, Any]:
    """Describe a case as the manifest does."""
    return {
        "id": case.id,
        "operation": case.operation,
        "section": case.section,
        "about": case.about,
        "inputs": described(case.inputs),
        "outputs": described(case.expected),
        "parameters": case.parameters,
        "tolerance": asdict(case.tolerance),
        "refused": case.refused,
        "sha256": hashes,
    }


def described(arrays: Arrays) -> list[dict[str, Any]]:
    """List names, shapes and types; the order of outputs is that of the stages."""
    return [
        {"name": name, "shape": list(array.shape), "dtype": array.dtype.name}
        for name, array in arrays.items()
    ]


def sha256(data: bytes) -> str:
    """Return the hash of a file."""
    return hashlib.sha256(data).hexdigest()


def read_kit(folder: Path) -> Kit:
    """Read a kit and check that it is whole, and that its cases are those of its specification.

    Raises
    ------
    FileError
        If it is none, is of another schema, a file is not the one that was written, or a case is
        not as this fdref knows it.
    """
    folder = Path(folder)
    manifest_path = folder / "manifest.json"
    try:
        data = contents_of(manifest_path, "a file of a kit", LARGEST)
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:  # the latter: brackets within brackets
        raise refusal(str(manifest_path), f"is no JSON: {error}") from None
    if not isinstance(manifest, dict) or "schema" not in manifest:
        raise refusal(str(manifest_path), "is no manifest of a kit; write one with fdref kit")
    if manifest["schema"] != SCHEMA:
        problem = f"has schema {manifest['schema']!r}, expected {SCHEMA}; write the kit again"
        raise refusal(str(manifest_path), problem)
    try:
        form = manifest["format"]
        if form not in FORMATS:
            raise refusal(str(manifest_path), f"names the format {form!r}, expected npz or h5")
        for name, digest in _networks(manifest["files"], form).items():
            _check(folder / name, digest, LARGEST_NETWORK)
        budget = Budget()
        found = [_case(folder, entry, form, budget) for entry in manifest["cases"]]
        version, specification = str(manifest["fdref"]), manifest.get("specification", "")
        _check_text(manifest)
        warnings = verified(found, specification, own=MODEL in manifest["files"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        problem = f"is damaged, write the kit again: {type(error).__name__} {error}"
        raise refusal(str(manifest_path), problem) from None
    except FileError as error:
        raise refusal(str(manifest_path), f"cannot be trusted: {error}") from None
    return Kit(folder, version, SCHEMA, found, specification, sha256(data), warnings)


def _check_text(value: Any) -> None:
    """Raise ValueError if any text would command a terminal."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str) and not one.isprintable():
            raise ValueError(f"in the text {one!r}")
        if isinstance(one, dict):
            left += [*one, *one.values()]
        elif isinstance(one, list):
            left += one


def _networks(files: Mapping[str, str], form: Format) -> Mapping[str, str]:
    lenet = LENET_FILES[form]
    if not {lenet} <= files.keys() <= {lenet, MODEL}:
        raise ValueError(f"in {sorted(files)}")
    return files


def _case(folder: Path, entry: Mapping[str, Any], form: Format, budget: Budget) -> Case:
    name = entry["id"]
    if not IDENTIFIER.fullmatch(name) or entry["operation"] not in OPERATIONS:
        raise ValueError(f"in {name!r}")
    arrays = []
    for kind, listed in (("cases", "inputs"), ("expected", "outputs")):
        path = f"{kind}/{name}.{form}"
        data = _check(folder / path, entry["sha256"][path])
        found, parameters = unpacked(data, form, str(folder / path), budget)
        if parameters and json.loads(parameters) != entry["parameters"]:
            raise ValueError(f"in the parameters of {name!r}")
        arrays.append({own["name"]: found[own["name"]] for own in entry[listed]})
    about = {field: str(entry[field]) for field in ("id", "operation", "section", "about")}
    return Case(
        **about,
        inputs=arrays[0],
        parameters=dict(entry["parameters"]),
        expected=arrays[1],
        tolerance=Tolerance(**entry["tolerance"]),
        refused=bool(entry["refused"]),
    )


def _check(path: Path, digest: str, most: int = LARGEST) -> bytes:
    data = contents_of(path, "a file of a kit", most)
    if sha256(data) != digest:
        raise refusal(str(path), "is not the file that fdref wrote; write the kit again")
    return data
