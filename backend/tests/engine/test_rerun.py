"""What a re-run takes over: decided by the states of the earlier execution's stages and the graph alone."""

from __future__ import annotations

from typing import Any

import pytest

from flexiroaster.engine import planner
from flexiroaster.engine.errors import Conflict, InvalidRequest
from flexiroaster.engine.outcome import Skipped, Succeeded
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.rerun import NOT_ASKED, Earlier, Rerun, plan_rerun
from flexiroaster.engine.runs import Execution, ExecutionState, Key
from flexiroaster.engine.state import ExecutionStatus, StageStatus
from tests.engine.simulation import START, Simulation, failed, pipeline

S = StageStatus
DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def earlier(**statuses: str) -> dict[str, Earlier]:
    return {stage: Earlier(S(status), "before") for stage, status in statuses.items()}


def ended(plan: Plan, rerun: Rerun) -> dict[str, set[str]]:
    def names(positions: Any) -> set[str]:
        return {plan.stages[position].id for position in positions}

    return {"reused": names(rerun.reused), "again": names(rerun.again), "not_asked": names(rerun.not_asked)}


def planned(stages: dict[str, Any], before: dict[str, Earlier], stage: str | None, *, alone: bool = False) -> Any:
    plan = Plan.of(pipeline(stages))
    rerun = plan_rerun(plan, before, "before", stage, alone=alone)
    return {**ended(plan, rerun), "whys": dict(rerun.whys)}


def test_without_a_stage_everything_runs() -> None:
    found = planned(DIAMOND, earlier(a="success", b="success", c="success", d="failed"), None)
    assert (found["reused"], found["again"]) == (set(), {"a", "b", "c", "d"})


def test_from_a_stage_on_it_and_all_that_needs_it_runs() -> None:
    found = planned(DIAMOND, earlier(a="success", b="success", c="success", d="success"), "b")
    assert (found["reused"], found["again"], found["whys"]) == ({"a", "c"}, {"b", "d"}, {})


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (Earlier(S.FAILED, "before"), "it failed then"),
        (Earlier(S.TIMED_OUT, "before"), "it timed out then"),
        (Earlier(S.CANCELLED, "before"), "it was cancelled then"),
        (Earlier(S.RUNNING, "before"), "it has not ended yet"),
        (Earlier(S.SUCCESS, "before", gone="data.parquet"), "its data.parquet is gone"),
        (Earlier(S.SKIPPED, "before", reason=NOT_ASKED), "nobody asked for it then"),
        (None, "the earlier execution did not have it"),
    ],
)
def test_what_cannot_be_reused_runs_again_with_all_that_needs_it(state: Earlier | None, why: str) -> None:
    before = earlier(a="success", b="success", c="success", d="success", e="success")
    before = {**before, "c": state} if state else {name: kept for name, kept in before.items() if name != "c"}  # type: ignore[dict-item]
    found = planned({**DIAMOND, "e": ["a"]}, before, "b")
    assert (found["reused"], found["again"]) == ({"a", "e"}, {"b", "c", "d"})
    assert found["whys"] == {"c": why}


def test_a_chain_of_whys_names_the_next_cause() -> None:
    before = earlier(a="failed", b="skipped", c="skipped", x="success")
    found = planned({"a": [], "b": ["a"], "c": ["b"], "x": []}, before, "x")
    assert found["whys"] == {
        "a": "it failed then",
        "b": "it needs a, which runs again",
        "c": "it needs b, which runs again",
    }


def test_a_skip_is_taken_over_too() -> None:
    found = planned({"a": [], "b": ["a"], "c": ["b"]}, earlier(a="success", b="skipped", c="success"), "c")
    assert found["reused"] == {"a", "b"}


def test_one_stage_alone_leaves_out_the_rest() -> None:
    before = earlier(a="success", b="success", c="failed", d="skipped")
    found = planned(DIAMOND, before, "b", alone=True)
    assert found["reused"] == {"a"}
    assert found["again"] == {"b"}
    assert found["not_asked"] == {"c", "d"}


def test_one_stage_alone_needs_what_it_needs() -> None:
    with pytest.raises(Conflict, match=r"Stage d cannot run alone: it needs c, and it failed then\. Run again from c"):
        planned(DIAMOND, earlier(a="success", b="success", c="failed", d="skipped"), "d", alone=True)


def test_a_stage_the_version_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="There is no stage 'x' in this version: its stages are a, b, c, d"):
        planned(DIAMOND, {}, "x")


def test_a_handler_is_no_place_to_begin() -> None:
    plan = Plan.of(pipeline({"a": []}, **{"finally": [{"id": "tidy", "type": "noop"}]}))
    with pytest.raises(InvalidRequest, match="Stage 'tidy' runs when an execution ends"):
        plan_rerun(plan, {}, "before", "tidy")


# ── the planner ─────────────────────────────────────────────────────────────────────────────────────────────────────


def rerun(before: Simulation, stage: str, *, alone: bool = False, plan: Plan | None = None) -> Simulation:
    """A simulation that goes on where `before` is taken over."""
    known = {
        before.name(key): Earlier(run.status, "before", run.rows, run.bytes, run.reason, run.state)
        for key, run in before.state.runs.items()
    }
    after = Simulation.__new__(Simulation)
    after.plan, after.now, after.ready, after.history = plan or before.plan, START, [], []
    after.attempts, after.told_to_stop = [], []
    execution = Execution("again", "p", 1, 2, ExecutionStatus.QUEUED, START, alone=alone)
    after.state = ExecutionState(execution)
    after._apply(lambda draft: planner.take_over(draft, plan_rerun(after.plan, known, "before", stage, alone=alone)))
    after._apply(planner.begin)
    return after


def test_reused_stages_are_there_with_their_rows_and_their_source() -> None:
    before = Simulation.of(DIAMOND)
    before.run("a", Succeeded(rows=3, bytes=70))
    before.run_all({"b": failed()})
    after = rerun(before, "b")
    assert after.statuses() == {"a": "success", "b": "queued", "c": "success", "d": "pending"}
    reused = after.stage("a")
    assert (reused.rows, reused.bytes, reused.reused_from, reused.attempt) == (3, 70, "before", 0)
    assert after.history[0].payload["rerun_of"] == "before"
    assert after.history[0].payload["from_stage"] == "b"
    told = next(event for event in after.history if event.stage == "a")
    assert (told.type, told.payload["reused_from"], told.payload["rows"]) == ("stage_completed", "before", 3)
    after.run_all()
    assert (after.status, after.stage("d").attempt) == ("success", 1)


def test_a_skipped_branch_stays_skipped_and_the_join_goes_on() -> None:
    before = Simulation.of({"a": [], "b": ["a"], "c": ["b"], "d": ["a"], "e": ["c", "d"]})
    before.run("a")
    before.run("b", Skipped("when is false"))
    before.run_all({"e": failed()})
    assert before.statuses()["c"] == "skipped"
    after = rerun(before, "e")
    assert after.ready == [Key(4)]
    assert after.stage("b").reason == "when is false"
    after.run_all()
    assert after.status == "success"


def test_a_switch_that_was_taken_over_still_passes_over_the_others() -> None:
    before = Simulation.of({"choose": [], "left": ["choose"], "right": ["choose"], "end": ["left", "right"]})
    before.run("choose", Succeeded(not_chosen=frozenset({"right"})))
    before.run_all({"end": failed()})
    assert before.statuses()["right"] == "skipped"
    after = rerun(before, "left")
    after.run_all()
    assert after.statuses() == {"choose": "success", "left": "success", "right": "skipped", "end": "success"}
    again = rerun(before, "right")
    assert again.stage("right").reason == "not chosen by choose"


def test_one_stage_alone_ends_the_execution_with_it() -> None:
    before = Simulation.of(DIAMOND)
    before.run_all()
    after = rerun(before, "b", alone=True)
    after.run("b")
    assert (after.status, after.statuses()) == (
        "success",
        {"a": "success", "b": "success", "c": "success", "d": "skipped"},
    )
    assert after.stage("d").reason == NOT_ASKED


def test_a_retry_of_one_stage_alone_runs_that_one_again() -> None:
    before = Simulation.of(DIAMOND)
    before.run_all()
    after = rerun(before, "b", alone=True)
    after.run("b", failed())
    assert after.status == "failed"
    after.retry()
    after.run_all()
    assert (after.status, after.stage("d").status) == ("success", S.SKIPPED)


def test_a_re_run_in_which_nothing_is_left_to_run_ends_at_once() -> None:
    stages = {"a": [], "b": {"needs": ["a"], "join": "one_failed"}}
    before = Simulation.of(stages)
    before.run_all({"a": failed()})
    other = Simulation.of(stages)
    other.run_all()
    after = rerun(other, "b")
    assert (after.status, after.stage("b").status) == ("success", S.SKIPPED)


def test_handlers_do_not_run_for_one_stage_alone() -> None:
    before = Simulation.of({"a": []}, **{"finally": [{"id": "tidy", "type": "noop"}]})
    before.run_all()
    assert before.stage("tidy").status is S.SUCCESS
    after = rerun(before, "a", alone=True)
    after.run_all()
    assert (after.status, Key(1) in after.state.runs) == ("success", False)
