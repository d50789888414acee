"""Are the cases of a kit those of its specification? What fdref remembers of them tells.

A kit's manifest has the digests of its files, and whoever changes a file can change these, too: a
wider tolerance would let anything pass. So fdref keeps a digest of every case of its own, and looks
each case of a kit up. It is a digest of what decides: parameters, arrays, tolerance; not of words.

The policy is built in: a minor version of the specification only adds cases, so that kits of the
same major version agree about those that they share.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from fdref.conformance.case import SPECIFICATION_VERSION
from fdref.conformance.networks import MODEL
from fdref.conformance.recorded import DIGESTS
from fdref.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fdref.conformance.case import Case

LENGTH = 32
"""Hexadecimal digits of a digest that are kept: 128 bits."""


def digest(case: Case) -> str:
    """Return the digest of what decides about answers to a case, in whatever format it is kept."""
    bounds = {"rtol": case.tolerance.rtol, "atol": case.tolerance.atol, **case.tolerance.outputs}
    words = {
        "id": case.id,
        "operation": case.operation,
        "parameters": case.parameters,
        "tolerance": {name: float(bound) for name, bound in bounds.items()},
        "refused": case.refused,
    }
    found = hashlib.sha256(json.dumps(words, sort_keys=True).encode())
    for kind, arrays in (("input", case.inputs), ("output", case.expected)):
        for name in arrays if kind == "output" else sorted(arrays):
            array = np.asarray(arrays[name])
            plain = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
            found.update(f"{kind} {name} {array.dtype.name} {array.shape}\n".encode())
            found.update(plain.tobytes())
    return found.hexdigest()[:LENGTH]


def verified(
    cases: Sequence[Case],
    specification: str,
    *,
    own: bool = False,
    digests: Mapping[str, str] = DIGESTS,
    ours: str = SPECIFICATION_VERSION,
) -> tuple[str, ...]:
    """Look up the cases of a kit.

    Parameters
    ----------
    cases : sequence of Case
    specification : str
        The version that the kit says it follows.
    own : bool
        Whether cases of somebody's own network may be among them.
    digests : mapping
        {ID: digest} of the cases that we know.
    ours : str
        The version of the specification that we know.

    Returns
    -------
    tuple of str
        Why it cannot be known whether all are right: sentences.

    Raises
    ------
    FileError
        If a case is not as the specification has it, or is missing.
    """
    theirs, known = version_of(specification), version_of(ours)
    if theirs is None or known is None or theirs[0] != known[0]:
        said = f"of specification {specification}" if theirs else "of an unknown specification"
        known_here = f"this fdref knows {ours}, and cannot tell whether the cases are unchanged"
        return (f"the kit is {said}; {known_here}",)
    changed = [one.id for one in cases if one.id in digests and digest(one) != digests[one.id]]
    if changed:
        raise FileError(_different("are not as fdref writes them", changed, specification))
    found = {one.id for one in cases}
    missing = [name for name in digests if name not in found]
    if missing and theirs >= known:
        raise FileError(_different("are missing", missing, specification))
    unknown = [one.id for one in cases if one.id not in digests and not (own and is_own(one))]
    if theirs > known:
        newer = f"the kit is newer, of specification {specification}"
        return (f"{newer}; this fdref knows {ours}, and cannot verify {len(unknown)} of its cases",)
    if unknown:
        count = f"{len(unknown)} of the kit's cases cannot be verified"
        return (f"{count}: specification {specification} has none such as {unknown[0]}",)
    if missing:
        more = f"that of this fdref, {ours}, has {len(missing)} more cases"
        return (f"the kit is of specification {specification}; {more}: write it again",)
    return ()


def is_own(case: Case) -> bool:
    """Tell whether a case is of somebody's own network."""
    network = case.parameters.get("network")
    return isinstance(network, dict) and network.get("file") == MODEL


def recorded(cases: Iterable[Case]) -> str:
    """Write the module that remembers cases."""
    lines = "".join(f'    "{case.id}": "{digest(case)}",\n' for case in cases)
    return (
        '"""Digests of the cases; `python -m fdref.conformance.recording` writes this file."""\n\n'
        f"DIGESTS = {{\n{lines}}}\n"
    )


def version_of(text: str) -> tuple[int, int] | None:
    """Read a version, major and minor; None if it is none."""
    major, _, minor = text.partition(".")
    known = text.isascii() and major.isdigit() and minor.isdigit() and len(text) < 12
    return (int(major), int(minor)) if known else None


def _different(problem: str, names: Sequence[str], specification: str) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    cases = f"{len(names)} case{'s' * (len(names) > 1)} of specification {specification}"
    if len(names) == 1:
        problem = problem.replace("are", "is", 1)
    return f"{cases} {problem}: {', '.join(names[:3])}{more}; write the kit again"
