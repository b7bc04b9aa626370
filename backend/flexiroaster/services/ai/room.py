"""The services of the AI layer, put together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from flexiroaster.bus.port import Bus
from flexiroaster.services.ai.explanations import Explanations
from flexiroaster.services.ai.insights import Insights
from flexiroaster.services.ai.maintenance import Maintenance
from flexiroaster.services.ai.models import Models
from flexiroaster.services.ai.predictions import Predictions
from flexiroaster.services.ai.projects import Projects
from flexiroaster.services.ai.suggestions import Suggestions
from flexiroaster.services.ai.switch import Switch
from flexiroaster.services.drafts import Drafts
from flexiroaster.services.pipelines import Pipelines
from flexiroaster.store.database import Database


class AiServices(NamedTuple):
    switch: Switch
    projects: Projects
    predictions: Predictions
    insights: Insights
    suggestions: Suggestions
    models: Models
    explanations: Explanations
    maintenance: Maintenance


def make_ai(
    database: Database,
    pipelines: Pipelines,
    bus: Bus,
    *,
    on: bool = True,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AiServices:
    """Reads and keeps; learns nothing by itself."""
    projects = Projects(database, bus, clock)
    switch = Switch(on, projects.learns)
    return AiServices(
        switch=switch,
        projects=projects,
        predictions=Predictions(database, bus, switch, clock),
        insights=Insights(database, bus, clock),
        suggestions=Suggestions(database, pipelines, Drafts(database, pipelines, bus, clock), bus, clock),
        models=Models(database, bus, switch, clock),
        maintenance=Maintenance(database),
        explanations=Explanations(database, switch, clock),
    )
