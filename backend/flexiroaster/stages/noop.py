"""The stage that does nothing."""

from __future__ import annotations

from flexiroaster.engine.outcome import Succeeded
from flexiroaster.stages.base import Stage, StageConfig, StageContext, StageExample

_DONE = Succeeded()


class NoopConfig(StageConfig):
    """`noop` has no settings."""


class NoopStage(Stage):
    type = "noop"
    summary = "Does nothing: a marker or join point."
    description = (
        "Succeeds at once with no result. Use it to give a name to a point in the pipeline, or to join several "
        "branches into one `needs`."
    )
    Config = NoopConfig
    examples = (StageExample("A join point", {}, "Give the stage several `needs`; others need only this one."),)

    def run(self, config: NoopConfig, context: StageContext) -> Succeeded:
        return _DONE
