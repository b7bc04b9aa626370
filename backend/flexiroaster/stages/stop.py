"""The stage that ends the execution."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flexiroaster.engine.outcome import Stopped
from flexiroaster.stages.base import Stage, StageConfig, StageContext, StageExample


class StopConfig(StageConfig):
    status: Annotated[Literal["success", "failed", "cancelled"], Field(description="How the execution ends.")] = (
        "success"
    )
    message: Annotated[str, Field(max_length=2_000, description="Why, for those who look at the execution.")] = ""


class StopStage(Stage):
    type = "stop"
    summary = "Ends the execution now, as succeeded, failed or cancelled."
    description = (
        "What still runs is told to stop, what has not begun is not begun. Handlers (`on_failure`, `on_success`, "
        "`finally`) and compensations follow as after any other end. Give it a `when`, or let a `switch` choose it: "
        "without either, every execution would end here.\n\n"
        "An execution in which a stage has failed before ends as failed, whatever `status` says. A `stop` with "
        "`status: failed` counts as the failed stage, so that a retry begins with it."
    )
    Config = StopConfig
    examples = (
        StageExample(
            "Nothing to do",
            {"message": "No orders on ${{ inputs.day }}."},
            "With `when: ${{ results.fetch.rows == 0 }}`. Outputs that need a stage which did not run are null.",
        ),
        StageExample("Refuse what makes no sense", {"status": "failed", "message": "The file is older than a day."}),
    )

    def run(self, config: StopConfig, context: StageContext) -> Stopped:
        return Stopped(config.status, config.message)
