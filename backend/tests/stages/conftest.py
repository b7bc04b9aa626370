"""Running a data stage in a test: a context on a temporary folder, files in its data folder, rows back."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flexiroaster.data.preview import preview
from flexiroaster.data.table import TableRef
from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.outcome import Succeeded
from flexiroaster.stages.registry import default_registry
from flexiroaster.stages.tables import confinement
from tests.stages.context import FakeContext


@dataclass
class _Attempt(FakeContext):
    """Attempts share data folder and artifacts, as on a server; each has its own scratch folder."""

    number: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ids = itertools.count(self.number * 100)
        self.scratch_dir = self._folder(f"scratch/attempt-{self.number}")


class Bench:
    """A data folder and a server's worth of contexts; every run is an attempt of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.last: FakeContext | None = None
        self._numbers = itertools.count(1)

    def context(self, **given: Any) -> FakeContext:
        context = _Attempt(self.root, number=next(self._numbers), **given)
        self.last = context
        return context

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def run(self, stage_type: str, context: FakeContext | None = None, /, **config: Any) -> dict[str, Any]:
        stage = default_registry().get(stage_type)
        outcome = stage.run(stage.Config.model_validate(config), context or self.context())
        assert isinstance(outcome, Succeeded)
        assert isinstance(outcome.result, dict)
        return outcome.result

    def fails(self, stage_type: str, context: FakeContext | None = None, /, **config: Any) -> StageFailed:
        with pytest.raises(StageFailed) as caught:
            self.run(stage_type, context, **config)
        assert str(caught.value).endswith(".") or str(caught.value).endswith("?")
        return caught.value

    def process(self, data: Any, *operations: dict[str, Any]) -> list[dict[str, Any]]:
        return self.rows(self.run("processing", data=data, operations=list(operations)))

    def rows(self, result: dict[str, Any], key: str = "data") -> list[dict[str, Any]]:
        """The rows of a result's table, as JSON."""
        ref = TableRef.model_validate(result[key])
        page = preview(ref, confinement(self.context()), limit=1_000)
        names = [column.name for column in page.columns]
        return [dict(zip(names, row, strict=True)) for row in page.rows]

    def left_over(self) -> list[str]:
        """Unfinished files anywhere in the data folder."""
        return [path.name for path in self.data.rglob(".*")]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
