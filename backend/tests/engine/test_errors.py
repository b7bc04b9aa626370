"""What is recorded of a failed attempt, also by another release."""

from __future__ import annotations

import pytest

from flexiroaster.engine.errors import Location, StageError

ERROR = StageError("row 3: no number", "bad_row", "data", Location("a.csv", row=3), "mend it", details={"n": 1})


@pytest.mark.parametrize("error", [ERROR, StageError("no")])
def test_a_record_reads_back(error: StageError) -> None:
    assert StageError.from_json(error.to_json()) == error


def test_what_a_newer_release_recorded_besides_is_left_out() -> None:
    record = ERROR.to_json() | {"severity": "high", "location": {"file": "a.csv", "row": 3, "sheet": "Data"}}
    assert StageError.from_json(record) == ERROR
