from __future__ import annotations

from flexiroaster.ai.insights.signatures import ErrorSeen, fingerprint, signatures, top_frames

DAY = 86_400.0
NOW = 100 * DAY
TRACEBACK = """Traceback (most recent call last):
  File "/srv/jobs/run.py", line 10, in main
    load()
  File "/srv/jobs/load.py", line 7, in load
    read("x")
  File "/usr/lib/python3.11/site-packages/pandas/io.py", line 900, in read
    raise KeyError("x")
KeyError: 'x'
"""


def error(message: str, *, at: float = NOW - 10, execution: str = "e1", **more: str) -> ErrorSeen:
    return ErrorSeen(execution=execution, pipeline=more.pop("pipeline", "orders"), at=at, message=message, **more)


def test_same_kind_of_error_is_one_signature_over_pipelines() -> None:
    [one] = signatures(
        [
            error("timeout after 30 s", execution="e1", pipeline="orders"),
            error("timeout after 31 s", execution="e2", pipeline="billing", at=NOW - 5),
        ],
        now=NOW,
    )
    assert one.count == 2
    assert one.executions == ("e2", "e1")
    assert one.pipelines == ("billing", "orders")
    assert one.message == "timeout after <*>"
    assert one.example == "timeout after 31 s"


def test_class_type_and_place_tell_errors_apart() -> None:
    kinds = [
        error("no", error_class="KeyError", stage_type="python"),
        error("no", error_class="ValueError", stage_type="python"),
        error("no", error_class="KeyError", stage_type="sql"),
        error("no", error_class="KeyError", stage_type="python", traceback=TRACEBACK),
    ]
    assert len({one.fingerprint for one in signatures(kinds, now=NOW)}) == 4


def test_frames_are_own_code_without_line_numbers() -> None:
    assert top_frames(TRACEBACK) == ("run.py:main", "load.py:load")
    assert top_frames(TRACEBACK.replace("line 7", "line 8")) == top_frames(TRACEBACK)
    assert top_frames(None) == top_frames("not a traceback") == ()


def test_fingerprint_is_the_same_in_every_process() -> None:
    assert fingerprint("TimeoutError", "http", "timeout after 30 s") == "6d0d0d573e317525"


def test_fingerprint_of_an_error_is_that_of_its_signature() -> None:
    [one] = signatures([error("timeout after 30 s", error_class="TimeoutError", stage_type="http")], now=NOW)
    assert one.fingerprint == fingerprint("TimeoutError", "http", "timeout after 99 s")


def test_first_and_last_seen() -> None:
    [one] = signatures([error("x", at=NOW - 9 * DAY), error("x", at=NOW - 1)], now=NOW)
    assert (one.first_seen, one.last_seen) == (NOW - 9 * DAY, NOW - 1)
    assert (one.recent, one.usual_per_day) == (1, 1 / 8)


def trend(*days_ago: float) -> str:
    [one] = signatures([error("x", at=NOW - days * DAY) for days in days_ago], now=NOW)
    return one.trend


def test_trends() -> None:
    assert trend(0.1, 0.2) == "new"
    assert trend(*[0.1] * 6, 5.5, 6.5) == "rising"
    assert trend(0.5, *[days + 0.5 for days in range(1, 9)]) == "steady"
    assert trend(0.5, *[1 + day / 8 for day in range(1, 33)]) == "falling"
    assert trend(3, 4) == "gone"


def test_errors_to_come_are_not_seen() -> None:
    assert signatures([error("x", at=NOW + 1)], now=NOW) == []


def test_names_are_put_together_within_one_origin_only() -> None:
    names = ["anna", "bert", "cara", "dora", "emil", "fritz"]
    errors = [error(f"the table {name} is locked by another writer", error_class="Locked") for name in names]
    other = error("the table gert is locked by another writer", error_class="Other")
    found = signatures([*errors, other], now=NOW)
    assert sorted(one.count for one in found) == [1, 6]


def test_fingerprint_stays_when_names_are_recognised() -> None:
    names = ["anna", "bert", "cara", "dora", "emil", "fritz"]
    errors = [error(f"the table {name} is locked by another writer", at=NOW - 9 + i) for i, name in enumerate(names)]
    [alone] = signatures(errors[:1], now=NOW)
    [together] = signatures(errors, now=NOW)
    assert alone.fingerprint == together.fingerprint
    assert together.message == "the table <*> is locked by another writer"
    assert all(fingerprint("", "", one.message) in together.variants for one in errors)
