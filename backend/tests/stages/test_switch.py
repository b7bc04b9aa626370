from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flexiroaster.engine.outcome import Stopped
from flexiroaster.stages.stop import StopConfig, StopStage
from flexiroaster.stages.switch import SwitchConfig, SwitchStage
from tests.stages.context import FakeContext

CASES = {"eu": "load_eu", "us": ["load_us", "tell"], "1": "one", "true": "yes", "1.5": "half"}
EVERY = {"load_eu", "load_us", "tell", "one", "yes", "half", "rest"}


def run(tmp_path: Path, **config: Any) -> tuple[Any, set[str]]:
    """Which case fitted, and what is not to run."""
    outcome = SwitchStage().run(SwitchConfig.model_validate(config), FakeContext(tmp_path))
    return outcome.result["case"], set(outcome.not_chosen)


@pytest.mark.parametrize(
    ("value", "case", "chosen"),
    [
        ("eu", "eu", {"load_eu"}),
        ("us", "us", {"load_us", "tell"}),
        (1, "1", {"one"}),
        (True, "true", {"yes"}),
        (1.5, "1.5", {"half"}),
        ("asia", None, {"rest"}),
        (None, None, {"rest"}),
        (["eu"], None, {"rest"}),
    ],
)
def test_value_chooses_a_case_by_its_text(tmp_path: Path, value: Any, case: str | None, chosen: set[str]) -> None:
    assert run(tmp_path, value=value, cases=CASES, default="rest") == (case, EVERY - chosen)


def test_first_condition_that_holds_decides(tmp_path: Path) -> None:
    cases = [{"when": False, "then": "a"}, {"when": True, "then": ["b", "c"]}, {"when": True, "then": "a"}]
    assert run(tmp_path, cases=cases, default="d") == (2, {"a", "d"})


def test_without_a_default_nothing_may_fit(tmp_path: Path) -> None:
    assert run(tmp_path, value="x", cases={"a": "b"}) == (None, {"b"})


def test_stage_of_several_cases_runs_where_one_of_them_fits(tmp_path: Path) -> None:
    assert run(tmp_path, value="b", cases={"a": ["x", "both"], "b": "both"}) == ("b", {"x"})


def test_log_says_what_was_chosen(tmp_path: Path) -> None:
    context = FakeContext(tmp_path)
    SwitchStage().run(SwitchConfig(value="us", cases={"us": ["load_us", "tell"]}), context)
    SwitchStage().run(SwitchConfig(value="x", cases={"us": "load_us"}), context)
    assert context.messages == ["'us' → load_us, tell", "'x' → nothing (default)"]


@pytest.mark.parametrize(
    "config",
    [
        {"cases": {"a": "b"}},
        {"value": 1, "cases": [{"when": True, "then": "a"}]},
        {"value": 1, "cases": {}},
        {"cases": []},
        {"cases": [{"when": "yes", "then": "a"}]},
    ],
)
def test_config_that_decides_nothing_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SwitchConfig.model_validate(config)


def test_stop_ends_the_execution(tmp_path: Path) -> None:
    config = StopConfig.model_validate({"status": "failed", "message": "too old"})
    assert StopStage().run(config, FakeContext(tmp_path)) == Stopped("failed", "too old")
    assert StopStage().run(StopConfig(), FakeContext(tmp_path)) == Stopped("success", "")
