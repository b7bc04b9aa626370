"""One Spark for the session, small and bound to this machine: starting it takes seconds and half a gigabyte."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from flexiroaster.data import clusters
from flexiroaster.data.spark import cluster
from tests.data.spark.both import Both
from tests.stages.conftest import Bench, bench

__all__ = ["bench"]

QUICK = {
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
"""Compiling a query to Java's bytecode pays for large tables only, and so do several partitions."""
CLUSTER_URL = os.environ.get("FLEXIROASTER_TEST_SPARK_URL")
"""To run all this on a cluster (`spark://`, `sc://`) that sees the same folders."""
LOCAL = clusters.Cluster(CLUSTER_URL or "local[2]", QUICK if CLUSTER_URL else {**QUICK, "spark.driver.memory": "1g"})


@pytest.fixture(scope="session")
def _spark_application() -> Iterator[None]:
    before = os.environ.get("JAVA_TOOL_OPTIONS")
    os.environ["JAVA_TOOL_OPTIONS"] = f"{before or ''} -XX:TieredStopAtLevel=1".strip()
    clusters.configure(LOCAL)
    cluster.session()
    yield
    cluster.close()
    clusters.configure(clusters.Cluster())
    if before is None:
        del os.environ["JAVA_TOOL_OPTIONS"]


@pytest.fixture
def spark(_spark_application: None) -> Iterator[None]:
    """Spark is configured and runs."""
    clusters.configure(LOCAL)
    yield
    clusters.configure(clusters.Cluster())


@pytest.fixture
def both(spark: None, bench: Bench) -> Both:
    return Both(bench)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.spark)
            item.add_marker(pytest.mark.xdist_group("spark"))
