"""What the recorded inputs and results of real executions say of keeping results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flexiroaster.ai.runs import HOUR
from flexiroaster.services.ai.messages import keep_findings, line, of_findings, parsed
from flexiroaster.services.ai.room import make_ai
from flexiroaster.services.ai.study import Study
from flexiroaster.services.ai.switch import Switch
from tests.services.ai.planted_changes import unchanged
from tests.services.ai.played import AUTHOR, Player, at, player

START = 1_780_000_000.0
EXECUTIONS = 44


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[Player]:
    with player(tmp_path) as found:
        yield found


def test_results_that_stayed_the_same_are_kept_and_others_are_not(playing: Player) -> None:
    playing.play([*unchanged(START, EXECUTIONS), *unchanged(START, EXECUTIONS, id="orders", same=False)])
    database, now = playing.engine.database, at(START + EXECUTIONS * 6 * HOUR)
    ai = make_ai(database, playing.engine.pipelines, playing.engine.bus, clock=lambda: now)
    findings = Study(database, Switch(), lambda kind: False, clock=lambda: now).look()
    keep_findings(parsed(line(of_findings(findings))), ai, now)
    kept = [(id, one) for id, found in findings.suggestions.items() for one in found if one.kind == "cache"]
    assert [(id, one.stages) for id, one in kept] == [("catalogue", ("extract",))]
    picture = ai.suggestions.get(kept[0][1].id)
    assert picture.value == "cheaper"
    assert picture.diff.count("\n+") == 1 + 1
    assert "cache: {key:" in picture.diff
    assert picture.row.confidence > 0.9
    assert set(picture.row.shown) <= set(playing.names.values())
    draft = ai.suggestions.apply(picture.row.id, AUTHOR).row.version_applied
    assert draft is not None
    assert "cache" in playing.engine.pipelines.version("catalogue", draft).document["stages"][0]


def test_what_few_executions_may_show_is_told(playing: Player) -> None:
    playing.play(unchanged(START, 7))
    database, now = playing.engine.database, at(START + EXECUTIONS * 6 * HOUR)
    ai = make_ai(database, playing.engine.pipelines, playing.engine.bus, clock=lambda: now)
    findings = Study(database, Switch(), lambda kind: False, clock=lambda: now).look()
    keep_findings(parsed(line(of_findings(findings))), ai, now)
    assert ai.models.standing().more_needed == [
        {"pipeline_id": "catalogue", "kind": None, "text": "Not enough data yet (7 of 20 executions)."}
    ]
