"""How probable it is that so much happens by chance."""

from __future__ import annotations

import math


def at_least(successes: int, trials: int, probability: float) -> float:
    """P(X >= successes) for a binomial X. Exact; in time proportional to `trials - successes` at most."""
    if successes <= 0:
        return 1.0
    if successes > trials or probability <= 0:
        return 0.0
    if probability >= 1:
        return 1.0
    log_odds = math.log(probability) - math.log1p(-probability)
    log_term = (
        math.lgamma(trials + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(trials - successes + 1)
        + successes * math.log(probability)
        + (trials - successes) * math.log1p(-probability)
    )
    total = 0.0
    for hits in range(successes, trials + 1):
        term = math.exp(log_term)
        total += term
        if term < total * 1e-12:
            break
        log_term += log_odds + math.log(trials - hits) - math.log(hits + 1) if hits < trials else 0.0
    return min(total, 1.0)


def drawn_at_least(hits: int, drawn: int, hits_in_all: int, in_all: int) -> float:
    """P(X >= hits) when `drawn` of `in_all` are taken at random, `hits_in_all` of them hits (Fisher)."""
    total = 0.0
    whole = _log_choose(in_all, drawn)
    for number in range(hits, min(drawn, hits_in_all) + 1):
        if drawn - number <= in_all - hits_in_all:
            total += math.exp(
                _log_choose(hits_in_all, number) + _log_choose(in_all - hits_in_all, drawn - number) - whole
            )
    return min(total, 1.0)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def surprise(probability: float) -> float:
    """Decimal digits of improbability: 3 for one in a thousand. Bounded, so that sums stay finite."""
    return -math.log10(max(probability, 1e-300))


def rate(hits: float, trials: float, *, prior: float, strength: float) -> float:
    """A share that few trials cannot drive to 0 or 1: `strength` trials of the share `prior` are added."""
    return (hits + prior * strength) / (trials + strength)
