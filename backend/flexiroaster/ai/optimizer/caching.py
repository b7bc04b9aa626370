"""Stages that make the same of the same again and again: what keeping their results for a while would save."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flexiroaster.ai.optimizer.confidence import of_next
from flexiroaster.ai.optimizer.graph import Graph
from flexiroaster.ai.optimizer.replay import Recorded, Replay, Saving
from flexiroaster.ai.optimizer.suggestion import EXECUTIONS_SHOWN, Edit, NotEnough, Suggestion
from flexiroaster.ai.runs import DAY, HOUR, MINUTE
from flexiroaster.ai.wording import span
from flexiroaster.engine.expressions import EVERYTHING, Template
from flexiroaster.engine.pipeline import Pipeline, StageSpec
from flexiroaster.engine.plurals import counted

LEAST_SHARE = 0.05
"""Of an execution's duration: less is not worth results that may be out of date."""
WANTED_HITS = 20
"""Times that a kept result would have been taken, and would have been right each time."""
KEPT_FOR = (30 * DAY, 7 * DAY, 3 * DAY, DAY, 12 * HOUR, 6 * HOUR, 3 * HOUR, HOUR, 30 * MINUTE, 10 * MINUTE, MINUTE)
CAUTION = 4.0
"""A result is kept for no more than this part of the time for which it was seen to stay the same."""
MAKES = frozenset({"http", "processing", "validation"})
"""Kinds that make their result of their settings, and of the tables these name."""
CODE = frozenset({"python", "shell"})
"""Kinds that can look at all inputs and at all that they need, and may do more than to make a result."""
READS_ONLY = frozenset({"", "GET", "HEAD"})
NOT_IN_A_KEY = frozenset({"execution", "trigger", "item"})
"""What is another one each time."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a stage run that succeeded was made of, and what it made, as digests: equal ones for equal values. `key` is
    that of the expression which `keys` answers.
    """

    execution: str
    stage: str
    at: float
    key: str
    result: str


def keys(document: Mapping[str, Any], takes_data: Callable[[str], bool] = lambda kind: True) -> dict[str, str]:
    """For each stage whose results could be kept, the expression that says what they are made of."""
    pipeline = Pipeline.from_document(document)
    graph = Graph.of(document, takes_data)
    found = {}
    for stage in pipeline.stages:
        parts = _made_of(stage, graph)
        if parts is not None and stage.cache is None:
            found[stage.id] = "${{ [" + ", ".join(sorted(parts)) + "] }}"
    return found


def _made_of(stage: StageSpec, graph: Graph) -> set[str] | None:
    """None for a stage whose results are not to be kept, or that nothing tells one time from another."""
    if stage.foreach is not None or stage.repeat is not None or stage.compensate is not None:
        return None
    if stage.type in CODE:
        return {"inputs", "execution.data", *(f"results.{need}" for need in stage.needs)}
    if stage.type not in MAKES or str(stage.config.get("method", "")).upper() not in READS_ONLY:
        return None
    read = Template.parse(stage.config).references()
    if any(root in NOT_IN_A_KEY or name == EVERYTHING for root, name in read):
        return None
    results = {name for root, name in read if root == "results"} | graph.nodes[stage.id].data
    if not results <= graph.above(stage.id):
        return None
    return {f"inputs.{name}" for root, name in read if root == "inputs"} | {f"results.{id}" for id in results}


def caching(
    graph: Graph, replay: Replay, expressions: Mapping[str, str], made: Iterable[Made]
) -> tuple[list[Suggestion], list[NotEnough]]:
    """Where the replay of the executions saves time with results that were right each time they would have been taken;
    and where it would, once there are more executions."""
    by_stage: dict[str, list[Made]] = {}
    for one in made:
        if one.stage in expressions and one.stage in graph.nodes and not graph.nodes[one.stage].cached:
            by_stage.setdefault(one.stage, []).append(one)
    found: list[Suggestion] = []
    missing: list[NotEnough] = []
    for stage, seen in by_stage.items():
        seen.sort(key=lambda one: (one.at, one.execution))
        trial = _longest(seen)
        if trial is None:
            continue
        saving = replay.saving_of(lambda execution: _without(execution, stage, trial.hits))  # noqa: B023
        if saving.share < LEAST_SHARE:
            continue
        if len(trial.hits) < WANTED_HITS:
            missing.append(NotEnough(graph.pipeline, len(trial.hits), WANTED_HITS, "cache", stage))
        elif saving.is_worth(LEAST_SHARE):
            found.append(_suggestion(graph, replay, expressions[stage], stage, trial, saving, seen))
    return sorted(found, key=lambda one: -one.gain), missing


@dataclass(frozen=True, slots=True)
class _Trial:
    """What keeping results for `ttl` seconds would have meant: the executions that would have taken one."""

    ttl: float
    hits: frozenset[str]
    stayed: float
    """For how long a result was seen to stay the same, at most."""


def _longest(seen: Sequence[Made]) -> _Trial | None:
    """The longest time within which no result would have been out of date. None where there is none such."""
    stayed = _stayed(seen)
    for ttl in KEPT_FOR:
        if ttl > stayed / CAUTION:
            continue
        hits = _hits(seen, ttl)
        if hits:
            return _Trial(ttl, hits, stayed)
    return None


def _stayed(seen: Sequence[Made]) -> float:
    """The shortest time for which one result lasted before another followed for the same key; where none ever did, for
    how long the longest was seen."""
    first: dict[str, Made] = {}
    last: dict[str, float] = {}
    lasted: list[float] = []
    changed: list[float] = []
    for one in seen:
        known = first.get(one.key)
        if known is None or known.result != one.result:
            if known is not None:
                changed.append(last[one.key] - known.at)
            first[one.key] = one
        last[one.key] = one.at
        lasted.append(one.at - first[one.key].at)
    return min(changed) if changed else max(lasted, default=0.0)


def _hits(seen: Sequence[Made], ttl: float) -> frozenset[str]:
    """The executions that would have found a result; none where a single one would have been out of date."""
    kept: dict[str, Made] = {}
    hits = set()
    for one in seen:
        known = kept.get(one.key)
        if known is None or one.at >= known.at + ttl:
            kept[one.key] = one
        elif known.result != one.result:
            return frozenset()
        else:
            hits.add(one.execution)
    return frozenset(hits)


def _without(execution: Recorded, stage: str, hits: frozenset[str]) -> Mapping[str, float]:
    return {**execution.seconds, stage: 0.0} if execution.id in hits else execution.seconds


def _suggestion(
    graph: Graph, replay: Replay, key: str, stage: str, trial: _Trial, saving: Saving, seen: Sequence[Made]
) -> Suggestion:
    hits = len(trial.hits)
    node = graph.nodes[stage]
    text = (
        f"Keep the results of {stage} for {span(trial.ttl)}: {counted(hits, 'execution')} of {len(seen)} would have "
        f"taken one, and it was the same as what they made each time. Saves about {span(saving.median)} of "
        f"{span(replay.usual)} ({saving.share:.0%}), replayed on the last {saving.executions} executions."
    )
    if node.kind in CODE:
        text += f" Check first whether {stage} does anything else that is needed each time: it would not run."
    elif node.kind == "http" or not node.needs:
        text += f" A change outside would be noticed up to {span(trial.ttl)} later."
    edits = (Edit(stage, ("cache",), {"key": key, "ttl": _written(trial.ttl)}),)
    numbers = {
        "hits": float(hits),
        "seen": float(len(seen)),
        "ttl": trial.ttl,
        "stayed": trial.stayed,
        "saving_low": saving.low,
        "saving_high": saving.high,
    }
    shown = tuple(one.execution for one in reversed(seen) if one.execution in trial.hits)[:EXECUTIONS_SHOWN]
    sure = saving.confidence * of_next(hits, hits)
    return Suggestion("cache", graph.pipeline, (stage,), text, saving, edits, len(seen), numbers, sure, shown)


def _written(seconds: float) -> str:
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE)):
        if seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"
