"""Stages that fail now and then and pass the next time, and versions that brought failures with them."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from itertools import pairwise

from flexiroaster.ai.insights.chance import at_least, drawn_at_least, rate, surprise
from flexiroaster.ai.insights.finding import Insight, named, newest, subject_of
from flexiroaster.ai.insights.past import Past, StageKey, StageOutcome
from flexiroaster.ai.runs import HOUR
from flexiroaster.ai.wording import share

RECENT_EXECUTIONS = 200
FLAKY_LEAST = 3
FLAKY_SHARE = 0.05
FLAKY_USUAL = 0.01
FLAKY_DIGITS = 3.0
APART_SECONDS = HOUR
"""Failures closer together are one event, whatever it was; flakiness comes back again and again."""

VERSION_LEAST = 3
VERSION_DIGITS = 4.0
VERSION_FACTOR = 3.0
VERSION_PRIOR, VERSION_STRENGTH = 0.03, 20.0
VERSION_LUCK = 0.01
"""How probable it may be that the failures fell to the new version by mere distribution: a stage that always failed now
and then must not be blamed on it."""

Factor = Callable[[str], float]
Explained = Container[tuple[str, str]]


def flaky_stages(past: Past, explained: Explained, factor: Factor) -> list[Insight]:
    """`explained`: (execution, stage) of failures that have a better explanation, such as an outage."""
    flips = {key: _flips(outcomes, explained) for key, outcomes in past.by_stage.items()}
    all_flips = sum(map(len, flips.values()))
    all_runs = sum(min(len(outcomes), RECENT_EXECUTIONS) for outcomes in past.by_stage.values())
    found = []
    for key, outcomes in past.by_stage.items():
        runs = min(len(outcomes), RECENT_EXECUTIONS)
        of_others = rate(all_flips - len(flips[key]), all_runs - runs, prior=FLAKY_USUAL, strength=100)
        found.append(_flaky(key, outcomes, flips[key], of_others, factor))
    return [insight for insight in found if insight]


def _flips(outcomes: Sequence[StageOutcome], explained: Explained) -> list[StageOutcome]:
    """Those that failed although the same version passed right after: by a retry, or in the next execution."""
    recent = outcomes[-RECENT_EXECUTIONS:]
    flips = []
    for place, outcome in enumerate(recent):
        if not outcome.ever_failed or (outcome.execution, outcome.last.stage) in explained:
            continue
        after = recent[place + 1] if place + 1 < len(recent) else None
        next_passed = after is not None and not after.ever_failed and after.last.version == outcome.last.version
        if outcome.recovered or next_passed:
            flips.append(outcome)
    return flips


def _flaky(
    key: StageKey, outcomes: Sequence[StageOutcome], flips: Sequence[StageOutcome], usual: float, factor: Factor
) -> Insight | None:
    runs = min(len(outcomes), RECENT_EXECUTIONS)
    times = [_end(flip) for flip in flips]
    events = len(times) and 1 + sum(later - earlier > APART_SECONDS for earlier, later in pairwise(times))
    if events < FLAKY_LEAST or len(flips) / runs < FLAKY_SHARE:
        return None
    chance = at_least(len(flips), runs, usual)
    threshold = factor(subject_of(*key))
    score = surprise(chance) / FLAKY_DIGITS
    if score < threshold:
        return None
    by_retry = sum(flip.recovered for flip in flips)
    how = f"{by_retry} times a retry was enough" if by_retry else "the next execution passed each time"
    return Insight(
        rule="flaky_stage",
        subject=subject_of(*key),
        text=(
            f"{named(*key)} failed in {len(flips)} of its last {runs} executions and passed without a change; {how}. "
            f"Elsewhere {share(usual)} of the runs do so."
        ),
        since=times[0],
        until=None if _still(flips, outcomes) else times[-1],
        score=score,
        threshold=threshold,
        confidence=1 - chance,
        pipelines=(key[0],),
        stage=key[1],
        # Its start moves with the runs that are looked at.
        event="flaky",
        executions=newest([flip.execution for flip in flips]),
        numbers={"flips": len(flips), "executions": runs, "recovered": by_retry, "events": events, "usual": usual},
    )


def _still(flips: Sequence[StageOutcome], outcomes: Sequence[StageOutcome]) -> bool:
    """Whether the time since the last one is short against what lay between them."""
    recent = outcomes[-RECENT_EXECUTIONS:]
    since = next(age for age, outcome in enumerate(reversed(recent)) if outcome is flips[-1])
    return since <= 3 * len(recent) / len(flips)


def bad_versions(past: Past, explained: Explained, factor: Factor) -> list[Insight]:
    """One for each version of a pipeline with which one of its stages began to fail."""
    found: dict[tuple[str, str], Insight] = {}
    for key, outcomes in past.by_stage.items():
        counted = [one for one in outcomes if not (one.ever_failed and (one.execution, key[1]) in explained)]
        for insight, version in _versions(key, counted, factor):
            known = found.get((key[0], version))
            if known is None or insight.score > known.score:
                found[key[0], version] = insight
    return list(found.values())


def _versions(key: StageKey, outcomes: Sequence[StageOutcome], factor: Factor) -> list[tuple[Insight, str]]:
    blocks: list[list[StageOutcome]] = []
    for outcome in outcomes:
        if not blocks or blocks[-1][-1].last.version != outcome.last.version:
            blocks.append([])
        blocks[-1].append(outcome)
    found = []
    before = list(blocks[0]) if blocks else []
    for after in blocks[1:]:
        insight = _bad_version(key, before[-RECENT_EXECUTIONS:], after, factor)
        if insight is None:
            before += after
            continue
        # What is known to be bad is no measure for the next version.
        ended = None if after is blocks[-1] else _end(after[-1])
        found.append((replace(insight, until=ended), after[0].last.version))
    return found


def _bad_version(
    key: StageKey, before: Sequence[StageOutcome], after: Sequence[StageOutcome], factor: Factor
) -> Insight | None:
    failed = [one for one in after if one.ever_failed]
    if len(failed) < VERSION_LEAST:
        return None
    earlier = sum(one.ever_failed for one in before)
    usual = rate(earlier, len(before), prior=VERSION_PRIOR, strength=VERSION_STRENGTH)
    chance = at_least(len(failed), len(after), usual)
    score = surprise(chance) / VERSION_DIGITS
    threshold = factor(subject_of(key[0]))
    luck = drawn_at_least(len(failed), len(after), len(failed) + earlier, len(after) + len(before))
    if score < threshold or luck > VERSION_LUCK or len(failed) / len(after) < VERSION_FACTOR * usual:
        return None
    version = after[0].last.version
    what = f"stage {key[1]}" if key[1] else "it"
    return Insight(
        rule="bad_version",
        subject=subject_of(key[0]),
        text=(
            f"Since version {version} of {key[0]}, {what} failed in {len(failed)} of {len(after)} executions; "
            f"before in {earlier} of {len(before)}."
        ),
        since=after[0].attempts[0].started_at,
        until=None,
        score=score,
        threshold=threshold,
        confidence=1 - chance,
        pipelines=(key[0],),
        stage=key[1],
        executions=newest([one.execution for one in failed]),
        numbers={
            "failed": len(failed),
            "executions": len(after),
            "failed_before": earlier,
            "executions_before": len(before),
        },
    )


def _end(outcome: StageOutcome) -> float:
    ended = outcome.last.ended_at
    assert ended is not None
    return ended
