"""The pipelines that the how-to pages show are valid, and what runs without the world outside runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from flexiroaster import run_local
from flexiroaster.engine.definition import validate
from flexiroaster.stages.registry import default_registry

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))


def pipelines(page: Path) -> list[str]:
    return [block for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL) if block.startswith("id:")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pipelines_shown_are_valid(page: Path) -> None:
    types = default_registry().types()
    found = {text: validate(text, stage_types=types).problems for text in pipelines(page)}
    assert not any(found.values()), found


@pytest.mark.parametrize(
    ("region", "skipped"), [("eu", {"in_dollar", "tell_new_york"}), ("us", {"in_euro"})], ids=["eu", "us"]
)
def test_switch_that_is_shown_chooses(
    region: str, skipped: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ROOT / "backend" / "pipelines" / "data" / "orders" / "orders.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    ended = run_local(pipelines(ROOT / "docs" / "how-to" / "control-what-runs.md")[0], {"region": region})
    assert (ended.status, ended.error) == ("success", None)
    assert {stage.stage for stage in ended.stages if stage.status == "skipped"} == skipped | {"enough"}
    assert ended.outputs == {"case": region}
