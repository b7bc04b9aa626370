"""Random graphs, random outcomes, random accidents: whatever happens, every execution ends, once and rightly."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flexiroaster.engine.events import Event
from flexiroaster.engine.join import Verdict, verdict
from flexiroaster.engine.outcome import Cancelled, Skipped, Stopped, Succeeded, Waiting, WaitsFor
from flexiroaster.engine.pipeline import Join
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.planner.moves import OPEN
from flexiroaster.engine.runs import Key
from flexiroaster.engine.state import EXECUTION_FINAL, STAGE_FINAL, Phase, StageStatus
from tests.engine.simulation import Simulation, failed, pipeline

JOINS = [join.value for join in Join]


@st.composite
def graphs(draw: st.DrawFn, joins: list[str] = JOINS) -> dict[str, Any]:
    size = draw(st.integers(1, 9))
    stages: dict[str, Any] = {}
    for position in range(size):
        earlier = [f"s{other}" for other in range(position)]
        stage: dict[str, Any] = {"needs": draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier else []}
        if stage["needs"]:
            stage["join"] = draw(st.sampled_from(joins))
        if draw(st.booleans()):
            stage["retry"] = {"max_attempts": draw(st.integers(1, 3)), "delay": "1s"}
        if draw(st.integers(0, 3)) == 0:
            stage["repeat"] = {"until": "${{ true }}", "max": draw(st.integers(1, 3)), "delay": draw(DELAYS)}
        if draw(st.integers(0, 2)) == 0:
            stage["compensate"] = {"type": "noop"}
        stages[f"s{position}"] = stage
    return stages


DELAYS = st.sampled_from(["0s", "5s"])
HANDLERS = ("on_failure", "on_success", "finally")


@st.composite
def handlers(draw: st.DrawFn) -> dict[str, Any]:
    """Lists of up to three stages; each may need those above it."""
    lists: dict[str, Any] = {}
    for name in HANDLERS:
        ids = [f"{name}{position}" for position in range(draw(st.integers(0, 3)))]
        lists[name] = [
            {
                "id": id,
                "type": "noop",
                "needs": draw(st.lists(st.sampled_from(ids[:position]), unique=True)) if position else [],
                "join": draw(st.sampled_from(JOINS)),
            }
            for position, id in enumerate(ids)
        ]
    return lists


def drive(run: Simulation, data: st.DataObject, *, accidents: bool = True) -> None:
    """Let random things happen until the execution has ended."""
    for _ in range(1_000):
        if run.execution.status in EXECUTION_FINAL:
            return
        moves: list[tuple[str, Key | None]] = [("claim", key) for key in run.ready]
        moves += [("end", key) for key in run.held()]
        moves += [("wake", key) for key in run.waiting()]
        moves += [("signal", key) for key, stage in run.state.runs.items() if stage.waits_for is WaitsFor.APPROVAL]
        if accidents:
            moves += [("lose", key) for key in run.held()]
            moves += [("cancel", None), ("time_out", None)] if data.draw(st.integers(0, 12)) == 0 else []
            moves += [("cancel_stage", key) for key in run.state.runs] if data.draw(st.integers(0, 8)) == 0 else []
            moves += [("pause", None)] if run.execution.status in OPEN and data.draw(st.integers(0, 6)) == 0 else []
        moves += [("resume", None)] if run.status == "paused" else []
        assert moves, f"stuck: {run.statuses()}"
        _step(run, data, *data.draw(st.sampled_from(moves)))
    raise AssertionError("it does not end")


def _step(run: Simulation, data: st.DataObject, move: str, key: Key | None) -> None:
    match move, key:
        case "claim", Key():
            run.claim(key)
        case "end", Key():
            run.record(key, _outcome(run, key, data), data.draw(st.floats(0, 0.99)))
        case "wake", Key():
            run.wake(key)
        case "signal", Key():
            run.signal(key, WaitsFor.APPROVAL, approved=True)
        case "lose", Key():
            run.lose(key)
        case "cancel", _:
            run.cancel()
        case "cancel_stage", Key():
            run.cancel_stage(key)
        case "pause", _:
            run.pause()
        case "resume", _:
            run.resume()
        case "time_out", _:
            run.time_out()


def _outcome(run: Simulation, key: Key, data: st.DataObject) -> Any:
    stage = run.plan.stages[key.position]
    outcomes = [
        Succeeded(),
        Succeeded({"rows": 1}, rows=1),
        Skipped("when is false"),
        Cancelled(),
        failed("permanent"),
        failed("transient"),
        failed("timeout"),
        Waiting(run.now + timedelta(seconds=5), "waiting"),
        Waiting(None, "waiting for approval", waits_for=WaitsFor.APPROVAL),
    ]
    if stage.repeat is not None:
        outcomes += [Succeeded({"n": 1}, again=True)] * 3
    if stage.successors:
        ids = [run.plan.stages[position].id for position in stage.successors]
        outcomes.append(Succeeded(not_chosen=frozenset(data.draw(st.lists(st.sampled_from(ids), unique=True)))))
    if stage.phase is Phase.MAIN and data.draw(st.integers(0, 5)) == 0:
        outcomes += [Stopped(status) for status in STOPS]
    return data.draw(st.sampled_from(outcomes))


STOPS: tuple[Any, ...] = ("success", "failed", "cancelled")


def _check(run: Simulation) -> None:
    execution = run.execution
    assert all(stage.status in STAGE_FINAL for stage in run.state.runs.values())
    assert run.state.open == 0
    assert execution.ended_at is not None
    assert [event.seq for event in run.history] == list(range(1, len(run.history) + 1))
    ends = [event for event in run.history if event.type.value in ENDS]
    assert len(ends) == 1 + execution.retries
    assert execution.paused_at is None
    broken = {StageStatus.FAILED, StageStatus.TIMED_OUT}
    if execution.status.value == "success":
        main = [stage for stage in run.state.runs.values() if _phase(run, stage.key) is Phase.MAIN]
        assert not any(stage.status in {*broken, StageStatus.CANCELLED} for stage in main) or _was_stopped(run)
    if execution.status.value == "failed":
        assert execution.failed_stage is not None
        assert run.stage(execution.failed_stage).status in broken
    for stage in run.state.runs.values():
        assert stage.lease_owner is None
        assert stage.due_at is None
        assert stage.waits_for is None
        repeat = run.plan.stages[stage.key.position].repeat
        assert stage.iterations <= (repeat.max if repeat else 0)


def _was_stopped(run: Simulation) -> bool:
    """By a stage that said that it is a success."""
    return any((event.payload.get("reason") or "").endswith("ended the execution") for event in run.history)


def _phase(run: Simulation, key: Key) -> Phase:
    return run.plan.stages[key.position].phase


def _of_last_round(run: Simulation) -> list[Event]:
    ends = [place for place, event in enumerate(run.history) if event.type.value in ENDS]
    return run.history[ends[-2] + 1 if len(ends) > 1 else 0 :]


def _check_phases(run: Simulation) -> None:
    """In this round: what was to follow did, once and in its order, and only when all before had ended."""
    history = _of_last_round(run)
    began = [Phase(event.payload["phase"]) for event in history if event.type.value == "execution_phase"]
    order = list(Phase)
    assert began == sorted(set(began), key=order.index)
    if run.execution.started_at is not None and run.plan.phases.get(Phase.FINALLY):
        assert began[-1:] == [Phase.FINALLY]
    assert not {Phase.ON_SUCCESS, Phase.ON_FAILURE} <= set(began)
    started = [event.stage or "" for event in history if event.type.value == "stage_started"]
    places = [order.index(run.plan.stages[run.plan.positions[stage]].phase) for stage in started]
    assert places == sorted(places)
    handlers_broke = [
        stage
        for stage in run.state.runs.values()
        if _phase(run, stage.key) in (Phase.ON_SUCCESS, Phase.FINALLY)
        and _phase(run, stage.key) in began
        and stage.status in (StageStatus.FAILED, StageStatus.TIMED_OUT)
    ]
    assert not handlers_broke or run.status != "success"


def _check_compensation(run: Simulation) -> None:
    """What succeeded is undone one by one, the last first, and never after a success."""
    completed = [event.stage for event in run.history if event.type.value == "stage_completed"]
    undone = [
        (event.stage or "").removesuffix(":compensate")
        for event in run.history
        if event.type.value == "stage_started" and (event.stage or "").endswith(":compensate")
    ]
    in_order = list(dict.fromkeys(undone))
    assert in_order == sorted(in_order, key=completed.index, reverse=True)
    assert not undone or run.status != "success"


def _check_pauses(run: Simulation) -> None:
    status = "queued"
    for event in run.history:
        if event.stage is None:
            status = event.payload.get("status", status)
        assert not (event.type.value == "stage_started" and status == "paused")
    assert status == run.status


def _is_kept(run: Simulation, key: Key, again: set[int]) -> bool:
    return _phase(run, key) is Phase.MAIN and key.position not in again


ENDS = {"execution_completed", "execution_failed", "execution_cancelled", "execution_timed_out"}


@settings(max_examples=300, deadline=None)
@given(graphs(), st.data())
def test_every_execution_ends_exactly_once(stages: dict[str, Any], data: st.DataObject) -> None:
    run = Simulation(Plan.of(pipeline(stages, timeout="1h")))
    drive(run, data)
    _check(run)


@settings(max_examples=150, deadline=None)
@given(graphs(), handlers(), st.data())
def test_phases_follow_each_other_whatever_happens(
    stages: dict[str, Any], lists: dict[str, Any], data: st.DataObject
) -> None:
    run = Simulation(Plan.of(pipeline(stages, timeout="1h", **lists)))
    drive(run, data)
    _check(run)
    _check_phases(run)
    _check_compensation(run)
    _check_pauses(run)


@settings(max_examples=100, deadline=None)
@given(graphs(), handlers(), st.data())
def test_every_round_has_its_own_handlers(stages: dict[str, Any], lists: dict[str, Any], data: st.DataObject) -> None:
    run = Simulation(Plan.of(pipeline(stages, **lists)))
    for _ in range(3):
        drive(run, data)
        _check(run)
        _check_phases(run)
        if run.status == "success":
            return
        run.ready.clear()
        run.retry()


@settings(max_examples=100, deadline=None)
@given(graphs(), st.data())
def test_stage_that_was_not_chosen_never_starts(stages: dict[str, Any], data: st.DataObject) -> None:
    run = Simulation(Plan.of(pipeline(stages)))
    drive(run, data)
    for stage in run.state.runs.values():
        if (stage.reason or "").startswith("not chosen by"):
            assert stage.status is StageStatus.SKIPPED
            assert stage.attempt == 0


@settings(max_examples=200, deadline=None)
@given(graphs(), st.data())
def test_retry_keeps_successes_and_ends_again(stages: dict[str, Any], data: st.DataObject) -> None:
    run = Simulation(Plan.of(pipeline(stages)))
    drive(run, data)
    if run.status == "success":
        return
    from flexiroaster.engine.planner import needing_another_run

    again = needing_another_run(run.plan, run.state)
    kept = {key: stage for key, stage in run.state.runs.items() if _is_kept(run, key, again)}
    run.ready.clear()
    run.retry()
    drive(run, data)
    _check(run)
    for key, stage in kept.items():
        counters = {"needs_left": 0, "needs_ok": 0, "needs_failed": 0}
        assert replace(run.state.runs[key], **counters) == replace(stage, **counters)


@settings(max_examples=200, deadline=None)
@given(graphs(joins=["no_failure"]), st.data())
def test_a_stage_runs_only_after_all_it_needs_and_never_after_a_failure(
    stages: dict[str, Any], data: st.DataObject
) -> None:
    run = Simulation(Plan.of(pipeline(stages)))
    drive(run, data, accidents=False)
    ended: dict[str, str] = {}
    for event in run.history:
        if event.stage not in stages:
            continue
        if event.type.value == "stage_started":
            needs = stages[event.stage]["needs"]
            assert all(ended.get(need) in ("success", "skipped") for need in needs)
            assert not needs or any(ended[need] == "success" for need in needs)
        elif event.payload["status"] in {"success", "failed", "timed_out", "skipped", "cancelled"}:
            ended[event.stage] = event.payload["status"]


@settings(max_examples=200, deadline=None)
@given(graphs(), st.data())
def test_the_events_alone_rebuild_every_stage(stages: dict[str, Any], data: st.DataObject) -> None:
    run = Simulation(Plan.of(pipeline(stages)))
    drive(run, data)
    rebuilt = dict.fromkeys(run.statuses(), "pending")
    for event in run.history:
        if event.stage is not None:
            rebuilt[event.stage] = event.payload["status"]
    assert rebuilt == run.statuses()


@given(st.sampled_from(list(Join)), st.lists(st.sampled_from(["left", "ok", "failed", "skipped"]), max_size=6))
def test_join_decides_once_all_have_ended(join: Join, ends: list[str]) -> None:
    result = verdict(join, len(ends), ends.count("left"), ends.count("ok"), ends.count("failed"))
    if "left" not in ends:
        assert result is not Verdict.WAIT


@given(st.sampled_from(list(Join)), st.lists(st.sampled_from(["left", "ok", "failed", "skipped"]), max_size=5))
def test_join_never_changes_its_mind(join: Join, ends: list[str]) -> None:
    """Whatever the missing ones do, a decision that was made early stands."""
    early = verdict(join, len(ends), ends.count("left"), ends.count("ok"), ends.count("failed"))
    if early is Verdict.WAIT or "left" not in ends:
        return
    for end in ("ok", "failed", "skipped"):
        later = [end if one == "left" else one for one in ends]
        late = verdict(join, len(later), 0, later.count("ok"), later.count("failed"))
        assert late is early
