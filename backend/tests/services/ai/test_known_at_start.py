"""What is read of an attempt is the same at its start as afterwards, whatever becomes of it: nothing of it tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flexiroaster.ai.runs import Run
from flexiroaster.services.ai.history import RunHistory, all_runs
from flexiroaster.services.ai.switch import Switch
from tests.services.ai.played import Player, player

BEGIN = 1_772_600_000.0
STAGES = ("extract", "check", "load")
OUTCOME = {"ended_at": None, "status": "", "error_class": "", "fingerprint": "", "output_rows": None, "worker": ""}


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[Player]:
    with player(tmp_path) as found:
        yield found


def execution(number: int, *, failing: tuple[tuple[str, int], ...] = (), seconds: float = 10.0) -> list[Run]:
    """Stages one after the other; those (stage, attempt) fail, and are tried again half a minute later."""
    at = BEGIN + 3_600.0 * number
    found: list[Run] = []
    for stage in STAGES:
        for attempt in (1, 2, 3):
            failed = (stage, attempt) in failing
            found.append(
                Run(
                    f"e{number}",
                    "orders",
                    at,
                    stage,
                    attempt=attempt,
                    ended_at=at + seconds,
                    status="failed" if failed else "success",
                    error_class="OSError" if failed else "",
                    connector="shop",
                    input_rows=5.0,
                )
            )
            at += seconds
            if not failed:
                break
            at += 30.0 * 2 ** (attempt - 1)
        else:
            break
    return found


def read(playing: Player) -> dict[tuple[str, str, int], Run]:
    stories = RunHistory(playing.engine.database, Switch()).newest(100)
    names = {id: name for name, id in playing.names.items()}
    return {(names[run.execution], run.stage, run.attempt): run for run in all_runs(stories)}


@pytest.mark.parametrize("stage", STAGES)
def test_a_first_attempt_does_not_show_that_it_will_fail(playing: Player, stage: str) -> None:
    ways = [(), ((stage, 1),), ((stage, 1), (stage, 2)), ((stage, 1), (stage, 2), (stage, 3))]
    playing.play([run for number, failing in enumerate(ways) for run in execution(number, failing=failing)])
    found = read(playing)
    first = found["e0", stage, 1]
    assert first.queued_at is not None
    for number in range(1, len(ways)):
        other = found[f"e{number}", stage, 1]
        assert other.failed
        moved = 3_600.0 * number
        shifted = replace(
            other,
            execution=first.execution,
            started_at=other.started_at - moved,
            queued_at=None if other.queued_at is None else other.queued_at - moved,
        )
        assert replace(shifted, **OUTCOME) == replace(first, **OUTCOME)
