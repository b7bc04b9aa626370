from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from flexiroaster.ai import Predictor, Run
from flexiroaster.ai.prediction import alike
from flexiroaster.ai.prediction.alike import Alike


def run(number: int, seconds: float, **values: object) -> Run:
    at = 100_000.0 * number
    given = {"execution": f"e{number}", "pipeline": "p", "stage": "load", "kind": "sql", "started_at": at}
    return Run.of(given | {"ended_at": at + seconds, "status": "success"} | values)


def followed(executions: list[list[Run]]) -> Predictor:
    predictor = Predictor(refit_every=None)
    for rows in executions:
        for row in rows:
            predictor.predict(row)
        for row in sorted(rows, key=lambda row: row.ended_at or 0.0):
            predictor.observe(row)
    return predictor


def test_an_item_takes_as_long_as_it_did() -> None:
    chance = random.Random(1)
    usual = {f"region {n}": math.exp(chance.gauss(4, 1)) for n in range(20)}
    late = [math.exp(chance.gauss(0, 0.5)) for _ in range(6)]
    predictor = followed([[run(n, late[n] * seconds, item=item) for item, seconds in usual.items()] for n in range(6)])
    answers = {item: predictor.predict(run(7, 1, item=item)).duration.p50 for item in usual}
    middle = sorted(usual.values())[10]
    off = [abs(math.log(answers[item] / usual[item])) for item in usual]
    off_without = [abs(math.log(middle / seconds)) for seconds in usual.values()]
    assert sum(off) < 0.6 * sum(off_without)


def test_an_input_tells_what_an_execution_takes() -> None:
    modes = ["delta", "delta", "full"] * 20
    predictor = followed(
        [[run(n, {"full": 300, "delta": 20}[mode], categories={"mode": mode})] for n, mode in enumerate(modes)]
    )
    full, delta = (predictor.predict(run(61, 1, categories={"mode": mode})).duration.p50 for mode in ("full", "delta"))
    assert 200 < full < 400
    assert delta == pytest.approx(20, rel=0.25)


def test_what_never_comes_again_says_nothing() -> None:
    chance = random.Random(2)
    rows = [run(n, 60 * math.exp(chance.gauss(0, 0.1))) for n in range(40)]
    dated = [replace(row, categories={"day": f"day {n}"}) for n, row in enumerate(rows)]
    named, unnamed = (followed([[row] for row in told]).predict(run(41, 1)).duration for told in (dated, rows))
    assert named == unnamed


def test_a_text_without_influence_does_not_move_the_answer() -> None:
    chance = random.Random(3)
    rows = [run(n, 60 * math.exp(chance.gauss(0, 0.3)), categories={"team": chance.choice("abc")}) for n in range(200)]
    predictor = followed([[row] for row in rows])
    answers = [predictor.predict(run(201, 1, categories={"team": team})).duration.p50 for team in "abc"]
    assert max(answers) / min(answers) < 1.25


def test_a_first_run_is_far_from_what_was_expected_for_no_reason_of_its_inputs() -> None:
    known = Alike()
    known.add(run(0, 1, categories={"mode": "full"}), 2.5, first=True)
    for number in range(1, 9):
        known.add(run(number, 1, categories={"mode": "full"}), 0.0)
    assert known.effect(run(10, 1, categories={"mode": "full"})) == 0.0


def test_a_late_execution_says_nothing_about_its_items() -> None:
    known = Alike()
    for number, late in enumerate((0.0, 1.5, -1.5, 0.0)):
        for item, beyond in (("a", 0.5), ("b", 0.0), ("c", -0.5)):
            known.add(run(number, 1, item=item), late + beyond)
    effects = [known.effect(run(9, 1, item=item)) for item in "abc"]
    assert effects[0] > 0.2
    assert abs(effects[1]) < 0.1
    assert effects[2] < -0.2


def test_an_execution_is_no_evidence_for_itself() -> None:
    known = Alike()
    for number in range(3):
        for item, beyond in (("a", 0.5), ("b", -0.5)):
            known.add(run(number, 1, item=item), beyond)
    told = known.effect(run(2, 1, item="a"))
    known.add(run(2, 1, item="a"), 2.0)
    assert known.effect(run(2, 1, item="a")) == pytest.approx(told)


def test_of_more_values_than_are_kept_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "KNOWN_VALUES", 3)
    known = Alike()
    for number in range(4):
        for item, beyond in (("a", 0.5), ("b", -0.5)):
            known.add(run(number, 1, item=item), beyond)
    assert known.effect(run(9, 1, item="a")) > 0
    for number in range(10, 14):
        known.add(run(number, 1, item=f"new {number}"), 0.0)
    assert known.effect(run(19, 1, item="a")) == 0.0


def test_executions_without_a_name_count_as_one() -> None:
    predictor = followed([[run(number, 20.0, execution="")] for number in range(3)])
    assert predictor.predict(run(4, 1.0)).duration.p50 == pytest.approx(20.0, rel=0.25)
