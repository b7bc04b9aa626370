"""The stage that runs another pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from flexiroaster.engine.errors import ErrorKind, StageFailed
from flexiroaster.engine.field_types import PipelineId
from flexiroaster.engine.outcome import Succeeded, Waiting, WaitsFor
from flexiroaster.stages.base import Stage, StageConfig, StageContext, StageExample

CHILD_FAILED = "child_failed"
_ENDINGS = {"failed": "failed", "cancelled": "was cancelled", "timed_out": "ran out of time"}


class PipelineConfig(StageConfig):
    pipeline: Annotated[PipelineId, Field(description="The id of the pipeline to run.")]
    inputs: dict[str, Any] = Field({}, description="Its inputs by name; those left out have their defaults.")
    data: Any = Field(None, description="What `execution.data` is there.")
    version: int | None = Field(None, ge=1, description="Its published version when left out.")
    wait: bool = Field(True, description="Whether this stage ends when that execution does, or at once.")


class PipelineStage(Stage):
    type = "pipeline"
    summary = "Runs another pipeline, and waits for it unless told otherwise."
    description = (
        "Starts an execution of its own, a child, and shows as `waiting` until that has ended; no worker is held. The "
        "result is `{execution_id, status, outputs}`. A child that does not succeed fails the stage with the child's "
        "cause. With `wait: false` the stage succeeds as soon as the child has started.\n\n"
        "The stage's `timeout` says how long it waits; `defaults.timeout` does not count. When it has passed, or when "
        "the execution is cancelled, the child is cancelled too. A pause of one does not pause the other. When the "
        "stage is tried again, by its `retry` or by a person, the child that failed goes on from *its* failed stage, "
        "provided that the inputs, the data and the version to run are still the same; otherwise a new one starts. A "
        "child that somebody has retried meanwhile is waited for. The logical date is that of the parent. Pipelines "
        "may start one another 10 levels deep."
    )
    Config = PipelineConfig
    examples = (
        StageExample("With inputs", {"pipeline": "sales_report", "inputs": {"day": "${{ inputs.day }}"}}),
        StageExample(
            "Without waiting",
            {"pipeline": "refresh_cache", "wait": False},
            "With `foreach` around it, one execution for each item.",
        ),
    )

    def run(self, config: PipelineConfig, context: StageContext) -> Succeeded | Waiting:
        ended = context.state.get("ended")
        if ended is not None:
            return _outcome(config.pipeline, context.state["execution_id"], ended)
        if context.state:
            return self._still(config, context)
        child = context.start_execution(
            config.pipeline, inputs=config.inputs, data=config.data, version=config.version, wait=config.wait
        )
        if not config.wait:
            return Succeeded({"execution_id": child, "status": "started", "outputs": None})
        return _waiting(config, context, {"execution_id": child})

    def _still(self, config: PipelineConfig, context: StageContext) -> Waiting:
        if context.deadline is not None and context.now >= context.deadline:
            raise StageFailed(
                f"{_name(config.pipeline, context.state)} did not end in time, so it is cancelled.",
                code="timeout",
                kind="timeout",
                suggestion="Raise the stage's timeout, or look at what that execution does.",
                details={"execution_id": context.state["execution_id"]},
            )
        return _waiting(config, context, dict(context.state))


def _waiting(config: PipelineConfig, context: StageContext, state: dict[str, Any]) -> Waiting:
    return Waiting(
        context.deadline,
        f"waiting for {_name(config.pipeline, state)}",
        state,
        waits_for=WaitsFor.EXECUTION,
        quiet=bool(context.state),
    )


def _outcome(pipeline: str, execution_id: str, ended: Mapping[str, Any]) -> Succeeded:
    status: str = ended["status"]
    error: dict[str, Any] = ended["error"] or {}
    if status == "success":
        return Succeeded({"execution_id": execution_id, "status": status, "outputs": ended["outputs"]})
    at = f" at {ended['failed_stage']}" if ended["failed_stage"] else ""
    cause = error.get("message") or ended["reason"]
    below: dict[str, Any] = error.get("details", {}) if error.get("code") == CHILD_FAILED else {}
    levels = 1 + int(below.get("levels", 0))
    if levels > 2:  # between this one and the last there is nothing to learn
        cause = f"… {below['innermost']}"
    message = f"{_name(pipeline, ended)} {_ENDINGS[status]}{at}{f': {cause}' if cause else '.'}"
    innermost = {"levels": levels, "innermost": below.get("innermost", message)}
    raise StageFailed(
        message,
        code=CHILD_FAILED,
        kind=_kind(status, error.get("kind", "permanent")),
        suggestion=error.get("suggestion"),
        details={"execution_id": execution_id, "pipeline_id": pipeline, "status": status, **innermost},
    )


def _kind(status: str, kind: ErrorKind) -> ErrorKind:
    """That of the child's cause: `timeout` is kept for a stage that ran out of its own time, which this one did not."""
    if status == "cancelled":
        return "permanent"
    return "transient" if kind == "timeout" else kind


def _name(pipeline: str, state: Mapping[str, Any]) -> str:
    return f"{pipeline} #{state['number']}" if "number" in state else pipeline
