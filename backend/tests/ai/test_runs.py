from __future__ import annotations

import subprocess
import sys

import pytest

from flexiroaster.ai import MissingExtra, Run
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
