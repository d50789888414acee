"""The form of `fdref check --json`, held against its schema, and what no schema can say."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from absence import absent

import fdref.conformance
from fdref.conformance.comparison import Outcome

SCHEMA = Path(fdref.conformance.__file__).with_name("report.schema.json")


def schema() -> dict[str, Any]:
    return json.loads(SCHEMA.read_text())


def validate(data: dict[str, Any]) -> None:
    """Hold a report against the schema, by somebody else's reading of it: all keys are in it."""
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        absent("jsonschema", "jsonschema is not installed")
    strict = closed(deepcopy(schema()))
    Draft202012Validator.check_schema(strict)
    Draft202012Validator(strict).validate(data)


def closed(part: Any) -> Any:
    """Let no object have other keys than those that are described."""
    if isinstance(part, dict):
        if "properties" in part:
            part["additionalProperties"] = False
            assert list(part["properties"]) == part["required"]
        for value in part.values():
            closed(value)
    elif isinstance(part, list):
        for value in part:
            closed(value)
    return part


def check_schema(data: dict[str, Any]) -> None:
    """Check that a report agrees with itself."""
    assert list(data) == schema()["required"]
    assert data["schema"] == schema()["properties"]["schema"]["const"]
    outcomes = {outcome.value for outcome in Outcome}
    assert set(data["counts"]) == outcomes
    for row in data["coverage"]:
        assert sum(row["counts"].values()) == row["cases"]
    ids = [entry["id"] for entry in data["cases"]]
    assert len(set(ids)) == len(ids) == sum(data["counts"].values())
    for entry in data["cases"]:
        differing = [one["output"] for one in entry["differences"]]
        assert entry["first_difference"] == (differing[0] if differing else None)
    for found in data["diagnosis"]:
        assert {*found["explains"], *found["leaves"], *found["refuted_by"]} <= set(ids)
        assert found["sure"] == (not found["refuted_by"] and not found["rivals"])
