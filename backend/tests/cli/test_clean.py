"""`flexiroaster clean` on a data folder, in this process."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from flexiroaster.cli.main import app
from flexiroaster.config import PREFIX, Settings
from flexiroaster.engine.errors import ConfigurationError
from flexiroaster.store.database import Database
from tests.history import History

DAY = timedelta(days=1)


@pytest.fixture
def folder(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One with executions that ended 200 and 40 days ago."""
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    shutil.copyfile(sqlite_template, data / "flexiroaster.db")
    database = Database.open(f"sqlite:///{data}/flexiroaster.db")
    history, now = History(database), datetime.now(UTC)
    pipeline = history.pipeline("p")
    for number, days in enumerate((200, 40), 1):
        history.artifact(str(uuid4()), history.execution(pipeline, number, created_at=now - days * DAY))
    database.close()
    return data


def clean(folder: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, ["clean", "--data-folder", str(folder), *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_it_says_what_it_would_do_and_does_it(folder: Path) -> None:
    would = "Would remove 1 execution with 1 artifact (0.00 MB) and 0 log lines of others."
    assert clean(folder, "--dry-run").splitlines()[0] == would
    assert clean(folder, "--dry-run").splitlines()[0] == would, "it changes nothing"
    assert clean(folder).splitlines()[0] == would.replace("Would remove", "Removed")
    assert clean(folder).splitlines()[0].startswith("Removed 0 executions")
    assert json.loads(clean(folder, "--older-than", "30d", "--json"))["executions"] == 1


@pytest.mark.parametrize(("given", "said"), [("soon", "--older-than"), ("59m", "1h is the least")])
def test_a_duration_that_is_none_or_too_short(folder: Path, given: str, said: str) -> None:
    done = CliRunner().invoke(app, ["clean", "--data-folder", str(folder), "--older-than", given])
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def test_a_folder_without_a_database(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no database"):
        CliRunner().invoke(app, ["clean", "--data-folder", str(tmp_path / "none")], catch_exceptions=False)
