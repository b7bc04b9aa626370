"""Whether a failed attempt is tried again, and when."""

from __future__ import annotations

from datetime import timedelta

from flexiroaster.engine.errors import StageError
from flexiroaster.engine.pipeline import Retry

MAX_LOST = 3
"""A stage that takes its worker down three times is the cause, not the victim."""

LONGEST_WISH = timedelta(hours=1)
"""A server's Retry-After is honoured up to here."""


def retry_delay(policy: Retry, tries: int, error: StageError, chance: float) -> timedelta | None:
    """How long to wait before the next attempt, None when there is none.

    `tries` counts the attempts made so far, `chance` is drawn evenly from [0, 1). With jitter the delay lies between
    half of it and all of it, which spreads a crowd and keeps the order of magnitude ("equal jitter").
    """
    if tries >= policy.max_attempts or not _wanted(policy, error):
        return None
    delay = _backoff(policy, tries)
    if policy.jitter:
        delay = delay / 2 + delay / 2 * chance
    if error.retry_after_seconds is not None:
        delay = max(delay, min(timedelta(seconds=error.retry_after_seconds), LONGEST_WISH))
    return delay


def _wanted(policy: Retry, error: StageError) -> bool:
    return not policy.retry_on or error.kind in policy.retry_on


def _backoff(policy: Retry, tries: int) -> timedelta:
    longest = policy.max_delay if policy.max_delay is not None else timedelta(days=1)
    match policy.backoff:
        case "constant":
            factor = 1
        case "linear":
            factor = tries
        case "exponential":
            factor = 2 ** min(tries - 1, 40)
    seconds = policy.delay.total_seconds() * factor
    return min(timedelta(seconds=min(seconds, longest.total_seconds())), longest)
