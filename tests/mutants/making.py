"""How mutants are made: each takes a case and returns outputs, by fdref with one thing wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fdref.conformance.compute import Library, rounded
from fdref.conformance.mistakes import MISTAKES
from fdref.conformance.mistakes.mistake import Wrong, other, over

RIGHT = Library("reference")


def by(library):
    """What a library that is wrong gives."""
    library = library.library() if isinstance(library, Wrong) else library

    def outputs(case):
        with np.errstate(all="ignore"):
            found = library.outputs(case.operation, case.inputs, case.parameters)
            return rounded(found, case.inputs)

    return outputs


def named(name):
    """A mistake that the kit knows by name."""
    (mistake,) = (one for one in MISTAKES if one.name == name)
    return by(mistake.wrong)


def engine(**replaced):
    """Operations of an engine, replaced; each takes the right one first."""
    return by(over(**replaced))


def part(**parts):
    """Other parts exchanged, see `Library`."""
    return by(other(**parts))


def asked(**changes):
    """The question misread: for a parameter, what is made of its value (and of the case)."""

    def outputs(case):
        known = dict(case.parameters)
        for name, change in changes.items():
            known[name] = change(known.get(name))
            if known[name] is None:
                del known[name]
        return by(RIGHT)(replace(case, parameters=known))

    return outputs


def given(**changes):
    """Inputs misread: for an input, what is made of it."""

    def outputs(case):
        inputs = dict(case.inputs)
        for name, change in changes.items():
            if name in inputs:
                inputs[name] = np.ascontiguousarray(change(inputs[name]))
        return by(RIGHT)(replace(case, inputs=inputs))

    return outputs


def told(change):
    """The right outputs, changed: takes them by name, and the case."""
    return lambda case: change(by(RIGHT)(case), case)


def each(change):
    """Each of the right outputs, changed."""
    return told(lambda found, case: {name: change(values) for name, values in found.items()})


def layers(change):
    """The list of layers misread: for each entry, what is made of it."""
    return asked(network=lambda network: [change(dict(entry)) for entry in network])


def unrefused(case):
    """What should be refused, computed somehow."""
    assert case.refused
    return {"refused": np.array(0)}


def swapped(pair):
    """A pair the wrong way round."""
    return pair[::-1]
