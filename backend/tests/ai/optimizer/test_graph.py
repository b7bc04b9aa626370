"""Which edges of a definition data flows along."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.ai.optimizer.graph import Graph
from flexiroaster.ai.optimizer.replay import makespan, policy
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


@given(st.data())
def test_no_order_beats_the_path_or_the_work(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    stages = [{"id": f"s{n}", "needs": [f"s{m}" for m in range(n) if data.draw(st.booleans())]} for n in range(count)]
    graph = Graph.of(document(*stages))
    seconds = {id: data.draw(st.floats(0, 100)) for id in graph.nodes}
    path, work = max(policy(graph, seconds).values()), sum(seconds.values())
    assert makespan(graph, seconds) == pytest.approx(path)
    for workers in (1, 3):
        took = makespan(graph, seconds, workers)
        assert max(path, work / workers) <= took + 1e-6
        assert took <= work / workers + path + 1e-6  # what list scheduling promises
    assert makespan(graph, seconds, 1) == pytest.approx(work)
