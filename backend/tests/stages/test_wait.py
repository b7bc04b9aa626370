from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.outcome import Succeeded, Waiting, WaitsFor
from flexiroaster.stages.wait import WaitConfig, WaitStage
from tests.stages.context import NOW, FakeContext


def run(config: dict[str, Any], context: FakeContext) -> Succeeded | Waiting:
    return WaitStage().run(WaitConfig.model_validate(config), context)


@pytest.mark.parametrize(
    ("config", "until"),
    [
        ({"seconds": 90}, NOW + timedelta(seconds=90)),
        ({"duration": "1h30m"}, NOW + timedelta(minutes=90)),
        ({"until": "2026-01-05T06:00:00+01:00"}, NOW.replace(hour=5, minute=0)),
    ],
)
def test_wait_gives_its_worker_back_until_the_moment(tmp_path: Path, config: dict[str, Any], until: Any) -> None:
    outcome = run(config, FakeContext(tmp_path))
    assert isinstance(outcome, Waiting)
    assert outcome.until == until
    assert outcome.reason.startswith("waiting until 2026-01-05T0")


def test_moment_outside_of_the_calendar_is_refused() -> None:
    for until in ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"):
        with pytest.raises(ValidationError, match="lies outside of the years 1 to 9999"):
            WaitConfig.model_validate({"until": until})


def test_wait_succeeds_when_called_again_after_the_moment(tmp_path: Path) -> None:
    context = FakeContext(tmp_path)
    first = run({"seconds": 90}, context)
    assert isinstance(first, Waiting)
    later = replace(context, now=NOW + timedelta(seconds=91.5), state=first.state)
    assert run({"seconds": 90}, later) == Succeeded({"waited_seconds": 91.5, "until": "2026-01-05T02:16:30Z"})


def test_wait_woken_early_keeps_the_first_moment(tmp_path: Path) -> None:
    context = FakeContext(tmp_path)
    first = run({"seconds": 90}, context)
    assert isinstance(first, Waiting)
    early = run({"seconds": 90}, replace(context, now=NOW + timedelta(seconds=30), state=first.state))
    assert early == replace(first, quiet=True)


@pytest.mark.parametrize("config", [{"seconds": 0}, {"until": "2020-01-01T00:00:00Z"}])
def test_nothing_to_wait_for_succeeds_at_once(tmp_path: Path, config: dict[str, Any]) -> None:
    outcome = run(config, FakeContext(tmp_path))
    assert isinstance(outcome, Succeeded)
    assert outcome.result["waited_seconds"] == 0


def test_a_time_that_lies_after_the_timeout_is_not_waited_for(tmp_path: Path) -> None:
    context = FakeContext(tmp_path, deadline=NOW + timedelta(minutes=1))
    first = run({"duration": "1h"}, context)
    assert isinstance(first, Waiting)
    assert first.until == NOW + timedelta(minutes=1)
    late = replace(context, now=NOW + timedelta(minutes=1), state=first.state)
    with pytest.raises(StageFailed) as failed:
        run({"duration": "1h"}, late)
    assert (failed.value.code, failed.value.kind) == ("wait_timeout", "timeout")
    outcome = run({"duration": "1h", "on_timeout": "continue"}, late)
    assert isinstance(outcome, Succeeded)
    assert outcome.result == {"waited_seconds": 60, "timed_out": True, "until": "2026-01-05T03:15:00Z"}


def test_a_condition_is_looked_at_again_and_again(tmp_path: Path) -> None:
    first = run({"until": False, "every": "5s"}, FakeContext(tmp_path))
    assert isinstance(first, Waiting)
    assert (first.until, first.quiet) == (NOW + timedelta(seconds=5), False)
    later = FakeContext(tmp_path, now=NOW + timedelta(seconds=5), state=first.state)
    again = run({"until": False, "every": "5s"}, later)
    assert isinstance(again, Waiting)
    assert (again.until, again.quiet) == (NOW + timedelta(seconds=10), True)
    last = replace(later, now=NOW + timedelta(seconds=10))
    assert run({"until": True, "every": "5s"}, last) == Succeeded({"waited_seconds": 10, "timed_out": False})


def test_a_condition_is_looked_at_once_more_when_the_time_is_over(tmp_path: Path) -> None:
    context = FakeContext(tmp_path, deadline=NOW + timedelta(seconds=7))
    first = run({"until": False}, context)
    assert isinstance(first, Waiting)
    assert first.until == NOW + timedelta(seconds=7)
    late = replace(context, now=NOW + timedelta(seconds=7), state=first.state)
    assert run({"until": True}, late) == Succeeded({"waited_seconds": 7, "timed_out": False})
    with pytest.raises(StageFailed, match="did not happen in time"):
        run({"until": False}, late)


def test_an_event_ends_the_wait_with_what_it_brought(tmp_path: Path) -> None:
    first = run({"event": "paid"}, FakeContext(tmp_path))
    assert isinstance(first, Waiting)
    assert (first.until, first.waits_for, first.reason) == (None, WaitsFor.EVENT, "waiting for the event paid")
    signal = {"data": {"amount": 5}, "by": "ada@example.com", "at": "2026-01-05T02:20:00Z"}
    later = FakeContext(tmp_path, now=NOW + timedelta(seconds=5), state={**first.state, "signal": signal})
    outcome = run({"event": "paid"}, later)
    assert outcome == Succeeded({"waited_seconds": 5, "timed_out": False, "event": "paid", **signal})


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({}, "exactly one of seconds, duration, until and event"),
        ({"seconds": 1, "duration": "1s"}, "exactly one of seconds, duration, until and event"),
        ({"until": "2026-01-05T06:00:00"}, "has no time zone"),
        ({"duration": "400d"}, "longest wait is 366 days"),
        ({"seconds": -1}, "greater than or equal to 0"),
        ({"seconds": float("inf")}, "finite"),
        ({"minutes": 1}, "Extra inputs"),
        ({"event": "paid", "seconds": 1}, "exactly one of"),
        ({"event": ""}, "at least 1 character"),
        ({"until": False, "every": "100ms"}, "at most once a second"),
        ({"event": "paid", "on_timeout": "approve"}, "'fail' or 'continue'"),
    ],
)
def test_wrong_config_is_refused(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        WaitConfig.model_validate(config)
