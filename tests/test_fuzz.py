"""A few of the mutants that `python tests/fuzz` tries, and that it notices what none may do."""

from __future__ import annotations

import sys

import pytest
from fuzz import offender
from fuzz.formats import FORMATS
from fuzz.harness import run

pytestmark = [
    pytest.mark.large,
    pytest.mark.skipif(sys.platform != "linux", reason="bounds memory as Linux does"),
]


@pytest.mark.parametrize("name", FORMATS)
def test_mutants_give_values_or_a_refusal(name: str) -> None:
    figures = run(FORMATS[name], 300)
    assert figures.violations == {}
    assert figures.outcomes.total() == 300
    assert len(figures.outcomes) >= 2
    assert 30 < figures.outcomes["FileError"] < 290


def test_what_no_reader_may_do_is_noticed() -> None:
    form, count, seed = offender.FORMAT, offender.COUNT, offender.SEED
    figures = run(form, count, seed)
    done = [form.mutant(form.seeds(), seed, number).decode() for number in range(count)]
    assert {*done} == {*offender.OFFENCES}
    for number, offence in enumerate(done):
        expected = offender.OFFENCES[offence][1]
        assert figures.violations.get(number, "").startswith(expected)
        assert (number in figures.violations) == bool(expected)
    assert {*figures.outcomes} == {"done", "FileError"}
