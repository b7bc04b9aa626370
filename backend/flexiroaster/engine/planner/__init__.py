"""Decides what follows from what happened: values in, values out.

Every function takes a `Draft` (the plan of the version, the state as last committed, the time) and leaves in it the
changed execution, stage runs and events. Nothing here knows a clock, chance, network, disk or log. Only the runs a
decision touches are looked at, so its cost does not grow with the pipeline.
"""

from flexiroaster.engine.draft import IllegalMove
from flexiroaster.engine.planner.admitting import admit, turn_away
from flexiroaster.engine.planner.cancelling import cancel_item, cancel_stage
from flexiroaster.engine.planner.finishing import answer_outputs, fail_outputs
from flexiroaster.engine.planner.holding import (
    DATABASE_SILENT,
    SERVER_STOPPED,
    HandedBack,
    claim,
    claimable,
    goes_on_with_attempt,
    is_current,
    lose,
    release,
)
from flexiroaster.engine.planner.pausing import pause, resume
from flexiroaster.engine.planner.queueing import expire, has_gate, hold_back, slots_freed, slots_taken
from flexiroaster.engine.planner.recording import record
from flexiroaster.engine.planner.rerunning import begin, take_over
from flexiroaster.engine.planner.retrying import needing_another_run, retry
from flexiroaster.engine.planner.starting import start
from flexiroaster.engine.planner.stopping import cancel, time_out
from flexiroaster.engine.planner.waiting import signal, wake

__all__ = [
    "DATABASE_SILENT",
    "SERVER_STOPPED",
    "HandedBack",
    "IllegalMove",
    "admit",
    "answer_outputs",
    "begin",
    "cancel",
    "cancel_item",
    "cancel_stage",
    "claim",
    "claimable",
    "expire",
    "fail_outputs",
    "goes_on_with_attempt",
    "has_gate",
    "hold_back",
    "is_current",
    "lose",
    "needing_another_run",
    "pause",
    "record",
    "release",
    "resume",
    "retry",
    "signal",
    "slots_freed",
    "slots_taken",
    "start",
    "take_over",
    "time_out",
    "turn_away",
    "wake",
]
