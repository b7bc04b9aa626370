"""Which Spark cluster this process uses. The composition root says so once, before the first stage; nothing of Spark is
loaded for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Cluster:
    """`url` None: there is none. `options` are Spark's own settings, such as `spark.executor.memory`."""

    url: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


_configured = Cluster()


def cluster_of(url: str | None, options: Iterable[str] = ()) -> Cluster:
    """`options` as people write them: `spark.executor.memory=8g`."""
    return Cluster(url, {key: value for key, _, value in (option.partition("=") for option in options)})


def configure(cluster: Cluster) -> None:
    global _configured
    _configured = cluster


def configured() -> Cluster:
    return _configured
