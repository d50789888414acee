"""The form of `fdref check --json`, held against what `as_json` documents."""

from __future__ import annotations

from typing import Any

from fdref.conformance.comparison import Outcome

KEYS = {
    "schema": int,
    "fdref": str,
    "kit": str,
    "subject": str,
    "conforms": bool,
    "counts": dict,
    "coverage": list,
    "cases": list,
    "diagnosis": list,
    "strays": list,
}
CASE_KEYS = {
    "id": str,
    "operation": str,
    "section": str,
    "about": str,
    "tolerance": dict,
    "outcome": str,
    "excuse": str | None,
    "problem": str,
    "first_difference": str | None,
    "differences": list,
    "mistakes": list,
}
NUMBERS_KEYS = {
    "index": list,
    "expected": float | str,
    "got": float | str,
    "off": int,
    "count": int,
    "absolute": float | str,
    "relative": float | str | None,
    "ulp": int | None,
}


def check_keys(found: dict[str, Any], keys: dict[str, Any]) -> None:
    assert list(found) == list(keys)
    for name, kind in keys.items():
        assert isinstance(found[name], kind), name


def check_schema(data: dict[str, Any]) -> None:
    """Hold a report against what `as_json` documents."""
    check_keys(data, KEYS)
    assert data["schema"] == 1
    outcomes = {outcome.value for outcome in Outcome}
    assert set(data["counts"]) == outcomes
    for row in data["coverage"]:
        check_keys(row, {"operation": str, "sections": list, "cases": int, "counts": dict})
        assert sum(row["counts"].values()) == row["cases"]
    ids = [entry["id"] for entry in data["cases"]]
    assert len(set(ids)) == len(ids) == sum(data["counts"].values())
    for entry in data["cases"]:
        check_keys(entry, CASE_KEYS)
        assert entry["outcome"] in outcomes
        assert set(entry["tolerance"]) == {"rtol", "atol", "reason", "outputs"}
        for one in entry["differences"]:
            check_keys(one, {"output": str, "problem": str, "note": str, "numbers": dict | None})
            if one["numbers"]:
                check_keys(one["numbers"], NUMBERS_KEYS)
    for found in data["diagnosis"]:
        check_keys(found, {"mistake": str, "sentence": str, "explains": list, "leaves": list})
        assert {*found["explains"], *found["leaves"]} <= set(ids)
