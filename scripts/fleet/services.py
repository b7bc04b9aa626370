"""What a fleet stands on: PostgreSQL, RabbitMQ, Redis and an S3 server that asks for keys, on free ports, proved to be
ours. They are the ones that the tests start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Literal

from tests.postgres import Postgres
from tests.rabbitmq import RabbitServer
from tests.redis_server import RedisServer
from tests.s3 import REGION, S3Server

BUCKET = "flexiroaster"
Broker = Literal["rabbitmq", "redis", "none"]


@dataclass(frozen=True)
class Service:
    """`environment` is what members are told of it, `url` what people are."""

    name: str
    url: str
    environment: dict[str, str]
    stop: Callable[[], None]


@dataclass
class Services:
    running: list[Service] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for service in self.running for name, value in service.environment.items()}

    @property
    def database_url(self) -> str:
        return self.environment["FLEXIROASTER_DATABASE_URL"]


@contextmanager
def services(broker: Broker, *, redis: bool) -> Iterator[Services]:
    """All of them start at the same time. Everything they keep is gone at the end."""
    wanted = [_postgres, _s3]
    if broker == "rabbitmq":
        wanted.append(_rabbitmq)
    if redis or broker == "redis":
        wanted.append(lambda: _redis(bus=redis, broker=broker == "redis"))
    with ExitStack() as stack:
        found, failures = Services(), []
        with ThreadPoolExecutor(len(wanted)) as threads:
            for starting in [threads.submit(start) for start in wanted]:
                if (failure := starting.exception()) is not None:
                    failures.append(failure)
                else:
                    found.running.append(starting.result())
                    stack.callback(starting.result().stop)
        if failures:
            raise failures[0]
        yield found


def _postgres() -> Service:
    server = Postgres.start()
    url = server.create("flexiroaster")
    return Service("PostgreSQL", url, {"FLEXIROASTER_DATABASE_URL": url}, server.stop)


def _rabbitmq() -> Service:
    server = RabbitServer.begin()
    return Service("RabbitMQ", server.url, {"FLEXIROASTER_BROKER_URL": server.url}, server.stop)


def _redis(*, bus: bool, broker: bool) -> Service:
    server = RedisServer.begin()
    environment = {"FLEXIROASTER_REDIS_URL": server.url} if bus else {}
    if broker:
        environment["FLEXIROASTER_BROKER_URL"] = f"{server.url.rpartition('/')[0]}/1"
    return Service("Redis", server.url, environment, server.stop)


def _s3() -> Service:
    server = S3Server.start()
    server.client.create_bucket(Bucket=BUCKET)
    environment = {
        "FLEXIROASTER_ARTIFACTS_URL": f"s3://{BUCKET}/artifacts",
        "FLEXIROASTER_S3_ENDPOINT_URL": server.url,
        "FLEXIROASTER_S3_REGION": REGION,
        "FLEXIROASTER_S3_ACCESS_KEY_ID": server.credentials.access_key,
        "FLEXIROASTER_S3_SECRET_ACCESS_KEY": server.credentials.secret_key,
    }
    return Service("S3", f"{server.url}/{BUCKET}", environment, server.stop)
