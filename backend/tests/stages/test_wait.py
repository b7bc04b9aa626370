from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flexiroaster.engine.outcome import Succeeded, Waiting
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
    assert early == first


@pytest.mark.parametrize("config", [{"seconds": 0}, {"until": "2020-01-01T00:00:00Z"}])
def test_nothing_to_wait_for_succeeds_at_once(tmp_path: Path, config: dict[str, Any]) -> None:
    outcome = run(config, FakeContext(tmp_path))
    assert isinstance(outcome, Succeeded)
    assert outcome.result["waited_seconds"] == 0


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({}, "exactly one of seconds, duration and until"),
        ({"seconds": 1, "duration": "1s"}, "exactly one of seconds, duration and until"),
        ({"until": "2026-01-05T06:00:00"}, "has no time zone"),
        ({"duration": "400d"}, "longest wait is 366 days"),
        ({"seconds": -1}, "greater than or equal to 0"),
        ({"seconds": float("inf")}, "finite"),
        ({"minutes": 1}, "Extra inputs"),
    ],
)
def test_wrong_config_is_refused(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        WaitConfig.model_validate(config)
