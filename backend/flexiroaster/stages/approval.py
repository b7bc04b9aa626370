"""The stage that asks a person, without holding a worker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from flexiroaster.engine.definition.fields import schema_fault
from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.outcome import Succeeded, Waiting, WaitsFor
from flexiroaster.stages.base import Stage, StageConfig, StageContext, StageExample

MOST_ASSIGNEES = 100
MOST_FIELDS = 50
ASSIGNEE_PATTERN = r"^(group:[A-Za-z0-9_.-]{1,80}|[^@\s:]+@[^@\s]+)$"


def _assignee(value: str) -> str:
    if not re.fullmatch(ASSIGNEE_PATTERN, value):
        raise ValueError(f"{value!r} names nobody: write an e-mail address, or group: and a name.")
    return value.lower() if "@" in value else value


def _form(value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    for name, schema in value.items():
        fault = schema_fault(name, schema, "field")
        if fault is not None:
            raise ValueError(fault.message)
    return value


Assignee = Annotated[str, AfterValidator(_assignee), Field(json_schema_extra={"pattern": ASSIGNEE_PATTERN})]


class ApprovalConfig(StageConfig):
    message: Annotated[str, Field(min_length=1, max_length=10_000, description="What is asked.")]
    assignees: list[Assignee] = Field(
        [], max_length=MOST_ASSIGNEES, description="Who may decide: e-mail addresses and `group:name`; all if empty."
    )
    form: Annotated[dict[str, dict[str, Any]], AfterValidator(_form)] = Field(
        {}, max_length=MOST_FIELDS, description="What who approves fills in: a JSON Schema by field."
    )
    on_timeout: Annotated[
        Literal["reject", "approve", "fail"],
        Field(description="What it means that nobody has decided within the stage's `timeout`."),
    ] = "reject"


class ApprovalStage(Stage):
    type = "approval"
    summary = "Waits until a person approves or rejects."
    description = (
        "The stage run shows as `waiting` and holds no worker. It is decided on the dashboard, by "
        "`POST /api/executions/{id}/stages/{stage}/approve` or `/reject`, or by `flexiroaster approve` and `reject`. "
        "Operators and higher roles may decide; where there are `assignees`, only those and administrators.\n\n"
        "The stage's `timeout` says how long it waits; without one it waits for ever, and the pipeline's "
        "`defaults.timeout` does not count. The result is `{approved, by, comment, values, at}`, where `values` are "
        "the fields of the form. A rejected approval has *failed*, with the code `rejected`: what needs it does not "
        "run. With `on_timeout: fail` it has timed out instead."
    )
    Config = ApprovalConfig
    examples = (
        StageExample("A question", {"message": "Publish the prices of ${{ inputs.day }}?"}),
        StageExample(
            "To a group, with a form",
            {
                "message": "${{ results.check.invalid_count }} bad rows. Publish anyway?",
                "assignees": ["group:sales", "ada@example.com"],
                "form": {"discount": {"type": "number", "minimum": 0, "maximum": 50, "default": 0}},
                "on_timeout": "reject",
            },
            "`results.<stage>.values.discount` is what was filled in.",
        ),
    )

    def run(self, config: ApprovalConfig, context: StageContext) -> Succeeded | Waiting:
        decision = context.state.get("decision")
        if decision is None and context.deadline is not None and context.now >= context.deadline:
            decision = self._undecided(config, context)
        if decision is not None:
            return _decided(decision)
        state = dict(context.state) or _question(config, context.now)
        return Waiting(
            context.deadline,
            waiting_reason(config.assignees),
            state,
            waits_for=WaitsFor.APPROVAL,
            quiet=bool(context.state),
        )

    def _undecided(self, config: ApprovalConfig, context: StageContext) -> dict[str, Any]:
        approved = config.on_timeout == "approve"
        if config.on_timeout == "fail":
            raise StageFailed("Nobody decided in time.", code="approval_timeout", kind="timeout")
        comment = f"Nobody decided in time, so it was {'approved' if approved else 'rejected'}."
        return {"approved": approved, "by": None, "comment": comment, "values": {}, "at": context.now.isoformat()}


def _question(config: ApprovalConfig, now: datetime) -> dict[str, Any]:
    """What is shown to those who decide, as it was when it was asked."""
    return {**config.model_dump(mode="json"), "asked_at": now.isoformat()}


def _decided(decision: Mapping[str, Any]) -> Succeeded:
    if decision["approved"]:
        return Succeeded(dict(decision))
    by, comment = decision["by"], decision["comment"]
    sentence = comment if by is None else f"{by} rejected it{f': {comment}' if comment else '.'}"
    raise StageFailed(sentence, code="rejected", details={"decision": dict(decision)})


def waiting_reason(assignees: list[str]) -> str:
    """`waiting for approval of ada@example.com, group:sales`"""
    if not assignees:
        return "waiting for approval"
    named = ", ".join(assignees[:3])
    more = f" and {len(assignees) - 3} more" if len(assignees) > 3 else ""
    return f"waiting for approval of {named}{more}"
