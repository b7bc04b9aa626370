"""The workflow patterns of van der Aalst et al. that the format promises, by their numbers: how each is written, and
what the planner makes of it. Multiple instances (12 to 14, 26, 34), sub-pipelines, events and pools have theirs where
those are tested.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from flexiroaster.engine.outcome import Cancelled, Skipped, Stopped, Succeeded
from tests.engine.definition_samples import check, codes, document
from tests.engine.simulation import Simulation, failed

NO = Skipped("when is false")


def started(run: Simulation) -> list[str]:
    return [str(event.stage) for event in run.history if event.type.value == "stage_started"]


PROMISED = {*range(1, 8), 9, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 24, 26, 34, 35, 36, 39, 40, 43}
REFUSED = {8, 10}


def test_every_promised_pattern_has_a_test_of_its_name() -> None:
    named: set[int] = set()
    for file in Path(__file__).parents[1].rglob("test_*.py"):
        for name in re.findall(r"^def test_patterns?_(\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE):
            numbers = [int(number) for number in re.findall(r"(?<![a-z0-9])\d+(?![a-z0-9])", name.replace("_", " "))]
            named |= set(range(numbers[0], numbers[-1] + 1)) if " to " in name.replace("_", " ") else set(numbers)
    assert named == PROMISED | REFUSED


def test_pattern_01_sequence() -> None:
    run = Simulation.of({"a": [], "b": ["a"], "c": ["b"]})
    run.run_all()
    assert started(run) == ["a", "b", "c"]


def test_pattern_02_parallel_split() -> None:
    run = Simulation.of({"a": [], "b": ["a"], "c": ["a"]})
    run.run("a")
    run.claim("b")
    run.claim("c")
    assert run.statuses() == {"a": "success", "b": "running", "c": "running"}


def test_pattern_03_synchronisation() -> None:
    run = Simulation.of({"a": [], "b": [], "both": ["a", "b"]})
    run.run("a")
    assert run.stage("both").status == "pending"
    run.run("b")
    assert run.stage("both").status == "queued"


def test_pattern_04_exclusive_choice_by_a_switch() -> None:
    run = Simulation.of({"route": [], "eu": ["route"], "us": ["route"]})
    run.run_all({"route": Succeeded(not_chosen=frozenset({"us"}))})
    assert started(run) == ["route", "eu"]


def test_pattern_04_exclusive_choice_by_conditions() -> None:
    run = Simulation.of({"a": [], "if_large": ["a"], "if_small": ["a"]})
    run.run_all({"if_large": NO})
    assert run.statuses() == {"a": "success", "if_large": "skipped", "if_small": "success"}


def test_pattern_05_simple_merge() -> None:
    """What comes after an exclusive choice runs once, whichever branch was taken."""
    run = Simulation.of({"route": [], "eu": ["route"], "us": ["route"], "merge": ["eu", "us"]})
    run.run_all({"route": Succeeded(not_chosen=frozenset({"us"}))})
    assert started(run) == ["route", "eu", "merge"]


def test_pattern_06_multi_choice() -> None:
    run = Simulation.of({"a": [], "mail": ["a"], "chat": ["a"], "fax": ["a"]})
    run.run_all({"fax": NO})
    assert started(run) == ["a", "mail", "chat", "fax"]
    assert run.statuses() == {"a": "success", "mail": "success", "chat": "success", "fax": "skipped"}


def test_pattern_07_structured_synchronising_merge() -> None:
    """It waits for every branch that was taken, and for none that was not."""
    run = Simulation.of({"a": [], "mail": ["a"], "chat": ["a"], "fax": ["a"], "merge": ["mail", "chat", "fax"]})
    run.run("a")
    run.run("fax", NO)
    run.run("mail")
    assert run.stage("merge").status == "pending"
    run.run("chat")
    run.run("merge")
    assert run.status == "success"


def test_pattern_08_multi_merge_is_left_out_a_stage_runs_once() -> None:
    run = Simulation.of({"a": [], "b": [], "merge": {"needs": ["a", "b"], "join": "one_success"}})
    run.run_all()
    assert started(run).count("merge") == 1


def test_pattern_09_structured_discriminator() -> None:
    """The first of several starts what follows; the others change nothing any more."""
    run = Simulation.of({"a": [], "b": [], "first": {"needs": ["a", "b"], "join": "one_success"}})
    run.claim("a")
    run.run("b")
    run.run("first")
    run.record("a", Succeeded())
    assert started(run) == ["a", "b", "first"]
    assert run.status == "success"


def test_pattern_10_arbitrary_cycles_are_refused() -> None:
    stages = [{"id": "a", "type": "noop", "needs": ["b"]}, {"id": "b", "type": "noop", "needs": ["a"]}]
    assert codes(check(document(*stages))) == ["cycle"]


def test_pattern_11_implicit_termination() -> None:
    """No stage says that it is the last: the execution ends when nothing is left to do."""
    run = Simulation.of({"a": [], "one_end": ["a"], "other_end": ["a"]})
    run.run("a")
    run.run("one_end")
    assert run.status == "running"
    run.run("other_end")
    assert run.status == "success"


def test_pattern_19_cancel_task_by_its_timeout() -> None:
    run = Simulation.of({"slow": [], "other": [], "after": ["slow"]})
    run.run("slow", failed("timeout"))
    run.run_all()
    assert run.statuses() == {"slow": "timed_out", "other": "success", "after": "skipped"}


def test_pattern_20_cancel_case() -> None:
    run = Simulation.of({"a": [], "b": [], "c": ["a", "b"]})
    run.claim("a")
    run.cancel()
    assert [run.name(key) for key in run.told_to_stop] == ["a"]
    run.record("a", Cancelled())
    assert run.status == "cancelled"
    assert set(run.statuses().values()) == {"cancelled"}


def test_pattern_21_structured_loop() -> None:
    repeat: dict[str, Any] = {"needs": [], "repeat": {"until": "${{ results.poll.done }}", "max": 10}}
    run = Simulation.of({"poll": repeat, "after": ["poll"]})
    for _ in range(3):
        run.run("poll", Succeeded({"done": False}, again=True))
    run.run("poll", Succeeded({"done": True}))
    run.run_all()
    assert started(run) == ["poll", "poll", "poll", "poll", "after"]


def test_pattern_43_explicit_termination() -> None:
    run = Simulation.of({"check": [], "stop": ["check"], "load": ["stop"], "aside": []})
    run.run("check")
    run.run("stop", Stopped("success", "nothing to load"))
    assert run.status == "success"
    assert run.statuses() == {"check": "success", "stop": "success", "load": "skipped", "aside": "skipped"}


def test_pattern_compensation() -> None:
    undo: dict[str, Any] = {"compensate": {"type": "noop"}}
    run = Simulation.of(
        {"flight": {"needs": [], **undo}, "hotel": {"needs": ["flight"], **undo}, "pay": ["hotel"]},
    )
    run.run_all({"pay": failed()})
    assert started(run)[-2:] == ["hotel:compensate", "flight:compensate"]
    assert run.status == "failed"
