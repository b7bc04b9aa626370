"""The learner's processes, as a server starts them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flexiroaster.ai.prediction.predictor import Predictor
from flexiroaster.engine.events import Event, EventType
from flexiroaster.runtime.learner import Broken, Learner, Place, Standby, _remove_others
from flexiroaster.runtime.learner_process import LOCKS, _alone
from flexiroaster.services.ai import messages
from flexiroaster.services.ai.history import RunHistory, all_runs
from flexiroaster.services.ai.models import Models
from flexiroaster.services.ai.predictions import Predictions
from flexiroaster.services.ai.room import AiServices
from flexiroaster.services.ai.switch import ENOUGH
from flexiroaster.store.database import StoreUnavailable
from flexiroaster.store.models import ModelRow
from tests.api.server_app import ServerApp, server_app

PATIENCE_SECONDS = 60


@pytest.fixture
def learning(tmp_path: Path, sqlite_url: str) -> Iterator[ServerApp]:
    with server_app(tmp_path / "data", database_url=sqlite_url, learning=True) as running:
        yield running


def heard(server: ServerApp, wanted: Callable[[Event], bool]) -> Callable[[], Event]:
    """Listen from now on; what is answered waits for the first event that is wanted."""
    found: list[Event] = []
    woken = threading.Event()

    def listen(events: Sequence[Event]) -> None:
        for event in events:
            if wanted(event):
                found.append(event)
                woken.set()

    server.server.engine.bus.subscribe(listen)

    def wait() -> Event:
        assert woken.wait(PATIENCE_SECONDS), "it was not told"
        return found[0]

    return wait


def processes(server: ServerApp) -> list[int]:
    assert server.server.learner is not None
    return server.server.learner.processes


def test_executions_are_predicted_after_their_start(learning: ServerApp) -> None:
    assert processes(learning) == [], "nothing runs before the first execution"
    learning.make("a")
    told = heard(learning, lambda event: event.type == EventType.PREDICTION_UPDATED)
    id = learning.run("a")
    event = told()
    assert event.execution_id == id
    shown = learning.client.get(f"/api/executions/{id}").json()["prediction"]
    assert shown["note"] == "Not enough data yet (0 of 20 executions)."
    assert shown["failure_probability"] == event.payload["failure_probability"]
    assert shown["as_of"] == learning.client.get(f"/api/executions/{id}").json()["started_at"]


def test_what_answers_is_what_the_library_says(learning: ServerApp) -> None:
    learning.make("a")
    told = heard(learning, lambda event: event.type == EventType.PREDICTION_UPDATED)
    learning.run("a")
    told()
    second = heard(learning, lambda event: event.type == EventType.PREDICTION_UPDATED)
    id = learning.run("a")
    second()
    server = learning.server
    stories = RunHistory(server.engine.database, server.services.ai.switch).newest(10)
    whole = next(story.whole for story in stories if story.seen.id == id)
    assert whole is not None
    earlier = [run for run in all_runs(stories) if run.execution != id]
    alone = Predictor(refit_every=None).replay(earlier).predict(whole)
    shown = learning.client.get(f"/api/executions/{id}").json()["prediction"]
    assert shown["failure_probability"] == pytest.approx(alone.probability)
    assert shown["p90_seconds"] == pytest.approx(alone.duration.p90)


def test_a_study_is_written_down_and_ends(learning: ServerApp) -> None:
    learning.make("a")
    learning.run("a")
    learner = learning.server.learner
    assert learner is not None
    learner.study()
    standing = learning.client.get("/api/ai").json()
    assert standing["looked_at"] is not None
    assert standing["trained_at"] is not None
    assert "1 of 500 stage runs and 0 of 50 failures" in standing["note"]


def test_the_processes_end_with_the_server(tmp_path: Path, sqlite_url: str) -> None:
    with server_app(tmp_path / "data", database_url=sqlite_url, learning=True) as server:
        server.make("a")
        told = heard(server, lambda event: event.type == EventType.PREDICTION_UPDATED)
        server.run("a")
        told()
        pids = processes(server)
        assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in pids} == {19}
    assert processes(server) == []
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_process_that_dies_is_no_trouble(learning: ServerApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexiroaster.runtime.learner.CRASHED_SECONDS", 0.0)
    learning.make("a")
    told = heard(learning, lambda event: event.type == EventType.PREDICTION_UPDATED)
    learning.run("a")
    told()
    for pid in processes(learning):
        os.kill(pid, signal.SIGKILL)
    ids: list[str] = []
    again = heard(learning, lambda event: event.type == EventType.PREDICTION_UPDATED and event.execution_id in ids)
    ids.append(learning.run("a"))
    ids.append(learning.run("a"))
    again()


def test_nothing_is_learned_where_it_is_switched_off(tmp_path: Path, sqlite_url: str) -> None:
    with server_app(tmp_path / "data", database_url=sqlite_url, learning=True, ai=False) as server:
        server.make("a")
        server.run("a")
        assert server.server.learner is None


def test_of_several_servers_one_learns_and_all_know(tmp_path: Path, postgres_url: str) -> None:
    common = {
        "database_url": postgres_url,
        "secret_key": "s" * 40,
        "artifacts_url": (tmp_path / "artifacts").as_uri(),
        "learning": True,
    }
    with server_app(tmp_path / "a", **common) as one, server_app(tmp_path / "b", **common) as other:
        one.make("a")
        told = [heard(server, lambda event: event.type == EventType.PREDICTION_UPDATED) for server in (one, other)]
        id = one.run("a")
        for wait in told:
            assert wait().execution_id == id
        for server in (one, other):
            assert server.client.get(f"/api/executions/{id}").json()["prediction"] is not None


def test_whoever_stands_by_does_not_study(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would train models that lie in its own folder, which the one that follows cannot read."""
    monkeypatch.setattr(Learner, "_begin", lambda self: None)
    with server_app(tmp_path / "data", database_url=postgres_url, secret_key="s" * 40) as server:
        engine = server.server.engine
        learner = Learner(engine.bus, server.server.services.ai, Place(postgres_url, tmp_path / "models", bytes(32)))
        learner._hear([Event(EventType.EXECUTION_COMPLETED, "e", "a", 1, datetime.now(UTC))])
        with _alone(engine.database, LOCKS["follow"]) as other_follows, pytest.raises(Standby):
            assert other_follows
            learner._follow()
        assert not learner.study_if_due()


@pytest.mark.parametrize("error", [Broken("The process has ended."), StoreUnavailable("The database is away.")])
def test_a_study_that_broke_off_is_made_up_for(
    learning: ServerApp, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    learning.make("a")
    told = heard(learning, lambda event: event.type == EventType.PREDICTION_UPDATED)
    learning.run("a")
    told()
    learner = learning.server.learner
    assert learner is not None
    studies = iter([error, None])

    def study() -> None:
        if (broken := next(studies)) is not None:
            raise broken

    monkeypatch.setattr(learner, "study", study)
    assert [learner.study_if_due() for _ in range(3)] == [True, True, False]


def test_it_follows_on_after_whatever_went_wrong(learning: ServerApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexiroaster.runtime.learner.CRASHED_SECONDS", 0.0)
    faults = [RuntimeError("Nobody has thought of it.")]
    keep = messages.keep_said

    def keep_said(message: messages.Message, ai: AiServices) -> None:
        if message["predictions"] and faults:
            raise faults.pop()
        keep(message, ai)

    monkeypatch.setattr(messages, "keep_said", keep_said)
    learning.make("a")
    told = heard(learning, lambda event: event.type == EventType.PREDICTION_UPDATED)
    learning.run("a")
    told()
    assert not faults


def done(
    monkeypatch: pytest.MonkeyPatch, kind: type, name: str, wanted: Callable[..., bool] = lambda *given: True
) -> Callable[[], None]:
    """What is answered waits until the method was called."""
    called = threading.Event()
    method = getattr(kind, name)

    def tell(self: Any, *arguments: Any, **named: Any) -> Any:
        answer = method(self, *arguments, **named)
        if wanted(*arguments):
            called.set()
        return answer

    monkeypatch.setattr(kind, name, tell)

    def wait() -> None:
        assert called.wait(PATIENCE_SECONDS), f"{name} was not called"

    return wait


def forecast_of(id: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return done(monkeypatch, Predictions, "keep_forecasts", lambda rows: id in {row.pipeline_id for row in rows})


def forecast_note(server: ServerApp, id: str) -> str:
    return str(server.client.get(f"/api/pipelines/{id}").json()["prediction"]["note"])


def old_history(folder: Path, url: str, **labels: str) -> None:
    """Of a server that learned nothing."""
    with server_app(folder, database_url=url, ai=False) as before:
        before.make("a", labels=labels)
        for number in range(1, ENOUGH + 1):
            before.history.execution("a", number)


def test_an_old_history_is_taken_in_after_the_start(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_history(tmp_path / "data", sqlite_url)
    forecast, looked = forecast_of("a", monkeypatch), done(monkeypatch, Models, "looked")
    monkeypatch.setattr("flexiroaster.runtime.learner.STUDY_EVERY", 0.2)
    with server_app(tmp_path / "data", database_url=sqlite_url, learning=True) as server:
        forecast()
        expected = server.client.get("/api/pipelines/a").json()["prediction"]
        assert (expected["executions"], expected["note"]) == (ENOUGH, None)
        looked()


def test_nothing_begins_where_all_is_known(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forecast, looked = forecast_of("a", monkeypatch), done(monkeypatch, Models, "looked")
    with server_app(tmp_path / "data", database_url=sqlite_url, learning=True) as server:
        server.make("a")
        server.run("a")
        forecast()
        assert server.server.learner is not None
        server.server.learner.study()
        looked()
    with server_app(tmp_path / "data", database_url=sqlite_url, learning=True) as again:
        learner = again.server.learner
        assert learner is not None
        assert (learner.processes, learner._threads) == ([], [])


def test_nothing_begins_for_pipelines_that_never_ran(learning: ServerApp) -> None:
    learning.make("a")
    learning.client.put("/api/ai/projects", json={"name": "default", "learning": True})
    learner = learning.server.learner
    assert learner is not None
    assert not learner._has_work()
    assert learner.processes == []


def test_lost_models_are_made_again(tmp_path: Path, sqlite_url: str) -> None:
    with server_app(tmp_path / "data", database_url=sqlite_url) as server:
        models = server.server.services.ai.models
        row = ModelRow("m", "stages-failures", "champion", "s", datetime.now(UTC), "gone.model", 1, {})
        models.trained([row], runs=1, failures=1, note=None)
    with server_app(tmp_path / "data", database_url=sqlite_url, learning=True) as again:
        learner = again.server.learner
        assert learner is not None
        assert learner._training_is_due()
        assert learner._has_work()


def test_a_project_that_is_switched_on_is_taken_in(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_history(tmp_path / "data", sqlite_url, project="sales")
    with server_app(tmp_path / "data", database_url=sqlite_url, running=False) as server:
        server.client.put("/api/ai/projects", json={"name": "sales", "learning": False})
    with server_app(tmp_path / "data", database_url=sqlite_url, learning=True) as server:
        assert forecast_note(server, "a").startswith("Learning is switched off")
        forecast = forecast_of("a", monkeypatch)
        server.client.put("/api/ai/projects", json={"name": "sales", "learning": True})
        forecast()
        assert forecast_note(server, "a") == "None"


def test_a_pipeline_that_is_no_longer_kept_out_is_taken_in(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the process that follows is there already."""
    old_history(tmp_path / "data", sqlite_url, ai="off")
    with server_app(tmp_path / "data", database_url=sqlite_url, learning=True) as server:
        server.make("other")
        told = heard(server, lambda event: event.type == EventType.PREDICTION_UPDATED)
        server.run("other")
        told()
        forecast = forecast_of("a", monkeypatch)
        body = {"id": "a", "name": "A", "stages": [{"id": "s0", "type": "noop"}], "labels": {}}
        answer = server.client.put("/api/pipelines/a", json=body)
        assert answer.status_code == 200, answer.text
        assert forecast_note(server, "a") == "It is being worked out."
        forecast()
        assert forecast_note(server, "a") == "None"


def test_what_a_killed_study_left_goes_with_the_next_training(tmp_path: Path) -> None:
    for name in ("kept.model", "retired.model", ".kept.model-x7", "README"):
        (tmp_path / name).write_text("")
    _remove_others(tmp_path, ["kept.model"])
    assert {path.name for path in tmp_path.iterdir()} == {"kept.model", "README"}
