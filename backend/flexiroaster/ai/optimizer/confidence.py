"""How sure it is that a change helps, from the counts that it rests on."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from flexiroaster.ai.insights.chance import at_least

PRIOR_SUCCESS, PRIOR_TRIES = 1, 4
"""What is believed of a try before any was seen: one in four succeeds."""


def of_saving(saved: Sequence[float], off: Sequence[float]) -> float:
    """That executions become shorter: 1 minus the probability that so many of them would by chance (sign test).

    `saved` are the seconds of each execution, `off` by how many seconds its replay without the change was from what
    really happened. What all replays are off by alike tells nothing; an execution counts where it saves more than the
    rest of that.
    """
    usual = statistics.median(off)
    shorter = sum(seconds > abs(error - usual) for seconds, error in zip(saved, off, strict=True))
    return 1 - at_least(shorter, len(saved), 0.5)


def of_share_above(succeeded: int, tries: int, share: float) -> float:
    """That more than `share` of further tries succeed (Beta posterior, as a sum of binomial terms)."""
    a = succeeded + PRIOR_SUCCESS
    b = tries - succeeded + PRIOR_TRIES - PRIOR_SUCCESS
    return 1 - at_least(a, a + b - 1, share)


def share_between(succeeded: int, tries: int, inside: float = 0.9) -> tuple[float, float]:
    """Holds the share of further tries that succeed with that probability: the middle of the same posterior."""
    outside = (1 - inside) / 2
    return _share_at(succeeded, tries, 1 - outside), _share_at(succeeded, tries, outside)


def _share_at(succeeded: int, tries: int, above: float) -> float:
    """The share that is exceeded with the probability `above`."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if of_share_above(succeeded, tries, middle) > above:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def of_next(held: int, seen: int) -> float:
    """That what held `held` of `seen` times holds the next time (Laplace's rule of succession)."""
    return (held + 1) / (seen + 2)
