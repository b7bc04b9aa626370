"""What a fleet stands on: PostgreSQL, Redis and an S3 server that asks for keys, on free ports, proved to be ours.

They are the ones that the tests start.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.postgres import Postgres
from tests.redis_server import RedisServer
from tests.s3 import REGION, S3Server

BUCKET = "flexiroaster"


@dataclass
class Services:
    """`environment` is what members are told of them, `shown` what people are."""

    environment: dict[str, str] = field(default_factory=dict)
    shown: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def services(*, redis: bool) -> Iterator[Services]:
    """Everything they keep is gone at the end."""
    with ExitStack() as stack:
        found = Services()
        _postgres(found, stack)
        if redis:
            _redis(found, stack)
        _s3(found, stack)
        yield found


def _postgres(found: Services, stack: ExitStack) -> None:
    server = Postgres.start()
    stack.callback(server.stop)
    url = server.create("flexiroaster")
    found.environment["FLEXIROASTER_DATABASE_URL"] = url
    found.shown.append(("PostgreSQL", url))


def _redis(found: Services, stack: ExitStack) -> None:
    server = RedisServer.begin()
    stack.callback(server.stop)
    found.environment["FLEXIROASTER_REDIS_URL"] = server.url
    found.shown.append(("Redis", server.url))


def _s3(found: Services, stack: ExitStack) -> None:
    server = S3Server.start()
    stack.callback(server.stop)
    server.client.create_bucket(Bucket=BUCKET)
    found.environment |= {
        "FLEXIROASTER_ARTIFACTS_URL": f"s3://{BUCKET}/artifacts",
        "FLEXIROASTER_S3_ENDPOINT_URL": server.url,
        "FLEXIROASTER_S3_REGION": REGION,
        "FLEXIROASTER_S3_ACCESS_KEY_ID": server.credentials.access_key,
        "FLEXIROASTER_S3_SECRET_ACCESS_KEY": server.credentials.secret_key,
    }
    found.shown.append(("S3", f"{server.url}/{BUCKET}"))
