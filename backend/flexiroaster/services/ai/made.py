"""Of what stages made their results, and whether these stayed the same: digests of what was recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import orjson

from flexiroaster.ai.optimizer.caching import Made
from flexiroaster.engine.errors import FlexiRoasterError
from flexiroaster.engine.parts import parts
from flexiroaster.engine.pipeline import Cache, Pipeline
from flexiroaster.services.ai.history import Story
from flexiroaster.services.cache import CacheRule
from flexiroaster.store import ended_runs as store
from flexiroaster.store.database import Database

READ_AT_ONCE = 25
"""Executions: a result may have 64 KB."""
NEVER_TAKEN = timedelta(days=1)
"""The rule is asked for its key alone."""


class Unknown(Exception):
    """Nothing tells whether it is the same as another."""


class _Recorded(NamedTuple):
    results: Mapping[str, Mapping[str, store.ResultSeen]]
    profiles: Mapping[str, tuple[Any, int | None, Any]]
    data: Mapping[str, Any]


def made_of(
    database: Database, stories: Sequence[Story], document: Mapping[str, Any], expressions: Mapping[str, str]
) -> list[Made]:
    """By executions whose version says the same of a stage as the document. `expressions` are by stage."""
    if not expressions:
        return []
    pipeline = Pipeline.from_document(document)
    rules = {id: CacheRule.of(pipeline.stage(id), Cache(key=text, ttl=NEVER_TAKEN)) for id, text in expressions.items()}
    read = {id: {name for root, name in rule.key.references() if root == "results"} for id, rule in rules.items()}
    wanted = sorted({*rules, *(name for names in read.values() for name in names)})
    same = _same_versions(stories, document, rules)
    unread = {id for id in rules if pipeline.stage(id).type == "http" and not _headers_are_read(id, document)}
    found: list[Made] = []
    for part in parts(stories, READ_AT_ONCE):
        some = [story for story in part if same[story.seen.version]]
        recorded = _read(database, [story.seen.id for story in some], wanted)
        for story in some:
            for stage in same[story.seen.version]:
                one = _made(story, stage, rules[stage], read[stage], recorded, stage in unread)
                if one is not None:
                    found.append(one)
    return found


def _same_versions(
    stories: Sequence[Story], document: Mapping[str, Any], rules: Mapping[str, CacheRule]
) -> dict[int, list[str]]:
    """By version the stages that do what they do now."""
    now = {stage["id"]: _does(stage) for stage in document["stages"]}
    versions = {story.seen.version: story.version.document for story in stories}
    return {
        number: [
            stage["id"]
            for stage in earlier.get("stages", ())
            if stage["id"] in rules and _does(stage) == now[stage["id"]]
        ]
        for number, earlier in versions.items()
    }


def _does(stage: Mapping[str, Any]) -> tuple[Any, ...]:
    return stage.get("type"), stage.get("config"), sorted(stage.get("needs", ()))


def _read(database: Database, ids: Sequence[str], stages: Sequence[str]) -> _Recorded:
    results: dict[str, dict[str, store.ResultSeen]] = {}
    with database.read() as connection:
        for one in store.results_of(connection, ids, stages):
            results.setdefault(one.execution_id, {})[one.stage] = one
        return _Recorded(results, store.profiles_of(connection, ids), store.data_of(connection, ids))


def _headers_are_read(stage: str, document: Mapping[str, Any]) -> bool:
    """A reply has its date among them, so that no two are alike: what nobody looks at tells nothing."""
    return f"results.{stage}.headers".encode() in orjson.dumps(document)


def _made(
    story: Story, stage: str, rule: CacheRule, read: set[str], recorded: _Recorded, without_headers: bool
) -> Made | None:
    """None where it did not run, or where what it read or made was not recorded in a way that can be compared."""
    id = story.seen.id
    own = recorded.results.get(id, {})
    ran = [run for run in story.attempts if run.stage == stage and run.status == "success"]
    if stage not in own or own[stage].large or not ran or any(name not in own or own[name].large for name in read):
        return None
    visible = {
        "inputs": story.seen.inputs,
        "results": {name: own[name].value for name in read},
        "execution": {"data": recorded.data.get(id)},
    }
    try:
        entry = rule.entry(visible, None)
        value = own[stage].value
        if without_headers and isinstance(value, Mapping):
            value = {key: item for key, item in value.items() if key != "headers"}
        if entry is None or not _tells(value):
            return None
        result = _digest(_content(value, recorded.profiles))
    except (FlexiRoasterError, Unknown):
        return None
    return Made(id, stage, ran[-1].started_at, entry.key, result)


def _content(value: Any, profiles: Mapping[str, tuple[Any, int | None, Any]]) -> Any:
    """With what is known of a table in place of where it lies. Raises Unknown."""
    if isinstance(value, Mapping):
        if isinstance(value.get("table"), str):
            columns, rows, profile = profiles.get(str(value.get("artifact_id")), (None, None, None))
            if profile is None:
                raise Unknown
            return {"columns": columns, "rows": rows, "profile": profile}
        # The same rows may be packed in more or fewer bytes.
        return {key: _content(item, profiles) for key, item in value.items() if key != "bytes" or "data" not in value}
    if isinstance(value, list):
        return [_content(item, profiles) for item in value]
    return value


def _tells(value: Any) -> bool:
    """Whether the result says anything: one that is always empty shows that the stage is there for something else."""
    match value:
        case Mapping():
            return any(_tells(item) for key, item in value.items() if key != "exit_code")
        case list():
            return any(_tells(item) for item in value)
        case _:
            return bool(value)


def _digest(value: Any) -> str:
    written = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.sha256(written).hexdigest()
