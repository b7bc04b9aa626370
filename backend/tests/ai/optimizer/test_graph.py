"""Which edges of a definition data flows along."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.ai.optimizer.graph import Graph
from flexiroaster.ai.optimizer.order import policy
from flexiroaster.ai.optimizer.replay import makespan
from tests.ai.optimizer.histories import document


@pytest.mark.parametrize(
    ("settings", "data"),
    [
        ({"config": {"note": "${{ results.a.rows }}"}}, {"a"}),
        ({"when": "${{ results.b.rows > 0 }}"}, {"b"}),
        ({"config": {"all": "${{ results }}"}}, {"a", "b"}),
        ({"foreach": {"items": "${{ results.a.items }}"}}, {"a"}),
        ({"config": {"note": "${{ inputs.day }}"}}, set()),
    ],
    ids=["config", "when", "everything", "foreach", "nothing"],
)
def test_what_a_stage_reads(settings: dict[str, object], data: set[str]) -> None:
    graph = Graph.of(document({"id": "a"}, {"id": "b"}, {"id": "c", "needs": ["a", "b"], **settings}))
    assert graph.nodes["c"].data == data


def test_the_table_of_the_only_stage_before_is_read_unless_it_is_known_that_it_is_not() -> None:
    written = document({"id": "a"}, {"id": "b", "needs": ["a"]})
    assert Graph.of(written).nodes["b"].data == {"a"}
    assert Graph.of(written, takes_data=lambda kind: False).nodes["b"].data == set()


@st.composite
def timed(draw: st.DrawFn) -> tuple[Graph, dict[str, float]]:
    """A graph with a duration for each stage."""
    count = draw(st.integers(1, 12))
    stages = [{"id": f"s{n}", "needs": [f"s{m}" for m in range(n) if draw(st.booleans())]} for n in range(count)]
    graph = Graph.of(document(*stages))
    return graph, {id: draw(st.floats(0, 100)) for id in graph.nodes}


@given(timed())
def test_no_order_beats_the_path_or_the_work(given: tuple[Graph, dict[str, float]]) -> None:
    graph, seconds = given
    path, work = max(graph.tails(seconds).values()), sum(seconds.values())
    assert makespan(graph, seconds) == pytest.approx(path)
    for priorities in (None, policy(graph, seconds)):
        for workers in (1, 3):
            took = makespan(graph, seconds, workers, priorities)
            assert max(path, work / workers) <= took + 1e-6
            assert took <= work / workers + path + 1e-6  # what list scheduling promises
        assert makespan(graph, seconds, 1, priorities) == pytest.approx(work)


@given(timed(), st.integers(1, 5))
def test_the_order_for_so_many_workers_is_never_worse_than_the_longest_way_first(
    given: tuple[Graph, dict[str, float]], workers: int
) -> None:
    graph, seconds = given
    priorities = policy(graph, seconds, workers)
    assert set(priorities) == set(graph.nodes)
    assert all(0 <= priority <= 1 + 1e-9 for priority in priorities.values())
    took = makespan(graph, seconds, workers, priorities)
    assert took <= makespan(graph, seconds, workers) * (1 + 1e-9) + 1e-9
    assert priorities == policy(graph, seconds, workers)


def test_looking_ahead_finds_an_order_that_the_longest_way_does_not() -> None:
    found = 0
    chance = random.Random(4)
    for _ in range(60):
        stages = [{"id": f"s{n}", "needs": [f"s{m}" for m in range(n) if chance.random() < 0.2]} for n in range(20)]
        graph = Graph.of(document(*stages))
        seconds = {id: chance.uniform(1, 20) for id in graph.nodes}
        found += makespan(graph, seconds, 3, policy(graph, seconds, 3)) < 0.98 * makespan(graph, seconds, 3)
    assert found >= 5


def test_of_equally_long_ways_the_stage_that_more_waits_for_goes_first() -> None:
    graph = Graph.of(document({"id": "one"}, {"id": "many"}, *({"id": f"s{n}", "needs": ["many"]} for n in range(4))))
    seconds = dict.fromkeys(graph.nodes, 1.0) | {"one": 2.0}
    priorities = policy(graph, seconds, 1)
    assert priorities["many"] > priorities["one"]


def test_a_stage_that_nothing_is_known_of_counts_as_the_mean_of_the_others() -> None:
    graph = Graph.of(document({"id": "short"}, {"id": "new"}, {"id": "long"}, {"id": "last", "needs": ["short"]}))
    known = {"short": 1.0, "long": 8.0, "last": 3.0}
    assert policy(graph, known, 2) == policy(graph, known | {"new": 4.0}, 2)
    assert policy(graph, {}) == policy(graph, dict.fromkeys(graph.nodes, 1.0))


ORDER = """
import random
from flexiroaster.ai import policy
from flexiroaster.ai.optimizer.graph import Graph
chance = random.Random(2)
stages = [
    {"id": f"s{n}", "type": "noop", "needs": sorted({f"s{chance.randrange(n)}" for _ in range(8)}) if n > 19 else []}
    for n in range(60)
]
graph = Graph.of({"id": "p", "name": "P", "stages": stages})
print([policy(graph, {id: chance.choice([1.0, 1.0, 2.0, 5.0]) for id in graph.nodes}) for _ in range(10)])
"""


def test_the_order_is_the_same_in_every_process() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", ORDER], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "123"
    }
    assert len(said) == 1
