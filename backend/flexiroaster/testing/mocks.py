"""What stands in for a stage in a test: its result, its rows, a file, an error, or a function."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.pipeline import Mock
from flexiroaster.runtime.conditions import StandIn
from flexiroaster.stages.base import StageContext


class in_turn:
    """Answers of one mocked stage, one for each time it is run; the last one stays."""

    def __init__(self, *answers: Any) -> None:
        if not answers:
            raise ValueError("in_turn needs at least one answer.")
        self.answers = answers


def stand_in(mock: Any) -> StandIn:
    """A mapping is the stage's result as a whole, a list its rows, a path a file to read them from."""
    match mock:
        case in_turn():
            return _one_after_the_other([stand_in(answer) for answer in mock.answers])
        case BaseException():
            return _raising(mock)
        case Path():
            return _reading(mock)
        case list() | tuple():
            return _answering({"data": list(mock), "rows": len(mock)})
        case _ if callable(mock):
            return _calling(mock)
        case _:
            return _answering(mock)


def of_definition(mock: Mock) -> StandIn:
    """As a definition's `tests` say it."""
    if mock.error is not None:
        return stand_in(StageFailed(mock.error, code="mocked"))
    return stand_in(mock.data if mock.file is None else Path(mock.file))


def _answering(result: Any) -> StandIn:
    return lambda _: result


def _raising(error: BaseException) -> StandIn:
    def answer(_: StageContext) -> Any:
        raise error

    return answer


def _calling(function: Callable[[StageContext], Any]) -> StandIn:
    def answer(context: StageContext) -> Any:
        found = function(context)
        return {"data": found, "rows": len(found)} if isinstance(found, list) else found

    return answer


def _one_after_the_other(answers: list[StandIn]) -> StandIn:
    turns: Iterator[StandIn] = itertools.chain(answers, itertools.repeat(answers[-1]))

    def answer(context: StageContext) -> Any:
        return next(turns)(context)

    return answer


def _reading(path: Path) -> StandIn:
    """As a stage of type `input` reads it: relative to the folders of the test."""

    def answer(context: StageContext) -> Any:
        from flexiroaster.stages.registry import default_registry

        stage = default_registry().get("input")
        return stage.run(stage.Config.model_validate({"path": str(path)}), context)

    return answer


def stand_ins(mocks: Mapping[str, Any]) -> dict[str, StandIn]:
    return {stage: stand_in(mock) for stage, mock in mocks.items()}
