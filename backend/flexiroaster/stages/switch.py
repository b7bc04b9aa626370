"""The stage that chooses which of the stages that need it run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, StrictBool, model_validator

from flexiroaster.engine.expressions.values import as_text
from flexiroaster.engine.field_types import StageId
from flexiroaster.engine.outcome import Succeeded
from flexiroaster.engine.quoting import listed, quoted
from flexiroaster.stages.base import Stage, StageConfig, StageContext, StageExample

MOST_CASES = 1_000

Targets = Annotated[StageId | list[StageId], Field(description="A stage, or a list of stages.")]


class Case(StageConfig):
    when: StrictBool = Field(
        description="An expression; the first case where it holds is taken.",
        json_schema_extra={"type": ["boolean", "string"]},
    )
    then: Targets


class SwitchConfig(StageConfig):
    value: Any = Field(None, description="What the names of the cases are compared with, as text.")
    cases: (
        Annotated[dict[str, Targets], Field(min_length=1, max_length=MOST_CASES)]
        | Annotated[list[Case], Field(min_length=1, max_length=MOST_CASES)]
    ) = Field(description="The stages to run, by value; or a list of conditions, of which the first that holds counts.")
    default: Targets = Field([], description="What runs when no case fits; nothing, where it is left out.")

    @model_validator(mode="after")
    def _value_belongs_to_names(self) -> SwitchConfig:
        if isinstance(self.cases, dict) != ("value" in self.model_fields_set):
            raise ValueError("Give a value with cases by name, and none with cases that have a `when`.")
        return self

    def choose(self) -> tuple[str | int | None, list[str]]:
        """The case that fits, by its name or its number from 1, and its stages."""
        if isinstance(self.cases, dict):
            name = as_text(self.value)
            if name in self.cases:
                return name, _list(self.cases[name])
        else:
            for number, case in enumerate(self.cases, start=1):
                if case.when:
                    return number, _list(case.then)
        return None, _list(self.default)

    def every_target(self) -> Iterator[str]:
        cases = self.cases.values() if isinstance(self.cases, dict) else [case.then for case in self.cases]
        for targets in (*cases, self.default):
            yield from _list(targets)


def _list(targets: str | list[str]) -> list[str]:
    return [targets] if isinstance(targets, str) else targets


class SwitchStage(Stage):
    type = "switch"
    summary = "Chooses which of the stages that need it run."
    description = (
        "Its cases name stages that have the switch in their `needs`. Those of the case that fits run, all others that "
        "it names are skipped, with what needs only them; a stage that needs the switch and is named in no case runs "
        "in any case. A stage it does not choose is skipped whatever else it needs. To bring the branches together "
        "again, let a stage need the last one of each: skipped ones do not keep it from running.\n\n"
        "The result is `{case, chosen}`: the name of the case that fitted (its number from 1, where cases have a "
        "`when`; null for the default), and the stages it chose."
    )
    Config = SwitchConfig
    examples = (
        StageExample(
            "By a value",
            {
                "value": "${{ inputs.region }}",
                "cases": {"eu": "load_eu", "us": ["load_us", "tell_us"]},
                "default": "load_rest",
            },
            "`load_eu`, `load_us`, `tell_us` and `load_rest` have `needs: [route]`, where `route` is this stage.",
        ),
        StageExample(
            "By conditions",
            {
                "cases": [
                    {"when": "${{ results.check.rows == 0 }}", "then": "nothing_to_do"},
                    {"when": "${{ results.check.rows > 1000000 }}", "then": "load_in_bulk"},
                ],
                "default": "load",
            },
            "All conditions are evaluated; the first that holds decides.",
        ),
    )

    def run(self, config: SwitchConfig, context: StageContext) -> Succeeded:
        case, chosen = config.choose()
        named = config.value is not None and isinstance(config.cases, dict)
        what = quoted(as_text(config.value)) if named else f"case {case}" if case is not None else "no case"
        context.log("info", f"{what} → {listed(chosen) or 'nothing'}" + (" (default)" if case is None else ""))
        not_chosen = frozenset(config.every_target()).difference(chosen)
        return Succeeded({"case": case, "chosen": chosen}, not_chosen=not_chosen)
