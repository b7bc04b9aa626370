"""A fleet of real processes: one is killed, all are, the broker is; nothing is lost, nothing is recorded twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.fleet.processes import Fleet, RoleProcess
from tests.postgres import Postgres
from tests.rabbitmq import RabbitServer
from tests.redis_server import RedisServer
from tests.system.asking import FINAL, start, until
from tests.system.server import ServerProcess

T_SECONDS = 45
"""Everything that was accepted has ended so long after the last disturbance."""
STAGES = {
    "first": {"type": "noop"},
    "work": {"type": "wait", "config": {"seconds": 0.05}},
    "shell": {"type": "shell", "config": {"command": "sleep 0.05"}},
    "last": {"type": "noop"},
}
CHAIN = {"id": "chain", "name": "Work", "stages": [{"id": id, **stage} for id, stage in STAGES.items()]}
STUCK_ONCE = 'if [ "$FLEXIROASTER_ATTEMPT" = 1 ]; then sleep 600; fi; echo done'
SLOW = {
    "id": "slow",
    "name": "Slow",
    "stages": [
        {"id": "before", "type": "noop"},
        {"id": "work", "type": "shell", "config": {"command": STUCK_ONCE}},
        {"id": "after", "type": "noop"},
    ],
}
LONG = {"id": "long", "name": "Long", "stages": [{"id": "work", "type": "shell", "config": {"command": "sleep 6"}}]}
RABBIT_OPTIONS = ("consumer_timeout 2000", "channel_tick_interval 1000")
"""A message that is not acknowledged within 2 seconds ends its consumer; usually it is half an hour."""

_keys = (f"key {n}" for n in itertools.count())


@dataclass
class Crew:
    fleet: Fleet
    broker: RabbitServer | RedisServer | None
    api: ServerProcess
    scheduler: RoleProcess
    workers: list[RoleProcess]
    client: httpx.Client

    def accept(self, count: int, pipeline: str = "chain") -> list[str]:
        return [start(self.client, pipeline, next(_keys)) for _ in range(count)]

    def wait(self, executions: list[str]) -> None:
        def all_ended() -> bool:
            query = "SELECT count(*) FROM executions WHERE id = ANY(%s) AND status = ANY(%s)"
            return self.fleet.rows(query, executions, list(FINAL)) == [(len(executions),)]

        try:
            until(all_ended, T_SECONDS)
        except AssertionError:
            raise AssertionError(f"after {T_SECONDS} s: {self._left(executions)}") from None
        self.fleet.check([one for one in executions if self._pipeline(one) == "chain"], set(STAGES))
        self.fleet.check([one for one in executions if self._pipeline(one) == "slow"], {"before", "work", "after"})

    def _left(self, executions: list[str]) -> list[Any]:
        """What has not ended, for whoever reads of a failed test."""
        query = (
            "SELECT e.id, e.status, s.stage, s.status, s.attempt, s.reason, s.lease_owner, s.lease_until, s.due_at, "
            "now() FROM executions e JOIN stage_runs s ON s.execution_id = e.id "
            "WHERE e.id = ANY(%s) AND e.status <> ALL(%s) AND s.status NOT IN ('success', 'pending')"
        )
        return self.fleet.rows(query, executions, list(FINAL))

    def _pipeline(self, execution: str) -> str:
        return str(self.fleet.rows("SELECT pipeline_id FROM executions WHERE id = %s", execution)[0][0])

    def stick(self) -> tuple[str, RoleProcess]:
        """An execution that never ends where it is, and the worker that has it."""
        (execution,) = self.accept(1, "slow")
        query = "SELECT lease_owner FROM stage_runs WHERE execution_id = %s AND stage = 'work' AND status = 'running'"
        until(lambda: self.fleet.rows(query, execution) != [])
        owner = self.fleet.rows(query, execution)[0][0]
        return execution, next(worker for worker in self.workers if worker.ready["instance"] == owner)


@pytest.fixture(scope="module", params=["postgresql", "rabbitmq", "redis"])
def crew(
    request: pytest.FixtureRequest, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crew]:
    """An API server, a scheduler and two workers. Each test starts again what it has killed."""
    folder = tmp_path_factory.mktemp("fleet")
    broker = _broker(request.param)
    url = postgres.create(f"fleet_{request.param}", template="migrated")
    try:
        with Fleet(folder, url, broker.url if broker else None) as fleet, ThreadPoolExecutor() as pool:
            api, scheduler = pool.submit(fleet.api), pool.submit(fleet.scheduler)
            workers = [pool.submit(fleet.worker) for _ in range(2)]
            with api.result().client() as client:
                for pipeline in (CHAIN, SLOW, LONG):
                    client.post("/api/pipelines", json=pipeline).raise_for_status()
                yield Crew(fleet, broker, api.result(), scheduler.result(), [one.result() for one in workers], client)
    finally:
        if broker is not None:
            broker.stop()
        postgres.drop(f"fleet_{request.param}")


def _broker(kind: str) -> RabbitServer | RedisServer | None:
    begin: dict[str, Callable[[], RabbitServer | RedisServer]] = {
        "rabbitmq": lambda: RabbitServer.begin(*RABBIT_OPTIONS),
        "redis": RedisServer.begin,
    }
    return begin[kind]() if kind in begin else None


def test_work_of_a_killed_worker_is_done_by_another(crew: Crew) -> None:
    stuck, killed = crew.stick()
    accepted = crew.accept(20)
    killed.kill()
    crew.wait([*accepted, stuck])
    lines = crew.client.get(f"/api/executions/{stuck}/logs").raise_for_status().json()
    assert any("restarted after the server stopped (attempt 2)" in line["message"] for line in lines)
    killed.start()


def test_drained_worker_hands_over_and_ends_with_0(crew: Crew) -> None:
    stuck, drained = crew.stick()
    accepted = crew.accept(10)
    assert drained.stop() == 0
    crew.wait([*accepted, stuck])
    assert crew.fleet.rows("SELECT lost FROM stage_runs WHERE execution_id = %s AND stage = 'work'", stuck) == [(0,)]
    drained.start()


def test_all_workers_are_killed(crew: Crew) -> None:
    stuck, _ = crew.stick()
    accepted = crew.accept(10)
    for worker in crew.workers:
        worker.kill()
    accepted += crew.accept(10)
    for worker in crew.workers:
        worker.start()
    crew.wait([*accepted, stuck])


def test_scheduler_is_killed(crew: Crew) -> None:
    accepted = crew.accept(10)
    crew.scheduler.kill()
    crew.wait([*accepted, *crew.accept(10)])
    crew.scheduler.start()


def test_api_server_is_killed(crew: Crew) -> None:
    """What it accepted is done without it."""
    accepted = crew.accept(20)
    crew.api.kill()
    crew.wait(accepted)
    crew.api.start()
    crew.client.base_url = httpx.URL(crew.api.url)
    crew.wait(crew.accept(5))


@pytest.mark.parametrize("crew", ["rabbitmq", "redis"], indirect=True)
def test_broker_is_killed_and_forgets_everything_in_mid_run(crew: Crew) -> None:
    assert crew.broker is not None
    accepted = crew.accept(20)
    crew.broker.kill()
    accepted += crew.accept(20)
    until(lambda: "The broker does not answer" in str(health(crew).get("detail")))
    crew.wait(accepted)  # without it
    accepted = crew.accept(10)
    if isinstance(crew.broker, RabbitServer):
        crew.broker.wipe()
    crew.broker.start()
    accepted += crew.accept(10)
    crew.wait(accepted)
    until(lambda: health(crew)["status"] == "healthy")
    crew.wait(crew.accept(10))
    for process in (crew.api.log, *(worker.log for worker in crew.workers)):
        assert 1 <= process.count("broker.away") <= 4, "it is said once by who publishes and once by who listens"


def health(crew: Crew) -> dict[str, str]:
    answer = httpx.get(f"{crew.api.url}/health")
    assert answer.status_code == httpx.codes.OK
    found: dict[str, str] = answer.json()
    return found


@pytest.mark.parametrize("crew", ["rabbitmq"], indirect=True)
def test_stage_is_longer_than_a_message_may_wait_for_its_acknowledgement(crew: Crew) -> None:
    """As many as there are threads, and one more for each worker, whose message has to wait."""
    accepted = crew.accept(10, "long")
    crew.wait([*accepted, *crew.accept(5)])
    attempts = crew.fleet.rows("SELECT DISTINCT attempt FROM stage_runs WHERE execution_id = ANY(%s)", accepted)
    assert attempts == [(1,)]
    assert "PreconditionFailed" not in "".join(worker.log for worker in crew.workers)
