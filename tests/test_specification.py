"""Every sentence of SPECIFICATION.md: whoever breaks it, and nothing else, fails cases."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit_cases import CASES
from mutants import TABLE
from sentences import sentences

import fdref.conformance
from fdref.conformance.case import SPECIFICATION_VERSION
from fdref.conformance.comparison import judge

PAGE = Path(fdref.conformance.__file__).with_name("SPECIFICATION.md").read_text(encoding="utf-8")
SENTENCES = [*sentences(PAGE)]
BY_ID = {case.id: case for case in CASES}
BROKEN = [
    pytest.param(mutant, ids.split(), id=f"{beginning} {number}")
    for beginning, row in TABLE.items()
    if not isinstance(row, str)
    for number, (mutant, ids) in enumerate(row, 1)
]


def test_the_page_has_the_version_of_the_kit():
    assert f"\nVersion {SPECIFICATION_VERSION}. " in PAGE


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence[:40])
def test_every_sentence_is_in_the_table_once(sentence):
    """Whoever writes another says what breaks it."""
    beginnings = [beginning for beginning in TABLE if sentence.startswith(beginning)]
    assert len(beginnings) == 1, f"{sentence!r} is in tests/mutants {len(beginnings)} times"
    assert TABLE[beginnings[0]], sentence


def test_every_row_of_the_table_is_of_one_sentence():
    for beginning in TABLE:
        assert sum(one.startswith(beginning) for one in SENTENCES) == 1, beginning


@pytest.mark.parametrize(("mutant", "ids"), BROKEN)
def test_whoever_breaks_a_sentence_fails_cases(mutant, ids):
    """With outputs that are wrong, not with none."""
    assert ids
    for name in ids:
        got = mutant(BY_ID[name])
        assert set(got) & set(BY_ID[name].expected), f"{name}: no output"
        assert judge(BY_ID[name], got).failed, f"{name} passes"
