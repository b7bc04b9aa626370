"""Redis between two servers: what arrives, and what happens while it is away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from structlog.testing import capture_logs

from flexiroaster.bus.redis import RedisLink
from tests.redis_server import RedisServer

PATIENCE = 60.0
KEY = b"k" * 32


class End:
    """One server's link, with what came to it."""

    def __init__(self, url: str, name: str = "db", key: bytes = KEY) -> None:
        self.link = RedisLink(url, name, key)
        self.heard: list[str] = []
        self.away = 0
        self.missed = 0
        self._changed = threading.Condition()
        self.link.start(self._hear, self._count_away, self._count_missed)

    def until(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), (self.heard, self.away, self.missed)

    def send(self, message: str) -> int:
        """Again, until Redis takes it."""
        end = threading.Event()
        for _ in range(600):
            count = self.link.send([message])
            if count:
                return count
            end.wait(0.1)
        raise AssertionError(self.link.trouble)

    def _hear(self, text: str) -> None:
        with self._changed:
            self.heard.append(text)
            self._changed.notify_all()

    def _count_away(self) -> None:
        with self._changed:
            self.away += 1
            self._changed.notify_all()

    def _count_missed(self) -> None:
        with self._changed:
            self.missed += 1
            self._changed.notify_all()


@pytest.fixture
def ends() -> Iterator[Callable[..., End]]:
    with ExitStack() as stack:

        def make(*arguments: object) -> End:
            end = End(*arguments)  # type: ignore[arg-type]
            stack.callback(end.link.stop)
            stack.callback(end.link.stop)  # twice
            return end

        yield make


def connected(*ends: End) -> None:
    """Each hears the other."""
    here, *others = ends
    while here.send("hello") < len(ends):
        pass
    for end in ends:
        end.until(lambda end=end: "hello" in end.heard)  # type: ignore[misc]
        end.heard.clear()
    for other in others:
        other.send("answer")
        for end in ends:
            end.until(lambda end=end: "answer" in end.heard)  # type: ignore[misc]
    for end in ends:
        end.heard.clear()


def test_message_is_heard_by_all_and_in_order(redis_server: RedisServer, ends: Callable[..., End]) -> None:
    here, there = ends(redis_server.url), ends(redis_server.url)
    connected(here, there)
    sent = [f"message {n} ü" for n in range(300)]
    assert here.link.send(sent) == 2
    there.until(lambda: len(there.heard) == 300)
    assert there.heard == sent
    assert here.link.trouble is None


def test_who_else_writes_there_is_not_heard(redis_server: RedisServer, ends: Callable[..., End]) -> None:
    here, there = ends(redis_server.url), ends(redis_server.url)
    of_another_database, with_another_key = ends(redis_server.url, "other"), ends(redis_server.url, "db", b"x" * 32)
    connected(here, there)
    of_another_database.send("foreign")
    with_another_key.send("forged")
    with redis_server.client() as client:
        for channel in client.pubsub_channels("*"):
            client.publish(channel, "by hand")
    here.send("last")
    there.until(lambda: "last" in there.heard)
    assert there.heard == ["last"]


def test_redis_that_was_killed_is_used_again_once_it_is_back(
    redis_server: RedisServer, ends: Callable[..., End]
) -> None:
    here, there = ends(redis_server.url), ends(redis_server.url)
    connected(here, there)
    with capture_logs() as lines:
        redis_server.kill()
        for end in (here, there):
            end.until(lambda end=end: end.missed == 1 and end.away > 1)  # type: ignore[misc]
            assert end.link.send(["into the void"]) == 0
            assert "through PostgreSQL" in str(end.link.trouble)
        redis_server.start()
        for end in (here, there):
            end.until(lambda end=end: end.missed == 2)  # type: ignore[misc]
        connected(here, there)
    assert here.link.trouble is None
    assert [line["event"] for line in lines if line["event"] == "redis.away"] == ["redis.away"] * 2
    assert [line["event"] for line in lines if line["event"] == "redis.back"] == ["redis.back"] * 2


def test_redis_that_does_not_answer_holds_nobody_up(redis_server: RedisServer, ends: Callable[..., End]) -> None:
    here, there = ends(redis_server.url), ends(redis_server.url)
    connected(here, there)
    redis_server.pause()
    assert here.link.send(["late"]) == 0
    assert here.link.send(["at once"]) == 0
    there.until(lambda: there.away > 1)
    redis_server.go_on()
    connected(here, there)
    assert here.link.send(["again"]) == 2


def test_who_was_started_while_it_was_away_joins_later(redis_server: RedisServer, ends: Callable[..., End]) -> None:
    redis_server.kill()
    here = ends(redis_server.url)
    here.until(lambda: here.away > 0)
    assert here.link.send(["x"]) == 0
    redis_server.start()
    connected(here)


def test_script_answers_or_says_that_redis_is_away(redis_server: RedisServer, ends: Callable[..., End]) -> None:
    here = ends(redis_server.url)
    connected(here)
    script = "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])"
    assert here.link.evaluate(script, ["a"], ["7"]) == "7"
    with redis_server.client() as client:
        assert client.keys() == ["flexiroaster:db:a"]
        client.config_set("maxmemory", 1)
        assert here.link.evaluate(script, ["a"], ["7"]) is None
        assert "Redis refuses" in str(here.link.trouble)
        assert here.link.send(["still"]) == 1
        client.config_set("maxmemory", 0)
    assert here.link.evaluate(script, ["a"], ["8"]) == "8"
    assert here.link.trouble is None
    redis_server.kill()
    assert here.link.evaluate(script, ["a"], ["9"]) is None
    assert "does not answer" in str(here.link.trouble)


def test_what_one_keeps_another_has_for_a_while(ends: Callable[..., End], redis_server: RedisServer) -> None:
    one, other, foreign = ends(redis_server.url), ends(redis_server.url), ends(redis_server.url, "db", b"x" * 32)
    connected(one, other)
    foreign.send("I am here")
    assert other.link.kept("numbers") is None
    one.link.keep("numbers", "[1]", 60)
    assert (one.link.kept("numbers"), other.link.kept("numbers")) == ("[1]", "[1]")
    assert foreign.link.kept("numbers") is None  # it has another key, and cannot know that this is true
    assert other.link.kept("others") is None
    one.link.keep("soon", "gone", 0.001)
    while other.link.kept("soon") is not None:
        pass


def test_nothing_is_kept_while_redis_is_away(ends: Callable[..., End], redis_server: RedisServer) -> None:
    one = ends("redis://127.0.0.1:1")
    one.link.keep("numbers", "[1]", 60)
    assert one.link.kept("numbers") is None
