from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import pytest

from flexiroaster.engine.errors import FlexiRoasterError
from flexiroaster.stages.base import Stage, StageConfig, StageContext
from flexiroaster.stages.registry import BUILT_IN, BrokenStageType, StageRegistry, UnknownStageType, default_registry


class Shout(Stage):
    type: ClassVar[str] = "shout"
    summary = "Shouts."

    class Config(StageConfig):
        text: str

    def run(self, config: Any, context: StageContext) -> str:
        return str(config.text).upper()


class Mumble(Shout):
    """Calls itself by another name than its entry point."""


class NotAStage:
    pass


HERE = __name__
NOOP = {"noop": BUILT_IN["noop"]}


def point(name: str, target: str) -> EntryPoint:
    return EntryPoint(name, target, "flexiroaster.stages")


def registry(*points: EntryPoint) -> StageRegistry:
    return StageRegistry(NOOP, lambda: points)


def test_get_gives_the_same_stage_each_time() -> None:
    stages = registry()
    assert stages.get("noop") is stages.get("noop")
    assert stages.get("noop").type == "noop"


def test_unknown_type_names_the_near_one() -> None:
    with pytest.raises(UnknownStageType, match=r"no stage type 'nop'. Did you mean 'noop'\?") as caught:
        registry().get("nop")
    assert isinstance(caught.value, FlexiRoasterError)
    assert caught.value.suggestion == "noop"


def test_unknown_type_far_from_all_lists_the_known_ones() -> None:
    with pytest.raises(UnknownStageType, match=r"Known are noop, shout\."):
        registry(point("shout", f"{HERE}:Shout")).get("zzz")


def test_plugin_is_used_like_a_built_in_type() -> None:
    stages = registry(point("shout", f"{HERE}:Shout"))
    assert isinstance(stages.get("shout"), Shout)
    described = stages.types()["shout"]
    assert described.summary == "Shouts."
    assert described.schema["required"] == ["text"]
    assert described.schema["additionalProperties"] is False
    assert stages.problems() == ()


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("no_such_module:Stage", "ModuleNotFoundError: No module named 'no_such_module'"),
        (f"{HERE}:Missing", "is not a subclass of Stage"),
        (f"{HERE}:NotAStage", "is not a subclass of Stage"),
        (f"{HERE}:Mumble", "calls itself 'shout', not 'broken'"),
    ],
)
def test_broken_plugin_is_told_and_breaks_nothing_else(target: str, sentence: str) -> None:
    stages = registry(point("broken", target), point("shout", f"{HERE}:Shout"))
    assert set(stages.types()) == {"noop", "shout"}
    (problem,) = stages.problems()
    assert problem.startswith("Stage type 'broken' of package ")
    assert sentence in problem
    with pytest.raises(BrokenStageType, match="cannot be loaded"):
        stages.get("broken")


def test_plugin_cannot_replace_a_built_in_type() -> None:
    stages = registry(point("noop", f"{HERE}:Shout"))
    assert stages.get("noop").type == "noop"
    stages.types()
    assert "already built in" in stages.problems()[0]


def test_second_plugin_of_the_same_name_is_told() -> None:
    stages = registry(point("shout", f"{HERE}:Shout"), point("shout", f"{HERE}:NotAStage"))
    stages.types()
    assert isinstance(stages.get("shout"), Shout)
    (problem,) = stages.problems()
    assert "already offered by package" in problem


def test_types_are_cached_and_handed_out_as_a_copy() -> None:
    stages = registry()
    stages.types().clear()
    assert set(stages.types()) == {"noop"}


def test_plugins_are_not_looked_up_for_built_in_types() -> None:
    def refuse() -> list[EntryPoint]:
        raise AssertionError("looked up")

    assert StageRegistry(NOOP, refuse).get("noop").type == "noop"


def test_noop_costs_nothing_and_gives_nothing() -> None:
    stage = default_registry().get("noop")
    assert stage.run(stage.Config(), None) is stage.run(stage.Config(), None)  # type: ignore[arg-type]


def test_the_registry_loads_no_stage_module_before_it_is_used() -> None:
    program = (
        "import json, sys\n"
        "from flexiroaster.stages.registry import default_registry\n"
        "default_registry().get('noop')\n"
        "print(json.dumps([m for m in sys.modules if m.startswith('flexiroaster.stages.')"
        " or m in ('httpx', 'duckdb', 'sqlglot')]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == {
        "flexiroaster.stages.base",
        "flexiroaster.stages.noop",
        "flexiroaster.stages.registry",
    }
