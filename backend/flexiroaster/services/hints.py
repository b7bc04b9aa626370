"""Word from other processes that something is ready: looked up in the database, and announced here."""

from __future__ import annotations

from collections.abc import Collection

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import NotFound
from flexiroaster.engine.runs import Key
from flexiroaster.engine.state import StageStatus
from flexiroaster.services.changes import Changes
from flexiroaster.services.live import Live
from flexiroaster.services.stage_runs import StageRuns


class Hints:
    def __init__(self, changes: Changes, stage_runs: StageRuns) -> None:
        self._changes = changes
        self._stage_runs = stage_runs

    def take(self, execution_id: str, keys: Collection[Key]) -> None:
        """These were ready when somebody said so, a moment or a week ago. What is not any more is left alone, and so is
        what other workers are there for.
        """

        def decide(live: Live, draft: Draft) -> None:
            for key in keys:
                run = live.state.runs.get(key)
                if run is None or run.status is not StageStatus.QUEUED:
                    continue
                if self._stage_runs.is_ours(live.version, key):
                    draft.ready.append(key)

        if self._changes.others.present:
            self._changes.live.look_again(execution_id)
        try:
            self._changes.change(execution_id, decide)
        except NotFound:
            pass  # deleted meanwhile
