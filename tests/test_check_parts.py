"""Parts of the kit, for whoever does a part: profiles, operations, sections, single cases."""

from __future__ import annotations

import json

import numpy as np
import pytest
from judging import run

from fdref.conformance.case import OPERATIONS
from fdref.conformance.cases import cases
from fdref.conformance.part import PROFILES, part_of
from fdref.errors import ArgumentError


def ids(*only, profile=None):
    return {case.id for case in part_of(cases(), only, profile).cases}


class TestPart:
    def test_what_chooses(self):
        everything = {case.id: case for case in cases()}
        assert ids() == ids(profile="full") == set(everything)
        for operation in OPERATIONS:
            assert ids(operation) == {n for n, c in everything.items() if c.operation == operation}
        assert ids("relu") > ids("relu-leak") == {"relu-leak"}
        assert ids("2") == {n for n, c in everything.items() if c.section.startswith("2.")}
        assert ids("5") == {n for n, c in everything.items() if c.section.startswith("5.")}
        assert ids("2.1") == {n for n, c in everything.items() if c.section == "2.1"}
        assert ids("*lenet*") == {name for name in everything if "lenet" in name}
        assert ids("relu", "pool") == ids("relu") | ids("pool")
        assert ids("refuse-*", profile="forward") == ids("refuse-*") & ids(profile="forward")

    def test_profiles_are_of_operations_and_the_full_one_of_all(self):
        for operations in PROFILES.values():
            assert set(operations) <= set(OPERATIONS)
        assert set(PROFILES["full"]) == set(OPERATIONS)
        assert not ids(profile="forward") & ids(profile="decode")

    def test_names(self):
        assert part_of(cases()).name == part_of(cases(), profile="full").name == ""
        assert part_of(cases(), ["relu"], "forward").name == "forward, relu"

    @pytest.mark.parametrize(
        ("only", "profile", "said"),
        [
            ("relus", None, "'relus' matches no case; expected an operation, an ID"),
            ("rleu", None, r"; is 'relu\b.* meant"),
            ("unpool", "forward", "'unpool' matches no case of the profile forward"),
            ("", None, "'' matches no case"),
            ("relu", "half", "profile is 'half'; expected one of forward, decode, full"),
        ],
    )
    def test_what_there_is_not(self, only, profile, said):
        with pytest.raises(ArgumentError, match=said):
            part_of(cases(), [only], profile)


class TestCommand:
    def test_a_profile_is_all_that_is_judged(self, kit, results, capsys):
        count = len(ids(profile="forward"))
        for path in results.iterdir():
            if path.stem not in ids(profile="forward"):
                path.unlink()
        assert run("check", kit, results, "--profile", "forward") == 0
        told = capsys.readouterr().out
        assert told.endswith(f"\nconforms for forward: {count} of {count} cases pass\n")
        assert "unpool" not in told
        assert run("check", kit, results, "--profile", "full", "--quiet") == 1
        (results / "relu.npz").unlink()
        assert run("check", kit, results, "--profile", "forward") == 1
        assert f"{count - 1} pass, 1 not attempted" in capsys.readouterr().out

    def test_only(self, kit, results, capsys):
        (results / "pool-max.npz").write_bytes(b"is not even read")
        assert run("check", kit, results, "--only", "relu*", "--only", "2.5") == 0
        count = len(ids("relu*", "2.5"))
        assert f"conforms for relu*, 2.5: {count} of {count}" in capsys.readouterr().out
        assert run("check", kit, results, "--only", "pool-max") == 1
        assert run("check", kit, results, "--only", "no-such") == 2
        assert "'no-such' matches no case" in capsys.readouterr().err

    def test_nothing_that_passes_conforms_to_nothing(self, kit, results, tmp_path, capsys):
        known = tmp_path / "xfail"
        known.write_text("relu*\n")
        for path in results.glob("relu*"):
            np.savez(path, rectified=np.zeros(1))
        assert run("check", kit, results, "--only", "relu", "--xfail", known) == 1
        assert "expected failure, and nothing passes" in capsys.readouterr().out
        for path in results.glob("relu*"):
            path.unlink()
        assert run("check", kit, results, "--only", "relu", "--xfail", known) == 1
        assert "not attempted, and nothing passes" in capsys.readouterr().out
        assert run("check", kit, results, "--only", "[rp]*", "--xfail", known) == 0

    def test_the_last_stage_alone_passes_and_is_marked(self, kit, results, capsys):
        decoded = [case for case in cases() if case.operation == "decode" and not case.refused]
        several = [case.id for case in decoded if len(case.expected) > 1]
        for case in decoded:
            last = list(case.expected)[-1]
            np.savez(results / f"{case.id}.npz", **{last: case.expected[last]}, extra=np.ones(1))
        assert run("check", kit, results, "--json", "-") == 0
        data = json.loads(capsys.readouterr().out)
        marked = [one["id"] for one in data["cases"] if "last stage" in str(one["warnings"])]
        assert marked == several
        assert run("check", kit, results) == 0
        told = capsys.readouterr().out
        assert "warnings:\n" in told
        assert "has `extra`, which nobody asked for" in told
        assert f"gives the last stage alone, of which the others are steps: {several[0]}" in told
