from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import pytest

from flexiroaster.ai import MissingExtra, Predictor, Run, Scene, advise, find_insights, sharing
from flexiroaster.ai.runs import library

ROW = {
    "run_id": "r1",
    "pipeline": "p",
    "stage": "load",
    "stage_kind": "sql",
    "version": 3,
    "attempt": "2",
    "queued_at": "10.5",
    "started_at": "11",
    "ended_at": "",
    "input_rows": "7",
    "status": "",
}


def test_importing_the_room_imports_no_numeric_library() -> None:
    code = "import sys, flexiroaster.ai as ai; ai.Predictor; print('numpy' in sys.modules, 'sklearn' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "False"]


def test_a_run_is_read_from_a_mapping_of_texts() -> None:
    run = Run.of(ROW)
    assert (run.execution, run.kind, run.version, run.attempt) == ("r1", "sql", "3", 2)
    assert (run.queued_at, run.started_at, run.ended_at, run.input_rows) == (10.5, 11.0, None, 7.0)
    assert Run.of(run) is run


def test_a_row_that_is_no_run_names_the_key() -> None:
    with pytest.raises(ValueError, match="no 'pipeline'"):
        Run.of({key: value for key, value in ROW.items() if key != "pipeline"})
    with pytest.raises(ValueError, match="'many' of 'attempt'"):
        Run.of(ROW | {"attempt": "many"})


def test_a_missing_library_is_named_with_its_cure() -> None:
    with pytest.raises(MissingExtra, match=r'pip install "flexiroaster\[ai\]"'):
        library("numpy_that_is_not_there")


def test_timed_out_counts_as_failed() -> None:
    assert Run("e", "p", 0.0, status="timed_out").failed
    assert not Run("e", "p", 0.0, status="cancelled").failed


def test_what_is_no_finite_number_is_not_known() -> None:
    """Tables write NaN where nothing is known."""
    nan, inf = float("nan"), float("inf")
    given = Run("e", "p", 5.0, ended_at=nan, queued_at=inf, input_rows=nan, attributes={"a": nan, "b": 1.0, "c": -inf})
    assert Run.of(given) == Run("e", "p", 5.0, attributes={"b": 1.0})
    assert Run.of({"execution": "e", "pipeline": "p", "started_at": 5, "ended_at": nan}) == Run("e", "p", 5.0)
    with pytest.raises(ValueError, match="'e' has started_at nan: give seconds since 1970"):
        Run.of(replace(given, started_at=nan))


@pytest.mark.parametrize("field", ["ended_at", "queued_at", "input_rows", "input_bytes", "output_rows"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_everybody_bears_rows_with_such_numbers(field: str, value: float) -> None:
    runs = [
        Run(
            f"e{number}", "p", 3_600.0 * number, "load", ended_at=3_600.0 * number + 60 + number % 3, status="success",
            queued_at=3_600.0 * number - 1, pool="gpu", input_rows=1_000, input_bytes=5, output_rows=7,
        )
        for number in range(60)
    ]  # fmt: skip
    rows = [replace(run, **{field: value}) if number % 7 == 3 else run for number, run in enumerate(runs)]
    document = {"id": "p", "name": "P", "stages": [{"id": "load", "type": "noop", "needs": []}]}
    find_insights(rows, now=3_600.0 * 61)
    advise(document, rows, takes_data=lambda kind: False)
    sharing(rows, Scene({"p": document}, {"gpu": 1}, 2))
    answer = Predictor(refit_every=None).replay(rows).predict(Run("new", "p", 3_600.0 * 61, "load"))
    assert all(map(math.isfinite, (answer.probability, answer.duration.p10, answer.duration.p90)))
