"""What is to become of an instant: shared by the schedule that comes to it, and by who asks for one that passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import structlog

from flexiroaster.engine.errors import FlexiRoasterError, InvalidInputs
from flexiroaster.engine.events import EventType, of_pipeline
from flexiroaster.engine.expressions import ExpressionError, Template
from flexiroaster.services.changes import Changes, Tally
from flexiroaster.services.scope import SCHEDULE, trigger_names
from flexiroaster.services.starting import Checked, Starting, Wanted
from flexiroaster.store.database import StoreUnavailable, Transaction
from flexiroaster.store.triggers import FiringRow, FiringState, TriggerRow

log = structlog.get_logger(__name__)


class Refused(Exception):
    """Nothing can be started; the message says why."""


class Decision(NamedTuple):
    """`checked` is what to start; None where nothing is, for the reason that the firing says."""

    firing: FiringRow
    checked: Checked | None


class Span(NamedTuple):
    """Moments as text, both included; without an offset on the clocks of the trigger's zone, a day alone is all of it.

    What has not come yet is left to the schedule.
    """

    first: str
    last: str
    latest_first: bool = False
    priority: int = 0


class Firing:
    def __init__(self, changes: Changes, starting: Starting) -> None:
        self._changes = changes
        self._starting = starting

    def decide(
        self, row: TriggerRow, instant: datetime, now: datetime, *, priority: int = 0, reason: str | None = None
    ) -> Decision:
        """`reason` of what is started. Raises StoreUnavailable alone: for whatever else is wrong it is refused."""
        started = FiringRow(row.pipeline_id, row.id, instant, "started", now, reason=reason)
        try:
            checked = self._checked(row, instant, priority)
        except StoreUnavailable:
            raise
        except Exception as failure:  # whatever it is: this instant is over, and the others must not suffer
            return self.refused(started, failure)
        if checked is None:
            return Decision(_nothing(started, "skipped", "`when` is false"), None)
        return Decision(replace(started, execution_id=checked.id), checked)

    def refused(self, firing: FiringRow, failure: Exception) -> Decision:
        """It could not be started after all."""
        if not isinstance(failure, FlexiRoasterError | ExpressionError | Refused):
            log.error(
                "trigger.failed",
                pipeline=firing.pipeline_id,
                trigger=firing.trigger_id,
                instant=firing.instant.isoformat(),
                exc_info=failure,
            )
        return Decision(_nothing(firing, "refused", _sentence(failure)), None)

    def carry_out(self, tx: Transaction, tally: Tally, decision: Decision) -> None:
        """Once the firing is recorded: start what is to be started, and tell of it."""
        firing, checked = decision
        number = None if checked is None else self._starting.insert(tx, tally, checked).number
        tx.after_commit(partial(self._tell, firing, number))

    def _checked(self, row: TriggerRow, instant: datetime, priority: int) -> Checked | None:
        """None where its condition does not hold."""
        trigger = row.document
        visible = {
            "vars": {},
            "execution": {"logical_date": instant},
            "trigger": trigger_names(SCHEDULE, row.id),
        }
        if (condition := trigger.get("when")) is not None:
            holds = Template.parse(condition).render(visible)
            if not isinstance(holds, bool):
                raise Refused(f"`when` is {holds!r}, neither true nor false: {condition}")
            if not holds:
                return None
        inputs: Mapping[str, Any] = Template.parse(trigger.get("inputs", {})).render(visible)
        wanted = Wanted(
            row.pipeline_id, inputs, trigger=SCHEDULE, actor=row.id, priority=priority, logical_date=instant
        )
        return self._starting.check(wanted)

    def _tell(self, firing: FiringRow, number: int | None) -> None:
        if firing.state in ("refused", "missed"):
            log.warning(
                f"trigger.{firing.state}",
                pipeline=firing.pipeline_id,
                trigger=firing.trigger_id,
                instant=firing.instant.isoformat(),
                reason=firing.reason,
            )
        told = of_pipeline(
            EventType.TRIGGER_FIRED,
            firing.pipeline_id,
            firing.at,
            trigger=firing.trigger_id,
            instant=firing.instant.isoformat(),
            state=firing.state,
            execution_id=firing.execution_id,
            number=number,
            reason=firing.reason,
        )
        self._changes.bus.publish([told])


def _nothing(firing: FiringRow, state: FiringState, reason: str) -> FiringRow:
    return replace(firing, state=state, execution_id=None, reason=reason)


def _sentence(failure: Exception) -> str:
    if isinstance(failure, InvalidInputs):
        return "; ".join(problem.message for problem in failure.problems)
    text = str(failure)
    return text if isinstance(failure, FlexiRoasterError | ExpressionError | Refused) else f"Internal error: {text}"
