"""The tests that stand in a definition, under `tests`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flexiroaster.engine.definition import validate
from flexiroaster.engine.errors import FlexiRoasterError, InvalidDefinition
from flexiroaster.engine.pipeline import Pipeline, PipelineTest
from flexiroaster.local import as_source
from flexiroaster.stages.registry import default_registry
from flexiroaster.testing.expecting import Difference, differences
from flexiroaster.testing.mocks import of_definition
from flexiroaster.testing.result import Result
from flexiroaster.testing.trial import Setting, opened


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a case went: it is passed when nothing differs and nothing stood in its way."""

    case: Case
    result: Result | None
    differences: list[Difference]
    trouble: str | None
    seconds: float

    @property
    def ok(self) -> bool:
        return not self.differences and self.trouble is None

    def lines(self) -> list[str]:
        """What is wrong, a line each."""
        return [*([self.trouble] if self.trouble else []), *(str(difference) for difference in self.differences)]


@dataclass(frozen=True, slots=True)
class Case:
    """One of a definition's tests. `source` is the pipeline as it was given."""

    pipeline_id: str
    source: Any
    test: PipelineTest
    setting: Setting = field(default_factory=Setting)

    def __str__(self) -> str:
        return self.test.name

    def run(self) -> Verdict:
        began = time.perf_counter()
        mocked = {stage: of_definition(mock) for stage, mock in self.test.mock.items()}
        result, trouble = None, None
        try:
            with opened(self.source, mocked, self.setting) as tried:
                result = tried.start(self.test.inputs).result
        except FlexiRoasterError as error:
            trouble = str(error)
        found = [] if result is None else differences(self.test.expect, result)
        return Verdict(self, result, found, trouble, time.perf_counter() - began)

    def check(self) -> Result:
        """For pytest: raises AssertionError with what differs."""
        verdict = self.run()
        if not verdict.ok or verdict.result is None:
            raise AssertionError("\n".join([f"{self.pipeline_id}: {self}", *verdict.lines()]))
        return verdict.result


def cases(pipeline: Any, *, others: Sequence[Any] = (), data_dirs: Sequence[str | Path] = ()) -> list[Case]:
    """The tests of a definition: a path, a `Pipeline`, a document or YAML text. Raises InvalidDefinition.

    @pytest.mark.parametrize("case", cases(Path("orders.yaml")), ids=str)
    def test_orders(case):
        case.check()
    """
    source = as_source(pipeline)
    report = validate(source.text, format=source.format, stage_types=default_registry().types())
    if report.pipeline is None or not report.ok:
        raise InvalidDefinition(report.problems, source.text)
    return cases_of(report.pipeline, pipeline, Setting(others=others, data_dirs=data_dirs))


def cases_of(pipeline: Pipeline, source: Any, setting: Setting) -> list[Case]:
    return [Case(pipeline.id, source, test, setting) for test in pipeline.tests]
