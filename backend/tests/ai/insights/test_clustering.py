from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexiroaster.ai.insights.clustering import cluster
from flexiroaster.ai.insights.masks import masked

SAME = [
    ("timeout after 30 s", "timeout after 1.5 s"),
    ("cannot open /data/in/orders.csv", "cannot open /srv/other/file-17.parquet"),
    ("cannot open C:\\data\\orders.csv", "cannot open D:\\x.csv"),
    ("GET https://shop.example/orders/1?page=2 gave 502", "GET http://10.0.0.7:8080/ gave 503"),
    ("row 17, column 3: bad value", "row 90121, column 12: bad value"),
    ("host db-1.internal.example refused", "host replica.eu.internal.example refused"),
    ("job 5f1c2a90-1b2c-4d3e-8f90-aabbccddeeff lost", "job 00000000-0000-0000-0000-000000000000 lost"),
    ("read 12 KB of 900", "read 1.2 MB of 7"),
    ("at Mon Jul  1 08:16:53 2026 the lock broke", "at Tue Aug 12 09:00:00 2025 the lock broke"),
    ("user=anna refused", "user=bert refused"),
    ("ids 1, 2, 3 are unknown", "ids 4, 5 are unknown"),
]
DIFFERENT = [
    ("connection refused", "connection reset"),
    ("column price is missing", "column price is empty"),
    ("disk full on /data/1", "disk slow on /data/1"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_varies_is_masked(one: str, other: str) -> None:
    assert masked(one) == masked(other)
    assert "<*>" in masked(one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_tells_errors_apart_is_kept(one: str, other: str) -> None:
    assert masked(one) != masked(other)
    assert cluster([one, other]) == [0, 1]


def test_place_that_takes_many_names_is_found() -> None:
    names = ["anna", "bert", "cara", "dora", "emil", "fritz"]
    lines = [f"the table {name} is locked by another writer" for name in names]
    assert set(cluster([*lines, "the disk is full"])) == {0, 1}


def test_few_names_stay_apart() -> None:
    lines = [f"the service was {what} by its owner" for what in ("started", "stopped", "paused")]
    assert cluster(lines) == [0, 1, 2]


def test_word_where_numbers_were_seen_is_one_of_them() -> None:
    assert cluster(["login of user 1043 was refused", "login of user anna was refused"]) == [0, 0]


def test_two_places_for_names_are_found() -> None:
    names = ["anna", "bert", "cara", "dora", "emil", "fritz"]
    lines = [f"cannot copy table {one} into schema {other} now" for one in names for other in names]
    assert set(cluster(lines)) == {0}


def test_ids_count_in_order_of_appearance_and_lines_keep_their_places() -> None:
    assert cluster(["b", "a 1", "b", "a 2", "c"]) == [0, 1, 0, 1, 2]
    assert cluster([]) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=30))
def test_any_lines_are_borne_and_equal_lines_are_one_kind(lines: list[str]) -> None:
    ids = cluster(lines)
    assert len(ids) == len(lines)
    assert all(ids[i] == ids[k] for i in range(len(lines)) for k in range(i) if lines[i] == lines[k])


@settings(max_examples=60, deadline=None)
@given(st.permutations([f"job {name} ended in state {state}" for name in "abcdef" for state in ("ok", "lost")]))
def test_order_of_the_lines_does_not_matter(lines: list[str]) -> None:
    kinds: dict[int, set[str]] = {}
    for line, kind in zip(lines, cluster(lines), strict=True):
        kinds.setdefault(kind, set()).add(line)
    assert {frozenset(kind) for kind in kinds.values()} == {
        frozenset(line for line in lines if line.endswith(state)) for state in ("ok", "lost")
    }


@pytest.mark.parametrize("text", ["a-" * 5_000, "/" * 5_000, "a." * 5_000, "(" * 5_000, "<*>" * 2_000, "=" * 5_000])
@pytest.mark.timeout(20)
def test_hostile_message_takes_no_time(text: str) -> None:
    masked(text)
