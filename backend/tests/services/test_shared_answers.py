"""What one server has computed, the others answer too, for a moment."""

from __future__ import annotations

from datetime import UTC, datetime

from flexiroaster.services.metrics import Current, Metrics
from flexiroaster.services.shared_answers import SECONDS, SharedAnswers
from tests.history import History


class Memory:
    """In place of Redis: keeps for ever, and notes for how long it should."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.seconds: set[float] = set()

    def keep(self, name: str, text: str, seconds: float) -> None:
        self.texts[name] = text
        self.seconds.add(seconds)

    def kept(self, name: str) -> str | None:
        return self.texts.get(name)


def test_the_second_server_answers_what_the_first_has_counted(history: History) -> None:
    memory = Memory()
    now = datetime(2026, 3, 5, 12, tzinfo=UTC)
    one, other = (Metrics(history.database, lambda: now, SharedAnswers(memory)) for _ in range(2))
    before = one.current(), one.history("24h")
    history.pipeline("new")
    assert (other.current(), other.history("24h")) == before
    assert memory.seconds == {SECONDS}
    assert other.history("1h").range == "1h"
    memory.texts.clear()  # a moment later
    assert other.current().total_pipelines == before[0].total_pipelines + 1


def test_an_answer_of_another_release_is_computed_anew(history: History) -> None:
    memory = Memory()
    memory.texts["metrics"] = '{"total": 7}'
    assert isinstance(Metrics(history.database, answers=SharedAnswers(memory)).current(), Current)
    assert memory.texts["metrics"] != '{"total": 7}'


def test_one_server_alone_counts_every_time(history: History) -> None:
    metrics = Metrics(history.database)
    before = metrics.current().total_pipelines
    history.pipeline("new")
    assert metrics.current().total_pipelines == before + 1
