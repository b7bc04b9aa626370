"""Runs one attempt and says how it ended. Never raises: whatever user code does becomes an `Outcome` here, once."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import orjson
from pydantic import ValidationError

from flexiroaster.engine.errors import Location, StageError, StageFailed
from flexiroaster.engine.expressions import ExpressionError
from flexiroaster.engine.outcome import Cancelled, Failed, Outcome, Skipped, Stopped, Succeeded, Waiting
from flexiroaster.engine.quoting import shortened
from flexiroaster.runtime.attempt import Attempt, World
from flexiroaster.runtime.conditions import StandIn
from flexiroaster.runtime.expanding import Expander
from flexiroaster.runtime.recordable import recordable
from flexiroaster.services.cache import CacheRule, taken_from
from flexiroaster.services.live import Version
from flexiroaster.services.scope import Results, item_scope, scope
from flexiroaster.services.stage_runs import INLINE_BYTES, Produced
from flexiroaster.stages.base import Stage, StageConfig
from flexiroaster.stages.registry import StageRegistry
from flexiroaster.store.database import StoreUnavailable

NO_CONFIG: dict[str, Any] = {}
NO_STAND_INS: Mapping[str, StandIn] = {}
NOT_JSON = "result_not_json"
NUL = b"\\u0000"
"""As JSON writes it."""
OWN_FRAMES = "flexiroaster/runtime/executor.py"


class Executor:
    """`run` is called from many threads at once."""

    def __init__(
        self, registry: StageRegistry, world: World, expander: Expander, stand_ins: Mapping[str, StandIn] = NO_STAND_INS
    ) -> None:
        self._registry = registry
        self._world = world
        self._expander = expander
        self._stand_ins = stand_ins
        self._static = lru_cache(maxsize=2000)(self._static_config)

    def run(self, attempt: Attempt) -> tuple[Outcome, Produced]:
        try:
            if attempt.claimed.is_foreach:
                outcome, produced = self._for_items(attempt)
            else:
                outcome, produced = self._produced(attempt, self._outcome(attempt))
                if attempt.claimed.key.position in attempt.claimed.live.version.untils:
                    outcome = self._once_more(attempt, outcome)
        except StoreUnavailable:
            attempt.why = attempt.why or "database"
            outcome, produced = Cancelled(), Produced()
        except BaseException as error:  # a fault in native code, or sys.exit in a stage, must not end the thread
            outcome, produced = Failed(_stage_error(error)), Produced()
        if attempt.why is not None:
            outcome = _as_stopped(attempt, outcome)
        if isinstance(outcome, Failed):
            outcome = Failed(recordable(outcome.error))
        produced.artifacts = attempt.kept
        produced.ordered = attempt.ordered
        produced.cache_entry = attempt.cache_entry
        attempt.clean()
        return outcome, produced

    def _outcome(self, attempt: Attempt) -> Outcome:
        live, key = attempt.claimed.live, attempt.claimed.key
        version, position = live.version, key.position
        stand_in = self._stand_ins.get(attempt.stage_id) if self._stand_ins else None
        rule = version.caches.get(position) if version.caches else None
        stage = self._registry.get(version.plan.stages[position].type)
        when, template = version.whens[position], version.configs[position]
        if key.index and not version.iterations[position].when_per_item:
            when = None  # it was asked for all of them
        if stand_in is None and rule is None and when is None and template.is_static and not stage.takes_data:
            config = self._static(version, position)
        else:
            visible = item_scope(live, self._world.read_spilled, key, attempt.claimed.item)
            if when is not None and not _truth("when", when.render(visible)):
                return Skipped(f"when is false: {when.value}")
            if stand_in is not None:
                return _as_outcome(stand_in(attempt))
            if rule is not None and (cached := self._from_cache(attempt, rule, visible)) is not None:
                return cached
            config = _config(stage, self._given(stage, attempt, template.render(visible)))
        return _as_outcome(stage.run(config, attempt))

    def _from_cache(self, attempt: Attempt, rule: CacheRule, visible: Mapping[str, Any]) -> Succeeded | None:
        """What an earlier execution has made for the same key; otherwise what is made now will be found under it."""
        claimed = attempt.claimed
        entry = rule.entry(visible, claimed.item)
        if entry is None or claimed.run.state is not None:
            attempt.cache_entry = entry
            return None
        found = None
        if claimed.live.use_cache:
            found = self._world.cache.find(attempt.pipeline_id, attempt.stage_id, entry, attempt.now)
        if found is None:
            attempt.cache_entry = entry
            return None
        attempt.spilled_before = found.artifact_id
        return Succeeded(
            found.value, found.rows, found.bytes, cached_from=found.execution_id, reason=taken_from(found, attempt.now)
        )

    def _for_items(self, attempt: Attempt) -> tuple[Outcome, Produced]:
        """A foreach stage's own run. A condition that looks at no item is asked once, before there are any."""
        live, position = attempt.claimed.live, attempt.claimed.key.position
        when = live.version.whens[position]
        if live.version.iterations[position].when_per_item or attempt.claimed.run.state is not None:
            when = None
        if when is not None and not _truth("when", when.render(scope(live, self._world.read_spilled))):
            return Skipped(f"when is false: {when.value}"), Produced()
        return self._expander.run(attempt)

    def _once_more(self, attempt: Attempt, outcome: Outcome) -> Outcome:
        """A stage that repeats is done when its `until` holds, which sees the result that was just made."""
        if not isinstance(outcome, Succeeded):
            return outcome
        live, read = attempt.claimed.live, self._world.read_spilled
        until = live.version.untils[attempt.claimed.key.position]
        results = Results({**live.results, attempt.stage_id: outcome.result}, read)
        holds = _truth("until", until.render({**scope(live, read), "results": results}))
        return outcome if holds else replace(outcome, again=True)

    def _static_config(self, version: Version, position: int) -> StageConfig:
        return _config(self._registry.get(version.plan.stages[position].type), version.configs[position].value)

    def _given(self, stage: Stage, attempt: Attempt, config: dict[str, Any]) -> dict[str, Any]:
        """The rendered config; a stage that takes data and names none gets that of the one stage it needs."""
        if not stage.takes_data or "data" in config or len(attempt.upstream) != 1:
            return config
        (result,) = attempt.upstream.values()
        data = result["data"] if isinstance(result, dict) and "data" in result else result
        return {**config, "data": data}

    def _produced(self, attempt: Attempt, outcome: Outcome) -> tuple[Outcome, Produced]:
        if attempt.spilled_before is not None:
            return outcome, Produced(spilled_to=attempt.spilled_before)
        if not isinstance(outcome, Succeeded) or outcome.result is None:
            return outcome, Produced()
        text = _as_json(outcome.result)
        result = orjson.loads(text)
        if NUL in text and (place := _place_of_nul(result)):
            raise StageFailed(f"The stage's result cannot be kept: {place} holds the character NUL.", code=NOT_JSON)
        outcome = replace(outcome, result=result, rows=_rows(outcome), bytes=_bytes(outcome))
        if len(text) <= INLINE_BYTES:
            return outcome, Produced(result=result, result_json=text.decode())
        with attempt.artifact("result.json", kind="result", media_type="application/json") as draft:
            draft.path.write_bytes(text)
        return outcome, Produced(result=result, spilled_to=draft.id)


def _as_outcome(answer: Any) -> Outcome:
    return answer if isinstance(answer, _OUTCOMES) else Succeeded(answer)


_OUTCOMES = (Succeeded, Failed, Skipped, Waiting, Cancelled, Stopped)


def _truth(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise StageFailed(
            f"`{key}` gave {shortened(repr(value))}, which is neither true nor false.",
            code=f"{key}_not_boolean",
            suggestion="Compare it, for example with == or != or > 0.",
        )
    return value


def _config(stage: Stage, given: dict[str, Any]) -> StageConfig:
    try:
        return stage.Config.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(["config", *(str(part) for part in first["loc"])])
        raise StageFailed(f"{path}: {first['msg'].rstrip('.')}.", code="invalid_config") from error


def _as_json(result: Any) -> bytes:
    try:
        return orjson.dumps(result, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z | orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        raise StageFailed(
            f"The stage's result is not JSON: {error}.",
            code=NOT_JSON,
            suggestion="Answer dictionaries, lists, texts, numbers, true, false or null.",
        ) from error


def _place_of_nul(value: Any, place: str = "result") -> str | None:
    """Where a text holds what PostgreSQL cannot keep."""
    match value:
        case str():
            return place if "\0" in value else None
        case dict():
            parts = [
                _place_of_nul(key, f"a key of {place}") or _place_of_nul(value[key], f"{place}.{key}") for key in value
            ]
        case list():
            parts = [_place_of_nul(item, f"{place}[{index}]") for index, item in enumerate(value)]
        case _:
            return None
    return next(filter(None, parts), None)


def _rows(outcome: Succeeded) -> int | None:
    """What the stage says, or the `rows` of its result."""
    if outcome.rows is not None:
        return _count(outcome.rows)
    return _count(outcome.result.get("rows")) if isinstance(outcome.result, dict) else None


def _bytes(outcome: Succeeded) -> int | None:
    if outcome.bytes is not None:
        return _count(outcome.bytes)
    data = outcome.result.get("data") if isinstance(outcome.result, dict) else None
    return _count(data.get("bytes")) if isinstance(data, dict) else None


def _count(value: object) -> int | None:
    """A result may say anything under these names: only what can be a number of rows or bytes is taken for one."""
    return value if type(value) is int and 0 <= value < 2**63 else None


def _as_stopped(attempt: Attempt, outcome: Outcome) -> Outcome:
    """An attempt that was told to stop and did not finish ended because of that, whatever it says."""
    if isinstance(outcome, Succeeded):
        return outcome
    if attempt.why == "timeout":
        return Failed(timeout_error(attempt))
    return outcome if isinstance(outcome, Cancelled) else Cancelled()


def timeout_error(attempt: Attempt) -> StageError:
    seconds = attempt.claimed.timeout.total_seconds() if attempt.claimed.timeout else 0
    return StageError(
        f"{attempt.stage_id} ran longer than its timeout of {seconds:g} s and was stopped.",
        code="timeout",
        kind="timeout",
        suggestion="Raise the stage's timeout, or look at its log for what it was waiting for.",
    )


def _stage_error(error: BaseException) -> StageError:
    if isinstance(error, StageFailed):
        return StageError(
            message=str(error),
            code=error.code,
            kind=error.kind,
            location=error.location,
            suggestion=error.suggestion,
            traceback=error.details.pop("traceback", None),  # type: ignore[arg-type]
            retry_after_seconds=error.retry_after_seconds,
            details=error.details,
        )
    if isinstance(error, ExpressionError):
        return StageError(str(error), code="expression")
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return StageError(
            "No space is left on the disk.", code="disk_full", kind="transient", suggestion="Free some and retry."
        )
    return StageError(
        message=f"{type(error).__name__}: {error}",
        code="exception",
        kind="internal",
        location=_where(error),
        traceback="".join(traceback.format_exception(error)),
    )


_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def _where(error: BaseException) -> Location | None:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if OWN_FRAMES not in frame.filename]
    return Location(file=frames[-1].filename, line=frames[-1].lineno) if frames else None
