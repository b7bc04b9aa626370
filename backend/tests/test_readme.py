"""What the README shows works as it is shown."""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path

import pytest

from flexiroaster import run_local

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


@pytest.fixture(autouse=True)
def beside_the_flights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "backend" / "pipelines" / "data" / "flights" / "flights.csv", tmp_path)
    monkeypatch.chdir(tmp_path)


def shown(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_first_pipeline_runs(tmp_path: Path) -> None:
    ended = run_local(shown("yaml"), {"minutes": 60})
    assert (ended.status, ended.error) == ("success", None)
    assert (tmp_path / "late.parquet").exists()


def test_same_in_python_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "late.py").write_text(shown("python"))
    runpy.run_path(str(tmp_path / "late.py"))
    assert capsys.readouterr().out.startswith("success ")


def test_every_document_it_links_is_there() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    missing = [link for link in links if not (ROOT / link).exists() and not link.startswith("docs/images/")]
    assert missing == []
