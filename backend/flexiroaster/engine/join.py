"""When a stage may start, given how the stages it needs have ended. The values are Airflow's trigger rules."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

from flexiroaster.engine.pipeline import Join


class Verdict(Enum):
    RUN = "run"
    WAIT = "wait"
    SKIP = "skip"
    """Not wanted: the branch it belongs to was not taken. Counts as skipped for what needs it."""
    BLOCK = "block"
    """Not possible: something it needs failed. Shown as skipped, counts as failed for what needs it."""


@lru_cache(maxsize=4096)
def verdict(join: Join, total: int, left: int, ok: int, failed: int) -> Verdict:
    """`total` needed stages, of which `left` have not ended, `ok` succeeded, `failed` failed or were blocked."""
    if total == 0 or join is Join.ALWAYS:
        return Verdict.RUN
    skipped = total - left - ok - failed
    match join:
        case Join.NO_FAILURE:
            return _first((failed, Verdict.BLOCK), (left, Verdict.WAIT), (ok, Verdict.RUN), (1, Verdict.SKIP))
        case Join.ALL_SUCCESS:
            return _first((failed, Verdict.BLOCK), (left, Verdict.WAIT), (skipped, Verdict.SKIP), (1, Verdict.RUN))
        case Join.ONE_SUCCESS:
            return _first((ok, Verdict.RUN), (left, Verdict.WAIT), (failed, Verdict.BLOCK), (1, Verdict.SKIP))
        case Join.ONE_FAILED:
            return _first((failed, Verdict.RUN), (left, Verdict.WAIT), (1, Verdict.SKIP))
        case Join.ALL_FAILED:
            return _first((ok + skipped, Verdict.SKIP), (left, Verdict.WAIT), (1, Verdict.RUN))
        case Join.ALL_DONE:
            return _first((left, Verdict.WAIT), (1, Verdict.RUN))


def _first(*rules: tuple[int, Verdict]) -> Verdict:
    """The verdict of the first rule whose count is not zero; the last rule always holds."""
    return next(result for count, result in rules if count)
