"""Pipelines that a change would make faster: an expensive stage that makes the same each time, and a pool that is too
small for the two that meet in it every night.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from flexiroaster.ai.runs import DAY, HOUR, Run

UNCHANGED = "catalogue"
IN_POOL = ("films", "thumbs")
POOL = "gpu"
WORK_SECONDS = 300.0


def unchanged(start: float, executions: int, *, id: str = UNCHANGED, same: bool = True) -> Iterator[Run]:
    """`extract` hands on as many rows each time, or others each time; what follows is short."""
    chance = random.Random(id)
    for number in range(executions):
        begin = start + number * 6 * HOUR
        rows = 500.0 if same else float(chance.randint(100, 900))
        for stage, seconds in (("extract", WORK_SECONDS), ("check", 2.0), ("load", 3.0)):
            end = begin + seconds * chance.uniform(0.9, 1.1)
            yield Run(
                f"{id}-{number}",
                id,
                begin,
                stage,
                ended_at=end,
                status="success",
                connector=f"{id}.example.com",
                input_rows=rows,
            )
            begin = end


def crowded(start: float, nights: int) -> Iterator[Run]:
    """Both are asked for at the same moment; the second waits until the first lets go of the one slot."""
    chance = random.Random(POOL)
    for night in range(nights):
        asked = start + night * DAY
        free = asked
        for id in IN_POOL:
            end = free + WORK_SECONDS * chance.uniform(0.9, 1.1)
            yield Run(
                f"{id}-{night}",
                id,
                free,
                "extract",
                queued_at=asked,
                ended_at=end,
                status="success",
                input_rows=float(chance.randint(1, 900)),
            )
            free = end


DEFINITIONS = {
    id: f"""\
id: {id}
name: {id}
stages:
  - id: extract
    type: http
    url: https://{id}.example.com/rows
    method: POST
    pool: {POOL}
    timeout: 10m
"""
    for id in IN_POOL
}
