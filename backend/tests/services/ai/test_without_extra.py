"""The server's AI layer where the extra `ai` is not installed: all of it works, and what is missing is said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import json, sys
sys.modules.update(dict.fromkeys(["numpy", "scipy", "sklearn", "threadpoolctl"]))
from datetime import UTC, datetime, timedelta
from pathlib import Path
import sqlalchemy as sa
from flexiroaster.ai.invented import history
from flexiroaster.bus.local import LocalBus
from flexiroaster.services.ai import following
from flexiroaster.services.ai.following import Following
from flexiroaster.services.ai.messages import keep_findings, keep_said, keep_training, line, of_findings, of_said
from flexiroaster.services.ai.messages import of_training, parsed
from flexiroaster.services.ai.room import make_ai
from flexiroaster.services.ai.study import Study
from flexiroaster.services.pipelines import Pipelines
from flexiroaster.stages.registry import default_registry
from flexiroaster.store.database import Database
from flexiroaster.store.insights import InsightFilter
from flexiroaster.store.migrate import upgrade
from flexiroaster.store.tables import executions
from tests.services.ai.rows import write

folder = Path(sys.argv[1])
runs = history(seed=3, pipelines=4, days=10).runs
now = datetime.fromtimestamp(max(run.ended_at or 0.0 for run in runs) + 60.0, UTC)
database = Database.open(f"sqlite:///{folder}/history.db")
upgrade(database)
write(database, runs)
bus = LocalBus()
ai = make_ai(database, Pipelines(database, default_registry().types, bus), bus, clock=lambda: now)
following.RECENT = timedelta(days=1)
keep_said(parsed(line(of_said(Following(database, ai.switch, folder, b"k" * 32, lambda: now).begin()))), ai)
study = Study(database, ai.switch, lambda kind: True, lambda: now)
keep_findings(parsed(line(of_findings(study.look()))), ai, now)
keep_training(parsed(line(of_training(study.train(folder, b"k" * 32)))), ai)
newest = sa.select(executions.c.id).order_by(executions.c.created_at.desc()).limit(1)
with database.read() as connection:
    predicted = connection.scalar(newest)
    failed = connection.scalar(newest.where(executions.c.status == "failed"))
standing = ai.models.standing()
print(json.dumps({
    "missing": standing.missing,
    "note": standing.note,
    "models": len(ai.models.all()),
    "insights": len(ai.insights.page(InsightFilter(), limit=100).items),
    "causes": [cause.kind for cause in ai.explanations.explain(failed).causes],
    "prediction": ai.predictions.of_execution(predicted).body["model"],
}))
"""


@pytest.mark.slow
def test_everything_answers_and_says_what_is_missing(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=False, timeout=240
    )
    assert answer.returncode == 0, answer.stderr
    said = json.loads(answer.stdout.splitlines()[-1])
    assert said["missing"] == ["numpy", "scikit-learn"]
    assert said["note"] == (
        "Shares of earlier failures answer, nothing is learned beyond: numpy and scikit-learn are not installed "
        '(pip install "flexiroaster[ai]").'
    )
    assert said["models"] == 0
    assert said["insights"] > 0
    assert said["causes"]
    assert said["prediction"] == "prior"
