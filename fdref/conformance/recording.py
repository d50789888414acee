"""Remember the cases as they are now: `python -m fdref.conformance.recording`, after a change.

CONTRIBUTING.md says which version of the specification they then have.
"""

from __future__ import annotations

from pathlib import Path

from fdref.conformance.cases import cases
from fdref.conformance.record import recorded

PLACE = Path(__file__).with_name("recorded.py")

if __name__ == "__main__":
    PLACE.write_text(recorded(cases()), encoding="utf-8")
