"""Answering when an execution has ended, so that nobody has to ask again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Annotated

from fastapi import Query
from starlette.concurrency import run_in_threadpool

from flexiroaster.api.parameters import ExecutionId, Use
from flexiroaster.services.ends import Ends
from flexiroaster.store.executions import EndRow

LONGEST_WAIT = 60
LOOK_SECONDS = 5.0
"""Between two looks at the database: an end that another server wrote may not be told here."""

Wait = Annotated[
    float,
    Query(ge=0, le=LONGEST_WAIT, description="Answer when it has ended, at the latest after so many seconds."),
]


async def ended_or_waited(execution_id: ExecutionId, use: Use, wait: Wait = 0) -> None:
    """A dependency of routes that tell of an execution."""
    if wait:
        await end_within(use.ends, wait, lambda: execution_id)


async def end_within(ends: Ends, seconds: float, start: Callable[[], str]) -> EndRow | None:
    """Call `start` in a thread, which answers an execution's id; then how that ended, None if it takes longer.

    It waits no more when the server stops.
    """
    loop = asyncio.get_running_loop()
    heard = asyncio.Event()
    until = loop.time() + seconds

    def tell() -> None:
        loop.call_soon_threadsafe(heard.set)

    def begin() -> tuple[str, EndRow | None]:
        id = start()
        watching.enter_context(ends.watched(id, tell))
        return id, ends.of(id)

    with ExitStack() as watching:
        id, end = await run_in_threadpool(begin)
        while end is None and not ends.stopping and (left := until - loop.time()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_SECONDS)):
                    await heard.wait()
            heard.clear()
            end = await run_in_threadpool(ends.of, id)
        return end
