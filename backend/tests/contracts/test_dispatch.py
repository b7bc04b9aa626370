"""How work gets from who accepts it to who runs it: alike by PostgreSQL alone, through RabbitMQ and through Redis."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from flexiroaster.dispatch import celery
from flexiroaster.dispatch.port import Ready, Work
from flexiroaster.engine.runs import Key
from flexiroaster.runtime.attempt import Attempt
from flexiroaster.stages.base import StageContext
from flexiroaster.store.database import Database
from tests.runtime.engine import PATIENCE, Gate, TestEngine
from tests.runtime.test_executions import act

SOON = timedelta(seconds=2)
"""A lease after which everything that was lost has been found a few times."""
BROKERS = ("rabbitmq", "redis")
with_brokers = pytest.mark.parametrize("kind", BROKERS, indirect=True)


class Members:
    """Processes of a fleet, each an engine with connections of its own."""

    def __init__(self, url: str, folder: Path, broker_url: str | None) -> None:
        self._url = url
        self._folder = folder
        self.broker_url = broker_url
        self._stack = ExitStack()
        self._started: list[TestEngine] = []

    def __enter__(self) -> Members:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def broker(self) -> str:
        assert self.broker_url is not None
        return self.broker_url

    def api(self, **options: Any) -> TestEngine:
        return self._start("api", kind="api", concurrency=0, pools=(), **options)

    def worker(self, name: str = "worker", *pools: str, **options: Any) -> TestEngine:
        return self._start(name, kind="worker", pools=pools or None, **options)

    def _start(self, name: str, **options: Any) -> TestEngine:
        database = Database.open(self._url)
        self._stack.callback(database.close)
        engine = TestEngine(database, self._folder, name=name, broker_url=self.broker_url, **options)
        engine.embedded.start()
        self._stack.callback(engine.embedded.stop, grace_seconds=0)
        self._started.append(engine)
        for one in self._started:
            until(lambda one=one: not self._started[1:] or one.embedded.has_others)  # type: ignore[misc]
        return engine


@pytest.fixture(params=["postgresql", *BROKERS])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def members(kind: str, request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path) -> Iterator[Members]:
    fixtures = {"rabbitmq": "rabbit_server", "redis": "redis_server"}
    broker = request.getfixturevalue(fixtures[kind]).url if kind in fixtures else None
    with Members(postgres_url, tmp_path, broker) as found:
        yield found


def until(condition: Callable[[], bool]) -> None:
    """What another process knows is told by nothing but asking it."""
    end = threading.Event()
    timer = threading.Timer(PATIENCE, end.set)
    timer.start()
    while not condition():
        assert not end.is_set()
    timer.cancel()


def name_of(context: StageContext) -> str:
    """Of the process that a stage runs on."""
    return cast("Attempt", context)._world.scratch_root.name


class Names:
    """A stage's doing that notes where it was done."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, context: StageContext) -> None:
        self.seen.append(name_of(context))


def test_worker_runs_what_an_api_server_accepts(members: Members) -> None:
    api, _ = members.api(), members.worker()
    names = Names()
    for _ in range(5):
        assert api.run({"a": act(api.act(names)), "b": ["a"], "c": act(api.act(names), needs=["b"])}) == "success"
    assert names.seen == ["worker"] * 10


def test_instant_stages_are_not_kept_by_who_runs_none(members: Members) -> None:
    """One that begins an execution, and one that becomes ready by what somebody says to the API."""
    api, worker = members.api(), members.worker()
    execution = api.execute({"a": [], "b": {"type": "wait", "config": {"event": "go"}, "needs": ["a"]}, "c": ["b"]})
    api.wait_for("stage_waiting", "b")
    api.embedded.signals.send(execution, "go", None, "ada")
    assert api.wait_end(execution) == "success"
    assert worker.wait_end(execution) == "success"
    assert len(api.embedded.dispatch._queue) == 0


def test_worker_goes_on_by_itself(members: Members, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first stage nobody is told of any other."""
    api, worker = members.api(), members.worker()
    told: list[Ready] = []
    fleet = worker.embedded._fleet
    assert fleet is not None
    monkeypatch.setattr(fleet, "hand_over", told.extend)
    monkeypatch.setattr(worker.embedded.dispatch, "on_backlog", told.extend)
    chain = {f"s{n}": [f"s{n - 1}"] if n else [] for n in range(100)}
    assert api.run(chain) == "success"
    assert told == []


def test_more_than_a_worker_comes_to_goes_to_others(members: Members) -> None:
    api = members.api()
    first, second = members.worker("first", concurrency=1), members.worker("second", concurrency=1)
    met = threading.Barrier(2)
    names: list[str] = []

    def meet(context: StageContext) -> None:
        names.append(name_of(context))
        met.wait(PATIENCE)

    stages = {f"s{n}": act(api.act(meet), needs=["before"]) for n in range(2)}
    assert api.run({"before": [], **stages, "after": list(stages)}) == "success"
    assert sorted(names) == ["first", "second"]
    assert first.embedded.worker.running == second.embedded.worker.running == 0


def test_pool_is_run_by_its_own_workers_alone(members: Members) -> None:
    api = members.api()
    members.worker("general", "default"), members.worker("large", "gpu")
    api.embedded.pools.set("gpu", 10)
    large, others = Names(), Names()
    for _ in range(3):
        stages = {
            "a": act(api.act(others)),
            "b": act(api.act(large), needs=["a"], pool="gpu"),
            "c": act(api.act(others), needs=["b"]),
            "d": {"needs": ["c"]},
        }
        assert api.run(stages) == "success"
    assert large.seen == ["large"] * 3
    assert others.seen == ["general"] * 6


def test_worker_that_comes_later_finds_what_waits(members: Members) -> None:
    api = members.api(lease=SOON)
    execution = api.execute({"a": [], "b": ["a"]})
    members.worker(lease=SOON)
    assert api.wait_end(execution) == "success"


def test_what_was_told_to_nobody_is_found(members: Members, monkeypatch: pytest.MonkeyPatch) -> None:
    api = members.api(lease=SOON)
    members.worker(lease=SOON)
    monkeypatch.setattr(api.embedded.dispatch, "on_foreign", lambda ready: None)
    started = [api.execute({"a": [], "b": act(api.act(lambda _: None), needs=["a"])}) for _ in range(5)]
    for execution in started:
        assert api.wait_end(execution) == "success"


def test_doubled_reordered_and_old_word_changes_nothing(members: Members) -> None:
    api, worker = members.api(), members.worker()
    names = Names()
    execution = api.execute({"a": act(api.act(names)), "b": act(api.act(names), needs=["a"])})
    api.wait_end(execution)
    before = api.events(execution)
    fleet = api.embedded._fleet
    assert fleet is not None
    gate = Gate()
    running = api.execute({"a": act(api.act(gate)), "b": act(api.act(names), needs=["a"])})
    gate.wait_entered()
    for key in (Key(1), Key(0), Key(0), Key(7), Key(0, 3)) * 10:
        for id in (running, execution, "of a week ago"):
            fleet.hand_over([Ready(Work(id, key))])
    after = api.execute({"c": []})  # it was told last, and by then the others were heard
    api.wait_end(after)
    gate.open.set()
    assert api.wait_end(running) == "success"
    assert api.events(execution) == before
    assert names.seen == ["worker"] * 3
    assert worker.stage(running, "a")["attempt"] == 1


def test_drained_worker_leaves_its_work_to_others_at_once(members: Members) -> None:
    api = members.api(lease=timedelta(minutes=10))
    first = members.worker("first", lease=timedelta(minutes=10), concurrency=1)
    gate = Gate()
    execution = api.execute({"a": act(api.act(lambda c: gate(c) or 1 / 0)), "b": act(api.act(lambda _: None))})
    gate.wait_entered()
    members.worker("second", lease=timedelta(minutes=10))
    gate.result = "done"
    first.embedded.drain(grace_seconds=0)
    assert api.wait_end(execution) == "success"
    assert api.stage(execution, "a")["lost"] == 0


def test_every_execution_of_many_is_run_once(members: Members) -> None:
    api = members.api()
    members.worker("first", concurrency=2), members.worker("second", concurrency=2)
    names = Names()
    pipeline = api.add({"a": act(api.act(names)), "b": ["a"], "c": act(api.act(names), needs=["b"])})
    started = [api.executions.start(pipeline).execution_id for _ in range(100)]
    for execution in started:
        assert api.wait_end(execution) == "success"
    assert Counter(names.seen).total() == 200
    for execution in started:
        numbers = [event["seq"] for event in api.events(execution)]
        assert numbers == list(range(1, len(numbers) + 1))


# Messages of a broker


@with_brokers
def test_message_carries_ids_alone_as_json(members: Members) -> None:
    """Nobody listens, so it stays."""
    dispatch = celery.CeleryDispatch(members.broker)
    dispatch.own_pools = lambda: ["mine"]
    dispatch.start()
    dispatch.announce([Ready(Work("some", Key(1, 2)), pool="mine")])
    dispatch.stop()
    with celery.connected(dispatch.app) as connection:
        message = celery.queue(dispatch.app, "mine")(connection.default_channel).get(accept=["json"])
        message.ack()
    assert message.content_type == "application/json"
    assert message.headers["task"] == "flexiroaster.work"
    assert {name: message.headers.get(name) for name in ("eta", "expires", "retries")} == {
        "eta": None,
        "expires": None,
        "retries": 0,
    }
    assert message.payload[:2] == [["some", [[1, 2]]], {}]


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "text",
        [],
        [["one"], {}, {}],
        [["one", [[-1, 0]]], {}, {}],
        [["one", [["0", 0]]], {}, {}],
        [["one", [[0]]], {}, {}],
        [["x" * 65, [[0, 0]]], {}, {}],
        [[["one"], [[0, 0]]], {}, {}],
        [["one", [[0, 2**31]]], {}, {}],
    ],
)
def test_foreign_message_is_not_understood(payload: Any) -> None:
    assert celery.read(payload) is None


@with_brokers
def test_foreign_messages_do_no_harm(members: Members) -> None:
    app = celery.make_app(members.broker)
    with celery.connected(app) as connection:
        producer = app.amqp.Producer(connection.default_channel)
        target = celery.queue(app)
        for body, type in ((b"{", "application/json"), (b"\x80\x04.", "application/x-python-serialize"), (b"1", "a/b")):
            encoding = {"content_type": type, "content_encoding": "utf-8"}
            producer.publish(body, exchange="", routing_key=target.name, declare=[target], serializer=None, **encoding)
    api, _ = members.api(), members.worker()
    assert api.run({"a": []}) == "success"


def test_a_wide_fan_has_few_messages_the_last_first() -> None:
    ready = [Ready(Work("one", Key(n))) for n in range(1000)]
    found = [hint for _, hint in celery.hints(ready)]
    assert len(found) <= 64
    assert sorted(key.position for hint in found for key in hint.keys) == list(range(1000))
    assert found[0].keys[-1] == Key(999)
    assert [len(hint.keys) for _, hint in celery.hints(ready[:20])] == [1] * 20
    assert len(list(celery.hints([item._replace(instant=True) for item in ready[:500]]))) == 1
