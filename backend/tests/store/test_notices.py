"""Messages between servers by two ways: PostgreSQL, and Redis where it is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from flexiroaster.several_servers import link_of
from flexiroaster.store.database import Database
from flexiroaster.store.notices import Notices
from tests.redis_server import RedisServer

PATIENCE = 60.0


class Server:
    def __init__(self, name: str, database: Database, redis_url: str | None) -> None:
        self.link = link_of(redis_url, "postgresql://host/db", "secret") if redis_url else None
        self.notices = Notices(database.engine, name, self.link)
        self.notices.others, self.notices.expected = True, 1
        self.heard: list[Any] = []
        self.gaps = 0
        self._changed = threading.Condition()
        self.notices.hear("test", self._hear)
        self.notices.hear("gap", self._note_gap)
        self.notices.start()

    def until(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), (self.heard, self.gaps)

    def _hear(self, items: list[Any]) -> None:
        with self._changed:
            self.heard += items
            self._changed.notify_all()

    def _note_gap(self, _items: list[Any]) -> None:
        with self._changed:
            self.gaps += 1
            self._changed.notify_all()


class Bench:
    def __init__(self, url: str, stack: ExitStack) -> None:
        self._url = url
        self._stack = stack
        self.notified: list[str] = []
        """What went by PostgreSQL."""
        raw = stack.enter_context(psycopg.connect(url, autocommit=True))
        raw.add_notify_handler(lambda notice: self.notified.append(notice.payload))
        raw.execute("LISTEN flexiroaster")
        self._raw = raw

    def add(self, name: str, redis_url: str | None) -> Server:
        database = Database.open(self._url)
        self._stack.callback(database.close)
        server = Server(name, database, redis_url)
        self._stack.callback(server.notices.stop)
        return server

    def by_postgres(self) -> list[str]:
        """The tests' messages that went by PostgreSQL since this was last asked."""
        self._raw.execute("SELECT 1")
        found, self.notified[:] = [text for text in self.notified if '"test"' in text], []
        return found


@pytest.fixture
def bench(postgres_url: str) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(postgres_url, stack)


def connect(*servers: Server) -> None:
    """Each hears each other: what was told before somebody listened, it has not heard."""
    for server in servers:
        others = [other for other in servers if other is not server]
        mark = f"hello of {server.notices.sender}"
        for _ in range(600):
            server.notices.tell("test", [mark])
            threading.Event().wait(0.05)
            if all(mark in other.heard for other in others):
                break
        else:
            raise AssertionError([other.heard for other in others])


def by_redis(*servers: Server) -> None:
    """Until everybody is reached by it."""
    for server in servers:
        assert server.link is not None
        for _ in range(600):
            if server.link.send([f'["somebody",{_},"nothing",[]]']) >= len(servers):
                break
            threading.Event().wait(0.05)
        else:
            raise AssertionError(server.link.trouble)


def clear(servers: Sequence[Server]) -> None:
    for server in servers:
        server.notices.tell("test", [f"cleared by {server.notices.sender}"])
    for server in servers:
        others = {f"cleared by {other.notices.sender}" for other in servers if other is not server}
        server.until(lambda server=server, others=others: others <= set(server.heard))  # type: ignore[misc]
        server.heard.clear()


def test_nothing_goes_by_postgresql_where_redis_reaches_everybody(bench: Bench, redis_server: RedisServer) -> None:
    here, there = bench.add("a", redis_server.url), bench.add("b", redis_server.url)
    connect(here, there)
    by_redis(here, there)
    clear([here, there])
    bench.by_postgres()
    here.notices.tell("test", list(range(5000)))
    there.until(lambda: len(there.heard) == 5000)
    assert there.heard == list(range(5000))
    assert bench.by_postgres() == []


def test_server_without_redis_is_told_too(bench: Bench, redis_server: RedisServer) -> None:
    here, there = bench.add("a", redis_server.url), bench.add("b", None)
    connect(here, there)
    by_redis(here)
    clear([here, there])
    for n in range(100):
        here.notices.tell("test", [n])
        there.notices.tell("test", [n])
    for server in (here, there):
        server.until(lambda server=server: len(server.heard) == 100)  # type: ignore[misc]
        assert server.heard == list(range(100))


@pytest.mark.parametrize("fault", ["killed", "paused"])
def test_redis_away_loses_and_doubles_nothing(bench: Bench, redis_server: RedisServer, fault: str) -> None:
    here, there = bench.add("a", redis_server.url), bench.add("b", redis_server.url)
    connect(here, there)
    by_redis(here, there)
    clear([here, there])
    told = iter(range(10_000))
    sent: list[int] = []

    def tell(count: int) -> None:
        for _ in range(count):
            sent.append(next(told))
            here.notices.tell("test", sent[-1:])

    tell(100)
    there.until(lambda: len(there.heard) == 100)
    redis_server.kill() if fault == "killed" else redis_server.pause()
    bench.by_postgres()
    tell(100)
    there.until(lambda: len(there.heard) >= 200)
    assert bench.by_postgres()
    there.until(lambda: there.gaps > 0)
    tell(100)
    there.until(lambda: len(there.heard) >= 300)
    redis_server.start() if fault == "killed" else redis_server.go_on()
    by_redis(here, there)
    tell(100)
    there.until(lambda: len(there.heard) >= 400)
    clear([here])
    here.notices.tell("test", ["end"])
    there.until(lambda: "end" in there.heard)
    assert [item for item in there.heard if isinstance(item, int)] == sent


def test_who_is_cut_off_from_redis_alone_is_told_by_postgresql(bench: Bench, redis_server: RedisServer) -> None:
    """Redis itself believes for minutes that a subscriber whose network is gone is there."""
    here, there = bench.add("a", redis_server.url), bench.add("b", redis_server.url)
    connect(here, there)
    by_redis(here, there)
    clear([here, there])
    assert here.link is not None
    assert there.link is not None
    heard = there.link._hear
    there.link._hear = lambda text: None  # nothing comes through
    there.notices._say_deaf()
    for _ in range(600):
        here.notices.tell("test", ["by another way"])
        threading.Event().wait(0.05)
        if there.heard:
            break
    assert there.heard
    there.link._hear = heard
